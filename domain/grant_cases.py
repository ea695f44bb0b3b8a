"""What each event of a renewal or an amendment makes of its grant; see `grants` for the others."""

from __future__ import annotations

from typing import Final

from msgspec.structs import replace

from domain.errors import Impossible
from domain.events.grant_cases import (
    CaseApprovalRetracted,
    CaseApproved,
    CaseChecked,
    CaseEvent,
    CaseLapsed,
    CaseOpened,
    CaseRejected,
    CaseSigned,
    CaseStageApproved,
    CaseVerified,
    CaseWithdrawn,
    GrantAmended,
    GrantErrorDismissed,
    GrantErrorMarked,
    GrantErrorProposed,
    GrantRenewalRequested,
    GrantRenewed,
)
from domain.folding import hands_of
from domain.grant_states import (
    EFFECTIVE,
    OPEN,
    Approval,
    Case,
    CaseEnd,
    CaseKind,
    Check,
    Effect,
    Grant,
    Signature,
)
from domain.values import Terms

ERROR_EVENTS: Final = (GrantErrorProposed, GrantErrorDismissed, GrantErrorMarked)
"""Belong to a case that is neither a renewal nor an amendment."""

_FROM: Final[tuple[tuple[type[CaseEvent], frozenset[str]], ...]] = (
    (CaseChecked, frozenset({"submitted", "verifying"})),
    (CaseVerified, frozenset({"submitted", "verifying"})),
    (CaseStageApproved, frozenset({"pending_approval"})),
    (CaseApproved, frozenset({"pending_approval"})),
    (CaseApprovalRetracted, frozenset({"pending_approval"})),
    (CaseSigned, frozenset({"approved"})),
    (CaseRejected, frozenset({"submitted", "verifying", "pending_approval", "approved"})),
    (CaseWithdrawn, frozenset({"submitted", "verifying", "pending_approval", "approved"})),
    (CaseLapsed, frozenset({"submitted", "verifying", "pending_approval", "approved"})),
    (GrantRenewed, frozenset({"approved"})),
    (GrantAmended, frozenset({"approved"})),
)
"""The recorded states of a case in which a verb emits the event."""


def kind_of(event: CaseEvent) -> CaseKind:
    """Return which kind of case the event belongs to, by its stored name."""
    return "renewal" if event.name.startswith("grant.renew") else "amendment"


def case_expected(grant: Grant, event: CaseEvent) -> bool:
    """Tell whether a verb emits this event for this grant."""
    case = grant.open_case
    if isinstance(event, CaseOpened):
        renewable = isinstance(event, GrantRenewalRequested) and grant.status == "expired"
        return case is None and (grant.status in EFFECTIVE or renewable)
    if case is None or case.case != event.case or case.kind != kind_of(event):
        return False
    if not any(isinstance(event, shape) and case.status in states for shape, states in _FROM):
        return False
    match event:
        case CaseApprovalRetracted():
            return any(_retracts(event, approval) for approval in case.approvals)
        case CaseSigned():
            return all(signature.party != event.party for signature in case.signatures)
        case _:
            return True


def ended_cases(grant: Grant) -> Grant:
    """Return the grant, which has ended, with no case open but a renewal after expiry."""
    case = grant.open_case
    if case is None or (case.kind == "renewal" and grant.status == "expired"):
        return grant
    return closed(grant, case, "ended")


def closed(grant: Grant, case: Case, how: CaseEnd) -> Grant:
    """Return the grant without its open case."""
    return replace(grant, open_case=None, closed={**grant.closed, case.case: how})


def after_case(grant: Grant, event: CaseEvent) -> Grant:
    """Return the state after an event of a renewal or amendment."""
    case = grant.open_case
    if isinstance(event, CaseOpened):
        return replace(grant, open_case=_opened(event))
    if case is None or case.case != event.case:
        # Only imported history comes so: what it speaks of was never told.
        case = Case(event.case, kind_of(event), "submitted", _next(grant), grant.policy)
    match event:
        case GrantRenewed() | GrantAmended():
            return _agreed(grant, case, event)
        case CaseRejected():
            return closed(grant, case, "rejected")
        case CaseWithdrawn():
            return closed(grant, case, "withdrawn")
        case CaseLapsed():
            return closed(grant, case, "lapsed")
        case _:
            return replace(grant, open_case=_step(case, event))


def _opened(event: CaseOpened) -> Case:
    ends = [one.ends_at for one in event.evidence if one.ends_at is not None]
    hands = hands_of(event)
    return Case(
        event.case,
        kind_of(event),
        "submitted",
        event.terms,
        event.policy,
        effective_at=event.effective_at,
        hands={event.case: hands},
        askers=hands,
        evidence_ends_at=min(ends, default=None),
        lapses_at=event.lapses_at,
    )


def _step(case: Case, event: CaseEvent) -> Case:
    match event:
        case CaseChecked():
            check = Check(event.kind, event.channel, hands_of(event))
            return replace(_handled(case, event), checks=(*case.checks, check), status="verifying")
        case CaseVerified():
            return replace(case, status="pending_approval", lapses_at=event.lapses_at)
        case CaseStageApproved():
            approval = Approval(event.stage, event.group, hands_of(event))
            return replace(
                case,
                approvals=(*case.approvals, approval),
                lapses_at=event.lapses_at or case.lapses_at,
                terms=event.terms or case.terms,
            )
        case CaseApprovalRetracted():
            rest = tuple(one for one in case.approvals if not _retracts(event, one))
            return replace(case, approvals=rest)
        case CaseApproved():
            return replace(case, status="approved", terms=event.terms, lapses_at=event.lapses_at)
        case CaseSigned():
            signature = Signature(event.party, event.digest, hands_of(event))
            signed = _handled(case, event)
            return replace(signed, signatures=(*case.signatures, signature))
        case _:
            raise Impossible(event, case)


def _agreed(grant: Grant, case: Case, event: GrantRenewed | GrantAmended) -> Grant:
    """The case's terms rule from their start on; what the grant rests on is what the case does."""
    renewed = isinstance(event, GrantRenewed)
    starts_at = event.starts_at if renewed else event.effective_at
    effect = Effect(starts_at, event.ends_at, case.terms, case.policy)
    ends = [case.evidence_ends_at] if renewed else [case.evidence_ends_at, grant.evidence_ends_at]
    agreed = replace(
        closed(grant, case, "agreed"),
        effects=(*grant.effects, effect),
        terms=case.terms,
        policy=case.policy,
        evidence_ends_at=min((one for one in ends if one is not None), default=None),
    )
    if grant.status in OPEN or (renewed and grant.status == "expired"):
        # Only imported history tells of other terms before the first ones took effect.
        held = any(hold.until is None for hold in grant.holds)
        on = replace(agreed, activated=True, ended_at=None, lapses_at=None)
        return replace(on, status="suspended" if held else "active")
    return agreed


def _next(grant: Grant) -> Terms:
    return replace(grant.terms, number=grant.terms.number + 1)


def _handled(case: Case, event: CaseEvent) -> Case:
    hands = case.hands.get(case.case, frozenset()) | hands_of(event)
    return replace(case, hands={case.case: hands})


def _retracts(event: CaseApprovalRetracted, approval: Approval) -> bool:
    persons = hands_of(event) if event.approver is None else frozenset({event.approver})
    return approval.stage == event.stage and not persons.isdisjoint(approval.persons)
