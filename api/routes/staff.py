"""Commands on staff: who works here, in which roles, for which customers, and who stands in."""

from __future__ import annotations

from typing import Annotated, Any, Final, Literal

import msgspec

from api.edge import Edge
from api.routes.commands import CommandOperation, Made
from api.routes.operations import Call
from api.shapes import Code, Deed, Id, Path, When
from domain.commands import staff as commands
from domain.values import Instant

Roles = Annotated[
    tuple[
        Literal[
            "requester",
            "verifier",
            "approver",
            "reviewer",
            "compliance",
            "auditor",
            "privacy_officer",
            "administrator",
        ],
        ...,
    ],
    msgspec.Meta(max_length=8),
]
Customers = Annotated[tuple[Id, ...], msgspec.Meta(max_length=1000)]

EXAMPLE_ID: Final = "01900000-0000-7000-8000-000000000000"


class AppointmentGiven(Deed, frozen=True, kw_only=True):
    """Who is appointed; `number` is the staff number (工号), never a name."""

    person: Id
    number: Code
    level: Code
    roles: Roles
    customers: Customers = ()
    team: Path | None = None


class LevelGiven(Deed, frozen=True, kw_only=True):
    """Another level."""

    level: Code


class RolesGiven(Deed, frozen=True, kw_only=True):
    """The roles from now on, exactly these."""

    roles: Roles


class CustomersGiven(Deed, frozen=True, kw_only=True):
    """The customers assigned from now on, exactly these."""

    customers: Customers


class TeamGiven(Deed, frozen=True, kw_only=True):
    """The team from now on, a path of the catalogue's dimension `team`; null: none."""

    team: Path | None


class DeputyGiven(Deed, frozen=True, kw_only=True):
    """Who stands in during `[from, until)`; from now where nothing is said."""

    deputy: Id
    from_: When | None = None
    until: When


class HandOverGiven(Deed, frozen=True, kw_only=True):
    """To whom the customers go: those named, or all."""

    to: Id
    customers: Customers | None = None


def _appoint(edge: Edge, body: AppointmentGiven, staff: str) -> Made:
    command = commands.AppointStaff(
        staff=staff,
        person=body.person,
        number=body.number,
        number_claim=edge.hash(commands.NUMBER_CLAIM, body.number),
        level=body.level,
        roles=body.roles,
        customers=body.customers,
        team=body.team,
    )
    return Made(command, edge.subject("person", body.person))


def _appoint_new(edge: Edge, _call: Call, body: AppointmentGiven, _at: Instant | None) -> Made:
    return _appoint(edge, body, edge.new_id())


def _appoint_again(edge: Edge, call: Call, body: AppointmentGiven, _at: Instant | None) -> Made:
    return _appoint(edge, body, call.id("id", "staff"))


def _level(_edge: Edge, call: Call, body: LevelGiven, _at: Instant | None) -> Made:
    return Made(commands.ChangeStaffLevel(staff=call.id("id", "staff"), level=body.level))


def _roles(_edge: Edge, call: Call, body: RolesGiven, _at: Instant | None) -> Made:
    return Made(commands.ChangeStaffRoles(staff=call.id("id", "staff"), roles=body.roles))


def _assign(_edge: Edge, call: Call, body: CustomersGiven, _at: Instant | None) -> Made:
    return Made(commands.AssignCustomers(staff=call.id("id", "staff"), customers=body.customers))


def _team(_edge: Edge, call: Call, body: TeamGiven, _at: Instant | None) -> Made:
    return Made(commands.ChangeTeam(staff=call.id("id", "staff"), team=body.team))


def _deputy(_edge: Edge, call: Call, body: DeputyGiven, _at: Instant | None) -> Made:
    staff = call.id("id", "staff")
    return Made(
        commands.SetDeputy(staff=staff, deputy=body.deputy, from_=body.from_, until=body.until)
    )


