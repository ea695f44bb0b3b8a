"""An approver may leave less of what was asked for, where the stage lets them; never more."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from msgspec.structs import replace

from domain.commands.cases import ApproveCase, RetractCaseApproval
from domain.commands.grants import ApproveStage
from domain.effect import in_force
from domain.errors import Refused
from domain.events.grant import GrantApproved, GrantStageApproved
from domain.events.grant_cases import GrantAmended, GrantRenewalStageApproved
from domain.values import Scope, Term, Terms
from tests.domain.case_story import (
    AGAIN,
    RENEWAL,
    agree,
    amend,
    any_world_in,
    approve_case,
    check_case,
    renew,
    sign_case,
)
from tests.domain.grant_story import approve, check, request, sign, to_active
from tests.domain.grant_world import DAY, ENDS, GRANT, HOUR, STARTS, T0, World, body, terms

ASKED = terms(actions=("advertise", "sell"))
LESS: Scope = {"product": ("tea/green",), "territory": ("CN/31",)}

Way = Callable[[World, dict[str, Any]], list[Any]]


def waiting(**asked: Any) -> World:
    """A request for two actions that waits for its first stage."""
    world = World()
    request(world, **{"actions": ("sell", "advertise"), **asked})
    check(world, "ben")
    check(world, "bob", "site_visit")
    return world


def narrow(world: World, by: str = "cora", stage: str = "regional", **less: Any) -> list[Any]:
    return world.run(ApproveStage(grant_id=GRANT, stage=stage, **less), by=by)


def refused(world: World, by: str = "cora", stage: str = "regional", **less: Any) -> str:
    return world.refusal(ApproveStage(grant_id=GRANT, stage=stage, **less), by=by)


@pytest.mark.parametrize(
    ("less", "left"),
    [
        ({"actions": ("sell",)}, replace(ASKED, actions=("sell",))),
        ({"scope": LESS}, replace(ASKED, scope=LESS)),
        (
            {"term": Term(STARTS + DAY, ENDS - DAY)},
            replace(ASKED, term=Term(STARTS + DAY, ENDS - DAY)),
        ),
        ({"term": Term(STARTS, ENDS - DAY)}, replace(ASKED, term=Term(STARTS, ENDS - DAY))),
        (
            {"actions": ("sell",), "scope": LESS, "term": Term(STARTS, STARTS + DAY)},
            terms(scope=LESS, term=Term(STARTS, STARTS + DAY)),
        ),
    ],
)
def test_what_an_approver_leaves_is_what_goes_on(less: dict[str, Any], left: Terms) -> None:
    world = waiting()
    (event,) = narrow(world, **less)
    assert isinstance(event, GrantStageApproved)
    assert (event.terms, world.grant.terms) == (left, left)
    assert len(world.grant.approvals) == 1
    approve(world, "carl")
    approved = approve(world, "dora", "legal")[1]
    assert isinstance(approved, GrantApproved)
    assert approved.terms == left


@pytest.mark.parametrize(
    ("more", "code"),
    [
        ({"scope": {"product": ("tea",), "territory": ("CN",)}}, "terms.widened"),
        ({"scope": {"product": ("*",), "territory": ("CN/31",)}}, "terms.widened"),
        ({"scope": {"product": ("tea",), "territory": ("CN/31", "CN/44")}}, "terms.widened"),
        ({"scope": {"product": ("tea",)}}, "scope.dimension_missing"),
        ({"scope": {"product": ("tea/red",), "territory": ("CN/31",)}}, "scope.point_unknown"),
        ({"term": Term(STARTS, ENDS + HOUR)}, "terms.widened"),
        ({"term": Term(STARTS - HOUR, ENDS)}, "terms.widened"),
        ({"term": Term(STARTS)}, "terms.widened"),
        ({"term": Term(ends_at=ENDS)}, "terms.widened"),
        ({"term": Term(days=9)}, "terms.widened"),
        ({"term": Term(STARTS, STARTS)}, "term.empty"),
        ({"actions": ()}, "action.none"),
        ({"actions": ("sell", "fly")}, "action.unknown"),
    ],
)
def test_nothing_is_widened_and_something_is_left(more: dict[str, Any], code: str) -> None:
    world = waiting()
    before = world.grant
    assert refused(world, **more) == code
    assert world.grant is before


def test_an_action_that_was_not_asked_for_is_not_given() -> None:
    world = waiting(actions=("sell",))
    assert refused(world, actions=("advertise",)) == "terms.widened"
    assert refused(world, actions=("advertise", "sell")) == "terms.widened"
    assert refused(world, actions=("sell",)) == ""
    assert world.grant.terms == terms()


def test_what_is_over_by_now_is_not_left() -> None:
    world = waiting()
    world.now = T0 + 9 * DAY
    assert refused(world, term=Term(STARTS, T0 + 9 * DAY)) == "term.over"
    assert refused(world, term=Term(STARTS, T0 + 9 * DAY + HOUR)) == ""


def test_only_where_the_stage_lets_them() -> None:
    world = waiting()
    approve(world, "cora")
    approve(world, "carl")
    assert refused(world, "dora", "legal", actions=("sell",)) == "stage.may_not_narrow"
    same = {"actions": ("sell", "advertise"), "scope": ASKED.scope, "term": ASKED.term}
    assert refused(world, "dora", "legal", **same) == ""
    assert world.grant.terms == ASKED


def test_earlier_approvals_stand_for_less_than_was_asked_for() -> None:
    world = waiting()
    approve(world, "cora")
    narrow(world, "carl", scope=LESS)
    assert len(world.grant.approvals) == 2
    approve(world, "dora", "legal")
    assert (world.status, world.grant.terms.scope) == ("approved", LESS)


def test_who_narrows_second_narrows_what_the_first_left() -> None:
    world = waiting()
    narrow(world, "cora", scope=LESS)
    assert refused(world, "carl", scope=ASKED.scope) == "terms.widened"
    narrow(world, "carl", actions=("sell",))
    assert (world.grant.terms.scope, world.grant.terms.actions) == (LESS, ("sell",))


def test_who_approved_already_narrows_nothing_by_approving_again() -> None:
    """Answered as if it were done it would be believed."""
    world = waiting()
    narrow(world, "cora", scope=LESS)
    assert narrow(world, "cora", scope=LESS) == []
    assert approve(world, "cora") == []
    assert refused(world, "cora", actions=("sell",)) == "duties.not_separate"
    case = any_world_in("renewal_pending")
    again = ApproveCase(
        grant_id=GRANT, case=RENEWAL, stage="regional", term=Term(ENDS, AGAIN - DAY)
    )
    assert case.refusal(again, by="cora") == "duties.not_separate"


def test_narrowing_stays_when_the_approval_that_brought_it_is_taken_back() -> None:
    """Less was written down; who wants more has to ask for it."""
    world = any_world_in("renewal_verifying")
    check_case(world, "bob")
    approve_case(world, "cora", term=Term(ENDS, AGAIN - DAY))
    world.run(RetractCaseApproval(grant_id=GRANT, case=RENEWAL, stage="regional"), by="cora")
    case = world.grant.open_case
    assert case is not None
    assert (case.approvals, case.terms.term) == ((), Term(ENDS, AGAIN - DAY))


def test_the_shorter_term_is_what_is_signed_and_what_holds() -> None:
    world = waiting()
    narrow(world, term=Term(STARTS + DAY, ENDS - DAY))
    approve(world, "carl")
    approve(world, "dora", "legal")
    sign(world, "mia")
    sign(world, "cleo", "tenant")
    assert in_force(world.grant) == ((STARTS + DAY, ENDS - DAY, 1),)


def test_days_are_narrowed_to_fewer_days() -> None:
    world = World(body(starts="on_signature"))
    request(world, term=Term(days=100))
    check(world, "ben")
    check(world, "bob", "site_visit")
    assert refused(world, term=Term(days=101)) == "terms.widened"
    assert refused(world, term=Term(days=0)) == "term.empty"
    assert refused(world, term=Term(STARTS, ENDS)) == "terms.widened"
    assert refused(world, term=Term(days=30)) == ""
    assert world.grant.terms.term == Term(days=30)


# --- in a case ------------------------------------------------------------------------------------


def test_a_renewal_is_narrowed_like_a_request() -> None:
    world = any_world_in("renewal_pending")
    with pytest.raises(Refused, match=r"terms\.widened"):
        approve_case(world, "carl", term=Term(ENDS, AGAIN + DAY))
    (event,) = approve_case(world, "carl", scope=LESS, term=Term(ENDS, AGAIN - DAY))
    assert isinstance(event, GrantRenewalStageApproved)
    assert event.terms == terms(number=2, scope=LESS, term=Term(ENDS, AGAIN - DAY))
    approve_case(world, "dora", "legal")
    sign_case(world, "mia", "grantee")
    sign_case(world, "cleo", "tenant")
    assert in_force(world.grant)[1] == (ENDS, AGAIN - DAY, 2)
    assert [one.terms.scope for one in world.grant.effects] == [terms().scope, LESS]


def test_an_amendment_is_narrowed_down_from_what_it_asks_for() -> None:
    world = World()
    to_active(world)
    amend(world, ends_at=ENDS + 50 * DAY)
    check_case(world, "ben")
    check_case(world, "bob")
    approve_case(world, "cora", term=Term(ends_at=ENDS + 20 * DAY))
    approve_case(world, "carl")
    approve_case(world, "dora", "legal")
    sign_case(world, "mia", "grantee")
    amended = sign_case(world, "cleo", "tenant")[-1]
    assert isinstance(amended, GrantAmended)
    assert amended.ends_at == ENDS + 20 * DAY


def test_a_renewal_after_a_narrowed_request_asks_for_what_was_left() -> None:
    world = waiting()
    narrow(world, scope=LESS)
    approve(world, "carl")
    approve(world, "dora", "legal")
    sign(world, "mia")
    world.now = STARTS + DAY
    sign(world, "cleo", "tenant")
    renew(world)
    agree(world)
    assert world.grant.effects[1].terms.scope == LESS


# --- retracting -----------------------------------------------------------------------------------


def test_an_approval_of_a_case_taken_back_counts_no_longer() -> None:
    world = any_world_in("renewal_pending")
    world.run(RetractCaseApproval(grant_id=GRANT, case=RENEWAL, stage="regional"), by="cora")
    approve_case(world, "carl")
    with pytest.raises(Refused, match=r"stage\.not_open"):
        approve_case(world, "dora", "legal")
    approve_case(world, "cora")
    approve_case(world, "dora", "legal")
    assert world.grant.open_case is not None
    assert world.grant.open_case.status == "approved"


def test_who_took_their_approval_back_is_no_hand_in_the_case_any_more() -> None:
    world = any_world_in("renewal_pending")
    world.run(RetractCaseApproval(grant_id=GRANT, case=RENEWAL, stage="regional"), by="cora")
    case = world.grant.open_case
    assert case is not None
    assert case.hands == {RENEWAL: frozenset({"p-ann", "p-ben", "p-bob"})}
