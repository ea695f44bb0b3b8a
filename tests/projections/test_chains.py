"""Grants passed on, and teams: what the decision asks of every grant above, and of a member."""

from __future__ import annotations

from typing import Any

import pytest

from domain.policy_bodies import MAX_GRANT_DEPTH
from projections.chains import Link
from projections.material import PermissionRow, Subject
from projections.permissions import Stop
from tests.projections.facts import day
from tests.projections.materials import (
    ANN,
    BEN,
    CAT,
    code,
    decided,
    row,
    someone,
    stands,
)

DAN = "customer:00000000-0000-7000-8000-0000000000dd"


def grant(number: int) -> str:
    """The id of the grant so many levels above Ann's."""
    return f"10000000-0000-7000-8000-{number:012x}"


def level(number: int, grantee: str, top: int = 2, **more: Any) -> PermissionRow:
    """A row of a chain: Ann's own is level 0, the first grant of all is level `top`."""
    given: dict[str, Any] = {
        "grant": grant(number),
        "number": f"G{number}",
        "parent": grant(number + 1) if number < top else None,
        "known_from": 30 - number,
    }
    return row(grantee, **(given | more))


EVERYONE = (stands(ANN), stands(BEN), stands(CAT), stands(DAN))


def below(*above: PermissionRow, own: PermissionRow | None = None, **more: Any) -> Subject:
    """Ann, with what Ben passed on to her from what Cat passed on to him, unless said otherwise."""
    rows = above or (level(1, BEN), level(2, CAT))
    return someone(
        level(0, ANN) if own is None else own, **({"above": rows, "standings": EVERYONE} | more)
    )


def test_what_was_passed_on_is_allowed_when_every_level_above_allows_it() -> None:
    why = decided(below()).explanation()
    assert (why.code, why.number, why.level, why.own) == ("check.allowed", "G0", None, None)
    assert why.chain == (
        Link(grant(1), "G1", 1, BEN),
        Link(grant(2), "G2", 1, CAT),
    )


HELD = {"until": 5, "stops": [Stop("suspended", day(5), None, "h1")]}
REVOKED = {"until": 5, "stops": [Stop("revoked", day(5))]}


@pytest.mark.parametrize(
    ("more", "expected"),
    [
        (HELD, "check.suspended"),
        (REVOKED, "check.revoked"),
        ({"until": 5}, "check.ended"),
        ({"since": 15}, "check.not_yet"),
        ({"actions": ("show",)}, "check.action_not_granted"),
        ({"scope": {"territory": ("CN/44",), "product": ("tea",)}}, "scope.not_covered"),
        ({"scope": {"channel": ("online",)}}, "scope.not_covered"),
        ({"policy_known": False}, "check.policy_unknown"),
    ],
)
@pytest.mark.parametrize("at", [1, 2])
def test_what_fails_at_any_level_above_denies_and_is_told_of_that_grant(
    more: dict[str, Any], expected: str, at: int
) -> None:
    given = [level(1, BEN), level(2, CAT)]
    given[at - 1] = level(at, (BEN, CAT)[at - 1], **more)
    why = decided(below(*given)).explanation()
    assert (why.code, why.level, why.number, why.grant) == (expected, at, f"G{at}", grant(at))
    assert why.own == Link(grant(0), "G0", 1, ANN)
    assert [one.number for one in why.chain] == ["G1", "G2"][:at]


def test_a_hold_above_is_over_below_when_it_is_over() -> None:
    rows = [level(1, BEN, **HELD), level(1, BEN, since=20), level(2, CAT)]
    who = below(*rows)
    assert [decided(who, at).allowed for at in (4.9, 5, 19.9, 20)] == [True, False, False, True]


@pytest.mark.parametrize("at", [1, 2])
def test_whoever_passed_on_must_stand_at_the_instant(at: int) -> None:
    party = (BEN, CAT)[at - 1]
    others = [one for one in EVERYONE if one[0] != party]
    who = below(standings=[*others, stands(party, 0, 10), stands(party, 20)])
    assert [decided(who, when).allowed for when in (9.9, 10, 20)] == [True, False, True]
    why = decided(who, 10).explanation()
    assert (why.code, why.party, why.level) == ("check.grantee_not_in_standing", party, at)


