"""When the terms of a grant hold, as far as its own stream can tell."""

from __future__ import annotations

from domain import intervals
from domain.grants import Grant
from domain.values import Instant

InForce = tuple[tuple[Instant, Instant | None, int], ...]
"""Half-open `(valid_from, valid_to, terms number)`; an open end is None."""


def in_force(grant: Grant) -> InForce:
    """Return the instants at which the terms hold: disjoint, sorted, none empty.

    It is the term of effect cut by the end, by a revocation from its effective instant, and by
    every hold: from the suspension until it was resumed, until its time to be confirmed where
    nobody confirmed it, else to the end. Whether the grantee stands, and whatever other streams
    say, is asked at the check.
    """
    effect = grant.effect
    if effect is None or not grant.grantee:
        return ()
    held = intervals.united(
        (), effect.starts_at, _first(effect.ends_at, grant.revoked_from, grant.ended_at)
    )
    for hold in grant.holds:
        over = _first(hold.until, hold.confirm_by)
        last = held[-1:]
        if last and last[0][0] <= hold.from_:  # nearly always: holds come in the order of time
            held = held[:-1] + intervals.without(last, hold.from_, over)
        else:
            held = intervals.without(held, hold.from_, over)
    return tuple((begin, end, effect.number) for begin, end in held)


def _first(*instants: Instant | None) -> Instant | None:
    return min((at for at in instants if at is not None), default=None)
