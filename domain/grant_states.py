"""The state of a grant, folded from its stream, and how the clock moves it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

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
]

OPEN: frozenset[Status] = frozenset(
    {"submitted", "information_requested", "verifying", "pending_approval", "approved"}
)
"""The request is still being decided on or signed; a step not taken in time lets it lapse."""

EFFECTIVE: frozenset[Status] = frozenset({"scheduled", "active", "suspended"})
"""Agreed and signed; takes or took effect unless held, revoked or over."""

ENDED: frozenset[Status] = frozenset({"rejected", "withdrawn", "lapsed", "expired", "revoked"})


class Check(msgspec.Struct, frozen=True):
    """One act of verification; `persons` are all the hands in it, a deputy's and whom they stood in
    for.
    """

    kind: str
    channel: str
    persons: frozenset[str]


class Approval(msgspec.Struct, frozen=True):
    """One standing approval of a stage, in the stage's group number `group`."""

    stage: str
    group: int
    persons: frozenset[str]


class Signature(msgspec.Struct, frozen=True):
    """A party signed on `digest`."""

    party: Literal["grantee", "tenant"]
    digest: str
    persons: frozenset[str]


class Hold(msgspec.Struct, frozen=True, rename={"from_": "from"}):
    """A reason that suspends, from `from_` on, until `until` once it was resumed or found lapsed.

    With `confirm_by` it is provisional still, and falls by itself then.
    """

    id: str
    from_: Instant
    persons: frozenset[str]
    confirm_by: Instant | None = None
    until: Instant | None = None


class Effect(msgspec.Struct, frozen=True):
    """The term in which terms `number` take effect, before any hold, revocation or end."""

    starts_at: Instant
    ends_at: Instant | None
    number: int


class Revocation(msgspec.Struct, frozen=True):
    """A revocation asked for (by the customer) or proposed (by staff) and neither confirmed nor
    cancelled.

    `effective_at` None means when confirmed.
    """

    case: str
    origin: Literal["customer", "staff"]
    at: Instant
    effective_at: Instant | None = None


class Grant(msgspec.Struct, frozen=True):
    """State folded from one stream: enough to decide the next event, and no more.

    `status` is what was recorded; ask `status_at`. `hands` are the persons who had a part in each
    case; standing approvals are hands as well and lie in `approvals`: one that was retracted or
    made void is none any more. `askers` are those who requested or provided. `lapses_at` is when
    the open step is over. `irregular` marks a case whose imported events came in an order that the
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
    effect: Effect | None = None
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
    return tuple(
        hold
        for hold in grant.holds
        if hold.until is None and (hold.confirm_by is None or at < hold.confirm_by)
    )


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
    effect = grant.effect
    if grant.status not in EFFECTIVE or effect is None:
        return grant.status
    if grant.revoked_from is not None and grant.revoked_from <= at:
        return "revoked"
    if effect.ends_at is not None and effect.ends_at <= at:
        return "expired"
    if open_holds(grant, at):
        return "suspended"
    return "active" if effect.starts_at <= at else "scheduled"
