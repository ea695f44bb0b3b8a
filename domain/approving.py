"""A grant from the request's approval to its effect: stages, rejection, withdrawal, signature."""

from __future__ import annotations

from datetime import timedelta
from typing import Literal, NamedTuple

from domain import duties, grantees
from domain.catalogue import Catalogue
from domain.errors import Refused
from domain.events.grant import (
    GrantActivated,
    GrantApprovalRetracted,
    GrantApproved,
    GrantRejected,
    GrantScheduled,
    GrantSigned,
    GrantStageApproved,
    GrantVerified,
    GrantWithdrawn,
)
from domain.events.policy import Agreement, PolicyBody
from domain.grant_guards import (
    TENANT_SIGNERS,
    Setting,
    require_not_receiving,
    require_requester,
    require_second_person,
    require_separate_from_case,
    require_status,
)
from domain.grant_states import EFFECTIVE, OPEN, Approval, Grant, Walked, status_at
from domain.grants import GrantEvent
from domain.narrowing import Narrowing, asks_for_less, narrowed
from domain.stages import (
    counting_approvals,
    eligible_groups,
    has_approved,
    missing,
    open_stage,
    require_open_stage,
)
from domain.terms import agreement_digest, approved_terms, effect_of
from domain.values import Act, Instant, Terms, stamp

SigningParty = Literal["grantee", "tenant"]

SETTLED = EFFECTIVE | {"pending_approval", "approved"}
"""States in which an approval or a signature given before still stands for something."""


# --- what follows by itself -----------------------------------------------------------------------


def needs_no_stage(body: PolicyBody, terms: Terms) -> bool:
    """Tell whether no one has to approve: the policy says so, or every action is free."""
    free = {rule.action for rule in body.actions if rule.free}
    return body.no_approval_needed or free.issuperset(terms.actions)


def verified(
    terms: Terms,
    approvals: tuple[Approval, ...],
    evidence_ends_at: Instant | None,
    setting: Setting,
    lapses_at: Instant | None = None,
) -> list[GrantEvent]:
    """Return what follows when the checks reach the quorum: verified, and on where no stage waits.

    `lapses_at` where the open stage was open before and its time goes on.
    """
    body, at = setting.body, setting.at
    if needs_no_stage(body, terms):
        done = GrantVerified(**stamp(setting.act))
        return [done, *approved(terms, evidence_ends_at, setting)]
    if lapses_at is None:
        stage = open_stage(body, approvals)
        days = body.submission_lapse_days if stage is None else stage.lapse_days
        lapses_at = at + timedelta(days=days)
    return [GrantVerified(**stamp(setting.act), lapses_at=lapses_at)]


def approved(terms: Terms, evidence_ends_at: Instant | None, setting: Setting) -> list[GrantEvent]:
    """Return what follows from the last approval: approved, and in effect where no one signs."""
    body, at, act = setting.body, setting.at, setting.act
    ceiling = rests_until(evidence_ends_at, setting)
    final = approved_terms(terms, body, at, ceiling)
    if body.agreement is None or not body.agreement.signers:
        return [GrantApproved(**stamp(act), terms=final), takes_effect(final, ceiling, act)]
    lapses_at = at + timedelta(days=body.agreement.lapse_days)
    return [GrantApproved(**stamp(act), terms=final, lapses_at=lapses_at)]


def takes_effect(
    terms: Terms, ceiling: Instant | None, act: Act
) -> GrantScheduled | GrantActivated:
    """Return the event with which agreed terms take effect: now, or when they start."""
    starts_at, ends_at = effect_of(terms, act.at, ceiling)
    if starts_at > act.at:
        return GrantScheduled(**stamp(act), starts_at=starts_at, ends_at=ends_at)
    return GrantActivated(**stamp(act), starts_at=starts_at, ends_at=ends_at)


def rests_until(evidence_ends_at: Instant | None, setting: Setting) -> Instant | None:
    """Return when what the grant rests on ends, where the policy says that it ends with it."""
    if not setting.body.ends_with_evidence:
        return None
    ends = (evidence_ends_at, grantees.identified_until(setting.grantee))
    return min((at for at in ends if at is not None), default=None)


