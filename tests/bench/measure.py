"""Ratios in one run: the sides take turns (A B A B ...), and medians are compared."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Sequence
from typing import Literal, NamedTuple

import msgspec

Better = Literal["higher", "lower"]


class Side(NamedTuple):
    """One of the things compared: `run(seconds)` works for about so long and returns its figure."""

    name: str
    unit: str
    run: Callable[[float], float]


class Against(msgspec.Struct, frozen=True):
    """What the value is compared with; `ratio` is the value divided by this one's."""

    name: str
    value: float
    unit: str
    ratio: float
    target: float
    better: Better
    reached: bool


class Result(msgspec.Struct, frozen=True):
    """One benchmark: the median of `rounds`, and what it is compared with."""

    name: str
    value: float
    unit: str
    rounds: list[float]
    against: list[Against]
    note: str = ""


class Plan(NamedTuple):
    """How long to measure: `--quick` keeps a benchmark under a minute, `--full` also takes the
    longest logs.
    """

    rounds: int
    seconds: float
    warm_up: float
    scale: float = 1.0
    longest: bool = False


LONG = Plan(rounds=7, seconds=4.0, warm_up=2.0, longest=True)
FULL = Plan(rounds=7, seconds=4.0, warm_up=2.0)
QUICK = Plan(rounds=3, seconds=1.0, warm_up=0.5, scale=0.1)
TINY = Plan(rounds=1, seconds=0.2, warm_up=0.0, scale=0.01)
"""Keeps a benchmark alive in the test suite; its figures mean nothing."""


def in_turn(sides: Sequence[Side], plan: Plan) -> dict[str, list[float]]:
    """Run every side in turn, round after round, after a warm-up; return the figures by name."""
    if plan.warm_up:
        for side in sides:
            side.run(plan.warm_up)
    figures: dict[str, list[float]] = {side.name: [] for side in sides}
    for _ in range(plan.rounds):
        for side in sides:
            figures[side.name].append(side.run(plan.seconds))
    return figures


def compare(
    ours: Side,
    peers: Sequence[tuple[Side, float, Better]],
    figures: dict[str, list[float]],
    *,
    name: str,
    note: str = "",
) -> Result:
    """Return the result: medians, and each ratio with whether its target is reached."""
    value = statistics.median(figures[ours.name])
    against: list[Against] = []
    for side, target, better in peers:
        other = statistics.median(figures[side.name])
        against.append(ratio(value, side.name, other, side.unit, target, better))
    return Result(name, value, ours.unit, figures[ours.name], against, note)


def ratio(
    value: float, name: str, other: float, unit: str, target: float, better: Better
) -> Against:
    """Compare a value with another's."""
    found = value / other if other else float("inf")
    reached = found >= target if better == "higher" else found <= target
    return Against(name, other, unit, found, target, better, reached)


def lines(result: Result) -> list[str]:
    """Return the result as a person reads it."""
    low, high = min(result.rounds), max(result.rounds)
    spread = f"({len(result.rounds)} rounds, {low:,.1f} to {high:,.1f})"
    found = [f"{result.name}: {result.value:,.1f} {result.unit}  {spread}"]
    for one in result.against:
        sign = ">=" if one.better == "higher" else "<="
        verdict = "reached" if one.reached else "NOT reached"
        found.append(
            f"  against {one.name}: {one.value:,.1f} {one.unit}, ratio {one.ratio:.3f}"
            f" (to reach {sign} {one.target}): {verdict}"
        )
    if result.note:
        found.append(f"  {result.note}")
    return found
