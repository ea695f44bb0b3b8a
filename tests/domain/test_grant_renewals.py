"""Renewals: what goes on after its end, within grace, under the policy and the holds there are."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import pytest

from domain.commands.cases import RecordCaseLapse
from domain.commands.supervision import (
    ConfirmSuspension,
    RecordExpiry,
    RecordSuspensionLapse,
    ResumeGrant,
    RevokeGrant,
)
from domain.effect import in_force
from domain.errors import Refused
from domain.events.grant import GrantActivated, GrantExpired, GrantRequested
from domain.events.grant_cases import (
    GrantRenewalApproved,
    GrantRenewalLapsed,
    GrantRenewalRequested,
    GrantRenewalStageApproved,
    GrantRenewalVerified,
    GrantRenewed,
)
from domain.events.policy import (
    PolicyApproved,
    PolicyBody,
    PolicyDrafted,
    PolicyPublished,
    PolicySubmitted,
)
from domain.grant_states import case_lapse_of
from domain.values import Imported, PolicyRef, Term
from tests.domain.case_story import (
    AGAIN,
    RENEWAL,
    agree,
    any_world_in,
    approve_case,
    case_word,
    check_case,
    opened,
    renew,
    sign_case,
    to_renewal_over_end,
    to_renewal_over_end_by_clock,
)
from tests.domain.grant_story import EASY, in_effect, suspend, to_active
from tests.domain.grant_world import (
    CASE,
    DAY,
    ENDS,
    GRANT,
    HOUR,
    T0,
    WHY,
    World,
    body,
    staff,
    terms,
)

SIGNED = T0 + 9 * DAY
"""When the usual grant took effect."""


def world_with(way: Any, policy: PolicyBody | None = None) -> World:
    world = World(policy)
    way(world)
    return world


def easy(**changes: Any) -> World:
    """A grant from T0 to ENDS, whose renewals are agreed on with the request."""
    return in_effect(body(**{**EASY, **changes}))


def publish_next(world: World, says: PolicyBody, at: datetime, version: int = 2) -> None:
    by: dict[str, Any] = {"at": world.now, "by": staff("root"), "version": version}
    world.given(
        "policy",
        "dealership",
        PolicyDrafted(**by, body=says),
        PolicySubmitted(**by),
        PolicyApproved(**by),
        PolicyPublished(**by, from_=at),
    )


def names_of(events: list[Any]) -> list[type]:
    return [type(event) for event in events]


# --- from when to when ----------------------------------------------------------------------------


def test_agreed_on_before_the_end_it_goes_on_without_a_gap() -> None:
    world = any_world_in("renewed")
    assert in_force(world.grant) == ((SIGNED, ENDS, 1), (ENDS, AGAIN, 2))
    world.now = ENDS
    assert world.status == "active"
    world.now = AGAIN
    assert world.status == "expired"


def test_agreed_on_within_grace_it_begins_then_and_was_not_in_force_between() -> None:
    world = world_with(to_renewal_over_end)
    assert in_force(world.grant) == ((SIGNED, ENDS, 1),)
    agree(world, at=ENDS + 4 * DAY)
    assert world.status == "active"
    assert in_force(world.grant) == ((SIGNED, ENDS, 1), (ENDS + 4 * DAY, AGAIN, 2))


def test_an_expiry_that_nobody_wrote_down_is_written_down_with_the_renewal() -> None:
    world = world_with(to_renewal_over_end_by_clock)
    events = agree(world, at=ENDS + 4 * DAY)
    assert names_of(events)[1:] == [GrantExpired, GrantRenewed]
    assert [event.expired_at for event in events if isinstance(event, GrantExpired)] == [ENDS]
    assert world.status == "active"
    assert in_force(world.grant) == ((SIGNED, ENDS, 1), (ENDS + 4 * DAY, AGAIN, 2))
    recorded = world_with(to_renewal_over_end)
    assert names_of(agree(recorded, at=ENDS + 4 * DAY))[1:] == [GrantRenewed]


def test_a_renewal_can_be_renewed() -> None:
    world = any_world_in("renewed")
    world.now = AGAIN - DAY
    renew(world, term=Term(ends_at=AGAIN + 50 * DAY), case="r2")
    agree(world)
    expected = ((SIGNED, ENDS, 1), (ENDS, AGAIN, 2), (AGAIN, AGAIN + 50 * DAY, 3))
    assert in_force(world.grant) == expected


@pytest.mark.parametrize("starts", ["on_approval", "on_signature"])
def test_days_count_from_the_old_end_or_from_the_agreement_where_that_is_later(
    starts: Any,
) -> None:
    policy = body(starts=starts, **EASY)
    world = in_effect(policy, term=Term(days=100))
    end = T0 + 100 * DAY
    world.now = end - 20 * DAY
    renew(world, term=Term(days=50))
    assert in_force(world.grant) == ((T0, end, 1), (end, end + 50 * DAY, 2))
    late = in_effect(policy, term=Term(days=100))
    late.now = end + 3 * DAY
    renew(late, term=Term(days=50))
    assert in_force(late.grant) == ((T0, end, 1), (late.now, late.now + 50 * DAY, 2))


def test_days_counted_on_approval_do_not_move_with_a_late_signature() -> None:
    policy = body(starts="on_approval", verification=None, stages=(), no_approval_needed=True)
    world = World(policy)
    world.given("grant", GRANT, *facts(ends_at=ENDS))
    world.now = ENDS - 5 * DAY
    renew(world, by="mia", term=Term(days=50))
    sign_case(world, "mia", "grantee")
    world.now = ENDS + 5 * DAY
    sign_case(world, "cleo", "tenant")
    assert in_force(world.grant)[-1] == (ENDS + 5 * DAY, ENDS + 50 * DAY, 2)


def facts(ends_at: datetime | None) -> tuple[Any, ...]:
    by: dict[str, Any] = {"at": T0, "by": staff("root"), "imported": Imported("permits.csv", 1)}
    policy = PolicyRef("dealership", 1)
    asked = {"number": "N-1", "case": CASE, "grantee": "customer:shop", "terms": terms()}
    return (
        GrantRequested(**by, policy=policy, **asked),
        GrantActivated(**by, starts_at=T0, ends_at=ends_at),
    )


# --- holds and revocations ------------------------------------------------------------------------


def test_a_hold_goes_through_the_renewal_until_it_is_resumed() -> None:
    world = world_with(to_active)
    world.now = ENDS - 10 * DAY
    suspend(world, "h1")
    opened("renewal", world)
    agree(world)
    assert world.status == "suspended"
    assert in_force(world.grant) == ((SIGNED, ENDS - 10 * DAY, 1),)
    world.now = ENDS + 7 * DAY
    assert world.status == "suspended"
    world.run(ResumeGrant(grant_id=GRANT, hold="h1"), by="dirk", reason=WHY)
    expected = ((SIGNED, ENDS - 10 * DAY, 1), (ENDS + 7 * DAY, AGAIN, 2))
    assert (world.status, in_force(world.grant)) == ("active", expected)


def test_what_expired_while_it_was_held_comes_back_held() -> None:
    world = world_with(to_active)
    world.now = ENDS - 2 * DAY
    suspend(world, "h1", provisional=True)
    world.run(ConfirmSuspension(grant_id=GRANT, hold="h1"), by="dirk")
    opened("renewal", world)
    world.now = ENDS
    world.run(RecordExpiry(grant_id=GRANT), by="timekeeper")
    agree(world, at=ENDS + DAY)
    assert world.status == "suspended"
    assert in_force(world.grant) == ((SIGNED, ENDS - 2 * DAY, 1),)


def test_a_provisional_hold_falls_in_a_renewal_as_anywhere() -> None:
    world = world_with(to_active)
    world.now = ENDS - 2 * DAY
    opened("renewal", world)
    agree(world)
    suspend(world, "h1", provisional=True)
    falls = world.now + 7 * DAY
    assert in_force(world.grant) == ((SIGNED, world.now, 1), (falls, AGAIN, 2))
    world.now = falls
    assert world.status == "active"
    world.run(RecordSuspensionLapse(grant_id=GRANT, hold="h1"), by="timekeeper")
    assert in_force(world.grant)[1] == (falls, AGAIN, 2)


def revoke_from(world: World, at: datetime) -> None:
    world.run(RevokeGrant(grant_id=GRANT, case="c0", effective_at=at), by="dora", reason=WHY)


def test_a_revocation_that_comes_first_ends_the_open_renewal() -> None:
    world = any_world_in("renewal_verifying")
    revoke_from(world, world.now + 5 * DAY)
    assert case_word(world) == "verifying"
    world.now += 5 * DAY
    assert (world.status, case_word(world)) == ("revoked", "lapsed")
    world.run(RecordCaseLapse(grant_id=GRANT, case=RENEWAL), by="timekeeper")
    assert world.grant.closed == {RENEWAL: "lapsed"}


def test_a_renewal_agreed_on_meanwhile_does_not_undo_a_revocation_to_come() -> None:
    world = any_world_in("renewal_half_signed")
    over = world.now + 5 * DAY
    revoke_from(world, over)
    sign_case(world, "cleo", "tenant")
    assert in_force(world.grant) == ((SIGNED, over, 1),)
    world.now = ENDS + DAY
    assert world.status == "revoked"


def test_a_revocation_after_the_old_end_cuts_the_renewed_term() -> None:
    world = any_world_in("renewed")
    revoke_from(world, ENDS + 20 * DAY)
    assert in_force(world.grant) == ((SIGNED, ENDS, 1), (ENDS, ENDS + 20 * DAY, 2))


# --- time runs out --------------------------------------------------------------------------------


def test_a_step_of_a_renewal_has_its_time_but_none_beyond_grace() -> None:
    world = world_with(to_active)
    asked = world.now
    events = renew(world)
    assert isinstance(events[0], GrantRenewalRequested)
    assert events[0].lapses_at == asked + 30 * DAY
    late = world_with(to_active)
    late.now = ENDS - 5 * DAY
    assert renew(late)[0].lapses_at == ENDS + 10 * DAY  # type: ignore[attr-defined]
    check_case(late, "ben")
    verified = check_case(late, "bob")[1]
    assert isinstance(verified, GrantRenewalVerified)
    assert verified.lapses_at == late.now + 10 * DAY
    late.now = ENDS + 2 * DAY
    approve_case(late, "cora")
    given = approve_case(late, "carl")[0]
    assert isinstance(given, GrantRenewalStageApproved)
    assert given.lapses_at == ENDS + 7 * DAY
    approved = approve_case(late, "dora", "legal")[1]
    assert isinstance(approved, GrantRenewalApproved)
    assert approved.lapses_at == ENDS + 10 * DAY  # fourteen days to sign would be beyond
    assert case_lapse_of(late.grant) == ENDS + 10 * DAY
    late.now = ENDS + 10 * DAY - HOUR
    sign_case(late, "mia", "grantee")
    late.now = ENDS + 10 * DAY
    assert (late.status, case_word(late)) == ("expired", "lapsed")
    with pytest.raises(Refused, match=r"case\.state"):
        sign_case(late, "cleo", "tenant")


def test_without_grace_a_renewal_is_over_with_the_grant() -> None:
    world = World(body(grace_days=0))
    to_renewal_over_end_by_clock(world)
    assert (world.status, case_word(world)) == ("expired", "lapsed")
    world.now = ENDS - HOUR
    assert case_word(world) == "verifying"


def test_what_the_clock_ended_is_written_down_when_the_next_is_asked_for() -> None:
    world = any_world_in("renewal_lapsed_by_clock")
    lapses_at = case_lapse_of(world.grant)
    events = renew(world, case="r2")
    assert names_of(events) == [GrantRenewalLapsed, GrantRenewalRequested]
    assert isinstance(events[0], GrantRenewalLapsed)
    assert (events[0].case, events[0].lapsed_at) == (RENEWAL, lapses_at)
    assert world.grant.closed == {RENEWAL: "lapsed"}
