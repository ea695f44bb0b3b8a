"""Policies: what is complete, what is in force when, who writes and who agrees."""

from typing import Any

import pytest
from msgspec.structs import replace

from domain import policies
from domain.commands.policies import (
    ApprovePolicy,
    DraftPolicy,
    EditPolicy,
    PublishPolicy,
    RetirePolicy,
    SendBackPolicy,
    SubmitPolicy,
)
from domain.errors import Impossible
from domain.events.policy import (
    ActionRule,
    Agreement,
    Group,
    Identification,
    PolicyApproved,
    PolicyBody,
    PolicyDrafted,
    PolicyEdited,
    PolicyPublished,
    PolicyRetired,
    PolicySubmitted,
    Stage,
    Verification,
)
from domain.policies import PolicyEvent
from domain.policy_bodies import MAX_DAYS, MAX_PLACES, BodyFault, body_fault
from domain.values import Imported, Names
from domain.view import Claim, Command
from tests.support.given import (
    BECAUSE,
    NAMES,
    NOW,
    World,
    catalogue,
    days,
    deputy_set,
    given,
    policy,
    policy_body,
    staff,
    staff_party,
)

HASH = "0123456789abcdef" * 4
AGREEMENT = Agreement("dealer", "3", HASH)


def sells(*codes: str, free: bool = False) -> tuple[ActionRule, ...]:
    return tuple(ActionRule(code, NAMES, free) for code in codes)


def stage(*groups: Group, id: str = "one", **more: Any) -> Stage:  # noqa: A002
    return Stage(id, NAMES, groups, **more)


ONE = Group("approver")

# --- complete -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "body",
    [
        policy_body(),
        policy_body(stages=(), no_approval_needed=True),
        policy_body(stages=(), actions=sells("sell", free=True)),
        policy_body(verification=Verification(("callback",), 2)),
        policy_body(agreement=AGREEMENT, starts="on_signature"),
        policy_body(identification=Identification(0, 0, 1)),
        policy_body(longest_days=MAX_DAYS, review_days=1, depth=8, grace_days=0),
        policy_body(stages=(stage(Group("approver", MAX_PLACES)),)),
    ],
)
def test_a_complete_body_has_no_fault(body: PolicyBody) -> None:
    assert body_fault(body) is None


@pytest.mark.parametrize(
    ("changes", "pointer", "problem"),
    [
        ({"kind": ""}, "/kind", "empty"),
        ({"names": Names("", "x")}, "/names", "empty"),
        ({"names": Names("x", " ")}, "/names", "empty"),
        ({"dimensions": ()}, "/dimensions", "empty"),
        ({"dimensions": ("a", "a")}, "/dimensions/1", "repeated"),
        ({"dimensions": ("a", "b/c")}, "/dimensions/1", "slash"),
        ({"dimensions": tuple(f"d{n}" for n in range(17))}, "/dimensions", "too_many"),
        ({"actions": ()}, "/actions", "empty"),
        ({"actions": sells("sell", "sell")}, "/actions/1", "repeated"),
        ({"actions": sells("a b")}, "/actions/0", "space"),
        ({"actions": sells(*(f"a{n}" for n in range(101)))}, "/actions", "too_many"),
        (
            {"actions": (ActionRule("sell", Names("卖", "")),)},
            "/actions/0/names",
            "empty",
        ),
        ({"identification": Identification(-1)}, "/identification/checks", "out_of_range"),
        ({"identification": Identification(21, 2)}, "/identification/checks", "out_of_range"),
        ({"identification": Identification(1, 2)}, "/identification/channels", "out_of_range"),
        ({"identification": Identification(1, 1, 0)}, "/identification/days", "out_of_range"),
        ({"evidence": ("contract", "contract")}, "/evidence/1", "repeated"),
        ({"verification": Verification(("a", "a"))}, "/verification/kinds/1", "repeated"),
        ({"verification": Verification((), 0)}, "/verification/persons", "out_of_range"),
        ({"stages": ()}, "/stages", "empty"),
        ({"no_approval_needed": True}, "/no_approval_needed", "contradicts_stages"),
        ({"stages": (stage(ONE), stage(ONE))}, "/stages/1", "repeated"),
        ({"stages": (stage(),)}, "/stages/0/groups", "empty"),
        ({"stages": (stage(ONE, lapse_days=0),)}, "/stages/0/lapse_days", "out_of_range"),
        ({"stages": (stage(ONE, escalation="king"),)}, "/stages/0/escalation", "role_unknown"),
        ({"stages": (stage(ONE, Group("king")),)}, "/stages/0/groups/1/role", "role_unknown"),
        (
            {"stages": (stage(Group("administrator")),)},
            "/stages/0/groups/0/role",
            "role_without_approvals",
        ),
        (
            {"stages": (stage(Group("auditor")),)},
            "/stages/0/groups/0/role",
            "role_without_approvals",
        ),
        ({"stages": (stage(Group("approver", 0)),)}, "/stages/0/groups/0/number", "out_of_range"),
        (
            {"stages": (stage(Group("approver", 1, ("a", "a"))),)},
            "/stages/0/groups/0/levels/1",
            "repeated",
        ),
        (
            {"stages": (stage(Group("approver", MAX_PLACES)), stage(ONE, id="two"))},
            "/stages",
            "too_many",
        ),
        ({"starts": "on_signature"}, "/starts", "no_signature"),
        ({"agreement": Agreement(" ", "3", HASH)}, "/agreement/template", "empty"),
        ({"agreement": Agreement("d", "", HASH)}, "/agreement/version", "empty"),
        ({"agreement": Agreement("d", "3", HASH[1:])}, "/agreement/sha256", "not_a_hash"),
        ({"agreement": Agreement("d", "3", HASH.upper())}, "/agreement/sha256", "not_a_hash"),
        ({"agreement": Agreement("d", "3", HASH + "\n")}, "/agreement/sha256", "not_a_hash"),
        ({"agreement": Agreement("d", "3", HASH, ())}, "/agreement/signers", "empty"),
        (
            {"agreement": Agreement("d", "3", HASH, ("tenant", "tenant"))},
            "/agreement/signers/1",
            "repeated",
        ),
        (
            {"agreement": Agreement("d", "3", HASH, ("tenant",), 0)},
            "/agreement/lapse_days",
            "out_of_range",
        ),
        ({"longest_days": 0}, "/longest_days", "out_of_range"),
        ({"longest_days": MAX_DAYS + 1}, "/longest_days", "out_of_range"),
        ({"submission_lapse_days": 0}, "/submission_lapse_days", "out_of_range"),
        ({"review_days": 0}, "/review_days", "out_of_range"),
        ({"depth": -1}, "/depth", "out_of_range"),
        ({"depth": 9}, "/depth", "out_of_range"),
        ({"sanctions": ("warn", "warn")}, "/sanctions/1", "repeated"),
        ({"backdate_days": -1}, "/backdate_days", "out_of_range"),
        ({"provisional_days": 0}, "/provisional_days", "out_of_range"),
        ({"grace_days": -1}, "/grace_days", "out_of_range"),
    ],
)
def test_what_is_missing_or_wrong_is_named_with_its_place(
    changes: dict[str, Any], pointer: str, problem: str
) -> None:
    assert body_fault(policy_body(**changes)) == BodyFault(pointer, problem)


