"""A grant given from another one lies within it when it is asked for: what, how deep, for whom."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from domain.commands.grants import AskInformation, ProvideInformation, WithdrawGrant
from domain.commands.supervision import RevokeGrant
from domain.errors import Refused
from domain.events.grant import GrantActivated, GrantRequested, GrantScheduled
from domain.passing_on import chain_above, is_passed_on_from
from domain.values import Imported, PolicyRef, Term, Terms
from domain.view import Circumstances, View
from tests.domain.grant_family import (
    Family,
    asked,
    easy,
    passing_on,
    publish_again,
    somewhere,
    staged,
)
from tests.domain.grant_world import DAY, ENDS, T0, TENANT, WHY, member, staff

CHILD: dict[str, Any] = {"grantee": "north", "parent": "top"}


# --- what lies within -----------------------------------------------------------------------------


def test_what_lies_within_its_parent_is_passed_on() -> None:
    world = passing_on()
    events = world.request("child", **CHILD, scope=somewhere("CN/31/0115", "tea/green"), pass_on=1)
    assert isinstance(events[-1], GrantActivated)
    terms = world.state("child").terms
    assert (terms.parent, terms.pass_on) == ("top", 1)


def test_the_parent_and_all_above_it_are_read() -> None:
    world = passing_on()
    world.request("child", **CHILD, pass_on=1)
    world.request("grandchild", grantee="south", parent="child")
    assert {"child", "top", "north", "shop", "dealership"} <= set(world.reads)


def test_what_narrows_reads_nothing_above() -> None:
    world = passing_on()
    world.request("child", **CHILD)
    world.run(RevokeGrant(grant_id="child", case="r"), by="dora", reason=WHY)
    assert "top" not in world.reads


@pytest.mark.parametrize(
    ("part", "changes"),
    [
        ("actions", {"actions": ("advertise", "sell")}),
        ("scope", {"scope": somewhere("CN")}),
        ("scope", {"scope": somewhere("CN/44")}),
        ("scope", {"scope": {"product": ("*",), "territory": ("CN/31",)}}),
        ("term", {"term": Term(T0, ENDS + timedelta(microseconds=1))}),
        ("pass_on", {"pass_on": 1}),
    ],
)
def test_nothing_goes_beyond_the_parent(part: str, changes: dict[str, Any]) -> None:
    world = passing_on(easy(depth=3), pass_on=1)
    refused = world.no(asked("child", **{**CHILD, **changes}), by="ann")
    assert refused.code == "grant.beyond_parent"
    assert refused.params == {"parent": "top", "number": "G-top", "part": part}


def test_a_term_that_begins_before_the_parent_s_goes_beyond_it() -> None:
    world = passing_on(term=Term(T0 + 10 * DAY, ENDS))
    assert world.status_of("top") == "scheduled"
    early = world.no(asked("child", **CHILD, term=Term(T0 + 9 * DAY, ENDS)), by="ann")
    assert early.params["part"] == "term"
    (*_, given_later) = world.request("child", **CHILD, term=Term(T0 + 10 * DAY, ENDS))
    assert isinstance(given_later, GrantScheduled)


def test_the_time_before_it_is_given_is_no_part_of_a_term() -> None:
    world = passing_on()
    world.now += 5 * DAY
    assert world.request("child", **CHILD, term=Term(T0 - DAY, ENDS))


def test_what_lasts_some_days_from_its_approval_must_fit_as_if_it_were_given_now() -> None:
    world = passing_on(easy(starts="on_approval"), term=Term(days=100))
    for grant, days, fits in (("one", 100, False), ("other", 99, True)):
        command = asked(grant, **CHILD, term=Term(days=days))
        assert (world.refusal(command, by="ann") == "") is fits


# --- how deep -------------------------------------------------------------------------------------


def test_a_policy_of_depth_nought_passes_nothing_on() -> None:
    world = Family(easy(depth=0))
    assert world.no(asked("top", pass_on=1), by="ann").code == "grant.passing_on_not_offered"
    assert world.no(asked("child", **CHILD), by="ann").code == "grant.passing_on_not_offered"


@pytest.mark.parametrize(
    ("depth", "pass_on", "fine"), [(1, 1, True), (1, 2, False), (1, -1, False)]
)
def test_no_grant_may_be_passed_on_deeper_than_its_policy_says(
    depth: int, pass_on: int, fine: bool
) -> None:
    world = Family(easy(depth=depth))
    code = world.refusal(asked("top", pass_on=pass_on), by="ann")
    assert code == ("" if fine else "grant.passing_on_too_deep")


def test_a_grant_that_may_not_be_passed_on_is_not() -> None:
    world = passing_on(pass_on=0)
    refused = world.no(asked("child", **CHILD), by="ann")
    assert (refused.code, refused.params["part"]) == ("grant.beyond_parent", "pass_on")


def test_each_level_may_be_passed_on_over_fewer_levels_than_the_one_above() -> None:
    world = passing_on()
    world.request("child", **CHILD, pass_on=1)
    deeper = world.no(asked("grand", grantee="south", parent="child", pass_on=1), by="ann")
    assert deeper.code == "grant.passing_on_too_deep"
    assert world.request("grand", grantee="south", parent="child", pass_on=0)
    last = world.no(asked("great", grantee="east", parent="grand"), by="ann")
    assert last.code == "grant.passing_on_too_deep"


def test_a_newer_version_of_the_policy_makes_no_older_grant_deeper() -> None:
    world = passing_on(easy(depth=1), pass_on=1)
    world.request("child", **CHILD)
    publish_again(world, easy(depth=3))
    refused = world.no(asked("grand", grantee="south", parent="child"), by="ann")
    assert refused.code == "grant.passing_on_too_deep"
    assert refused.params == {"depth": 1}


def test_a_newer_version_of_the_policy_may_let_less_be_passed_on() -> None:
    world = passing_on()
    world.request("child", **CHILD, pass_on=1)
    publish_again(world, easy(depth=1))
    refused = world.no(asked("grand", grantee="south", parent="child"), by="ann")
    assert (refused.code, refused.params) == ("grant.passing_on_too_deep", {"depth": 1})


def test_what_was_let_be_passed_on_far_and_is_no_longer_goes_less_far() -> None:
    world = passing_on()
    world.request("child", **CHILD, pass_on=1)
    world.amend("top", pass_on=1)
    refused = world.no(asked("grand", grantee="south", parent="child"), by="ann")
    assert (refused.params["parent"], refused.params["part"]) == ("top", "pass_on")


# --- from what and to whom ------------------------------------------------------------------------


def test_only_a_grant_that_is_there_is_passed_on() -> None:
    world = passing_on()
    refused = world.no(asked("child", grantee="north", parent="nowhere"), by="ann")
    assert refused.code == "grant.parent_unknown"


def test_a_grant_is_passed_on_under_its_own_kind() -> None:
    world = passing_on()
    world.publish("trademark", easy(kind="trademark"))
    refused = world.no(asked("child", **CHILD, policy="trademark"), by="ann")
    assert refused.code == "grant.parent_other_kind"


def test_nobody_is_passed_their_own_right() -> None:
    world = passing_on()
    assert world.no(asked("child", parent="top"), by="ann").code == "grant.passed_on_to_grantor"
    world.merge_customers("shop", "north")
    merged = world.no(asked("child", grantee="north", parent="top"), by="ann")
    assert merged.code == "grant.passed_on_to_grantor"


def imported_request(parent: str | None) -> GrantRequested:
    return GrantRequested(
        at=T0 - 9 * DAY,
        by=staff("ann"),
        number="old",
        case="old",
        grantee="customer:shop",
        terms=Terms("dealership", ("sell",), somewhere(), Term(T0, ENDS), parent=parent, pass_on=2),
        policy=PolicyRef("dealership", 1),
        imported=Imported("old.csv", 1),
    )


def test_no_grant_is_passed_on_from_itself() -> None:
    refused = passing_on().no(asked("child", grantee="north", parent="child"), by="ann")
    assert refused.code == "grant.chain_too_long"


@pytest.mark.parametrize(("levels", "fine"), [(8, True), (9, False)])
def test_a_chain_is_followed_over_eight_grants(levels: int, fine: bool) -> None:
    world = Family()
    for level in range(levels):
        above = None if level == 0 else f"level-{level - 1}"
        world.given("grant", f"level-{level}", imported_request(above))
    view = View(world.load, Circumstances(TENANT, world.now, "c", staff("ann")))
    asked_for = imported_request(f"level-{levels - 1}").terms
    if fine:
        assert len(chain_above(view, asked_for)) == levels
    else:
        with pytest.raises(Refused, match=r"grant.chain_too_long"):
            chain_above(view, asked_for)


def test_a_circle_of_imported_grants_is_not_walked_for_ever() -> None:
    world = Family()
    for grant, parent in (("one", "other"), ("other", "one")):
        active = GrantActivated(
            at=T0 - 8 * DAY,
            by=staff("ann"),
            starts_at=T0 - 8 * DAY,
            ends_at=ENDS,
            imported=Imported("old.csv", 2),
        )
        world.given("grant", grant, imported_request(parent), active)
    refused = world.no(asked("child", grantee="north", parent="one"), by="ann")
    assert refused.code == "grant.chain_too_long"


def test_a_grant_is_known_as_passed_on_from_every_grant_above_it() -> None:
    world = passing_on()
    world.request("child", **CHILD, pass_on=1)
    world.request("grand", grantee="south", parent="child")
    view = View(world.load, Circumstances(TENANT, world.now, "c", staff("ann")))
    assert is_passed_on_from(view, world.state("grand"), "child")
    assert is_passed_on_from(view, world.state("grand"), "top")
    assert not is_passed_on_from(view, world.state("child"), "grand")
    assert not is_passed_on_from(view, world.state("top"), "top")


# --- what is above must be in effect --------------------------------------------------------------


def pending_top() -> Family:
    world = Family(staged())
    world.request("top", pass_on=2)
    return world


def suspended_top() -> Family:
    world = passing_on()
    world.suspend("top")
    return world


def revoked_top() -> Family:
    world = passing_on()
    world.revoke("top")
    return world


def expired_top() -> Family:
    world = passing_on(term=Term(T0, T0 + DAY))
    world.now = T0 + DAY
    return world


@pytest.mark.parametrize(
    ("made", "state"),
    [
        (pending_top, "pending_approval"),
        (suspended_top, "suspended"),
        (revoked_top, "revoked"),
        (expired_top, "expired"),
    ],
)
def test_only_a_grant_in_effect_is_passed_on(made: Any, state: str) -> None:
    world = made()
    refused = world.no(asked("child", **CHILD), by="ann")
    assert refused.code == "grant.parent_state"
    assert refused.params == {"parent": "top", "number": "G-top", "state": state}


def test_every_level_above_must_be_in_effect() -> None:
    world = passing_on()
    world.request("child", **CHILD, pass_on=1)
    world.suspend("top")
    refused = world.no(asked("grand", grantee="south", parent="child"), by="ann")
    assert (refused.code, refused.params["parent"]) == ("grant.parent_state", "top")


def test_every_level_above_must_cover_it_also_where_the_nearest_does() -> None:
    world = passing_on()
    world.request("child", **CHILD, pass_on=1)
    world.amend("top", scope=somewhere("CN/31/0115"))
    refused = world.no(asked("grand", grantee="south", parent="child"), by="ann")
    assert (refused.code, refused.params["parent"]) == ("grant.beyond_parent", "top")
    assert world.request("grand", grantee="south", parent="child", scope=somewhere("CN/31/0115"))


def test_a_grantor_out_of_standing_passes_nothing_on() -> None:
    world = passing_on()
    world.block("shop")
    refused = world.no(asked("child", **CHILD), by="ann")
    assert (refused.code, refused.params) == ("grantor.standing", {"grantor": "customer:shop"})


def test_a_parent_that_will_be_revoked_covers_the_time_until_then() -> None:
    world = passing_on()
    world.revoke("top", T0 + 50 * DAY)
    late = world.no(asked("child", **CHILD, term=Term(T0, T0 + 51 * DAY)), by="ann")
    assert late.params["part"] == "term"
    assert world.request("child", **CHILD, term=Term(T0, T0 + 50 * DAY))


def test_the_terms_that_rule_at_each_instant_count() -> None:
    """From day 50 on the parent covers another place, until then the one it always covered."""
    world = passing_on(scope=somewhere("CN/31"))
    turn = T0 + 50 * DAY
    world.amend("top", scope=somewhere("CN/44"), effective_at=turn)
    here, there = somewhere("CN/31/0115"), somewhere("CN/44")
    across = world.no(asked("child", **CHILD, scope=here, term=Term(T0, turn + DAY)), by="ann")
    assert across.params["part"] == "scope"
    assert world.request("one", **CHILD, scope=here, term=Term(T0, turn))
    early = world.no(asked("child", **CHILD, scope=there, term=Term(turn - DAY, ENDS)), by="ann")
    assert early.params["part"] == "scope"
    assert world.request("other", **CHILD, scope=there, term=Term(turn, ENDS))


# --- who asks -------------------------------------------------------------------------------------


def test_the_grantor_s_members_and_the_grantee_s_may_ask() -> None:
    world = passing_on()
    assert world.request("one", by=member("nora", "customer:north"), **CHILD)
    assert world.request("two", by="mia", grantee="south", parent="top")
    stranger = world.no(asked("three", **CHILD), by=member("eve", "customer:east"))
    assert stranger.code == "member.missing"
    reporter = world.no(asked("three", **CHILD), by=member("sue"))
    assert reporter.code == "member.missing"


def test_without_a_parent_only_the_grantee_s_own_members_ask() -> None:
    world = passing_on()
    assert world.no(asked("one", grantee="north"), by="mia").code == "member.missing"


def test_a_grantor_s_member_answers_for_and_takes_back_what_was_asked_for() -> None:
    world = passing_on(staged())
    world.request("child", by="mia", **CHILD)
    world.run(AskInformation(grant_id="child"), by="carl")
    assert world.run(ProvideInformation(grant_id="child"), by="mia")
    assert world.run(WithdrawGrant(grant_id="child"), by="mia")
    assert world.status_of("child") == "withdrawn"
