"""Separate hands in a grant: counted by person, whoever acts, for whomever, by which account."""

from __future__ import annotations

from typing import Any

import pytest

from domain.commands.grants import ApproveStage, ProvideInformation, RecordCheck, SignGrant
from domain.commands.supervision import ConfirmRevocation, ConfirmSuspension, RevokeGrant
from domain.events.common import Event
from domain.events.customer import MemberEnded
from domain.events.grant import GrantChecked, GrantStageApproved, GrantVerified
from domain.events.policy import Group, Stage, Verification
from domain.events.staff import StaffAssignmentsChanged, StaffLevelChanged
from tests.domain.grant_story import (
    approve,
    ask,
    check,
    provide,
    request,
    requesting,
    to_verifying,
    world_in,
)
from tests.domain.grant_world import CASE, GRANT, WHY, World, body, member, names, staff
from tests.domain.test_grant_matrix import gains, joins_the_shop

CHECK = RecordCheck(grant_id=GRANT, check="callback", channel="email")
APPROVE = ApproveStage(grant_id=GRANT, stage="regional")


def refused_check(world: World, by: str, **who: Any) -> str:
    return world.refusal(CHECK, by=by, **who)


def refused_approval(world: World, by: str, **who: Any) -> str:
    return world.refusal(APPROVE, by=by, **who)


def verified(events: list[Event]) -> bool:
    return any(isinstance(event, GrantVerified) for event in events)


# --- who checks -----------------------------------------------------------------------------------


def test_the_quorum_wants_every_kind_and_enough_people() -> None:
    world = World(body(verification=Verification(("callback", "site_visit"), persons=2)))
    request(world)
    assert not verified(check(world, "ben", "callback"))
    assert not verified(check(world, "ben", "site_visit"))
    assert verified(check(world, "bob", "callback"))


def test_two_people_without_the_kind_demanded_are_no_quorum() -> None:
    world = world_in("submitted")
    assert not verified(check(world, "ben", "site_visit"))
    assert not verified(check(world, "bob", "site_visit"))
    assert verified(check(world, "bob", "callback"))


def test_one_person_twice_is_one_person() -> None:
    world = world_in("submitted")
    check(world, "ben")
    assert not verified(check(world, "ben"))
    assert world.status == "verifying"


def test_two_accounts_of_one_person_check_as_one() -> None:
    world = world_in("submitted")
    world.merge_persons("bob", "ben")
    check(world, "ben")
    assert not verified(check(world, "bob"))


def test_no_one_checks_what_they_requested_also_under_another_record_of_theirs() -> None:
    world = world_in("submitted")
    gains(world, "amy", "verifier")
    world.merge_persons("amy", "ann")
    assert refused_check(world, "amy") == "duties.not_separate"


def test_no_one_checks_what_they_provided() -> None:
    world = world_in("information_requested")
    gains(world, "zoe", "requester")
    assigned = StaffAssignmentsChanged(at=world.now, by=staff("root"), customers=("shop",))
    world.given("staff", "zoe", assigned)
    provide(world, "zoe")
    assert refused_check(world, "zoe") == "duties.not_separate"


def test_the_check_of_someone_who_provides_later_counts_no_longer() -> None:
    world = World()
    to_verifying(world)
    gains(world, "ben", "requester")
    assigned = StaffAssignmentsChanged(at=world.now, by=staff("root"), customers=("shop",))
    world.given("staff", "ben", assigned)
    check(world, "bob")
    assert world.status == "pending_approval"
    ask(world, "carl")
    assert not verified(provide(world, "ben"))
    assert world.status == "verifying"
    gains(world, "idle", "verifier")
    assert verified(check(world, "idle"))


