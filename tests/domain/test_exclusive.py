"""Of an exclusive kind no two approved grants overlap in scope and term, whoever asks, whenever."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from msgspec.structs import replace

from domain.commands.cases import (
    ApproveCase,
    ConfirmError,
    ProposeError,
    WithdrawCase,
)
from domain.commands.grants import (
    AskInformation,
    ProvideInformation,
    RejectGrant,
    SignGrant,
    WithdrawGrant,
)
from domain.commands.supervision import ResumeGrant
from domain.errors import Refused
from domain.exclusions import taken
from domain.terms import agreement_digest
from domain.values import Term
from tests.domain.exclusive_story import (
    GUARD,
    IN_PUDONG,
    approving,
    both_asked,
    exclusive,
    one_taken,
    one_taken_at_once,
    refused,
)
from tests.domain.grant_family import (
    SIGNED,
    Family,
    asked,
    easy,
    publish_again,
    somewhere,
    staged,
)
from tests.domain.grant_world import DAY, ENDS, HOUR, T0, WHY

# --- the refusal ----------------------------------------------------------------------------------


def test_the_second_of_two_overlapping_grants_is_not_approved() -> None:
    world = both_asked(term=Term(T0 + 30 * DAY, T0 + 300 * DAY))
    world.approve("one")
    world.now += HOUR
    assert refused(world, **approving("other")) == {
        "number": "G-one",
        "grant": "one",
        "overlap": {"product": ("tea/green",), "territory": ("CN/31/0115",)},
        "starts_at": T0 + 30 * DAY,
        "ends_at": ENDS,
    }
    assert world.status_of("other") == "pending_approval"


def test_whichever_is_approved_first_has_it() -> None:
    world = both_asked()
    world.approve("other")
    assert refused(world, **approving("one"))["number"] == "G-other"


def test_it_is_said_when_it_is_asked_for_already() -> None:
    world = one_taken()
    assert refused(world, asked("other", "north", scope=IN_PUDONG), "ann")["number"] == "G-one"


def test_two_grants_of_one_grantee_overlap_as_those_of_two() -> None:
    world = one_taken()
    assert refused(world, asked("other", "shop", scope=IN_PUDONG), "ann")["grant"] == "one"


def test_the_actions_make_no_difference() -> None:
    world = one_taken()
    assert refused(world, asked("other", "north", actions=("advertise",)), "ann")


@pytest.mark.parametrize(
    "beside",
    [
        {"scope": somewhere("CN/44")},
        {"term": Term(ENDS, ENDS + 100 * DAY)},
        {"scope": somewhere("CN/44", "tea/green")},
    ],
)
def test_what_shares_no_point_or_no_instant_stands_beside_it(beside: dict[str, Any]) -> None:
    world = one_taken()
    world.request("other", "ann", grantee="north", **beside)
    assert world.approve("other")


def test_one_instant_is_enough_to_overlap() -> None:
    world = one_taken()
    term = Term(ENDS - timedelta(microseconds=1), ENDS + 9 * DAY)
    found = refused(world, asked("other", "north", term=term), "ann")
    assert (found["starts_at"], found["ends_at"]) == (term.starts_at, ENDS)


def test_kinds_that_are_not_exclusive_overlap_and_have_no_guard() -> None:
    world = both_asked(staged())
    world.approve("one")
    assert world.approve("other")
    assert GUARD not in world.reads


def test_two_exclusive_kinds_do_not_exclude_each_other() -> None:
    world = one_taken()
    world.publish("trademark", exclusive(kind="trademark"))
    world.request("other", grantee="north", policy="trademark")
    assert world.approve("other")


def test_a_grant_without_a_stage_is_refused_with_its_request() -> None:
    world = Family(easy(exclusive=True))
    world.request("one")
    assert refused(world, asked("other", "north"), "ann")


# --- what counts as taken -------------------------------------------------------------------------


def ends_by_lapse(world: Family) -> None:
    world.now += 15 * DAY


def test_what_is_approved_and_not_signed_yet_is_taken_until_its_time_is_over() -> None:
    world = one_taken(exclusive(agreement=SIGNED))
    assert refused(world, asked("other", "north"), "ann")
    ends_by_lapse(world)
    assert world.status_of("one") == "lapsed"
    assert world.request("other", grantee="north")
    assert world.approve("other")


def rejected(world: Family) -> None:
    world.run(RejectGrant(grant_id="one"), by="carl", reason=WHY)


def withdrawn(world: Family) -> None:
    world.run(WithdrawGrant(grant_id="one"), by="ann")


@pytest.mark.parametrize("end", [rejected, withdrawn])
def test_what_is_only_asked_for_takes_nothing(end: Any) -> None:
    world = both_asked()
    assert world.approve("other")
    end(world)


def test_what_is_held_is_taken() -> None:
    world = one_taken()
    world.suspend("one")
    assert refused(world, asked("other", "north"), "ann")
    assert world.run(ResumeGrant(grant_id="one", hold="h1"), by="dora", reason=WHY)
    assert GUARD not in world.reads


def revoked(world: Family) -> None:
    world.revoke("one")


def expired(world: Family) -> None:
    world.now = ENDS


def in_error(world: Family) -> None:
    world.run(ProposeError(grant_id="one", case="e"), by="ben", reason=WHY)
    world.run(ConfirmError(grant_id="one", case="e"), by="dora", reason=WHY)


@pytest.mark.parametrize("end", [revoked, expired, in_error])
def test_what_is_over_is_free(end: Any) -> None:
    world = one_taken()
    end(world)
    term = Term(world.now, world.now + 9 * DAY)
    world.request("other", grantee="north", term=term)
    assert world.approve("other")


def test_what_will_be_revoked_is_free_from_then_on() -> None:
    world = one_taken()
    leaves = T0 + 50 * DAY
    world.revoke("one", leaves)
    early = asked("other", "north", term=Term(leaves - DAY, ENDS))
    assert refused(world, early, "ann")["ends_at"] == leaves
    world.request("other", grantee="north", term=Term(leaves, ENDS))
    assert world.approve("other")


def test_what_was_narrowed_is_free_where_it_was_left() -> None:
    both = {"product": ("tea",), "territory": ("CN/31", "CN/44")}
    world = one_taken_at_once(scope=both)
    world.amend("one", scope=somewhere("CN/31"))
    assert GUARD not in world.reads
    assert taken(world.streams[GUARD].state)["one"][0].scope == both
    assert world.request("other", grantee="north", scope=somewhere("CN/44"))
    assert refused(world, asked("third", "north"), "ann")["grant"] == "one"


def test_who_was_approved_may_sign_until_the_last_moment() -> None:
    """Its term starts with the signature: what the latest possible one would take is taken."""
    policy = exclusive(agreement=SIGNED, starts="on_signature")
    world = Family(policy)
    world.request("one", term=Term(days=100))
    world.approve("one")
    publish_again(world, exclusive())
    latest = T0 + 114 * DAY
    overlapping = asked("other", "north", term=Term(latest - DAY, latest + DAY))
    assert refused(world, overlapping, "ann")["ends_at"] == latest
    world.request("other", grantee="north", term=Term(latest, latest + DAY))
    world.approve("other")
    world.now = T0 + 13 * DAY
    digest = agreement_digest(SIGNED, world.state("one").terms)
    assert world.run(SignGrant(grant_id="one", party="grantee", digest=digest), by="mia")
    assert GUARD not in world.reads
    begins = world.now + 100 * DAY
    assert world.request("third", grantee="east", term=Term(begins, latest))


# --- whatever gives more looks again --------------------------------------------------------------


def test_information_with_wider_terms_is_refused_where_another_has_it() -> None:
    world = Family(exclusive())
    world.request("other", grantee="north", scope=somewhere("CN/44"))
    world.request("one")
    world.approve("one")
    world.run(AskInformation(grant_id="other"), by="carl")
    wide = ProvideInformation(grant_id="other", scope=somewhere("CN"))
    assert refused(world, wide, "ann")["overlap"] == somewhere("CN/31")
    assert world.run(replace(wide, scope=somewhere("CN/44", "tea/green")), by="ann")


def test_an_approver_may_narrow_it_to_what_is_free() -> None:
    (stage,) = staged().stages
    both = {"product": ("tea",), "territory": ("CN/31", "CN/44")}
    world = both_asked(exclusive(stages=(replace(stage, may_narrow=True),)), scope=both)
    world.approve("one")
    assert refused(world, **approving("other"))["overlap"] == somewhere("CN/31")
    assert world.approve("other", scope=somewhere("CN/44"))


def test_a_wider_amendment_is_refused_where_another_has_it() -> None:
    world = one_taken_at_once()
    world.request("other", grantee="north", scope=somewhere("CN/44"), term=Term(T0, ENDS + DAY))
    with pytest.raises(Refused, match=r"grant.exclusive_overlap"):
        world.amend("other", scope=somewhere("CN"))
    with pytest.raises(Refused, match=r"grant.exclusive_overlap"):
        world.amend("other", scope=somewhere("CN"), effective_at=ENDS - HOUR)
    assert world.amend("other", scope=somewhere("CN"), effective_at=ENDS)


def test_an_amendment_asked_for_before_another_took_the_place_is_not_approved() -> None:
    world = Family(exclusive())
    world.request("other", grantee="north", scope=somewhere("CN/44"))
    world.approve("other")
    world.request("one")
    world.amend("other", scope=somewhere("CN"))
    world.approve("one")
    case = ApproveCase(grant_id="other", case="a-other", stage="only")
    assert refused(world, case, "carl")["overlap"] == somewhere("CN/31")


def test_an_amendment_that_is_only_proposed_takes_nothing() -> None:
    world = Family(exclusive())
    world.request("one", scope=somewhere("CN/44"))
    world.approve("one")
    world.amend("one", scope=somewhere("CN"))
    world.request("other", grantee="north")
    assert world.approve("other")


def test_an_approved_amendment_takes_its_place_before_it_is_signed() -> None:
    world = Family(exclusive(agreement=SIGNED))
    world.request("one", scope=somewhere("CN/44"))
    world.approve("one")
    world.sign("one", "mia")
    world.amend("one", scope=somewhere("CN"), effective_at=T0 + 20 * DAY)
    world.request("other", grantee="north")
    world.run(ApproveCase(grant_id="one", case="a-one", stage="only"), by="carl")
    found = refused(world, **approving("other"))
    assert (found["grant"], found["starts_at"]) == ("one", T0 + 20 * DAY)
    world.run(WithdrawCase(grant_id="one", case="a-one"), by="ann")
    assert world.approve("other")


def test_a_renewal_is_refused_where_another_comes_after_and_the_other_way_round() -> None:
    world = one_taken_at_once()
    world.request("after", grantee="north", term=Term(ENDS + 10 * DAY, ENDS + 50 * DAY))
    world.now = ENDS - 5 * DAY
    with pytest.raises(Refused, match=r"grant.exclusive_overlap"):
        world.renew("one", ENDS + 11 * DAY)
    assert world.renew("one", ENDS + 10 * DAY)
    late = asked("late", "east", term=Term(ENDS + 9 * DAY, ENDS + 10 * DAY))
    assert refused(world, late, "ann")["grant"] == "one"


# --- with passing on ------------------------------------------------------------------------------


def test_what_is_passed_on_shares_the_place_of_what_it_is_passed_on_from() -> None:
    world = one_taken_at_once(pass_on=2)
    world.request("child", grantee="north", parent="one", pass_on=1)
    assert world.request("grand", grantee="south", parent="child")
    assert world.amend("one", ends_at=ENDS + 20 * DAY)


def test_two_grants_passed_on_from_one_exclude_each_other() -> None:
    world = one_taken_at_once(pass_on=2)
    world.request("child", grantee="north", parent="one")
    sibling = asked("sibling", "south", parent="one")
    assert refused(world, sibling, "ann")["grant"] == "child"
