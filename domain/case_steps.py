"""The steps of a renewal or an amendment, like those of a request: checked, approved, signed.

The main state of the grant stays; with the last step the new terms rule.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Final

from domain import duties
from domain.approving import (
    SigningParty,
    approval,
    completes_signing,
    needs_no_stage,
    own_approval,
    require_agreement,
    require_may_reject,
    require_signer,
    rests_until,
)
from domain.case_events import events_of
from domain.catalogue import Catalogue
from domain.codes import require_code
from domain.duties import Actor
from domain.errors import Refused
from domain.events.grant import GrantExpired
from domain.events.grant_cases import GrantAmended, GrantRenewed
from domain.events.policy import PolicyBody
from domain.grant_cases import after_case
from domain.grant_clock import require_due
from domain.grant_guards import (
    Setting,
    reaches_quorum,
    require_not_receiving,
    require_record,
    require_requester,
    require_separate_from_asking,
)
from domain.grant_states import (
    Case,
    CaseKind,
    CaseStatus,
    Grant,
    case_at,
    case_lapse_of,
    ends_of,
    starts_of,
    status_at,
)
from domain.granting import MAX_CHECKS
from domain.grants import GrantEvent
from domain.narrowing import Narrowing, asks_for_less
from domain.sealing import Sealed
from domain.stages import counting_approvals, has_approved, open_stage, require_open_stage
from domain.terms import approved_terms, effect_of
from domain.values import Act, Instant, Terms, stamp

ANY_STEP: Final[tuple[CaseStatus, ...]] = (
    "submitted",
    "verifying",
    "pending_approval",
    "approved",
)


def require_case(grant: Grant, case: str, at: Instant, allowed: tuple[str, ...]) -> Case:
    """Return the open case of this id, in one of the `allowed` states by the clock.

    Raises `Refused`: `case.unknown`, `case.state` (with the state, or how it ended).
    """
    found = grant.open_case
    if found is None or found.case != case:
        how = grant.closed.get(case)
        if how is None:
            raise Refused("case.unknown", case=case)
        raise Refused("case.state", case=case, state=how)
    state = found.status if case_at(grant, at) is not None else "lapsed"
    if state not in allowed:
        raise Refused("case.state", case=case, state=state)
    return found


def step_lapse(grant: Grant, kind: CaseKind, body: PolicyBody, at: Instant, days: int) -> Instant:
    """Return when a step that opens now is over: a renewal's no later than the policy's grace."""
    lapses_at, ends_at = at + timedelta(days=days), ends_of(grant)
    if kind == "amendment" or ends_at is None:
        return lapses_at
    return min(lapses_at, ends_at + timedelta(days=body.grace_days))


# --- what follows by itself -----------------------------------------------------------------------


def onward(grant: Grant, setting: Setting) -> list[GrantEvent]:
    """Return what follows where the open case's checks reach the quorum: verified, and on where no
    stage waits.
    """
    case, body = grant.open_case, setting.body
    if case is None or not reaches_quorum(body, case.checks, case.askers, setting.same):
        return []
    verified = events_of(case.kind).verified
    act = setting.act
    if needs_no_stage(body, case.terms):
        done = verified(**stamp(act), case=case.case)
        return [done, *_approved(after_case(grant, done), case, case.terms, setting)]
    stage = open_stage(body, counting_approvals(case, setting))
    days = body.submission_lapse_days if stage is None else stage.lapse_days
    lapses_at = step_lapse(grant, case.kind, body, act.at, days)
    return [verified(**stamp(act), case=case.case, lapses_at=lapses_at)]


def _approved(grant: Grant, case: Case, terms: Terms, setting: Setting) -> list[GrantEvent]:
    """Return what follows from the last approval: approved, and in effect where no one signs."""
    body, act = setting.body, setting.act
    begin = begins(grant, case, act.at)
    final = approved_terms(terms, body, begin, ceiling_of(grant, case, setting))
    approved = events_of(case.kind).approved
    if body.agreement is None or not body.agreement.signers:
        done = approved(**stamp(act), case=case.case, terms=final)
        return [done, *_takes_effect(grant, case, final, setting)]
    lapses_at = step_lapse(grant, case.kind, body, act.at, body.agreement.lapse_days)
    return [approved(**stamp(act), case=case.case, terms=final, lapses_at=lapses_at)]


def _takes_effect(grant: Grant, case: Case, terms: Terms, setting: Setting) -> list[GrantEvent]:
    """Return the event with which the new terms rule; an expiry that nobody wrote down goes first.

    Raises `Refused`: `term.evidence_over`, `term.over`.
    """
    act = setting.act
    begin = begins(grant, case, act.at)
    starts_at, ends_at = effect_of(terms, begin, ceiling_of(grant, case, setting))
    if ends_at is not None and ends_at <= starts_at:
        raise Refused("term.over", ends_at=ends_at)
    if case.kind == "amendment":
        return [GrantAmended(**stamp(act), case=case.case, effective_at=starts_at, ends_at=ends_at)]
    renewed = GrantRenewed(**stamp(act), case=case.case, starts_at=starts_at, ends_at=ends_at)
    over = ends_of(grant)
    if over is None or grant.status == "expired" or status_at(grant, act.at) != "expired":
        return [renewed]
    return [GrantExpired(**stamp(act), expired_at=over), renewed]


def begins(grant: Grant, case: Case, at: Instant) -> Instant:
    """Return from when the case's terms rule where they are agreed on at `at`."""
    if case.kind == "renewal":
        return max(at, ends_of(grant) or at)
    return max(at, case.effective_at or at, starts_of(grant) or at)


