"""A customer: who is identified and may be given grants, confirmed for a time, blocked or not, and
who acts for it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

import msgspec
from msgspec.structs import replace

from domain import intervals
from domain.errors import Impossible
from domain.events.customer import (
    CustomerBlocked,
    CustomerConfirmed,
    CustomerCorrected,
    CustomerCorrectionProposed,
    CustomerCorrectionRejected,
    CustomerGraded,
    CustomerIdentityChecked,
    CustomerLapsed,
    CustomerLinked,
    CustomerMerged,
    CustomerMergeProposed,
    CustomerMergeRejected,
    CustomerProfileChanged,
    CustomerRegistered,
    CustomerUnblocked,
    MemberAdded,
    MemberEnded,
)
from domain.folding import disorder, hands_of
from domain.intervals import Intervals
from domain.sealing import Sealed
from domain.values import Instant

CustomerEvent = (
    CustomerRegistered
    | CustomerIdentityChecked
    | CustomerConfirmed
    | CustomerLapsed
    | CustomerProfileChanged
    | CustomerCorrectionProposed
    | CustomerCorrected
    | CustomerCorrectionRejected
    | CustomerGraded
    | CustomerLinked
    | MemberAdded
    | MemberEnded
    | CustomerBlocked
    | CustomerUnblocked
    | CustomerMergeProposed
    | CustomerMergeRejected
    | CustomerMerged
)
Status = Literal["registered", "confirmed", "lapsed", "blocked", "merged"]

MEMBER_ACTS = frozenset({"request", "provide", "sign", "revoke", "report_use"})


class Check(msgspec.Struct, frozen=True, gc=False):
    """A recorded act of identification since the last confirmation, by `persons`."""

    kind: str
    channel: str
    passed: bool
    at: Instant
    document_ends_at: Instant | None
    persons: frozenset[str]


class Member(msgspec.Struct, frozen=True, gc=False, rename={"from_": "from"}):
    """A person who may act for the customer during `[from_, until)`, in the stated acts only."""

    person: str
    acts: tuple[str, ...]
    from_: Instant
    until: Instant | None = None


class Correction(msgspec.Struct, frozen=True, gc=False):
    """A proposed change of key fields; `hands` are the persons who proposed it, `outcome` None
    while open.
    """

    title: str | None
    uscc: str | None
    full_name: Sealed | None
    identity_number: Sealed | None
    hands: frozenset[str]
    outcome: Literal["corrected", "rejected"] | None = None


class Merge(msgspec.Struct, frozen=True, gc=False):
    """A proposed merge into another customer; a second person decides."""

    into: str
    hands: frozenset[str]


class Customer(msgspec.Struct, frozen=True, gc=False):
    """State folded from one stream.

    `status` is as recorded (`status_at` reads the clock); `before` is the status a block covers.
    `checks` are those since the last confirmation. `members` by member id, ended ones with their
    `until`. `confirmed` and `blocked` are the instants of each; `standing` is their difference.
    """

    status: Status = "registered"
    form: Literal["organization", "person"] = "organization"
    number: str = ""
    title: str | None = None
    uscc: str | None = None
    full_name: Sealed | None = None
    identity_number: Sealed | None = None
    contact: Sealed | None = None
    address: Sealed | None = None
    registered_by: frozenset[str] = frozenset()
    checks: tuple[Check, ...] = ()
    confirmed_until: Instant | None = None
    before: Status | None = None
    members: Mapping[str, Member] = {}
    corrections: Mapping[str, Correction] = {}
    merge: Merge | None = None
    merged_into: str | None = None
    grade: str | None = None
    links: Mapping[str, str] = {}
    confirmed: Intervals = ()
    blocked: Intervals = ()
    irregular: bool = False


def status_at(customer: Customer, at: Instant) -> Status:
    """Return the status by the clock: a confirmation is over at its end, whether or not anyone
    recorded that.
    """
    until = customer.confirmed_until
    if customer.status == "confirmed" and until is not None and until <= at:
        return "lapsed"
    return customer.status


def standing(customer: Customer) -> Intervals:
    """Return the instants at which it is confirmed and not blocked, sorted and disjoint; an open
    end is None.

    One merged away has none after the merge: it stands as `merged_into` does, which this stream
    cannot tell.
    """
    return intervals.difference(customer.confirmed, customer.blocked)


def is_member(member: Member, at: Instant) -> bool:
    """Tell whether this membership holds at that instant."""
    return member.from_ <= at and (member.until is None or at < member.until)


def evolve(customer: Customer | None, event: CustomerEvent) -> Customer:
    """Return the state after `event`. Raises `Impossible` on an order no verb emits."""
    odd = disorder(_expected(customer, event), event, customer)
    after = _after(customer or Customer(), event)
    return replace(after, irregular=True) if odd else after


def _expected(customer: Customer | None, event: CustomerEvent) -> bool:
    if customer is None or isinstance(event, CustomerRegistered):
        return customer is None and isinstance(event, CustomerRegistered)
    status = status_at(customer, event.at)
    if status == "merged":
        return False
    match event:
        case CustomerIdentityChecked():
            return status != "blocked"
        case CustomerConfirmed():
            return status in ("registered", "lapsed")
        case CustomerLapsed():
            return status == "lapsed" and customer.status == "confirmed"
        case CustomerCorrectionProposed():
            return event.correction not in customer.corrections
        case CustomerCorrected() | CustomerCorrectionRejected():
            correction = customer.corrections.get(event.correction)
            return correction is not None and correction.outcome is None
        case MemberAdded():
            return event.member not in customer.members
        case MemberEnded():
            member = customer.members.get(event.member)
            return member is not None and (member.until is None or event.at < member.until)
        case CustomerBlocked():
            return status != "blocked"
        case CustomerUnblocked():
            return status == "blocked"
        case CustomerMergeProposed():
            return customer.merge is None
        case CustomerMergeRejected():
            return customer.merge is not None
        case CustomerMerged():
            return customer.merge is not None and customer.merge.into == event.into
        case _:
            return True


def _after(customer: Customer, event: CustomerEvent) -> Customer:
    match event:
        case CustomerRegistered():
            return _registered(customer, event)
        case CustomerIdentityChecked():
            check = Check(
                event.kind,
                event.channel,
                event.passed,
                event.at,
                event.document_ends_at,
                hands_of(event),
            )
            return replace(customer, checks=(*customer.checks, check))
        case CustomerConfirmed() | CustomerLapsed() | CustomerBlocked() | CustomerUnblocked():
            return _with_standing(customer, event)
        case CustomerProfileChanged():
            return replace(
                customer,
                contact=event.contact or customer.contact,
                address=event.address or customer.address,
            )
        case CustomerGraded():
            return replace(customer, grade=event.grade)
        case CustomerLinked():
            return replace(customer, links={**customer.links, event.system: event.external_id})
        case MemberAdded():
            member = Member(event.person, event.acts, event.from_, event.until)
            return replace(customer, members={**customer.members, event.member: member})
        case MemberEnded():
            return _member_ended(customer, event)
        case CustomerCorrectionProposed():
            correction = Correction(
                event.title, event.uscc, event.full_name, event.identity_number, hands_of(event)
            )
            return _with_correction(customer, event.correction, correction)
        case CustomerCorrected():
            return _corrected(customer, event)
        case CustomerCorrectionRejected():
            rejected = customer.corrections.get(event.correction)
            if rejected is None:
                return customer
            return _with_correction(
                customer, event.correction, replace(rejected, outcome="rejected")
            )
        case CustomerMergeProposed():
            return replace(customer, merge=Merge(event.into, hands_of(event)))
        case CustomerMergeRejected():
            return replace(customer, merge=None)
        case CustomerMerged():
            ended = intervals.without(customer.confirmed, event.at)
            return replace(
                customer, status="merged", merge=None, merged_into=event.into, confirmed=ended
            )
        case _:  # pyright: ignore[reportUnnecessaryComparison]
            raise Impossible(event, customer)


def _registered(customer: Customer, event: CustomerRegistered) -> Customer:
    return replace(
        customer,
        status="registered",
        form=event.form,
        number=event.number,
        title=event.title,
        uscc=event.uscc,
        full_name=event.full_name,
        identity_number=event.identity_number,
        contact=event.contact,
        registered_by=hands_of(event),
    )


def _with_standing(
    customer: Customer,
    event: CustomerConfirmed | CustomerLapsed | CustomerBlocked | CustomerUnblocked,
) -> Customer:
    match event:
        case CustomerConfirmed():
            return replace(
                customer,
                status="confirmed",
                checks=(),
                confirmed_until=event.until,
                confirmed=intervals.united(customer.confirmed, event.at, event.until),
            )
        case CustomerLapsed():
            # Where an imported lapse comes before the end it was confirmed until, it is the fact.
            ended = intervals.without(customer.confirmed, event.at)
            return replace(customer, status="lapsed", confirmed=ended)
        case CustomerBlocked():
            return replace(
                customer,
                status="blocked",
                before=customer.before if customer.status == "blocked" else customer.status,
                blocked=intervals.united(customer.blocked, event.at),
            )
        case CustomerUnblocked():
            return replace(
                customer,
                status=customer.before or customer.status,
                before=None,
                blocked=intervals.without(customer.blocked, event.at),
            )


def _member_ended(customer: Customer, event: MemberEnded) -> Customer:
    member = customer.members.get(event.member)
    if member is None:
        return customer
    ended = replace(member, until=event.at)
    return replace(customer, members={**customer.members, event.member: ended})


def _with_correction(customer: Customer, name: str, correction: Correction) -> Customer:
    return replace(customer, corrections={**customer.corrections, name: correction})


def _corrected(customer: Customer, event: CustomerCorrected) -> Customer:
    correction = customer.corrections.get(event.correction)
    if correction is None:
        return customer
    return replace(
        _with_correction(customer, event.correction, replace(correction, outcome="corrected")),
        title=correction.title or customer.title,
        uscc=correction.uscc or customer.uscc,
        full_name=correction.full_name or customer.full_name,
        identity_number=correction.identity_number or customer.identity_number,
    )
