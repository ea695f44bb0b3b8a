"""What may be asked of a grant from its request to its signature, and notes."""

from __future__ import annotations

from typing import Literal

from msgspec.structs import replace

from domain import approving, duties, granting, kinds, passing_on, policies, supervising
from domain.commands.widening import pinned, require_room
from domain.errors import Refused
from domain.grant_guards import Setting
from domain.grantees import grantee_of
from domain.grants import Grant, GrantEvent
from domain.narrowing import Narrowing
from domain.sealing import Sealed
from domain.values import PolicyRef, Scope, Term, Terms
from domain.view import Command, View


class GrantCommand(Command, frozen=True, kw_only=True):
    """An intent on the grant `grant_id`."""

    grant_id: str

    @property
    def kind(self) -> str:
        return "grant"

    @property
    def stream_id(self) -> str:
        return self.grant_id

    def known(self, view: View) -> Grant:
        """Return the grant. Raises `Refused`: `grant.unknown`, `grant.not_requested`."""
        grant = view.grant(self.grant_id)
        if grant is None:
            raise Refused("grant.unknown", grant=self.grant_id)
        if not grant.grantee:
            raise Refused("grant.not_requested", grant=self.grant_id)
        return grant

    def setting(self, view: View, grant: Grant) -> Setting:
        """Return what a verb on this grant stands on: who acts, the pinned policy, the grantee."""
        actor = duties.actor(view)
        body = pinned(view, grant.policy)
        grantee = grantee_of(view, grant.grantee)
        return Setting(body, grantee, actor, view.act, view.same_person)

    def asking(self, view: View, grant: Grant) -> Setting:
        """Return what a verb stands on that whose right it is passed on from may use as well."""
        grantor = passing_on.grantor_of(view, grant.terms)
        return replace(self.setting(view, grant), grantor=grantor)

    def happen(self, view: View, events: list[GrantEvent]) -> None:
        """Hand over what the verb returned; refuse what gives more than there is room for.

        Raises `Refused` what `require_room` raises.
        """
        before = view.grant(self.grant_id)
        after = view.record("grant", self.grant_id, events)
        if after is not None and after is not before:
            require_room(view, self.grant_id, before, after)


class RequestGrant(GrantCommand, frozen=True, kw_only=True):
    """Ask for a grant under the version of `policy` (its stream) now in force.

    `number` and the keyed hash under which it is claimed, `case` and the grant's id are the edge's.
    """

    number: str
    number_claim: bytes
    case: str
    grantee: str
    policy: str
    actions: tuple[str, ...]
    scope: Scope
    term: Term
    channel: str = "online"
    parent: str | None = None
    pass_on: int = 0
    template: str | None = None
    purpose: str | None = None

    def hints(self) -> tuple[tuple[str, str], ...]:
        kind, _, grantee_id = self.grantee.partition(":")
        known = (("grant", self.grant_id), ("policy", self.policy))
        return (*known, (kind, grantee_id)) if kind in ("customer", "staff") else known

    def decide(self, view: View) -> None:
        actor = duties.actor(view)
        policy = view.policy(self.policy)
        if policy is None:
            raise Refused("policy.unknown", policy=self.policy)
        version = policies.require_in_force(policy, self.policy, view.at)
        grantee = grantee_of(view, self.grantee)
        terms = Terms(
            version.body.kind,
            self.actions,
            self.scope,
            self.term,
            parent=self.parent,
            pass_on=self.pass_on,
            template=self.template,
            purpose=self.purpose,
        )
        grantor = passing_on.grantor_of(view, terms)
        setting = Setting(version.body, grantee, actor, view.act, view.same_person, grantor)
        events = granting.request(
            view.grant(self.grant_id),
            setting,
            view.catalogue(),
            number=self.number,
            case=self.case,
            terms=terms,
            policy=PolicyRef(self.policy, version.number),
            channel=self.channel,
        )
        kinds.require_sharer(version.body, terms, self.grantee, actor, view.at)
        kinds.require_streams(view, terms.scope)
        view.claim("grant_number", self.number_claim, self.grant_id)
        self.happen(view, events)


class AskInformation(GrantCommand, frozen=True, kw_only=True):
    """Ask the requester for something before going on."""

    question: Sealed | None = None

    def decide(self, view: View) -> None:
        grant = self.known(view)
        setting = self.setting(view, grant)
        self.happen(view, granting.ask(grant, setting, question=self.question))