def test_whoever_approved_neither_provides_nor_checks_while_the_approval_stands() -> None:
    world = world_in("information_requested")
    gains(world, "cora", "requester")
    gains(world, "ben", "requester")
    both = StaffAssignmentsChanged(at=world.now, by=staff("root"), customers=("shop",))
    for name in ("cora", "ben"):
        world.given("staff", name, both)
    provide(world, "ann")
    check(world, "bob")
    approve(world, "cora")
    ask(world, "carl")
    command = ProvideInformation(grant_id=GRANT)
    assert world.refusal(command, by="cora") == "duties.not_separate"
    provide(world, "ben")
    gains(world, "cora", "verifier")
    assert world.status == "verifying"
    assert refused_check(world, "cora") == "duties.not_separate"


def test_no_one_checks_for_a_customer_they_are_a_member_of() -> None:
    world = world_in("submitted")
    joins_the_shop(world, "ben")
    assert refused_check(world, "ben") == "duties.receives"


# --- who approves ---------------------------------------------------------------------------------


def test_a_person_counts_once_in_all_stages() -> None:
    world = world_in("pending_approval")
    gains(world, "cora", "compliance")
    approve(world, "carl")
    command = ApproveStage(grant_id=GRANT, stage="legal")
    assert world.refusal(command, by="cora") == "duties.not_separate"


def test_giving_the_same_approval_again_is_no_news() -> None:
    assert approve(world_in("pending_approval"), "cora") == []


def test_a_second_account_is_not_a_second_approver() -> None:
    world = world_in("pending_approval")
    world.merge_persons("cleo", "cora")
    before = len(world.grant_events)
    assert refused_approval(world, "cleo") == ""
    assert len(world.grant_events) == before


def test_an_approver_found_to_be_the_requester_counts_no_longer() -> None:
    world = world_in("pending_approval")
    world.merge_persons("cora", "ann")
    approve(world, "carl")
    assert world.status == "pending_approval"
    command = ApproveStage(grant_id=GRANT, stage="legal")
    assert world.refusal(command, by="dora") == "stage.not_open"
    approve(world, "cleo")
    assert world.run(command, by="dora")
    assert world.status == "approved"


def test_a_service_approves_nothing() -> None:
    assert refused_approval(world_in("pending_approval"), "timekeeper") == "approver.not_eligible"


def test_a_member_approves_nothing() -> None:
    assert refused_approval(world_in("pending_approval"), "mia") == "approver.not_eligible"


def test_no_one_approves_after_they_left() -> None:
    world = world_in("pending_approval")
    world.deactivate("carl")
    assert refused_approval(world, "carl") == "actor.not_in_standing"


def test_no_one_approves_as_someone_else() -> None:
    world = world_in("pending_approval")
    forged = staff("carl")
    pretending = type(forged)(forged.ref, "p-ann")
    assert world.refusal(APPROVE, by=pretending) == "actor.person_mismatch"


def test_staff_do_not_approve_their_own_grant() -> None:
    world = World(body(verification=None))
    request(world, grantee="staff:carl")
    assert refused_approval(world, "carl") == "duties.receives"
    assert refused_approval(world, "cora") == ""


def test_staff_who_are_members_of_the_record_it_was_merged_into_do_not_approve() -> None:
    world = world_in("pending_approval")
    world.add_customer("heir", {"carl": ("sign",)})
    world.merge_customers("shop", "heir")
    assert refused_approval(world, "carl") == "duties.receives"


def test_a_grantee_merged_away_stands_as_the_one_it_went_into() -> None:
    for confirmed, code in ((True, ""), (False, "grantee.standing")):
        world = world_in("pending_approval")
        world.add_customer("heir", {}, confirmed=confirmed)
        world.merge_customers("shop", "heir")
        assert refused_approval(world, "carl") == code


# --- deputies -------------------------------------------------------------------------------------


