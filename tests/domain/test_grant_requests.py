"""Asking for a grant: by whom, for whom, for what, on what evidence, and what follows by itself."""

from __future__ import annotations

from datetime import timedelta, timezone
from typing import Any

import pytest

from domain.events.grant import (
    GrantActivated,
    GrantApproved,
    GrantRequested,
    GrantScheduled,
    GrantVerified,
)
from domain.grant_states import ends_of
from domain.sealing import Sealed
from domain.values import Evidence, PolicyRef, Term
from domain.view import Claim
from tests.domain.grant_story import (
    check,
    request,
    requesting,
)
from tests.domain.grant_world import (
    CASE,
    DAY,
    ENDS,
    GRANT,
    LICENCE,
    RECORDING,
    STARTS,
    T0,
    World,
    body,
    staff,
)


def refused(world: World, by: str = "ann", evidence: tuple[Evidence, ...] = (), **changes: Any):
    return world.refusal(requesting(**changes), by=by, evidence=evidence)


def test_a_requester_of_the_staff_asks_and_the_policy_in_force_is_pinned() -> None:
    world = World()
    (event,) = request(world)
    assert isinstance(event, GrantRequested)
    assert event.policy == PolicyRef("dealership", 1)
    assert (event.case, event.grantee, event.by) == (CASE, "customer:shop", staff("ann"))
    assert world.status == "submitted"
    assert world.grant.hands == {CASE: frozenset({"p-ann"})}


def test_a_member_asks_for_the_customer_they_act_for() -> None:
    assert request(World(), by="mia")


def test_everything_a_request_rests_on_is_a_read() -> None:
    world = World()
    request(world)
    assert set(world.reads) >= {GRANT, "dealership", "shop", "ann", "p-ann", "the-tenant"}


def test_the_number_is_claimed_for_the_grant() -> None:
    world = World()
    request(world)
    assert world.claims == [Claim("grant_number", b"keyed", GRANT)]


@pytest.mark.parametrize(
    ("by", "code"),
    [("ben", "role.missing"), ("idle", "role.missing"), ("sue", "member.missing")],
)
def test_nobody_else_asks(by: str, code: str) -> None:
    assert refused(World(), by) == code


def test_a_service_does_not_ask() -> None:
    assert refused(World(), "rules") == "member.missing"


def test_a_member_of_another_customer_does_not_ask() -> None:
    world = World()
    world.add_customer("rival", {})
    assert refused(world, "mia", grantee="customer:rival") == "member.missing"


def test_a_customer_only_registered_may_be_asked_for() -> None:
    world = World()
    world.add_customer("new", {}, confirmed=False)
    assert request(world, grantee="customer:new")


def test_a_blocked_customer_is_not_asked_for() -> None:
    world = World()
    world.block()
    assert refused(world) == "grantee.blocked"


def test_a_customer_whose_confirmation_is_over_is_not_asked_for() -> None:
    world = World()
    world.now = T0 + 365 * DAY
    later = Term(world.now, world.now + DAY)
    assert refused(world, term=later) == "grantee.lapsed"


def test_a_customer_merged_away_is_not_asked_for() -> None:
    world = World()
    world.add_customer("old", {})
    world.merge_customers("old", "shop")
    assert refused(world, grantee="customer:old") == "grantee.merged"


def test_someone_unknown_is_not_asked_for() -> None:
    assert refused(World(), grantee="customer:nobody") == "grantee.unknown"
    assert refused(World(), grantee="service:shop") == "grantee.unknown"


def test_a_grant_can_be_asked_for_staff_who_work_here() -> None:
    world = World()
    assert request(world, grantee="staff:idle")
    former = World()
    former.deactivate("idle")
    assert refused(former, grantee="staff:idle") == "grantee.standing"


def test_without_a_policy_in_force_nothing_is_asked_for() -> None:
    assert refused(World(), policy="unknown") == "policy.unknown"
    early = World()
    early.now = T0 - 11 * DAY
    assert refused(early) == "policy.not_in_force"


