"""What was passed on lies within its parent also whenever it is given more later; the guard against
a brute-force reading over enumerated instants and points."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from domain.commands.cases import (
    ApproveCase,
    ProposeAmendment,
    RequestRenewal,
    SignCase,
    WithdrawCase,
)
from domain.commands.grants import (
    ApproveStage,
    AskInformation,
    ProvideInformation,
    RejectGrant,
    SignGrant,
)
from domain.commands.supervision import RecordActivation, ResumeGrant, SuspendGrant
from domain.errors import Refused
from domain.grant_states import Effect, Grant
from domain.grantees import Grantee
from domain.holdings import Holding
from domain.passing_on import Above, require_covers
from domain.terms import agreement_digest
from domain.values import PolicyRef, Term, Terms
from tests.domain.grant_family import (
    SIGNED,
    Family,
    asked,
    easy,
    passing_on,
    publish_again,
    somewhere,
    staged,
)
from tests.domain.grant_world import DAY, ENDS, HOUR, T0, WHY, member

CHILD: dict[str, Any] = {"grantee": "north", "parent": "top"}
APPROVE = ApproveStage(grant_id="child", stage="only")
NORA = member("nora", "customer:north")


def waiting(**changes: Any) -> Family:
    """The child waits for its approval; its parent is in effect."""
    world = passing_on(staged(**changes))
    world.request("child", **CHILD)
    world.now += HOUR
    return world


def to_sign(**changes: Any) -> Family:
    """The child is approved and waits for the grantee's signature."""
    world = waiting(agreement=SIGNED, **changes)
    world.run(APPROVE, by="carl")
    world.now += HOUR
    return world


def signing(world: Family) -> SignGrant:
    digest = agreement_digest(SIGNED, world.state("child").terms)
    return SignGrant(grant_id="child", party="grantee", digest=digest)


# --- approval, signature --------------------------------------------------------------------------


def test_what_was_asked_for_under_a_parent_revoked_since_is_not_approved() -> None:
    world = waiting()
    world.revoke("top")
    assert world.no(APPROVE, by="carl").code == "grant.parent_state"
    assert world.run(RejectGrant(grant_id="child"), by="carl", reason=WHY)


def test_what_was_asked_for_under_a_parent_held_since_waits_until_it_is_resumed() -> None:
    world = waiting()
    world.suspend("top")
    assert world.no(APPROVE, by="carl").params["state"] == "suspended"
    world.run(ResumeGrant(grant_id="top", hold="h1"), by="dora", reason=WHY)
    assert world.run(APPROVE, by="carl")


def test_what_was_asked_for_under_a_parent_narrowed_since_is_approved_once_it_fits() -> None:
    (stage,) = staged().stages
    world = waiting(stages=(replace(stage, may_narrow=True),))
    world.amend("top", scope=somewhere("CN/31/0115"))
    world.run(ApproveCase(grant_id="top", case="a-top", stage="only"), by="carl")
    assert world.no(APPROVE, by="carl").params["part"] == "scope"
    assert world.approve("child", scope=somewhere("CN/31/0115"))


def test_a_stage_before_the_last_gives_nothing_and_looks_at_no_parent() -> None:
    (stage,) = staged().stages
    world = passing_on()
    publish_again(world, staged(stages=(stage, replace(stage, id="last"))))
    world.request("child", **CHILD)
    world.revoke("top")
    assert world.run(APPROVE, by="carl")
    assert "top" not in world.reads
    assert world.no(replace(APPROVE, stage="last"), by="cora").code == "grant.parent_state"


def test_a_signature_under_a_parent_revoked_or_held_since_gives_nothing() -> None:
    for end in (Family.revoke, Family.suspend):
        world = to_sign()
        end(world, "top")
        assert world.no(signing(world), by=NORA).code == "grant.parent_state"


