"""Commands on a grant in effect: suspended, resumed, revoked."""

from __future__ import annotations

from typing import Any, Final

from api.edge import Edge
from api.routes.commands import Made
from api.routes.grants import row, simple
from api.routes.operations import Call
from api.routes.staff import EXAMPLE_ID
from api.shapes import Code, Deed, Id, When
from domain.commands import supervision as commands
from domain.values import Instant


class SuspensionGiven(Deed, frozen=True, kw_only=True):
    """One more hold; provisional, it falls unless a second person confirms it in time."""

    provisional: bool = False


class HoldNamed(Deed, frozen=True, kw_only=True):
    """Which hold."""

    hold: Id


class CaseNamed(Deed, frozen=True, kw_only=True):
    """Which revocation."""

    case: Id


class RevocationGiven(Deed, frozen=True, kw_only=True):
    """From when on it ends; from now where nothing is said."""

    effective_at: When | None = None


class CauseGiven(Deed, frozen=True, kw_only=True):
    """The rule's code."""

    cause: Code


def _suspend(edge: Edge, call: Call, body: SuspensionGiven, _at: Instant | None) -> Made:
    grant = call.id("id", "grant")
    return Made(
        commands.SuspendGrant(grant_id=grant, hold=edge.new_id(), provisional=body.provisional)
    )


def _confirm_suspension(_edge: Edge, call: Call, _body: Any, _at: Instant | None) -> Made:
    grant = call.id("id", "grant")
    return Made(commands.ConfirmSuspension(grant_id=grant, hold=call.id("hold", "hold")))


def _request_revocation(edge: Edge, call: Call, _body: Any, _at: Instant | None) -> Made:
    return Made(commands.RequestRevocation(grant_id=call.id("id", "grant"), case=edge.new_id()))


def _revoke(edge: Edge, call: Call, body: RevocationGiven, _at: Instant | None) -> Made:
    command = commands.RevokeGrant(
        grant_id=call.id("id", "grant"), case=edge.new_id(), effective_at=body.effective_at
    )
    return Made(command)


OPERATIONS: Final = (
    row(
        "suspend",
        "suspension",
        "grants:supervise",
        "Suspend: one hold more",
        "暂停授权：增加一项冻结",
        _suspend,
        body=SuspensionGiven,
        example={"reason": {"code": "complaint"}},
    ),
    row(
        "confirm_suspension",
        "suspension/{hold}/confirmation",
        "grants:supervise",
        "Stand behind a provisional hold as the second person",
        "由第二人确认临时冻结",
        _confirm_suspension,
        example={},
    ),
    row(
        "resume",
        "resumption",
        "grants:supervise",
        "End one hold because its cause is cleared",
        "解除一项冻结",
        simple(commands.ResumeGrant, "hold"),
        body=HoldNamed,
        example={"hold": EXAMPLE_ID, "reason": {"code": "cleared"}},
    ),
    row(
        "request_revocation",
        "revocation-request",
        "grants:request",
        "Ask, for the grantee, to end it; another person confirms",
        "被授权方申请撤销；由另一人确认",
        _request_revocation,
        example={},
    ),
    row(
        "confirm_revocation",
        "revocation-request/confirmation",
        "grants:supervise",
        "Confirm a revocation that another person asked for or proposed",
        "确认他人申请或提出的撤销",
        simple(commands.ConfirmRevocation, "case"),
        also=("grants:request",),
        body=CaseNamed,
        example={"case": EXAMPLE_ID},
    ),
    row(
        "cancel_revocation",
        "revocation-request/cancellation",
        "grants:supervise",
        "Call an unconfirmed revocation off",
        "取消未确认的撤销",
        simple(commands.CancelRevocation, "case"),
        also=("grants:request",),
        body=CaseNamed,
        example={"case": EXAMPLE_ID},
    ),
    row(
        "revoke",
        "revocation",
        "grants:supervise",
        "Revoke, now or from an instant; proposed first where the policy wants two people",
        "撤销授权；政策要求两人时先行提出",
        _revoke,
        body=RevocationGiven,
        example={"reason": {"code": "breach"}},
    ),
    row(
        "revoke_by_rule",
        "revocation/rule",
        "grants:supervise",
        "End it now because a rule says so; by a service",
        "依规则立即撤销；由服务执行",
        simple(commands.RevokeByRule, "cause"),
        body=CauseGiven,
        example={"cause": "licence_withdrawn"},
    ),
)