def ceiling_of(grant: Grant, case: Case, setting: Setting) -> Instant | None:
    """Return when what the new terms rest on ends; an amendment's rest on the grant's as well."""
    ends = [case.evidence_ends_at]
    if case.kind == "amendment":
        ends.append(grant.evidence_ends_at)
    return rests_until(min((at for at in ends if at is not None), default=None), setting)


# --- the verbs ------------------------------------------------------------------------------------


def check(
    grant: Grant, setting: Setting, *, case: str, kind: str, channel: str, note: Sealed | None
) -> list[GrantEvent]:
    """Record one act of verification that came out well; with the quorum the case is verified.

    Raises `Refused`: `role.missing`, `case.*`, `duties.receives`, `duties.not_separate`,
    `code.malformed`, `channel.unknown`, `grant.spoken_without_record`, `grant.too_many_checks`.
    """
    act = setting.act
    duties.require_role(setting.actor, "verifier", act.at)
    found = require_case(grant, case, act.at, ("submitted", "verifying"))
    require_not_receiving(setting)
    require_separate_from_asking(found, setting)
    require_code("kind", kind)
    require_record(act, channel)
    if len(found.checks) >= MAX_CHECKS:
        raise Refused("grant.too_many_checks", limit=MAX_CHECKS)
    checked = events_of(found.kind).checked
    event = checked(**stamp(act), case=case, kind=kind, channel=channel, note=note)
    return [event, *onward(after_case(grant, event), setting)]


def fail(grant: Grant, setting: Setting, *, case: str, kind: str, channel: str) -> list[GrantEvent]:
    """Record a check that came out badly, which ends the case.

    Raises `Refused`: `role.missing`, `case.*`, `reason.missing`, `code.malformed`,
    `channel.unknown`, `grant.spoken_without_record`.
    """
    act = setting.act
    duties.require_role(setting.actor, "verifier", act.at)
    found = require_case(grant, case, act.at, ("submitted", "verifying"))
    duties.require_reason(act)
    require_code("kind", kind)
    require_record(act, channel)
    rejected = events_of(found.kind).rejected
    return [rejected(**stamp(act), case=case, origin="verification", kind=kind, channel=channel)]


