"""Staff: standing, deputies, customers handed over, claims."""

from datetime import timedelta

import pytest
from msgspec.structs import replace

from domain import intervals
from domain import staff as members
from domain.commands.staff import (
    MAX_DEPUTY_STEPS,
    AppointStaff,
    AssignCustomers,
    DeactivateStaff,
    EndDeputy,
    HandOver,
    SetDeputy,
)
from domain.errors import Impossible
from domain.events.staff import (
    StaffAppointed,
    StaffAssignmentsChanged,
    StaffDeactivated,
    StaffDeputyEnded,
    StaffHandedOver,
    StaffLevelChanged,
)
from domain.sealing import Sealed
from domain.staff import Deputy, Staff, StaffEvent
from domain.values import Evidence, Imported, Instant, Reason
from domain.view import Claim
from tests.support.given import (
    NOW,
    OPERATOR,
    World,
    customer,
    days,
    deputy_set,
    given,
    person,
    staff,
    staff_party,
)

ADA = staff("ada", "administrator")


def appoint(roles: tuple[str, ...] = ("verifier",), **more: object) -> AppointStaff:
    plain = {
        "staff": "eve",
        "person": "person-eve",
        "number": "E1",
        "number_claim": b"hash",
        "level": "junior",
        "roles": roles,
    }
    return AppointStaff(**{**plain, **more})  # pyright: ignore[reportArgumentType]


def deputise(
    principal: str, deputy: str, from_: Instant | None = None, until: Instant | None = None
) -> SetDeputy:
    return SetDeputy(staff=principal, deputy=deputy, from_=from_, until=until or NOW + days(9))


def test_an_appointment_claims_the_number_and_writes_what_is_a_set_sorted_and_once() -> None:
    world = given(ADA, person("eve"))
    outcome = world.when(appoint(("verifier", "approver", "verifier")), "ada")
    outcome.then("staff.appointed.1")
    assert outcome.world.state("eve").roles == ("approver", "verifier")
    assert outcome.view.claims == [Claim("staff_number", b"hash", "eve")]


def test_a_tenants_first_administrator_is_appointed_by_the_operator() -> None:
    world = given(person("eve")).when(appoint(("administrator",)), OPERATOR)
    world = world.then("staff.appointed.1")
    world.when(DeactivateStaff(staff="eve"), OPERATOR).then_refused("role.missing")
    world.when(DeactivateStaff(staff="eve"), "eve").then("staff.deactivated.1")


def test_only_registered_persons_and_known_customers_are_named() -> None:
    given(ADA).when(appoint(), "ada").then_refused("person.unknown")
    named = appoint(customers=("nowhere",))
    given(ADA, person("eve")).when(named, "ada").then_refused("customer.unknown")
    assign = AssignCustomers(staff="ada", customers=("nowhere",))
    given(ADA).when(assign, "ada").then_refused("customer.unknown")


def test_a_staff_number_and_a_level_are_codes() -> None:
    world = given(ADA, person("eve"))
    world.when(appoint(number="E 1"), "ada").then_refused("code.malformed", field="number")
    world.when(appoint(level="E/1"), "ada").then_refused("code.malformed", field="level")


