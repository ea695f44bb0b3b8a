"""Events of a customer: identified, confirmed, blocked, merged, and the people who may act for
it."""

from __future__ import annotations

from typing import ClassVar, Literal

from domain.events.common import Event
from domain.sealing import Sealed
from domain.values import Instant


class CustomerRegistered(Event, frozen=True):
    """A customer is known. An organization's name and USCC are clear, a natural person's name and
    number sealed."""

    name: ClassVar[str] = "customer.registered.1"

    number: str
    form: Literal["organization", "person"]
    title: str | None = None
    uscc: str | None = None
    full_name: Sealed | None = None
    identity_number: Sealed | None = None
    contact: Sealed | None = None


class CustomerIdentityChecked(Event, frozen=True):
    """One recorded act of identification; `document_ends_at` is how long what was shown is good
    for."""

    name: ClassVar[str] = "customer.identity_checked.1"

    kind: str
    channel: str
    passed: bool
    document: str | None = None
    document_ends_at: Instant | None = None
    note: Sealed | None = None


class CustomerConfirmed(Event, frozen=True):
    """Identified as the policy asks, good `until`; `policy` and `policy_version` say which
    asked."""

    name: ClassVar[str] = "customer.confirmed.1"

    until: Instant
    policy: str | None = None
    policy_version: int | None = None


class CustomerLapsed(Event, frozen=True):
    """The confirmation is over; recorded by the timekeeper for people, it changes no answer."""

    name: ClassVar[str] = "customer.lapsed.1"


class CustomerProfileChanged(Event, frozen=True):
    """Fields that identify nobody by themselves (contact, address). `share` is the grant by whose
    right it was changed, where that was one."""

    name: ClassVar[str] = "customer.profile_changed.1"

    contact: Sealed | None = None
    address: Sealed | None = None
    share: str | None = None


class CustomerCorrectionProposed(Event, frozen=True):
    """Key fields were wrong; a second person decides."""

    name: ClassVar[str] = "customer.correction_proposed.1"

    correction: str
    title: str | None = None
    uscc: str | None = None
    full_name: Sealed | None = None
    identity_number: Sealed | None = None


class CustomerCorrected(Event, frozen=True):
    """The proposed correction holds."""

    name: ClassVar[str] = "customer.corrected.1"

    correction: str


class CustomerCorrectionRejected(Event, frozen=True):
    """The proposed correction does not hold."""

    name: ClassVar[str] = "customer.correction_rejected.1"

    correction: str


class CustomerGraded(Event, frozen=True):
    """How good a customer it is, by the tenant's own grades."""

    name: ClassVar[str] = "customer.graded.1"

    grade: str


class CustomerLinked(Event, frozen=True):
    """What another system calls this customer."""

    name: ClassVar[str] = "customer.linked.1"

    system: str
    external_id: str


class MemberAdded(Event, frozen=True):
    """A person may act for the customer during `[from_, until)`: request, provide, sign, revoke,
    report_use."""

    name: ClassVar[str] = "customer.member_added.1"

    member: str
    person: str
    acts: tuple[str, ...]
    from_: Instant
    until: Instant | None = None


class MemberEnded(Event, frozen=True):
    """A person acts for the customer no longer, at once."""

    name: ClassVar[str] = "customer.member_ended.1"

    member: str


class CustomerBlocked(Event, frozen=True):
    """Everything granted to this customer is denied until unblocked."""

    name: ClassVar[str] = "customer.blocked.1"


class CustomerUnblocked(Event, frozen=True):
    """As before the block."""

    name: ClassVar[str] = "customer.unblocked.1"


class CustomerMergeProposed(Event, frozen=True):
    """This record and `into` are thought to be one customer; a second person decides."""

    name: ClassVar[str] = "customer.merge_proposed.1"

    into: str


class CustomerMergeRejected(Event, frozen=True):
    """They are two customers after all."""

    name: ClassVar[str] = "customer.merge_rejected.1"


class CustomerMerged(Event, frozen=True):
    """This record stands as `into` from now on."""

    name: ClassVar[str] = "customer.merged.1"

    into: str
