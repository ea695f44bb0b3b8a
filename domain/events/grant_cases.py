"""Events of a grant's cases beside its main state: renewals, amendments; and other ends of it.

A renewal and an amendment are walked alike, so their events come in pairs of one shape: the bases
`Case…` are the shapes, and only what has a stored name is ever written.
"""

from __future__ import annotations

from typing import ClassVar, Literal

from domain.events.common import Event
from domain.sealing import Sealed
from domain.values import Instant, PolicyRef, Terms


class CaseEvent(Event, frozen=True):
    """Belongs to the case with this id."""

    case: str


class CaseOpened(CaseEvent, frozen=True):
    """Someone asks for other terms. `terms` have the next number; `policy` is pinned for the case.

    `effective_at`: from when an amendment is to rule; None, for a renewal always, as soon as it
    can. `lapses_at`, here and below: when the step that opens now is over unless it is taken.
    """

    terms: Terms
    policy: PolicyRef
    channel: str = "online"
    effective_at: Instant | None = None
    lapses_at: Instant | None = None


class CaseChecked(CaseEvent, frozen=True):
    """One recorded act of verification that came out well."""

    kind: str
    channel: str
    note: Sealed | None = None


class CaseVerified(CaseEvent, frozen=True):
    """The checks reach the policy's quorum of kinds and independent persons; a stage opens."""

    lapses_at: Instant | None = None


class CaseStageApproved(CaseEvent, frozen=True):
    """One person's approval in one stage, for its group number `group` (from 0), which asks for
    `role`. `terms` where the approver narrowed them.
    """

    stage: str
    role: str
    group: int = 0
    terms: Terms | None = None
    lapses_at: Instant | None = None


class CaseApprovalRetracted(CaseEvent, frozen=True):
    """An approver takes their approval of an open stage back; `approver` as the approval has it."""

    stage: str
    approver: str | None = None


class CaseApproved(CaseEvent, frozen=True):
    """The last stage agreed; `terms` are exactly what is to be signed and to take effect."""

    terms: Terms
    lapses_at: Instant | None = None


class CaseSigned(CaseEvent, frozen=True):
    """One party signed on `digest`."""

    party: Literal["grantee", "tenant"]
    digest: str


class CaseRejected(CaseEvent, frozen=True):
    """A person says no; the main state stays. `kind`, `channel`: of a check that came out badly."""

    origin: Literal["verification", "approval", "declined"] = "approval"
    kind: str | None = None
    channel: str | None = None


class CaseWithdrawn(CaseEvent, frozen=True):
    """Whoever asked takes it back."""


class CaseLapsed(CaseEvent, frozen=True):
    """A step's time, or the grant itself, was over at `lapsed_at`; recorded by the timekeeper."""

    lapsed_at: Instant


class GrantRenewalRequested(CaseOpened, frozen=True):
    """Someone asks that it goes on after its end."""

    name: ClassVar[str] = "grant.renewal_requested.1"


class GrantRenewalChecked(CaseChecked, frozen=True):
    """A renewal was checked, and it came out well."""

    name: ClassVar[str] = "grant.renewal_checked.1"


class GrantRenewalVerified(CaseVerified, frozen=True):
    """A renewal's checks reach the quorum."""

    name: ClassVar[str] = "grant.renewal_verified.1"


class GrantRenewalStageApproved(CaseStageApproved, frozen=True):
    """One approval of a renewal."""

    name: ClassVar[str] = "grant.renewal_stage_approved.1"


class GrantRenewalApprovalRetracted(CaseApprovalRetracted, frozen=True):
    """An approval of a renewal is taken back."""

    name: ClassVar[str] = "grant.renewal_approval_retracted.1"


class GrantRenewalApproved(CaseApproved, frozen=True):
    """The last stage agreed to a renewal."""

    name: ClassVar[str] = "grant.renewal_approved.1"


class GrantRenewalSigned(CaseSigned, frozen=True):
    """One party signed a renewal."""

    name: ClassVar[str] = "grant.renewal_signed.1"


class GrantRenewalRejected(CaseRejected, frozen=True):
    """A person says no to a renewal."""

    name: ClassVar[str] = "grant.renewal_rejected.1"


class GrantRenewalWithdrawn(CaseWithdrawn, frozen=True):
    """A renewal is taken back."""

    name: ClassVar[str] = "grant.renewal_withdrawn.1"


class GrantRenewalLapsed(CaseLapsed, frozen=True):
    """A renewal's time ran out."""

    name: ClassVar[str] = "grant.renewal_lapsed.1"


class GrantRenewed(CaseEvent, frozen=True):
    """The renewal's terms rule during `[starts_at, ends_at)`; holds stay."""

    name: ClassVar[str] = "grant.renewed.1"

    starts_at: Instant
    ends_at: Instant | None


class GrantAmendmentProposed(CaseOpened, frozen=True):
    """Someone asks for other actions, another scope or another end."""

    name: ClassVar[str] = "grant.amendment_proposed.1"


class GrantAmendmentChecked(CaseChecked, frozen=True):
    """An amendment was checked, and it came out well."""

    name: ClassVar[str] = "grant.amendment_checked.1"


class GrantAmendmentVerified(CaseVerified, frozen=True):
    """An amendment's checks reach the quorum."""

    name: ClassVar[str] = "grant.amendment_verified.1"


class GrantAmendmentStageApproved(CaseStageApproved, frozen=True):
    """One approval of an amendment."""

    name: ClassVar[str] = "grant.amendment_stage_approved.1"


class GrantAmendmentApprovalRetracted(CaseApprovalRetracted, frozen=True):
    """An approval of an amendment is taken back."""

    name: ClassVar[str] = "grant.amendment_approval_retracted.1"


class GrantAmendmentApproved(CaseApproved, frozen=True):
    """The last stage agreed to an amendment."""

    name: ClassVar[str] = "grant.amendment_approved.1"


class GrantAmendmentSigned(CaseSigned, frozen=True):
    """One party signed an amendment."""

    name: ClassVar[str] = "grant.amendment_signed.1"


class GrantAmendmentRejected(CaseRejected, frozen=True):
    """A person says no to an amendment."""

    name: ClassVar[str] = "grant.amendment_rejected.1"


class GrantAmendmentWithdrawn(CaseWithdrawn, frozen=True):
    """An amendment is taken back."""

    name: ClassVar[str] = "grant.amendment_withdrawn.1"


class GrantAmendmentLapsed(CaseLapsed, frozen=True):
    """An amendment's time ran out."""

    name: ClassVar[str] = "grant.amendment_lapsed.1"


class GrantAmended(CaseEvent, frozen=True):
    """The amendment's terms rule during `[effective_at, ends_at)`, the old ones until then."""

    name: ClassVar[str] = "grant.amended.1"

    effective_at: Instant
    ends_at: Instant | None


class GrantSuperseded(Event, frozen=True):
    """Another grant, `successor`, takes its place from now on."""

    name: ClassVar[str] = "grant.superseded.1"

    successor: str


class GrantErrorProposed(CaseEvent, frozen=True):
    """Someone says that it never should have been entered; another person confirms."""

    name: ClassVar[str] = "grant.error_proposed.1"


class GrantErrorDismissed(CaseEvent, frozen=True):
    """The proposal to mark it entered in error is off."""

    name: ClassVar[str] = "grant.error_dismissed.1"


class GrantErrorMarked(CaseEvent, frozen=True):
    """Entered in error: it never counted by what is known from now on; its history stays."""

    name: ClassVar[str] = "grant.error_marked.1"
