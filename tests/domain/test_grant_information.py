"""Questions and answers, terms changed on the way, and the time a request has."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from domain.commands.grants import AskInformation, ProvideInformation, RecordCheck
from domain.errors import Refused
from domain.events.grant import (
    GrantInformationProvided,
    GrantVerified,
)
from domain.events.policy import Verification
from domain.events.staff import StaffAssignmentsChanged, StaffRolesChanged
from domain.sealing import Sealed
from domain.values import Term
from tests.domain.grant_story import (
    approve,
    ask,
    check,
    provide,
    request,
    to_information_requested,
    to_pending_approval,
    world_in,
)
from tests.domain.grant_world import (
    CASE,
    DAY,
    ENDS,
    GRANT,
    HOUR,
    STARTS,
    T0,
    World,
    body,
    staff,
)


def kinds(events: list[Any]) -> list[type]:
    return [type(event) for event in events]


# --- information ----------------------------------------------------------------------------------


def test_the_answer_leads_back_to_verifying() -> None:
    world = world_in("information_requested")
    events = provide(world, answer=Sealed("shop", "key", b"box"))
    assert kinds(events) == [GrantInformationProvided]
    assert world.status == "verifying"
    assert len(world.grant.checks) == 1


def test_the_answer_leads_back_to_approval_where_the_checks_still_reach_the_quorum() -> None:
    world = world_in("pending_approval")
    lapses_at = world.grant.lapses_at
    ask(world, "carl")
    world.now += DAY
    events = provide(world)
    assert kinds(events) == [GrantInformationProvided, GrantVerified]
    assert world.status == "pending_approval"
    assert len(world.grant.approvals) == 1
    assert world.grant.lapses_at == lapses_at


def test_changed_terms_void_checks_and_approvals_and_give_the_time_anew() -> None:
    world = world_in("pending_approval")
    ask(world, "carl")
    world.now += DAY
    (event,) = provide(world, scope={"product": ("tea",), "territory": ("CN/44",)})
    assert isinstance(event, GrantInformationProvided)
    assert world.status == "verifying"
    assert (world.grant.checks, world.grant.approvals) == ((), ())
    assert world.grant.terms.scope["territory"] == ("CN/44",)
    assert world.grant.lapses_at == world.now + 30 * DAY


def test_whoever_approved_the_former_terms_may_approve_the_changed_ones() -> None:
    world = world_in("pending_approval")
    ask(world, "carl")
    provide(world, actions=("advertise", "sell"))
    check(world, "ben")
    check(world, "bob")
    assert approve(world, "cora")


def test_whoever_checked_the_former_terms_still_approves_none() -> None:
    world = world_in("information_requested")
    provide(world, actions=("advertise", "sell"))
    assert "p-ben" in world.grant.hands[CASE]


def test_the_same_terms_given_again_void_nothing() -> None:
    world = world_in("pending_approval")
    ask(world, "carl")
    provide(world, actions=("sell",), term=Term(STARTS, ENDS))
    assert len(world.grant.approvals) == 1


def test_changed_terms_are_held_to_the_policy_like_those_first_asked_for() -> None:
    cases: tuple[tuple[dict[str, Any], str], ...] = (
        ({"actions": ("fly",)}, "action.unknown"),
        ({"scope": {"product": ("old",), "territory": ("CN",)}}, "scope.point_ended"),
        ({"term": Term(STARTS, STARTS + 400 * DAY)}, "term.too_long"),
    )
    for changes, code in cases:
        with pytest.raises(Refused) as refusal:
            provide(world_in("information_requested"), **changes)
        assert refusal.value.code == code


def test_spoken_information_needs_its_record_too() -> None:
    with pytest.raises(Refused) as refusal:
        provide(world_in("information_requested"), channel="phone")
    assert refusal.value.code == "grant.spoken_without_record"


def test_a_requester_who_looks_after_the_customer_now_may_provide() -> None:
    world = world_in("information_requested")
    with pytest.raises(Refused) as refusal:
        provide(world, "amy")
    assert refusal.value.code == "role.not_requester"
    assigned = StaffAssignmentsChanged(at=world.now, by=staff("root"), customers=("shop",))
    world.given("staff", "amy", assigned)
    assert provide(world, "amy")
    assert world.grant.askers == frozenset({"p-ann", "p-amy"})


def test_who_asks_for_information_gets_no_hand_in_the_case() -> None:
    world = world_in("pending_approval")
    ask(world, "carl")
    provide(world)
    assert approve(world, "carl")


@pytest.mark.parametrize(("by", "code"), [("ann", "role.missing"), ("mia", "role.missing")])
def test_only_verifiers_and_approvers_ask_for_information(by: str, code: str) -> None:
    world = world_in("submitted")
    assert world.refusal(AskInformation(grant_id=GRANT), by=by) == code


def test_an_approver_of_the_former_terms_may_provide_other_terms_and_has_asked_then() -> None:
    world = world_in("pending_approval")
    roles = StaffRolesChanged(at=world.now, by=staff("root"), roles=("requester", "approver"))
    assigned = StaffAssignmentsChanged(at=world.now, by=staff("root"), customers=("shop",))
    world.given("staff", "cora", roles, assigned)
    ask(world, "carl")
    command = ProvideInformation(grant_id=GRANT, actions=("advertise",))
    assert world.run(command, by="cora")
    assert world.grant.askers == {"p-ann", "p-cora"}


def test_whoever_could_approve_the_open_stage_may_ask() -> None:
    command = AskInformation(grant_id=GRANT)
    assert world_in("pending_approval").refusal(command, by="dora") == "role.missing"
    assert world_in("pending_last").run(command, by="dora")


# --- time -----------------------------------------------------------------------------------------


def test_a_request_lapses_when_its_time_to_be_verified_is_over() -> None:
    world = World()
    request(world)
    command = RecordCheck(grant_id=GRANT, check="callback", channel="email")
    world.now = T0 + 30 * DAY
    assert world.refusal(command, by="ben") == "grant.state"
    world.now -= timedelta(microseconds=1)
    assert world.run(command, by="ben")


def test_a_request_lapses_when_the_term_asked_for_is_over() -> None:
    world = World()
    request(world, term=Term(T0, T0 + 2 * DAY))
    world.now = T0 + 2 * DAY
    assert world.status == "lapsed"


def test_asking_for_information_stops_no_clock() -> None:
    world = World()
    to_pending_approval(world)
    lapses_at = world.grant.lapses_at
    ask(world, "carl")
    assert world.grant.lapses_at == lapses_at
    assert lapses_at is not None
    world.now = lapses_at
    assert world.status == "lapsed"


def test_checks_that_reach_the_quorum_open_the_first_stage_for_its_days() -> None:
    world = World(body(verification=Verification(), stages=(body().stages[1],)))
    request(world)
    world.now += HOUR
    check(world)
    assert world.grant.lapses_at == world.now + 5 * DAY


def test_information_asked_for_once_is_asked_for() -> None:
    world = World()
    to_information_requested(world)
    assert world.refusal(AskInformation(grant_id=GRANT), by="ben") == "grant.state"
