"""When the terms of a grant hold, as far as its own stream can tell."""

from __future__ import annotations

from collections.abc import Iterable

from domain import intervals
from domain.grant_states import Effect, Hold
from domain.grants import Grant
from domain.values import Instant

InForce = tuple[tuple[Instant, Instant | None, int], ...]
"""Half-open `(valid_from, valid_to, terms number)`; an open end is None."""


def in_force(grant: Grant) -> InForce:
    """Return the instants at which the terms hold: disjoint, sorted, none empty.

    Each agreed terms rule from their start until their end or the start of later ones. That is cut
    by a revocation from its effective instant, by the end, and by every hold: from the suspension
    until it was resumed, until its time to be confirmed where nobody confirmed it, else to the end.
    What was entered in error never held. Whether the grantee stands, and whatever other streams
    say, is asked at the check.
    """
    return in_force_under(grant, grant.holds)


def in_force_under(grant: Grant, holds: Iterable[Hold]) -> InForce:
    """Return the instants at which the terms would hold if these were all its holds."""
    if not grant.effects or not grant.grantee or grant.status == "entered_in_error":
        return ()
    over = first(grant.revoked_from, grant.ended_at)
    windows = ruling_windows(grant.effects)
    held: intervals.Intervals = ()
    for begin, end, _ in windows:
        held = intervals.united(held, begin, first(end, over))
    for hold in holds:
        fell = fell_at(hold)
        last = held[-1:]
        if last and last[0][0] <= hold.from_:  # nearly always: holds come in the order of time
            held = held[:-1] + intervals.without(last, hold.from_, fell)
        else:
            held = intervals.without(held, hold.from_, fell)
    if len(windows) == 1:
        number = windows[0][2]
        return tuple([(begin, end, number) for begin, end in held])
    return tuple(
        (max(begin, start), first(end, stop), number)
        for start, stop, number in windows
        for begin, end in held
        if (stop is None or begin < stop) and (end is None or start < end)
    )


def ruling_windows(effects: tuple[Effect, ...]) -> InForce:
    """Return when each agreed terms rule before anything cuts them: later ones go before."""
    if len(effects) == 1:
        return ((effects[0].starts_at, effects[0].ends_at, effects[0].terms.number),)
    windows: list[tuple[Instant, Instant | None, int]] = []
    for effect in effects:
        start = effect.starts_at
        cut = [(begin, first(end, start), number) for begin, end, number in windows]
        windows = [one for one in cut if one[1] is None or one[0] < one[1]]
        windows.append((start, effect.ends_at, effect.terms.number))
    return tuple(windows)


def fell_at(hold: Hold) -> Instant | None:
    """Return when a hold ceased or ceases by itself: resumed, or not confirmed in time; None while
    nothing ends it.
    """
    return first(hold.until, hold.confirm_by)


def first(one: Instant | None, other: Instant | None) -> Instant | None:
    """Return the earlier of two ends; an open one is None."""
    if one is None:
        return other
    return one if other is None or one <= other else other
