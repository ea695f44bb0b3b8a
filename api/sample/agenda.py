"""Lets many scripts run side by side through the days, window by window.

A script does one step, is told what came of it, and says what is next. All steps of a window are
put before any answer is looked at, so which command comes when does not depend on how fast the
ledger is.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable, Generator
from datetime import timedelta
from typing import Any, NamedTuple, Protocol

from api.sample.desk import Desk, Step
from api.sample.hours import boundary, window_end, window_start
from domain.values import Instant


class Came(NamedTuple):
    """What came of a step: when it was done, and its stream's state, None where nothing was."""

    at: Instant
    state: Any


Script = Generator[Step, Came, Any]

GAP_SECONDS = 7
"""Between the beginning of a window and a step that was put off until then."""


class Clock(Protocol):
    """Writes down what the clock did."""

    def due(self) -> Instant | None:
        """Return when the next thing is due."""
        ...

    def steps(self, at: Instant) -> list[Step]:
        """Return what is to be written down of all that was due by `at`."""
        ...

    def note(self, step: Step, state: Any) -> None:
        """Look at a stream's new state."""
        ...


class _Waiting(NamedTuple):
    at: Instant
    number: int
    script: Script
    step: Step


class Agenda:
    """The scripts of one sample."""

    def __init__(self, desk: Desk, last: Instant) -> None:
        self._desk = desk
        self._last = last
        self._heap: list[_Waiting] = []
        self._number = 0
        self._now: Instant | None = None

    def begin(self, script: Script) -> None:
        """Take up a script; its first step may come no sooner than the next window."""
        self._next(script, None)

    def run(self, clock: Clock, tell: Callable[[Instant], None]) -> None:
        """Run all scripts to the last instant; `tell` is told of each window's beginning."""
        while (start := self._following(clock)) is not None:
            tell(start)
            self._now = start
            self._write_down(clock, start)
            end = window_end(start)
            ready: list[_Waiting] = []
            while self._heap and self._heap[0].at < end:
                ready.append(heapq.heappop(self._heap))
            results = [self._desk.put(one.step) for one in ready]
            for one, result in zip(ready, results, strict=True):
                state = result()
                if state is not None:
                    clock.note(one.step, state)
                self._next(one.script, Came(one.at, state))
        self._now = None
        self._write_down(clock, self._last)

    def _following(self, clock: Clock) -> Instant | None:
        """Return the beginning of the next window in which something happens."""
        starts: list[Instant] = []
        if self._heap:
            starts.append(window_start(self._heap[0].at))
        due = clock.due()
        if due is not None:
            soonest = due if self._now is None else window_end(self._now)
            starts.append(max(boundary(due), boundary(soonest)))
        found = min(starts, default=None)
        return None if found is None or found > self._last else found

    def _write_down(self, clock: Clock, at: Instant) -> None:
        """Let the clock be written down until nothing more follows from it."""
        while steps := clock.steps(at):
            results = [self._desk.put(step) for step in steps]
            for step, result in zip(steps, results, strict=True):
                state = result()
                if state is not None:
                    clock.note(step, state)

    def _next(self, script: Script, came: Came | None) -> None:
        try:
            step = next(script) if came is None else script.send(came)
        except StopIteration:
            return
        at = step.at
        if self._now is not None and at < (soonest := window_end(self._now)):
            at = soonest + timedelta(seconds=GAP_SECONDS)
        if at > self._last:
            return
        self._number += 1
        heapq.heappush(self._heap, _Waiting(at, self._number, script, step._replace(at=at)))


def once(step: Step) -> Script:
    """Return a script of one step."""
    yield step
