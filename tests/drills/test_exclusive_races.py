"""Two commands meet that exclude each other: overlapping approvals of an exclusive kind, and the
approval of what is passed on with the end of what it is passed on from."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from api.provisioning import Database
from tests.support import drill_guards
from tests.support.drill_doors import Doors, DoorsWorld, Service
from tests.support.drill_exclusive import CHAINS, OVERLAP
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
from tests.support.drill_races import Case, Result, seen
from tests.support.drill_worker import Worker
from tests.support.world import World

pytestmark = pytest.mark.drill

cases = pytest.mark.parametrize("case", [OVERLAP, *CHAINS], ids=lambda case: case.name)

ONE_WINS = ["done", "grant.exclusive_overlap"]


def broken(case: Case, results: list[Result]) -> list[Result]:
    """Return the results that must never be, told without looking at what one order gives.

    Of two overlapping approvals exactly one is refused. No approval is told as done, nor stands in
    the log, behind the revocation or suspension of what it was passed on from.
    """
    if case is OVERLAP:
        return [
            one
            for one in results
            if sorted((one.first, one.second)) != ONE_WINS
            or sum(name.startswith("grant.approved.1") for name in one.story) != 1
        ]
    return [one for one in results if _approved_behind(one)]


def _approved_behind(result: Result) -> bool:
    places = {name.partition(" ")[0]: place for place, name in enumerate(result.story)}
    ended = min(places.get("grant.revoked.1", 99), places.get("grant.suspended.1", 99))
    return ended == 99 or places.get("grant.approved.1", -1) > ended


@cases
def test_two_services_never_both_give_what_excludes_each_other(
    case: Case,
    doors: Doors,
    services: tuple[Service, Service],
    rounds: Callable[[int, int], int],
    chance: random.Random,
    tell: Callable[..., None],
) -> None:
    world = DoorsWorld(doors, body=case.body)
    try:
        made = [seen(scene) for scene in scenes(case, world, 2 + rounds(4, 100))]
        sequential = allowed(made[:2], services)
        results = play(made[2:], lambda s, turned: in_two_processes(s, turned, services), chance)
    finally:
        world.close()
    wrong = [one for one in results if one not in sequential] + broken(case, results)
    tell(f"race, {case.name}", len(results), len(wrong), **told(results, sequential))
    assert not wrong, f"{wrong[0]} is none of {list(sequential)}"
    assert set(results) == set(sequential), "one of the orders never came: nothing raced"


@cases
def test_one_batch_never_gives_both_either(
    case: Case,
    database: Database,
    worker: Worker,
    rounds: Callable[[int, int], int],
    chance: random.Random,
    tell: Callable[..., None],
) -> None:
    world = World(database, body=case.body)
    try:
        made = scenes(case, world, 2 + rounds(3, 100))
        sequential = allowed(made[:2], (worker, worker))
        results = play(made[2:], lambda s, turned: in_one_batch(s, turned, worker), chance)
    finally:
        world.close()
    wrong = [one for one in results if one not in sequential] + broken(case, results)
    tell(f"race in one batch, {case.name}", len(results), len(wrong), **told(results, sequential))
    assert not wrong, f"{wrong[0]} is none of {list(sequential)}"
    assert set(results) == set(sequential), "one of the orders never came"


# --- controls -------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def without_reads(run_directory: Path) -> Iterator[Unguarded]:
    """Nobody compares what a decision rested on: neither the guard nor the grants above."""
    with without(run_directory, drill_guards.take_off_reads) as made:
        yield made


@cases
def test_control_without_its_guard_both_are_given(
    case: Case,
    without_reads: Unguarded,
    rounds: Callable[[int, int], int],
    chance: random.Random,
    tell: Callable[..., None],
) -> None:
    world, number = World(without_reads.database, body=case.body), rounds(2, 20)
    pair, alone = without_reads.pair, without_reads.alone
    try:
        made = scenes(case, world, 2 * number)
        apart = play(made[:number], lambda s, t: in_two_processes(s, t, pair), chance)
        together = play(made[number:], lambda s, t: in_one_batch(s, t, alone), chance)
    finally:
        world.close()
    wrong = [len(broken(case, results)) for results in (apart, together)]
    tell(f"control of the race, {case.name}", number, wrong[0], bad_in_one_batch=wrong[1])
    assert wrong[0], "without the guard two processes must have broken it"
    assert wrong[1], "without the guard one batch must have broken it"
