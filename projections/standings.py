"""Who stands how: the instants at which a customer or staff member is in standing, and whom they
were merged into.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec

from domain import customers, staff
from domain.customers import Customer, CustomerEvent
from domain.intervals import Intervals
from domain.staff import Staff, StaffEvent
from domain.values import Instant
from projections.inline_rows import Change, difference, end, spans

NAME = "standings"
FOLD = 1
"""The fold version: raised whenever the rows of the same events would be others."""


class Standing(msgspec.Struct, frozen=True, gc=False):
    """In standing during `[valid_from, valid_to)`, an open end None."""

    valid_from: Instant
    valid_to: Instant | None

    def key(self) -> dict[str, Any]:
        return {"valid_from": self.valid_from}

    def values(self) -> dict[str, Any]:
        return {"valid_from": self.valid_from, "valid_to": end(self.valid_to)}

    def says(self, other: Standing) -> bool:
        """Tell whether this row holds all of the other."""
        return spans((self.valid_from, self.valid_to), (other.valid_from, other.valid_to))


class Alias(msgspec.Struct, frozen=True, gc=False):
    """From `valid_from` on the party stands as another one does."""

    into_party: str
    valid_from: Instant

    def key(self) -> dict[str, Any]:
        """A party has one open row, which its stream names."""
        return {}

    def values(self) -> dict[str, Any]:
        return {"into_party": self.into_party, "valid_from": self.valid_from}


def rows(state: Customer | Staff) -> tuple[Standing, ...]:
    """Return the rows of a state, in the order of their instants."""
    intervals = staff.standing(state) if isinstance(state, Staff) else customers.standing(state)
    return tuple(Standing(begin, until) for begin, until in intervals)


def changes(
    before: Customer | Staff | None, event: CustomerEvent | StaffEvent, after: Customer | Staff
) -> Sequence[Change]:
    """Return the rows that this step closes and opens; most steps do neither.

    A merge opens an alias row: from its instant on the party stands as the one it went into.
    """
    found: list[Change] = []
    if _made_of(before) != _made_of(after):
        old = () if before is None else rows(before)
        found += difference("s", old, rows(after), Standing.says)
    into = _merged(after)
    if into is not None and into != _merged(before):
        alias = Alias(f"customer:{into}", event.at)
        if _merged(before) is not None:
            found.append(Change("a", "close", alias, narrows=True))
        found.append(Change("a", "open", alias))
    return found


def _made_of(state: Customer | Staff | None) -> tuple[Intervals, Intervals]:
    match state:
        case Customer():
            return state.confirmed, state.blocked
        case Staff():
            return state.appointed, ()
        case None:
            return (), ()


def _merged(state: Customer | Staff | None) -> str | None:
    return state.merged_into if isinstance(state, Customer) else None
