"""Whose hands act, whose rights they use, and what they may not do because of it."""

import pytest

from domain.customers import Customer
from domain.duties import (
    Actor,
    actor,
    grantees,
    has_role,
    is_fresh,
    may_act_for,
    persons_of,
    receives,
    require_administrator_or_operator,
    require_any_role,
    require_fresh,
    require_member,
    require_not_receiving,
    require_role,
    require_standing,
    require_timekeeper,
)
from domain.errors import Refused
from domain.events.customer import CustomerMerged, CustomerMergeProposed
from domain.events.staff import StaffDeactivated
from domain.staff import Staff
from domain.values import TIMEKEEPER, Party
from domain.view import Circumstances, View
from tests.support.given import (
    NOW,
    OPERATOR,
    TENANT,
    World,
    customer,
    days,
    deputy_set,
    given,
    member_added,
    member_party,
    person,
    registered,
    staff,
    staff_party,
)

LEFT = StaffDeactivated(at=NOW - days(1), by=OPERATOR)


def view_of(world: World, by: Party, on_behalf_of: Party | None = None) -> View:
    return View(world.look, Circumstances(TENANT, NOW, "command", by, on_behalf_of))


def acting(world: World, by: str | Party, on_behalf_of: str | Party | None = None) -> Actor:
    party = staff_party(by) if isinstance(by, str) else by
    other = staff_party(on_behalf_of) if isinstance(on_behalf_of, str) else on_behalf_of
    return actor(view_of(world, party, other))


def refusal(world: World, by: str | Party, on_behalf_of: str | Party | None = None) -> str:
    with pytest.raises(Refused) as refused:
        acting(world, by, on_behalf_of)
    return refused.value.code


def plain(person_id: str) -> str:
    return person_id


OFFICE = given(
    staff("ann", "approver", then=[deputy_set("bob")]),
    staff("bob", "verifier", then=[deputy_set("cat")]),
    staff("cat", "reviewer"),
    staff("eve", "approver", then=[deputy_set("bob", from_=NOW + days(1), until=NOW + days(2))]),
    staff("fay", "approver", then=[deputy_set("bob", until=NOW)]),
    staff("gus", "approver", then=[LEFT]),
    staff("hal", "approver", then=[deputy_set("gus")]),
    customer("acme", registered(), member_added("mia", "sign"), member_added("old", until=NOW)),
)


def test_a_staff_member_uses_their_own_rights() -> None:
    ann = acting(OFFICE, "ann")
    assert persons_of(ann) == {"person-ann"}
    assert has_role(ann, "approver", NOW)
    assert not has_role(ann, "verifier", NOW)


def test_a_deputy_uses_the_rights_of_the_principal_and_both_are_hands() -> None:
    bob = acting(OFFICE, "bob", on_behalf_of="ann")
    assert has_role(bob, "approver", NOW)
    assert not has_role(bob, "verifier", NOW)
    assert bob.staff_id == "ann"
    assert persons_of(bob) == {"person-ann", "person-bob"}


def test_nobody_acts_for_who_has_not_set_them_as_deputy() -> None:
    assert refusal(OFFICE, "cat", on_behalf_of="ann") == "actor.not_deputy"


def test_a_deputy_does_not_pass_on_what_they_were_lent() -> None:
    cat = acting(OFFICE, "cat", on_behalf_of="bob")
    assert has_role(cat, "verifier", NOW)
    assert not has_role(cat, "approver", NOW)


@pytest.mark.parametrize("principal", ["eve", "fay"])
def test_a_deputy_acts_only_during_the_time_that_was_set(principal: str) -> None:
    assert refusal(OFFICE, "bob", on_behalf_of=principal) == "actor.not_deputy"


def test_who_left_acts_neither_for_themselves_nor_for_others_nor_through_others() -> None:
    assert refusal(OFFICE, "gus") == "actor.not_in_standing"
    assert refusal(OFFICE, "gus", on_behalf_of="hal") == "actor.not_in_standing"
    left = given(staff("ann", "approver", then=[deputy_set("bob"), LEFT]), staff("bob"))
    assert refusal(left, "bob", on_behalf_of="ann") == "actor.not_in_standing"


@pytest.mark.parametrize(
    "contradicting",
    [
        Staff(status="deactivated", roles=("approver",), appointed=((NOW - days(9), None),)),
        Staff(status="appointed", roles=("approver",), appointed=((NOW - days(9), NOW),)),
        Staff(status="appointed", roles=("approver",), appointed=()),
    ],
)
def test_whose_old_records_contradict_each_other_does_not_stand(contradicting: Staff) -> None:
    party = staff_party("ann")
    with pytest.raises(Refused, match=r"actor\.not_in_standing"):
        require_standing(contradicting, party, NOW)
    ann = Actor(party, "person-ann", staff_id="ann", staff=contradicting)
    assert not has_role(ann, "approver", NOW)


def test_staff_act_for_no_customer_and_services_and_members_for_nobody_else() -> None:
    acme, ann = member_party("acme", "mia"), staff_party("ann")
    assert refusal(OFFICE, "ann", on_behalf_of=acme) == "actor.on_behalf_refused"
    assert refusal(OFFICE, acme, on_behalf_of=ann) == "actor.on_behalf_refused"
    assert refusal(OFFICE, Party("service:crm"), on_behalf_of=ann) == "actor.on_behalf_refused"


def test_a_party_nobody_knows_is_no_actor() -> None:
    assert refusal(OFFICE, "nobody") == "actor.unknown"
    assert refusal(OFFICE, member_party("nowhere", "mia")) == "actor.unknown"
    assert refusal(OFFICE, Party("robot:r2")) == "actor.unknown"


