"""A grant from request to verified: asked for, explained, checked by people who did not ask."""

from __future__ import annotations

from datetime import timedelta
from typing import Final

from domain import duties, grantees
from domain.approving import verified
from domain.catalogue import Catalogue
from domain.codes import require_code
from domain.errors import Refused
from domain.events.grant import (
    GrantChecked,
    GrantInformationProvided,
    GrantInformationRequested,
    GrantRejected,
    GrantRequested,
    GrantVerificationFailed,
)
from domain.grant_guards import (
    Setting,
    reaches_quorum,
    require_evidence,
    require_member,
    require_not_receiving,
    require_record,
    require_requester,
    require_separate_from_approvals,
    require_separate_from_asking,
    require_status,
)
from domain.grant_states import Grant
from domain.grants import GrantEvent, evolve
from domain.sealing import Sealed
from domain.stages import counting_approvals, open_stage
from domain.terms import require_terms
from domain.values import PolicyRef, Terms, stamp

MAX_CHECKS: Final = 100
"""Most checks that one request gathers without reaching its quorum."""


def request(
    grant: Grant | None,
    setting: Setting,
    catalogue: Catalogue | None,
    *,
    number: str,
    case: str,
    terms: Terms,
    policy: PolicyRef,
    channel: str,
) -> list[GrantEvent]:
    """Ask for a grant under the policy version in force, which it rests on from then on.

    Where no check is demanded it is verified at once, where no stage is, approved at once.
    Raises `Refused`: `grant.state`, `member.missing`, `role.missing`, `grantee.*`,
    `grant.passing_on_not_offered`, `grant.passing_on_too_deep`, `action.*`, `scope.*`, `term.*`,
    `share.*`, `channel.unknown`, `grant.spoken_without_record`, `grant.evidence_missing`.
    """
    if grant is not None:
        raise Refused("grant.state", state=grant.status)
    body, act = setting.body, setting.act
    require_may_ask(setting)
    grantees.require_grantable(setting.grantee, act.at)
    asked = require_terms(terms, body, catalogue, act.at)
    require_record(act, channel)
    require_evidence(act, body)
    event = GrantRequested(
        **stamp(act),
        number=number,
        case=case,
        grantee=setting.grantee.ref,
        terms=asked,
        policy=policy,
        channel=channel,
        lapses_at=act.at + timedelta(days=body.submission_lapse_days),
    )
    return [event, *_onward(evolve(None, event), setting)]


def require_may_ask(setting: Setting) -> None:
    """Refuse whoever is neither a requester of the staff nor a member, for requests, of the grantee
    or of whose right it is passed on from.

    Codes: `role.missing`, `member.missing`.
    """
    if setting.actor.staff is not None:
        duties.require_role(setting.actor, "requester", setting.at)
        return
    require_member(setting, "request")


def ask(grant: Grant, setting: Setting, *, question: Sealed | None) -> list[GrantEvent]:
    """Ask for information, as a verifier or as one who could approve.

    Raises `Refused`: `role.missing`, `grant.state`.
    """
    stage = open_stage(setting.body, counting_approvals(grant, setting))
    groups = () if stage is None else stage.groups
    roles = ("verifier", "approver", *(group.role for group in groups))
    duties.require_any_role(setting.actor, roles, setting.at)
    require_status(grant, setting.at, ("submitted", "verifying", "pending_approval"))
    return [GrantInformationRequested(**stamp(setting.act), question=question)]


def provide(
    grant: Grant,
    setting: Setting,
    catalogue: Catalogue | None,
    *,
    answer: Sealed | None,
    terms: Terms | None,
    channel: str,
) -> list[GrantEvent]:
    """Answer; `terms` other than before make checks and approvals void and start the time anew.

    Where the checks that still count reach the quorum it is verified (again) at once; whoever
    provides has asked, so a check of theirs counts no longer.
    Raises `Refused`: `member.missing`, `role.missing`, `role.not_requester`, `grant.state`,
    `duties.not_separate`, `channel.unknown`, `grant.spoken_without_record`, and for terms what
    `request` raises.
    """
    body, act = setting.body, setting.act
    require_requester(grant, setting, "provide")
    require_status(grant, act.at, ("information_requested",))
    require_record(act, channel)
    changed = None
    lapses_at = None
    if terms is not None:
        asked = require_terms(terms, body, catalogue, act.at)
        if asked != grant.terms:
            changed = asked
            lapses_at = act.at + timedelta(days=body.submission_lapse_days)
    if changed is None:
        require_separate_from_approvals(grant, setting)
    event = GrantInformationProvided(
        **stamp(act),
        answer=answer,
        terms=changed,
        channel=channel,
        lapses_at=lapses_at,
    )
    return [event, *_onward(evolve(grant, event), setting, goes_on=changed is None)]


def record_check(
    grant: Grant, setting: Setting, *, kind: str, channel: str, note: Sealed | None
) -> list[GrantEvent]:
    """Record one act of verification that came out well; with the quorum it is verified.

    Raises `Refused`: `role.missing`, `grant.state`, `duties.receives`, `duties.not_separate`,
    `code.malformed`, `channel.unknown`, `grant.spoken_without_record`, `grant.too_many_checks`.
    """
    act = setting.act
    duties.require_role(setting.actor, "verifier", setting.at)
    require_status(grant, act.at, ("submitted", "verifying"))
    require_not_receiving(setting)
    require_separate_from_asking(grant, setting)
    require_code("kind", kind)
    require_record(act, channel)
    if len(grant.checks) >= MAX_CHECKS:
        raise Refused("grant.too_many_checks", limit=MAX_CHECKS)
    event = GrantChecked(**stamp(act), kind=kind, channel=channel, note=note)
    return [event, *_onward(evolve(grant, event), setting)]


def fail(grant: Grant, setting: Setting, *, kind: str, channel: str) -> list[GrantEvent]:
    """Record a check that came out badly, which ends the request.

    Raises `Refused`: `role.missing`, `grant.state`, `reason.missing`, `code.malformed`,
    `channel.unknown`, `grant.spoken_without_record`.
    """
    act = setting.act
    duties.require_role(setting.actor, "verifier", setting.at)
    require_status(grant, act.at, ("submitted", "verifying"))
    duties.require_reason(act)
    require_code("kind", kind)
    require_record(act, channel)
    return [
        GrantVerificationFailed(**stamp(act), kind=kind, channel=channel),
        GrantRejected(**stamp(act), origin="verification"),
    ]


def _onward(grant: Grant, setting: Setting, *, goes_on: bool = False) -> list[GrantEvent]:
    """Return what follows where the checks reach the quorum; `goes_on` resets no time."""
    body = setting.body
    if not reaches_quorum(body, grant.checks, grant.askers, setting.same):
        return []
    approvals = counting_approvals(grant, setting)
    lapses_at = grant.lapses_at if goes_on else None
    return verified(grant.terms, approvals, grant.evidence_ends_at, setting, lapses_at)
