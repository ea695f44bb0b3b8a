"""When the terms of a grant hold, as far as its own stream can tell."""

from __future__ import annotations

from domain import intervals
from domain.grant_states import Effect
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
    if not grant.effects or not grant.grantee or grant.status == "entered_in_error":
        return ()
    over = _first(grant.revoked_from, grant.ended_at)
    windows = ruling_windows(grant.effects)
    held: intervals.Intervals = ()
    for begin, end, _ in windows:
        held = intervals.united(held, begin, _first(end, over))
    for hold in grant.holds:
        fell = _first(hold.until, hold.confirm_by)
        last = held[-1:]
        if last and last[0][0] <= hold.from_:  # nearly always: holds come in the order of time
            held = held[:-1] + intervals.without(last, hold.from_, fell)
        else:
            held = intervals.without(held, hold.from_, fell)
    if len(windows) == 1:
        return tuple((begin, end, windows[0][2]) for begin, end in held)
    return tuple(
        (max(begin, start), _first(end, stop), number)
        for start, stop, number in windows
        for begin, end in held
        if (stop is None or begin < stop) and (end is None or start < end)
    )


def ruling_windows(effects: tuple[Effect, ...]) -> InForce:
    """Return when each agreed terms rule before anything cuts them: later ones go before."""
    windows: list[tuple[Instant, Instant | None, int]] = []
    for effect in effects:
        start = effect.starts_at
        cut = [(begin, _first(end, start), number) for begin, end, number in windows]
        windows = [one for one in cut if one[1] is None or one[0] < one[1]]
        windows.append((start, effect.ends_at, effect.terms.number))
    return tuple(windows)


def _first(*instants: Instant | None) -> Instant | None:
    return min((at for at in instants if at is not None), default=None)
