"""What a check rests on, made ready for many questions: a subject's rights with the instants at
which they count, and whom the subject was merged with.

Made from rows alone, the same way for now and for any position of the past.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from functools import lru_cache
from typing import Final, NamedTuple

import msgspec

from domain.scopes import Compiled, compile_scope
from domain.values import Instant
from projections.permissions import Stop

EVER: Final = datetime.min.replace(tzinfo=UTC)
FOREVER: Final = datetime.max.replace(tzinfo=UTC)
"""Open ends: no instant asked about is earlier, or later."""

MAX_MERGES: Final = 8
"""How far merges are followed; a longer chain stands nowhere: fail closed."""

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
    """Rows that concern one or more subjects: standing `(party, from, to)`, merges `(party, into,
    from)`.
    """

    permissions: Sequence[PermissionRow]
    standings: Sequence[tuple[str, Instant, Instant | None]] = ()
    merges: Sequence[tuple[str, str, Instant]] = ()


class Right(msgspec.Struct, frozen=True, gc=False):
    """One permission row: terms in force during `[valid_from, valid_to)` as far as the grant tells.

    `windows` is what is left of that when the grantee's standing is asked too. `party` is the
    record the grant was given to, `streams` the ids of the streams it rests on: in quarantine they
    take it out of force.
    """

    grant: str
    number: str
    terms: int
    kind: str
    party: str
    actions: frozenset[str]
    scope: Compiled
    dimensions: frozenset[str]
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
    """All that one subject has, its own and what was given to records merged with it, as of
    `position`.

    `usable` are the rights that can allow anything, by action; `dimensions` all that the scopes of
    all rights ask for. `parties` are the records taken together; `known` tells whether the subject
    exists. `settled` is False where something is missing that may come without the rows being
    touched: such a subject is not to be remembered.
    """

    ref: str
    position: int
    parties: tuple[str, ...]
    known: bool
    settled: bool
    rights: tuple[Right, ...]
    usable: dict[str, tuple[Right, ...]]
    dimensions: frozenset[str]


def subject(ref: str, position: int, rows: Rows, *, exists: bool) -> Subject:
    """Return what `rows` say of `ref`; rows of other parties in them make no difference.

    `exists` tells whether the party's stream was there; a party without a stream is known by its
    rights.
    """
    into = {party: (other, at) for party, other, at in rows.merges}
    parties = _family(ref, into)
    standings = _standings(rows.standings)
    rights = tuple(
        right(row, _windows(row.grantee, standings, into), _streams(row.grantee, into))
        for row in rows.permissions
        if row.grantee in parties
    )
    usable: dict[str, list[Right]] = {}
    for one in rights:
        if one.windows and one.policy_known and one.parent is None:
            for action in one.actions:
                usable.setdefault(action, []).append(one)
    return Subject(
        ref,
        position,
        tuple(parties),
        exists or bool(rights),
        (exists or bool(rights)) and all(one.policy_known for one in rights),
        rights,
        {action: tuple(found) for action, found in usable.items()},
        frozenset(name for one in rights for name in one.dimensions),
    )


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
def _scope(document: bytes) -> tuple[Compiled, frozenset[str]]:
    """Many grants have the same scope: they share one compiled form."""
    scope = _scopes.decode(document)
    return compile_scope(scope), frozenset(scope)


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


def _standings(rows: Iterable[tuple[str, Instant, Instant | None]]) -> dict[str, list[Window]]:
    found: dict[str, list[Window]] = {}
    for party, begin, until in rows:
        window = (begin, FOREVER if until is None else until)
        found.setdefault(party, []).append(window)
    return found


def _windows(
    party: str,
    standings: Mapping[str, Sequence[Window]],
    into: Mapping[str, tuple[str, Instant]],
    depth: int = 0,
) -> Windows:
    """Return when `party` stands: by its own rows until it was merged, from then on as the other
    one.
    """
    own = tuple(sorted(standings.get(party, ())))
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


def _streams(party: str, into: Mapping[str, tuple[str, Instant]]) -> tuple[str, ...]:
    """Return the stream ids of a record and of all it went into."""
    found = [party]
    while found[-1] in into and len(found) <= MAX_MERGES:
        found.append(into[found[-1]][0])
    return tuple(one.partition(":")[2] for one in found)