def test_a_signature_that_fixes_the_term_late_may_go_beyond_the_parent() -> None:
    world = passing_on(staged(agreement=SIGNED, starts="on_signature"), term=Term(days=100))
    world.request("child", **CHILD, term=Term(days=95))
    world.run(APPROVE, by="carl")
    world.now = T0 + 6 * DAY
    assert world.no(signing(world), by=NORA).params["part"] == "term"
    world.now = T0 + 5 * DAY
    assert world.run(signing(world), by=NORA)


def test_what_the_clock_did_is_written_down_whatever_became_of_the_parent() -> None:
    world = passing_on()
    world.request("child", **CHILD, term=Term(T0 + 5 * DAY, ENDS))
    world.suspend("top")
    world.now = T0 + 6 * DAY
    assert world.run(RecordActivation(grant_id="child"), by="timekeeper")


def test_a_hold_of_the_child_is_lifted_whatever_became_of_the_parent() -> None:
    world = passing_on()
    world.request("child", **CHILD)
    world.run(SuspendGrant(grant_id="child", hold="h"), by="dora", reason=WHY)
    world.revoke("top")
    assert world.run(ResumeGrant(grant_id="child", hold="h"), by="dora", reason=WHY)


# --- other terms ----------------------------------------------------------------------------------


def test_information_with_wider_terms_goes_no_further_than_the_parent() -> None:
    world = waiting()
    world.run(AskInformation(grant_id="child"), by="carl")
    wide = ProvideInformation(grant_id="child", scope=somewhere("CN"))
    assert world.no(wide, by="ann").params["part"] == "scope"
    narrow = ProvideInformation(grant_id="child", scope=somewhere("CN/31/0115"))
    assert world.run(narrow, by="ann")
    assert world.state("child").terms.parent == "top"


def test_an_amendment_of_the_child_goes_no_further_than_the_parent() -> None:
    world = passing_on(pass_on=1)
    world.request("child", **CHILD, scope=somewhere("CN/31/0115"), term=Term(T0, ENDS - DAY))
    for part, wish in (
        ("scope", {"scope": somewhere("CN")}),
        ("term", {"ends_at": ENDS + DAY}),
        ("pass_on", {"pass_on": 1}),
        ("actions", {"actions": ("advertise", "sell")}),
    ):
        with pytest.raises(Refused) as refused:
            world.amend("child", **wish)
        assert refused.value.code == "grant.beyond_parent", part
        assert refused.value.params["part"] == part
    assert world.amend("child", scope=somewhere("CN/31"))
    world.now += HOUR


def test_an_amendment_of_the_parent_lends_nothing_before_it_rules() -> None:
    world = passing_on(staged(agreement=SIGNED))
    world.amend("top", scope=somewhere("CN"))
    wide = asked("child", **CHILD, scope=somewhere("CN"))
    assert world.no(wide, by="ann").params["part"] == "scope"
    world.run(ApproveCase(grant_id="top", case="a-top", stage="only"), by="carl")
    assert world.no(wide, by="ann").params["part"] == "scope"
    digest = agreement_digest(SIGNED, case_terms(world))
    signs = SignCase(grant_id="top", case="a-top", party="grantee", digest=digest)
    world.run(signs, by="mia")
    assert world.run(wide, by="ann")


def case_terms(world: Family) -> Terms:
    case = world.state("top").open_case
    assert case is not None
    return case.terms


def test_a_narrowing_amendment_of_the_child_asks_for_no_parent() -> None:
    world = passing_on()
    world.request("child", **CHILD)
    world.revoke("top")
    assert world.amend("child", scope=somewhere("CN/31/0115"))
    assert "top" not in world.reads


def test_a_renewal_of_the_child_waits_for_the_parent_s() -> None:
    world = passing_on()
    world.request("child", **CHILD)
    world.now = ENDS - 10 * DAY
    later = RequestRenewal(grant_id="child", case="n", term=Term(ends_at=ENDS + 50 * DAY))
    assert world.no(later, by="ann").params["part"] == "term"
    world.renew("top", ENDS + 50 * DAY)
    assert world.run(later, by="ann")