# --- the verbs ------------------------------------------------------------------------------------


class Given(NamedTuple):
    """An approval that may be given: for which group, on which narrower terms (None: as asked).

    `lapses_at` where the next stage opens with it; `complete` where it was the last one.
    """

    role: str
    group: int
    terms: Terms | None
    lapses_at: Instant | None
    complete: bool


def approval(
    walked: Walked,
    setting: Setting,
    *,
    stage: str,
    role: str | None,
    wish: Narrowing | None,
    catalogue: Catalogue | None,
) -> Given:
    """Return the approval of a request or case that this actor may give now.

    Raises `Refused`: `stage.*`, `grantee.standing`, `approver.not_eligible`, `duties.receives`,
    `duties.not_separate`, `terms.widened`, and what narrowed terms are refused for.
    """
    body = setting.body
    approvals = counting_approvals(walked, setting)
    current = require_open_stage(body, stage, approvals)
    groups = eligible_groups(current, setting, role)
    require_not_receiving(setting)
    require_separate_from_case(walked, setting)
    grantees.require_grantee_standing(setting.grantee, setting.at)
    wanting = [number for number in groups if missing(current, number, approvals) > 0]
    if not wanting:
        raise Refused("stage.group_complete", stage=stage)
    less = narrowed(walked.terms, wish, current, body, catalogue, setting.at)
    group = wanting[0]
    given = Approval(stage, group, duties.persons_of(setting.actor))
    after = open_stage(body, (*approvals, given))
    lapses_at = None
    if after is not None and after.id != stage:
        lapses_at = setting.at + timedelta(days=after.lapse_days)
    return Given(current.groups[group].role, group, less, lapses_at, after is None)


def approve(
    grant: Grant,
    setting: Setting,
    *,
    stage: str,
    role: str | None = None,
    wish: Narrowing | None = None,
    catalogue: Catalogue | None = None,
) -> list[GrantEvent]:
    """Give one person's approval in one stage; with the last one the grant is approved.

    `role` says for which group, where the approver could speak for several; `wish` what they leave
    of the terms. Raises `Refused`: `grant.state`, what `approval` raises, `term.evidence_over`.
    """
    stands = has_approved(grant, stage, setting) and not asks_for_less(grant.terms, wish)
    if stands and status_at(grant, setting.at) in SETTLED:
        return []
    require_status(grant, setting.at, ("pending_approval",))
    given = approval(grant, setting, stage=stage, role=role, wish=wish, catalogue=catalogue)
    event = GrantStageApproved(
        **stamp(setting.act),
        stage=stage,
        role=given.role,
        group=given.group,
        terms=given.terms,
        lapses_at=given.lapses_at,
    )
    if not given.complete:
        return [event]
    return [event, *approved(given.terms or grant.terms, grant.evidence_ends_at, setting)]


def retract(grant: Grant, setting: Setting, *, stage: str) -> list[GrantEvent]:
    """Take one's own approval of the open stage back.

    Raises `Refused`: `grant.state`, `stage.unknown`, `stage.not_open`, `approval.unknown`.
    """
    require_status(grant, setting.at, ("pending_approval",))
    require_open_stage(setting.body, stage, counting_approvals(grant, setting))
    approver = own_approval(grant, setting, stage)
    return [GrantApprovalRetracted(**stamp(setting.act), stage=stage, approver=approver)]


def own_approval(walked: Walked, setting: Setting, stage: str) -> str:
    """Return the person behind the actor's own approval of the stage, as it was written down.

    Raises `Refused`: `approval.unknown`.
    """
    acting = duties.persons_of(setting.actor)
    for one in walked.approvals:
        own = [person for person in sorted(one.persons) if setting.same(person) in acting]
        if one.stage == stage and own:
            return own[0]
    raise Refused("approval.unknown", stage=stage, party=setting.actor.party.ref)


def reject(grant: Grant, setting: Setting) -> list[GrantEvent]:
    """Say no, as one who could approve the open stage.

    Raises `Refused`: `grant.state`, `approver.not_eligible`, `role.missing`, `reason.missing`.
    """
    require_status(grant, setting.at, ("pending_approval",))
    require_may_reject(grant, setting)
    return [GrantRejected(**stamp(setting.act), origin="approval")]