@pytest.mark.parametrize(
    ("actions", "code"),
    [((), "action.none"), (("sell", "sell"), "action.repeated"), (("fly",), "action.unknown")],
)
def test_actions_are_those_of_the_policy(actions: tuple[str, ...], code: str) -> None:
    assert refused(World(), actions=actions) == code


@pytest.mark.parametrize(
    ("scope", "code"),
    [
        ({}, "scope.no_dimension"),
        ({"product": ("tea",)}, "scope.dimension_missing"),
        ({"product": ("tea",), "territory": ("CN",), "channel": ("*",)}, "scope.dimension_unknown"),
        ({"product": ("tea",), "territory": ()}, "scope.no_pattern"),
        ({"product": ("tea",), "territory": ("US",)}, "scope.point_unknown"),
        ({"product": ("old",), "territory": ("CN",)}, "scope.point_ended"),
        ({"product": ("*/tea",), "territory": ("CN",)}, "scope.star"),
    ],
)
def test_the_scope_is_of_the_policys_dimensions_and_points_that_stand(
    scope: dict[str, tuple[str, ...]], code: str
) -> None:
    assert refused(World(), scope=scope) == code


def test_a_point_that_ends_later_may_still_be_asked_for() -> None:
    world = World()
    world.now = T0 - 2 * DAY
    assert request(world, scope={"product": ("old",), "territory": ("*",)})


def test_terms_are_written_down_in_one_form() -> None:
    world = World()
    china = timezone(timedelta(hours=8))
    request(
        world,
        actions=("sell", "advertise"),
        scope={"territory": ("CN/31/0115", "CN/31"), "product": ("tea/green", "tea")},
        term=Term(STARTS.astimezone(china), ENDS.astimezone(china)),
    )
    asked = world.grant.terms
    assert asked.actions == ("advertise", "sell")
    assert asked.scope == {"product": ("tea",), "territory": ("CN/31",)}
    assert asked.term.starts_at is not None
    assert asked.term.starts_at.utcoffset() == timedelta(0)


@pytest.mark.parametrize(
    ("term", "code"),
    [
        (Term(), "term.dates_expected"),
        (Term(STARTS), "term.dates_expected"),
        (Term(STARTS, ENDS, 3), "term.dates_expected"),
        (Term(ENDS, STARTS), "term.empty"),
        (Term(STARTS, STARTS), "term.empty"),
        (Term(STARTS, STARTS + 367 * DAY), "term.too_long"),
        (Term(T0 - 9 * DAY, T0), "term.over"),
    ],
)
def test_a_fixed_term_has_both_dates_within_the_longest(term: Term, code: str) -> None:
    assert refused(World(), term=term) == code


def test_the_longest_term_itself_is_allowed() -> None:
    assert request(World(), term=Term(STARTS, STARTS + 366 * DAY))


@pytest.mark.parametrize("starts", ["on_approval", "on_signature"])
@pytest.mark.parametrize(
    ("term", "code"),
    [
        (Term(STARTS, ENDS), "term.days_expected"),
        (Term(), "term.days_expected"),
        (Term(days=0), "term.empty"),
        (Term(days=367), "term.too_long"),
        (Term(days=366), ""),
    ],
)
def test_a_term_that_starts_later_is_counted_in_days(starts: Any, term: Term, code: str) -> None:
    assert refused(World(body(starts=starts)), term=term) == code


@pytest.mark.parametrize("channel", ["phone", "interview", "video"])
def test_a_spoken_request_counts_only_with_a_stored_record(channel: str) -> None:
    on_paper = Evidence("written_note", place=Sealed("c", "k", b"binder 1"))
    no_record = Evidence("photo", file="file-2")
    for shown in ((), (on_paper,), (no_record,)):
        code = refused(World(), evidence=shown, channel=channel)
        assert code == "grant.spoken_without_record"
    assert request(World(), evidence=(RECORDING,), channel=channel)
    assert refused(World(), channel="pigeon") == "channel.unknown"


