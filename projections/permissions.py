"""Who may do what: the interval rows that a grant's stream amounts to."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal
from uuid import UUID

import msgspec

from domain.effect import in_force
from domain.grants import Grant, GrantEvent
from domain.values import Instant, Scope
from projections.inline_rows import Change, difference, end, spans

NAME = "permissions"
FOLD = 1
"""The fold version: raised whenever the rows of the same events would be others."""


class Stop(msgspec.Struct, frozen=True, omit_defaults=True, rename={"from_": "from"}):
    """Why it is not in force from some instant on, for explanations; `hold` names the hold that
    suspends.
    """

    why: Literal["suspended", "revoked", "ended"]
    from_: Instant
    until: Instant | None = None
    hold: str | None = None


class Permission(msgspec.Struct, frozen=True):
    """These terms are in force during `[valid_from, valid_to)`, an open end None.

    `stops` says what keeps it out of force between this row and the next one, or for good; empty
    where the term simply ended. `policy_id` is None where the grant names no policy stream: then
    nothing is allowed by it.
    """

    terms_number: int
    valid_from: Instant
    valid_to: Instant | None
    grantee: str
    number: str
    kind: str
    actions: tuple[str, ...]
    scope: Scope
    policy_id: str | None
    policy_version: int
    parent: str | None
    stops: tuple[Stop, ...]

    def key(self) -> dict[str, Any]:
        return {
            "grantee": self.grantee,
            "terms_number": self.terms_number,
            "valid_from": self.valid_from,
        }

    def values(self) -> dict[str, Any]:
        return {
            "terms_number": self.terms_number,
            "valid_from": self.valid_from,
            "valid_to": end(self.valid_to),
            "grantee": self.grantee,
            "number": self.number,
            "kind": self.kind,
            "actions": self.actions,
            "scope": self.scope,
            "policy_id": self.policy_id,
            "policy_version": self.policy_version,
            "parent": self.parent,
            "stops": self.stops,
        }

    def says(self, other: Permission) -> bool:
        """Tell whether this row allows all that the other allowed."""
        return (
            self.grantee == other.grantee
            and self.kind == other.kind
            and self.scope == other.scope
            and self.policy_id == other.policy_id
            and self.parent == other.parent
            and set(self.actions) >= set(other.actions)
            and spans((self.valid_from, self.valid_to), (other.valid_from, other.valid_to))
        )


def rows(grant: Grant) -> tuple[Permission, ...]:
    """Return the rows of a state, in the order of their instants."""
    intervals = in_force(grant)
    if not intervals:
        return ()
    terms, policy = grant.terms, _stream(grant.policy.policy)
    nexts = [begin for begin, _, _ in intervals[1:]]
    return tuple(
        Permission(
            number,
            begin,
            until,
            grant.grantee,
            grant.number,
            terms.kind,
            terms.actions,
            terms.scope,
            policy,
            grant.policy.version,
            terms.parent,
            () if until is None else _stops(grant, until, after),
        )
        for (begin, until, number), after in zip(intervals, (*nexts, None), strict=False)
    )


def changes(before: Grant | None, event: GrantEvent, after: Grant) -> Sequence[Change]:  # noqa: ARG001
    """Return the rows that this step closes and opens; most steps do neither."""
    if after.effect is None and (before is None or before.effect is None):
        return ()
    if before is not None and _same(before, after):
        return ()
    return difference("g", () if before is None else rows(before), rows(after), Permission.says)


def _same(before: Grant, after: Grant) -> bool:
    """Tell fast that nothing the rows are made of has changed: a state's unchanged parts are the
    same objects.
    """
    return (
        before.effect is after.effect
        and before.holds is after.holds
        and before.revoked_from is after.revoked_from
        and before.ended_at is after.ended_at
        and before.terms is after.terms
        and before.grantee is after.grantee
        and before.number is after.number
        and before.policy is after.policy
    )


def _stops(grant: Grant, begin: Instant, until: Instant | None) -> tuple[Stop, ...]:
    """Return what keeps the grant out of force somewhere in `[begin, until)`, in the order of their
    instants.
    """
    found: list[Stop] = []
    for hold in grant.holds:
        falls = [at for at in (hold.until, hold.confirm_by) if at is not None]
        over = min(falls, default=None)
        if (over is None or begin < over) and (until is None or hold.from_ < until):
            found.append(Stop("suspended", hold.from_, over, hold.id))
    if until is None:
        if grant.revoked_from is not None:
            found.append(Stop("revoked", grant.revoked_from))
        ends = [] if grant.effect is None else [grant.effect.ends_at, grant.ended_at]
        over = min((at for at in ends if at is not None), default=None)
        if over is not None and (found or over != begin):
            found.append(Stop("ended", over))
    return tuple(sorted(found, key=lambda stop: stop.from_))


def _stream(text: str) -> str | None:
    try:
        return str(UUID(text))
    except ValueError:
        return None
