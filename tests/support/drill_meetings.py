"""How two commands meet: one after the other, in two processes, or in one batch; and databases that
lack the guard under which they do."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Generator, Sequence
from concurrent.futures import Future
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple, Protocol

from api.provisioning import Database
from domain.ledger import Submission
from tests.support import cluster
from tests.support.drill_races import Case, Result, Scene, head, result_of, same_batch, tally
from tests.support.drill_worker import PATIENCE_S, Answer, Worker
from tests.support.holding import Held
from tests.support.ledger import clock, new_id, submission
from tests.support.toys import Register
from tests.support.world import World


class Process(Protocol):
    """Takes commands: a service over HTTP, or a bare ledger in a process of its own."""

    def submit(self, submission: Submission) -> Future[Answer]: ...


def scenes(case: Case, world: World, number: int) -> list[Scene]:
    """Make the scenes, all before the first one plays; return once each can."""
    made = [case.make(world) for _ in range(number)]
    late = max((scene.ready_at for scene in made if scene.ready_at is not None), default=clock())
    time.sleep(max(0.0, (late - clock()).total_seconds()))
    return made


def in_sequence(scene: Scene, turned: bool, pair: Sequence[Process]) -> Result:
    """One after the other, each answered before the next."""
    since, answers = head(scene.world), dict[str, Answer]()
    both = ((scene.first, pair[0]), (scene.second, pair[1]))
    for one, process in reversed(both) if turned else both:
        answers[one.command_id] = process.submit(one).result(PATIENCE_S)
    return _result(scene, since, answers)


def in_two_processes(scene: Scene, turned: bool, pair: Sequence[Process]) -> Result:
    """Both decide while a third connection holds the head row, then both may go on."""
    since, waiting = head(scene.world), dict[str, Future[Answer]]()
    both = ((scene.first, pair[0]), (scene.second, pair[1]))
    with Held(scene.world.database, scene.world.tenant) as held:
        for number, (one, process) in enumerate(reversed(both) if turned else both, 1):
            waiting[one.command_id] = process.submit(one)
            held.until(number)
    answers = {name: future.result(PATIENCE_S) for name, future in waiting.items()}
    return _result(scene, since, answers)


def in_one_batch(scene: Scene, turned: bool, worker: Worker) -> Result:
    """Both gather behind a command that waits for the head row, and are written together."""
    world, since = scene.world, head(scene.world)
    with Held(world.database, world.tenant) as held:
        before = worker.submit(submission(world.tenant, Register(person=new_id())))
        held.until(1)
        order = (scene.second, scene.first) if turned else (scene.first, scene.second)
        waiting = {one.command_id: worker.submit(one) for one in order}
        worker.settle()
    assert before.result(PATIENCE_S).status == "done"
    answers = {name: future.result(PATIENCE_S) for name, future in waiting.items()}
    positions = [event[0] for answer in answers.values() for event in answer.events]
    assert same_batch(world.database, world.tenant, positions), "they were not written together"
    return _result(scene, since, answers)


def _result(scene: Scene, since: int, answers: dict[str, Answer]) -> Result:
    first, second = answers[scene.first.command_id], answers[scene.second.command_id]
    return result_of(scene, since, first, second)


def allowed(made: Sequence[Scene], pair: Sequence[Process]) -> dict[Result, bool]:
    """Return what the two orders give, each on a scene of its own; True for the one turned."""
    one, other = made
    return {in_sequence(one, False, pair): False, in_sequence(other, True, pair): True}


def play(
    made: Sequence[Scene], run: Callable[[Scene, bool], Result], chance: random.Random
) -> list[Result]:
    """Play the scenes, the first two in both orders, the others as chance has it."""
    orders = [False, True, *(chance.random() < 0.5 for _ in made[2:])]
    return [run(scene, turned) for scene, turned in zip(made, orders, strict=True)]


def told(results: list[Result], sequential: dict[Result, bool]) -> dict[str, Any]:
    """How often the answers were those of each order."""
    counts = tally(results)
    first, second = (
        sum(counts.get(result, 0) for result, turned in sequential.items() if turned is which)
        for which in (False, True)
    )
    return {"as_the_first_order": first, "as_the_second": second}


class Unguarded(NamedTuple):
    """Processes on a database whose `append` lacks a guard; `alone` lacks one of its own too."""

    database: Database
    pair: tuple[Worker, Worker]
    alone: Worker


@contextmanager
def without(run: Path, take_off: Callable[[Database], None]) -> Generator[Unguarded]:
    """Make processes on a database of their own, from which the guard is taken off."""
    database = cluster.new_database(run)
    take_off(database)
    with (
        Worker(database, at_once=True) as one,
        Worker(database, at_once=True) as other,
        Worker(database, guards_off=("overlay",), at_once=True) as alone,
    ):
        yield Unguarded(database, (one.ready(), other.ready()), alone.ready())
    assert database.admin is not None
    cluster.drop(database.admin, database.name)
