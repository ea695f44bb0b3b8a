"""The state of a grant, folded from its stream, and how the clock moves it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal, Protocol

import msgspec

from domain.values import Instant, PolicyRef, Terms

Status = Literal[
    "submitted",
    "information_requested",
    "verifying",
    "pending_approval",
    "approved",
    "scheduled",
    "active",
    "suspended",
    "rejected",
    "withdrawn",
    "lapsed",
    "expired",
    "revoked",
    "superseded",
    "entered_in_error",
]

CaseKind = Literal["renewal", "amendment"]
CaseStatus = Literal["submitted", "verifying", "pending_approval", "approved"]
CaseEnd = Literal["agreed", "rejected", "withdrawn", "lapsed", "ended"]
"""How a case ended; `ended`: together with the grant itself."""

OPEN: frozenset[Status] = frozenset(
    {"submitted", "information_requested", "verifying", "pending_approval", "approved"}
)
"""The request is still being decided on or signed; a step not taken in time lets it lapse."""

EFFECTIVE: frozenset[Status] = frozenset({"scheduled", "active", "suspended"})
"""Agreed and signed; takes or took effect unless held, revoked or over."""

ENDED: frozenset[Status] = frozenset(
    {
        "rejected",
        "withdrawn",
        "lapsed",
        "expired",
        "revoked",
        "superseded",
        "entered_in_error",
    }
)


class Check(msgspec.Struct, frozen=True, gc=False):
    """One act of verification; `persons` are all the hands in it, a deputy's and whom they stood in
    for.
    """

    kind: str
    channel: str
    persons: frozenset[str]


class Approval(msgspec.Struct, frozen=True, gc=False):
    """One standing approval of a stage, in the stage's group number `group`."""

    stage: str
    group: int
    persons: frozenset[str]


class Signature(msgspec.Struct, frozen=True, gc=False):
    """A party signed on `digest`."""

    party: Literal["grantee", "tenant"]
    digest: str
    persons: frozenset[str]


class Hold(msgspec.Struct, frozen=True, gc=False, rename={"from_": "from"}):
    """A reason that suspends, from `from_` on, until `until` once it was resumed or found lapsed.

    With `confirm_by` it is provisional still, and falls by itself then.
    """

    id: str
    from_: Instant
    persons: frozenset[str]
    confirm_by: Instant | None = None
    until: Instant | None = None


class Effect(msgspec.Struct, frozen=True, gc=False):
    """The term in which agreed terms take effect, before any hold, revocation or end.

    Terms with a later number rule from their start on, whatever the earlier ones said.
    """

    starts_at: Instant
    ends_at: Instant | None
    terms: Terms
    policy: PolicyRef


class Case(msgspec.Struct, frozen=True, gc=False):
    """An open renewal or amendment, walked like a request: `terms` are those asked for or approved.

    `case` is its id; `policy` the version pinned for it. `effective_at`: from when an amendment is
    to rule, None as soon as it is agreed.
    """

    case: str
    kind: CaseKind
    status: CaseStatus
    terms: Terms
    policy: PolicyRef
    effective_at: Instant | None = None
    hands: Mapping[str, frozenset[str]] = {}
    askers: frozenset[str] = frozenset()
    checks: tuple[Check, ...] = ()
    approvals: tuple[Approval, ...] = ()
    signatures: tuple[Signature, ...] = ()
    evidence_ends_at: Instant | None = None
    lapses_at: Instant | None = None


class Walked(Protocol):
    """What is walked from asking to agreement: a request (the grant itself), or a case."""

    @property
    def case(self) -> str: ...

    @property
    def terms(self) -> Terms: ...

    @property
    def hands(self) -> Mapping[str, frozenset[str]]: ...

    @property
    def askers(self) -> frozenset[str]: ...

    @property
    def checks(self) -> tuple[Check, ...]: ...

    @property
    def approvals(self) -> tuple[Approval, ...]: ...

    @property
    def signatures(self) -> tuple[Signature, ...]: ...

    @property
    def evidence_ends_at(self) -> Instant | None: ...

    @property
    def lapses_at(self) -> Instant | None: ...


class Revocation(msgspec.Struct, frozen=True, gc=False):
    """A revocation asked for (by the customer) or proposed (by staff) and neither confirmed nor
    cancelled.

    `effective_at` None means when confirmed.
    """

    case: str
    origin: Literal["customer", "staff"]
    at: Instant
    effective_at: Instant | None = None