def test_deputy_and_principal_are_both_hands() -> None:
    world = world_in("pending_approval")
    world.set_deputy("carl", "idle")
    (event,) = approve(world, "idle", on_behalf_of="carl")[:1]
    assert isinstance(event, GrantStageApproved)
    assert world.grant.approvals[-1].persons == {"p-carl", "p-idle"}
    for name in ("carl", "idle"):
        gains(world, name, "compliance")
        command = ApproveStage(grant_id=GRANT, stage="legal")
        assert world.refusal(command, by=name) == "duties.not_separate"


def test_a_deputy_with_a_hand_of_their_own_does_not_approve_for_someone_without() -> None:
    world = world_in("pending_approval")
    world.set_deputy("carl", "ann")
    assert refused_approval(world, "ann", on_behalf_of="carl") == "duties.not_separate"


def test_no_deputy_approves_for_someone_with_a_hand() -> None:
    world = world_in("pending_approval")
    gains(world, "ann", "approver")
    world.set_deputy("ann", "idle")
    assert refused_approval(world, "idle", on_behalf_of="ann") == "duties.not_separate"


def test_a_deputy_uses_the_principals_role_and_not_their_own() -> None:
    world = world_in("pending_approval")
    world.set_deputy("idle", "carl")
    assert refused_approval(world, "carl", on_behalf_of="idle") == "approver.not_eligible"


def test_nobody_is_a_deputy_by_saying_so() -> None:
    world = world_in("pending_approval")
    assert refused_approval(world, "idle", on_behalf_of="carl") == "actor.not_deputy"


def test_a_deputy_and_whom_they_stand_in_for_check_as_one() -> None:
    world = world_in("submitted")
    world.set_deputy("ben", "bob")
    check(world, "bob", on_behalf_of="ben")
    assert not verified(check(world, "ben"))
    assert verified(check(world, "zoe"))


def test_a_requests_deputy_and_principal_both_asked() -> None:
    world = World()
    world.set_deputy("ann", "ben")
    world.run(requesting(), by="ben", on_behalf_of="ann")
    assert world.grant.hands[CASE] == {"p-ann", "p-ben"}
    assert refused_check(world, "ben") == "duties.not_separate"


# --- groups ---------------------------------------------------------------------------------------

MIXED = (
    Stage("mixed", names("mixed"), (Group("approver"), Group("approver", levels=("senior",)))),
    Stage("last", names("last"), (Group("compliance"), Group("reviewer"))),
)


def test_every_group_of_a_stage_must_agree() -> None:
    world = World(body(verification=None, stages=MIXED[1:], agreement=None))
    request(world)
    gains(world, "amy", "reviewer")
    assert len(approve(world, "dora", "last")) == 1
    command = ApproveStage(grant_id=GRANT, stage="last")
    assert world.refusal(command, by="dirk") == "stage.group_complete"
    assert len(approve(world, "amy", "last")) == 3
    assert world.status == "scheduled"


def test_the_strict_group_takes_the_senior_so_that_a_junior_can_fill_the_wide_one() -> None:
    world = World(body(verification=None, stages=MIXED))
    request(world)
    (first,) = approve(world, "carl", "mixed")
    (second,) = approve(world, "cora", "mixed")
    assert isinstance(first, GrantStageApproved)
    assert isinstance(second, GrantStageApproved)
    assert (first.group, second.group) == (1, 0)
    assert second.lapses_at is not None


def test_two_juniors_do_not_fill_a_group_of_seniors() -> None:
    world = World(body(verification=None, stages=MIXED))
    request(world)
    gains(world, "amy", "approver")
    approve(world, "cora", "mixed")
    command = ApproveStage(grant_id=GRANT, stage="mixed")
    assert world.refusal(command, by="amy") == "stage.group_complete"


def test_the_role_chooses_the_group_where_one_could_speak_for_several() -> None:
    world = World(body(verification=None, stages=MIXED[1:]))
    request(world)
    gains(world, "dora", "reviewer")
    command = ApproveStage(grant_id=GRANT, stage="last", role="reviewer")
    (event,) = world.run(command, by="dora")
    assert isinstance(event, GrantStageApproved)
    assert (event.role, event.group) == ("reviewer", 1)
    other = ApproveStage(grant_id=GRANT, stage="last", role="reviewer")
    assert world.refusal(other, by="dirk") == "approver.not_eligible"


