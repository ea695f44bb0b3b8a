"""What the clock did to a grant, written down by the timekeeper for people; it changes no answer.

Two timekeepers at once are harmless: what was written down already is no news.
"""

from __future__ import annotations

from domain import duties, grantees
from domain.duties import Actor
from domain.errors import Refused
from domain.events.grant import GrantActivated, GrantExpired, GrantLapsed, GrantResumed
from domain.grant_guards import find_hold, require_status
from domain.grant_states import (
    EFFECTIVE,
    OPEN,
    Grant,
    ends_of,
    lapse_of,
    starts_of,
    status_at,
)
from domain.grantees import Grantee
from domain.grants import GrantEvent
from domain.values import Act, Instant, stamp


def record_lapse(grant: Grant, actor: Actor, act: Act) -> list[GrantEvent]:
    """Write down that the open step's time, or the asked term, ran out.

    Raises `Refused`: `role.missing`, `grant.state`, `grant.not_due`.
    """
    duties.require_timekeeper(actor)
    if grant.status == "lapsed":
        return []
    lapses_at = lapse_of(grant)
    require_status(grant, act.at, (*OPEN, "lapsed"))
    return [GrantLapsed(**stamp(act), lapsed_at=require_due(lapses_at, act.at))]


def record_activation(grant: Grant, grantee: Grantee, actor: Actor, act: Act) -> list[GrantEvent]:
    """Write down that a scheduled grant's start was reached while nothing held it.

    Raises `Refused`: `role.missing`, `grant.state`, `grant.not_due`, `grantee.standing`: for who is
    not in standing it took no effect; it is written down once they are.
    """
    duties.require_timekeeper(actor)
    if grant.activated and status_at(grant, act.at) in EFFECTIVE:
        return []
    require_status(grant, act.at, ("scheduled", "active"))
    # A fallen provisional hold that is not written down yet comes first: `record_suspension_lapse`.
    starts_at = require_due(starts_of(grant) if grant.status == "scheduled" else None, act.at)
    grantees.require_grantee_standing(grantee, act.at)
    return [GrantActivated(**stamp(act), starts_at=starts_at, ends_at=grant.effects[0].ends_at)]


def record_expiry(grant: Grant, actor: Actor, act: Act) -> list[GrantEvent]:
    """Write down that the term ended.

    Raises `Refused`: `role.missing`, `grant.state`, `grant.not_due`.
    """
    duties.require_timekeeper(actor)
    if grant.status == "expired":
        return []
    require_status(grant, act.at, (*EFFECTIVE, "expired"))
    return [GrantExpired(**stamp(act), expired_at=require_due(ends_of(grant), act.at))]


def record_suspension_lapse(grant: Grant, actor: Actor, act: Act, *, hold: str) -> list[GrantEvent]:
    """Write down that a provisional hold fell because nobody confirmed it in time.

    Raises `Refused`: `role.missing`, `grant.state`, `hold.unknown`, `grant.not_due`.
    """
    duties.require_timekeeper(actor)
    require_status(grant, act.at, EFFECTIVE)
    found = find_hold(grant, hold)
    if found is None:
        require_status(grant, act.at, ("suspended",))
        raise Refused("hold.unknown", hold=hold)
    if found.until is not None:
        return []
    lapsed_at = require_due(found.confirm_by, act.at)
    return [GrantResumed(**stamp(act), hold=hold, lapsed_at=lapsed_at)]


def require_due(due_at: Instant | None, at: Instant) -> Instant:
    """Return `due_at`; `grant.not_due` while the clock has not reached it, or never will."""
    if due_at is None or at < due_at:
        raise Refused("grant.not_due", due_at=due_at)
    return due_at
