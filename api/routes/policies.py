"""Commands on policies: written, submitted, agreed to, published, retired."""

from __future__ import annotations

from typing import Annotated, Any, Final, Literal

import msgspec

from api.edge import Edge
from api.routes.commands import CommandOperation, Made
from api.routes.operations import Call
from api.shapes import Code, Days, Deed, Line, NamesGiven, Sha256, Shape, When
from domain.commands import policies as commands
from domain.errors import Refused
from domain.events.policy import PolicyBody
from domain.values import Instant

Codes = Annotated[tuple[Code, ...], msgspec.Meta(max_length=100)]
Few = Annotated[int, msgspec.Meta(ge=0, le=100)]


class ActionRuleGiven(Shape, frozen=True, kw_only=True):
    """An action of the kind: `free` is granted without a stage, the others need approval."""

    action: Code
    names: NamesGiven
    free: bool = False


class IdentificationGiven(Shape, frozen=True, kw_only=True):
    """How well a customer must be known."""

    checks: Few = 1
    channels: Few = 1
    days: Days = 365


class VerificationGiven(Shape, frozen=True, kw_only=True):
    """Kinds of checks that must all be there, and by how many independent people."""

    kinds: Codes = ()
    persons: Few = 1


class GroupGiven(Shape, frozen=True, kw_only=True):
    """So many different people of this role (and of one of these levels, where named)."""

    role: Code
    number: Few = 1
    levels: Codes = ()


class StageGiven(Shape, frozen=True, kw_only=True):
    """A step of approval: all groups must agree."""

    id: Code
    names: NamesGiven
    groups: Annotated[tuple[GroupGiven, ...], msgspec.Meta(max_length=20)]
    lapse_days: Days = 30
    escalation: Code | None = None
    may_narrow: bool = False


class AgreementGiven(Shape, frozen=True, kw_only=True):
    """What is signed, and by whom."""

    template: Line
    version: Line
    sha256: Sha256
    signers: Annotated[tuple[Literal["grantee", "tenant"], ...], msgspec.Meta(max_length=2)] = (
        "grantee",
    )
    lapse_days: Days = 30


class TemplateGiven(Shape, frozen=True, kw_only=True):
    """What a share shows of a customer; a field not named is not shown."""

    id: Code
    names: NamesGiven
    fields: Annotated[
        dict[Code, Literal["none", "masked", "read", "edit"]], msgspec.Meta(max_length=50)
    ]
    purposes: Codes
    longest_days: Days | None = None


class PolicyBodyGiven(Shape, frozen=True, kw_only=True):
    """Everything one version of a policy says; the same fields as in its events."""

    kind: Code
    names: NamesGiven
    dimensions: Codes
    actions: Annotated[tuple[ActionRuleGiven, ...], msgspec.Meta(max_length=100)]
    identification: IdentificationGiven = msgspec.field(default_factory=IdentificationGiven)
    evidence: Codes = ()
    verification: VerificationGiven | None = None
    stages: Annotated[tuple[StageGiven, ...], msgspec.Meta(max_length=20)] = ()
    no_approval_needed: bool = False
    agreement: AgreementGiven | None = None
    longest_days: Days = 366
    starts: Literal["fixed", "on_approval", "on_signature"] = "fixed"
    ends_with_evidence: bool = False
    submission_lapse_days: Days = 30
    exclusive: bool = False
    review_days: Days | None = None
    overdue_review: Literal["report", "suspend"] = "report"
    depth: Few = 0
    sanctions: Codes = ()
    backdate_days: Days = 0
    revocation_persons: Literal[1, 2] = 1
    provisional_days: Days = 7
    grace_days: Days = 0
    grades: Codes = ()
    templates: Annotated[tuple[TemplateGiven, ...], msgspec.Meta(max_length=50)] = ()


class DraftGiven(Deed, frozen=True, kw_only=True):
    """A new version, of a new kind or of one that has a policy already."""

    body: PolicyBodyGiven


class PublicationGiven(Deed, frozen=True, kw_only=True):
    """From when it is in force; from now where nothing is said."""

    from_: When | None = None


def policy_body(given: PolicyBodyGiven) -> PolicyBody:
    """Return the body as events hold it."""
    return msgspec.convert(msgspec.to_builtins(given), PolicyBody)


