"""What a process remembers of one tenant: subjects and places as of a confirmed head, and who is
asking for more.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Mapping
from datetime import datetime
from typing import Final

import msgspec

from domain.teams import TEAM
from projections.answers import Held
from projections.check_rows import EPOCH, CheckTail, Generations, Loaded
from projections.material import Attributes
from projections.question import Question
from projections.recent import Recent

UNKNOWN_HEAD: Final = 2**62
"""What `after` says while no head is known: nothing was touched after it."""


class Limits(msgspec.Struct, frozen=True, kw_only=True):
    """Of one process.

    `subjects` and `points` are remembered at the most, over all tenants, and so many `answers`
    given before; `batch` questions are read
    together, in `flights` round trips a tenant at a time. `wait_s`: how long a check waits for the
    database; `reach_s`: how long for a position it was asked to reach.
    """

    tenants: int = 1_000
    subjects: int = 262_144
    points: int = 131_072
    answers: int = 131_072
    batch: int = 256
    flights: int = 2
    wait_s: float = 2.0
    reach_s: float = 2.0
    refresh_after_s: float = 0.1
    refresh_every_s: float = 0.03
    idle_after_s: float = 2.0


class Place:
    """A resource's attributes as of a position."""

    __slots__ = ("attributes", "position")

    def __init__(self, position: int, attributes: Attributes) -> None:
        self.position = position
        self.attributes = attributes


class Batch:
    """Questions of one position of the log (None: now) that will be read together; once the query
    is sent nobody joins.
    """

    __slots__ = ("as_of", "future", "points", "subjects")

    def __init__(self, as_of: int | None, future: asyncio.Future[Loaded]) -> None:
        self.as_of = as_of
        self.subjects: dict[str, None] = {}
        self.points: dict[str, None] = {}
        self.future = future


class Remembered:
    """What is remembered of one tenant.

    All of it holds at `position`, the head confirmed by a query sent at `confirmed`; what was read
    at a later position waits until the head has got there.
    """

    def __init__(self, tenant: str, limits: Limits) -> None:
        self.tenant = tenant
        self.position = -1
        self.confirmed = float("-inf")
        self.asked = float("-inf")
        self.recorded_at: datetime = EPOCH
        self.given_clock = False
        self.generations: Generations = ()
        self.quarantined: Mapping[str, int] = {}
        self.plain_from_s = float("inf")
        """Since when, in seconds since 1970, answers may be given again: from what is recorded on,
        but never with a given clock, or while a stream is in quarantine.
        """
        self.subjects: Recent[Held] = Recent(limits.subjects)
        self.places: Recent[Place] = Recent(limits.points)
        self._moved: dict[str, list[int]] = {}
        self.resting: dict[str, set[str]] = {}
        """Party -> the other subjects that rest on it: merged with it, of its team, below a grant
        of its own.
        """
        self.rests = 0
        self.most_rests = 2 * limits.subjects
        self.tail: asyncio.Task[Exception | None] | None = None
        self.gathering: dict[int | None, Batch] = {}
        self.waiting: deque[Batch] = deque()
        """Batches to be read, the full ones too; `gathering` names those that may still be joined.
        """
        self.flying = 0

    def lacks(self, question: Question) -> bool:
        """Tell whether a question asks for more than is known as of the confirmed head."""
        return (
            question.as_of is not None
            or question.consistency == "full"
            or (question.at_least is not None and question.at_least > self.position)
        )

    def size(self) -> int:
        """How much is remembered."""
        return len(self.subjects) + len(self.places)

    def forget_all(self) -> None:
        """Forget every row."""
        self.subjects.clear()
        self.places.clear()
        self.resting.clear()
        self.rests = 0

    def forget(self, key: str) -> None:
        """Forget what a touched key speaks of, and every subject that rests on it."""
        name = key[2:]
        if key.startswith("p:"):
            self.places.drop(name)
            dimension, _, path = name.partition("/")
            if dimension in self._moved:
                self._moved[dimension][0] += 1
            if dimension != TEAM:
                return
            name = f"{TEAM}:{path}"
        self.subjects.drop(name)
        resting = self.resting.pop(name, None)
        if resting is not None:
            self.rests -= len(resting)
            for ref in resting:
                self.subjects.drop(ref)

    def moved_in(self, resource_type: str) -> list[int]:
        """Return how often points of a type were touched; the one item of it goes on counting."""
        return self._moved.setdefault(resource_type, [0])

    def keep(self, loaded: Loaded) -> None:
        """Remember what was read, unless the head has passed it: what was touched since would be
        missed.
        """
        late = self.position < 0 or loaded.position < self.position
        if late or loaded.generations != self.generations:
            return
        if self.rests > self.most_rests:
            self.forget_all()
        for ref, subject in loaded.subjects.items():
            if subject.settled:
                self.subjects.put(ref, Held(subject))
                for party in (*subject.parties, *subject.rests_on):
                    if party != ref:
                        self._rest(ref, party)
        for key, attributes in loaded.points.items():
            self.places.put(key, Place(loaded.position, attributes))

    def _rest(self, ref: str, party: str) -> None:
        resting = self.resting.setdefault(party, set())
        self.rests -= len(resting)
        resting.add(ref)
        self.rests += len(resting)

    def follow(self, tail: CheckTail, sent: float) -> None:
        """Take over a confirmed head: forget what was touched up to it, all of it where the log is
        shorter than it was (a restore).
        """
        shorter = tail.position < self.position
        if shorter or tail.touched is None or tail.generations != self.generations:
            self.forget_all()
        else:
            for key in tail.touched:
                self.forget(key)
        self.position = tail.position
        self.recorded_at = tail.recorded_at
        self.given_clock = tail.clock == "given"
        self.generations = tail.generations
        self.quarantined = tail.quarantined
        settled = not self.given_clock and not self.quarantined
        self.plain_from_s = self.recorded_at.timestamp() if settled else float("inf")
        self.confirmed = sent
