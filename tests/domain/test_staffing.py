"""A policy is published only when its stages can be filled, whoever asks; against brute force."""

from itertools import permutations

from hypothesis import given as forall
from hypothesis import settings
from hypothesis import strategies as st

from domain.commands.policies import PublishPolicy
from domain.events.policy import Group, PolicyApproved, PolicyDrafted, PolicySubmitted, Stage
from domain.staffing import Candidate, Unstaffable, unstaffable
from tests.support.given import (
    NAMES,
    NOW,
    Fact,
    World,
    days,
    given,
    person,
    policy_body,
    staff,
    staff_party,
)

ROLES = ["approver", "reviewer", "compliance"]
LEVELS = ["junior", "senior"]

groups = st.builds(
    Group,
    role=st.sampled_from(ROLES),
    number=st.integers(1, 2),
    levels=st.sampled_from([(), ("senior",), ("junior", "senior")]),
)
stages = st.lists(st.lists(groups, min_size=1, max_size=2), min_size=1, max_size=2).map(
    lambda found: [Stage(f"s{n}", NAMES, tuple(some)) for n, some in enumerate(found)]
)
people = st.lists(
    st.builds(
        Candidate,
        person=st.sampled_from(["p1", "p2", "p3", "p4", "p5"]),
        roles=st.frozensets(st.sampled_from(ROLES), max_size=3),
        level=st.sampled_from(LEVELS),
    ),
    max_size=7,
)


def suits(who: str, group: Group, staffed: list[Candidate]) -> bool:
    return any(
        one.person == who and group.role in one.roles and one.level in (group.levels or LEVELS)
        for one in staffed
    )


def can_be_filled(wanted: list[Stage], staffed: list[Candidate]) -> bool:
    """Try every way of giving the places to different people."""
    places = [g for stage in wanted for g in stage.groups for _ in range(g.number)]
    persons = sorted({one.person for one in staffed})
    return any(
        all(suits(who, group, staffed) for who, group in zip(chosen, places, strict=True))
        for chosen in permutations(persons, len(places))
    )


def apart_from_any_requester(wanted: list[Stage], staffed: list[Candidate]) -> bool:
    requesters = [None, *{one.person for one in staffed}]
    return all(
        can_be_filled(wanted, [one for one in staffed if one.person != requester])
        for requester in requesters
    )


@settings(max_examples=400, deadline=None)
@forall(stages, people)
def test_the_matching_says_what_trying_every_way_says(
    wanted: list[Stage], staffed: list[Candidate]
) -> None:
    gap = unstaffable(wanted, staffed)
    assert (gap is None) == apart_from_any_requester(wanted, staffed)
    if gap is not None:
        assert gap.found < gap.needed
        assert (gap.stage, gap.role) in {(s.id, g.role) for s in wanted for g in s.groups}


def team(*words: str, role: str = "approver") -> list[Candidate]:
    return [Candidate(word, frozenset({role}), "senior") for word in words]


def one_stage(*wanted: Group) -> list[Stage]:
    return [Stage("one", NAMES, wanted)]


def test_two_approvers_need_a_third_person_for_the_day_one_of_them_asks() -> None:
    wanted = one_stage(Group("approver", 2))
    assert unstaffable(wanted, team("p1", "p2")) == Unstaffable("one", "approver", 2, 1)
    assert unstaffable(wanted, team("p1", "p2", "p3")) is None


def test_one_person_in_two_groups_fills_one_place() -> None:
    both = [Candidate(word, frozenset({"approver", "compliance"}), "x") for word in ("p1", "p2")]
    wanted = one_stage(Group("approver"), Group("compliance"))
    assert unstaffable(wanted, both) == Unstaffable("one", "compliance", 1, 0)
    assert unstaffable(wanted, [*both, *team("p3")]) is None


def test_a_group_of_one_level_is_filled_by_people_of_that_level() -> None:
    wanted = one_stage(Group("approver", 1, ("senior",)))
    juniors = [Candidate(word, frozenset({"approver"}), "junior") for word in ("p1", "p2")]
    assert unstaffable(wanted, juniors) == Unstaffable("one", "approver", 1, 0)
    assert unstaffable(wanted, team("p3", "p4")) is None


def test_what_is_told_of_a_group_counts_its_own_stage_only() -> None:
    shared = Group("approver", 2)
    wanted = [Stage("one", NAMES, (shared,)), Stage("two", NAMES, (shared,))]
    assert unstaffable(wanted, team("p1", "p2", "p3")) == Unstaffable("two", "approver", 2, 1)


def test_one_person_does_not_approve_in_two_stages() -> None:
    wanted = [Stage("one", NAMES, (Group("approver"),)), Stage("two", NAMES, (Group("approver"),))]
    assert unstaffable(wanted, team("p1", "p2")) == Unstaffable("two", "approver", 1, 0)
    assert unstaffable(wanted, team("p1", "p2", "p3")) is None


def test_people_move_to_another_place_where_that_fills_one_more() -> None:
    everywhere = [Candidate("p1", frozenset({"approver", "compliance"}), "x")]
    wanted = one_stage(Group("approver"), Group("compliance"))
    assert unstaffable(wanted, [*everywhere, *team("p2", "p3", "p4")]) is not None
    staffed = [*everywhere, *team("p2", "p3"), *team("p4", role="compliance")]
    assert unstaffable(wanted, staffed) is None


def test_a_great_staff_is_looked_through_at_once() -> None:
    many = team(*(f"p{number}" for number in range(5_000)))
    wanted = [Stage(f"s{n}", NAMES, (Group("approver", 4),)) for n in range(10)]
    assert unstaffable(wanted, many) is None
    assert unstaffable(wanted, many[:40]) == Unstaffable("s9", "approver", 4, 3)


def approved(*stages: Stage) -> Fact:
    at, ada, cho = NOW - days(9), staff_party("ada"), staff_party("cho")
    return Fact(
        "policy",
        "dealership",
        (
            PolicyDrafted(at=at, by=ada, version=1, body=policy_body(stages=stages)),
            PolicySubmitted(at=at, by=ada, version=1),
            PolicyApproved(at=at, by=cho, version=1),
        ),
    )


def office(*approvers: Fact) -> World:
    two = Stage("one", NAMES, (Group("approver", 2),))
    return given(staff("ada", "administrator"), *approvers, approved(two))


PUBLISH = PublishPolicy(policy="dealership", version=1)
THREE = (staff("ann", "approver"), staff("bob", "approver"), staff("cat", "approver"))


def test_publishing_is_refused_with_the_stage_that_cannot_be_filled() -> None:
    office(*THREE[:2]).when(PUBLISH, "ada").then_refused(
        "policy.stage_unstaffable", stage="one", role="approver", needed=2, found=1
    )
    office(*THREE).when(PUBLISH, "ada").then("policy.published.1")


def test_two_accounts_of_one_person_fill_one_place() -> None:
    world = office(*THREE, person("bob", merged_into="cat"), person("cat"))
    world.when(PUBLISH, "ada").then_refused("policy.stage_unstaffable")


def test_publishing_rests_on_every_staff_member_there_is() -> None:
    outcome = office(*THREE).when(PUBLISH, "ada")
    assert {"ada", "ann", "bob", "cat", "dealership"} <= set(outcome.view.reads)