def test_whoever_passed_on_and_was_merged_stands_as_the_other_one() -> None:
    merges = [(BEN, DAN, day(5))]
    standings = [stands(ANN), stands(CAT), stands(BEN, 0, 5), stands(DAN, 0, 10)]
    who = below(standings=standings, merges=merges)
    assert [decided(who, at).allowed for at in (4, 7, 10)] == [True, True, False]
    assert {BEN, DAN, CAT} <= who.rests_on
    assert who.parties == (ANN,)


@pytest.mark.parametrize("stream", [grant(1), grant(2), BEN.partition(":")[2]])
def test_quarantine_above_denies_below(stream: str) -> None:
    assert code(below(), quarantined={stream: 15}) == "check.quarantined"
    assert code(below(), quarantined={stream: 15}, as_of=14) == "check.allowed"
    assert code(below(), quarantined={stream: 15}, as_of=15) == "check.quarantined"


def test_what_is_asked_must_be_covered_at_every_level_wherever_it_lies_on_other_dimensions() -> (
    None
):
    """Ann's own scope says nothing of products, and the one above does."""
    who = below(level(1, BEN), level(2, CAT), own=level(0, ANN, scope={"territory": ("CN/31",)}))
    assert who.dimensions == {"territory", "product"}
    assert decided(who, attributes={"product": "tea"}, properties={}).allowed
    why = decided(who, attributes={"product": "cup"}, properties={}).explanation()
    assert (why.code, why.level, why.dimension) == ("scope.not_covered", 1, "product")
    assert code(who, properties={}) == "scope.dimension_missing"


def test_the_terms_that_rule_at_the_instant_say_what_is_above() -> None:
    """From day 20 on the parent rests on another grant, which does not cover it."""
    moved = level(1, BEN, since=20, terms=2, parent=grant(7))
    narrow = level(7, DAN, top=7, scope={"territory": ("CN/44",), "product": ("tea",)})
    who = below(level(1, BEN, until=20), moved, level(2, CAT), narrow)
    assert decided(who, 10).allowed
    why = decided(who, 20).explanation()
    assert (why.code, why.number, why.level, why.terms) == ("scope.not_covered", "G7", 2, 1)
    assert [one.terms for one in why.chain] == [2, 1]


def test_a_grant_above_that_is_not_there_denies_and_is_not_remembered() -> None:
    for rows in ((), (level(1, BEN),)):
        who = someone(level(0, ANN), standings=EVERYONE, above=rows)
        why = decided(who).explanation()
        assert (why.code, why.level or 0) == ("check.chain_unresolved", len(rows))
        assert not who.settled
        assert who.missing == (grant(len(rows) + 1),)
    assert below().settled
    assert not below(level(1, BEN), level(2, CAT, policy_known=False)).settled


def test_a_grant_above_of_which_no_row_is_left_is_explained_by_what_became_of_it() -> None:
    who = someone(level(0, ANN), standings=EVERYONE)
    over = someone(
        level(1, BEN, top=1, since=-9, until=-8, stops=[Stop("revoked", day(-8))]),
        ref=BEN,
        standings=EVERYONE,
    ).rights
    why = decided(who).explanation(over)
    assert (why.code, why.number, why.level) == ("check.revoked", "G1", 1)


def test_grants_that_lead_back_to_each_other_allow_nothing() -> None:
    who = below(level(1, BEN, parent=grant(2)), level(2, CAT, parent=grant(1)))
    assert code(who) == "check.chain_circle"
    assert code(below(own=level(0, ANN, parent=grant(0)), above=[level(0, ANN)])) == (
        "check.chain_circle"
    )


def test_a_chain_is_followed_as_deep_as_any_policy_allows_and_no_deeper() -> None:
    for depth, expected in ((MAX_GRANT_DEPTH, "check.allowed"), (9, "check.chain_too_deep")):
        rows = [level(number, BEN, top=depth) for number in range(1, depth + 1)]
        assert code(below(*rows, own=level(0, ANN, top=depth))) == expected
    assert MAX_GRANT_DEPTH == 8


