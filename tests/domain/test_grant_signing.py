"""Signing on exactly the approved terms, when they start, and the ways a request ends unsigned."""

from __future__ import annotations

import hashlib
from datetime import timedelta
from typing import Any

import pytest

from domain.commands.grants import (
    DeclineGrant,
    FailCheck,
    NoteGrant,
    RejectGrant,
    RetractApproval,
    SignGrant,
    WithdrawGrant,
)
from domain.commands.supervision import (
    RecordActivation,
    RecordExpiry,
    RecordGrantLapse,
)
from domain.effect import in_force
from domain.events.customer import CustomerUnblocked
from domain.events.grant import (
    GrantActivated,
    GrantApproved,
    GrantExpired,
    GrantLapsed,
    GrantRejected,
    GrantScheduled,
    GrantVerificationFailed,
)
from domain.events.policy import Agreement
from domain.sealing import Sealed
from domain.terms import agreement_digest
from domain.values import Reason, Term, Terms
from tests.domain.grant_story import (
    EASY,
    approve,
    check,
    in_effect,
    request,
    sign,
    to_approved,
    world_in,
)
from tests.domain.grant_world import (
    DAY,
    ENDS,
    GRANT,
    STARTS,
    T0,
    TEMPLATE,
    WHY,
    World,
    body,
    member,
    staff,
    terms,
)

# --- signature ------------------------------------------------------------------------------------


def test_the_digest_is_of_the_template_and_exactly_the_approved_terms() -> None:
    canonical = (
        b'{"actions":["sell"],"kind":"dealership",'
        b'"scope":{"product":["tea"],"territory":["CN/31"]},'
        b'"term":{"ends_at":"2026-09-18T08:00:00Z","starts_at":"2026-03-07T08:00:00Z"}}'
    )
    parts = (b"dealer", b"3", b"ab" * 32, canonical)
    framed = b"".join(len(part).to_bytes(4, "big") + part for part in parts)
    assert agreement_digest(TEMPLATE, terms()) == hashlib.sha256(framed).hexdigest()


@pytest.mark.parametrize(
    ("agreement", "said"),
    [
        (Agreement("dealer2", "3", "ab" * 32), terms()),
        (Agreement("dealer", "4", "ab" * 32), terms()),
        (Agreement("dealer", "3", "ac" * 32), terms()),
        (TEMPLATE, terms(actions=("advertise",))),
        (TEMPLATE, terms(scope={"product": ("tea",), "territory": ("CN/44",)})),
        (TEMPLATE, terms(term=Term(STARTS, ENDS + DAY))),
        (TEMPLATE, terms(number=2)),
    ],
)
def test_anything_else_has_another_digest(agreement: Agreement, said: Terms) -> None:
    assert agreement_digest(agreement, said) != agreement_digest(TEMPLATE, terms())


def test_the_order_of_dimensions_does_not_change_the_digest() -> None:
    turned = terms(scope={"territory": ("CN/31",), "product": ("tea",)})
    assert agreement_digest(TEMPLATE, turned) == agreement_digest(TEMPLATE, terms())


def test_it_takes_effect_when_each_party_named_by_the_template_signed() -> None:
    world = world_in("approved")
    assert len(sign(world, "cleo", "tenant")) == 1
    events = sign(world, "mia")
    assert isinstance(events[-1], GrantScheduled)
    assert (events[-1].starts_at, events[-1].ends_at) == (STARTS, ENDS)


def test_a_party_that_the_template_does_not_name_does_not_sign() -> None:
    one = body(agreement=Agreement("dealer", "3", "ab" * 32, ("grantee",)))
    world = World(one)
    to_approved(world)
    command = SignGrant(grant_id=GRANT, party="tenant", digest=world.digest)
    assert world.refusal(command, by="cleo") == "agreement.not_a_signer"
    decline = DeclineGrant(grant_id=GRANT, party="tenant")
    assert world.refusal(decline, by="cleo") == "agreement.not_a_signer"
    assert isinstance(sign(world, "mia")[-1], GrantScheduled)


