"""Two commands meet in two processes, or in one batch of one: no result that neither order of the
two could have given."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from api.provisioning import Database
from tests.support import cluster, drill_guards
from tests.support.drill_races import (
    CASES,
    Case,
    Result,
    Scene,
    result_of,
    same_batch,
    tally,
)
from tests.support.drill_worker import PATIENCE_S, Answer, Worker
from tests.support.holding import Held
from tests.support.ledger import clock, new_id, submission
from tests.support.toys import Register
from tests.support.world import World

pytestmark = pytest.mark.drill

cases = pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)


@pytest.fixture(scope="module")
def pair(database: Database) -> Iterator[tuple[Worker, Worker]]:
    """Two processes of the service on one database."""
    with Worker(database, at_once=True) as one, Worker(database, at_once=True) as other:
        yield one.ready(), other.ready()


class Doors(NamedTuple):
    """Processes on a database whose `append` lacks a guard; `alone` lacks one of its own too."""

    database: Database
    pair: tuple[Worker, Worker]
    alone: Worker


@contextmanager
def _doors(run: Path, take_off: Callable[[Database], None]) -> Iterator[Doors]:
    database = cluster.new_database(run)
    take_off(database)
    with (
        Worker(database, at_once=True) as one,
        Worker(database, at_once=True) as other,
        Worker(database, guards_off=("overlay",), at_once=True) as alone,
    ):
        yield Doors(database, (one.ready(), other.ready()), alone.ready())
    assert database.admin is not None
    cluster.drop(database.admin, database.name)


@pytest.fixture(scope="module")
def doors_without_reads(run_directory: Path) -> Iterator[Doors]:
    """Nobody compares what a decision rested on."""
    with _doors(run_directory, drill_guards.take_off_reads) as doors:
        yield doors


@pytest.fixture(scope="module")
def doors_without_keys(run_directory: Path) -> Iterator[Doors]:
    """A key is looked for before the lock is taken."""
    with _doors(run_directory, drill_guards.take_off_keys) as doors:
        yield doors


def worlds(case: Case, database: Database) -> World:
    return World(database, body=case.body)


def scenes(case: Case, world: World, number: int) -> list[Scene]:
    """Make the scenes, all before the first one plays; return once each could."""
    made = [case.make(world) for _ in range(number)]
    late = max((scene.ready_at for scene in made if scene.ready_at is not None), default=clock())
    time.sleep(max(0.0, (late - clock()).total_seconds()))
    return made


def in_sequence(scene: Scene, worker: Worker, turned: bool) -> Result:
    """One after the other, each answered before the next."""
    answers = {}
    order = (scene.second, scene.first) if turned else (scene.first, scene.second)
    for one in order:
        answers[one.command_id] = worker.submit(one).result(PATIENCE_S)
    return _result(scene, answers)


def _result(scene: Scene, answers: dict[str, Answer]) -> Result:
    return result_of(scene, answers[scene.first.command_id], answers[scene.second.command_id])


def allowed(case: Case, world: World, worker: Worker) -> dict[Result, bool]:
    """Return what the two orders give, on streams of their own; True for the one turned round."""
    one, other = scenes(case, world, 2)
    return {in_sequence(one, worker, False): False, in_sequence(other, worker, True): True}


def in_two_processes(scene: Scene, one: Worker, other: Worker, turned: bool) -> Result:
    """Both decide while a third connection holds the head row, then both may go on."""
    pair = ((one, scene.first), (other, scene.second))
    with Held(scene.world.database, scene.world.tenant) as held:
        waiting: dict[str, Future[Answer]] = {}
        for number, (worker, command) in enumerate(reversed(pair) if turned else pair, 1):
            waiting[command.command_id] = worker.submit(command)
            held.until(number)
    return _result(scene, {name: future.result(PATIENCE_S) for name, future in waiting.items()})


def in_one_batch(scene: Scene, worker: Worker, turned: bool) -> Result:
    """Both gather behind a command that waits for the head row, and are written together."""
    world = scene.world
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
    return _result(scene, answers)


def play(
    made: list[Scene], run: Callable[[Scene, bool], Result], chance: random.Random
) -> list[Result]:
    """Play the scenes, the first two in both orders, the others as chance has it."""
    orders = [False, True, *(chance.random() < 0.5 for _ in made[2:])]
    return [run(scene, turned) for scene, turned in zip(made, orders, strict=True)]


def told(results: list[Result], sequential: dict[Result, bool]) -> dict[str, Any]:
    """How often each order won, and how often the answers fit neither."""
    counts = tally(results)
    first, second = (
        sum(counts.get(result, 0) for result, turned in sequential.items() if turned is which)
        for which in (False, True)
    )
    return {"as_the_first_order": first, "as_the_second": second}


@cases
def test_two_processes_give_what_one_order_could_have_given(
    case: Case,
    database: Database,
    pair: tuple[Worker, Worker],
    rounds: Callable[[int, int], int],
    chance: random.Random,
    tell: Callable[..., None],
) -> None:
    world = worlds(case, database)
    try:
        sequential = allowed(case, world, pair[0])
        made = scenes(case, world, rounds(6, 100))
        results = play(made, lambda s, turned: in_two_processes(s, *pair, turned), chance)
    finally:
        world.close()
    wrong = [result for result in results if result not in sequential]
    tell(f"race, {case.name}", len(results), len(wrong), **told(results, sequential))
    assert not wrong, f"{wrong[0]} is none of {list(sequential)}"
    assert set(results) == set(sequential), "one of the orders never came: nothing raced"


@cases
def test_one_batch_gives_what_its_order_gives(
    case: Case,
    database: Database,
    pair: tuple[Worker, Worker],
    rounds: Callable[[int, int], int],
    chance: random.Random,
    tell: Callable[..., None],
) -> None:
    world = worlds(case, database)
    try:
        sequential = allowed(case, world, pair[0])
        made = scenes(case, world, rounds(6, 100))
        results = play(made, lambda s, turned: in_one_batch(s, pair[1], turned), chance)
    finally:
        world.close()
    wrong = [result for result in results if result not in sequential]
    tell(f"race in one batch, {case.name}", len(results), len(wrong), **told(results, sequential))
    assert not wrong, f"{wrong[0]} is none of {list(sequential)}"
    assert set(results) == set(sequential), "one of the orders never came"


@cases
def test_control_without_its_guard_a_pair_gives_what_no_order_could_have(
    case: Case,
    database: Database,
    pair: tuple[Worker, Worker],
    doors_without_reads: Doors,
    doors_without_keys: Doors,
    rounds: Callable[[int, int], int],
    chance: random.Random,
    tell: Callable[..., None],
) -> None:
    guarded = worlds(case, database)
    try:
        sequential = allowed(case, guarded, pair[0])
    finally:
        guarded.close()
    doors = doors_without_keys if case.name == "the same key twice" else doors_without_reads
    world = worlds(case, doors.database)
    number = rounds(3, 20)
    try:
        apart = play(
            scenes(case, world, number),
            lambda s, turned: in_two_processes(s, *doors.pair, turned),
            chance,
        )
        together = play(
            scenes(case, world, number),
            lambda s, turned: in_one_batch(s, doors.alone, turned),
            chance,
        )
    finally:
        world.close()
    wrong = [[r for r in results if r not in sequential] for results in (apart, together)]
    tell(f"control of the race, {case.name}", number, len(wrong[0]), in_one_batch=len(wrong[1]))
    assert wrong[0], "without the guard two processes must have broken it"
    assert wrong[1], "without the guard one batch must have broken it"
