"""What may be asked of a staff member; by an administrator, of their own deputy by themselves.

The operator's command line may appoint, so that a new tenant gets its first administrator.
"""

from __future__ import annotations

from typing import Final, final

from domain import deputies
from domain import staff as members
from domain.duties import (
    Actor,
    actor,
    require_administrator,
    require_administrator_or_operator,
)
from domain.errors import Refused
from domain.staff import Deputy, Staff
from domain.teams import require_team
from domain.values import Instant
from domain.view import Command, View

NUMBER_CLAIM: Final = "staff_number"

MAX_DEPUTY_STEPS: Final = 16
"""How far deputies of deputies are followed when one is set; longer lines are refused."""


class StaffCommand(Command, frozen=True, kw_only=True):
    """A command on one staff member."""

    staff: str

    @property
    def kind(self) -> str:
        return "staff"

    @property
    def stream_id(self) -> str:
        return self.staff


def _require_administrator_or_self(acting: Actor, staff_id: str, at: Instant) -> None:
    """A deputy is not the one they act for here: what was lent is not lent on."""
    if acting.principal is None and acting.staff_id == staff_id:
        return
    require_administrator(acting, at)


@final
class AppointStaff(StaffCommand, frozen=True, kw_only=True):
    """Appoint a person, or one who left again; `number_claim` is the keyed hash of the number.

    `team` is the path of a point of the catalogue's dimension `team`.
    """

    person: str
    number: str
    number_claim: bytes
    level: str
    roles: tuple[str, ...]
    customers: tuple[str, ...] = ()
    team: str | None = None

    def hints(self) -> tuple[tuple[str, str], ...]:
        return (("staff", self.staff), ("person", self.person))

    def decide(self, view: View) -> None:
        require_administrator_or_operator(actor(view), view.at)
        _require_customers(view, self.customers)
        events = members.appoint(
            view.staff(self.staff),
            self.staff,
            person_id=self.person,
            person=view.person(self.person),
            number=self.number,
            level=self.level,
            roles=self.roles,
            customers=self.customers,
            team=self.team,
            same=view.same_person,
            act=view.act,
        )
        view.record("staff", self.staff, events)
        if events:
            _require_team(view, self.team)
            view.claim(NUMBER_CLAIM, self.number_claim, self.staff)


@final
class ChangeStaffLevel(StaffCommand, frozen=True, kw_only=True):
    """Give another level."""

    level: str

    def decide(self, view: View) -> None:
        require_administrator(actor(view), view.at)
        events = members.change_level(
            view.staff(self.staff), self.staff, level=self.level, act=view.act
        )
        view.record("staff", self.staff, events)


@final
class ChangeStaffRoles(StaffCommand, frozen=True, kw_only=True):
    """Let the roles be exactly these."""

    roles: tuple[str, ...]

    def decide(self, view: View) -> None:
        require_administrator(actor(view), view.at)
        events = members.change_roles(
            view.staff(self.staff), self.staff, roles=self.roles, act=view.act
        )
        view.record("staff", self.staff, events)


@final
class AssignCustomers(StaffCommand, frozen=True, kw_only=True):
    """Let the customers assigned be exactly these."""

    customers: tuple[str, ...]

    def decide(self, view: View) -> None:
        require_administrator(actor(view), view.at)
        member = view.staff(self.staff)
        known = () if member is None else member.customers
        _require_customers(view, tuple(one for one in self.customers if one not in known))
        events = members.assign_customers(
            member, self.staff, customers=self.customers, act=view.act
        )
        view.record("staff", self.staff, events)


def _require_customers(view: View, customers: tuple[str, ...]) -> None:
    members.require_assignable(customers)
    for customer in customers:
        if view.customer(customer) is None:
            raise Refused("customer.unknown", customer=customer)


@final
class ChangeTeam(StaffCommand, frozen=True, kw_only=True):
    """Let them belong to this team from now on, a path of the catalogue's dimension `team`; None:
    to none.
    """

    team: str | None

    def decide(self, view: View) -> None:
        require_administrator(actor(view), view.at)
        member = view.staff(self.staff)
        events = members.change_team(member, self.staff, team=self.team, act=view.act)
        if events:
            _require_team(view, self.team)
        view.record("staff", self.staff, events)


def _require_team(view: View, team: str | None) -> None:
    if team is not None:
        require_team(view.catalogue(), team, view.at)


@final
class SetDeputy(StaffCommand, frozen=True, kw_only=True):
    """Let another staff member act on this one's behalf until `until`, from now unless said."""

    deputy: str
    from_: Instant | None = None
    until: Instant

    def hints(self) -> tuple[tuple[str, str], ...]:
        return (("staff", self.staff), ("staff", self.deputy))

    def decide(self, view: View) -> None:
        _require_administrator_or_self(actor(view), self.staff, view.at)
        begin = view.at if self.from_ is None else self.from_
        events = deputies.set_deputy(
            view.staff(self.staff),
            self.staff,
            deputy=Deputy(self.deputy, begin, self.until),
            line=_line_of_deputies(view, self.deputy),
            same=view.same_person,
            act=view.act,
        )
        view.record("staff", self.staff, events)


def _line_of_deputies(view: View, first: str) -> dict[str, Staff]:
    """Return the deputy and those their own deputies lead to, by id; each one is a read."""
    line: dict[str, Staff] = {}
    following = first
    while following not in line:
        member = view.staff(following)
        if member is None:
            break
        if len(line) >= MAX_DEPUTY_STEPS:
            raise Refused("staff.deputy_line_too_long", limit=MAX_DEPUTY_STEPS)
        line[following] = member
        if member.deputy is None or member.deputy.until <= view.at:
            break
        following = member.deputy.staff
    return line


@final
class EndDeputy(StaffCommand, frozen=True, kw_only=True):
    """Let nobody act on this one's behalf."""

    def decide(self, view: View) -> None:
        _require_administrator_or_self(actor(view), self.staff, view.at)
        events = deputies.end_deputy(view.staff(self.staff), self.staff, act=view.act)
        view.record("staff", self.staff, events)


@final
class HandOver(StaffCommand, frozen=True, kw_only=True):
    """Hand the customers assigned (or those named) to another staff member; writes both streams."""

    to: str
    customers: tuple[str, ...] | None = None

    def hints(self) -> tuple[tuple[str, str], ...]:
        return (("staff", self.staff), ("staff", self.to))

    def decide(self, view: View) -> None:
        _require_administrator_or_self(actor(view), self.staff, view.at)
        handed, received = members.hand_over(
            view.staff(self.staff),
            self.staff,
            to_id=self.to,
            to=view.staff(self.to),
            customers=self.customers,
            act=view.act,
        )
        view.record("staff", self.staff, handed)
        view.record("staff", self.to, received)


@final
class DeactivateStaff(StaffCommand, frozen=True, kw_only=True):
    """End the work here at once."""

    def decide(self, view: View) -> None:
        require_administrator(actor(view), view.at)
        events = members.deactivate(view.staff(self.staff), self.staff, act=view.act)
        view.record("staff", self.staff, events)
