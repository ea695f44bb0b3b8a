"""What a check rests on, made ready for many questions: a subject's rights with the instants at
which they count, whom the subject was merged with, its teams, and the grants above its own.

Made from rows alone, the same way for now and for any position of the past.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime
from functools import lru_cache
from typing import Final, NamedTuple, TypeVar

import msgspec

from domain.scopes import Compiled, Pattern, compile_scope
from domain.teams import TEAM, line
from domain.values import Instant
from projections.permissions import Stop

EVER: Final = datetime.min.replace(tzinfo=UTC)
FOREVER: Final = datetime.max.replace(tzinfo=UTC)
"""Open ends: no instant asked about is earlier, or later."""

MAX_MERGES: Final = 8
"""How far merges are followed; a longer chain stands nowhere: fail closed."""

Attributes = Mapping[str, str | tuple[str, ...]]
"""Of a resource: dimension -> its path there, or several."""

R = TypeVar("R")
Window = tuple[Instant, Instant]
Windows = tuple[Window, ...]
"""Half-open instants, sorted and disjoint."""


class PermissionRow(msgspec.Struct, frozen=True, array_like=True):
    """A row of `permissions` as `read_check` gives it; instants in microseconds since 1970, None an
    open end.

    `policy_known`: the policy's stream was there at the position asked about.
    """

    grantee: str
    grant: str
    number: str
    kind: str
    actions: tuple[str, ...]
    scope: msgspec.Raw
    terms: int
    valid_from: Instant
    valid_to: Instant | None
    policy: str | None
    policy_version: int
    policy_known: bool
    parent: str | None
    stops: tuple[Stop, ...]
    known_from: int


class Rows(NamedTuple):
    """Rows that concern one or more subjects.

    `permissions` were given to the subjects, to records merged with them, and to teams above their
    own; `above` are the rows of grants those were passed on from, all the way up. Standing:
    `(party, from, to)`, of a team as its point stands; merges `(party, into, from)`; members
    `(party, path of the team, from, to)`. Open ends are None.
    """

    permissions: Sequence[PermissionRow]
    standings: Sequence[tuple[str, Instant | None, Instant | None]] = ()
    merges: Sequence[tuple[str, str, Instant]] = ()
    above: Sequence[PermissionRow] = ()
    members: Sequence[tuple[str, str, Instant, Instant | None]] = ()


class Right(msgspec.Struct, frozen=True, gc=False):
    """One permission row: terms in force during `[valid_from, valid_to)` as far as the grant tells.

    `windows` is what is left of that when the grantee's standing is asked too, and for a team's
    right whether the subject belongs to the team. `dimensions` are the patterns of its scope once
    more, for who asks for one dimension. `party` is the record or team the grant was given
    to, `streams` the ids of the streams it rests on: in quarantine they take it out of force. With
    a `parent` it allows only what the grants above allow, too.
    """

    grant: str
    number: str
    terms: int
    kind: str
    party: str
    actions: frozenset[str]
    scope: Compiled
    dimensions: Mapping[str, frozenset[Pattern]]
    valid_from: Instant
    valid_to: Instant
    windows: Windows
    policy: str | None
    policy_version: int
    policy_known: bool
    parent: str | None
    stops: tuple[Stop, ...]
    known_from: int
    streams: tuple[str, ...]


class Subject(msgspec.Struct, frozen=True, gc=False):
    """All that one subject has, its own and what was given to records merged with it and to its
    teams, as of `position`.

    `usable` are the rights that can allow anything, by action; `dimensions` all that the scopes of
    all rights, and of the grants above, ask for. `above` are the rights of those grants by grant
    id: what a right with a parent rests on. `parties` are the records and teams taken together,
    `rests_on` all others whose rows make a difference; `known` tells whether the subject exists.
    `own` is when it stands itself, `member` when it belongs to each team (by party), asked where
    that is the reason. `missing` are grants above that were not found. `settled` is False where
    something is missing that may come without the rows being touched: such a subject is not to be
    remembered.
    """

    ref: str
    position: int
    parties: tuple[str, ...]
    known: bool
    settled: bool
    rights: tuple[Right, ...]
    usable: dict[str, tuple[Right, ...]]
    dimensions: frozenset[str]
    above: Mapping[str, tuple[Right, ...]]
    rests_on: frozenset[str]
    own: Windows
    member: Mapping[str, Windows]
    missing: tuple[str, ...]


_NONE_ABOVE: Final[Mapping[str, tuple[Right, ...]]] = {}
_NO_TEAMS: Final[Mapping[str, Windows]] = {}


class Gathered:
    """Rows by whom and what they concern: made once for all subjects they were read for."""

    def __init__(self, rows: Rows) -> None:
        self.permissions = _by(rows.permissions, lambda row: row.grantee)
        self.above = _by(rows.above, lambda row: row.grant)
        self.into = {party: (other, at) for party, other, at in rows.merges}
        self.members = _by(rows.members, lambda row: row[0])
        self.standings: dict[str, list[Window]] = {}
        for party, begin, until in rows.standings:
            window = (EVER if begin is None else begin, FOREVER if until is None else until)
            self.standings.setdefault(party, []).append(window)

    def windows(self, party: str) -> Windows:
        """Return when a party stands."""
        return _windows(party, self.standings, self.into)

    def streams(self, party: str) -> tuple[str, ...]:
        """Return the stream ids of a record and of all it went into."""
        return _streams(party, self.into)


def subject(ref: str, position: int, rows: Rows | Gathered, *, exists: bool) -> Subject:
    """Return what `rows` say of `ref`; rows of other parties in them make no difference.

    `exists` tells whether the party's stream was there; a party without a stream is known by its
    rights, a team by its point.
    """
    found = rows if isinstance(rows, Gathered) else Gathered(rows)
    family = _family(ref, found.into)
    mine = found.streams(ref)
    rights = [
        right(row, found.windows(row.grantee), _joined(mine, found.streams(row.grantee)))
        for party in family
        for row in found.permissions.get(party, ())
    ]
    member = _member(found.members.get(ref, ())) if found.members else _NO_TEAMS
    own = found.windows(ref) if member else ()
    for team, belongs in member.items():
        windows = _both(_both(own, belongs), found.windows(team))
        rights += [right(row, windows, (_stream(ref),)) for row in found.permissions.get(team, ())]
    above = _above(rights, found) if found.above else _NONE_ABOVE
    usable: dict[str, list[Right]] = {}
    for one in rights:
        if one.windows and one.policy_known and (one.parent is None or one.parent in above):
            for action in one.actions:
                usable.setdefault(action, []).append(one)
    known = exists or bool(rights) or (ref.startswith(f"{TEAM}:") and ref in found.standings)
    chains = [one for links in above.values() for one in links]
    parents = (one.parent for one in (*rights, *chains))
    missing = tuple({parent for parent in parents if parent is not None and parent not in above})
    return Subject(
        ref,
        position,
        (*family, *member),
        known,
        known and not missing and all(one.policy_known for one in (*rights, *chains)),
        tuple(rights),
        {action: tuple(found) for action, found in usable.items()},
        frozenset(name for one in (*rights, *chains) for name in one.dimensions),
        above,
        frozenset(party for one in chains for party in _line(one.party, found.into)),
        own,
        member,
        missing,
    )


def _joined(mine: tuple[str, ...], theirs: tuple[str, ...]) -> tuple[str, ...]:
    """Return both: that a record is one with another rests on the merges of either."""
    return mine if mine == theirs else tuple(dict.fromkeys((*mine, *theirs)))


def _by(rows: Iterable[R], key: Callable[[R], str]) -> dict[str, list[R]]:
    found: dict[str, list[R]] = {}
    for row in rows:
        found.setdefault(key(row), []).append(row)
    return found


def _above(rights: Iterable[Right], found: Gathered) -> dict[str, tuple[Right, ...]]:
    """Return the rights of all grants above these, by grant id; what is nowhere is left out."""
    above: dict[str, tuple[Right, ...]] = {}
    waiting = [one.parent for one in rights if one.parent is not None]
    for grant in waiting:  # grows while it is walked; a grant is looked at once, also in a circle
        if grant in above or grant not in found.above:
            continue
        above[grant] = tuple(
            right(row, found.windows(row.grantee), found.streams(row.grantee))
            for row in found.above[grant]
        )
        waiting += [one.parent for one in above[grant] if one.parent is not None]
    return above


def _member(rows: Iterable[tuple[str, str, Instant, Instant | None]]) -> dict[str, Windows]:
    """Return when they belong to each team, those above their own among them, by party."""
    found: dict[str, list[Window]] = {}
    for _, team, begin, until in rows:
        for path in line(team):
            found.setdefault(f"{TEAM}:{path}", []).append(
                (begin, FOREVER if until is None else until)
            )
    return {team: tuple(sorted(windows)) for team, windows in found.items()}


def right(row: PermissionRow, standing: Windows, streams: tuple[str, ...]) -> Right:
    """Return the row made ready; `standing` are the instants at which its grantee stands."""
    begin = row.valid_from
    until = FOREVER if row.valid_to is None else row.valid_to
    scope, dimensions = _scope(bytes(row.scope))
    return Right(
        row.grant,
        row.number,
        row.terms,
        row.kind,
        row.grantee,
        _actions(row.actions),
        scope,
        dimensions,
        begin,
        until,
        _clipped(standing, begin, until),
        row.policy,
        row.policy_version,
        row.policy_known,
        row.parent,
        row.stops,
        row.known_from,
        (row.grant, *streams),
    )


_scopes = msgspec.json.Decoder(dict[str, tuple[str, ...]])


@lru_cache(maxsize=16_384)
def _scope(document: bytes) -> tuple[Compiled, Mapping[str, frozenset[Pattern]]]:
    """Many grants have the same scope: they share one compiled form."""
    scope = compile_scope(_scopes.decode(document))
    return scope, dict(scope.dimensions)


@lru_cache(maxsize=16_384)
def _actions(actions: tuple[str, ...]) -> frozenset[str]:
    return frozenset(actions)


def _family(ref: str, into: Mapping[str, tuple[str, Instant]]) -> list[str]:
    """Return the records that are one with `ref`: where it went, and all that went there."""
    if not into:
        return [ref]
    root = ref
    for _ in range(MAX_MERGES):
        if root not in into:
            break
        root = into[root][0]
    found = [root]
    for party in found:  # grows while it is walked; each record goes into one other only
        found += [one for one, (other, _) in into.items() if other == party and one not in found]
    return found if ref in found else [ref]


def _windows(
    party: str,
    standings: Mapping[str, Sequence[Window]],
    into: Mapping[str, tuple[str, Instant]],
    depth: int = 0,
) -> Windows:
    """Return when `party` stands: by its own rows until it was merged, from then on as the other
    one.
    """
    own = tuple(sorted(set(standings.get(party, ()))))
    if party not in into:
        return own
    if depth >= MAX_MERGES:
        return ()
    other, since = into[party]
    after = _windows(other, standings, into, depth + 1)
    return (*_clipped(own, EVER, since), *_clipped(after, since, FOREVER))


def _clipped(windows: Iterable[Window], begin: Instant, until: Instant) -> Windows:
    cut = ((max(begin, one), min(until, other)) for one, other in windows)
    return tuple(window for window in cut if window[0] < window[1])


def _both(one: Windows, other: Windows) -> Windows:
    """Return the instants that lie in both."""
    return tuple(sorted(cut for begin, until in other for cut in _clipped(one, begin, until)))


def _line(party: str, into: Mapping[str, tuple[str, Instant]]) -> list[str]:
    """Return a record and all it went into, in this order."""
    found = [party]
    while found[-1] in into and len(found) <= MAX_MERGES:
        found.append(into[found[-1]][0])
    return found


def _streams(party: str, into: Mapping[str, tuple[str, Instant]]) -> tuple[str, ...]:
    return tuple(_stream(one) for one in _line(party, into))


def _stream(party: str) -> str:
    return party.partition(":")[2]