TEAM = (
    staff("ada", "administrator"),
    staff("cho", "compliance"),
    staff("ann", "approver"),
    staff("bob", "approver"),
    catalogue("territory"),
)


def drafted(body: PolicyBody) -> World:
    draft = DraftPolicy(policy="dealership", body=body, kind_claim=b"kind")
    return given(*TEAM).when(draft, "ada").then("policy.drafted.1")


SUBMIT = SubmitPolicy(policy="dealership", version=1)


def test_an_incomplete_draft_is_written_down_but_not_submitted() -> None:
    drafted(policy_body(actions=())).when(SUBMIT, "ada").then_refused(
        "policy.incomplete", pointer="/actions", problem="empty"
    )


def test_a_policy_of_dimensions_nobody_declared_is_not_submitted() -> None:
    drafted(policy_body(dimensions=("territory", "season"))).when(SUBMIT, "ada").then_refused(
        "policy.incomplete", pointer="/dimensions/1", problem="not_declared"
    )
    without_catalogue = given(*TEAM[:4])
    draft = DraftPolicy(policy="dealership", body=policy_body(), kind_claim=b"kind")
    world = without_catalogue.when(draft, "ada").world
    world.when(SUBMIT, "ada").then_refused("policy.incomplete", pointer="/dimensions/0")


def test_the_kind_is_claimed_by_its_first_draft_and_never_again() -> None:
    draft = DraftPolicy(policy="dealership", body=policy_body(), kind_claim=b"kind")
    first = given(*TEAM).when(draft, "ada")
    first.then("policy.drafted.1")
    assert first.view.claims == [Claim("policy_kind", b"kind", "dealership")]
    later = replace(draft, body=policy_body(depth=2))
    second = first.world.when(later, "ada")
    second.then("policy.drafted.1")
    assert second.view.claims == []


def test_a_kind_is_a_code_also_in_a_draft() -> None:
    draft = DraftPolicy(policy="p", body=policy_body(kind="no kind"), kind_claim=b"kind")
    given(*TEAM).when(draft, "ada").then_refused("code.malformed", field="kind")


def test_the_number_of_versions_has_a_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(policies, "MAX_VERSIONS", 1)
    draft = DraftPolicy(policy="dealership", body=policy_body(depth=2), kind_claim=b"kind")
    drafted(policy_body()).when(draft, "ada").then_refused("policy.too_many_versions", limit=1)


# --- separate hands -------------------------------------------------------------------------------

APPROVE = ApprovePolicy(policy="dealership", version=1)


def test_every_author_of_a_version_is_kept_from_approving_it() -> None:
    team = (staff("ada", "administrator"), staff("abe", "administrator", "compliance"))
    world = given(*team, staff("cho", "compliance"), catalogue("territory"))
    draft = DraftPolicy(policy="dealership", body=policy_body(), kind_claim=b"kind")
    world = world.when(draft, "ada").world
    edit = EditPolicy(policy="dealership", version=1, body=policy_body(depth=1))
    world = world.when(edit, "abe").world.when(SUBMIT, "ada").world
    world.when(APPROVE, "abe").then_refused("duties.not_separate")
    world.when(APPROVE, "cho").then("policy.approved.1")


