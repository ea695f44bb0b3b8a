"""What a renewal may be asked for, under which policy, on which evidence, and by whose hands."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import pytest
from msgspec.structs import replace

from domain.commands.cases import CheckCase, ProposeAmendment, RequestRenewal, WithdrawCase
from domain.effect import in_force
from domain.errors import Refused
from domain.events.grant_cases import (
    GrantRenewed,
)
from domain.events.policy import (
    Group,
    Stage,
    Verification,
)
from domain.events.staff import StaffAssignmentsChanged
from domain.granting import MAX_CHECKS
from domain.renewing import MAX_CASES
from domain.values import Evidence, Imported, PolicyRef, Term
from domain.view import Loaded
from tests.domain.case_rows import gains
from tests.domain.case_story import (
    AGAIN,
    RENEWAL,
    WIDER,
    any_world_in,
    approve_case,
    case_word,
    check_case,
    renew,
    walk,
)
from tests.domain.grant_story import EASY, in_effect, request, to_active
from tests.domain.grant_world import (
    DAY,
    ENDS,
    GRANT,
    HOUR,
    STARTS,
    T0,
    TEMPLATE,
    World,
    body,
    names,
    staff,
)
from tests.domain.test_grant_renewals import easy, facts, names_of, publish_next, world_with

# --- what it is asked for -------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("term", "code"),
    [
        (Term(ends_at=ENDS), "renewal.not_longer"),
        (Term(ends_at=ENDS - DAY), "renewal.not_longer"),
        (Term(ends_at=ENDS + 366 * DAY), ""),
        (Term(ends_at=ENDS + 367 * DAY), "term.too_long"),
        (Term(days=30), "term.dates_expected"),
        (Term(), "term.dates_expected"),
        (Term(ENDS, ENDS + DAY), ""),
        (Term(ENDS + DAY, ENDS + 9 * DAY), "term.dates_expected"),
    ],
)
def test_a_renewal_prolongs_the_agreed_end(term: Term, code: str) -> None:
    world = any_world_in("active")
    command = RequestRenewal(grant_id=GRANT, case=RENEWAL, term=term)
    assert world.refusal(command, by="ann") == code


@pytest.mark.parametrize(
    ("term", "code"),
    [
        (Term(days=0), "term.empty"),
        (Term(days=366), ""),
        (Term(days=367), "term.too_long"),
        (Term(ends_at=ENDS + DAY), "term.days_expected"),
    ],
)
def test_a_policy_that_counts_days_wants_days(term: Term, code: str) -> None:
    world = in_effect(body(starts="on_approval", **EASY), term=Term(days=100))
    command = RequestRenewal(grant_id=GRANT, case=RENEWAL, term=term)
    assert world.refusal(command, by="ann") == code


def test_grace_ends_to_the_instant_and_what_has_no_end_needs_no_renewal() -> None:
    command = RequestRenewal(grant_id=GRANT, case=RENEWAL, term=Term(ends_at=AGAIN))
    world = world_with(to_active)
    world.now = ENDS + 10 * DAY
    assert world.refusal(command, by="ann") == "renewal.grace_over"
    world.now -= HOUR
    assert world.refusal(command, by="ann") == ""
    endless = World()
    endless.given("grant", GRANT, *facts(ends_at=None))
    assert endless.refusal(command, by="mia") == "renewal.no_end"


def test_actions_and_scope_are_those_agreed_on_and_still_have_to_stand() -> None:
    world = any_world_in("renewed")
    assert world.grant.terms.actions == ("sell",)
    assert world.grant.effects[1].terms.scope == world.grant.effects[0].terms.scope
    assert [one.terms.number for one in world.grant.effects] == [1, 2]
    narrower = body(actions=(body().actions[1],))
    gone = any_world_in("active")
    publish_next(gone, narrower, gone.now)
    command = RequestRenewal(grant_id=GRANT, case=RENEWAL, term=Term(ends_at=AGAIN))
    assert gone.refusal(command, by="ann") == "action.unknown"


# --- under which policy ---------------------------------------------------------------------------


def test_the_policy_in_force_when_it_is_asked_for_is_pinned_for_the_case() -> None:
    """The second version asks for one check and one approval; the third, later, for a crowd."""
    world = world_with(to_active)
    one = Stage("short", names("short"), (Group("approver", 1),), lapse_days=3)
    light = body(verification=Verification(("callback",), 1), stages=(one,), agreement=None)
    publish_next(world, light, world.now)
    renew(world)
    crowd = Stage("crowd", names("crowd"), (Group("approver", 3),))
    publish_next(world, body(stages=(crowd,)), world.now + HOUR, version=3)
    world.now += DAY
    check_case(world, "ben")
    events = approve_case(world, "carl", "short")
    assert names_of(events)[-1] is GrantRenewed
    assert [one.policy.version for one in world.grant.effects] == [1, 2]
    assert world.grant.policy == PolicyRef("dealership", 2)


# --- on what it rests -----------------------------------------------------------------------------


def permit(ends_at: datetime) -> Evidence:
    return Evidence("permit", file="file-2", sha256="0" * 64, size=9, ends_at=ends_at)


def test_a_renewal_ends_with_its_own_evidence_and_not_with_that_of_the_request() -> None:
    world = World(body(ends_with_evidence=True, **EASY))
    request(world, evidence=(permit(ENDS - DAY),), term=Term(T0, ENDS))
    assert in_force(world.grant) == ((T0, ENDS - DAY, 1),)
    world.now = ENDS - 3 * DAY
    renew(world, evidence=(permit(ENDS + 30 * DAY),))
    assert in_force(world.grant)[1] == (ENDS - DAY, ENDS + 30 * DAY, 2)


def test_a_renewal_whose_evidence_is_over_before_it_begins_is_refused() -> None:
    world = easy(ends_with_evidence=True)
    world.now = ENDS - 3 * DAY
    command = RequestRenewal(grant_id=GRANT, case=RENEWAL, term=Term(ends_at=AGAIN))
    over = (permit(ENDS),)
    assert world.refusal(command, by="ann", evidence=over) == "term.evidence_over"
    soon = (permit(ENDS + HOUR),)
    assert world.refusal(command, by="ann", evidence=soon) == ""
    assert in_force(world.grant)[1] == (ENDS, ENDS + HOUR, 2)


def test_a_renewal_ends_with_the_identity() -> None:
    world = easy(ends_with_evidence=True)
    world.now = ENDS - 3 * DAY
    renew(world, term=Term(ends_at=ENDS + 300 * DAY))
    assert in_force(world.grant)[1] == (ENDS, T0 + 365 * DAY, 2)


def test_the_evidence_that_the_policy_demands_is_demanded_again() -> None:
    world = easy()
    publish_next(world, body(evidence=("permit",)), world.now)
    command = RequestRenewal(grant_id=GRANT, case=RENEWAL, term=Term(ends_at=AGAIN))
    assert world.refusal(command, by="ann") == "grant.evidence_missing"
    assert world.refusal(command, by="ann", evidence=(permit(AGAIN),)) == ""


# --- whose hands ----------------------------------------------------------------------------------


def test_hands_are_counted_anew_in_each_case() -> None:
    """Ben checked the request; in a renewal that he has no hand in he may approve."""
    world = world_with(to_active)
    renew(world, by="mia")
    gains(world, "ben", "approver")
    gains(world, "ann", "verifier")
    check_case(world, "bob")
    check_case(world, "ann")
    approve_case(world, "ben")
    assert len(world.grant.open_case.approvals) == 1  # type: ignore[union-attr]


def test_two_who_turn_out_to_be_one_count_once_in_a_case() -> None:
    world = any_world_in("renewal_last")
    world.merge_persons("cora", "carl")
    with pytest.raises(Refused, match=r"stage\.not_open"):
        approve_case(world, "dora", "legal")
    approve_case(world, "cleo")
    approve_case(world, "dora", "legal")
    assert case_word(world) == "approved"


def test_whoever_asked_for_the_renewal_may_take_it_back() -> None:
    """Amy looked after the shop when she asked; she does not any more."""
    world = world_with(to_active)
    by: dict[str, Any] = {"at": world.now, "by": staff("root")}
    world.given("staff", "amy", StaffAssignmentsChanged(**by, customers=("shop",)))
    renew(world, by="amy")
    world.given("staff", "amy", StaffAssignmentsChanged(**by, customers=()))
    world.run(WithdrawCase(grant_id=GRANT, case=RENEWAL), by="amy")
    assert case_word(world) == "withdrawn"
    again = RequestRenewal(grant_id=GRANT, case="r2", term=Term(ends_at=AGAIN))
    assert world.refusal(again, by="amy") == "role.not_requester"


# --- narrowed so that it begins later -------------------------------------------------------------


def test_between_the_old_end_and_a_later_start_it_waits() -> None:
    world = World(body(agreement=None))
    walk_unsigned(world)
    later = Term(ENDS + 20 * DAY, AGAIN)
    approve_case(world, "cora", term=later)
    approve_case(world, "carl")
    approve_case(world, "dora", "legal")
    assert in_force(world.grant)[1] == (ENDS + 20 * DAY, AGAIN, 2)
    states = {}
    for days in (-1, 0, 19, 20):
        world.now = ENDS + days * DAY
        states[days] = world.status
    assert states == {-1: "active", 0: "scheduled", 19: "scheduled", 20: "active"}


def walk_unsigned(world: World) -> None:
    """To a renewal that waits for its approvals, where nobody signs."""
    world.given("grant", GRANT, *facts(ends_at=ENDS))
    world.now = ENDS - 30 * DAY
    renew(world, by="mia")
    check_case(world, "ben")
    check_case(world, "bob", "site_visit")


def test_a_renewal_imported_before_the_first_effect_loses_neither() -> None:
    asked, activated = facts(ends_at=ENDS)
    by = {"at": ENDS, "by": staff("root"), "imported": Imported("permits.csv", 3)}
    renewed = GrantRenewed(**by, case="old", starts_at=ENDS, ends_at=AGAIN)
    for order in ((asked, renewed, activated), (renewed, asked, activated)):
        world = World()
        world.given("grant", GRANT, *order)
        assert world.grant.irregular
        assert in_force(world.grant) == ((T0, ENDS, 1), (ENDS, AGAIN, 2))
        world.now = STARTS
        assert world.status == "active"


def test_what_is_signed_names_exactly_the_terms_of_the_renewal() -> None:
    world = any_world_in("renewal_approved")
    case = world.grant.open_case
    assert case is not None
    assert case.terms.number == 2
    assert case.terms.term == Term(ENDS, AGAIN)
    assert TEMPLATE.signers == ("grantee", "tenant")
    walk("renewal", "agreed")(again := World())
    assert again.grant.effects[1].terms == case.terms


# --- limits ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(("cases", "code"), [(MAX_CASES - 1, ""), (MAX_CASES, "case.too_many")])
def test_a_grant_has_so_many_cases_and_no_more(cases: int, code: str) -> None:
    world = any_world_in("active")
    closed = {f"case-{number}": "withdrawn" for number in range(cases)}
    world.streams[GRANT] = Loaded(9, replace(world.grant, closed=closed))
    renewal = RequestRenewal(grant_id=GRANT, case=RENEWAL, term=Term(ends_at=AGAIN))
    amendment = ProposeAmendment(grant_id=GRANT, case="a1", scope=WIDER)
    assert world.again().refusal(renewal, by="ann") == code
    assert world.refusal(amendment, by="ann") == code


def test_a_case_gathers_so_many_checks_and_no_more() -> None:
    world = any_world_in("renewal_verifying")
    case = world.grant.open_case
    assert case is not None
    for checks, code in ((MAX_CHECKS - 1, ""), (MAX_CHECKS, "grant.too_many_checks")):
        full = replace(case, checks=checks * case.checks[:1])
        world.streams[GRANT] = Loaded(9, replace(world.grant, open_case=full))
        more = CheckCase(grant_id=GRANT, case=RENEWAL, check="visit", channel="email")
        assert world.again().refusal(more, by="ben") == code
