"""What the policy says of whom it admits, and of how long: grades, and terms that end with what
they rest on."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from domain.commands.cases import ProposeAmendment, RequestRenewal
from domain.commands.grants import ApproveStage, AskInformation, ProvideInformation
from domain.errors import Refused
from domain.events.customer import (
    CustomerConfirmed,
    CustomerGraded,
    CustomerRegistered,
    MemberAdded,
)
from domain.events.policy import PolicyBody
from domain.grant_states import ends_of
from domain.policy_bodies import body_fault
from domain.values import Evidence, Term
from tests.domain.grant_family import SIGNED, Family, asked, easy, somewhere, staged
from tests.domain.grant_world import ACTS, DAY, ENDS, HOUR, T0, member, staff

GRADED = staged(grades=("gold", "silver"))
APPROVE = ApproveStage(grant_id="one", stage="only")


def graded(grade: str | None, policy: PolicyBody = GRADED) -> Family:
    """The shop is of this grade."""
    world = Family(policy)
    give(world, "shop", grade)
    return world


def give(world: Family, customer: str, grade: str | None) -> None:
    if grade is not None:
        event = CustomerGraded(at=world.now, by=staff("root"), grade=grade)
        world.given("customer", customer, event)


# --- grades ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("grade", ["gold", "silver"])
def test_a_customer_of_an_admitted_grade_is_given_grants(grade: str) -> None:
    world = graded(grade)
    assert world.request("one")
    assert world.approve("one")


@pytest.mark.parametrize("grade", ["bronze", "gold_", None])
def test_a_customer_of_another_grade_or_none_cannot_be_asked_for(grade: str | None) -> None:
    refused = graded(grade).no(asked("one"), by="ann")
    assert refused.code == "grantee.grade"
    assert refused.params == {"grantee": "customer:shop", "grades": ("gold", "silver")}


def test_a_policy_without_grades_admits_any() -> None:
    assert graded("bronze", staged()).request("one")
    assert graded(None, staged()).request("one")


def test_a_customer_degraded_since_is_not_approved() -> None:
    world = graded("gold")
    world.request("one")
    give(world, "shop", "bronze")
    assert world.no(APPROVE, by="carl").code == "grantee.grade"
    give(world, "shop", "silver")
    assert world.run(APPROVE, by="carl")


def test_a_customer_degraded_after_the_approval_still_signs() -> None:
    world = graded("gold", staged(grades=("gold",), agreement=SIGNED))
    world.request("one")
    world.approve("one")
    give(world, "shop", "bronze")
    assert world.sign("one", "mia")


def test_a_merged_customer_has_the_grade_of_the_one_it_went_into() -> None:
    world = graded("gold")
    world.request("one")
    give(world, "north", "bronze")
    world.merge_customers("shop", "north")
    assert world.no(APPROVE, by="carl").code == "grantee.grade"
    give(world, "north", "gold")
    assert world.run(APPROVE, by="carl")


def test_staff_have_no_grade_and_are_not_asked_for_one() -> None:
    world = graded("gold")
    command = replace(asked("one"), grantee="staff:idle")
    assert world.run(command, by="ann")


def test_more_for_a_customer_degraded_since_is_refused_and_less_is_not() -> None:
    world = graded("gold", easy(grades=("gold",)))
    world.request("one")
    give(world, "shop", "bronze")
    world.now += HOUR
    with pytest.raises(Refused, match=r"grantee.grade"):
        world.amend("one", ends_at=ENDS + DAY)
    assert world.amend("one", scope=somewhere("CN/31/0115"))
    world.now = ENDS - DAY
    with pytest.raises(Refused, match=r"grantee.grade"):
        world.renew("one", ENDS + DAY)


@pytest.mark.parametrize(
    ("changes", "pointer"),
    [
        ({"grades": ("",)}, "/grades/0"),
        ({"grades": ("gold", "gold")}, "/grades/1"),
        ({"grades": tuple(f"g{n}" for n in range(21))}, "/grades"),
        ({"grace_days": -1}, "/grace_days"),
        ({"grace_days": 36_601}, "/grace_days"),
    ],
)
def test_a_policy_with_bad_grades_or_grace_is_not_complete(
    changes: dict[str, Any], pointer: str
) -> None:
    assert body_fault(staged()) is None
    fault = body_fault(staged(**changes))
    assert fault is not None
    assert fault.pointer == pointer


# --- terms end with what they rest on -------------------------------------------------------------


def shown(ends_at: datetime | None) -> Evidence:
    return Evidence("contract", file="f", sha256="0" * 64, size=1, ends_at=ends_at)


def resting(**changes: Any) -> PolicyBody:
    return staged(**{"ends_with_evidence": True, "longest_days": 3660, **changes})


def test_more_evidence_shown_with_the_answer_bounds_the_term_too() -> None:
    world = Family(resting())
    world.run(asked("one"), by="ann", evidence=(shown(T0 + 90 * DAY),))
    world.run(AskInformation(grant_id="one"), by="carl")
    answer = ProvideInformation(grant_id="one")
    world.run(answer, by="ann", evidence=(shown(T0 + 80 * DAY), shown(None)))
    world.approve("one")
    assert ends_of(world.state("one")) == T0 + 80 * DAY


def brief(policy: PolicyBody, until: datetime) -> Family:
    """A customer `brief` is identified until then."""
    world = Family(policy)
    early: dict[str, Any] = {"at": T0 - 20 * DAY, "by": staff("root")}
    world.given(
        "customer",
        "brief",
        CustomerRegistered(**early, number="K-9", form="organization"),
        CustomerConfirmed(**early, until=until),
        MemberAdded(**early, member="m", person="p-mia", acts=ACTS, from_=T0 - 20 * DAY),
    )
    return world


def test_the_identity_of_a_customer_bounds_the_term() -> None:
    world = brief(resting(), T0 + 40 * DAY)
    world.request("one", grantee="brief", term=Term(T0, T0 + 300 * DAY))
    world.approve("one")
    assert ends_of(world.state("one")) == T0 + 40 * DAY


def test_evidence_that_ends_before_the_term_begins_gives_nothing() -> None:
    world = Family(resting())
    later = asked("one", term=Term(T0 + 50 * DAY, T0 + 90 * DAY))
    world.run(later, by="ann", evidence=(shown(T0 + 50 * DAY),))
    assert world.no(APPROVE, by="carl").code == "term.evidence_over"


def ends(world: Family) -> datetime:
    found = ends_of(world.state("one"))
    assert found is not None
    return found


days = st.integers(10, 60)
starts = st.sampled_from(["fixed", "on_approval", "on_signature"])


@settings(max_examples=150, deadline=None)
@given(starts, st.booleans(), st.none() | days, days, st.integers(1, 60), st.integers(0, 8))
def test_no_term_goes_beyond_evidence_and_identity_wherever_it_starts(
    where: str, signs: bool, evidence: int | None, identity: int, length: int, waits: int
) -> None:
    signs = signs or where == "on_signature"
    policy = resting(starts=where, agreement=SIGNED if signs else None)
    world = brief(policy, T0 + identity * DAY)
    term = Term(T0, T0 + length * DAY) if where == "fixed" else Term(days=length)
    papers = () if evidence is None else (shown(T0 + evidence * DAY), shown(T0 + 999 * DAY))
    world.run(asked("one", "brief", term=term), by="ann", evidence=papers)
    world.now += waits * HOUR
    approved_at = world.now
    world.approve("one")
    world.now += waits * HOUR
    if signs:
        world.sign("one", by=member("mia", "customer:brief"))
    bounds = [T0 + identity * DAY] + ([] if evidence is None else [T0 + evidence * DAY])
    begins = {"fixed": T0, "on_approval": approved_at, "on_signature": world.now}[where]
    assert ends(world) == min([begins + length * DAY, *bounds])


@settings(max_examples=100, deadline=None)
@given(days, st.none() | days, days, st.booleans())
def test_no_renewal_or_amendment_goes_beyond_them_either(
    first: int, second: int | None, identity: int, renews: bool
) -> None:
    """A renewal rests on what is shown for it; an amendment on what the grant rests on as well."""
    world = brief(easy(ends_with_evidence=True), T0 + identity * DAY)
    term = Term(T0, T0 + 9 * DAY)
    world.run(asked("one", "brief", term=term), by="ann", evidence=(shown(T0 + first * DAY),))
    world.now += DAY
    papers = () if second is None else (shown(T0 + second * DAY),)
    until = T0 + 100 * DAY
    command = (
        RequestRenewal(grant_id="one", case="c", term=Term(ends_at=until))
        if renews
        else ProposeAmendment(grant_id="one", case="c", ends_at=until)
    )
    world.run(command, by="ann", evidence=papers)
    bounds = [identity] + ([] if second is None else [second]) + ([] if renews else [first])
    assert ends(world) == min(T0 + min(bounds) * DAY, until)
