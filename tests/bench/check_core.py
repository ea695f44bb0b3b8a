"""`check_core`: decisions a second in process, from a question to its answer out of memory, against
one look-up in a dict by the same key, and against pycasbin and cedarpy with the same grants.

All sides answer the same questions in the same order: of ten grants a grantee, with places in three
dimensions, terms, and grantees who stand or no longer do. What differs: our side is
`Memory.recall` on a `Question`, with its two clocks, the confirmed head, the position and all that
an explanation needs; the look-up is of an answer made before, and looks at no clock. The peers hold
grants whose terms were clipped to the standing beforehand, know no position, and are each given the
asked subject's and action's policies alone: pycasbin by its FastEnforcer, cedarpy by a parsed
PolicySet for each, since with all policies it looks at all of them. They answer fewer questions,
the first ones, for their rate does not depend on which. Every side is given questions, or keys,
that were just read, outside the time that is counted.

A second is one of this process's processor time, so that others on the machine change little.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from itertools import cycle
from typing import Any, Final, Generic, TypeVar

import msgspec

from projections.checks import Question
from tests.bench.check_core_ground import EACH, TENANT, Asked, Ground, ground, memory, question
from tests.bench.check_core_peers import Ask, cedar, pycasbin
from tests.bench.measure import Better, Plan, Result, Side, compare, in_turn

T = TypeVar("T")

SLICE: Final = 100
"""Questions read together, between two looks at the clock."""

QUESTIONS: Final = 20_000
GRANTS: Final = 100_000
PROVED: Final = 2_000
"""Questions that all sides must answer alike before anything is measured."""


def run(plan: Plan) -> Result:
    """Measure with 100,000 grants of 10,000 grantees."""
    grantees = max(20, int(GRANTS * plan.scale) // EACH)
    of = ground(grantees, max(2 * grantees, int(QUESTIONS * plan.scale)))
    with asyncio.Runner() as runner:
        ours = Ours(runner, of)
        table = Table(of, ours.answers)
        peers = [Peer(made(of), of, ours.answers) for made in (pycasbin, cedar)]
        sides = [
            Side("counterseal", "decisions/s", ours.run),
            Side("one dict look-up", "look-ups/s", table.run),
            Side("pycasbin", "decisions/s", peers[0].run),
            Side("cedarpy", "decisions/s", peers[1].run),
        ]
        figures = in_turn(sides, plan)
        ours.close()
    targets = (0.1, 20.0, 20.0)
    against: list[tuple[Side, float, Better]] = [
        (side, target, "higher") for side, target in zip(sides[1:], targets, strict=True)
    ]
    return compare(sides[0], against, figures, name="check_core")


class Ours:
    """The product's own path, warm: every question was asked before."""

    def __init__(self, runner: asyncio.Runner, of: Ground) -> None:
        self._runner = runner
        self._memory = memory(of)
        self._questions = [question(asked) for asked in of.asked]
        runner.run(self._memory.open())
        self.answers = runner.run(self._warm())
        self._slices = Slices(self._questions, Question)

    async def _warm(self) -> list[bool]:
        return [(await self._memory.check(one)).allowed for one in self._questions]

    def run(self, seconds: float) -> float:
        """Return decisions a second."""
        return self._runner.run(self._run(seconds))

    async def _run(self, seconds: float) -> float:
        """Ask in slices; between two the event loop confirms the head, as in the service."""
        recall, found, spent = self._memory.recall, 0, 0.0
        while spent < seconds:
            await self._memory.check(self._questions[0])
            questions = self._slices.read()
            began = time.process_time()
            for one in questions:
                decision = recall(one)
                if decision is None:  # this process was held up for longer than the bound
                    break
                if decision.allowed:
                    pass
            else:
                spent += time.process_time() - began
                found += len(questions)
        return found / spent

    def close(self) -> None:
        """End what runs in the background."""
        self._runner.run(self._memory.close())


class Table:
    """The answers in a dict, by all that a question says."""

    def __init__(self, of: Ground, answers: Sequence[bool]) -> None:
        keys = [("territory", TENANT, *asked) for asked in of.asked]
        self._table = dict(zip(keys, answers, strict=True))
        self._slices = Slices(keys, tuple[str, ...])

    def run(self, seconds: float) -> float:
        """Return look-ups a second."""
        table, found, spent = self._table, 0, 0.0
        while spent < seconds:
            keys = self._slices.read()
            began = time.process_time()
            for key in keys:
                if table[key]:
                    pass
            spent += time.process_time() - began
            found += len(keys)
        return found / spent


class Peer:
    """One of the others, which answers as we did or the run ends."""

    def __init__(self, ask: Ask, of: Ground, answers: Sequence[bool]) -> None:
        self._ask = ask
        self._questions = of.asked[:PROVED]
        said = [ask(asked) for asked in self._questions]
        if said != list(answers[:PROVED]):
            raise RuntimeError("the sides do not give the same answers")
        self._slices = Slices(self._questions, Asked)

    def run(self, seconds: float) -> float:
        """Return decisions a second."""
        ask, found, spent = self._ask, 0, 0.0
        while spent < seconds:
            questions = self._slices.read()
            began = time.process_time()
            for one in questions:
                ask(one)
            spent += time.process_time() - began
            found += len(questions)
        return found / spent


class Slices(Generic[T]):
    """The questions over and over, some at a time, as they come in: just read, equal to those asked
    before, but none of their texts the very object that was asked then.
    """

    def __init__(self, questions: Sequence[T], form: Any) -> None:
        self._read = msgspec.json.Decoder(list[form]).decode
        starts = range(0, len(questions), SLICE)
        bodies = [msgspec.json.encode(questions[at : at + SLICE]) for at in starts]
        self._bodies = cycle(bodies)

    def read(self) -> list[T]:
        """Return the next ones."""
        return self._read(next(self._bodies))