@pytest.mark.parametrize(
    ("by", "party", "code"),
    [
        ("sue", "grantee", "member.missing"),
        ("cleo", "grantee", "member.missing"),
        ("mia", "tenant", "role.missing"),
        ("ann", "tenant", "role.missing"),
        ("rules", "grantee", "member.missing"),
    ],
)
def test_each_party_signs_by_its_own_people(by: str, party: Any, code: str) -> None:
    world = world_in("approved")
    command = SignGrant(grant_id=GRANT, party=party, digest=world.digest)
    assert world.refusal(command, by=by) == code


def test_an_agreement_not_signed_in_time_lapses() -> None:
    world = world_in("approved")
    (approved,) = [event for event in world.grant_events if isinstance(event, GrantApproved)]
    world.now = approved.at + 14 * DAY - timedelta(microseconds=1)
    assert world.status == "approved"
    world.now += timedelta(microseconds=1)
    assert world.status == "lapsed"
    (lapsed,) = world.run(RecordGrantLapse(grant_id=GRANT), by="timekeeper")
    assert isinstance(lapsed, GrantLapsed)
    assert lapsed.lapsed_at == approved.at + 14 * DAY


def test_a_declined_agreement_rejects_the_request() -> None:
    world = world_in("half_signed")
    (event,) = world.run(DeclineGrant(grant_id=GRANT, party="tenant"), by="carl")
    assert isinstance(event, GrantRejected)
    assert event.origin == "declined"


# --- when it starts -------------------------------------------------------------------------------


def test_a_fixed_term_that_began_already_takes_effect_now_and_not_before() -> None:
    world = World(body(**EASY))
    (*_, event) = request(world, term=Term(T0 - 5 * DAY, ENDS))
    assert isinstance(event, GrantActivated)
    assert (event.starts_at, event.ends_at) == (T0, ENDS)


def test_a_term_on_approval_gets_its_dates_with_the_approval() -> None:
    world = World(body(verification=None, starts="on_approval"))
    request(world, term=Term(days=30))
    approve(world, "cora")
    approve(world, "carl")
    world.now = T0 + 2 * DAY
    approve(world, "dora", "legal")
    assert world.grant.terms.term == Term(T0 + 2 * DAY, T0 + 32 * DAY)
    sign(world, "mia")
    world.now = T0 + 3 * DAY
    sign(world, "cleo", "tenant")
    assert in_force(world.grant) == ((T0 + 3 * DAY, T0 + 32 * DAY, 1),)


def test_a_term_on_signature_gets_its_dates_with_the_last_signature() -> None:
    world = World(body(verification=None, starts="on_signature"))
    request(world, term=Term(days=30))
    for by, stage in (("cora", "regional"), ("carl", "regional"), ("dora", "legal")):
        approve(world, by, stage)
    assert world.grant.terms.term == Term(days=30)
    world.now = T0 + 2 * DAY
    sign(world, "mia")
    world.now = T0 + 3 * DAY
    sign(world, "cleo", "tenant")
    assert in_force(world.grant) == ((T0 + 3 * DAY, T0 + 33 * DAY, 1),)


def test_a_stage_not_decided_in_time_lapses_and_the_next_has_its_own_time() -> None:
    world = world_in("pending_approval")
    world.now += 9 * DAY
    approve(world, "carl")
    assert world.grant.lapses_at == world.now + 5 * DAY
    world.now += 5 * DAY
    assert world.status == "lapsed"


def test_activation_is_written_down_once_by_the_timekeeper() -> None:
    world = world_in("active_by_clock")
    before = in_force(world.grant)
    (event,) = world.run(RecordActivation(grant_id=GRANT), by="timekeeper")
    assert isinstance(event, GrantActivated)
    assert in_force(world.grant) == before
    assert world.run(RecordActivation(grant_id=GRANT), by="timekeeper") == []


