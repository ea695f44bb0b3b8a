"""Commands on renewals and amendments, and on grants superseded or entered in error."""

from __future__ import annotations

from typing import Annotated, Any, Final

import msgspec

from api.edge import Edge
from api.routes.commands import Made, Make
from api.routes.customers import Channel
from api.routes.grants import (
    Actions,
    ApprovalGiven,
    CheckGiven,
    DeclineGiven,
    FailureGiven,
    ScopeGiven,
    SignatureGiven,
    StageNamed,
    about,
    narrowing,
    row,
    simple,
)
from api.routes.operations import Call
from api.routes.staff import EXAMPLE_ID
from api.routes.supervision import CaseNamed
from api.shapes import Deed, Id, TermGiven, When
from domain.commands import cases as commands
from domain.values import Instant, Term


class RenewalGiven(Deed, frozen=True, kw_only=True):
    """Until when it is to go on: the new end, or the days where the policy counts them."""

    term: TermGiven
    channel: Channel = "online"


class AmendmentGiven(Deed, frozen=True, kw_only=True):
    """What is to be otherwise, and from when on; what is not given stays."""

    actions: Actions | None = None
    scope: ScopeGiven | None = None
    ends_at: When | None = None
    pass_on: Annotated[int, msgspec.Meta(ge=0, le=8)] | None = None
    effective_at: When | None = None
    channel: Channel = "online"


class SuccessorNamed(Deed, frozen=True, kw_only=True):
    """Which grant takes its place."""

    successor: Id


def _renew(edge: Edge, call: Call, body: RenewalGiven, _at: Instant | None) -> Made:
    term = Term(body.term.starts_at, body.term.ends_at, body.term.days)
    command = commands.RequestRenewal(
        grant_id=call.id("id", "grant"), case=edge.new_id(), term=term, channel=body.channel
    )
    return Made(command)


def _amend(edge: Edge, call: Call, body: AmendmentGiven, _at: Instant | None) -> Made:
    command = commands.ProposeAmendment(
        grant_id=call.id("id", "grant"),
        case=edge.new_id(),
        actions=body.actions,
        scope=body.scope,
        ends_at=body.ends_at,
        pass_on=body.pass_on,
        effective_at=body.effective_at,
        channel=body.channel,
    )
    return Made(command)


def _check(edge: Edge, call: Call, body: CheckGiven, _at: Instant | None) -> Made:
    grant, note, subject = about(edge, call, body.note, "note")
    command = commands.CheckCase(
        grant_id=grant,
        case=call.id("case", "case"),
        check=body.kind,
        channel=body.channel,
        note=note,
    )
    return Made(command, subject)


def _fail(_edge: Edge, call: Call, body: FailureGiven, _at: Instant | None) -> Made:
    grant, case = call.id("id", "grant"), call.id("case", "case")
    return Made(commands.FailCase(grant_id=grant, case=case, check=body.kind, channel=body.channel))


def _approve(_edge: Edge, call: Call, body: ApprovalGiven, _at: Instant | None) -> Made:
    grant, case = call.id("id", "grant"), call.id("case", "case")
    return Made(commands.ApproveCase(grant_id=grant, case=case, **narrowing(body)))


def _propose_error(edge: Edge, call: Call, _body: Any, _at: Instant | None) -> Made:
    return Made(commands.ProposeError(grant_id=call.id("id", "grant"), case=edge.new_id()))


def of_case(command: Any, *names: str) -> Make:
    """Return what makes a command on the case of the path that takes these fields as they are."""

    def make(_edge: Edge, call: Call, body: Any, _at: Instant | None) -> Made:
        fields = {name: getattr(body, name) for name in names}
        grant, case = call.id("id", "grant"), call.id("case", "case")
        return Made(command(grant_id=grant, case=case, **fields))

    return make


