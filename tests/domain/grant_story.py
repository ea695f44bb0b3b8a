"""The steps of a grant's story, and the way from nothing to each of its states."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from domain.commands.grants import (
    ApproveStage,
    AskInformation,
    ProvideInformation,
    RecordCheck,
    RejectGrant,
    RequestGrant,
    SignGrant,
    WithdrawGrant,
)
from domain.commands.supervision import (
    RecordExpiry,
    RecordGrantLapse,
    RequestRevocation,
    RevokeGrant,
    SuspendGrant,
)
from domain.events.common import Event
from domain.events.policy import PolicyBody
from domain.values import Evidence, Term
from tests.domain.grant_world import (
    CASE,
    DAY,
    ENDS,
    GRANT,
    HOUR,
    SHOP,
    STARTS,
    T0,
    WHY,
    World,
    body,
)

NUMBER = "G-20260302-0001-X"


def requesting(**changes: Any) -> RequestGrant:
    """The usual request as a command."""
    usual: dict[str, Any] = {
        "grant_id": GRANT,
        "number": NUMBER,
        "number_claim": b"keyed",
        "case": CASE,
        "grantee": SHOP,
        "policy": "dealership",
        "actions": ("sell",),
        "scope": {"product": ("tea",), "territory": ("CN/31",)},
        "term": Term(STARTS, ENDS),
    }
    return RequestGrant(**{**usual, **changes})


def request(
    world: World, by: str = "ann", evidence: tuple[Evidence, ...] = (), **changes: Any
) -> list[Event]:
    return world.run(requesting(**changes), by=by, evidence=evidence)


def ask(world: World, by: str = "ben") -> list[Event]:
    return world.run(AskInformation(grant_id=GRANT), by=by)


def provide(world: World, by: str = "ann", **changes: Any) -> list[Event]:
    return world.run(ProvideInformation(grant_id=GRANT, **changes), by=by)


def check(world: World, by: str = "ben", kind: str = "callback", **who: Any) -> list[Event]:
    return world.run(RecordCheck(grant_id=GRANT, check=kind, channel="email"), by=by, **who)


def approve(world: World, by: str = "carl", stage: str = "regional", **who: Any) -> list[Event]:
    return world.run(ApproveStage(grant_id=GRANT, stage=stage), by=by, **who)


def sign(world: World, by: str = "mia", party: Any = "grantee") -> list[Event]:
    return world.run(SignGrant(grant_id=GRANT, party=party, digest=world.digest), by=by)


def suspend(world: World, hold: str = "h1", *, by: str = "dora", **more: Any) -> list[Event]:
    return world.run(SuspendGrant(grant_id=GRANT, hold=hold, **more), by=by, reason=WHY)


EASY: dict[str, Any] = {
    "verification": None,
    "stages": (),
    "no_approval_needed": True,
    "agreement": None,
}


def in_effect(policy: PolicyBody | None = None, **changes: Any) -> World:
    """A world whose grant took effect with the request, from T0 to ENDS."""
    world = World(policy or body(**EASY))
    request(world, term=changes.pop("term", Term(T0, ENDS)), **changes)
    world.now += HOUR
    return world


# --- the way to each state ------------------------------------------------------------------------


def to_none(world: World) -> None:
    """Nothing happened yet."""


def to_submitted(world: World) -> None:
    request(world)
    world.now += HOUR


def to_verifying(world: World) -> None:
    to_submitted(world)
    check(world, "ben")
    world.now += HOUR


def to_information_requested(world: World) -> None:
    to_verifying(world)
    ask(world, "ben")
    world.now += HOUR


def to_pending_approval(world: World) -> None:
    """One of the two approvals of the first stage is there already: Cora's."""
    to_verifying(world)
    check(world, "bob", "site_visit")
    approve(world, "cora")
    world.now += HOUR


def to_pending_last(world: World) -> None:
    to_pending_approval(world)
    approve(world, "carl")
    world.now += HOUR