def test_for_a_customer_blocked_at_the_start_activation_is_written_down_after_the_block() -> None:
    world = world_in("active_by_clock")
    world.block()
    command = RecordActivation(grant_id=GRANT)
    assert world.refusal(command, by="timekeeper") == "grantee.standing"
    world.now += DAY
    world.given("customer", "shop", CustomerUnblocked(at=world.now, by=staff("dora")))
    assert world.run(command, by="timekeeper")


def test_expiry_changes_no_answer() -> None:
    world = world_in("expired_by_clock")
    before = in_force(world.grant)
    (event,) = world.run(RecordExpiry(grant_id=GRANT), by="timekeeper", at=ENDS + DAY)
    assert isinstance(event, GrantExpired)
    assert event.expired_at == ENDS
    assert in_force(world.grant) == before == ((T0 + 9 * DAY, ENDS, 1),)


# --- rejection, withdrawal, retraction ------------------------------------------------------------


def test_a_failed_check_rejects_the_request() -> None:
    world = world_in("verifying")
    command = FailCheck(grant_id=GRANT, check="callback", channel="email")
    events = world.run(command, by="bob", reason=Reason(code="no-such-shop"))
    assert [type(event) for event in events] == [GrantVerificationFailed, GrantRejected]


def test_a_reason_needs_a_code_or_a_text() -> None:
    world = world_in("pending_approval")
    command = RejectGrant(grant_id=GRANT)
    assert world.refusal(command, by="carl", reason=Reason()) == "reason.missing"


def test_a_request_that_waits_for_nobodys_stage_is_rejected_by_an_approver() -> None:
    world = World(body(verification=None, stages=()))
    request(world)
    command = RejectGrant(grant_id=GRANT)
    assert world.refusal(command, by="dora", reason=WHY) == "role.missing"
    assert world.run(command, by="cora", reason=WHY)


@pytest.mark.parametrize(("by", "code"), [("sue", "member.missing"), ("cleo", "member.missing")])
def test_only_who_signs_for_a_party_declines_for_it(by: str, code: str) -> None:
    command = DeclineGrant(grant_id=GRANT, party="grantee")
    assert world_in("approved").refusal(command, by=by) == code


def test_an_approver_takes_their_approval_back_and_may_give_it_again() -> None:
    world = world_in("pending_approval")
    world.run(RetractApproval(grant_id=GRANT, stage="regional"), by="cora")
    assert world.grant.approvals == ()
    assert approve(world, "cora")


def test_an_approval_is_taken_back_also_under_another_record_of_the_person() -> None:
    world = world_in("pending_approval")
    world.merge_persons("cora", "cleo")
    assert world.run(RetractApproval(grant_id=GRANT, stage="regional"), by="cleo")
    assert world.grant.approvals == ()


def test_a_member_takes_the_request_back() -> None:
    assert world_in("approved").run(WithdrawGrant(grant_id=GRANT), by="mia")


# --- notes ----------------------------------------------------------------------------------------


def test_a_note_says_something_and_comes_from_someone_concerned() -> None:
    world = in_effect()
    assert world.refusal(NoteGrant(grant_id=GRANT), by="ann") == "note.empty"
    world.add_customer("rival", {"rex": ("request",)})
    note = NoteGrant(grant_id=GRANT, label="called")
    spoken = NoteGrant(grant_id=GRANT, label="called the shop")
    assert world.refusal(spoken, by="ann") == "code.malformed"
    assert world.run(NoteGrant(grant_id=GRANT, text=Sealed("shop", "key", b"box")), by="ann")
    assert world.refusal(note, by=member("rex", "customer:rival")) == "member.missing"
    for by in ("sue", "idle", "rules"):
        assert world.run(note, by=by)


def test_commands_on_an_unknown_grant_are_refused_as_unknown() -> None:
    world = World()
    assert world.refusal(WithdrawGrant(grant_id="another"), by="ann") == "grant.unknown"


def test_a_check_reaches_the_quorum_with_the_second_person() -> None:
    world = world_in("verifying")
    assert len(check(world, "bob")) == 2