def test_a_right_that_fails_only_above_is_nearer_than_one_that_fails_by_itself() -> None:
    held = row(grant="5", number="held", until=5, stops=[Stop("suspended", day(5), None, "h")])
    rows = [level(1, BEN, **REVOKED), level(2, CAT)]
    who = someone(held, level(0, ANN), standings=EVERYONE, above=rows)
    assert decided(who).explanation().number == "G1"


def test_rows_of_grants_above_are_no_rights_of_the_subject() -> None:
    wide = {"territory": ("*",), "product": ("*",)}
    who = below(level(1, BEN, scope=wide), level(2, CAT, scope=wide))
    assert not decided(who, resource_id="CN/44").allowed


# --- teams ----------------------------------------------------------------------------------------

EVE = "staff:00000000-0000-7000-8000-0000000000ee"
SALES, EAST = "team:sales", "team:sales/east"


def eve(*rows: PermissionRow, **more: Any) -> Subject:
    """Eve belongs to the team east of sales during days 5 to 40, to service from then on."""
    given: dict[str, Any] = {
        "ref": EVE,
        "standings": [stands(EVE), stands(SALES, 0, 60), stands(EAST), stands("team:service")],
        "members": [
            (EVE, "sales/east", day(5), day(40)),
            (EVE, "service", day(40), None),
        ],
    }
    return someone(*rows, **(given | more))


@pytest.mark.parametrize("team", [SALES, EAST])
def test_a_member_may_what_its_team_or_one_above_was_given_while_it_belongs_to_it(
    team: str,
) -> None:
    who = eve(row(team))
    assert who.parties == (EVE, SALES, EAST, "team:service")
    assert [decided(who, at).allowed for at in (4.9, 5, 39.9, 40)] == [False, True, True, False]
    why = decided(who, 45).explanation()
    assert (why.code, why.party) == ("check.not_in_team", team)


def test_what_a_team_below_or_beside_was_given_is_not_the_members() -> None:
    for team in ("team:sales/east/shanghai", "team:sales/west", "team:sal"):
        assert code(eve(row(team)), 10) == "check.no_grant"


def test_a_member_who_does_not_stand_has_nothing_of_its_team() -> None:
    standings = [stands(EVE, 0, 20), stands(SALES)]
    who = eve(row(SALES), standings=standings)
    assert [decided(who, at).allowed for at in (19.9, 20)] == [True, False]
    why = decided(who, 20).explanation()
    assert (why.code, why.party) == ("check.grantee_not_in_standing", EVE)


def test_a_team_that_does_not_stand_gives_nothing_to_its_members() -> None:
    who = eve(row(SALES), standings=[stands(EVE), (SALES, None, day(20))])
    assert [decided(who, at).allowed for at in (19.9, 20)] == [True, False]
    why = decided(who, 20).explanation()
    assert (why.code, why.party) == ("check.grantee_not_in_standing", SALES)


def test_a_member_in_quarantine_has_nothing_of_its_team() -> None:
    assert code(eve(row(SALES)), quarantined={EVE.partition(":")[2]: 15}) == "check.quarantined"


def test_a_team_has_its_own_rights_and_is_known_by_its_point() -> None:
    who = someone(row(SALES), ref=SALES, standings=[stands(SALES, 0, 60)], exists=False)
    assert [decided(who, at).allowed for at in (59, 60)] == [True, False]
    empty = someone(ref=SALES, standings=[stands(SALES)], exists=False)
    assert (empty.known, empty.settled) == (True, True)
    assert not someone(ref=SALES, standings=[], exists=False).known


def test_what_a_team_passed_on_rests_on_the_team() -> None:
    who = someone(
        level(0, ANN, top=1),
        above=[level(1, SALES, top=1)],
        standings=[stands(ANN), stands(SALES, 0, 20)],
    )
    assert [decided(who, at).allowed for at in (19.9, 20)] == [True, False]
    assert SALES in who.rests_on
