"""Commands on a grant from its request to its signature, and notes."""

from __future__ import annotations

from typing import Annotated, Any, Final, Literal

import msgspec

from api.edge import Edge
from api.routes.commands import CommandOperation, Made, Make
from api.routes.customers import Channel, policy_of
from api.routes.operations import Call
from api.routes.staff import EXAMPLE_ID
from api.shapes import Code, Deed, Grantee, Id, Path, Sha256, TermGiven, Text
from domain.commands import grants as commands
from domain.passing_on import MAX_CHAIN
from domain.scopes import MAX_DIMENSIONS, MAX_PATTERNS
from domain.sealing import Sealed
from domain.values import Instant, Term

Actions = Annotated[tuple[Code, ...], msgspec.Meta(max_length=100)]
ScopeGiven = Annotated[
    dict[Code, Annotated[tuple[Path, ...], msgspec.Meta(max_length=MAX_PATTERNS)]],
    msgspec.Meta(
        max_length=MAX_DIMENSIONS,
        description="Dimension to patterns: a path covers itself and all below it, `*` everything.",
    ),
]
PartyGiven = Literal["grantee", "tenant"]


class GrantGiven(Deed, frozen=True, kw_only=True):
    """A request: who may do what, within which scope, for which term, under which kind's policy.

    `template` and `purpose` are a share's: which fields of the customers, and for what.
    """

    grantee: Grantee
    kind: Code
    actions: Actions
    scope: ScopeGiven
    term: TermGiven
    channel: Channel = "online"
    parent: Id | None = None
    pass_on: Annotated[int, msgspec.Meta(ge=0, le=MAX_CHAIN)] = 0
    template: Code | None = None
    purpose: Code | None = None


class QuestionGiven(Deed, frozen=True, kw_only=True):
    """What must be known before going on."""

    question: Text | None = None


class AnswerGiven(Deed, frozen=True, kw_only=True):
    """The answer. Actions, scope and term given here replace those asked for."""

    answer: Text | None = None
    actions: Actions | None = None
    scope: ScopeGiven | None = None
    term: TermGiven | None = None
    channel: Channel = "online"


class CheckGiven(Deed, frozen=True, kw_only=True):
    """One act of verification."""

    kind: Code
    channel: Channel
    note: Text | None = None


class FailureGiven(Deed, frozen=True, kw_only=True):
    """One act of verification that came out badly."""

    kind: Code
    channel: Channel


class ApprovalGiven(Deed, frozen=True, kw_only=True):
    """Which stage, and for which group where one could speak for several.

    Actions, scope and term given here narrow what was asked for, where the stage may.
    """

    stage: Code
    role: Code | None = None
    actions: Actions | None = None
    scope: ScopeGiven | None = None
    term: TermGiven | None = None


class StageNamed(Deed, frozen=True, kw_only=True):
    """Which stage."""

    stage: Code


class SignatureGiven(Deed, frozen=True, kw_only=True):
    """For whom, and on what: the digest of agreement and terms that `GET` of the grant shows."""

    party: PartyGiven
    digest: Sha256


class DeclineGiven(Deed, frozen=True, kw_only=True):
    """For whom."""

    party: PartyGiven


class NoteGiven(Deed, frozen=True, kw_only=True):
    """Something worth keeping; it decides nothing."""

    label: Code | None = None
    text: Text | None = None


def term(given: TermGiven | None) -> Term | None:
    """Return a term as events hold it."""
    return None if given is None else Term(given.starts_at, given.ends_at, given.days)


def _request(edge: Edge, _call: Call, body: GrantGiven, at: Instant | None) -> Made:
    number = edge.grant_number(at)
    command = commands.RequestGrant(
        grant_id=edge.new_id(),
        number=number,
        number_claim=edge.hash("grant_number", number),
        case=edge.new_id(),
        grantee=body.grantee,
        policy=policy_of(edge, body.kind),
        actions=body.actions,
        scope=body.scope,
        term=Term(body.term.starts_at, body.term.ends_at, body.term.days),
        channel=body.channel,
        parent=body.parent,
        pass_on=body.pass_on,
        template=body.template,
        purpose=body.purpose,
    )
    return Made(command, edge.subject_of_party(body.grantee))


def _ask(edge: Edge, call: Call, body: QuestionGiven, _at: Instant | None) -> Made:
    grant, question, subject = about(edge, call, body.question, "question")
    return Made(commands.AskInformation(grant_id=grant, question=question), subject)


def _provide(edge: Edge, call: Call, body: AnswerGiven, _at: Instant | None) -> Made:
    grant, answer, subject = about(edge, call, body.answer, "answer")
    command = commands.ProvideInformation(
        grant_id=grant,
        answer=answer,
        actions=body.actions,
        scope=body.scope,
        term=term(body.term),
        channel=body.channel,
    )
    return Made(command, subject)


def _check(edge: Edge, call: Call, body: CheckGiven, _at: Instant | None) -> Made:
    grant, note, subject = about(edge, call, body.note, "note")
    command = commands.RecordCheck(grant_id=grant, check=body.kind, channel=body.channel, note=note)
    return Made(command, subject)


def narrowing(body: ApprovalGiven) -> dict[str, Any]:
    """Return the fields of a command that approves a stage."""
    given = {"stage": body.stage, "role": body.role, "actions": body.actions, "scope": body.scope}
    return {**given, "term": term(body.term)}


