"""A staff member: who works for the tenant, at which level, in which roles, for which customers,
and who stands in.
"""

from __future__ import annotations

from typing import Literal

import msgspec
from msgspec.structs import replace

from domain import intervals
from domain.errors import Impossible
from domain.events.staff import (
    StaffAppointed,
    StaffAssignmentsChanged,
    StaffDeactivated,
    StaffDeputyEnded,
    StaffDeputySet,
    StaffHandedOver,
    StaffLevelChanged,
    StaffRolesChanged,
)
from domain.folding import disorder
from domain.intervals import Intervals
from domain.values import Instant

StaffEvent = (
    StaffAppointed
    | StaffLevelChanged
    | StaffRolesChanged
    | StaffAssignmentsChanged
    | StaffDeputySet
    | StaffDeputyEnded
    | StaffHandedOver
    | StaffDeactivated
)
Status = Literal["appointed", "deactivated"]

ROLES = frozenset(
    {
        "requester",
        "verifier",
        "approver",
        "reviewer",
        "compliance",
        "auditor",
        "privacy_officer",
        "administrator",
    }
)


class Deputy(msgspec.Struct, frozen=True):
    """Who stands in (a staff id) during `[from_, until)`."""

    staff: str
    from_: Instant
    until: Instant


class Staff(msgspec.Struct, frozen=True):
    """State folded from one stream. `appointed` are the instants at which they worked here."""

    status: Status = "deactivated"
    person: str = ""
    number: str = ""
    level: str = ""
    roles: tuple[str, ...] = ()
    customers: tuple[str, ...] = ()
    deputy: Deputy | None = None
    appointed: Intervals = ()
    irregular: bool = False

    @property
    def active(self) -> bool:
        return self.status == "appointed"


def status_at(staff: Staff, _at: Instant) -> Status:
    """Return the status; no clock moves a staff member, only acts do."""
    return staff.status


def deputy_at(staff: Staff, at: Instant) -> Deputy | None:
    """Return who may act on this one's behalf at that instant."""
    deputy = staff.deputy
    return deputy if deputy is not None and deputy.from_ <= at < deputy.until else None


def standing(staff: Staff) -> Intervals:
    """Return the instants at which they are in standing, sorted, disjoint; an open end is None."""
    return staff.appointed


def evolve(staff: Staff | None, event: StaffEvent) -> Staff:
    """Return the state after `event`. Raises `Impossible` on an order no verb emits."""
    known = staff or Staff()
    odd = disorder(_expected(staff, event), event, staff)
    after = _after(known, event)
    return replace(after, irregular=True) if odd else after


def _expected(staff: Staff | None, event: StaffEvent) -> bool:
    match event:
        case StaffAppointed():
            return staff is None or not staff.active
        case StaffHandedOver():
            return staff is not None
        case StaffDeputyEnded():
            return staff is not None and staff.active and staff.deputy is not None
        case _:
            return staff is not None and staff.active


def _after(staff: Staff, event: StaffEvent) -> Staff:
    match event:
        case StaffAppointed():
            return replace(
                staff,
                status="appointed",
                person=event.person,
                number=event.number,
                level=event.level,
                roles=event.roles,
                customers=event.customers,
                deputy=None,
                appointed=intervals.united(staff.appointed, event.at),
            )
        case StaffLevelChanged():
            return replace(staff, level=event.level)
        case StaffRolesChanged():
            return replace(staff, roles=event.roles)
        case StaffAssignmentsChanged():
            return replace(staff, customers=event.customers)
        case StaffDeputySet():
            return replace(staff, deputy=Deputy(event.deputy, event.from_, event.until))
        case StaffDeputyEnded():
            return replace(staff, deputy=None)
        case StaffHandedOver():
            rest = tuple(one for one in staff.customers if one not in event.customers)
            return replace(staff, customers=rest)
        case StaffDeactivated():
            ended = intervals.without(staff.appointed, event.at)
            return replace(staff, status="deactivated", deputy=None, appointed=ended)
        case _:  # pyright: ignore[reportUnnecessaryComparison]
            raise Impossible(event, staff)
