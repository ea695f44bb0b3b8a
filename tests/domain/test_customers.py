"""When a customer stands, and what old records say of it."""

from datetime import timedelta

import pytest
from msgspec.structs import replace

from domain import customers, intervals
from domain.commands.customer_records import (
    DecideCustomerMerge,
    ProposeCustomerMerge,
)
from domain.commands.customers import (
    BlockCustomer,
    RecordCustomerLapse,
    UnblockCustomer,
)
from domain.customers import Customer, CustomerEvent
from domain.errors import Impossible
from domain.events.customer import (
    CustomerBlocked,
    CustomerCorrected,
    CustomerCorrectionRejected,
    CustomerLapsed,
    CustomerMerged,
    CustomerUnblocked,
    MemberEnded,
)
from domain.values import TIMEKEEPER, Imported
from tests.support.given import (
    BECAUSE,
    NOW,
    checked,
    confirmed,
    customer,
    days,
    given,
    policy,
    registered,
    staff,
    staff_party,
)

TEAM = (
    staff("ann", "requester"),
    staff("bob", "verifier"),
    staff("cho", "compliance"),
    staff("app", "approver"),
    policy("dealership"),
)
# --- standing -------------------------------------------------------------------------------------


def test_standing_is_the_confirmed_time_without_the_blocked_time() -> None:
    world = given(*TEAM, customer("acme", registered(), confirmed(until=NOW + days(10))))
    world = world.when(BlockCustomer(customer="acme"), "cho", at=NOW, reason=BECAUSE).world
    assert customers.standing(world.state("acme")) == ((NOW - days(9), NOW),)
    unblock, at = UnblockCustomer(customer="acme"), NOW + days(2)
    world = world.when(unblock, "cho", at=at, reason=BECAUSE).world
    state = world.state("acme")
    assert customers.standing(state) == ((NOW - days(9), NOW), (at, NOW + days(10)))
    assert customers.status_at(state, at) == "confirmed"


def test_an_unblocked_customer_whose_time_ran_out_meanwhile_is_lapsed() -> None:
    world = given(*TEAM, customer("acme", registered(), confirmed(until=NOW + days(1))))
    world = world.when(BlockCustomer(customer="acme"), "cho", reason=BECAUSE).world
    unblock, at = UnblockCustomer(customer="acme"), NOW + days(2)
    world = world.when(unblock, "cho", at=at, reason=BECAUSE).world
    assert customers.status_at(world.state("acme"), at) == "lapsed"
    assert customers.standing(world.state("acme")) == ((NOW - days(9), NOW),)


def test_a_confirmation_is_over_at_its_end_whether_or_not_someone_recorded_it() -> None:
    end = NOW + days(1)
    world = given(*TEAM, customer("acme", registered(), confirmed(until=end)))
    before = world.state("acme")
    assert customers.status_at(before, end - timedelta(microseconds=1)) == "confirmed"
    assert customers.status_at(before, end) == "lapsed"
    lapse = RecordCustomerLapse(customer="acme")
    after = world.when(lapse, TIMEKEEPER, at=end).then("customer.lapsed.1").state("acme")
    assert customers.standing(after) == customers.standing(before)


def test_one_merged_away_stands_no_more_by_itself() -> None:
    world = given(*TEAM, customer("acme", registered(), confirmed()), customer("other"))
    world = world.when(ProposeCustomerMerge(customer="acme", into="other"), "ann").world
    world = world.when(DecideCustomerMerge(customer="acme", accept=True), "cho").world
    state = world.state("acme")
    assert customers.standing(state) == ((NOW - days(9), NOW),)
    assert state.merged_into == "other"


# --- old records ----------------------------------------------------------------------------------

BY = staff_party("ann")
OF_NOBODY = [
    confirmed(),
    CustomerLapsed(at=NOW, by=BY),
    CustomerBlocked(at=NOW, by=BY),
    CustomerUnblocked(at=NOW, by=BY),
    CustomerCorrected(at=NOW, by=BY, correction="c"),
    CustomerCorrectionRejected(at=NOW, by=BY, correction="c"),
    MemberEnded(at=NOW, by=BY, member="m"),
    CustomerMerged(at=NOW, by=BY, into="other"),
]


@pytest.mark.parametrize("event", OF_NOBODY)
def test_events_of_nobody_are_impossible_and_irregular_when_imported(event: CustomerEvent) -> None:
    with pytest.raises(Impossible):
        customers.evolve(None, event)
    state = customers.evolve(None, replace(event, imported=Imported("old.csv", 1)))
    assert state.irregular


def test_no_verb_confirms_twice_blocks_twice_or_changes_the_merged() -> None:
    for state, event in (
        (Customer(), CustomerUnblocked(at=NOW, by=BY)),
        (Customer(), CustomerLapsed(at=NOW, by=BY)),
        (Customer(status="blocked"), CustomerBlocked(at=NOW, by=BY)),
        (Customer(status="blocked"), checked()),
        (Customer(status="confirmed", confirmed_until=NOW + days(9)), confirmed()),
        (Customer(status="merged"), CustomerBlocked(at=NOW, by=BY)),
        (Customer(), CustomerMerged(at=NOW, by=BY, into="other")),
        (Customer(), registered()),
    ):
        with pytest.raises(Impossible):
            customers.evolve(state, event)


def test_a_second_block_in_old_records_forgets_neither_what_was_before_nor_when() -> None:
    old = Imported("old.csv", 1)
    state = given(customer("acme", registered(), confirmed())).state("acme")
    for ago in (5, 4):
        blocked = CustomerBlocked(at=NOW - days(ago), by=BY, imported=old)
        state = customers.evolve(state, blocked)
    state = customers.evolve(state, CustomerUnblocked(at=NOW - days(3), by=BY, imported=old))
    assert state.status == "confirmed"
    assert not intervals.contains(customers.standing(state), NOW - days(4))
    assert intervals.contains(customers.standing(state), NOW - days(3))