def _end_deputy(_edge: Edge, call: Call, _body: Any, _at: Instant | None) -> Made:
    return Made(commands.EndDeputy(staff=call.id("id", "staff")))


def _hand_over(_edge: Edge, call: Call, body: HandOverGiven, _at: Instant | None) -> Made:
    staff = call.id("id", "staff")
    return Made(commands.HandOver(staff=staff, to=body.to, customers=body.customers))


def _deactivate(_edge: Edge, call: Call, _body: Any, _at: Instant | None) -> Made:
    return Made(commands.DeactivateStaff(staff=call.id("id", "staff")))


APPOINTMENT: Final = {
    "person": EXAMPLE_ID,
    "number": "A-1042",
    "level": "senior",
    "roles": ["verifier"],
}

OPERATIONS: Final = (
    CommandOperation(
        name="staff.appoint",
        path="/v1/staff",
        scope="staff",
        summary="Appoint a person as staff",
        summary_zh="任命员工",
        kind="staff",
        body=AppointmentGiven,
        created=True,
        location="/v1/staff/{id}",
        make=_appoint_new,
        example=APPOINTMENT,
    ),
    CommandOperation(
        name="staff.appoint_again",
        path="/v1/staff/{id}/appointment",
        scope="staff",
        summary="Appoint someone who left again",
        summary_zh="重新任命离职员工",
        kind="staff",
        body=AppointmentGiven,
        make=_appoint_again,
        example=APPOINTMENT,
    ),
    CommandOperation(
        name="staff.change_level",
        path="/v1/staff/{id}/level",
        scope="staff",
        summary="Give another level",
        summary_zh="变更职级",
        kind="staff",
        body=LevelGiven,
        make=_level,
        example={"level": "senior"},
    ),
    CommandOperation(
        name="staff.change_roles",
        path="/v1/staff/{id}/roles",
        scope="staff",
        summary="Let the roles be exactly these",
        summary_zh="设定角色",
        kind="staff",
        body=RolesGiven,
        make=_roles,
        example={"roles": ["verifier", "approver"]},
    ),
    CommandOperation(
        name="staff.assign_customers",
        path="/v1/staff/{id}/assignments",
        scope="staff",
        summary="Let the customers assigned be exactly these",
        summary_zh="设定负责的客户",
        kind="staff",
        body=CustomersGiven,
        make=_assign,
        example={"customers": [EXAMPLE_ID]},
    ),
    CommandOperation(
        name="staff.change_team",
        path="/v1/staff/{id}/team",
        scope="staff",
        summary="Let someone belong to another team, or to none",
        summary_zh="变更所属团队",
        kind="staff",
        body=TeamGiven,
        make=_team,
        example={"team": "sales/east"},
    ),
    CommandOperation(
        name="staff.set_deputy",
        path="/v1/staff/{id}/deputy",
        scope="staff",
        summary="Let another staff member act on this one's behalf for a time",
        summary_zh="设定代理人及期限",
        kind="staff",
        body=DeputyGiven,
        make=_deputy,
        example={"deputy": EXAMPLE_ID, "until": "2026-12-01T00:00:00Z"},
    ),
    CommandOperation(
        name="staff.end_deputy",
        path="/v1/staff/{id}/deputy/end",
        scope="staff",
        summary="Let nobody act on this one's behalf",
        summary_zh="结束代理",
        kind="staff",
        make=_end_deputy,
        example={},
    ),
    CommandOperation(
        name="staff.hand_over",
        path="/v1/staff/{id}/handover",
        scope="staff",
        summary="Hand customers over to another staff member",
        summary_zh="移交客户",
        kind="staff",
        body=HandOverGiven,
        make=_hand_over,
        example={"to": EXAMPLE_ID},
    ),
    CommandOperation(
        name="staff.deactivate",
        path="/v1/staff/{id}/deactivation",
        scope="staff",
        summary="End someone's work here at once",
        summary_zh="立即停用员工",
        kind="staff",
        make=_deactivate,
        example={"reason": {"code": "left"}},
    ),
)