def test_a_staff_party_names_its_own_person() -> None:
    assert refusal(OFFICE, Party("staff:ann")) == "actor.person_missing"
    assert refusal(OFFICE, Party("customer:acme")) == "actor.person_missing"
    assert refusal(OFFICE, Party("staff:ann", "person-bob")) == "actor.person_mismatch"


def test_a_person_who_was_merged_is_the_one_they_turned_out_to_be() -> None:
    world = given(staff("ann", "approver"), person("ann", merged_into="anna"), person("anna"))
    assert persons_of(acting(world, "ann")) == {"person-anna"}
    assert persons_of(acting(world, Party("staff:ann", "person-anna"))) == {"person-anna"}


def test_a_service_acts_as_itself_and_has_no_role() -> None:
    crm = acting(OFFICE, Party("service:crm"))
    assert persons_of(crm) == frozenset()
    with pytest.raises(Refused, match=r"role\.missing"):
        require_role(crm, "approver", NOW)
    with pytest.raises(Refused, match=r"actor\.person_missing"):
        require_fresh(crm, (), plain)


def test_one_role_of_several_is_enough_and_none_is_not() -> None:
    ann = acting(OFFICE, "ann")
    require_any_role(ann, ("verifier", "approver"), NOW)
    with pytest.raises(Refused, match=r"role\.missing"):
        require_any_role(ann, ("verifier", "compliance"), NOW)


def test_a_role_counts_only_while_in_standing() -> None:
    ann = acting(OFFICE, "ann")
    assert has_role(ann, "approver", NOW - days(400))
    assert not has_role(ann, "approver", NOW - days(401))


def test_only_the_operator_itself_stands_in_for_an_administrator() -> None:
    require_administrator_or_operator(acting(OFFICE, OPERATOR), NOW)
    for party in (Party("service:crm"), TIMEKEEPER, staff_party("ann")):
        with pytest.raises(Refused, match=r"role\.missing"):
            require_administrator_or_operator(acting(OFFICE, party), NOW)


def test_only_the_timekeeper_records_what_the_clock_did() -> None:
    require_timekeeper(acting(OFFICE, TIMEKEEPER))
    for party in (OPERATOR, staff_party("ann")):
        with pytest.raises(Refused, match=r"role\.missing"):
            require_timekeeper(acting(OFFICE, party))


def test_a_member_acts_for_their_customer_in_the_stated_acts_only() -> None:
    mia = acting(OFFICE, member_party("acme", "mia"))
    require_member(mia, "acme", "sign", NOW, plain)
    for customer_id, act in (("acme", "request"), ("other", "sign")):
        with pytest.raises(Refused, match=r"member\.missing"):
            require_member(mia, customer_id, act, NOW, plain)
    with pytest.raises(Refused, match=r"member\.missing"):
        require_member(acting(OFFICE, "ann"), "acme", "sign", NOW, plain)


def test_a_membership_that_is_over_is_none() -> None:
    acme: Customer = OFFICE.state("acme")
    assert may_act_for("person-old", acme, "request", NOW - days(1), plain)
    assert not may_act_for("person-old", acme, "request", NOW, plain)


def test_hands_are_compared_by_who_people_turned_out_to_be() -> None:
    def same(person_id: str) -> str:
        return {"person-bob": "person-robert"}.get(person_id, person_id)

    assert is_fresh({"person-ann"}, {"person-bob"}, same)
    assert not is_fresh({"person-robert"}, {"person-bob"}, same)
    assert not is_fresh({"person-bob"}, {"person-robert"}, same)
    bob = acting(OFFICE, "bob", on_behalf_of="ann")
    for hand in ("person-robert", "person-ann"):
        with pytest.raises(Refused, match=r"duties\.not_separate"):
            require_fresh(bob, {hand}, same)
    require_fresh(bob, {"person-cat"}, same)


def test_who_receives_does_not_decide() -> None:
    acme, eve = OFFICE.state("acme"), OFFICE.state("eve")
    assert receives({"person-mia"}, acme, NOW, plain)
    assert not receives({"person-old"}, acme, NOW, plain)
    assert receives({"person-eve"}, eve, NOW, plain)
    ann = acting(OFFICE, "ann")
    require_not_receiving(ann, (acme, eve), NOW, plain)
    with pytest.raises(Refused, match=r"duties\.receives"):
        require_not_receiving(ann, (acme, OFFICE.state("ann")), NOW, plain)


def test_a_grantee_merged_away_receives_as_all_it_was_merged_into() -> None:
    by, at = staff_party("ann"), NOW - days(1)

    def merge(into: str) -> tuple[CustomerMergeProposed, CustomerMerged]:
        return CustomerMergeProposed(at=at, by=by, into=into), CustomerMerged(
            at=at, by=staff_party("bob"), into=into
        )

    world = given(
        customer("a", registered(), *merge("b")),
        customer("b", registered(), *merge("c")),
        customer("c", registered()),
        staff("ann"),
    )
    view = view_of(world, OPERATOR)
    assert grantees(view, "customer:a") == tuple(world.state(one) for one in ("a", "b", "c"))
    assert set(view.reads) == {"a", "b", "c"}
    assert grantees(view, "staff:ann") == (world.state("ann"),)
    assert grantees(view, "staff:nobody") == ()
    assert grantees(view, "service:crm") == ()
    assert "crm" not in view.reads


def test_a_chain_of_merges_without_end_is_refused() -> None:
    class Endless:
        def customer(self, _customer_id: str) -> Customer:
            return Customer(status="merged", merged_into="next")

    with pytest.raises(Refused, match=r"customer\.merge_too_long"):
        grantees(Endless(), "customer:a")  # pyright: ignore[reportArgumentType]