OPERATIONS: Final = (
    row(
        "request_renewal",
        "renewals",
        "grants:request",
        "Ask that it goes on after its end",
        "申请续期",
        _renew,
        body=RenewalGiven,
        example={"term": {"ends_at": "2027-12-31T16:00:00Z"}},
    ),
    row(
        "propose_amendment",
        "amendments",
        "grants:request",
        "Propose other actions, another scope or end",
        "提议变更",
        _amend,
        body=AmendmentGiven,
        example={"scope": {"territory": ["CN/31", "CN/32"], "product": ["tea"]}},
    ),
    row(
        "check_case",
        "cases/{case}/checks",
        "grants:verify",
        "Record one act of verification of a renewal or amendment",
        "记录对续期或变更的一次核查",
        _check,
        body=CheckGiven,
        example={"kind": "call_back", "channel": "post"},
    ),
    row(
        "fail_case",
        "cases/{case}/verification-failure",
        "grants:verify",
        "Record that a check came out badly; the renewal or amendment is rejected",
        "记录核查不符；续期或变更被拒绝",
        _fail,
        body=FailureGiven,
        example={"kind": "call_back", "channel": "post", "reason": {"code": "not_so"}},
    ),
    row(
        "approve_case",
        "cases/{case}/approvals",
        "grants:approve",
        "Give one's approval in a stage of a renewal or amendment",
        "审批通过续期或变更的某一阶段",
        _approve,
        body=ApprovalGiven,
        if_match=True,
        example={"stage": "first"},
    ),
    row(
        "retract_case_approval",
        "cases/{case}/approvals/retraction",
        "grants:approve",
        "Take one's own approval of the open stage back",
        "撤回自己对续期或变更的审批",
        of_case(commands.RetractCaseApproval, "stage"),
        body=StageNamed,
        example={"stage": "first"},
    ),
    row(
        "reject_case",
        "cases/{case}/rejection",
        "grants:approve",
        "Say no to a renewal or amendment; the grant stays as it is",
        "驳回续期或变更；原授权不变",
        of_case(commands.RejectCase),
        if_match=True,
        example={"reason": {"code": "not_now"}},
    ),
    row(
        "withdraw_case",
        "cases/{case}/withdrawal",
        "grants:request",
        "Take a renewal or amendment back",
        "撤回续期或变更",
        of_case(commands.WithdrawCase),
        example={},
    ),
    row(
        "sign_case",
        "cases/{case}/signatures",
        "grants:sign",
        "Sign a renewal or amendment on the digest of agreement and approved terms",
        "签署续期或变更",
        of_case(commands.SignCase, "party", "digest"),
        body=SignatureGiven,
        if_match=True,
        example={"party": "grantee", "digest": "0" * 64},
    ),
    row(
        "decline_case",
        "cases/{case}/decline",
        "grants:sign",
        "Refuse to sign a renewal or amendment",
        "拒绝签署续期或变更",
        of_case(commands.DeclineCase, "party"),
        body=DeclineGiven,
        if_match=True,
        example={"party": "grantee"},
    ),
    row(
        "supersede",
        "supersession",
        "grants:supervise",
        "End it because another grant of the grantee takes its place",
        "由被授权方的另一授权取代",
        simple(commands.SupersedeGrant, "successor"),
        body=SuccessorNamed,
        example={"successor": EXAMPLE_ID, "reason": {"code": "new_contract"}},
    ),
    row(
        "propose_error",
        "error",
        "grants:request",
        "Say that it never should have been entered; another person confirms",
        "提出此授权录入错误；由另一人确认",
        _propose_error,
        also=("grants:verify", "grants:approve", "grants:supervise"),
        example={"reason": {"code": "wrong_customer"}},
    ),
    row(
        "confirm_error",
        "error/confirmation",
        "grants:supervise",
        "Mark it entered in error, as another person",
        "由另一人确认录入错误",
        simple(commands.ConfirmError, "case"),
        body=CaseNamed,
        if_match=True,
        example={"case": EXAMPLE_ID},
    ),
    row(
        "dismiss_error",
        "error/dismissal",
        "grants:supervise",
        "Call off that it is marked entered in error",
        "取消录入错误的提议",
        simple(commands.DismissError, "case"),
        also=("grants:request", "grants:verify", "grants:approve"),
        body=CaseNamed,
        example={"case": EXAMPLE_ID},
    ),
)
