"""What may be asked of a grant's renewals and amendments, and of a grant that another replaces or
that was entered in error."""

from __future__ import annotations

from typing import Literal

from domain import case_steps, duties, ending, kinds, policies, renewing
from domain.commands.grants import GrantCommand, pinned
from domain.errors import Refused
from domain.events.grant_cases import CaseOpened, GrantAmendmentProposed
from domain.grant_guards import Setting
from domain.grant_states import ends_of
from domain.grantees import grantee_of
from domain.grants import Grant, GrantEvent
from domain.narrowing import Narrowing
from domain.passing_on import grantor_of
from domain.renewing import Amendment
from domain.sealing import Sealed
from domain.values import Instant, PolicyRef, Scope, Term
from domain.view import View


class CaseCommand(GrantCommand, frozen=True, kw_only=True):
    """An intent on the case with this id, under the policy version pinned for it."""

    case: str

    def setting(self, view: View, grant: Grant) -> Setting:
        open_case = grant.open_case
        if open_case is None or open_case.case != self.case:
            return super().setting(view, grant)
        actor = duties.actor(view)
        body = pinned(view, open_case.policy)
        grantee = grantee_of(view, grant.grantee)
        return Setting(body, grantee, actor, view.act, view.same_person)


class OpeningCommand(GrantCommand, frozen=True, kw_only=True):
    """Opens a case with this id, from the edge, under the version of its policy now in force."""

    case: str
    channel: str = "online"

    def renewed(self, view: View, grant: Grant) -> tuple[Setting, PolicyRef]:
        """Return what the case stands on, and the version that is pinned for it.

        Raises `Refused`: `policy.unknown`, `policy.not_in_force`.
        """
        actor = duties.actor(view)
        policy = view.policy(grant.policy.policy)
        if policy is None:
            raise Refused("policy.unknown", policy=grant.policy.policy)
        version = policies.require_in_force(policy, grant.policy.policy, view.at)
        grantee = grantee_of(view, grant.grantee)
        grantor = None if actor.staff is not None else grantor_of(view, grant.terms)
        setting = Setting(version.body, grantee, actor, view.act, view.same_person, grantor)
        return setting, PolicyRef(grant.policy.policy, version.number)

    def open(self, view: View, grant: Grant, setting: Setting, events: list[GrantEvent]) -> None:
        """Hand over what the verb returned, if its terms are what the kind lets this actor ask for.

        Raises `Refused`: what `require_template`, `require_template_term`, `require_sharer` and
        `require_streams` of `domain.kinds` raise.
        """
        for event in events:
            if isinstance(event, CaseOpened):
                kinds.require_template(event.terms, setting.body)
                amended = isinstance(event, GrantAmendmentProposed)
                if not amended or event.terms.term.ends_at != ends_of(grant):
                    begin = grant.effects[-1].starts_at if amended and grant.effects else None
                    kinds.require_template_term(event.terms, setting.body, begin)
                kinds.require_sharer(
                    setting.body, event.terms, grant.grantee, setting.actor, view.at
                )
                kinds.require_streams(view, event.terms.scope)
        self.happen(view, events)


class RequestRenewal(OpeningCommand, frozen=True, kw_only=True):
    """Ask that it goes on after its end: until `term.ends_at`, or for `term.days`."""

    term: Term

    def decide(self, view: View) -> None:
        grant = self.known(view)
        setting, policy = self.renewed(view, grant)
        events = renewing.request_renewal(
            grant,
            setting,
            view.catalogue(),
            case=self.case,
            policy=policy,
            term=self.term,
            channel=self.channel,
        )
        self.open(view, grant, setting, events)


class ProposeAmendment(OpeningCommand, frozen=True, kw_only=True):
    """Propose other actions, another scope or end, from `effective_at` on (None: once agreed)."""

    actions: tuple[str, ...] | None = None
    scope: Scope | None = None
    ends_at: Instant | None = None
    pass_on: int | None = None
    effective_at: Instant | None = None

    def decide(self, view: View) -> None:
        grant = self.known(view)
        setting, policy = self.renewed(view, grant)
        events = renewing.propose_amendment(
            grant,
            setting,
            view.catalogue(),
            case=self.case,
            policy=policy,
            wish=Amendment(self.actions, self.scope, self.ends_at, self.pass_on),
            effective_at=self.effective_at,
            channel=self.channel,
        )
        self.open(view, grant, setting, events)


class CheckCase(CaseCommand, frozen=True, kw_only=True):
    """Record one act of verification that came out well."""

    check: str
    channel: str
    note: Sealed | None = None

    def decide(self, view: View) -> None:
        grant = self.known(view)
        events = case_steps.check(
            grant,
            self.setting(view, grant),
            case=self.case,
            kind=self.check,
            channel=self.channel,
            note=self.note,
        )
        self.happen(view, events)