def test_a_deputy_does_not_approve_what_the_one_they_act_for_wrote() -> None:
    world = given(
        staff("abe", "administrator", "compliance", then=[deputy_set("dan")]),
        staff("dan", "requester"),
        catalogue("territory"),
    )
    draft = DraftPolicy(policy="dealership", body=policy_body(), kind_claim=b"kind")
    world = world.when(draft, "abe").world.when(SUBMIT, "abe").world
    world.when(APPROVE, "dan", on_behalf_of="abe").then_refused("duties.not_separate")
    world.when(APPROVE, "dan").then_refused("role.missing")


@pytest.mark.parametrize(
    ("command", "by"),
    [
        (SUBMIT, "cho"),
        (EditPolicy(policy="dealership", version=1, body=policy_body()), "cho"),
        (PublishPolicy(policy="dealership", version=1), "cho"),
        (APPROVE, "ada"),
        (SendBackPolicy(policy="dealership", version=1), "ada"),
        (RetirePolicy(policy="dealership", version=1), "ann"),
    ],
)
def test_only_whose_role_it_is_may_do_it(command: Command, by: str) -> None:
    given(*TEAM, policy("dealership")).when(command, by, reason=BECAUSE).then_refused(
        "role.missing"
    )


@pytest.mark.parametrize("by", ["ada", "cho"])
def test_administrators_and_compliance_retire(by: str) -> None:
    world = given(*TEAM, policy("dealership"))
    world.when(RetirePolicy(policy="dealership", version=1), by).then("policy.retired.1")


# --- in force -------------------------------------------------------------------------------------

ADA, CHO = staff_party("ada"), staff_party("cho")


def version(number: int, from_: float) -> list[PolicyEvent]:
    """A version in force so many days from now on."""
    at = NOW - days(200)
    return [
        PolicyDrafted(at=at, by=ADA, version=number, body=policy_body(depth=number)),
        PolicySubmitted(at=at, by=ADA, version=number),
        PolicyApproved(at=at, by=CHO, version=number),
        PolicyPublished(at=at, by=ADA, version=number, from_=NOW + days(from_)),
    ]


def in_force(events: list[PolicyEvent], *after: float) -> list[int | None]:
    state = None
    for event in events:
        state = policies.evolve(state, event)
    assert state is not None
    found = [policies.in_force(state, NOW + days(number)) for number in after]
    return [None if one is None else one.number for one in found]


def test_a_version_is_in_force_from_its_instant_until_a_newer_ones() -> None:
    both = [*version(1, 0), *version(2, 10)]
    assert in_force(both, -0.001, 0, 9.999, 10, 900) == [None, 1, 1, 2, 2]


def test_after_a_retirement_nothing_is_in_force_not_even_what_was_before() -> None:
    retired = PolicyRetired(at=NOW + days(20), by=CHO, version=2)
    events = [*version(1, 0), *version(2, 10), retired]
    assert in_force(events, 9, 15, 20, 30) == [1, 2, None, None]


def test_a_version_retired_before_its_instant_supersedes_nothing() -> None:
    retired = PolicyRetired(at=NOW + days(5), by=CHO, version=2)
    events = [*version(1, 0), *version(2, 10), retired]
    assert in_force(events, 4, 6, 11) == [1, 1, 1]


def test_a_newer_version_with_an_earlier_instant_leaves_the_older_one_out() -> None:
    assert in_force([*version(1, 10), *version(2, 5)], 4, 6, 11) == [None, 2, 2]


def test_what_was_never_published_is_never_in_force() -> None:
    assert in_force(version(1, 0)[:3], 0, 100) == [None, None]


# --- old records ----------------------------------------------------------------------------------


@pytest.mark.parametrize("event", version(1, 0)[1:])
def test_events_of_no_version_are_impossible_and_irregular_when_imported(
    event: PolicyEvent,
) -> None:
    with pytest.raises(Impossible):
        policies.evolve(None, event)
    state = policies.evolve(None, replace(event, imported=Imported("old.csv", 1)))
    assert state.irregular
    assert policies.in_force(state, NOW) is None
    known = policies.evolve(state, replace(version(1, 0)[0], imported=Imported("old.csv", 2)))
    assert known.kind == "dealership"


def test_an_edit_of_old_records_is_all_that_is_known_of_its_version() -> None:
    edited = PolicyEdited(
        at=NOW, by=ADA, version=4, body=policy_body(), imported=Imported("old.csv", 1)
    )
    state = policies.evolve(None, edited)
    assert (state.kind, state.newest, state.status) == ("dealership", 4, "drafted")


def test_no_verb_gives_a_number_twice_or_leaves_one_out() -> None:
    state = policies.evolve(None, version(1, 0)[0])
    for number in (1, 3):
        with pytest.raises(Impossible):
            policies.evolve(state, version(number, 0)[0])
