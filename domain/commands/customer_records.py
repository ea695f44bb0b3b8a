"""What may be asked of a customer's record: profile, key fields, grade, links, members, merges."""

from __future__ import annotations

from typing import final

from domain import customer_changes, sharing
from domain.commands.customers import (
    DECIDERS,
    IDENTITY_CLAIM,
    KEEPERS,
    USCC_CLAIM,
    CustomerCommand,
    claim_identifier,
)
from domain.customers import Correction
from domain.duties import actor, require_any_role, require_role
from domain.errors import Refused
from domain.sealing import Sealed
from domain.values import Instant
from domain.view import How, View


@final
class ChangeCustomerProfile(CustomerCommand, frozen=True, kw_only=True):
    """Change fields that identify nobody by themselves; None leaves one as it is."""

    contact: Sealed | None = None
    address: Sealed | None = None

    def decide(self, view: View) -> None:
        require_any_role(actor(view), KEEPERS, view.at)
        events = customer_changes.change_profile(
            view.customer(self.customer),
            self.customer,
            contact=self.contact,
            address=self.address,
            act=view.act,
        )
        view.record("customer", self.customer, events)


@final
class ChangeSharedProfile(CustomerCommand, frozen=True, kw_only=True):
    """Change the fields named of a customer's profile by the right of a share.

    `contact` and `address` are the whole texts after the change, None where they stay.
    """

    grant: str
    fields: tuple[str, ...]
    contact: Sealed | None = None
    address: Sealed | None = None

    def hints(self) -> tuple[tuple[str, str], ...]:
        return (("customer", self.customer), ("grant", self.grant))

    def decide(self, view: View) -> None:
        acting = actor(view)
        grant = view.grant(self.grant)
        effect = sharing.ruling_at(grant, view.at)
        policy = None if effect is None else view.policy(effect.policy.policy)
        sharing.require_may_edit(
            sharing.share_of(effect, policy),
            grant,
            sharing.grantees_of(acting, view.at),
            grant_id=self.grant,
            customer=self.customer,
            fields=self.fields,
            actor=acting,
        )
        events = customer_changes.change_profile(
            view.customer(self.customer),
            self.customer,
            contact=self.contact,
            address=self.address,
            share=self.grant,
            act=view.act,
        )
        view.record("customer", self.customer, events)


class CorrectionCommand(CustomerCommand, frozen=True, kw_only=True):
    """A command on a correction, with the keyed hashes of what it says identifies the customer."""

    correction: str
    uscc_claim: bytes | None = None
    identity_claim: bytes | None = None

    def claim_fields(self, view: View, fields: ProposeCorrection | Correction, how: How) -> None:
        """Claim the fields that identify. Raises `Refused` `claim.missing`."""
        owner, number = self.customer, fields.identity_number
        claim_identifier(view, USCC_CLAIM, fields.uscc, self.uscc_claim, owner, how)
        claim_identifier(view, IDENTITY_CLAIM, number, self.identity_claim, owner, how)


@final
class ProposeCorrection(CorrectionCommand, frozen=True, kw_only=True):
    """Propose other key fields. That what identifies is another customer's shows at once; it is
    taken when the correction is accepted."""

    title: str | None = None
    uscc: str | None = None
    full_name: Sealed | None = None
    identity_number: Sealed | None = None

    def decide(self, view: View) -> None:
        require_any_role(actor(view), KEEPERS, view.at)
        events = customer_changes.propose_correction(
            view.customer(self.customer),
            self.customer,
            correction=self.correction,
            title=self.title,
            uscc=self.uscc,
            full_name=self.full_name,
            identity_number=self.identity_number,
            act=view.act,
        )
        view.record("customer", self.customer, events)
        if events:
            self.claim_fields(view, self, "look")


