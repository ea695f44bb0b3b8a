"""How a customer is identified: registered, checked, confirmed by another hand, lapsed."""

from __future__ import annotations

from datetime import timedelta
from typing import Final, Literal

from domain.codes import require_code
from domain.customer_guards import (
    require_another_than_registered,
    require_confirmable,
    require_form,
    require_identifiable,
    require_known,
    require_record,
)
from domain.customers import Check, Customer, CustomerEvent, status_at
from domain.duties import Actor, Same, require_not_receiving
from domain.errors import Refused
from domain.events.customer import (
    CustomerConfirmed,
    CustomerIdentityChecked,
    CustomerLapsed,
    CustomerRegistered,
)
from domain.events.policy import Identification
from domain.sealing import Sealed
from domain.values import CHANNELS, Act, Instant, PolicyRef, stamp

MAX_CHECKS: Final = 100
"""Most checks between two confirmations."""


def good_until(checks: tuple[Check, ...], need: Identification, at: Instant) -> Instant | None:
    """Return until when `checks` carry a confirmation at `at`; None where they do not.

    They count when passed, not followed by a failed one of the same kind, at most `need.days` old,
    with the document shown not ended. Of more than enough those that last longest are taken.
    """
    longest = at + timedelta(days=need.days)
    if need.checks == 0:
        return longest
    failed = {check.kind: number for number, check in enumerate(checks) if not check.passed}
    counted = [
        (min(check.document_ends_at or longest, longest), check.channel)
        for number, check in enumerate(checks)
        if number > failed.get(check.kind, -1)  # so it passed, or it would be the failed one
        and at - check.at <= timedelta(days=need.days)
    ]
    for end in sorted({one for one, _ in counted}, reverse=True):
        lasting = [channel for one, channel in counted if one >= end]
        if end > at and len(lasting) >= need.checks and len(set(lasting)) >= need.channels:
            return end
    return None


def register(
    customer: Customer | None,
    customer_id: str,
    *,
    number: str,
    form: Literal["organization", "person"],
    title: str | None = None,
    uscc: str | None = None,
    full_name: Sealed | None = None,
    identity_number: Sealed | None = None,
    contact: Sealed | None = None,
    act: Act,
) -> list[CustomerEvent]:
    """Register a customer. That its identifiers are nobody else's are claims of the command.

    Raises `Refused`: `customer.state`, `code.malformed`, `customer.form`,
    `customer.title_malformed`, `customer.name_missing`.
    """
    if customer is not None:
        state = status_at(customer, act.at)
        raise Refused("customer.state", customer=customer_id, state=state)
    require_code("number", number)
    require_form(form, title=title, uscc=uscc, full_name=full_name, identity_number=identity_number)
    if title is None and full_name is None:
        raise Refused("customer.name_missing", form=form)
    return [
        CustomerRegistered(
            **stamp(act),
            number=number,
            form=form,
            title=title,
            uscc=uscc,
            full_name=full_name,
            identity_number=identity_number,
            contact=contact,
        )
    ]


def record_check(
    customer: Customer | None,
    customer_id: str,
    *,
    kind: str,
    channel: str,
    passed: bool,
    document: str | None = None,
    document_ends_at: Instant | None = None,
    note: Sealed | None = None,
    act: Act,
) -> list[CustomerEvent]:
    """Record one act of identification, passed or failed.

    `document` says in a code what kind of document was shown, never its number. Raises `Refused`:
    `customer.unknown`, `customer.state`, `code.malformed`, `check.channel_unknown`,
    `check.document_missing`, `check.document_ended`, `evidence.record_missing`,
    `customer.too_many_checks`.
    """
    known = require_identifiable(customer, customer_id, act.at)
    require_code("kind", kind)
    if channel not in CHANNELS:
        raise Refused("check.channel_unknown", channel=channel)
    if document is None and not act.evidence:
        raise Refused("check.document_missing", kind=kind)
    if document is not None:
        require_code("document", document)
    if passed and document_ends_at is not None and document_ends_at <= act.at:
        raise Refused("check.document_ended", ended_at=document_ends_at)
    require_record(channel, act)
    if len(known.checks) >= MAX_CHECKS:
        raise Refused("customer.too_many_checks", limit=MAX_CHECKS)
    return [
        CustomerIdentityChecked(
            **stamp(act),
            kind=kind,
            channel=channel,
            passed=passed,
            document=document,
            document_ends_at=document_ends_at,
            note=note,
        )
    ]


def confirm(
    customer: Customer | None,
    customer_id: str,
    *,
    need: Identification,
    policy: PolicyRef,
    actor: Actor,
    same: Same,
    act: Act,
) -> list[CustomerEvent]:
    """Confirm for as long as the policy and the documents allow; by another than who registered it.

    Raises `Refused`: `customer.unknown`, `customer.state`, `duties.not_separate`,
    `duties.receives`, `customer.not_identified`.
    """
    known = require_confirmable(customer, customer_id, act.at)
    require_another_than_registered(known, actor, same)
    require_not_receiving(actor, (known,), act.at, same)
    until = good_until(known.checks, need, act.at)
    if until is None:
        raise Refused(
            "customer.not_identified",
            customer=customer_id,
            checks=need.checks,
            channels=need.channels,
        )
    return [
        CustomerConfirmed(
            **stamp(act), until=until, policy=policy.policy, policy_version=policy.version
        )
    ]


def record_lapse(customer: Customer | None, customer_id: str, *, act: Act) -> list[CustomerEvent]:
    """Record for people that the confirmation is over; it changes no answer.

    Raises `Refused`: `customer.unknown`, `customer.state`.
    """
    known = require_known(customer, customer_id)
    if known.status == "lapsed":
        return []
    status = status_at(known, act.at)
    if status != "lapsed":
        raise Refused("customer.state", customer=customer_id, state=status)
    return [CustomerLapsed(**stamp(act))]