# --- against enumerated instants and points -------------------------------------------------------

PLACES = ("CN", "CN/31", "CN/31/0115", "CN/44")
INSTANTS = 8
patterns = st.lists(st.sampled_from(PLACES), min_size=1, max_size=2, unique=True).map(tuple)
days = st.integers(0, INSTANTS)


def instant(day: int) -> datetime:
    return T0 + day * DAY


def some_terms(
    number: int, places: tuple[str, ...], actions: tuple[str, ...], pass_on: int
) -> Terms:
    return Terms("dealership", actions, {"territory": places}, Term(), number, pass_on=pass_on)


effects = st.lists(
    st.tuples(days, days, patterns, st.sampled_from([("sell",), ("advertise", "sell")])),
    min_size=1,
    max_size=3,
)


@settings(max_examples=400, deadline=None)
@given(effects, days, days, patterns, st.none() | days, days)
def test_the_parent_covers_exactly_what_its_ruling_terms_cover_at_every_instant(
    ruled: list[tuple[int, int, tuple[str, ...], tuple[str, ...]]],
    starts: int,
    ends: int,
    places: tuple[str, ...],
    revoked: int | None,
    now: int,
) -> None:
    starts = max(starts, now)
    ends = max(ends, starts + 1)
    ruled = [(begin, max(end, begin + 1), where, what) for begin, end, where, what in ruled]
    parent = Grant(
        "active",
        "G-top",
        "customer:shop",
        "c",
        some_terms(len(ruled), ruled[-1][2], ruled[-1][3], 1),
        PolicyRef("dealership", 1),
        effects=tuple(
            Effect(
                instant(begin),
                instant(end),
                some_terms(number, where, what, 1),
                PolicyRef("dealership", 1),
            )
            for number, (begin, end, where, what) in enumerate(ruled, 1)
        ),
        revoked_from=None if revoked is None else instant(revoked),
    )
    wanted = some_terms(1, places, ("advertise", "sell"), 0)
    holding = Holding(
        "sought", wanted, PolicyRef("dealership", 1), instant(starts), instant(ends), instant(ends)
    )
    above = Above("top", parent, Grantee("customer:shop", ("shop",)), (easy(),))
    try:
        require_covers(above, 1, holding, instant(now))
        covered = True
    except Refused:
        covered = False
    assert covered == all(rules_at(ruled, day, revoked, places) for day in range(starts, ends))


def rules_at(ruled: Any, day: int, revoked: int | None, places: tuple[str, ...]) -> bool:
    """Whether the last terms begun by that day rule then and cover the places, by the words."""
    begun = [one for one in ruled if one[0] <= day]
    if not begun or (revoked is not None and revoked <= day):
        return False
    _, end, where, what = begun[-1]
    if end <= day or what != ("advertise", "sell"):
        return False
    return all(
        any(place == one or place.startswith(one + "/") for one in where) for place in places
    )


# --- who asks for more ----------------------------------------------------------------------------


def test_a_grantor_s_member_asks_for_a_renewal_and_takes_it_back() -> None:
    """As they did for what was passed on itself; nobody else's member does."""
    world = passing_on(staged())
    world.request("child", by="mia", **CHILD)
    world.run(APPROVE, by="carl")
    shorter = Term(ends_at=ENDS - DAY)
    amend = ProposeAmendment(grant_id="child", case="c1", ends_at=ENDS - DAY)
    renew = RequestRenewal(grant_id="child", case="c1", term=shorter)
    eve = member("eve", "customer:east")
    assert world.no(amend, by=eve).code == "member.missing"
    assert world.no(renew, by=eve).code == "member.missing"
    assert world.no(renew, by="mia").code == "renewal.not_longer"
    assert world.run(amend, by="mia")
    withdraw = WithdrawCase(grant_id="child", case="c1")
    assert world.no(withdraw, by=eve).code == "member.missing"
    assert world.run(withdraw, by="mia")
    assert world.state("child").closed == {"c1": "withdrawn"}
