"""What the timekeeper writes down in the sample: the same commands as the running one's."""

from __future__ import annotations

import heapq
from typing import Any

from api.sample.desk import Step, given
from api.timekeeper import commands_for
from domain.commands.below import RevokePassedOn
from domain.customers import Customer
from domain.grant_states import EFFECTIVE, Grant, status_at
from domain.parent_ended import over_for_good
from domain.policies import Policy
from domain.values import TIMEKEEPER, Instant
from domain.view import Command
from projections.grants import due_at


class Clockwork:
    """Remembers every stream's newest state, and when its clock moves it next."""

    def __init__(self) -> None:
        self.states: dict[str, Any] = {}
        self._due: list[tuple[Instant, str]] = []
        self._below: dict[str, list[str]] = {}

    def note(self, step: Step, state: Any) -> None:
        """Take a stream's new state."""
        if isinstance(state, Grant) and step.stream not in self.states and state.terms.parent:
            self._below.setdefault(state.terms.parent, []).append(step.stream)
        self.states[step.stream] = state
        for at in _moves(state):
            heapq.heappush(self._due, (at, step.stream))

    def due(self) -> Instant | None:
        """Return when the next stream is due."""
        return self._due[0][0] if self._due else None

    def steps(self, at: Instant) -> list[Step]:
        """Return what is to be written down of all that was due by `at`; each is told once."""
        streams: list[str] = []
        while self._due and self._due[0][0] <= at:
            streams.append(heapq.heappop(self._due)[1])
        found: list[Step] = []
        for stream in dict.fromkeys(streams):
            state = self.states[stream]
            due = due_of(state)
            if due is not None and due <= at:
                found += [_step(stream, one, at) for one in commands_for(stream, state, at)]
            found += self._passed_on(stream, state, at)
        return found

    def _passed_on(self, stream: str, state: Any, at: Instant) -> list[Step]:
        """Return the revocations of what was passed on from a grant that ended for good."""
        children = self._below.get(stream, ())
        if not children or not isinstance(state, Grant):
            return []
        policy = self.states.get(state.policy.policy)
        if not over_for_good(state, policy if isinstance(policy, Policy) else None, at):
            return []
        return [
            _step(child, RevokePassedOn(grant_id=child), at)
            for child in children
            if status_at(self.states[child], at) in EFFECTIVE
        ]


def _step(stream: str, command: Command, at: Instant) -> Step:
    return Step(at, TIMEKEEPER, stream, stream, given(command))


def _moves(state: Any) -> list[Instant]:
    """Return when the clock moves this state next, and when what hangs on it may have ended."""
    found = [due_of(state)]
    if isinstance(state, Grant):
        found += [state.revoked_from, state.ended_at]
    return [at for at in found if at is not None]


def due_of(state: Any) -> Instant | None:
    """Return when the clock does something to a stream that nobody has written down yet."""
    if isinstance(state, Customer):
        return state.confirmed_until if state.status == "confirmed" else None
    return due_at(state) if isinstance(state, Grant) else None
