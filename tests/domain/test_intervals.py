"""Intervals against the plainest model there is: a set of numbered days."""

from datetime import UTC, datetime, timedelta
from itertools import pairwise

from hypothesis import given as forall
from hypothesis import strategies as st

from domain import intervals
from domain.intervals import Interval, Intervals

FIRST = datetime(2026, 1, 1, tzinfo=UTC)
DAYS = 12

Ends = tuple[int, int | None]
some_ends = st.tuples(st.integers(0, DAYS), st.none() | st.integers(0, DAYS))


def day(number: int) -> datetime:
    return FIRST + timedelta(days=number)


def interval(ends: Ends) -> Interval:
    begin, end = ends
    return day(begin), None if end is None else day(end)


def numbers(ends: Ends) -> set[int]:
    """The days an interval has; day `DAYS` + 1 stands for all later ones."""
    begin, end = ends
    return set(range(begin, DAYS + 2 if end is None else end))


def model(found: Intervals) -> set[int]:
    return {number for number in range(DAYS + 2) if intervals.contains(found, day(number))}


def built(parts: list[Ends]) -> Intervals:
    found: Intervals = ()
    for part in parts:
        found = intervals.united(found, *interval(part))
    return found


def assert_canonical(found: Intervals) -> None:
    for begin, end in found:
        assert end is None or begin < end
    for (_, end), (begin, _) in pairwise(found):
        assert end is not None
        assert end < begin


@forall(st.lists(some_ends, max_size=6))
def test_united_has_the_instants_of_all_parts(parts: list[Ends]) -> None:
    found = built(parts)
    assert model(found) == set().union(*map(numbers, parts))
    assert_canonical(found)


@forall(st.lists(some_ends, max_size=6), some_ends)
def test_without_has_the_instants_of_the_first_that_are_not_in_the_second(
    parts: list[Ends], taken: Ends
) -> None:
    found = intervals.without(built(parts), *interval(taken))
    assert model(found) == model(built(parts)) - numbers(taken)
    assert_canonical(found)


@forall(st.lists(some_ends, max_size=5), st.lists(some_ends, max_size=5))
def test_difference_takes_every_interval_out(parts: list[Ends], taken: list[Ends]) -> None:
    found = intervals.difference(built(parts), built(taken))
    assert model(found) == model(built(parts)) - model(built(taken))
    assert_canonical(found)


def test_an_interval_begins_at_its_begin_and_is_over_at_its_end() -> None:
    found = intervals.united((), day(1), day(2))
    assert intervals.contains(found, day(1))
    assert not intervals.contains(found, day(2))
    assert not intervals.contains(found, day(1) - timedelta(microseconds=1))