def test_a_later_stage_waits_for_the_earlier_one() -> None:
    world = World(body(verification=None, stages=MIXED))
    request(world)
    for stage, code in (("last", "stage.not_open"), ("none", "stage.unknown")):
        command = ApproveStage(grant_id=GRANT, stage=stage)
        assert world.refusal(command, by="dora") == code


def test_a_demotion_counts_from_the_next_approval_on() -> None:
    world = World(body(verification=None, stages=MIXED))
    request(world)
    approve(world, "carl", "mixed")
    for name in ("carl", "cleo"):
        demoted = StaffLevelChanged(at=world.now, by=staff("root"), level="junior")
        world.given("staff", name, demoted)
    approve(world, "cleo", "mixed")
    assert [approval.group for approval in world.grant.approvals] == [1, 0]
    command = ApproveStage(grant_id=GRANT, stage="last")
    assert world.refusal(command, by="dora") == ""


# --- second persons -------------------------------------------------------------------------------


def test_one_person_with_two_records_confirms_no_suspension_of_their_own() -> None:
    world = world_in("suspended")
    world.merge_persons("dirk", "dora")
    command = ConfirmSuspension(grant_id=GRANT, hold="h1")
    assert world.refusal(command, by="dirk") == "duties.not_separate"


def test_a_member_and_a_staff_member_who_are_one_person_do_not_end_it_together() -> None:
    world = world_in("revocation_requested")
    world.merge_persons("dora", "mia")
    command = ConfirmRevocation(grant_id=GRANT, case="c1")
    assert world.refusal(command, by="dora") == "duties.not_separate"


def test_a_deputy_does_not_confirm_what_their_principal_proposed() -> None:
    world = World(body(revocation_persons=2, verification=None, stages=(), agreement=None,
                       no_approval_needed=True))  # fmt: skip
    request(world)
    world.run(RevokeGrant(grant_id=GRANT, case="c1"), by="dora", reason=WHY)
    world.set_deputy("dora", "dirk")
    command = ConfirmRevocation(grant_id=GRANT, case="c1")
    assert world.refusal(command, by="dirk", on_behalf_of="dora") == "duties.not_separate"
    assert world.refusal(command, by="dirk") == ""


def test_a_member_of_the_customer_does_not_sign_for_the_tenant() -> None:
    world = world_in("approved")
    joins_the_shop(world, "cleo")
    command = SignGrant(grant_id=GRANT, party="tenant", digest=world.digest)
    assert world.refusal(command, by="cleo") == "duties.receives"


def test_one_person_does_not_sign_for_both_sides_even_after_leaving_the_customer() -> None:
    world = world_in("half_signed")
    world.merge_persons("cleo", "mia")
    left = MemberEnded(at=world.now, by=staff("root"), member="m-mia")
    world.given("customer", "shop", left)
    command = SignGrant(grant_id=GRANT, party="tenant", digest=world.digest)
    assert world.refusal(command, by="cleo") == "duties.not_separate"
    assert world.refusal(command, by="carl") == ""


@pytest.mark.parametrize("by", ["mia", "max"])
def test_a_member_of_the_customer_does_not_check_its_grant(by: str) -> None:
    assert world_in("submitted").refusal(CHECK, by=member(by)) == "role.missing"


def test_a_check_names_the_hands_behind_it() -> None:
    world = world_in("submitted")
    world.set_deputy("ben", "bob")
    (event,) = check(world, "bob", on_behalf_of="ben")
    assert isinstance(event, GrantChecked)
    assert world.grant.checks[0].persons == {"p-ben", "p-bob"}
    assert world.grant.hands[CASE] == {"p-ann", "p-ben", "p-bob"}
