"""Grants as they were known at a position: what they allow when, once their grantee's standing and
the grants above are asked too, and which event set an instant.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import datetime
from typing import Any, Final, NamedTuple

from msgspec.structs import replace

from domain import scopes, teams
from domain.catalogue import Catalogue
from domain.codec import Undecodable, decode
from domain.customers import Customer
from domain.errors import Impossible
from domain.events import stream_kind
from domain.grant_states import Grant
from domain.policy_bodies import MAX_GRANT_DEPTH
from domain.staff import Staff
from domain.streams import evolve
from domain.teams import TEAM
from domain.values import Instant
from projections import permissions, standings
from projections.material import FOREVER, MAX_MERGES, Gathered, Rows, Windows
from projections.permissions import Permission
from projections.recent import Recent
from replay.as_of import OutOfReach
from replay.diff_records import About, Act, Right, Rights
from replay.sources import Source, Stored

REMEMBERED: Final = 5_000
"""Parties, and grants above, whose instants are kept; beyond them the oldest are read again."""

UNREADABLE: Final = (Impossible, Undecodable)
"""What makes a stream one that cannot be folded: nothing is allowed by it."""


class Known(NamedTuple):
    """A grant as known at a position, the rows its own stream amounts to, and what it allows."""

    about: About
    rows: tuple[Permission, ...]
    rights: Rights


class Merge(NamedTuple):
    """From `at` on a customer stands as another one (a ref)."""

    into: str
    at: Instant


class Party(NamedTuple):
    """When a party stands by its own stream, and whom it was merged into."""

    windows: tuple[tuple[Instant | None, Instant | None], ...]
    merge: Merge | None


NOBODY: Final = Party((), None)


class Past:
    """One tenant's log up to `position`, stream by stream; flat memory.

    Streams that cannot be folded are noted in `unreadable` with the position where they cannot.
    """

    def __init__(self, source: Source, position: int) -> None:
        self._source = source
        self.position = position
        self.unreadable: dict[str, int] = {}
        self._parties: Recent[Party] = Recent(REMEMBERED)
        self._parents: Recent[tuple[Known | None]] = Recent(REMEMBERED)
        self._policies: Recent[bool] = Recent(REMEMBERED)
        self._catalogue: tuple[Catalogue | None] | None = None

    def events(self, stream: str) -> Sequence[Stored]:
        """Return one stream's events as known then. Raises `OutOfReach` `source.partial` where the
        source does not have the stream from its beginning.
        """
        reach = self._source.reach
        if reach.first > 1 or (reach.streams is not None and stream not in reach.streams):
            raise OutOfReach("source.partial", stream=stream)
        return self._source.stream(stream, self.position)

    def catalogue_events(self) -> Sequence[Stored]:
        """Return the events of the catalogue as known then. Raises as `events`."""
        return self.events(self._source.tenant.id)

    def grant(self, stream: str) -> Known | None:
        """Return a grant, None where there was none, or none that can be folded."""
        return self.known(stream, self.events(stream))

    def known(self, stream: str, events: Iterable[Stored]) -> Known | None:
        """Return a grant from its own events."""
        state = self.fold(events)
        if state is None:
            return None
        own = self._own(stream, state)
        return own._replace(rights=joined(self._backed(own.rights, frozenset({stream}))))

    def fold(self, events: Iterable[Stored], happened: Instant | None = None) -> Grant | None:
        """Return a grant's state, with `happened` by what took place until then; None of no events,
        or of some that cannot be folded. Raises `UnknownEvent`.
        """
        state: Any = None
        for stored, after in self.steps(events, happened):
            if after is None:
                return None
            state = after if stream_kind(stored.type) == "grant" else None
        return state

    def steps(
        self, events: Iterable[Stored], happened: Instant | None = None
    ) -> Iterator[tuple[Stored, Any]]:
        """Yield each event with the state after it; None and no more where it cannot be folded."""
        state: Any = None
        for stored in events:
            try:
                event = decode(stored.type, stored.data)
                if happened is not None and happened < event.at:
                    continue
                state = evolve(stream_kind(stored.type), state, event)
            except UNREADABLE:
                self.unreadable[stored.stream_id] = stored.position
                yield stored, None
                return
            yield stored, state

    # --- what a grant allows ----------------------------------------------------------------------

    def _own(self, stream: str, state: Grant) -> Known:
        """Return what a grant allows but for those above it."""
        about = About(stream, state.number, state.grantee, state.terms.kind)
        rows = permissions.rows(state)
        windows = self.windows(state.grantee) if rows else ()
        found = [
            right(row, max(begin, row.valid_from), min(until, row.valid_to or FOREVER))
            for row in rows
            if row.policy_id is not None and self._has_policy(row.policy_id)
            for begin, until in windows
            if begin < (row.valid_to or FOREVER) and row.valid_from < until
        ]
        return Known(about, rows, joined(found))

    def _backed(self, rights: Rights, below: frozenset[str]) -> Iterator[Right]:
        """Yield what the grants above leave of rights: nothing where one is not there, stands on
        itself, or too many stand above one another.
        """
        for own in rights:
            if own.parent is None:
                yield own
            elif own.parent not in below and len(below) <= MAX_GRANT_DEPTH:
                above = self._above(own.parent)
                rest = () if above is None else above.rights
                for one in self._backed(rest, below | {own.parent}):
                    yield from _left(own, one)

    def _above(self, stream: str) -> Known | None:
        """Return a grant above, as far as its own stream and its grantee tell."""
        found = self._parents.get(stream)
        if found is None:
            state = self.fold(self.events(stream))
            found = (None if state is None else self._own(stream, state),)
            self._parents.put(stream, found)
        return found[0]

    def _has_policy(self, policy: str) -> bool:
        known = self._policies.get(policy)
        if known is None:
            known = bool(self.events(policy))
            self._policies.put(policy, known)
        return known

    # --- who stands -------------------------------------------------------------------------------

    def windows(self, ref: str) -> Windows:
        """Return when a party stands, as the one it was merged into from then on."""
        line = self.line(ref)
        rows = Rows(
            (),
            standings=[(one, *window) for one, party in line for window in party.windows],
            merges=[
                (one, party.merge.into, party.merge.at)
                for one, party in line
                if party.merge is not None
            ],
        )
        return tuple(sorted(Gathered(rows).windows(ref)))

    def line(self, ref: str) -> list[tuple[str, Party]]:
        """Return a party and all it was merged into, in this order."""
        found: list[tuple[str, Party]] = []
        following: str | None = ref
        while following is not None and len(found) <= MAX_MERGES:
            party = self._party(following)
            found.append((following, party))
            following = None if party.merge is None else party.merge.into
        return found

    def _party(self, ref: str) -> Party:
        known = self._parties.get(ref)
        if known is None:
            known = self._read(ref)
            self._parties.put(ref, known)
        return known

    def _read(self, ref: str) -> Party:
        kind, _, stream = ref.partition(":")
        if kind == TEAM:
            point = teams.point_of(self._kept(), stream)
            return Party(() if point is None else teams.standing(point), None)
        found = NOBODY
        for stored, state in self.steps(self.events(stream)):
            if stream_kind(stored.type) != kind or not isinstance(state, Customer | Staff):
                return NOBODY
            found = party_of(found, stored, state)
        return found

    def _kept(self) -> Catalogue | None:
        if self._catalogue is None:
            steps = self.steps(self.catalogue_events())
            last = deque((state for _, state in steps), maxlen=1)
            self._catalogue = (last[0] if last else None,)
        return self._catalogue[0]


def party_of(before: Party, stored: Stored, state: Customer | Staff) -> Party:
    """Return when a party stands after an event."""
    windows = tuple((row.valid_from, row.valid_to) for row in standings.rows(state))
    into = state.merged_into if isinstance(state, Customer) else None
    if into is None:
        return Party(windows, None)
    ref = f"customer:{into}"
    merge = before.merge
    if merge is None or merge.into != ref:
        merge = Merge(ref, decode(stored.type, stored.data).at)
    return Party(windows, merge)


def right(row: Permission, begin: Instant, until: Instant) -> Right:
    """Return a row as what it allows during `[begin, until)`."""
    return Right(
        row.terms_number,
        begin,
        None if until == FOREVER else until,
        row.actions,
        row.scope,
        row.policy_id,
        row.policy_version,
        row.parent,
    )


def _left(own: Right, above: Right) -> Iterator[Right]:
    """Yield what one grant above leaves of a right, if anything."""
    begin = max(own.valid_from, above.valid_from)
    until = _sooner(own.valid_to, above.valid_to)
    scope = scopes.overlap(own.scope, above.scope)
    actions = tuple(action for action in own.actions if action in above.actions)
    if (until is None or begin < until) and scope is not None and actions:
        yield replace(own, valid_from=begin, valid_to=until, scope=scope, actions=actions)


def joined(rights: Iterable[Right]) -> Rights:
    """Return them in the order of their instants, those that touch and say the same as one."""
    found: list[Right] = []
    for one in sorted(rights, key=lambda one: one.valid_from):
        last = found[-1] if found else None
        if last is not None and last.valid_to == one.valid_from and last.says(one):
            found[-1] = replace(last, valid_to=one.valid_to)
        else:
            found.append(one)
    return tuple(found)


def at_instant(rights: Rights, at: Instant) -> Right | None:
    """Return what is allowed at an instant."""
    return next((one for one in rights if one.holds(at)), None)


def just_before(rights: Rights, at: Instant) -> Right | None:
    """Return what is allowed right before an instant."""
    return next(
        (
            one
            for one in rights
            if one.valid_from < at and (one.valid_to is None or at <= one.valid_to)
        ),
        None,
    )


def setting(
    steps: Iterable[tuple[Stored, Any]], seen: Callable[[Stored, Any], object]
) -> Act | None:
    """Return the first event after which something is seen as it is in the end."""
    first: dict[object, Stored] = {}
    last: object = None
    for stored, state in steps:
        last = seen(stored, state)
        first.setdefault(last, stored)
    return act(first[last]) if first else None


def act(stored: Stored) -> Act:
    """Return an event as the act it tells of. Raises `Undecodable`, `UnknownEvent`."""
    return Act(stored, decode(stored.type, stored.data))


def _sooner(one: datetime | None, other: datetime | None) -> datetime | None:
    return min((at for at in (one, other) if at is not None), default=None)
