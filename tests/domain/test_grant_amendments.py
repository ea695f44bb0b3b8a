"""Amendments: other actions, another scope, another end, and from when on they rule."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import pytest

from domain.commands.cases import ProposeAmendment, RecordCaseLapse
from domain.commands.supervision import RecordActivation, RecordExpiry, ResumeGrant, RevokeGrant
from domain.effect import in_force
from domain.errors import Refused
from domain.events.grant_cases import GrantAmended, GrantAmendmentApproved
from domain.grants import Grant
from domain.sharing import ruling_at
from domain.values import Evidence, Scope, Term
from tests.domain.case_story import (
    AGAIN,
    AMENDMENT,
    WIDER,
    agree,
    amend,
    any_world_in,
    case_word,
    check_case,
    opened,
    renew,
    sign_case,
    to_amendment_over_end_by_clock,
)
from tests.domain.grant_family import publish_again
from tests.domain.grant_story import EASY, in_effect, request, suspend, to_active, to_scheduled
from tests.domain.grant_world import (
    DAY,
    ENDS,
    GRANT,
    HOUR,
    STARTS,
    T0,
    WHY,
    World,
    body,
)

SIGNED = T0 + 9 * DAY
NARROWER: Scope = {"product": ("tea/green",), "territory": ("CN/31/0115",)}
USUAL: Scope = {"product": ("tea",), "territory": ("CN/31",)}
NOW = SIGNED + HOUR
"""When the grant is active and an amendment is proposed."""


def world_with(way: Any) -> World:
    world = World()
    way(world)
    return world


def scope_at(grant: Grant, at: datetime) -> Scope | None:
    """The scope that is in force at an instant, as far as the grant itself tells."""
    effect = ruling_at(grant, at)
    return None if effect is None else effect.terms.scope


# --- from when on ---------------------------------------------------------------------------------


@pytest.mark.parametrize("scope", [WIDER, NARROWER])
def test_the_old_terms_rule_until_the_instant_and_the_new_ones_from_it_on(scope: Scope) -> None:
    world = world_with(to_active)
    begins = world.now + 30 * DAY
    amend(world, scope=scope, effective_at=begins)
    agree(world)
    assert in_force(world.grant) == ((SIGNED, begins, 1), (begins, ENDS, 2))
    assert scope_at(world.grant, begins - HOUR / 3600) == USUAL
    assert scope_at(world.grant, begins) == scope
    assert scope_at(world.grant, ENDS) is None
    assert world.status == "active"


def test_with_no_instant_it_rules_from_the_agreement_on() -> None:
    world = world_with(to_active)
    amend(world)
    signed = world.now + 3 * DAY
    assert isinstance(agree(world, at=signed)[-1], GrantAmended)
    assert in_force(world.grant) == ((SIGNED, signed, 1), (signed, ENDS, 2))


def test_an_instant_that_passed_before_it_was_agreed_on_changes_nothing_backwards() -> None:
    world = world_with(to_active)
    amend(world, scope=NARROWER, effective_at=world.now + DAY)
    signed = world.now + 3 * DAY
    agree(world, at=signed)
    assert in_force(world.grant) == ((SIGNED, signed, 1), (signed, ENDS, 2))


def test_what_is_scheduled_begins_with_the_amended_terms() -> None:
    world = world_with(to_scheduled)
    amend(world)
    agree(world)
    assert world.status == "scheduled"
    assert in_force(world.grant) == ((STARTS, ENDS, 2),)
    world.now = STARTS
    assert world.status == "active"
    world.run(RecordActivation(grant_id=GRANT), by="timekeeper")
    assert in_force(world.grant) == ((STARTS, ENDS, 2),)
    assert scope_at(world.grant, STARTS) == WIDER


def test_what_is_scheduled_may_be_amended_from_later_than_its_start() -> None:
    world = world_with(to_scheduled)
    amend(world, scope=WIDER, effective_at=STARTS + 9 * DAY)
    agree(world)
    world.now = STARTS
    world.run(RecordActivation(grant_id=GRANT), by="timekeeper")
    assert in_force(world.grant) == ((STARTS, STARTS + 9 * DAY, 1), (STARTS + 9 * DAY, ENDS, 2))


@pytest.mark.parametrize("days", [-50, 50])
def test_an_amendment_moves_the_end(days: int) -> None:
    world = world_with(to_active)
    amend(world, ends_at=ENDS + days * DAY)
    agree(world)
    assert in_force(world.grant) == ((SIGNED, NOW, 1), (NOW, ENDS + days * DAY, 2))
    world.now = ENDS + days * DAY
    assert world.status == "expired"


def test_a_hold_stays_through_an_amendment() -> None:
    world = world_with(to_active)
    suspend(world, "h1")
    opened("amendment", world)
    agree(world)
    assert (world.status, in_force(world.grant)) == ("suspended", ((SIGNED, NOW, 1),))
    world.now += DAY
    world.run(ResumeGrant(grant_id=GRANT, hold="h1"), by="dirk", reason=WHY)
    assert in_force(world.grant) == ((SIGNED, NOW, 1), (world.now, ENDS, 2))


def test_a_revocation_cuts_amended_terms_as_any() -> None:
    world = any_world_in("amended_later")
    begins = world.grant.effects[1].starts_at
    over = begins + 5 * DAY
    world.run(RevokeGrant(grant_id=GRANT, case="c0", effective_at=over), by="dora", reason=WHY)
    assert in_force(world.grant) == ((SIGNED, begins, 1), (begins, over, 2))
    sooner = RevokeGrant(grant_id=GRANT, case="c1", effective_at=begins - DAY)
    world.run(sooner, by="dora", reason=WHY)
    assert in_force(world.grant) == ((SIGNED, begins - DAY, 1),)


# --- one after another ----------------------------------------------------------------------------


def test_a_renewal_after_an_amendment_goes_on_with_the_amended_terms() -> None:
    world = any_world_in("amended_later")
    begins = world.grant.effects[1].starts_at
    renew(world)
    agree(world)
    assert in_force(world.grant) == ((SIGNED, begins, 1), (begins, ENDS, 2), (ENDS, AGAIN, 3))
    assert scope_at(world.grant, ENDS) == WIDER


def test_an_amendment_after_a_renewal_rules_now_and_in_the_renewed_term() -> None:
    world = any_world_in("renewed")
    amend(world)
    now = world.now
    agree(world)
    assert in_force(world.grant) == ((SIGNED, now, 1), (now, AGAIN, 3))
    later = any_world_in("renewed")
    amend(later, scope=WIDER, effective_at=ENDS + 9 * DAY)
    agree(later)
    assert in_force(later.grant) == (
        (SIGNED, ENDS, 1),
        (ENDS, ENDS + 9 * DAY, 2),
        (ENDS + 9 * DAY, AGAIN, 3),
    )


def test_a_second_amendment_builds_on_the_first() -> None:
    world = any_world_in("amended")
    world.now += DAY
    amend(world, case="a2", actions=("sell", "advertise"))
    agree(world)
    terms = world.grant.terms
    assert (terms.number, terms.actions, terms.scope) == (3, ("advertise", "sell"), WIDER)
    assert world.grant.closed == {AMENDMENT: "agreed", "a2": "agreed"}


# --- it ends with the grant -----------------------------------------------------------------------


def test_an_open_amendment_ends_when_the_grant_expires() -> None:
    world = world_with(to_amendment_over_end_by_clock)
    assert (world.status, case_word(world)) == ("expired", "lapsed")
    with pytest.raises(Refused, match=r"case\.state"):
        check_case(world)
    lapse = world.again()
    lapse.run(RecordCaseLapse(grant_id=GRANT, case=AMENDMENT), by="timekeeper")
    assert lapse.grant.closed == {AMENDMENT: "lapsed"}
    world.run(RecordExpiry(grant_id=GRANT), by="timekeeper")
    assert (world.grant.open_case, world.grant.closed) == (None, {AMENDMENT: "ended"})


def test_a_renewal_may_be_asked_for_after_an_amendment_ended_with_the_grant() -> None:
    world = world_with(to_amendment_over_end_by_clock)
    renew(world)
    agree(world, at=ENDS + DAY)
    assert in_force(world.grant) == ((SIGNED, ENDS, 1), (ENDS + DAY, AGAIN, 2))
    assert scope_at(world.grant, ENDS + DAY) == USUAL


# --- what may be asked for ------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("wish", "code"),
    [
        ({}, "amendment.no_difference"),
        ({"scope": dict(USUAL), "actions": ("sell",)}, "amendment.no_difference"),
        ({"ends_at": ENDS}, "amendment.no_difference"),
        ({"ends_at": ENDS, "effective_at": NOW + DAY}, "amendment.no_difference"),
        ({"actions": ()}, "action.none"),
        ({"actions": ("fly",)}, "action.unknown"),
        ({"scope": {"product": ("tea",)}}, "scope.dimension_missing"),
        ({"scope": {"product": ("old",), "territory": ("CN",)}}, "scope.point_ended"),
        ({"scope": WIDER, "effective_at": NOW - HOUR}, "amendment.effective_in_past"),
        ({"scope": WIDER, "effective_at": NOW}, ""),
        ({"scope": WIDER, "effective_at": ENDS}, "amendment.after_end"),
        ({"scope": WIDER, "effective_at": ENDS - HOUR}, ""),
        ({"ends_at": NOW}, "amendment.after_end"),
        ({"ends_at": NOW + HOUR}, ""),
        ({"ends_at": ENDS + 9 * DAY, "effective_at": ENDS + DAY}, "amendment.after_end"),
        ({"ends_at": SIGNED + 366 * DAY}, ""),
        ({"ends_at": SIGNED + 367 * DAY}, "term.too_long"),
        ({"pass_on": 1}, "grant.passing_on_too_deep"),
    ],
)
def test_an_amendment_is_a_real_difference_within_the_policy(
    wish: dict[str, Any], code: str
) -> None:
    world = world_with(to_active)
    assert world.now == NOW
    command = ProposeAmendment(grant_id=GRANT, case=AMENDMENT, **wish)
    assert world.refusal(command, by="ann") == code


def test_what_is_scheduled_cannot_be_amended_to_end_before_it_begins() -> None:
    world = world_with(to_scheduled)
    over = ProposeAmendment(grant_id=GRANT, case=AMENDMENT, ends_at=STARTS)
    assert world.refusal(over, by="ann") == "amendment.after_end"
    short = ProposeAmendment(grant_id=GRANT, case=AMENDMENT, ends_at=STARTS + HOUR)
    assert world.refusal(short, by="ann") == ""


def test_an_amendment_to_free_actions_alone_waits_for_no_stage() -> None:
    world = world_with(to_active)
    amend(world, actions=("advertise",))
    check_case(world, "ben")
    events = check_case(world, "bob")
    assert isinstance(events[-1], GrantAmendmentApproved)
    assert case_word(world) == "approved"


# --- on what it rests -----------------------------------------------------------------------------


def test_an_amendment_rests_on_what_the_grant_rests_on_and_on_its_own() -> None:
    def permit(ends_at: datetime) -> tuple[Evidence, ...]:
        return (Evidence("permit", file="f", sha256="0" * 64, size=9, ends_at=ends_at),)

    policy = body(ends_with_evidence=True, **EASY)
    world = World(policy)
    request(world, evidence=permit(ENDS - DAY), term=Term(T0, ENDS))
    world.now += DAY
    amend(world, ends_at=ENDS + 9 * DAY)
    assert in_force(world.grant)[1] == (world.now, ENDS - DAY, 2)
    world.now += DAY
    amend(world, case="a2", scope=WIDER, evidence=permit(ENDS - 2 * DAY))
    assert in_force(world.grant)[-1] == (world.now, ENDS - 2 * DAY, 3)
    late = in_effect(policy)
    over = ProposeAmendment(grant_id=GRANT, case=AMENDMENT, scope=WIDER, effective_at=ENDS - DAY)
    short = permit(ENDS - 2 * DAY)
    assert late.refusal(over, by="ann", evidence=short) == "term.evidence_over"


def test_an_amendment_is_signed_on_its_own_terms() -> None:
    world = any_world_in("amendment_approved")
    old = world.digest
    case = world.grant.open_case
    assert case is not None
    sign_case(world, "mia", "grantee")
    signature = world.grant.open_case.signatures[0]  # type: ignore[union-attr]
    assert signature.digest != old
    assert world.grant.signatures[0].digest == old


# --- under a newer version ------------------------------------------------------------------------


def test_a_scope_kept_names_every_dimension_that_a_newer_version_declares() -> None:
    """What a scope leaves out it would cover all of: nothing is unrestricted by omission."""
    world = world_with(to_active)
    publish_again(world, body(dimensions=(*body().dimensions, "shop")))
    with pytest.raises(Refused, match=r"scope\.dimension_missing"):
        amend(world, ends_at=ENDS - DAY)
