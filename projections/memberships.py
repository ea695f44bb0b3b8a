"""Who belongs to which team: the spans of a staff member's teams as rows, which checks follow to
what their teams were given.

They belong to the read model `standings`: its generation and its fold version.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec

from domain.staff import Staff, StaffEvent
from domain.teams import line
from domain.values import Instant
from projections.inline_rows import Change, difference, end, spans


class MembershipRow(msgspec.Struct, frozen=True):
    """Belongs to the team at this path during `[valid_from, valid_to)`, an open end None."""

    team: str
    valid_from: Instant
    valid_to: Instant | None

    def key(self) -> dict[str, Any]:
        return {"valid_from": self.valid_from}

    def values(self) -> dict[str, Any]:
        return {
            "team": self.team,
            "valid_from": self.valid_from,
            "valid_to": end(self.valid_to),
        }

    def says(self, other: MembershipRow) -> bool:
        """Tell whether this row gives all that the other gave: its team, or one below it."""
        return other.team in line(self.team) and spans(
            (self.valid_from, self.valid_to), (other.valid_from, other.valid_to)
        )


def rows(staff: Staff) -> tuple[MembershipRow, ...]:
    """Return the rows of a state, in the order of their instants."""
    return tuple(MembershipRow(one.team, one.from_, one.until) for one in staff.teams)


def changes(before: Staff | None, event: StaffEvent, after: Staff) -> Sequence[Change]:  # noqa: ARG001
    """Return the rows that this step closes and opens; most steps do neither."""
    old = () if before is None else before.teams
    if old == after.teams:
        return ()
    known = () if before is None else rows(before)
    return difference("m", known, rows(after), MembershipRow.says)