def test_there_is_a_limit_to_the_customers_assigned(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(members, "MAX_ASSIGNED", 1)
    world = given(ADA, person("eve"), customer("a"), customer("b"))
    wanted = appoint(customers=("a", "b"))
    world.when(wanted, "ada").then_refused("staff.too_many_customers", limit=1)
    world.when(appoint(customers=("a", "a")), "ada").then("staff.appointed.1")


def test_standing_is_from_the_appointment_to_the_deactivation_and_again() -> None:
    world = given(ADA, person("eve")).when(appoint(), "ada").world
    world = world.when(DeactivateStaff(staff="eve"), "ada", at=NOW + days(3)).world
    world = world.when(appoint(), "ada", at=NOW + days(5)).world
    found = members.standing(world.state("eve"))
    assert found == ((NOW, NOW + days(3)), (NOW + days(5), None))


def test_at_the_instant_of_the_deactivation_they_stand_no_more() -> None:
    world = given(ADA, staff("eve", "verifier")).when(DeactivateStaff(staff="eve"), "ada").world
    found = members.standing(world.state("eve"))
    assert not intervals.contains(found, NOW)
    assert intervals.contains(found, NOW - timedelta(microseconds=1))


# --- deputies -------------------------------------------------------------------------------------

OFFICE = given(ADA, staff("ann"), staff("bob"), staff("cat"))


def line(world: World, *links: tuple[str, str]) -> World:
    for principal, deputy in links:
        world = world.when(deputise(principal, deputy), "ada").then("staff.deputy_set.1")
    return world


def test_a_deputy_is_set_from_now_on_and_replaced() -> None:
    world = line(OFFICE, ("ann", "bob"), ("ann", "cat"))
    deputy = members.deputy_at(world.state("ann"), NOW)
    assert deputy is not None
    assert (deputy.staff, deputy.from_, deputy.until) == ("cat", NOW, NOW + days(9))
    assert members.deputy_at(world.state("ann"), NOW + days(9)) is None


def test_a_deputy_who_was_ended_is_none_from_then_on() -> None:
    then = (deputy_set("bob"), StaffDeputyEnded(at=NOW, by=staff_party("ann")))
    world = given(staff("bob"), staff("ann", then=then))
    assert members.deputy_at(world.state("ann"), NOW + days(0.1)) is None


def test_deputies_make_no_circle_however_long() -> None:
    world = line(OFFICE, ("ann", "bob"), ("bob", "cat"))
    world.when(deputise("cat", "ann"), "ada").then_refused("staff.deputy_circle")
    world.when(deputise("cat", "ada"), "ada").then("staff.deputy_set.1")


def test_two_who_stand_in_for_each_other_at_different_times_are_no_circle() -> None:
    world = OFFICE.when(deputise("ann", "bob", until=NOW + days(1)), "ada").world
    after = deputise("bob", "ann", from_=NOW + days(1))
    world.when(after, "ada").then("staff.deputy_set.1")
    overlapping = deputise("bob", "ann", from_=NOW + days(1) - timedelta(microseconds=1))
    world.when(overlapping, "ada").then_refused("staff.deputy_circle")


def test_a_line_of_deputies_has_an_end() -> None:
    words = [f"s{n}" for n in range(MAX_DEPUTY_STEPS + 2)]
    long = given(
        ADA,
        *(
            staff(one, then=[deputy_set(other, until=NOW + days(5))])
            for one, other in zip(words[1:], [*words[2:], "ada"], strict=True)
        ),
        staff("s0"),
    )
    long.when(deputise("s0", "s1"), "ada").then_refused("staff.deputy_line_too_long")
    long.when(deputise("s0", "s4"), "ada").then("staff.deputy_set.1")


@pytest.mark.parametrize(
    ("command", "code"),
    [
        (deputise("ann", "nobody"), "staff.deputy_unknown"),
        (deputise("ann", "ann"), "staff.deputy_self"),
        (deputise("ann", "bob", until=NOW), "staff.term_empty"),
        (deputise("ann", "bob", from_=NOW - days(1)), "staff.deputy_from_past"),
    ],
)
def test_a_deputy_is_somebody_else_for_some_time_to_come(command: SetDeputy, code: str) -> None:
    OFFICE.when(command, "ada").then_refused(code)


def test_a_deputy_neither_sets_nor_ends_a_deputy_for_whom_they_act() -> None:
    world = line(OFFICE, ("ann", "bob"))
    for command in (deputise("ann", "cat"), EndDeputy(staff="ann")):
        world.when(command, "bob", on_behalf_of="ann").then_refused("role.missing")
        assert world.when(command, "ann").refused is None


def test_a_deactivation_ends_the_deputy() -> None:
    world = line(OFFICE, ("ann", "bob"))
    world = world.when(DeactivateStaff(staff="ann"), "ada").then("staff.deactivated.1")
    assert world.state("ann").deputy is None


# --- handing over ---------------------------------------------------------------------------------

BUSY = given(
    ADA,
    staff("ann", customers=("a", "b")),
    staff("bob", customers=("b", "c")),
    *(customer(one) for one in ("a", "b", "c")),
)


def test_handing_over_moves_the_customers_in_both_streams() -> None:
    world = BUSY.when(HandOver(staff="ann", to="bob"), "ann").then(
        "staff.handed_over.1", "staff.assignments_changed.1"
    )
    assert world.state("ann").customers == ()
    assert world.state("bob").customers == ("a", "b", "c")
    world.when(HandOver(staff="ann", to="bob"), "ann").then_nothing()


def test_what_was_said_is_sealed_for_one_stream_and_not_repeated_in_the_other() -> None:
    said = Sealed("subject", "key", b"box")
    done = BUSY.when(
        HandOver(staff="ann", to="bob"),
        "ann",
        reason=Reason("moving", said),
        evidence=(Evidence("contract", file="f", place=said),),
    )
    here, there = [new.event for new in done.view.events]
    assert (here.reason, here.evidence[0].place) == (Reason("moving", said), said)
    assert there.reason == Reason("moving")
    assert there.evidence == (Evidence("contract", file="f"),)


def test_named_customers_are_handed_over_and_the_others_stay() -> None:
    some = HandOver(staff="ann", to="bob", customers=("a",))
    world = BUSY.when(some, "ada").then("staff.handed_over.1", "staff.assignments_changed.1")
    assert world.state("ann").customers == ("b",)
    world.when(some, "ada").then_nothing()


def test_what_the_other_already_has_is_only_taken_away_here() -> None:
    BUSY.when(HandOver(staff="ann", to="bob", customers=("b",)), "ada").then("staff.handed_over.1")


def test_nobody_hands_over_to_themselves_or_for_a_colleague() -> None:
    BUSY.when(HandOver(staff="ann", to="ann"), "ada").then_refused("staff.hand_over_self")
    BUSY.when(HandOver(staff="ann", to="bob"), "bob").then_refused("role.missing")


# --- old records ----------------------------------------------------------------------------------

BY = staff_party("ada")
FROM_BEFORE = Imported("old.csv", 1)


@pytest.mark.parametrize("fold_from", [None, Staff(), Staff(status="appointed")])
def test_a_deputy_who_was_never_set_cannot_end(fold_from: Staff | None) -> None:
    with pytest.raises(Impossible):
        members.evolve(fold_from, StaffDeputyEnded(at=NOW, by=BY))


OF_NOBODY = [
    StaffLevelChanged(at=NOW, by=BY, level="x"),
    StaffAssignmentsChanged(at=NOW, by=BY, customers=("a",)),
    StaffHandedOver(at=NOW, by=BY, to="bob", customers=("a",)),
    StaffDeactivated(at=NOW, by=BY),
]


@pytest.mark.parametrize("event", OF_NOBODY)
def test_changes_of_who_never_came_are_impossible_and_irregular_when_imported(
    event: StaffEvent,
) -> None:
    with pytest.raises(Impossible):
        members.evolve(None, event)
    state = members.evolve(None, replace(event, imported=FROM_BEFORE))
    assert state.irregular
    assert members.standing(state) == ()


@pytest.mark.parametrize("event", OF_NOBODY)
def test_no_verb_changes_who_left_but_their_customers_are_handed_over(event: StaffEvent) -> None:
    left = Staff(status="deactivated", customers=("a",), deputy=Deputy("bob", NOW, NOW + days(1)))
    if isinstance(event, StaffHandedOver):
        assert members.evolve(left, event).customers == ()
        return
    for changed in (event, StaffDeputyEnded(at=NOW, by=BY)):
        with pytest.raises(Impossible):
            members.evolve(left, changed)


def test_nobody_is_appointed_twice() -> None:
    again = StaffAppointed(at=NOW, by=BY, person="p", number="1", level="x", roles=())
    with pytest.raises(Impossible):
        members.evolve(Staff(status="appointed"), again)


def test_old_records_in_the_wrong_order_still_say_when_someone_stood() -> None:
    left = StaffDeactivated(at=NOW - days(5), by=BY, imported=FROM_BEFORE)
    came = StaffAppointed(
        at=NOW - days(9),
        by=BY,
        person="p",
        number="1",
        level="x",
        roles=(),
        imported=FROM_BEFORE,
    )
    state = members.evolve(members.evolve(None, left), came)
    assert state.irregular
    assert state.active
    assert members.standing(state) == ((NOW - days(9), None),)
    again = members.evolve(state, left)
    assert members.standing(again) == ((NOW - days(9), NOW - days(5)),)
