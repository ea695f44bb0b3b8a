"""Two commands meet in two processes, or in one batch of one: no result that neither order of the
two could have given."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from api.provisioning import Database
from domain.commands.supervision import RecordActivation
from tests.support import drill_guards
from tests.support.drill_doors import Doors, DoorsWorld, Service
from tests.support.drill_meetings import (
    Unguarded,
    allowed,
    in_one_batch,
    in_two_processes,
    play,
    scenes,
    told,
    without,
)
from tests.support.drill_races import CASES, Case, seen
from tests.support.drill_worker import Worker
from tests.support.world import World

pytestmark = pytest.mark.drill

cases = pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)


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


@pytest.fixture(scope="module")
def without_reads(run_directory: Path) -> Iterator[Unguarded]:
    """Nobody compares what a decision rested on."""
    with without(run_directory, drill_guards.take_off_reads) as made:
        yield made


@pytest.fixture(scope="module")
def without_keys(run_directory: Path) -> Iterator[Unguarded]:
    """A key is looked for before the lock is taken."""
    with without(run_directory, drill_guards.take_off_keys) as made:
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
