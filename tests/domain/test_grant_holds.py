"""A grant in effect, held for one reason or several."""

from __future__ import annotations

import pytest

from domain.commands.supervision import (
    ConfirmSuspension,
    RecordActivation,
    RecordSuspensionLapse,
    ResumeGrant,
    SuspendGrant,
)
from domain.effect import in_force
from domain.events.grant import (
    GrantResumed,
    GrantSuspended,
)
from domain.supervising import MAX_HOLDS
from tests.domain.grant_story import (
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
)

# --- holds ----------------------------------------------------------------------------------------


def test_it_takes_effect_again_when_no_hold_is_left() -> None:
    world = in_effect()
    suspend(world, "h1")
    suspend(world, "h2", by="dirk")
    world.run(ResumeGrant(grant_id=GRANT, hold="h1"), by="dirk", reason=WHY)
    assert world.status == "suspended"
    world.run(ResumeGrant(grant_id=GRANT, hold="h2"), by="dirk", reason=WHY)
    assert world.status == "active"


def test_the_same_hold_is_put_once() -> None:
    world = in_effect()
    suspend(world, "h1")
    assert suspend(world, "h1") == []


def test_a_hold_cuts_what_is_in_force_from_the_suspension_to_the_resumption() -> None:
    world = in_effect()
    suspended = world.now
    suspend(world)
    assert in_force(world.grant) == ((T0, suspended, 1),)
    world.now += DAY
    world.run(ResumeGrant(grant_id=GRANT, hold="h1"), by="dora", reason=WHY)
    assert in_force(world.grant) == ((T0, suspended, 1), (world.now, ENDS, 1))


def test_a_provisional_hold_falls_by_itself_and_cuts_only_till_then() -> None:
    world = in_effect()
    suspended = world.now
    (event,) = suspend(world, provisional=True)
    assert isinstance(event, GrantSuspended)
    assert event.confirm_by == suspended + 7 * DAY
    cut = ((T0, suspended, 1), (suspended + 7 * DAY, ENDS, 1))
    assert in_force(world.grant) == cut
    world.now += 7 * DAY
    assert world.status == "active"
    (event,) = world.run(RecordSuspensionLapse(grant_id=GRANT, hold="h1"), by="timekeeper")
    assert isinstance(event, GrantResumed)
    assert event.lapsed_at == suspended + 7 * DAY
    assert in_force(world.grant) == cut
    assert world.run(RecordSuspensionLapse(grant_id=GRANT, hold="h1"), by="timekeeper") == []


def test_a_confirmed_hold_falls_no_more() -> None:
    world = in_effect()
    suspended = world.now
    suspend(world, provisional=True)
    world.run(ConfirmSuspension(grant_id=GRANT, hold="h1"), by="dirk")
    assert world.run(ConfirmSuspension(grant_id=GRANT, hold="h1"), by="dirk") == []
    world.now += 30 * DAY
    assert world.status == "suspended"
    assert in_force(world.grant) == ((T0, suspended, 1),)


def test_a_hold_that_fell_beside_another_is_confirmed_no_more() -> None:
    world = in_effect()
    suspend(world, "h1", provisional=True)
    suspend(world, "h2")
    world.now += 7 * DAY
    for hold, code in (("h1", "hold.over"), ("h3", "hold.unknown")):
        command = ConfirmSuspension(grant_id=GRANT, hold=hold)
        assert world.refusal(command, by="dirk") == code
    lapse = RecordSuspensionLapse(grant_id=GRANT, hold="h3")
    assert world.refusal(lapse, by="timekeeper") == "hold.unknown"


def test_a_grant_held_before_its_start_starts_when_the_hold_is_gone() -> None:
    world = world_in("scheduled")
    suspend(world)
    world.now = STARTS + DAY
    assert world.status == "suspended"
    assert world.refusal(RecordActivation(grant_id=GRANT), by="timekeeper") == "grant.state"
    world.run(ResumeGrant(grant_id=GRANT, hold="h1"), by="dora", reason=WHY)
    assert in_force(world.grant) == ((STARTS + DAY, ENDS, 1),)
    assert world.status == "active"
    assert world.run(RecordActivation(grant_id=GRANT), by="timekeeper")


def test_a_fallen_hold_is_written_down_before_the_activation() -> None:
    world = world_in("scheduled")
    suspend(world, provisional=True)
    world.now = STARTS + 7 * DAY
    activate = RecordActivation(grant_id=GRANT)
    assert world.refusal(activate, by="timekeeper") == "grant.not_due"
    world.run(RecordSuspensionLapse(grant_id=GRANT, hold="h1"), by="timekeeper")
    assert world.run(activate, by="timekeeper")


def test_a_suspended_grant_ends_by_the_clock() -> None:
    world = in_effect()
    suspend(world)
    world.now = ENDS
    assert world.status == "expired"
    command = ResumeGrant(grant_id=GRANT, hold="h1")
    assert world.refusal(command, by="dora", reason=WHY) == "grant.state"


@pytest.mark.parametrize("by", ["carl", "ann", "mia", "rules"])
def test_only_compliance_suspends(by: str) -> None:
    command = SuspendGrant(grant_id=GRANT, hold="h1")
    assert in_effect().refusal(command, by=by, reason=WHY) == "role.missing"


@pytest.mark.parametrize("by", ["carl", "ann", "mia", "rules"])
def test_only_compliance_confirms_and_resumes(by: str) -> None:
    commands = (
        ConfirmSuspension(grant_id=GRANT, hold="h1"),
        ResumeGrant(grant_id=GRANT, hold="h1"),
    )
    for command in commands:
        assert world_in("suspended").refusal(command, by=by, reason=WHY) == "role.missing"


def test_a_hold_that_never_was_is_not_resumed() -> None:
    command = ResumeGrant(grant_id=GRANT, hold="h7")
    assert world_in("suspended").refusal(command, by="dora", reason=WHY) == "hold.unknown"


def test_holds_have_a_limit() -> None:
    world = in_effect()
    for number in range(MAX_HOLDS):
        suspend(world, f"h{number}")
    command = SuspendGrant(grant_id=GRANT, hold="one-more")
    assert world.refusal(command, by="dora", reason=WHY) == "hold.too_many"