def _version(call: Call) -> int:
    text = call.part("version")
    if not text.isascii() or not text.isdigit() or len(text) > 6:
        raise Refused("policy.version_unknown", version=text[:16])
    return int(text)


def _draft(edge: Edge, _call: Call, given: DraftGiven, _at: Instant | None) -> Made:
    known = edge.claimed(commands.KIND_CLAIM, given.body.kind)
    command = commands.DraftPolicy(
        policy=known or edge.new_id(),
        body=policy_body(given.body),
        kind_claim=edge.hash(commands.KIND_CLAIM, given.body.kind),
    )
    return Made(command, edge.by.person or edge.tenant)


def _edit(_edge: Edge, call: Call, given: DraftGiven, _at: Instant | None) -> Made:
    policy = call.id("id", "policy")
    body = policy_body(given.body)
    return Made(commands.EditPolicy(policy=policy, version=_version(call), body=body))


def _publish(_edge: Edge, call: Call, given: PublicationGiven, _at: Instant | None) -> Made:
    policy = call.id("id", "policy")
    return Made(commands.PublishPolicy(policy=policy, version=_version(call), from_=given.from_))


def _step(command: Any) -> Any:
    def make(_edge: Edge, call: Call, _body: Any, _at: Instant | None) -> Made:
        return Made(command(policy=call.id("id", "policy"), version=_version(call)))

    return make


DEALERSHIP: Final = {
    "kind": "dealership",
    "names": {"zh": "经销授权", "en": "Dealership"},
    "dimensions": ["territory", "product"],
    "actions": [{"action": "sell", "names": {"zh": "销售", "en": "Sell"}}],
    "verification": {"kinds": ["call_back"], "persons": 1},
    "stages": [
        {
            "id": "first",
            "names": {"zh": "审批", "en": "Approval"},
            "groups": [{"role": "approver", "number": 1}],
        }
    ],
    "agreement": {
        "template": "dealership-agreement",
        "version": "2026-01",
        "sha256": "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
    },
    "starts": "on_signature",
}

_VERSION: Final = "/v1/policies/{id}/versions/{version}"

OPERATIONS: Final = (
    CommandOperation(
        name="policy.draft",
        path="/v1/policies",
        scope="policies",
        summary="Draft a policy version; the kind says of which policy",
        summary_zh="起草政策版本；由种类决定所属政策",
        kind="policy",
        body=DraftGiven,
        created=True,
        location="/v1/policies/{id}",
        make=_draft,
        example={"body": DEALERSHIP},
    ),
    CommandOperation(
        name="policy.edit",
        path=f"{_VERSION}/body",
        scope="policies",
        summary="Let a draft say something else",
        summary_zh="修改草案内容",
        kind="policy",
        body=DraftGiven,
        make=_edit,
        example={"body": DEALERSHIP},
    ),
    CommandOperation(
        name="policy.submit",
        path=f"{_VERSION}/submission",
        scope="policies",
        summary="Hand a draft to compliance",
        summary_zh="提交合规审核",
        kind="policy",
        make=_step(commands.SubmitPolicy),
        example={},
    ),
    CommandOperation(
        name="policy.send_back",
        path=f"{_VERSION}/sending-back",
        scope="policies",
        summary="Send a submitted version back to draft",
        summary_zh="退回修改",
        kind="policy",
        if_match=True,
        make=_step(commands.SendBackPolicy),
        example={"reason": {"code": "term_too_long"}},
    ),
    CommandOperation(
        name="policy.approve",
        path=f"{_VERSION}/approval",
        scope="policies",
        summary="Agree to a submitted version; not by its author",
        summary_zh="批准政策版本；起草人不得批准",
        kind="policy",
        if_match=True,
        make=_step(commands.ApprovePolicy),
        example={},
    ),
    CommandOperation(
        name="policy.publish",
        path=f"{_VERSION}/publication",
        scope="policies",
        summary="Put an approved version in force",
        summary_zh="发布已批准的版本",
        kind="policy",
        body=PublicationGiven,
        make=_publish,
        example={},
    ),
    CommandOperation(
        name="policy.retire",
        path=f"{_VERSION}/retirement",
        scope="policies",
        summary="Let no new request rest on a version",
        summary_zh="停用版本：新申请不得再以其为据",
        kind="policy",
        make=_step(commands.RetirePolicy),
        example={},
    ),
)