def require_may_reject(walked: Walked, setting: Setting) -> None:
    """Refuse whoever could not approve the open stage, or gives no reason.

    Codes: `approver.not_eligible`, `role.missing`, `reason.missing`.
    """
    stage = open_stage(setting.body, counting_approvals(walked, setting))
    if stage is None:
        duties.require_role(setting.actor, "approver", setting.at)
    else:
        eligible_groups(stage, setting)
    duties.require_reason(setting.act)


def withdraw(grant: Grant, setting: Setting) -> list[GrantEvent]:
    """Take the request back.

    Raises `Refused`: `member.missing`, `role.missing`, `role.not_requester`, `grant.state`.
    """
    require_requester(grant, setting, "request")
    if grant.status == "withdrawn":
        return []
    require_status(grant, setting.at, OPEN)
    return [GrantWithdrawn(**stamp(setting.act))]


def sign(grant: Grant, setting: Setting, *, party: SigningParty, digest: str) -> list[GrantEvent]:
    """Sign for one party on the digest of template and approved terms; the last one gives effect.

    Raises `Refused`: `member.missing`, `role.missing`, `duties.receives`, `duties.not_separate`,
    `grant.state`, `agreement.not_a_signer`, `agreement.digest_mismatch`, `grantee.standing`,
    `term.evidence_over`.
    """
    require_signer(setting, party)
    signed = {signature.party: signature for signature in grant.signatures}
    stands = party in signed and signed[party].digest == digest
    if stands and status_at(grant, setting.at) in SETTLED:
        return []
    require_status(grant, setting.at, ("approved",))
    last = completes_signing(grant, setting, party=party, digest=digest)
    given = GrantSigned(**stamp(setting.act), party=party, digest=digest)
    if not last:
        return [given]
    ceiling = rests_until(grant.evidence_ends_at, setting)
    return [given, takes_effect(grant.terms, ceiling, setting.act)]


def completes_signing(
    walked: Walked, setting: Setting, *, party: SigningParty, digest: str
) -> bool:
    """Tell whether this signature, which may be given, is the last one.

    Raises `Refused`: `agreement.not_a_signer`, `agreement.digest_mismatch`, `actor.person_missing`,
    `duties.not_separate`, `grantee.standing`.
    """
    agreement = require_agreement(setting.body, party)
    require_digest(agreement, walked.terms, digest)
    others = [one for one in walked.signatures if one.party != party]
    hands = frozenset[str]().union(*(one.persons for one in others))
    require_second_person(hands, setting)
    grantees.require_grantee_standing(setting.grantee, setting.at)
    return {party, *(one.party for one in others)}.issuperset(agreement.signers)


def decline(grant: Grant, setting: Setting, *, party: SigningParty) -> list[GrantEvent]:
    """Refuse to sign, which ends the request.

    Raises `Refused`: `member.missing`, `role.missing`, `duties.receives`, `grant.state`,
    `agreement.not_a_signer`.
    """
    require_signer(setting, party)
    require_status(grant, setting.at, ("approved",))
    require_agreement(setting.body, party)
    return [GrantRejected(**stamp(setting.act), origin="declined")]


def require_signer(setting: Setting, party: SigningParty) -> None:
    """Refuse whoever does not sign for that party: the grantee's member, or staff apart from it."""
    if party == "grantee":
        grantees.require_grantee(setting.actor, setting.grantee, "sign", setting.at, setting.same)
        return
    duties.require_any_role(setting.actor, TENANT_SIGNERS, setting.at)
    require_not_receiving(setting)


def require_agreement(body: PolicyBody, party: SigningParty) -> Agreement:
    """Return the agreement that this party signs; `agreement.not_a_signer` where there is none."""
    if body.agreement is None or party not in body.agreement.signers:
        raise Refused("agreement.not_a_signer", party=party)
    return body.agreement


def require_digest(agreement: Agreement, terms: Terms, digest: str) -> None:
    """Refuse a signature on anything but this template and exactly the approved terms."""
    if digest != agreement_digest(agreement, terms):
        raise Refused("agreement.digest_mismatch", terms=terms.number)
