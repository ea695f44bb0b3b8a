"""The decision by itself: what is allowed, what is denied, and what the nearest grant lacks."""

from __future__ import annotations

from typing import Any

import pytest

from domain.errors import Refused
from projections.permissions import Stop
from tests.projections.facts import day
from tests.projections.materials import (
    ANN,
    BEN,
    CAT,
    GRANT,
    POLICY,
    code,
    decided,
    row,
    someone,
    stands,
)


def test_an_allowance_names_the_grant_its_terms_its_policy_and_the_position_it_rests_on() -> None:
    decision = decided(someone(row()))
    assert decision.allowed
    why = decision.explanation()
    assert (why.code, why.grant, why.number, why.terms) == ("check.allowed", GRANT, "G1", 1)
    assert (why.policy, why.policy_version, why.rests_on, why.chain) == (POLICY, 3, 7, ())
    assert decision.position == 20


@pytest.mark.parametrize(
    ("at", "expected"),
    [
        (-1, "check.not_yet"),
        (0, "check.allowed"),
        (99.999, "check.allowed"),
        (100, "check.ended"),
    ],
)
def test_a_term_is_half_open(at: float, expected: str) -> None:
    who = someone(row(), standings=[stands(since=-10)])
    assert code(who, at) == expected


def test_an_open_term_never_ends() -> None:
    assert code(someone(row(until=None)), 2_000_000) == "check.allowed"


def test_who_is_unknown_and_who_has_no_grant_are_told_apart() -> None:
    assert code(someone(exists=False)) == "check.subject_unknown"
    assert code(someone()) == "check.no_grant"


def test_a_kind_that_does_not_declare_the_resources_type_covers_nothing_of_it() -> None:
    placed = {"territory": "CN/31", "product": "tea"}
    asked = {"resource_type": "channel", "resource_id": "online", "properties": placed}
    why = decided(someone(row()), **asked).explanation()
    assert (why.code, why.dimension, why.path) == ("scope.not_covered", "channel", "online")


def test_an_action_not_granted_is_denied() -> None:
    assert code(someone(row()), action="show") == "check.action_not_granted"


def test_a_scope_that_does_not_cover_is_named_with_dimension_and_path() -> None:
    why = decided(someone(row()), resource_id="CN/44").explanation()
    assert (why.code, why.dimension, why.path) == ("scope.not_covered", "territory", "CN/44")
    why = decided(someone(row()), properties={"product": "cup"}).explanation()
    assert (why.code, why.dimension, why.path) == ("scope.not_covered", "product", "cup")


def test_a_dimension_that_nothing_gives_is_not_covered() -> None:
    why = decided(someone(row()), properties={}).explanation()
    assert (why.code, why.dimension) == ("scope.dimension_missing", "product")


def test_properties_go_before_stored_attributes_and_context_is_asked_last() -> None:
    who = someone(row())
    tea, cup = {"product": "tea"}, {"product": "cup"}
    assert decided(who, properties={}, attributes=tea).allowed
    assert decided(who, properties={}, context=tea).allowed
    assert not decided(who, properties=cup, attributes=tea, context=tea).allowed
    assert not decided(who, properties={}, attributes=cup, context=tea).allowed
    assert decided(who, properties=tea, attributes=cup).allowed


@pytest.mark.parametrize("wrong", [5, None, ["tea"], {"tea": 1}, "tea/*", "tea//x", "", "*"])
def test_a_property_that_is_no_path_covers_nothing_and_is_not_replaced(wrong: Any) -> None:
    decision = decided(someone(row()), properties={"product": wrong}, attributes={"product": "tea"})
    assert decision.explanation().code == "scope.not_covered"


def test_properties_do_not_move_the_resource_itself() -> None:
    properties = {"territory": "CN/31", "product": "tea"}
    assert not decided(someone(row()), resource_id="CN/44", properties=properties).allowed


def test_any_covers_every_path_that_is_given_and_none_that_is_not() -> None:
    who = someone(row(scope={"territory": ("*",), "product": ("*",)}))
    assert decided(who, resource_id="US/NY").allowed
    assert not decided(who, properties={}).allowed


@pytest.mark.parametrize(
    ("member", "more"),
    [
        ("resource.id", {"resource_id": "*"}),
        ("resource.id", {"resource_id": "CN/*"}),
        ("resource.id", {"resource_id": "CN//31"}),
        ("resource.id", {"resource_id": ""}),
        ("resource.id", {"resource_id": "e\u0301"}),
        ("resource.id", {"resource_id": "CN\u0000"}),
        ("resource.type", {"resource_type": "*"}),
        ("resource.type", {"resource_type": "territory/CN"}),
        ("resource.type", {"resource_type": ""}),
    ],
)
def test_ids_that_name_no_single_thing_are_refused(member: str, more: dict[str, Any]) -> None:
    with pytest.raises(Refused, match=r"^check\.bad_id") as caught:
        decided(someone(row(scope={"territory": ("*",)})), **more)
    assert caught.value.params["member"] == member


@pytest.mark.parametrize("ref", ["*", "customer:*", "", "customer:/", "x" * 257])
def test_subjects_that_name_nobody_are_refused(ref: str) -> None:
    with pytest.raises(Refused, match=r"^check\.bad_id"):
        decided(someone(ref=ref))


def test_a_grant_without_its_policy_allows_nothing() -> None:
    assert code(someone(row(policy_known=False))) == "check.policy_unknown"
    assert code(someone(row(policy=None, policy_known=False))) == "check.policy_unknown"