class ProvideInformation(GrantCommand, frozen=True, kw_only=True):
    """Answer; actions, scope and term given here replace those asked for, the others stay."""

    answer: Sealed | None = None
    actions: tuple[str, ...] | None = None
    scope: Scope | None = None
    term: Term | None = None
    channel: str = "online"

    def decide(self, view: View) -> None:
        grant = self.known(view)
        setting = self.asking(view, grant)
        terms = None
        catalogue = None
        if (self.actions, self.scope, self.term) != (None, None, None):
            catalogue = view.catalogue()
            terms = replace(
                grant.terms,
                actions=grant.terms.actions if self.actions is None else self.actions,
                scope=grant.terms.scope if self.scope is None else self.scope,
                term=grant.terms.term if self.term is None else self.term,
            )
        events = granting.provide(
            grant, setting, catalogue, answer=self.answer, terms=terms, channel=self.channel
        )
        if terms is not None:
            kinds.require_sharer(setting.body, terms, grant.grantee, setting.actor, view.at)
            kinds.require_streams(view, terms.scope)
        self.happen(view, events)


class RecordCheck(GrantCommand, frozen=True, kw_only=True):
    """Record one act of verification that came out well."""

    check: str
    channel: str
    note: Sealed | None = None

    def decide(self, view: View) -> None:
        grant = self.known(view)
        events = granting.record_check(
            grant,
            self.setting(view, grant),
            kind=self.check,
            channel=self.channel,
            note=self.note,
        )
        self.happen(view, events)


class FailCheck(GrantCommand, frozen=True, kw_only=True):
    """Record one act of verification that came out badly; the request is rejected."""

    check: str
    channel: str

    def decide(self, view: View) -> None:
        grant = self.known(view)
        setting = self.setting(view, grant)
        self.happen(view, granting.fail(grant, setting, kind=self.check, channel=self.channel))


class ApproveStage(GrantCommand, frozen=True, kw_only=True):
    """Give one's approval in a stage; `role` where one could speak for several of its groups.

    What is given of actions, scope and term narrows what was asked for.
    """

    stage: str
    role: str | None = None
    actions: tuple[str, ...] | None = None
    scope: Scope | None = None
    term: Term | None = None

    def decide(self, view: View) -> None:
        grant = self.known(view)
        events = approving.approve(
            grant,
            self.setting(view, grant),
            stage=self.stage,
            role=self.role,
            wish=Narrowing(self.actions, self.scope, self.term),
            catalogue=None if self.scope is None else view.catalogue(),
        )
        self.happen(view, events)


class RetractApproval(GrantCommand, frozen=True, kw_only=True):
    """Take one's own approval of the open stage back."""

    stage: str

    def decide(self, view: View) -> None:
        grant = self.known(view)
        self.happen(view, approving.retract(grant, self.setting(view, grant), stage=self.stage))


class RejectGrant(GrantCommand, frozen=True, kw_only=True):
    """Say no, as one who could approve."""

    def decide(self, view: View) -> None:
        grant = self.known(view)
        self.happen(view, approving.reject(grant, self.setting(view, grant)))


class WithdrawGrant(GrantCommand, frozen=True, kw_only=True):
    """Take the request back."""

    def decide(self, view: View) -> None:
        grant = self.known(view)
        self.happen(view, approving.withdraw(grant, self.asking(view, grant)))


class SignGrant(GrantCommand, frozen=True, kw_only=True):
    """Sign for `party` on the agreement's and the approved terms' digest."""

    party: Literal["grantee", "tenant"]
    digest: str

    def decide(self, view: View) -> None:
        grant = self.known(view)
        setting = self.setting(view, grant)
        self.happen(view, approving.sign(grant, setting, party=self.party, digest=self.digest))


class DeclineGrant(GrantCommand, frozen=True, kw_only=True):
    """Refuse to sign for `party`."""

    party: Literal["grantee", "tenant"]

    def decide(self, view: View) -> None:
        grant = self.known(view)
        self.happen(view, approving.decline(grant, self.setting(view, grant), party=self.party))


class NoteGrant(GrantCommand, frozen=True, kw_only=True):
    """Keep something worth keeping beside the grant; it decides nothing."""

    label: str | None = None
    text: Sealed | None = None

    def decide(self, view: View) -> None:
        grant = self.known(view)
        setting = self.setting(view, grant)
        self.happen(view, supervising.note(grant, setting, label=self.label, text=self.text))
