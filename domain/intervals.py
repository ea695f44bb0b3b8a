"""Sets of instants as tuples of half-open intervals, sorted and disjoint; an open end is None."""

from __future__ import annotations

from domain.values import Instant

Interval = tuple[Instant, Instant | None]
Intervals = tuple[Interval, ...]


def united(intervals: Intervals, begin: Instant, end: Instant | None = None) -> Intervals:
    """Return `intervals` with `[begin, end)` added; touching intervals become one."""
    if end is not None and end <= begin:
        return intervals
    if not intervals:
        return ((begin, end),)
    rest: list[Interval] = []
    for one, other in intervals:
        if (other is not None and other < begin) or (end is not None and end < one):
            rest.append((one, other))
            continue
        begin = min(begin, one)
        end = None if end is None or other is None else max(end, other)
    return tuple(sorted([*rest, (begin, end)], key=lambda interval: interval[0]))


def without(intervals: Intervals, begin: Instant, end: Instant | None = None) -> Intervals:
    """Return `intervals` with `[begin, end)` taken out."""
    if end is not None and end <= begin:
        return intervals
    kept: list[Interval] = []
    for one, other in intervals:
        until = begin if other is None else min(begin, other)
        if one < until:
            kept.append((one, until))
        if end is not None:
            start = max(one, end)
            if other is None or start < other:
                kept.append((start, other))
    return tuple(kept)


def difference(intervals: Intervals, taken: Intervals) -> Intervals:
    """Return the instants of `intervals` that are in none of `taken`."""
    for begin, end in taken:
        intervals = without(intervals, begin, end)
    return intervals


def contains(intervals: Intervals, at: Instant) -> bool:
    """Tell whether `at` lies in one of them."""
    within = False
    for begin, end in intervals:
        within = within or (begin <= at and (end is None or at < end))
    return within
