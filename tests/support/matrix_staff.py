"""Rows and states of the staff's matrix: `eve` is the one things are done with."""

from __future__ import annotations

from domain.commands.staff import (
    AppointStaff,
    AssignCustomers,
    ChangeStaffLevel,
    ChangeStaffRoles,
    ChangeTeam,
    DeactivateStaff,
    EndDeputy,
    HandOver,
    SetDeputy,
)
from domain.events.staff import StaffDeactivated, StaffTeamChanged
from domain.view import Command
from tests.support.given import (
    NOW,
    OPERATOR,
    Fact,
    World,
    customer,
    days,
    deputy_set,
    person,
    staff,
    team,
)
from tests.support.matrix import Matrix, Row

AROUND: tuple[Fact, ...] = (
    person("eve"),
    person("eva", merged_into="eve"),
    person("zoe"),
    staff("ada", "administrator"),
    staff("bob", "verifier"),
    staff("dan", "verifier", then=(deputy_set("eve"),)),
    staff("eva", "verifier"),
    staff("gus", "verifier", then=(StaffDeactivated(at=NOW - days(1), by=OPERATOR),)),
    customer("acme"),
    customer("other"),
    team("sales", "sales/east"),
)
LEFT = StaffDeactivated(at=NOW - days(2), by=OPERATOR)


def _eve(*then: StaffDeactivated) -> tuple[Fact, ...]:
    return (*AROUND, staff("eve", "verifier", customers=("acme",), then=then))


STATES = {"none": AROUND, "appointed": _eve(), "deactivated": _eve(LEFT)}


def _appoint(person_id: str, level: str) -> AppointStaff:
    return AppointStaff(
        staff="eve",
        person=person_id,
        number="eve",
        number_claim=b"n",
        level=level,
        roles=("verifier",),
        customers=("acme",),
    )


def _deputy(deputy: str) -> SetDeputy:
    return SetDeputy(staff="eve", deputy=deputy, until=NOW + days(1))


ROWS = {
    "appoint": Row(_appoint("person-eve", "junior"), "ada"),
    "appoint by the operator": Row(_appoint("person-eve", "junior"), OPERATOR),
    "appoint exactly so": Row(_appoint("person-eve", "senior"), "ada"),
    "appoint another person": Row(_appoint("person-zoe", "senior"), "ada"),
    "appoint a person who was merged": Row(_appoint("person-eva", "senior"), "ada"),
    "appoint by no administrator": Row(_appoint("person-eve", "junior"), "bob"),
    "change the level": Row(ChangeStaffLevel(staff="eve", level="junior"), "ada"),
    "change the level to the same": Row(ChangeStaffLevel(staff="eve", level="senior"), "ada"),
    "change the roles": Row(ChangeStaffRoles(staff="eve", roles=("approver",)), "ada"),
    "change the roles to the same": Row(ChangeStaffRoles(staff="eve", roles=("verifier",)), "ada"),
    "change the roles to an unknown one": Row(
        ChangeStaffRoles(staff="eve", roles=("king",)), "ada"
    ),
    "change the team": Row(ChangeTeam(staff="eve", team="sales"), "ada"),
    "change the team to the same": Row(
        ChangeTeam(staff="eve", team="sales"),
        "ada",
        before=(StaffTeamChanged(at=NOW - days(1), by=OPERATOR, team="sales"),),
    ),
    "change the team to none": Row(
        ChangeTeam(staff="eve", team=None),
        "ada",
        before=(StaffTeamChanged(at=NOW - days(1), by=OPERATOR, team="sales"),),
    ),
    "change the team to an unknown one": Row(ChangeTeam(staff="eve", team="kings"), "ada"),
    "change the team by no administrator": Row(ChangeTeam(staff="eve", team="sales"), "bob"),
    "assign customers": Row(AssignCustomers(staff="eve", customers=("other",)), "ada"),
    "assign the same customers": Row(AssignCustomers(staff="eve", customers=("acme",)), "ada"),
    "set a deputy": Row(_deputy("bob"), "ada"),
    "set a deputy oneself": Row(_deputy("bob"), "eve"),
    "set a deputy by a colleague": Row(_deputy("bob"), "dan"),
    "set a deputy who has set this one": Row(_deputy("dan"), "ada"),
    "set a deputy who is the same person": Row(_deputy("eva"), "ada"),
    "set a deputy who left": Row(_deputy("gus"), "ada"),
    "set the deputy there is": Row(
        SetDeputy(staff="eve", deputy="bob", from_=NOW - days(1), until=NOW + days(1)),
        "ada",
        before=(deputy_set("bob"),),
    ),
    "end the deputy": Row(EndDeputy(staff="eve"), "ada", before=(deputy_set("bob"),)),
    "end a deputy where there is none": Row(EndDeputy(staff="eve"), "ada"),
    "hand over": Row(HandOver(staff="eve", to="bob"), "ada"),
    "hand over what is not assigned": Row(
        HandOver(staff="eve", to="bob", customers=("other",)), "ada"
    ),
    "hand over to one who left": Row(HandOver(staff="eve", to="gus"), "ada"),
    "deactivate": Row(DeactivateStaff(staff="eve"), "ada"),
}


def _state_of(world: World, _command: Command) -> str:
    return world.state("eve").status


STAFF = Matrix("staff", "staff", "eve", STATES, ROWS, _state_of, frozenset({"none", "deactivated"}))