class FailCase(CaseCommand, frozen=True, kw_only=True):
    """Record one act of verification that came out badly; the case is rejected."""

    check: str
    channel: str

    def decide(self, view: View) -> None:
        grant = self.known(view)
        setting = self.setting(view, grant)
        events = case_steps.fail(
            grant, setting, case=self.case, kind=self.check, channel=self.channel
        )
        self.happen(view, events)


class ApproveCase(CaseCommand, frozen=True, kw_only=True):
    """Give one's approval in a stage of the case; what is given here narrows the terms."""

    stage: str
    role: str | None = None
    actions: tuple[str, ...] | None = None
    scope: Scope | None = None
    term: Term | None = None

    def decide(self, view: View) -> None:
        grant = self.known(view)
        setting = self.setting(view, grant)
        wish = Narrowing(self.actions, self.scope, self.term)
        events = case_steps.approve(
            grant,
            setting,
            case=self.case,
            stage=self.stage,
            role=self.role,
            wish=wish,
            catalogue=None if self.scope is None else view.catalogue(),
        )
        self.happen(view, events)


class RetractCaseApproval(CaseCommand, frozen=True, kw_only=True):
    """Take one's own approval of the open stage back."""

    stage: str

    def decide(self, view: View) -> None:
        grant = self.known(view)
        setting = self.setting(view, grant)
        self.happen(view, case_steps.retract(grant, setting, case=self.case, stage=self.stage))


class RejectCase(CaseCommand, frozen=True, kw_only=True):
    """Say no, as one who could approve."""

    def decide(self, view: View) -> None:
        grant = self.known(view)
        self.happen(view, case_steps.reject(grant, self.setting(view, grant), case=self.case))


class WithdrawCase(CaseCommand, frozen=True, kw_only=True):
    """Take the case back."""

    def decide(self, view: View) -> None:
        grant = self.known(view)
        self.happen(view, case_steps.withdraw(grant, self.asking(view, grant), case=self.case))


class SignCase(CaseCommand, frozen=True, kw_only=True):
    """Sign for `party` on the agreement's and the case's terms' digest."""

    party: Literal["grantee", "tenant"]
    digest: str

    def decide(self, view: View) -> None:
        grant = self.known(view)
        events = case_steps.sign(
            grant,
            self.setting(view, grant),
            case=self.case,
            party=self.party,
            digest=self.digest,
        )
        self.happen(view, events)


class DeclineCase(CaseCommand, frozen=True, kw_only=True):
    """Refuse to sign for `party`."""

    party: Literal["grantee", "tenant"]

    def decide(self, view: View) -> None:
        grant = self.known(view)
        setting = self.setting(view, grant)
        self.happen(view, case_steps.decline(grant, setting, case=self.case, party=self.party))


class RecordCaseLapse(CaseCommand, frozen=True, kw_only=True):
    """Write down that the case's step, its asked term, or the grant under it, was over."""

    def decide(self, view: View) -> None:
        grant = self.known(view)
        actor = duties.actor(view)
        self.happen(view, case_steps.record_lapse(grant, actor, view.act, case=self.case))


class SupersedeGrant(GrantCommand, frozen=True, kw_only=True):
    """End it because the grant `successor` takes its place."""

    successor: str

    def decide(self, view: View) -> None:
        grant = self.known(view)
        setting = self.setting(view, grant)
        events = ending.supersede(
            grant,
            setting,
            grant_id=self.grant_id,
            successor_id=self.successor,
            successor=view.grant(self.successor),
        )
        self.happen(view, events)


class ProposeError(GrantCommand, frozen=True, kw_only=True):
    """Say that it never should have been entered; `case` is the new case's id, from the edge."""

    case: str

    def decide(self, view: View) -> None:
        grant = self.known(view)
        setting = self.setting(view, grant)
        self.happen(view, ending.propose_error(grant, setting, case=self.case))


class ConfirmError(GrantCommand, frozen=True, kw_only=True):
    """Mark it entered in error, as another person."""

    case: str

    def decide(self, view: View) -> None:
        grant = self.known(view)
        setting = self.setting(view, grant)
        self.happen(view, ending.confirm_error(grant, setting, case=self.case))


class DismissError(GrantCommand, frozen=True, kw_only=True):
    """Call the proposal off."""

    case: str

    def decide(self, view: View) -> None:
        grant = self.known(view)
        setting = self.setting(view, grant)
        self.happen(view, ending.dismiss_error(grant, setting, case=self.case))
