"""Deputies: who of the staff acts on whose behalf, and until when."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from domain.errors import Refused
from domain.events.staff import StaffDeputyEnded, StaffDeputySet
from domain.staff import Deputy, Staff, StaffEvent, require_appointed
from domain.values import Act, stamp


def require_no_circle(staff_id: str, deputy: Deputy, line: Mapping[str, Staff]) -> None:
    """Refuse with `staff.deputy_circle` who would at some instant stand in for themselves.

    `line` are the staff members reached from the deputy by `set deputy`, by id.
    """
    begin, end, following = deputy.from_, deputy.until, deputy.staff
    for _ in range(len(line) + 1):
        if following == staff_id:
            raise Refused("staff.deputy_circle", staff=staff_id, deputy=deputy.staff)
        member = line.get(following)
        if member is None or member.deputy is None:
            return
        begin, end = max(begin, member.deputy.from_), min(end, member.deputy.until)
        following = member.deputy.staff
        if end <= begin:
            return


def set_deputy(
    staff: Staff | None,
    staff_id: str,
    *,
    deputy: Deputy,
    line: Mapping[str, Staff],
    same: Callable[[str], str],
    act: Act,
) -> list[StaffEvent]:
    """Let `deputy` act on this one's behalf for a time, instead of any before.

    `line` are the staff members reached from the deputy by their own deputies, by id, itself first.
    Raises `Refused`: `staff.unknown`, `staff.state`, `staff.term_empty`, `staff.deputy_from_past`,
    `staff.deputy_unknown`, `staff.deputy_not_in_standing`, `staff.deputy_self`,
    `staff.deputy_circle`.
    """
    known = require_appointed(staff, staff_id)
    if known.deputy == deputy:
        return []
    if deputy.until <= deputy.from_:
        raise Refused("staff.term_empty", from_=deputy.from_, until=deputy.until)
    if deputy.from_ < act.at:
        raise Refused("staff.deputy_from_past", from_=deputy.from_)
    member = line.get(deputy.staff)
    if member is None:
        raise Refused("staff.deputy_unknown", deputy=deputy.staff)
    if not member.active:
        raise Refused("staff.deputy_not_in_standing", deputy=deputy.staff)
    if same(member.person) == same(known.person):
        raise Refused("staff.deputy_self", deputy=deputy.staff)
    require_no_circle(staff_id, deputy, line)
    return [
        StaffDeputySet(**stamp(act), deputy=deputy.staff, from_=deputy.from_, until=deputy.until)
    ]


def end_deputy(staff: Staff | None, staff_id: str, *, act: Act) -> list[StaffEvent]:
    """Let nobody act on this one's behalf. Raises `Refused`: `staff.unknown`, `staff.state`."""
    known = require_appointed(staff, staff_id)
    return [] if known.deputy is None else [StaffDeputyEnded(**stamp(act))]
