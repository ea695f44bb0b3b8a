"""A staff member: who works for the tenant, at which level, in which roles, for which customers,
and who stands in.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, Literal

import msgspec
from msgspec.structs import replace

from domain import intervals, teams
from domain.codes import require_code
from domain.errors import Impossible, Refused
from domain.events.staff import (
    StaffAppointed,
    StaffAssignmentsChanged,
    StaffDeactivated,
    StaffDeputyEnded,
    StaffDeputySet,
    StaffHandedOver,
    StaffLevelChanged,
    StaffRolesChanged,
    StaffTeamChanged,
)
from domain.folding import disorder
from domain.intervals import Intervals
from domain.persons import Person, require_not_merged
from domain.persons import require_known as require_known_person
from domain.teams import Memberships
from domain.values import Act, Instant, stamp, without_texts

StaffEvent = (
    StaffAppointed
    | StaffLevelChanged
    | StaffRolesChanged
    | StaffAssignmentsChanged
    | StaffTeamChanged
    | StaffDeputySet
    | StaffDeputyEnded
    | StaffHandedOver
    | StaffDeactivated
)
Status = Literal["appointed", "deactivated"]

MAX_ASSIGNED: Final = 2_000
"""Most customers assigned to one staff member."""

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


class Deputy(msgspec.Struct, frozen=True, gc=False, rename={"from_": "from"}):
    """Who stands in (a staff id) during `[from_, until)`."""

    staff: str
    from_: Instant
    until: Instant


class Staff(msgspec.Struct, frozen=True, gc=False):
    """State folded from one stream. `appointed` are the instants at which they worked here,
    `teams` says to which team they belonged when.
    """

    status: Status = "deactivated"
    person: str = ""
    number: str = ""
    level: str = ""
    roles: tuple[str, ...] = ()
    customers: tuple[str, ...] = ()
    deputy: Deputy | None = None
    appointed: Intervals = ()
    teams: Memberships = ()
    irregular: bool = False

    @property
    def active(self) -> bool:
        return self.status == "appointed"

    @property
    def team(self) -> str | None:
        """The team as recorded last; ask `teams.team_at` for an instant."""
        last = self.teams[-1:]
        return last[0].team if last and last[0].until is None else None


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
                teams=teams.changed(staff.teams, None, event.at),
            )
        case StaffLevelChanged():
            return replace(staff, level=event.level)
        case StaffRolesChanged():
            return replace(staff, roles=event.roles)
        case StaffAssignmentsChanged():
            return replace(staff, customers=event.customers)
        case StaffTeamChanged():
            return replace(staff, teams=teams.changed(staff.teams, event.team, event.at))
        case StaffDeputySet():
            return replace(staff, deputy=Deputy(event.deputy, event.from_, event.until))
        case StaffDeputyEnded():
            return replace(staff, deputy=None)
        case StaffHandedOver():
            rest = tuple(one for one in staff.customers if one not in event.customers)
            return replace(staff, customers=rest)
        case StaffDeactivated():
            return replace(
                staff,
                status="deactivated",
                deputy=None,
                appointed=intervals.without(staff.appointed, event.at),
                teams=teams.changed(staff.teams, None, event.at),
            )
        case _:  # pyright: ignore[reportUnnecessaryComparison]
            raise Impossible(event, staff)


def require_known(staff: Staff | None, staff_id: str) -> Staff:
    """Refuse with `staff.unknown` who was never appointed."""
    if staff is None:
        raise Refused("staff.unknown", staff=staff_id)
    return staff


def require_appointed(staff: Staff | None, staff_id: str) -> Staff:
    """Refuse with `staff.unknown` or `staff.state` who does not work here."""
    known = require_known(staff, staff_id)
    if not known.active:
        raise Refused("staff.state", staff=staff_id, state=known.status)
    return known


def require_roles(roles: tuple[str, ...]) -> None:
    """Refuse with `staff.role_unknown` what is none of `ROLES`."""
    for role in roles:
        if role not in ROLES:
            raise Refused("staff.role_unknown", role=role)


def require_assignable(customers: tuple[str, ...]) -> None:
    """Refuse with `staff.too_many_customers` more than one staff member can have."""
    if len(set(customers)) > MAX_ASSIGNED:
        raise Refused("staff.too_many_customers", limit=MAX_ASSIGNED)


def appoint(
    staff: Staff | None,
    staff_id: str,
    *,
    person_id: str,
    person: Person | None,
    number: str,
    level: str,
    roles: tuple[str, ...],
    customers: tuple[str, ...] = (),
    team: str | None = None,
    same: Callable[[str], str],
    act: Act,
) -> list[StaffEvent]:
    """Appoint a person, or one who was deactivated again, with exactly these roles, customers and
    team (None: none); the caller looks whether that stands.

    Raises `Refused`: `staff.state` (appointed, and otherwise), `person.unknown`, `person.state`,
    `code.malformed`, `staff.role_unknown`, `staff.too_many_customers`, `staff.person_changed`.
    """
    require_not_merged(require_known_person(person, person_id), person_id)
    require_code("number", number)
    require_code("level", level)
    require_roles(roles)
    require_assignable(customers)
    event = StaffAppointed(
        **stamp(act),
        person=person_id,
        number=number,
        level=level,
        roles=_set(roles),
        customers=_set(customers),
    )
    if staff is not None and staff.active:
        if _appointed_as(staff, event) and staff.team == team:
            return []
        raise Refused("staff.state", staff=staff_id, state=staff.status)
    if staff is not None and same(staff.person) != same(person_id):
        raise Refused("staff.person_changed", staff=staff_id)
    if team is None:
        return [event]
    return [event, StaffTeamChanged(**stamp(act), team=team)]


def _set(words: tuple[str, ...]) -> tuple[str, ...]:
    """Return the words once each, sorted: what is a set is written in one way."""
    return tuple(sorted(set(words)))


def _appointed_as(staff: Staff, event: StaffAppointed) -> bool:
    return (staff.person, staff.number, staff.level, staff.roles, staff.customers) == (
        event.person,
        event.number,
        event.level,
        event.roles,
        event.customers,
    )


def change_level(staff: Staff | None, staff_id: str, *, level: str, act: Act) -> list[StaffEvent]:
    """Give another level. Raises `Refused`: `staff.unknown`, `staff.state`, `code.malformed`."""
    known = require_appointed(staff, staff_id)
    require_code("level", level)
    return [] if known.level == level else [StaffLevelChanged(**stamp(act), level=level)]


def change_roles(
    staff: Staff | None, staff_id: str, *, roles: tuple[str, ...], act: Act
) -> list[StaffEvent]:
    """Let the roles be exactly these.

    Raises `Refused`: `staff.unknown`, `staff.state`, `staff.role_unknown`.
    """
    known = require_appointed(staff, staff_id)
    require_roles(roles)
    if _set(known.roles) == _set(roles):
        return []
    return [StaffRolesChanged(**stamp(act), roles=_set(roles))]


def assign_customers(
    staff: Staff | None, staff_id: str, *, customers: tuple[str, ...], act: Act
) -> list[StaffEvent]:
    """Let the customers assigned be exactly these.

    Raises `Refused`: `staff.unknown`, `staff.state`, `staff.too_many_customers`.
    """
    known = require_appointed(staff, staff_id)
    require_assignable(customers)
    if _set(known.customers) == _set(customers):
        return []
    return [StaffAssignmentsChanged(**stamp(act), customers=_set(customers))]


def change_team(
    staff: Staff | None, staff_id: str, *, team: str | None, act: Act
) -> list[StaffEvent]:
    """Let them belong to this team (None: to none); the caller looks whether it stands.

    Raises `Refused`: `staff.unknown`, `staff.state`.
    """
    known = require_appointed(staff, staff_id)
    return [] if known.team == team else [StaffTeamChanged(**stamp(act), team=team)]


def hand_over(
    staff: Staff | None,
    staff_id: str,
    *,
    to_id: str,
    to: Staff | None,
    customers: tuple[str, ...] | None = None,
    act: Act,
) -> tuple[list[StaffEvent], list[StaffEvent]]:
    """Hand customers (all assigned, unless some are named) to `to`; also after a deactivation.

    Returns the events of this stream and those of `to`'s. Raises `Refused`: `staff.unknown`,
    `staff.hand_over_self`, `staff.state` (of `to`), `staff.not_assigned`,
    `staff.too_many_customers`.
    """
    known = require_known(staff, staff_id)
    if to_id == staff_id:
        raise Refused("staff.hand_over_self", staff=staff_id)
    target = require_appointed(to, to_id)
    handed = _set(known.customers if customers is None else customers)
    for customer in handed:
        if customer not in known.customers and customer not in target.customers:
            raise Refused("staff.not_assigned", staff=staff_id, customer=customer)
    handed = tuple(customer for customer in handed if customer in known.customers)
    if not handed:
        return [], []
    received = assign_customers(
        target, to_id, customers=(*target.customers, *handed), act=without_texts(act)
    )
    return [StaffHandedOver(**stamp(act), to=to_id, customers=handed)], received


def deactivate(staff: Staff | None, staff_id: str, *, act: Act) -> list[StaffEvent]:
    """End the work here at once; what is open shows as unassigned. Raises: `staff.unknown`."""
    known = require_known(staff, staff_id)
    return [StaffDeactivated(**stamp(act))] if known.active else []
