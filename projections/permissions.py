"""Who may do what: the interval rows that a grant's stream amounts to."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Any, Literal
from uuid import UUID

import msgspec

from domain.effect import InForce, fell_at, first, in_force, in_force_under
from domain.grant_states import Hold, ends_of
from domain.grants import Grant, GrantEvent
from domain.values import Instant, Scope
from projections.inline_rows import Change, difference, end, spans

NAME = "permissions"
FOLD = 1
"""The fold version: raised whenever the rows of the same events would be others."""


class Stop(msgspec.Struct, frozen=True, gc=False, omit_defaults=True, rename={"from_": "from"}):
    """Why it is not in force from some instant on, for explanations; `hold` names the hold that
    suspends. Of what was entered in error no row is left, only its end.
    """

    why: Literal["suspended", "revoked", "ended", "error"]
    from_: Instant
    until: Instant | None = None
    hold: str | None = None


class Permission(msgspec.Struct, frozen=True, gc=False):
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
            spans((self.valid_from, self.valid_to), (other.valid_from, other.valid_to))
            and self.grantee == other.grantee
            and self.kind == other.kind
            and self.scope == other.scope
            and self.policy_id == other.policy_id
            and self.parent == other.parent
            and set(self.actions) >= set(other.actions)
        )


def rows(grant: Grant) -> tuple[Permission, ...]:
    """Return the rows of a state, in the order of their instants."""
    return _rows(grant, grant.holds, in_force(grant))


def _rows(grant: Grant, holds: Sequence[Hold], intervals: InForce) -> tuple[Permission, ...]:
    """Return the rows of these intervals, which `holds` cut."""
    agreed = {effect.terms.number: effect for effect in grant.effects}
    found: list[Permission] = []
    for place, (begin, until, number) in enumerate(intervals, 1):
        after = intervals[place][0] if place < len(intervals) else None
        effect = agreed[number]
        terms, policy = effect.terms, effect.policy
        found.append(
            Permission(
                number,
                begin,
                until,
                grant.grantee,
                grant.number,
                terms.kind,
                terms.actions,
                terms.scope,
                _stream(policy.policy),
                policy.version,
                terms.parent,
                () if until is None else _stops(grant, holds, until, after),
            )
        )
    return tuple(found)


def changes(before: Grant | None, event: GrantEvent, after: Grant) -> Sequence[Change]:  # noqa: ARG001
    """Return the rows that this step closes and opens; most steps do neither."""
    if not after.effects and (before is None or not before.effects):
        return ()
    if before is None:
        return difference("g", (), rows(after), Permission.says)
    if _same(before, after):
        return ()
    earliest = _earliest(before, after)
    if earliest is not None:
        found = _recent(before, after, earliest)
        if found is not None:
            return found
    old, new = in_force(before), in_force(after)
    start = 0 if earliest is None else _first_affected(earliest, old, new)
    was = _rows(before, before.holds, old[start:])
    return difference("g", was, _rows(after, after.holds, new[start:]), Permission.says)


def _says_same(before: Grant, after: Grant) -> bool:
    """Tell that what every row of a grant repeats is the same; a state's unchanged parts are the
    same objects.
    """
    return (
        before.effects is after.effects
        and before.grantee is after.grantee
        and before.number is after.number
    )


def _same(before: Grant, after: Grant) -> bool:
    """Tell fast that nothing the rows are made of has changed."""
    return (
        before.holds is after.holds
        and _says_same(before, after)
        and before.revoked_from is after.revoked_from
        and before.ended_at is after.ended_at
        and (before.status == "entered_in_error") == (after.status == "entered_in_error")
    )


def _earliest(before: Grant, after: Grant) -> Instant | None:
    """Return the earliest instant that the step speaks of; None where anything may be another."""
    if not _says_same(before, after):
        return None
    one, other = before.holds, after.holds
    moved = [hold.from_ for hold in (*one[len(other) :], *other[len(one) :])]
    for old, new in zip(one, other, strict=False):
        if old is not new:
            moved += (old.from_, new.from_)
    for was, now in (
        (before.revoked_from, after.revoked_from),
        (before.ended_at, after.ended_at),
    ):
        if was is not now:
            moved += [at for at in (was, now) if at is not None]
    return min(moved, default=None)


def _recent(before: Grant, after: Grant, earliest: Instant) -> Sequence[Change] | None:
    """Return the changes from the last time it came into force again before `earliest`; None where
    holds overlap, or it was no longer in force: then all its rows have to be looked at.

    A row tells of the time until the next one begins, and a hold that fell before cuts nothing: a
    long history of holds costs nothing.
    """
    fell = None
    for hold in reversed(before.holds):
        fell = fell_at(hold)
        if fell is not None and hold.from_ < fell < earliest:
            break
    else:
        return None
    told: list[tuple[Permission, ...]] = []
    for grant in (before, after):
        lasting = [hold for hold in grant.holds if not _fell_by(hold, fell)]
        intervals = in_force_under(grant, lasting)
        while intervals and intervals[0][1] is not None and intervals[0][1] <= fell:
            intervals = intervals[1:]
        if not intervals or intervals[0][0] > fell:
            return None
        begun = (fell, *intervals[0][1:])
        told.append(_rows(grant, lasting, (begun, *intervals[1:])))
    return difference("g", told[0], told[1], Permission.says)


def _fell_by(hold: Hold, at: Instant) -> bool:
    """Tell whether the hold was over at `at`."""
    return (hold.until is not None and hold.until <= at) or (
        hold.confirm_by is not None and hold.confirm_by <= at
    )


def _first_affected(earliest: Instant, old: InForce, new: InForce) -> int:
    """Return the number of the first interval whose row may differ; those before it do not.

    A row tells of the time until the next one begins. Nothing before the earliest changed instant
    differs, so a row whose next one begins before it is what it was: a long history costs nothing.
    """
    number = 0
    while (
        number + 1 < min(len(old), len(new))
        and max(old[number + 1][0], new[number + 1][0]) < earliest
    ):
        number += 1
    return number


def _stops(
    grant: Grant, holds: Sequence[Hold], begin: Instant, until: Instant | None
) -> tuple[Stop, ...]:
    """Return what keeps the grant out of force somewhere in `[begin, until)`, in the order of their
    instants.
    """
    found: list[Stop] = []
    for hold in holds:
        over = fell_at(hold)
        if (over is None or begin < over) and (until is None or hold.from_ < until):
            found.append(Stop("suspended", hold.from_, over, hold.id))
    if until is None:
        if grant.revoked_from is not None:
            found.append(Stop("revoked", grant.revoked_from))
        over = first(ends_of(grant), grant.ended_at) if grant.effects else None
        if over is not None and (found or over != begin):
            found.append(Stop("ended", over))
    if len(found) > 1:
        found.sort(key=lambda stop: stop.from_)
    return tuple(found)


@lru_cache(maxsize=4096)
def _stream(text: str) -> str | None:
    try:
        return str(UUID(text))
    except ValueError:
        return None