def test_the_evidence_that_the_policy_demands_is_shown_with_the_request() -> None:
    demanding = body(evidence=("business_licence", "contract"))
    assert refused(World(demanding), evidence=(LICENCE,)) == "grant.evidence_missing"
    assert request(
        World(demanding),
        evidence=(LICENCE, Evidence("contract", place=Sealed("c", "k", b"binder 8"))),
    )


def test_what_the_policy_does_not_let_be_passed_on_cannot_be_asked_for_so() -> None:
    assert refused(World(), parent="another") == "grant.passing_on_not_offered"
    assert refused(World(), pass_on=1) == "grant.passing_on_not_offered"


def test_a_grant_is_requested_once() -> None:
    world = World()
    request(world)
    assert refused(world) == "grant.state"


# --- what follows by itself -----------------------------------------------------------------------


def kinds(events: list[Any]) -> list[type]:
    return [type(event) for event in events]


def test_where_no_check_is_demanded_a_request_is_verified_at_once() -> None:
    world = World(body(verification=None))
    assert kinds(request(world)) == [GrantRequested, GrantVerified]
    assert world.status == "pending_approval"


def test_where_every_action_is_free_no_stage_is_waited_for() -> None:
    world = World(body(verification=None))
    assert kinds(request(world, actions=("advertise",))) == [
        GrantRequested, GrantVerified, GrantApproved,
    ]  # fmt: skip
    assert world.status == "approved"


def test_one_action_that_is_not_free_waits_for_the_stages() -> None:
    world = World(body(verification=None))
    request(world, actions=("advertise", "sell"))
    assert world.status == "pending_approval"


def test_free_actions_are_still_checked_where_checks_are_demanded() -> None:
    world = World()
    assert kinds(request(world, actions=("advertise",))) == [GrantRequested]
    check(world, "ben")
    events = check(world, "bob")
    assert kinds(events)[1:] == [GrantVerified, GrantApproved]


def test_without_stage_and_signature_a_request_takes_effect_by_itself() -> None:
    free = body(verification=None, agreement=None)
    world = World(free)
    assert kinds(request(world, actions=("advertise",)))[-1] is GrantScheduled
    started = World(free)
    term = Term(T0 - DAY, ENDS)
    (*_, event) = request(started, actions=("advertise",), term=term)
    assert isinstance(event, GrantActivated)
    assert (event.starts_at, event.ends_at) == (T0, ENDS)
    assert started.status == "active"


def test_a_policy_that_says_no_approval_is_needed_approves_what_is_verified() -> None:
    world = World(body(no_approval_needed=True, stages=()))
    request(world)
    check(world, "ben")
    assert kinds(check(world, "bob"))[1:] == [GrantVerified, GrantApproved]


def test_a_policy_without_stages_that_says_nothing_approves_nothing() -> None:
    world = World(body(stages=(), verification=None))
    request(world)
    assert world.status == "pending_approval"
    world.now = T0 + 30 * DAY
    assert world.status == "lapsed"


def test_a_term_may_end_with_the_evidence_and_identity_it_rests_on() -> None:
    ends = T0 + 90 * DAY
    licence = Evidence("business_licence", place=Sealed("c", "k", b"binder 7"), ends_at=ends)
    resting = body(verification=None, agreement=None, ends_with_evidence=True)
    world = World(resting)
    request(world, evidence=(licence,), actions=("advertise",))
    assert world.grant.terms.term.ends_at == ends
    assert ends_of(world.grant) == ends
    unbound = World(body(verification=None, agreement=None))
    request(unbound, evidence=(licence,), actions=("advertise",))
    assert unbound.grant.terms.term.ends_at == ENDS
    gone = Evidence("business_licence", place=Sealed("c", "k", b"binder 7"), ends_at=STARTS)
    assert refused(World(resting), evidence=(gone,), actions=("advertise",)) == "term.evidence_over"
    with_identity = World(resting)
    long = Term(T0 + 100 * DAY, T0 + 400 * DAY)
    request(with_identity, actions=("advertise",), term=long)
    assert with_identity.grant.terms.term.ends_at == T0 + 365 * DAY
