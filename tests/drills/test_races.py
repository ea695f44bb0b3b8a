"""Two commands meet in two processes, or in one batch of one: no result that neither order of the
two could have given."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import pytest

from api.provisioning import Database
from domain.commands.supervision import RecordActivation
from domain.ledger import Submission
from tests.support import cluster, drill_guards
from tests.support.drill_doors import Doors, DoorsWorld, Service
from tests.support.drill_races import (
    CASES,
    Case,
    Result,
    Scene,
    head,
    result_of,
    same_batch,
    seen,
    tally,
)
from tests.support.drill_worker import PATIENCE_S, Answer, Worker
from tests.support.holding import Held
from tests.support.ledger import clock, new_id, submission
from tests.support.toys import Register
from tests.support.world import World

pytestmark = [pytest.mark.drill, pytest.mark.xdist_group("races")]

cases = pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)


class Process(Protocol):
    """Takes commands: a service over HTTP, or a bare ledger in a process of its own."""

    def submit(self, submission: Submission) -> Future[Answer]: ...


@pytest.fixture(scope="module")
def services(doors: Doors) -> Iterator[tuple[Service, Service]]:
    """Two processes of the service on one database."""
    with doors.open() as one, doors.open() as other:
        yield one.ready(), other.ready()


@pytest.fixture(scope="module")
def worker(database: Database) -> Iterator[Worker]:
    """A process with a bare ledger: what the timekeeper's commands and batches of two need."""
    with Worker(database, at_once=True) as one:
        yield one.ready()


# --- how two commands meet ------------------------------------------------------------------------


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


# --- the drills -----------------------------------------------------------------------------------


@cases
def test_two_services_give_what_one_order_could_have_given(
    case: Case,
    doors: Doors,
    services: tuple[Service, Service],
    worker: Worker,
    rounds: Callable[[int, int], int],
    chance: random.Random,
    tell: Callable[..., None],
) -> None:
    world = DoorsWorld(doors, body=case.body)
    try:
        made = [seen(scene) for scene in scenes(case, world, 2 + rounds(6, 100))]
        # What the clock did is no request: the timekeeper's process speaks for itself.
        activates = isinstance(made[0].first.command, RecordActivation)
        pair = (worker if activates else services[0], services[1])
        sequential = allowed(made[:2], pair)
        results = play(made[2:], lambda s, turned: in_two_processes(s, turned, pair), chance)
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
    worker: Worker,
    rounds: Callable[[int, int], int],
    chance: random.Random,
    tell: Callable[..., None],
) -> None:
    world = World(database, body=case.body)
    try:
        made = scenes(case, world, 2 + rounds(6, 100))
        sequential = allowed(made[:2], (worker, worker))
        results = play(made[2:], lambda s, turned: in_one_batch(s, turned, worker), chance)
    finally:
        world.close()
    wrong = [result for result in results if result not in sequential]
    tell(f"race in one batch, {case.name}", len(results), len(wrong), **told(results, sequential))
    assert not wrong, f"{wrong[0]} is none of {list(sequential)}"
    assert set(results) == set(sequential), "one of the orders never came"


# --- controls -------------------------------------------------------------------------------------


class Unguarded(NamedTuple):
    """Processes on a database whose `append` lacks a guard; `alone` lacks one of its own too."""

    database: Database
    pair: tuple[Worker, Worker]
    alone: Worker


@contextmanager
def _unguarded(run: Path, take_off: Callable[[Database], None]) -> Iterator[Unguarded]:
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


@pytest.fixture(scope="module")
def without_reads(run_directory: Path) -> Iterator[Unguarded]:
    """Nobody compares what a decision rested on."""
    with _unguarded(run_directory, drill_guards.take_off_reads) as made:
        yield made


@pytest.fixture(scope="module")
def without_keys(run_directory: Path) -> Iterator[Unguarded]:
    """A key is looked for before the lock is taken."""
    with _unguarded(run_directory, drill_guards.take_off_keys) as made:
        yield made


@cases
def test_control_without_its_guard_a_pair_gives_what_no_order_could_have(
    case: Case,
    database: Database,
    worker: Worker,
    without_reads: Unguarded,
    without_keys: Unguarded,
    rounds: Callable[[int, int], int],
    chance: random.Random,
    tell: Callable[..., None],
) -> None:
    unguarded = without_keys if case.name == "the same key twice" else without_reads
    guarded, world = World(database, body=case.body), World(unguarded.database, body=case.body)
    number = rounds(3, 20)
    try:
        sequential = allowed(scenes(case, guarded, 2), (worker, worker))
        made = scenes(case, world, 2 * number)
        apart, together = (
            play(made[:number], lambda s, t: in_two_processes(s, t, unguarded.pair), chance),
            play(made[number:], lambda s, t: in_one_batch(s, t, unguarded.alone), chance),
        )
    finally:
        guarded.close()
        world.close()
    wrong = [sum(r not in sequential for r in results) for results in (apart, together)]
    tell(f"control of the race, {case.name}", number, wrong[0], bad_in_one_batch=wrong[1])
    assert wrong[0], "without the guard two processes must have broken it"
    assert wrong[1], "without the guard one batch must have broken it"