def approve(
    grant: Grant,
    setting: Setting,
    *,
    case: str,
    stage: str,
    role: str | None = None,
    wish: Narrowing | None = None,
    catalogue: Catalogue | None = None,
) -> list[GrantEvent]:
    """Give one person's approval in one stage of the case; with the last one it is approved.

    Raises `Refused`: `case.*`, what `approving.approval` raises, `term.evidence_over`.
    """
    act = setting.act
    found = require_case(grant, case, act.at, ("pending_approval", "approved"))
    if has_approved(found, stage, setting) and not asks_for_less(found.terms, wish):
        return []
    require_case(grant, case, act.at, ("pending_approval",))
    given = approval(found, setting, stage=stage, role=role, wish=wish, catalogue=catalogue)
    lapses_at = given.lapses_at
    if lapses_at is not None:
        days = (lapses_at - act.at).days
        lapses_at = step_lapse(grant, found.kind, setting.body, act.at, days)
    event = events_of(found.kind).stage_approved(
        **stamp(act),
        case=case,
        stage=stage,
        role=given.role,
        group=given.group,
        terms=given.terms,
        lapses_at=lapses_at,
    )
    if not given.complete:
        return [event]
    return [event, *_approved(grant, found, given.terms or found.terms, setting)]


def retract(grant: Grant, setting: Setting, *, case: str, stage: str) -> list[GrantEvent]:
    """Take one's own approval of the open stage back.

    Raises `Refused`: `case.*`, `stage.unknown`, `stage.not_open`, `approval.unknown`.
    """
    found = require_case(grant, case, setting.at, ("pending_approval",))
    require_open_stage(setting.body, stage, counting_approvals(found, setting))
    approver = own_approval(found, setting, stage)
    retracted = events_of(found.kind).retracted
    return [retracted(**stamp(setting.act), case=case, stage=stage, approver=approver)]


def reject(grant: Grant, setting: Setting, *, case: str) -> list[GrantEvent]:
    """Say no, as one who could approve the open stage; the grant stays as it is.

    Raises `Refused`: `case.*`, `approver.not_eligible`, `role.missing`, `reason.missing`.
    """
    found = require_case(grant, case, setting.at, ("pending_approval",))
    require_may_reject(found, setting)
    return [events_of(found.kind).rejected(**stamp(setting.act), case=case, origin="approval")]


def withdraw(grant: Grant, setting: Setting, *, case: str) -> list[GrantEvent]:
    """Take the case back.

    Raises `Refused`: `member.missing`, `role.missing`, `role.not_requester`, `case.*`.
    """
    require_requester(grant, setting, "request")
    if grant.closed.get(case) == "withdrawn":
        return []
    found = require_case(grant, case, setting.at, ANY_STEP)
    return [events_of(found.kind).withdrawn(**stamp(setting.act), case=case)]


def sign(
    grant: Grant, setting: Setting, *, case: str, party: SigningParty, digest: str
) -> list[GrantEvent]:
    """Sign for one party on the digest of template and the case's terms; the last one gives effect.

    Raises `Refused`: what `approving.sign` raises, with `case.*` in place of `grant.state`.
    """
    require_signer(setting, party)
    found = require_case(grant, case, setting.at, ("approved",))
    if any(one.party == party and one.digest == digest for one in found.signatures):
        return []
    last = completes_signing(found, setting, party=party, digest=digest)
    signed = events_of(found.kind).signed
    given = signed(**stamp(setting.act), case=case, party=party, digest=digest)
    return [given, *_takes_effect(grant, found, found.terms, setting)] if last else [given]


def decline(grant: Grant, setting: Setting, *, case: str, party: SigningParty) -> list[GrantEvent]:
    """Refuse to sign, which ends the case; the grant stays as it is.

    Raises `Refused`: `member.missing`, `role.missing`, `duties.receives`, `case.*`,
    `agreement.not_a_signer`.
    """
    require_signer(setting, party)
    found = require_case(grant, case, setting.at, ("approved",))
    require_agreement(setting.body, party)
    return [events_of(found.kind).rejected(**stamp(setting.act), case=case, origin="declined")]


def record_lapse(grant: Grant, actor: Actor, act: Act, *, case: str) -> list[GrantEvent]:
    """Write down that the case's open step, its asked term, or the grant under it, was over.

    Raises `Refused`: `role.missing`, `case.unknown`, `case.state`, `grant.not_due`.
    """
    duties.require_timekeeper(actor)
    if grant.closed.get(case) == "lapsed":
        return []
    found = require_case(grant, case, act.at, (*ANY_STEP, "lapsed"))
    lapsed_at = require_due(case_lapse_of(grant), act.at)
    return [events_of(found.kind).lapsed(**stamp(act), case=case, lapsed_at=lapsed_at)]