def test_who_is_not_in_standing_at_the_instant_is_denied() -> None:
    who = someone(row(), standings=[stands(since=5, until=10), stands(since=20)])
    assert [decided(who, at).allowed for at in (4.9, 5, 9.9, 10, 20)] == [
        False, True, True, False, True,
    ]  # fmt: skip
    why = decided(who, 10).explanation()
    assert (why.code, why.party) == ("check.grantee_not_in_standing", ANN)
    assert code(someone(row(), standings=[])) == "check.grantee_not_in_standing"


def test_what_keeps_a_grant_out_of_force_is_told_for_the_instant_asked_about() -> None:
    hold = Stop("suspended", day(10), day(30), "h1")
    revoked, ended = Stop("revoked", day(40)), Stop("ended", day(100))
    rows = [
        row(until=10, stops=[hold]),
        row(since=30, until=40, stops=[revoked, ended]),
    ]
    who = someone(*rows)
    why = decided(who, 15).explanation()
    assert (why.code, why.hold, why.instant, why.until) == (
        "check.suspended", "h1", day(10), day(30),
    )  # fmt: skip
    assert code(who, 35) == "check.allowed"
    assert code(who, 50) == "check.revoked"
    assert code(who, 150) == "check.ended"


def test_a_stream_in_quarantine_takes_its_grants_out_of_force() -> None:
    who = someone(row())
    assert code(who, quarantined={GRANT: 15}) == "check.quarantined"
    assert code(who, quarantined={ANN.partition(":")[2]: 15}) == "check.quarantined"
    assert code(who, quarantined={BEN.partition(":")[2]: 15}) == "check.allowed"


def test_what_was_known_before_the_quarantine_began_still_answers() -> None:
    who = someone(row())
    assert code(who, quarantined={GRANT: 15}, as_of=14) == "check.allowed"
    assert code(who, quarantined={GRANT: 15}, as_of=15) == "check.quarantined"


def test_the_nearest_grant_is_the_one_that_fails_last() -> None:
    far = row(scope={"channel": ("online",)}, grant="1", number="far")
    other = row(actions=("show",), grant="2", number="action")
    ended = row(until=5, grant="3", number="ended")
    later = row(since=50, grant="4", number="later")
    held = row(until=5, stops=[Stop("suspended", day(5), None, "h")], grant="5", number="held")
    rows = [far, other, ended, later, held]
    nearest = ["far", "action", "ended", "later", "held"]
    for count in range(1, 6):
        for order in (rows[:count], rows[:count][::-1]):
            assert decided(someone(*order)).explanation().number == nearest[count - 1]


def test_one_right_among_many_that_fail_allows() -> None:
    failing = [row(until=5), row(since=50), row(scope={"territory": ("CN/44",)}), row(parent="x")]
    assert decided(someone(*failing, row(grant="good"))).explanation().grant == "good"


# --- merged records -------------------------------------------------------------------------------

INTO = (ANN, BEN, day(50))
"""Ann's record went into Ben's on day 50."""


def test_merged_records_are_one_whichever_is_asked_about() -> None:
    rows = [row(ANN)]
    standings = [stands(ANN, 0, 50), stands(BEN, 0)]
    for ref in (ANN, BEN):
        who = someone(*rows, ref=ref, standings=standings, merges=[INTO])
        assert set(who.parties) == {ANN, BEN}
        assert decided(who, 60).allowed


def test_a_merged_record_stands_by_itself_until_the_merge_and_as_the_other_from_then_on() -> None:
    blocked_after = [stands(ANN, 0, 50), stands(BEN, 0, 60)]
    who = someone(row(ANN), standings=blocked_after, merges=[INTO])
    assert [decided(who, at).allowed for at in (10, 55, 60)] == [True, True, False]
    blocked_before = [stands(ANN, 20, 50), stands(BEN, 0)]
    who = someone(row(ANN), standings=blocked_before, merges=[INTO])
    assert [decided(who, at).allowed for at in (10, 20, 55)] == [False, True, True]


def test_what_was_given_to_the_other_one_stands_as_the_other_one_did() -> None:
    who = someone(row(BEN), standings=[stands(ANN, 0, 50), stands(BEN, 30)], merges=[INTO])
    assert [decided(who, at).allowed for at in (10, 30, 60)] == [False, True, True]


def test_merges_are_followed_through_several_records() -> None:
    merges = [INTO, (BEN, CAT, day(70))]
    standings = [stands(ANN, 0, 50), stands(BEN, 0, 70), stands(CAT, 0)]
    for ref in (ANN, BEN, CAT):
        who = someone(row(ANN), ref=ref, standings=standings, merges=merges)
        assert [decided(who, at).allowed for at in (60, 80)] == [True, True]


def test_a_circle_of_merges_stands_nowhere_and_does_not_hang() -> None:
    merges = [(ANN, BEN, day(1)), (BEN, ANN, day(1))]
    who = someone(row(ANN), standings=[stands(ANN), stands(BEN)], merges=merges)
    assert not decided(who).allowed


def test_rows_of_others_make_no_difference() -> None:
    rows = [row(BEN, {"territory": ("*",), "product": ("*",)})]
    who = someone(*rows, standings=[stands(ANN), stands(BEN)], exists=True)
    assert code(who) == "check.no_grant"


def test_only_what_cannot_change_unseen_may_be_remembered() -> None:
    assert someone(row()).settled
    assert someone().settled
    assert not someone(exists=False).settled
    assert not someone(row(policy_known=False)).settled
