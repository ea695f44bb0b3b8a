"""An exclusion: which places the approved grants of an exclusive kind take, so that no two overlap.

One stream a policy, which every command that gives a grant of the kind more reads and writes: of
two such commands one is decided on what the other left. It holds what each grant took at the most.
What a grant gave back since, by its own stream alone, is not told here; so a candidate that may
overlap is looked at itself before anyone is refused.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Final
from uuid import UUID

import msgspec

from domain.errors import Refused
from domain.events.exclusion import ExclusionReserved, Reservation
from domain.grant_states import Grant
from domain.holdings import Holding, holdings
from domain.scopes import ANY, overlap, prefixes
from domain.values import Act, Instant, Scope

ExclusionEvent = ExclusionReserved

Taken = Mapping[str, tuple[Reservation, ...]]
"""Grant id -> what it took."""

SHELF_CHARACTERS: Final = 2
"""Grants lie on shelves by the last characters of their ids: a step copies one shelf, not all."""


class Exclusion(msgspec.Struct, frozen=True, gc=False):
    """State folded from one stream: shelf -> the grants on it, each with what it took."""

    shelves: Mapping[str, Taken] = {}


def exclusion_stream(policy: str) -> str:
    """Return the id of the stream that guards a policy's grants: always the same for one policy."""
    digest = hashlib.sha256(b"counterseal exclusion " + policy.encode()).digest()
    return str(UUID(bytes=digest[:16], version=5))


def taken(exclusion: Exclusion | None) -> dict[str, tuple[Reservation, ...]]:
    """Return every grant that took something, with what it took."""
    shelves = () if exclusion is None else exclusion.shelves.values()
    return {grant: took for shelf in shelves for grant, took in shelf.items()}


def evolve(exclusion: Exclusion | None, event: ExclusionEvent) -> Exclusion:
    """Return the state after `event`; any order of them may come.

    What is over by then is left out where it is met: nobody is given the past.
    """
    known = exclusion or Exclusion()
    name = event.grant[-SHELF_CHARACTERS:]
    shelf = {
        grant: took
        for grant, took in known.shelves.get(name, {}).items()
        if grant != event.grant and any(_lasts(one, event.at) for one in took)
    }
    if event.reservations:
        shelf[event.grant] = event.reservations
    return Exclusion({**known.shelves, name: shelf})


def _lasts(one: Reservation, at: Instant) -> bool:
    return one.ends_at is None or at < one.ends_at


# --- what a grant takes ---------------------------------------------------------------------------


def reservations(grant: Grant | None, at: Instant) -> tuple[Reservation, ...]:
    """Return what an approved or effective grant takes from `at` on; a held one takes its place.

    Where its term starts with a signature that is still to come, it takes the time up to the end
    that the latest possible signature would give it: who was approved can sign.
    """
    return places(one for one in holdings(grant, at) if one.step != "sought")


def places(some: Iterable[Holding]) -> tuple[Reservation, ...]:
    """Return what these take, or would; what is only asked for as if it took effect now."""
    return tuple(Reservation(one.terms.scope, one.starts_at, one.latest) for one in some)


class Conflict(msgspec.Struct, frozen=True, gc=False):
    """What two reservations share: the scope, and the time `[starts_at, ends_at)`."""

    overlap: Scope
    starts_at: Instant
    ends_at: Instant | None


def conflict(one: Reservation, other: Reservation) -> Conflict | None:
    """Return what both take, None where they share no instant or no point."""
    starts_at = max(one.starts_at, other.starts_at)
    ends = [end for end in (one.ends_at, other.ends_at) if end is not None]
    ends_at = min(ends, default=None)
    if ends_at is not None and ends_at <= starts_at:
        return None
    shared = overlap(one.scope, other.scope)
    return None if shared is None else Conflict(shared, starts_at, ends_at)


# --- the verbs ------------------------------------------------------------------------------------


def reserve(
    exclusion: Exclusion | None, grant_id: str, some: tuple[Reservation, ...], act: Act
) -> list[ExclusionEvent]:
    """Let the grant take these and nothing else; that they are free is asked by `require_free`."""
    known = exclusion or Exclusion()
    if known.shelves.get(grant_id[-SHELF_CHARACTERS:], {}).get(grant_id, ()) == some:
        return []
    # Reason and evidence are the grant's: their texts open on its stream alone.
    return [
        ExclusionReserved(
            at=act.at,
            by=act.by,
            on_behalf_of=act.on_behalf_of,
            grant=grant_id,
            reservations=some,
        )
    ]


def require_free(
    exclusion: Exclusion | None,
    grant_id: str,
    some: tuple[Reservation, ...],
    *,
    look: Callable[[str], Grant | None],
    akin: Callable[[str, Grant], bool],
    at: Instant,
) -> None:
    """Refuse with `grant.exclusive_overlap` what another approved grant of the kind takes already.

    `look` gives a grant as it is now, by id. `akin` tells of one that the grant is passed on from,
    or that is passed on from it: they share a place by right.
    """
    for other_id in candidates(exclusion, grant_id, some):
        other = look(other_id)
        if other is None:
            continue
        for taken_now in reservations(other, at):
            found = (conflict(one, taken_now) for one in some)
            first = next((one for one in found if one is not None), None)
            if first is not None and not akin(other_id, other):
                known = {} if first.ends_at is None else {"ends_at": first.ends_at}
                raise Refused(
                    "grant.exclusive_overlap",
                    number=other.number,
                    grant=other_id,
                    overlap=first.overlap,
                    starts_at=first.starts_at,
                    **known,
                )


def candidates(
    exclusion: Exclusion | None, grant_id: str, some: tuple[Reservation, ...]
) -> Iterator[str]:
    """Yield, in the order of their ids, the other grants that may take some of these."""
    reaches = [_Reach(one) for one in some]
    found = (
        other
        for other, took in taken(exclusion).items()
        if other != grant_id and any(reach.meets(one) for reach in reaches for one in took)
    )
    yield from sorted(found)


class _Reach:
    """A reservation made ready to be compared with many."""

    def __init__(self, one: Reservation) -> None:
        self._starts_at, self._ends_at = one.starts_at, one.ends_at
        self._patterns = {
            dimension: (
                frozenset(patterns),
                frozenset(above for pattern in patterns for above in (*prefixes(pattern), ANY)),
            )
            for dimension, patterns in one.scope.items()
        }

    def meets(self, other: Reservation) -> bool:
        """Tell whether both share an instant and, in each dimension that both name, a path."""
        if self._ends_at is not None and self._ends_at <= other.starts_at:
            return False
        if other.ends_at is not None and other.ends_at <= self._starts_at:
            return False
        for dimension, patterns in other.scope.items():
            own = self._patterns.get(dimension)
            if own is None:
                continue
            exact, above = own
            if not any(
                pattern in above or not exact.isdisjoint(prefixes(pattern)) for pattern in patterns
            ):
                return False
        return True
