"""A grant: who may do what, within which scope, until when, and on whose word.

One stream a grant, from the first request to the last event. Here is what each event makes of it;
the state is in `grant_states`, what renewals and amendments make of it in `grant_cases`. The verbs
up to effect are in `granting` and `approving`, those of supervision in `supervising` and `ending`,
those of renewals and amendments in `renewing` and `case_steps`; the instants of effect in `effect`.
Everything is pure: callers bring the clock and the ids.
"""

from __future__ import annotations

from collections.abc import Mapping

from msgspec.structs import replace

from domain.errors import Impossible
from domain.events.grant import (
    GrantActivated,
    GrantApprovalRetracted,
    GrantApproved,
    GrantChecked,
    GrantExpired,
    GrantInformationProvided,
    GrantInformationRequested,
    GrantLapsed,
    GrantNoted,
    GrantRejected,
    GrantRequested,
    GrantResumed,
    GrantRevocationCancelled,
    GrantRevocationProposed,
    GrantRevocationRequested,
    GrantRevoked,
    GrantScheduled,
    GrantSigned,
    GrantStageApproved,
    GrantSuspended,
    GrantSuspensionConfirmed,
    GrantVerificationFailed,
    GrantVerified,
    GrantWithdrawn,
)
from domain.events.grant_cases import (
    CaseEvent,
    GrantErrorDismissed,
    GrantErrorMarked,
    GrantErrorProposed,
    GrantSuperseded,
)
from domain.folding import disorder, hands_of
from domain.grant_cases import ERROR_EVENTS, after_case, case_expected, ended_cases
from domain.grant_states import (
    EFFECTIVE,
    ENDED,
    OPEN,
    Approval,
    Check,
    Effect,
    Grant,
    Hold,
    Revocation,
    Signature,
    Status,
    status_at,
)
from domain.values import Instant, PolicyRef, Term, Terms

GrantEvent = (
    GrantRequested
    | GrantInformationRequested
    | GrantInformationProvided
    | GrantChecked
    | GrantVerified
    | GrantVerificationFailed
    | GrantRejected
    | GrantStageApproved
    | GrantApproved
    | GrantApprovalRetracted
    | GrantWithdrawn
    | GrantLapsed
    | GrantSigned
    | GrantScheduled
    | GrantActivated
    | GrantSuspended
    | GrantSuspensionConfirmed
    | GrantResumed
    | GrantRevocationRequested
    | GrantRevocationCancelled
    | GrantRevocationProposed
    | GrantRevoked
    | GrantExpired
    | GrantNoted
    | GrantSuperseded
    | CaseEvent
)

__all__ = ["Grant", "GrantEvent", "Status", "evolve", "status_at"]


def evolve(grant: Grant | None, event: GrantEvent) -> Grant:
    """Return the state after `event`. Raises `Impossible` on an order no verb emits.

    Imported events come in any order; then the state becomes what the event says and is marked
    `irregular`. Until an imported request tells, grantee and terms are empty: nothing is in force
    and no command passes.
    """
    if grant is None:
        odd = disorder(isinstance(event, GrantRequested), event, grant)
        known = Grant("submitted", "", "", "", _NOTHING, PolicyRef("", 0))
        after = _after(known, event, odd=odd)
    else:
        odd = disorder(_expected(grant, event), event, grant)
        after = _told(grant, _after(grant, event, odd=odd))
    return replace(after, irregular=True) if odd else after


_NOTHING = Terms("", (), {}, Term())

_ORDER: tuple[Status, ...] = (
    "submitted",
    "information_requested",
    "verifying",
    "pending_approval",
    "approved",
    "scheduled",
    "active",
    "suspended",
)

_FROM: Mapping[type, frozenset[Status]] = {
    GrantRequested: frozenset(),
    GrantInformationRequested: frozenset({"submitted", "verifying", "pending_approval"}),
    GrantInformationProvided: frozenset({"information_requested"}),
    GrantChecked: frozenset({"submitted", "verifying"}),
    GrantVerified: frozenset({"submitted", "verifying"}),
    GrantVerificationFailed: frozenset({"submitted", "verifying"}),
    GrantRejected: OPEN - {"information_requested"},
    GrantStageApproved: frozenset({"pending_approval"}),
    GrantApproved: frozenset({"pending_approval"}),
    GrantApprovalRetracted: frozenset({"pending_approval"}),
    GrantWithdrawn: OPEN,
    GrantLapsed: OPEN,
    GrantSigned: frozenset({"approved"}),
    GrantScheduled: frozenset({"approved"}),
    GrantActivated: frozenset({"approved", "scheduled"}),
    GrantSuspended: EFFECTIVE,
    GrantSuspensionConfirmed: frozenset({"suspended"}),
    GrantResumed: frozenset({"suspended"}),
    GrantRevocationRequested: EFFECTIVE,
    GrantRevocationCancelled: EFFECTIVE,
    GrantRevocationProposed: EFFECTIVE,
    GrantRevoked: EFFECTIVE,
    GrantExpired: EFFECTIVE,
    GrantNoted: frozenset(_ORDER) | ENDED,
    GrantSuperseded: EFFECTIVE,
    GrantErrorProposed: frozenset(_ORDER) | ENDED - {"entered_in_error"},
    GrantErrorDismissed: frozenset(_ORDER) | ENDED - {"entered_in_error"},
    GrantErrorMarked: frozenset(_ORDER) | ENDED - {"entered_in_error"},
}
"""The recorded states in which a verb emits the event."""


