"""What a task asks for: the command that would take the step, and what is still missing."""

from __future__ import annotations

from typing import Any, Final, NamedTuple

from domain.approving import SigningParty
from domain.commands.cases import ApproveCase, CheckCase, ConfirmError, SignCase
from domain.commands.customer_records import DecideCorrection, DecideCustomerMerge
from domain.commands.customers import DECIDERS, IDENTIFIERS, RecordIdentityCheck
from domain.commands.grants import (
    ApproveStage,
    ProvideInformation,
    RecordCheck,
    SignGrant,
    pinned,
)
from domain.commands.policies import ApprovePolicy, PublishPolicy
from domain.commands.supervision import ConfirmRevocation, ConfirmSuspension
from domain.duties import Actor, Same
from domain.ending import ERROR_FINDERS
from domain.errors import Refused
from domain.events.policy import PolicyBody
from domain.grant_guards import (
    REVOKERS,
    TENANT_SIGNERS,
    Setting,
    independent,
    people_behind,
)
from domain.grant_states import Grant, Walked
from domain.grantees import Grantee
from domain.stages import counting_approvals, missing, open_stage
from domain.terms import agreement_digest
from domain.values import Act, Party
from domain.view import Command
from projections.tasks import Waiting
from projections.work_states import States

NOBODY: Final = Party("service:worklist")
"""Looks at states for the list; no command of its own is ever decided on."""


NO_CLAIM: Final = b""
"""Stands for keyed hashes in commands that are tried and never written: nothing is claimed."""


class Step(NamedTuple):
    """The step that a task waits for.

    `command` would take it; None where the rules cannot even say which, then `hindrance` says why.
    `roles` are those worth trying, which saves looking at everybody: whether someone may is decided
    by the command. `needs` says what is missing, `more` what else the list shows.
    """

    command: Command | None
    roles: tuple[str, ...] = ()
    needs: tuple[dict[str, Any], ...] = ()
    more: tuple[tuple[str, Any], ...] = ()
    hindrance: str | None = None


def step_of(states: States, stream_id: str, item: str, waiting: Waiting, state: Any) -> Step | None:
    """Return the step, None where the policy asks for none after all."""
    of = item.partition(":")[2]
    match waiting.kind:
        case "confirm_revocation":
            return _plain(ConfirmRevocation(grant_id=stream_id, case=of), REVOKERS)
        case "confirm_suspension":
            return _plain(ConfirmSuspension(grant_id=stream_id, hold=of), ("compliance",))
        case "confirm_error":
            return _plain(ConfirmError(grant_id=stream_id, case=of), ERROR_FINDERS)
        case "decide_correction":
            decision = DecideCorrection(
                customer=stream_id,
                correction=of,
                accept=True,
                uscc_claim=NO_CLAIM,
                identity_claim=NO_CLAIM,
            )
            return _plain(decision, DECIDERS)
        case "decide_merge":
            return _plain(DecideCustomerMerge(customer=stream_id, accept=True), ("compliance",))
        case "identify":
            check = RecordIdentityCheck(
                customer=stream_id,
                check_kind="document",
                channel="online",
                passed=True,
                document="document",
            )
            return _plain(check, IDENTIFIERS)
        case "approve_policy":
            return _plain(ApprovePolicy(policy=stream_id, version=int(of)), ("compliance",))
        case "publish_policy":
            return _plain(PublishPolicy(policy=stream_id, version=int(of)), ("administrator",))
        case _:
            return _walked(states, stream_id, item, state)


def _plain(command: Command, roles: tuple[str, ...]) -> Step:
    return Step(command, roles, tuple({"role": role, "missing": 1} for role in roles[:1]))


def walked_of(grant: Grant, case: str) -> Walked:
    """Return what is walked under this case id: the request itself, or the open case."""
    opened = grant.open_case
    return opened if opened is not None and opened.case == case else grant


def _walked(states: States, grant_id: str, item: str, grant: Grant) -> Step | None:
    kind, _, case = item.partition(":")
    party = ""
    if kind == "sign":
        case, _, party = case.rpartition(":")
    walked = walked_of(grant, case)
    opened = grant.open_case
    ref = opened.policy if opened is not None and walked is opened else grant.policy
    view = states.view(NOBODY)
    try:
        body = pinned(view, ref)
    except Refused as fault:
        return Step(None, hindrance=fault.code)
    same = view.same_person
    own = walked is grant
    match kind:
        case "check":
            return _check(grant_id, walked, body, same, own=own)
        case "answer":
            return Step(
                ProvideInformation(grant_id=grant_id),
                ("requester",),
                ({"role": "requester", "missing": 1},),
            )
        case "approve":
            setting = Setting(
                body, Grantee(grant.grantee), Actor(NOBODY), Act(states.at, NOBODY), same
            )
            return _approve(grant_id, walked, setting, own=own)
        case _:
            signer: SigningParty = "grantee" if party == "grantee" else "tenant"
            return _sign(grant_id, walked, body, signer, own=own)


def _check(grant_id: str, walked: Walked, body: PolicyBody, same: Same, *, own: bool) -> Step:
    counting = independent(walked.checks, walked.askers, same)
    demanded = body.verification
    kinds: list[str] = []
    persons = 1
    if demanded is not None:
        checked = {one.kind for one in counting}
        kinds = [kind for kind in demanded.kinds if kind not in checked]
        persons = max(1, demanded.persons - people_behind(counting, same))
    kind = kinds[0] if kinds else "check"
    command: Command = (
        RecordCheck(grant_id=grant_id, check=kind, channel="online")
        if own
        else CheckCase(grant_id=grant_id, case=walked.case, check=kind, channel="online")
    )
    needs: dict[str, Any] = {"role": "verifier", "missing": persons, "kinds": kinds}
    return Step(command, ("verifier",), (needs,))


def _approve(grant_id: str, walked: Walked, setting: Setting, *, own: bool) -> Step:
    approvals = counting_approvals(walked, setting)
    stage = open_stage(setting.body, approvals)
    if stage is None:
        return Step(None, hindrance="stage.not_open")
    needs = tuple(
        {"role": group.role, "levels": list(group.levels), "missing": wanting}
        for number, group in enumerate(stage.groups)
        if (wanting := missing(stage, number, approvals)) > 0
    )
    command: Command = (
        ApproveStage(grant_id=grant_id, stage=stage.id)
        if own
        else ApproveCase(grant_id=grant_id, case=walked.case, stage=stage.id)
    )
    named = {"zh": stage.names.zh, "en": stage.names.en}
    roles = tuple({group.role for group in stage.groups})
    return Step(command, roles, needs, (("stage", stage.id), ("stage_names", named)))


def _sign(
    grant_id: str, walked: Walked, body: PolicyBody, party: SigningParty, *, own: bool
) -> Step | None:
    agreement = body.agreement
    if agreement is None or party not in agreement.signers:
        return None
    digest = agreement_digest(agreement, walked.terms)
    command: Command = (
        SignGrant(grant_id=grant_id, party=party, digest=digest)
        if own
        else SignCase(grant_id=grant_id, case=walked.case, party=party, digest=digest)
    )
    roles = TENANT_SIGNERS if party == "tenant" else ()
    needs = {"role": roles[0] if roles else "member", "missing": 1}
    return Step(command, roles, (needs,), (("signer", party),))