def to_approved(world: World) -> None:
    to_pending_last(world)
    approve(world, "dora", "legal")
    world.now += HOUR


def to_half_signed(world: World) -> None:
    to_approved(world)
    sign(world, "mia", "grantee")
    world.now += HOUR


def to_scheduled(world: World) -> None:
    to_half_signed(world)
    sign(world, "cleo", "tenant")
    world.now += HOUR


def to_active(world: World) -> None:
    """A term that began before the last signature takes effect with it."""
    to_half_signed(world)
    world.now = T0 + 9 * DAY
    sign(world, "cleo", "tenant")
    world.now += HOUR


def to_suspended(world: World) -> None:
    """By one provisional hold."""
    to_active(world)
    suspend(world, "h1", provisional=True)
    world.now += HOUR


def to_suspension_over(world: World) -> None:
    to_suspended(world)
    world.now += 8 * DAY


def to_rejected(world: World) -> None:
    to_pending_approval(world)
    world.run(RejectGrant(grant_id=GRANT), by="carl", reason=WHY)
    world.now += HOUR


def to_withdrawn(world: World) -> None:
    to_pending_approval(world)
    world.run(WithdrawGrant(grant_id=GRANT), by="ann")
    world.now += HOUR


def to_lapsed_by_clock(world: World) -> None:
    to_pending_approval(world)
    world.now += 10 * DAY


def to_lapsed(world: World) -> None:
    to_lapsed_by_clock(world)
    world.run(RecordGrantLapse(grant_id=GRANT), by="timekeeper")
    world.now += HOUR


def to_active_by_clock(world: World) -> None:
    to_scheduled(world)
    world.now = STARTS


def to_expired_by_clock(world: World) -> None:
    to_active(world)
    world.now = ENDS


def to_expired(world: World) -> None:
    to_expired_by_clock(world)
    world.run(RecordExpiry(grant_id=GRANT), by="timekeeper")
    world.now += HOUR


def to_revoked(world: World) -> None:
    to_active(world)
    world.run(RevokeGrant(grant_id=GRANT, case="c0"), by="dora", reason=WHY)
    world.now += HOUR


def to_revoked_later(world: World) -> None:
    to_active(world)
    later = RevokeGrant(grant_id=GRANT, case="c0", effective_at=world.now + 5 * DAY)
    world.run(later, by="dora", reason=WHY)
    world.now += HOUR


def to_revoked_by_clock(world: World) -> None:
    to_revoked_later(world)
    world.now += 5 * DAY


def to_revocation_requested(world: World) -> None:
    to_active(world)
    world.run(RequestRevocation(grant_id=GRANT, case="c1"), by="mia")
    world.now += HOUR


REACH: dict[str, Callable[[World], None]] = {
    "none": to_none,
    "submitted": to_submitted,
    "verifying": to_verifying,
    "information_requested": to_information_requested,
    "pending_approval": to_pending_approval,
    "pending_last": to_pending_last,
    "approved": to_approved,
    "half_signed": to_half_signed,
    "scheduled": to_scheduled,
    "active": to_active,
    "suspended": to_suspended,
    "suspension_over": to_suspension_over,
    "rejected": to_rejected,
    "withdrawn": to_withdrawn,
    "lapsed_by_clock": to_lapsed_by_clock,
    "lapsed": to_lapsed,
    "active_by_clock": to_active_by_clock,
    "expired_by_clock": to_expired_by_clock,
    "expired": to_expired,
    "revoked": to_revoked,
    "revoked_later": to_revoked_later,
    "revoked_by_clock": to_revoked_by_clock,
    "revocation_requested": to_revocation_requested,
}
"""State -> the way to it. Those ending in `_by_clock` are recorded by nobody yet."""


def world_in(state: str) -> World:
    """Return a world whose grant is in this state."""
    world = World()
    REACH[state](world)
    return world