def _told(before: Grant, after: Grant) -> Grant:
    """Return the state where terms told only after they took effect are also those of effect."""
    same = after.terms is before.terms and after.policy is before.policy
    if same or len(after.effects) != 1 or after.effects is not before.effects:
        return after
    terms = replace(after.terms, number=after.effects[0].terms.number)
    effect = replace(after.effects[0], terms=terms, policy=after.policy)
    return replace(after, effects=(effect,))


def _expected(grant: Grant, event: GrantEvent) -> bool:
    if isinstance(event, CaseEvent) and not isinstance(event, ERROR_EVENTS):
        return case_expected(grant, event)
    if grant.status not in _FROM.get(type(event), frozenset()):
        return False
    match event:
        case GrantApprovalRetracted():
            return any(_retracts(event, approval) for approval in grant.approvals)
        case GrantSigned():
            return all(signature.party != event.party for signature in grant.signatures)
        case GrantSuspended():
            return event.hold not in [hold.id for hold in grant.holds]
        case GrantSuspensionConfirmed() | GrantResumed():
            return any(hold.id == event.hold and hold.until is None for hold in grant.holds)
        case GrantRevocationRequested() | GrantRevocationProposed():
            return grant.revocation is None
        case GrantRevocationCancelled():
            return grant.revocation is not None and grant.revocation.case == event.case
        case GrantRevoked(case=str()):
            return grant.revocation is not None and grant.revocation.case == event.case
        case GrantErrorProposed():
            return grant.error is None
        case GrantErrorDismissed() | GrantErrorMarked():
            return grant.error == event.case
        case _:
            return True


def _after(grant: Grant, event: GrantEvent, *, odd: bool) -> Grant:
    """Return the state after `event`; `odd` is an imported one out of order, which never takes back
    what is further.
    """
    match event:
        case GrantRequested():
            return _requested(grant, event, odd=odd)
        case GrantInformationRequested():
            return _moved(grant, "information_requested", odd=odd)
        case GrantInformationProvided():
            return _provided(grant, event, odd=odd)
        case GrantChecked():
            check = Check(event.kind, event.channel, hands_of(event))
            checked = replace(_handled(grant, grant.case, event), checks=(*grant.checks, check))
            return _moved(checked, "verifying", odd=odd)
        case GrantVerificationFailed():
            return _handled(grant, grant.case, event)
        case GrantVerified():
            opened = replace(grant, lapses_at=event.lapses_at)
            return _moved(opened, "pending_approval", odd=odd, reopens=True)
        case GrantStageApproved():
            approval = Approval(event.stage, event.group, hands_of(event))
            return replace(
                grant,
                approvals=(*grant.approvals, approval),
                lapses_at=event.lapses_at or grant.lapses_at,
                terms=event.terms or grant.terms,
            )
        case GrantApprovalRetracted():
            rest = tuple(one for one in grant.approvals if not _retracts(event, one))
            return replace(grant, approvals=rest)
        case GrantApproved():
            approved = replace(grant, terms=event.terms, lapses_at=event.lapses_at)
            return _moved(approved, "approved", odd=odd, reopens=True)
        case GrantSigned():
            signature = Signature(event.party, event.digest, hands_of(event))
            signed = _handled(grant, grant.case, event)
            return replace(signed, signatures=(*grant.signatures, signature))
        case GrantRejected() | GrantWithdrawn() | GrantLapsed() | GrantExpired():
            return _ended(grant, event)
        case GrantScheduled() | GrantActivated():
            return _took_effect(grant, event)
        case GrantNoted():
            return grant
        case GrantErrorProposed() | GrantErrorDismissed() | GrantErrorMarked():
            return _error(grant, event)
        case CaseEvent():
            return after_case(grant, event)
        case _:
            return _supervised(grant, event)


def _supervised(grant: Grant, event: GrantEvent) -> Grant:
    match event:
        case GrantSuspended():
            hold = Hold(event.hold, event.at, hands_of(event), event.confirm_by)
            rest = tuple(one for one in grant.holds if one.id != event.hold)
            return _held(replace(grant, holds=(*rest, hold)))
        case GrantSuspensionConfirmed():
            return _held(_with_hold(grant, event.hold, confirm_by=None))
        case GrantResumed():
            return _held(_with_hold(grant, event.hold, until=event.lapsed_at or event.at))
        case GrantRevocationRequested():
            asked = Revocation(event.case, "customer", event.at)
            return replace(_handled(grant, event.case, event), revocation=asked)
        case GrantRevocationProposed():
            proposed = Revocation(event.case, "staff", event.at, event.effective_at)
            return replace(_handled(grant, event.case, event), revocation=proposed)
        case GrantRevocationCancelled():
            return replace(grant, revocation=None)
        case GrantRevoked():
            return _revoked(grant, event)
        case GrantSuperseded():
            over = replace(grant, successor=event.successor, ended_at=event.at, revocation=None)
            return ended_cases(replace(over, status="superseded"))
        case _:
            raise Impossible(event, grant)