def _approve(_edge: Edge, call: Call, body: ApprovalGiven, _at: Instant | None) -> Made:
    return Made(commands.ApproveStage(grant_id=call.id("id", "grant"), **narrowing(body)))


def _note(edge: Edge, call: Call, body: NoteGiven, _at: Instant | None) -> Made:
    grant, text, subject = about(edge, call, body.text, "text")
    return Made(commands.NoteGrant(grant_id=grant, label=body.label, text=text), subject)


def about(
    edge: Edge, call: Call, text: str | None, field: str
) -> tuple[str, Sealed | None, str | None]:
    """Return the grant of the path, a text about it sealed, and whom that speaks of.

    Where there is no text nobody is looked up: that there is such a grant, the command finds.
    """
    grant = call.id("id", "grant")
    if text is None:
        return grant, None, None
    subject = edge.subject("grant", grant)
    return grant, edge.sealed(text, field, grant, subject), subject


def simple(command: Any, *names: str) -> Make:
    """Return what makes a command that takes these fields of its body as they are."""

    def make(_edge: Edge, call: Call, body: Any, _at: Instant | None) -> Made:
        fields = {name: getattr(body, name) for name in names}
        return Made(command(grant_id=call.id("id", "grant"), **fields))

    return make


def _fail(_edge: Edge, call: Call, body: FailureGiven, _at: Instant | None) -> Made:
    grant = call.id("id", "grant")
    return Made(commands.FailCheck(grant_id=grant, check=body.kind, channel=body.channel))


def row(
    name: str, path: str, scope: str, summary: str, summary_zh: str, make: Make, **more: Any
) -> CommandOperation:
    """Return the row of a command on one grant."""
    return CommandOperation(
        name=f"grant.{name}",
        path=f"/v1/grants/{{id}}/{path}",
        scope=scope,
        summary=summary,
        summary_zh=summary_zh,
        kind="grant",
        make=make,
        **more,
    )


HANDS: Final = ("grants:verify", "grants:approve", "grants:sign", "grants:supervise")

OPERATIONS: Final = (
    CommandOperation(
        name="grant.request",
        path="/v1/grants",
        scope="grants:request",
        summary="Ask for a grant",
        summary_zh="申请授权",
        kind="grant",
        body=GrantGiven,
        created=True,
        location="/v1/grants/{id}",
        make=_request,
        example={
            "grantee": f"customer:{EXAMPLE_ID}",
            "kind": "dealership",
            "actions": ["sell"],
            "scope": {"territory": ["CN/31"], "product": ["tea"]},
            "term": {"days": 365},
        },
    ),
    row(
        "ask_information",
        "information-requests",
        "grants:verify",
        "Ask the requester for something before going on",
        "要求补充信息",
        _ask,
        also=("grants:approve",),
        body=QuestionGiven,
        example={"question": "Which shops?"},
    ),
    row(
        "provide_information",
        "information",
        "grants:request",
        "Answer; changed terms void earlier checks and approvals",
        "补充信息；条件变更后此前的核查与审批作废",
        _provide,
        body=AnswerGiven,
        example={"answer": "The three in Pudong.", "scope": {"territory": ["CN/31/0115"]}},
    ),
    row(
        "record_check",
        "checks",
        "grants:verify",
        "Record one act of verification",
        "记录一次核查",
        _check,
        body=CheckGiven,
        example={"kind": "call_back", "channel": "post"},
    ),
    row(
        "fail_verification",
        "verification-failure",
        "grants:verify",
        "Record that a check came out badly; the request is rejected",
        "记录核查不符；申请被拒绝",
        _fail,
        body=FailureGiven,
        example={"kind": "call_back", "channel": "post", "reason": {"code": "not_so"}},
    ),
    row(
        "approve",
        "approvals",
        "grants:approve",
        "Give one's approval in a stage",
        "审批通过某一阶段",
        _approve,
        body=ApprovalGiven,
        if_match=True,
        example={"stage": "first"},
    ),
    row(
        "retract_approval",
        "approvals/retraction",
        "grants:approve",
        "Take one's own approval of the open stage back",
        "撤回自己的审批",
        simple(commands.RetractApproval, "stage"),
        body=StageNamed,
        example={"stage": "first"},
    ),
    row(
        "reject",
        "rejection",
        "grants:approve",
        "Say no",
        "驳回",
        simple(commands.RejectGrant),
        if_match=True,
        example={"reason": {"code": "territory_taken"}},
    ),
    row(
        "withdraw",
        "withdrawal",
        "grants:request",
        "Take the request back",
        "撤回申请",
        simple(commands.WithdrawGrant),
        example={},
    ),
    row(
        "sign",
        "signatures",
        "grants:sign",
        "Sign on the digest of agreement and approved terms",
        "对协议与获批条件的摘要签署",
        simple(commands.SignGrant, "party", "digest"),
        body=SignatureGiven,
        if_match=True,
        example={"party": "grantee", "digest": "0" * 64},
    ),
    row(
        "decline",
        "decline",
        "grants:sign",
        "Refuse to sign",
        "拒绝签署",
        simple(commands.DeclineGrant, "party"),
        body=DeclineGiven,
        if_match=True,
        example={"party": "grantee"},
    ),
    row(
        "note",
        "notes",
        "grants:request",
        "Keep a note beside the grant",
        "添加备注",
        _note,
        also=HANDS,
        body=NoteGiven,
        example={"label": "call", "text": "Called back, all clear."},
    ),
)