@final
class DecideCorrection(CorrectionCommand, frozen=True, kw_only=True):
    """Accept or reject a proposed correction.

    Accepted, what identifies becomes the customer's, and what it replaces may be another's again.
    `unopened`: why the number that was proposed cannot be opened to be claimed.
    """

    accept: bool
    unopened: str | None = None

    def decide(self, view: View) -> None:
        acting = actor(view)
        require_any_role(acting, DECIDERS, view.at)
        before = view.customer(self.customer)
        events = customer_changes.decide_correction(
            before,
            self.customer,
            correction=self.correction,
            accept=self.accept,
            actor=acting,
            same=view.same_person,
            act=view.act,
        )
        view.record("customer", self.customer, events)
        if events and self.accept and before is not None:
            if self.unopened is not None:
                raise Refused(self.unopened)
            self.claim_fields(view, before.corrections[self.correction], "replace")


@final
class GradeCustomer(CustomerCommand, frozen=True, kw_only=True):
    """Say how good a customer it is."""

    grade: str

    def decide(self, view: View) -> None:
        require_any_role(actor(view), KEEPERS, view.at)
        events = customer_changes.give_grade(
            view.customer(self.customer), self.customer, grade=self.grade, act=view.act
        )
        view.record("customer", self.customer, events)


@final
class LinkCustomer(CustomerCommand, frozen=True, kw_only=True):
    """Say what another system calls this customer."""

    system: str
    external_id: str

    def decide(self, view: View) -> None:
        require_any_role(actor(view), KEEPERS, view.at)
        events = customer_changes.link(
            view.customer(self.customer),
            self.customer,
            system=self.system,
            external_id=self.external_id,
            act=view.act,
        )
        view.record("customer", self.customer, events)


@final
class AddMember(CustomerCommand, frozen=True, kw_only=True):
    """Let a person act for the customer, from now unless `from_` says otherwise."""

    member: str
    person: str
    acts: tuple[str, ...]
    from_: Instant | None = None
    until: Instant | None = None

    def hints(self) -> tuple[tuple[str, str], ...]:
        return (("customer", self.customer), ("person", self.person))

    def decide(self, view: View) -> None:
        require_any_role(actor(view), KEEPERS, view.at)
        events = customer_changes.add_member(
            view.customer(self.customer),
            self.customer,
            member=self.member,
            person_id=self.person,
            person=view.person(self.person),
            acts=self.acts,
            from_=self.from_,
            until=self.until,
            act=view.act,
        )
        view.record("customer", self.customer, events)


@final
class EndMember(CustomerCommand, frozen=True, kw_only=True):
    """Let a person act for the customer no longer."""

    member: str

    def decide(self, view: View) -> None:
        require_any_role(actor(view), KEEPERS, view.at)
        events = customer_changes.end_member(
            view.customer(self.customer), self.customer, member=self.member, act=view.act
        )
        view.record("customer", self.customer, events)


@final
class ProposeCustomerMerge(CustomerCommand, frozen=True, kw_only=True):
    """Propose that this record and `into` are one customer."""

    into: str

    def hints(self) -> tuple[tuple[str, str], ...]:
        return (("customer", self.customer), ("customer", self.into))

    def decide(self, view: View) -> None:
        require_any_role(actor(view), KEEPERS, view.at)
        events = customer_changes.propose_merge(
            view.customer(self.customer),
            self.customer,
            into_id=self.into,
            into=view.customer(self.into),
            act=view.act,
        )
        view.record("customer", self.customer, events)


@final
class DecideCustomerMerge(CustomerCommand, frozen=True, kw_only=True):
    """Accept or reject a merge; by compliance, for it moves what was granted to another record."""

    accept: bool

    def decide(self, view: View) -> None:
        acting = actor(view)
        require_role(acting, "compliance", view.at)
        known = view.customer(self.customer)
        open_merge = None if known is None else known.merge
        events = customer_changes.decide_merge(
            known,
            self.customer,
            into=None if open_merge is None else view.customer(open_merge.into),
            accept=self.accept,
            actor=acting,
            same=view.same_person,
            act=view.act,
        )
        view.record("customer", self.customer, events)
