"""Events of a grant: from the first request to the last event."""

from __future__ import annotations

from typing import ClassVar, Literal

from domain.events.common import Event
from domain.sealing import Sealed
from domain.values import Instant, PolicyRef, Terms


class GrantRequested(Event, frozen=True):
    """Someone asks. `case` is the id of this request (later: of one renewal, amendment or
    revocation).

    `lapses_at`, here and below: when the step that opens now is over unless it is taken; written
    down because the state tells the lapse by the clock and knows no policy. None where nothing
    lapses (imported history).
    """

    name: ClassVar[str] = "grant.requested.1"

    number: str
    case: str
    grantee: str
    terms: Terms
    policy: PolicyRef
    channel: str = "online"
    lapses_at: Instant | None = None


class GrantInformationRequested(Event, frozen=True):
    """A verifier or approver needs to know more."""

    name: ClassVar[str] = "grant.information_requested.1"

    question: Sealed | None = None


class GrantInformationProvided(Event, frozen=True):
    """The answer; changed `terms` void earlier checks and approvals, and the time to verify starts
    again.
    """

    name: ClassVar[str] = "grant.information_provided.1"

    answer: Sealed | None = None
    terms: Terms | None = None
    channel: str = "online"
    lapses_at: Instant | None = None


class GrantChecked(Event, frozen=True):
    """One recorded act of verification that came out well."""

    name: ClassVar[str] = "grant.checked.1"

    kind: str
    channel: str
    note: Sealed | None = None


class GrantVerified(Event, frozen=True):
    """The checks reach the policy's quorum of kinds and independent persons; a stage opens."""

    name: ClassVar[str] = "grant.verified.1"

    lapses_at: Instant | None = None


class GrantVerificationFailed(Event, frozen=True):
    """A verifier found that it is not so."""

    name: ClassVar[str] = "grant.verification_failed.1"

    kind: str
    channel: str


class GrantRejected(Event, frozen=True):
    """A person says no. `origin`: who: verification, approval, or a party that declined to sign."""

    name: ClassVar[str] = "grant.rejected.1"

    origin: Literal["verification", "approval", "declined"] = "approval"


class GrantStageApproved(Event, frozen=True):
    """One person's approval in one stage, for its group number `group` (from 0), which asks for
    `role`.

    `terms` where the approver narrowed them; `lapses_at` where it was the stage's last and the next
    one opens.
    """

    name: ClassVar[str] = "grant.stage_approved.1"

    stage: str
    role: str
    group: int = 0
    terms: Terms | None = None
    lapses_at: Instant | None = None


class GrantApproved(Event, frozen=True):
    """The last stage agreed; `terms` are exactly what is to be signed and to take effect."""

    name: ClassVar[str] = "grant.approved.1"

    terms: Terms
    lapses_at: Instant | None = None


class GrantApprovalRetracted(Event, frozen=True):
    """An approver takes their approval of an open stage back.

    `approver` is the person as the approval has it; it differs from `by` where two records of one
    person were merged.
    """

    name: ClassVar[str] = "grant.approval_retracted.1"

    stage: str
    approver: str | None = None


class GrantWithdrawn(Event, frozen=True):
    """The requester takes it back."""

    name: ClassVar[str] = "grant.withdrawn.1"


class GrantLapsed(Event, frozen=True):
    """A stage's time or the requested term ran out, at `lapsed_at`; recorded by the timekeeper for
    people.
    """

    name: ClassVar[str] = "grant.lapsed.1"

    lapsed_at: Instant


class GrantSigned(Event, frozen=True):
    """One party signed; `digest` is the hash of template, its version, its hash and exactly the
    approved terms.
    """

    name: ClassVar[str] = "grant.signed.1"

    party: Literal["grantee", "tenant"]
    digest: str


class GrantScheduled(Event, frozen=True):
    """Will take effect at `starts_at`, until `ends_at` (None only in imported history)."""

    name: ClassVar[str] = "grant.scheduled.1"

    starts_at: Instant
    ends_at: Instant | None


class GrantActivated(Event, frozen=True):
    """Took effect at `starts_at`, until `ends_at` (None only in imported history)."""

    name: ClassVar[str] = "grant.activated.1"

    starts_at: Instant
    ends_at: Instant | None


class GrantSuspended(Event, frozen=True):
    """One more hold; with `confirm_by` provisional: it falls then unless another confirms."""

    name: ClassVar[str] = "grant.suspended.1"

    hold: str
    confirm_by: Instant | None = None


class GrantSuspensionConfirmed(Event, frozen=True):
    """A second person stands behind a provisional hold."""

    name: ClassVar[str] = "grant.suspension_confirmed.1"

    hold: str


class GrantResumed(Event, frozen=True):
    """One hold less; `lapsed_at` where a provisional hold fell, not confirmed by then."""

    name: ClassVar[str] = "grant.resumed.1"

    hold: str
    lapsed_at: Instant | None = None


class GrantRevocationRequested(Event, frozen=True):
    """The customer asks to end it; another person confirms."""

    name: ClassVar[str] = "grant.revocation_requested.1"

    case: str


class GrantRevocationCancelled(Event, frozen=True):
    """The revocation asked for or proposed is off."""

    name: ClassVar[str] = "grant.revocation_cancelled.1"

    case: str


class GrantRevocationProposed(Event, frozen=True):
    """Staff propose to end it where the policy wants two people; `effective_at` None means when
    confirmed.
    """

    name: ClassVar[str] = "grant.revocation_proposed.1"

    case: str
    effective_at: Instant | None = None


class GrantRevoked(Event, frozen=True):
    """Ended early, from `effective_at` on; `cause` names the rule where it was automatic, `parent`
    the grant it was passed on from where that one's end was the reason.
    """

    name: ClassVar[str] = "grant.revoked.1"

    origin: Literal["customer", "staff", "automatic"]
    effective_at: Instant
    case: str | None = None
    cause: str | None = None
    parent: str | None = None


class GrantExpired(Event, frozen=True):
    """The term ended at `expired_at`; recorded by the timekeeper, it changes no answer."""

    name: ClassVar[str] = "grant.expired.1"

    expired_at: Instant


class GrantNoted(Event, frozen=True):
    """Something worth keeping; it decides nothing. `label` is a clear code (an imported step's
    name).
    """

    name: ClassVar[str] = "grant.noted.1"

    label: str | None = None
    text: Sealed | None = None