class Grant(msgspec.Struct, frozen=True, gc=False):
    """State folded from one stream: enough to decide the next event, and no more.

    `status` is what was recorded; ask `status_at`. `hands` are the persons who had a part in each
    case; standing approvals are hands as well and lie in `approvals`: one that was retracted or
    made void is none any more. `askers` are those who requested or provided. `lapses_at` is when
    the open step is over. `effects` has one entry for each agreed terms, `terms` the latest asked
    for or agreed. `closed` says how each case ended. `error` is the case that proposes to mark it
    entered in error. `irregular` marks a case whose imported events came in an order that the
    tables do not know.
    """

    status: Status
    number: str
    grantee: str
    case: str
    terms: Terms
    policy: PolicyRef
    hands: Mapping[str, frozenset[str]] = {}
    askers: frozenset[str] = frozenset()
    checks: tuple[Check, ...] = ()
    approvals: tuple[Approval, ...] = ()
    signatures: tuple[Signature, ...] = ()
    evidence_ends_at: Instant | None = None
    lapses_at: Instant | None = None
    effects: tuple[Effect, ...] = ()
    open_case: Case | None = None
    closed: Mapping[str, CaseEnd] = {}
    successor: str | None = None
    error: str | None = None
    activated: bool = False
    holds: tuple[Hold, ...] = ()
    revocation: Revocation | None = None
    revoked_from: Instant | None = None
    ended_at: Instant | None = None
    irregular: bool = False


def open_holds(grant: Grant, at: Instant) -> tuple[Hold, ...]:
    """Return the holds that suspend at `at`, by the clock: an unconfirmed provisional one only
    until its time.
    """
    lasting = [hold for hold in grant.holds if hold.until is None]
    return tuple([hold for hold in lasting if hold.confirm_by is None or at < hold.confirm_by])


def lapse_of(grant: Grant) -> Instant | None:
    """Return when the request lapses unless the open step is taken: its own time, or the end of the
    asked term.
    """
    if grant.status not in OPEN:
        return None
    known = [at for at in (grant.lapses_at, grant.terms.term.ends_at) if at is not None]
    return min(known, default=None)


def status_at(grant: Grant, at: Instant) -> Status:
    """Return the main state at `at`, now or later, whether or not anyone recorded what the clock
    did.
    """
    if grant.status in OPEN:
        lapses_at = lapse_of(grant)
        return "lapsed" if lapses_at is not None and lapses_at <= at else grant.status
    starts_at, ends_at = starts_of(grant), ends_of(grant)
    if grant.status not in EFFECTIVE or starts_at is None:
        return grant.status
    if grant.revoked_from is not None and grant.revoked_from <= at:
        return "revoked"
    if ends_at is not None and ends_at <= at:
        return "expired"
    if open_holds(grant, at):
        return "suspended"
    effect = ruling(grant, at)
    over = effect is not None and effect.ends_at is not None and effect.ends_at <= at
    return "scheduled" if at < starts_at or over else "active"


def starts_of(grant: Grant) -> Instant | None:
    """Return when it takes or took effect for the first time; None before it was agreed on.

    Only an imported amendment can begin before the terms that it follows.
    """
    effects = grant.effects
    if len(effects) == 1:
        return effects[0].starts_at
    return min((effect.starts_at for effect in effects), default=None)


def ends_of(grant: Grant) -> Instant | None:
    """Return when the terms agreed on last end; None before that, or where they are open."""
    return grant.effects[-1].ends_at if grant.effects else None


def ruling(grant: Grant, at: Instant) -> Effect | None:
    """Return the agreed terms that rule at `at`, or will first; None before any were agreed on."""
    for effect in reversed(grant.effects):
        if effect.starts_at <= at:
            return effect
    return grant.effects[0] if grant.effects else None


def case_lapse_of(grant: Grant) -> Instant | None:
    """Return when the open case is over unless its step is taken: its own time, the end of the
    asked term, or the grant's own end, beyond which only a renewal goes on (its steps' time is
    bounded by the policy's grace).
    """
    case = grant.open_case
    if case is None:
        return None
    ends = [case.lapses_at, grant.revoked_from, case.terms.term.ends_at]
    if case.kind == "amendment":
        ends.append(ends_of(grant))
    return min((at for at in ends if at is not None), default=None)


def case_at(grant: Grant, at: Instant) -> Case | None:
    """Return the case that is open at `at`, by the clock."""
    lapses_at = case_lapse_of(grant)
    return None if lapses_at is not None and lapses_at <= at else grant.open_case
