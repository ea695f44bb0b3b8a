"""What may be asked of a customer: staff register, check and confirm, compliance blocks."""

from __future__ import annotations

from typing import Final, Literal, final

from domain import customer_changes, customer_identity, policies
from domain.duties import (
    Actor,
    actor,
    require_any_role,
    require_member,
    require_role,
    require_timekeeper,
)
from domain.errors import Refused
from domain.sealing import Sealed
from domain.values import Instant, PolicyRef
from domain.view import Command, How, View

NUMBER_CLAIM: Final = "customer_number"
USCC_CLAIM: Final = "uscc"
IDENTITY_CLAIM: Final = "identity_number"

IDENTIFIERS: Final = ("requester", "verifier")
"""Roles that register, check and confirm customers."""

KEEPERS: Final = ("requester", "verifier", "compliance")
"""Roles that keep a customer's record: profile, grade, links, members; that propose corrections."""

DECIDERS: Final = ("verifier", "compliance")
"""Roles that decide on a proposed correction."""


class CustomerCommand(Command, frozen=True, kw_only=True):
    """A command on one customer."""

    customer: str

    @property
    def kind(self) -> str:
        return "customer"

    @property
    def stream_id(self) -> str:
        return self.customer


def _require_identifier_or_member(acting: Actor, view: View) -> None:
    """Staff, or a member who may request for the customer they act for (who names a new one)."""
    if acting.customer_id is not None:
        require_member(acting, acting.customer_id, "request", view.at, view.same_person)
    else:
        require_any_role(acting, IDENTIFIERS, view.at)


def claim_identifier(
    view: View,
    kind: str,
    given: object,
    keyed_hash: bytes | None,
    customer: str,
    how: How = "hold",
) -> None:
    """Claim what identifies; an identifier without its hash could be another customer's."""
    if given is None:
        return
    if keyed_hash is None:
        raise Refused("claim.missing", kind=kind)
    view.claim(kind, keyed_hash, customer, how)


@final
class RegisterCustomer(CustomerCommand, frozen=True, kw_only=True):
    """Register a customer; the id is new, the claims are keyed hashes, both from the edge."""

    number: str
    number_claim: bytes
    form: Literal["organization", "person"]
    title: str | None = None
    uscc: str | None = None
    uscc_claim: bytes | None = None
    full_name: Sealed | None = None
    identity_number: Sealed | None = None
    identity_claim: bytes | None = None
    contact: Sealed | None = None

    def decide(self, view: View) -> None:
        _require_identifier_or_member(actor(view), view)
        events = customer_identity.register(
            view.customer(self.customer),
            self.customer,
            number=self.number,
            form=self.form,
            title=self.title,
            uscc=self.uscc,
            full_name=self.full_name,
            identity_number=self.identity_number,
            contact=self.contact,
            act=view.act,
        )
        view.record("customer", self.customer, events)
        view.claim(NUMBER_CLAIM, self.number_claim, self.customer)
        claim_identifier(view, USCC_CLAIM, self.uscc, self.uscc_claim, self.customer)
        claim_identifier(
            view, IDENTITY_CLAIM, self.identity_number, self.identity_claim, self.customer
        )


@final
class RecordIdentityCheck(CustomerCommand, frozen=True, kw_only=True):
    """Record one act of identification; evidence comes with the circumstances."""

    check_kind: str
    channel: str
    passed: bool
    document: str | None = None
    document_ends_at: Instant | None = None
    note: Sealed | None = None

    def decide(self, view: View) -> None:
        require_any_role(actor(view), IDENTIFIERS, view.at)
        events = customer_identity.record_check(
            view.customer(self.customer),
            self.customer,
            kind=self.check_kind,
            channel=self.channel,
            passed=self.passed,
            document=self.document,
            document_ends_at=self.document_ends_at,
            note=self.note,
            act=view.act,
        )
        view.record("customer", self.customer, events)


@final
class ConfirmCustomer(CustomerCommand, frozen=True, kw_only=True):
    """Confirm as the policy in force asks."""

    policy: str

    def hints(self) -> tuple[tuple[str, str], ...]:
        return (("customer", self.customer), ("policy", self.policy))

    def decide(self, view: View) -> None:
        acting = actor(view)
        require_any_role(acting, IDENTIFIERS, view.at)
        policy = policies.require_known(view.policy(self.policy), self.policy)
        asked = policies.require_in_force(policy, self.policy, view.at)
        events = customer_identity.confirm(
            view.customer(self.customer),
            self.customer,
            need=asked.body.identification,
            policy=PolicyRef(self.policy, asked.number),
            actor=acting,
            same=view.same_person,
            act=view.act,
        )
        view.record("customer", self.customer, events)


@final
class RecordCustomerLapse(CustomerCommand, frozen=True, kw_only=True):
    """Record that the confirmation is over; by the timekeeper."""

    def decide(self, view: View) -> None:
        require_timekeeper(actor(view))
        events = customer_identity.record_lapse(
            view.customer(self.customer), self.customer, act=view.act
        )
        view.record("customer", self.customer, events)


@final
class BlockCustomer(CustomerCommand, frozen=True, kw_only=True):
    """Deny everything granted to this customer; the reason comes with the circumstances."""

    def decide(self, view: View) -> None:
        require_role(actor(view), "compliance", view.at)
        events = customer_changes.block(view.customer(self.customer), self.customer, act=view.act)
        view.record("customer", self.customer, events)


@final
class UnblockCustomer(CustomerCommand, frozen=True, kw_only=True):
    """Let it stand as before the block; the reason comes with the circumstances."""

    def decide(self, view: View) -> None:
        require_role(actor(view), "compliance", view.at)
        events = customer_changes.unblock(view.customer(self.customer), self.customer, act=view.act)
        view.record("customer", self.customer, events)
