"""Rows and states of a policy version's matrix: version 1 of the policy `dealership`."""

from __future__ import annotations

from datetime import timedelta

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
from domain.events.common import Event
from domain.events.policy import (
    PolicyApproved,
    PolicyBody,
    PolicyDrafted,
    PolicyPublished,
    PolicyRetired,
    PolicySubmitted,
)
from domain.view import Command
from tests.support.given import (
    BECAUSE,
    NOW,
    Fact,
    World,
    catalogue,
    days,
    policy_body,
    staff,
    staff_party,
)
from tests.support.matrix import Matrix, Row

AROUND: tuple[Fact, ...] = (
    staff("ada", "administrator", "compliance"),
    staff("cho", "administrator", "compliance"),
    staff("ann", "approver"),
    staff("bob", "approver"),
    catalogue("territory"),
)
ADA, CHO = staff_party("ada"), staff_party("cho")
WRITTEN = NOW - days(50)
BODY = policy_body()


def _of(number: int, body: PolicyBody, from_: timedelta) -> tuple[Event, ...]:
    """What a version goes through until it is published from so many days from now."""
    return (
        PolicyDrafted(at=WRITTEN, by=ADA, version=number, body=body),
        PolicySubmitted(at=WRITTEN, by=ADA, version=number),
        PolicyApproved(at=WRITTEN, by=CHO, version=number),
        PolicyPublished(at=WRITTEN, by=ADA, version=number, from_=NOW + from_),
    )


FIRST = _of(1, BODY, -days(40))
RETIRED = PolicyRetired(at=NOW - days(3), by=CHO, version=1)


def _state(*events: Event) -> tuple[Fact, ...]:
    return (*AROUND, Fact("policy", "dealership", events))


STATES = {
    "none": AROUND,
    "drafted": _state(*FIRST[:1]),
    "submitted": _state(*FIRST[:2]),
    "approved": _state(*FIRST[:3]),
    "published": _state(*FIRST),
    "planned": _state(*_of(1, BODY, days(9))),
    "superseded": _state(*FIRST, *_of(2, BODY, -days(1))),
    "to_be_superseded": _state(*FIRST, *_of(2, BODY, days(9))),
    "approved_but_passed": _state(*FIRST[:3], *_of(2, BODY, -days(1))),
    "retired": _state(*FIRST, RETIRED),
}

ROWS = {
    "draft": Row(
        DraftPolicy(policy="dealership", body=policy_body(depth=1), kind_claim=b"k"), "ada"
    ),
    "draft exactly so": Row(DraftPolicy(policy="dealership", body=BODY, kind_claim=b"k"), "ada"),
    "draft of another kind": Row(
        DraftPolicy(policy="dealership", body=policy_body(kind="trademark"), kind_claim=b"k"), "ada"
    ),
    "draft by no administrator": Row(
        DraftPolicy(policy="dealership", body=BODY, kind_claim=b"k"), "ann"
    ),
    "edit": Row(EditPolicy(policy="dealership", version=1, body=policy_body(depth=1)), "ada"),
    "edit saying the same": Row(EditPolicy(policy="dealership", version=1, body=BODY), "ada"),
    "submit": Row(SubmitPolicy(policy="dealership", version=1), "ada"),
    "approve": Row(ApprovePolicy(policy="dealership", version=1), "cho"),
    "approve by the author": Row(ApprovePolicy(policy="dealership", version=1), "ada"),
    "approve by no compliance": Row(ApprovePolicy(policy="dealership", version=1), "ann"),
    "send back": Row(SendBackPolicy(policy="dealership", version=1), "cho", reason=BECAUSE),
    "send back without a reason": Row(SendBackPolicy(policy="dealership", version=1), "cho"),
    "publish": Row(PublishPolicy(policy="dealership", version=1), "ada"),
    "publish from later": Row(
        PublishPolicy(policy="dealership", version=1, from_=NOW + days(5)), "ada"
    ),
    "publish from the past": Row(
        PublishPolicy(policy="dealership", version=1, from_=NOW - days(5)), "ada"
    ),
    "publish from when it was": Row(
        PublishPolicy(policy="dealership", version=1, from_=NOW - days(40)), "ada"
    ),
    "retire": Row(RetirePolicy(policy="dealership", version=1), "cho"),
    "submit a version nobody drafted": Row(SubmitPolicy(policy="dealership", version=7), "ada"),
}


def _state_of(world: World, command: Command) -> str:
    policy = world.state("dealership")
    return policies.status_at(policy, getattr(command, "version", policy.newest), NOW)


POLICY = Matrix("policy", "policy", "dealership", STATES, ROWS, _state_of)