def _error(
    grant: Grant, event: GrantErrorProposed | GrantErrorDismissed | GrantErrorMarked
) -> Grant:
    handled = _handled(grant, event.case, event)
    match event:
        case GrantErrorProposed():
            return replace(handled, error=event.case)
        case GrantErrorDismissed():
            return replace(grant, error=None)
        case GrantErrorMarked():
            marked = replace(handled, status="entered_in_error", error=None, revocation=None)
            return ended_cases(replace(marked, ended_at=grant.ended_at or event.at))


def _requested(grant: Grant, event: GrantRequested, *, odd: bool) -> Grant:
    asked = replace(
        _asked(grant, event.case, event),
        number=event.number,
        grantee=event.grantee,
        case=event.case,
        terms=event.terms,
        policy=event.policy,
        lapses_at=event.lapses_at,
    )
    return _moved(asked, "submitted", odd=odd, reopens=True)


def _provided(grant: Grant, event: GrantInformationProvided, *, odd: bool) -> Grant:
    provided = _asked(grant, grant.case, event)
    if event.terms is not None:
        provided = replace(
            provided, terms=event.terms, checks=(), approvals=(), lapses_at=event.lapses_at
        )
    return _moved(provided, "verifying", odd=odd)


def _took_effect(grant: Grant, event: GrantScheduled | GrantActivated) -> Grant:
    effect = Effect(event.starts_at, event.ends_at, replace(grant.terms, number=1), grant.policy)
    if grant.effects and grant.effects[0].terms.number == 1:
        effect = replace(effect, terms=grant.effects[0].terms, policy=grant.effects[0].policy)
    activated = grant.activated or isinstance(event, GrantActivated)
    effects = (effect, *(one for one in grant.effects if one.terms.number > 1))
    taken = replace(grant, effects=effects, activated=activated, lapses_at=None)
    if grant.status in ENDED:
        ends = [at for at in (grant.ended_at, grant.revoked_from) if at is not None]
        if any(event.at < end for end in ends):
            return taken  # imported late: by its own instant it came before the end
        taken = replace(taken, ended_at=None, revoked_from=None)
    return _held(taken)


def _ended(
    grant: Grant, event: GrantRejected | GrantWithdrawn | GrantLapsed | GrantExpired
) -> Grant:
    match event:
        case GrantLapsed():
            return replace(grant, status="lapsed", ended_at=event.lapsed_at)
        case GrantExpired():
            over = replace(grant, status="expired", ended_at=event.expired_at, revocation=None)
            return ended_cases(over)
        case GrantRejected():
            return replace(grant, status="rejected", ended_at=event.at)
        case GrantWithdrawn():
            return replace(grant, status="withdrawn", ended_at=event.at)


def _revoked(grant: Grant, event: GrantRevoked) -> Grant:
    """From a later instant on it changes nothing yet: the clock will, and an open case may still
    end it sooner.
    """
    revoked = replace(grant, revoked_from=event.effective_at)
    if event.case is not None:
        revoked = replace(_handled(revoked, event.case, event), revocation=None)
    if event.effective_at <= event.at or grant.status not in EFFECTIVE:
        return ended_cases(replace(revoked, status="revoked", revocation=None))
    return revoked


def _moved(grant: Grant, to: Status, *, odd: bool, reopens: bool = False) -> Grant:
    """Return the grant in state `to`; an event out of order leaves a state that is further or,
    mostly, ended.
    """
    stays = odd and (
        not reopens if grant.status in ENDED else _ORDER.index(grant.status) > _ORDER.index(to)
    )
    return grant if stays else replace(grant, status=to)


def _held(grant: Grant) -> Grant:
    if None in [hold.until for hold in grant.holds]:
        return replace(grant, status="suspended")
    return replace(grant, status="active" if grant.activated else "scheduled")


def _with_hold(grant: Grant, hold_id: str, **changes: Instant | None) -> Grant:
    holds = tuple(replace(one, **changes) if one.id == hold_id else one for one in grant.holds)
    return replace(grant, holds=holds)


def _handled(grant: Grant, case: str, event: GrantEvent) -> Grant:
    hands = grant.hands.get(case, frozenset()) | hands_of(event)
    return replace(grant, hands={**grant.hands, case: hands})


def _asked(grant: Grant, case: str, event: GrantRequested | GrantInformationProvided) -> Grant:
    ends = [one.ends_at for one in event.evidence if one.ends_at is not None]
    if grant.evidence_ends_at is not None:
        ends.append(grant.evidence_ends_at)
    return replace(
        _handled(grant, case, event),
        askers=grant.askers | hands_of(event),
        evidence_ends_at=min(ends, default=None),
    )


def _retracts(event: GrantApprovalRetracted, approval: Approval) -> bool:
    persons = hands_of(event) if event.approver is None else frozenset({event.approver})
    return approval.stage == event.stage and not persons.isdisjoint(approval.persons)
