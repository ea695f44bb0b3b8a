"""The guards of a customer's verbs: each refuses one thing, by one code."""

from __future__ import annotations

from typing import Final

from domain.codes import MAX_NAME
from domain.customers import Customer, Merge, Status, status_at
from domain.duties import Actor, Same, require_fresh
from domain.errors import Refused
from domain.sealing import Sealed
from domain.values import SPOKEN_CHANNELS, SPOKEN_RECORDS, Act, Instant

SEEN_CHANNELS: Final = frozenset({"site_visit"})
"""Channels on which someone saw it; as with spoken words, only a record of it can be shown."""

SEEN_RECORDS: Final = SPOKEN_RECORDS | {"photo"}

IDENTIFIABLE: Final[frozenset[Status]] = frozenset({"registered", "confirmed", "lapsed"})
CONFIRMABLE: Final[frozenset[Status]] = frozenset({"registered", "lapsed"})


def require_known(customer: Customer | None, customer_id: str) -> Customer:
    """Refuse with `customer.unknown` what was never registered."""
    if customer is None:
        raise Refused("customer.unknown", customer=customer_id)
    return customer


def require_not_merged_away(customer: Customer | None, customer_id: str) -> Customer:
    """Refuse with `customer.unknown` or `customer.state` what is known no more under this id."""
    known = require_known(customer, customer_id)
    if known.status == "merged":
        raise Refused(
            "customer.state", customer=customer_id, state="merged", into=known.merged_into
        )
    return known


def require_identifiable(customer: Customer | None, customer_id: str, at: Instant) -> Customer:
    """Refuse with `customer.state` who is blocked or merged: their identity is not checked."""
    known = require_known(customer, customer_id)
    status = status_at(known, at)
    if status not in IDENTIFIABLE:
        raise Refused("customer.state", customer=customer_id, state=status)
    return known


def require_confirmable(customer: Customer | None, customer_id: str, at: Instant) -> Customer:
    """Refuse with `customer.state` who is neither registered nor lapsed."""
    known = require_known(customer, customer_id)
    status = status_at(known, at)
    if status not in CONFIRMABLE:
        raise Refused("customer.state", customer=customer_id, state=status)
    return known


def require_another_than_registered(customer: Customer, actor: Actor, same: Same) -> None:
    """Refuse with `duties.not_separate` whoever registered the customer they would confirm."""
    require_fresh(actor, customer.registered_by, same)


def require_record(channel: str, act: Act) -> None:
    """Refuse with `evidence.record_missing` what was spoken or seen and left no stored record."""
    kinds: frozenset[str] = frozenset()
    if channel in SPOKEN_CHANNELS:
        kinds = SPOKEN_RECORDS
    elif channel in SEEN_CHANNELS:
        kinds = SEEN_RECORDS
    stored = any(one.kind in kinds and one.file is not None for one in act.evidence)
    if kinds and not stored:
        raise Refused("evidence.record_missing", channel=channel, kinds=tuple(sorted(kinds)))


def require_form(
    form: str,
    *,
    title: str | None,
    uscc: str | None,
    full_name: Sealed | None,
    identity_number: Sealed | None,
) -> None:
    """Refuse with `customer.form` a person's fields for an organization, and the other way round.

    What stands in the clear of an organization would be personal data of a natural person.
    """
    if form == "organization" and (full_name is not None or identity_number is not None):
        raise Refused("customer.form", form=form)
    if form == "person" and (title is not None or uscc is not None):
        raise Refused("customer.form", form=form)
    if title is not None and not 0 < len(title.strip()) <= MAX_NAME:
        raise Refused("customer.title_malformed", longest=MAX_NAME)


def require_open_merge(customer: Customer, customer_id: str) -> Merge:
    """Refuse with `customer.merge_unknown` where no merge waits for a decision."""
    if customer.merge is None:
        raise Refused("customer.merge_unknown", customer=customer_id)
    return customer.merge


def require_merge_target(
    customer: Customer, customer_id: str, into: Customer | None, into_id: str
) -> None:
    """Refuse what this customer cannot become.

    Codes: `customer.merge_self`, `customer.unknown`, `customer.merge_target` (it was merged away
    itself; `into` says where), `customer.form` (an organization is no person).
    """
    if into_id == customer_id:
        raise Refused("customer.merge_self", customer=customer_id)
    target = require_known(into, into_id)
    if target.status == "merged":
        raise Refused("customer.merge_target", customer=into_id, into=target.merged_into)
    if target.form != customer.form:
        raise Refused("customer.form", form=target.form)
