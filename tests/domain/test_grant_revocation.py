"""A grant revoked: by the customer's wish, by staff, by a rule."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from domain.commands.supervision import (
    CancelRevocation,
    ConfirmRevocation,
    RecordActivation,
    RequestRevocation,
    ResumeGrant,
    RevokeByRule,
    RevokeGrant,
)
from domain.effect import in_force
from domain.events.common import Event
from domain.events.grant import (
    GrantRevocationCancelled,
    GrantRevocationProposed,
    GrantRevoked,
)
from tests.domain.grant_story import (
    EASY,
    in_effect,
    suspend,
    world_in,
)
from tests.domain.grant_world import (
    DAY,
    ENDS,
    GRANT,
    STARTS,
    T0,
    WHY,
    World,
    body,
)


def revoke(world: World, by: str = "dora", **fields: Any) -> list[Event]:
    return world.run(RevokeGrant(grant_id=GRANT, case="c1", **fields), by=by, reason=WHY)


# --- revocation -----------------------------------------------------------------------------------


def test_the_customers_wish_ends_it_when_another_person_confirms() -> None:
    for confirmer in ("max", "carl"):
        world = in_effect()
        world.run(RequestRevocation(grant_id=GRANT, case="c1"), by="mia")
        assert world.status == "active"
        world.now += DAY
        (event,) = world.run(ConfirmRevocation(grant_id=GRANT, case="c1"), by=confirmer)
        assert isinstance(event, GrantRevoked)
        assert (event.origin, event.effective_at) == ("customer", world.now)
        assert in_force(world.grant) == ((T0, world.now, 1),)


@pytest.mark.parametrize(("by", "code"), [("ann", "role.missing"), ("sue", "member.missing")])
def test_not_everyone_confirms_the_customers_wish(by: str, code: str) -> None:
    world = world_in("revocation_requested")
    assert world.refusal(ConfirmRevocation(grant_id=GRANT, case="c1"), by=by) == code


def test_only_a_member_asks_for_the_customer() -> None:
    command = RequestRevocation(grant_id=GRANT, case="c1")
    for by in ("sue", "dora", "rules"):
        assert in_effect().refusal(command, by=by) == "member.missing"


def test_staff_do_not_call_off_what_the_customer_wished_nor_the_other_way_round() -> None:
    world = world_in("revocation_requested")
    cancel = CancelRevocation(grant_id=GRANT, case="c1")
    assert world.refusal(cancel, by="dora") == "member.missing"
    two = in_effect(body(**EASY, revocation_persons=2))
    revoke(two)
    assert two.refusal(cancel, by="mia") == "role.missing"
    confirm = ConfirmRevocation(grant_id=GRANT, case="c1")
    assert two.refusal(confirm, by="mia") == "role.missing"
    (event,) = two.run(cancel, by="carl")
    assert isinstance(event, GrantRevocationCancelled)
    assert two.grant.revocation is None


def test_one_revocation_waits_at_a_time() -> None:
    world = in_effect(body(**EASY, revocation_persons=2))
    revoke(world)
    ask = RequestRevocation(grant_id=GRANT, case="c2")
    assert world.refusal(ask, by="mia") == "revocation.open"
    again = RevokeGrant(grant_id=GRANT, case="c2")
    assert world.refusal(again, by="dirk", reason=WHY) == "revocation.open"


def test_staff_revoke_from_now_at_once() -> None:
    world = in_effect()
    (event,) = revoke(world)
    assert isinstance(event, GrantRevoked)
    assert (event.origin, event.effective_at) == ("staff", world.now)
    assert in_force(world.grant) == ((T0, world.now, 1),)


def test_where_the_policy_wants_two_a_second_person_confirms() -> None:
    world = in_effect(body(**EASY, revocation_persons=2))
    (event,) = revoke(world)
    assert isinstance(event, GrantRevocationProposed)
    assert in_force(world.grant) == ((T0, ENDS, 1),)
    confirm = ConfirmRevocation(grant_id=GRANT, case="c1")
    assert world.refusal(confirm, by="dora") == "duties.not_separate"
    world.now += DAY
    (event,) = world.run(confirm, by="carl")
    assert isinstance(event, GrantRevoked)
    assert (event.origin, event.effective_at) == ("staff", world.now)


def test_a_later_revocation_leaves_it_in_force_till_then_and_may_come_sooner() -> None:
    world = in_effect()
    later, sooner = T0 + 50 * DAY, T0 + 40 * DAY
    revoke(world, effective_at=later)
    assert world.status == "active"
    assert in_force(world.grant) == ((T0, later, 1),)
    assert revoke(world, effective_at=later) == []
    suspend(world)
    world.run(ResumeGrant(grant_id=GRANT, hold="h1"), by="dora", reason=WHY)
    revoke(world, effective_at=sooner)
    assert in_force(world.grant) == ((T0, sooner, 1),)
    postponed = RevokeGrant(grant_id=GRANT, case="c2", effective_at=later)
    assert world.refusal(postponed, by="dora", reason=WHY) == "revocation.not_sooner"
    world.now = sooner
    assert world.status == "revoked"


def test_an_effect_is_withdrawn_backwards_only_within_the_policys_bound() -> None:
    world = in_effect()
    world.now = T0 + 10 * DAY
    bound = world.now - 3 * DAY
    early = RevokeGrant(grant_id=GRANT, case="c1", effective_at=bound - timedelta(microseconds=1))
    assert world.refusal(early, by="dora", reason=WHY) == "revocation.backdated_too_far"
    revoke(world, effective_at=bound)
    assert in_force(world.grant) == ((T0, bound, 1),)


def test_an_end_after_the_end_is_no_revocation() -> None:
    command = RevokeGrant(grant_id=GRANT, case="c1", effective_at=ENDS)
    assert in_effect().refusal(command, by="dora", reason=WHY) == "revocation.after_end"


def test_a_proposed_instant_that_passed_before_the_second_person_came_is_now() -> None:
    world = in_effect(body(**EASY, revocation_persons=2))
    revoke(world, effective_at=world.now + DAY)
    world.now += 2 * DAY
    (event,) = world.run(ConfirmRevocation(grant_id=GRANT, case="c1"), by="carl")
    assert isinstance(event, GrantRevoked)
    assert event.effective_at == world.now


def test_a_confirmed_case_is_over_also_where_it_takes_effect_later() -> None:
    world = in_effect(body(**EASY, revocation_persons=2))
    later = T0 + 50 * DAY
    revoke(world, effective_at=later)
    world.run(ConfirmRevocation(grant_id=GRANT, case="c1"), by="carl")
    assert world.grant.revocation is None
    assert world.grant.hands["c1"] == {"p-dora", "p-carl"}
    assert in_force(world.grant) == ((T0, later, 1),)
    assert world.run(RequestRevocation(grant_id=GRANT, case="c2"), by="mia")


def test_writing_down_the_start_keeps_a_revocation_decided_before() -> None:
    world = world_in("scheduled")
    revoke(world, effective_at=STARTS + DAY)
    world.now = STARTS
    assert world.run(RecordActivation(grant_id=GRANT), by="timekeeper")
    assert in_force(world.grant) == ((STARTS, STARTS + DAY, 1),)


def test_a_proposal_from_its_own_instant_is_not_backdated() -> None:
    world = in_effect(body(**EASY, revocation_persons=2, backdate_days=0))
    revoke(world, effective_at=world.now)
    world.now += DAY
    (event,) = world.run(ConfirmRevocation(grant_id=GRANT, case="c1"), by="carl")
    assert isinstance(event, GrantRevoked)
    assert event.effective_at == world.now


def test_a_backdated_proposal_is_confirmed_within_the_bound_or_not_at_all() -> None:
    world = in_effect(body(**EASY, revocation_persons=2, backdate_days=3))
    world.now = T0 + 10 * DAY
    revoke(world, effective_at=T0 + 8 * DAY)
    confirm = ConfirmRevocation(grant_id=GRANT, case="c1")
    world.now = T0 + 12 * DAY
    assert world.refusal(confirm, by="carl") == "revocation.backdated_too_far"
    world.now = T0 + 11 * DAY
    (event,) = world.run(confirm, by="carl")
    assert isinstance(event, GrantRevoked)
    assert event.effective_at == T0 + 8 * DAY


def test_a_rule_revokes_with_its_name_and_only_as_a_service() -> None:
    world = in_effect()
    command = RevokeByRule(grant_id=GRANT, cause="sold-outside")
    assert world.refusal(command, by="dora") == "role.missing"
    unnamed = RevokeByRule(grant_id=GRANT, cause="")
    assert world.refusal(unnamed, by="rules") == "code.malformed"
    (event,) = world.run(command, by="rules")
    assert isinstance(event, GrantRevoked)
    assert (event.origin, event.cause) == ("automatic", "sold-outside")


@pytest.mark.parametrize("by", ["ann", "ben", "idle", "mia"])
def test_not_everyone_revokes(by: str) -> None:
    command = RevokeGrant(grant_id=GRANT, case="c1")
    assert in_effect().refusal(command, by=by, reason=WHY) == "role.missing"
