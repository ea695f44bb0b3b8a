"""The service and its PostgreSQL are killed at random moments under load: what was acknowledged is
there, once, and the tables are what the events say."""

from __future__ import annotations

import json
import random
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from api.provisioning import Database
from domain.ledger import Ledgers
from projections.inline import FOLDS, InlineTables
from replay.verify import verify
from tests.support import drill_oracle
from tests.support.cluster import Cluster, end_server, new_cluster
from tests.support.drill_doors import Doors, DoorsWorld
from tests.support.drill_guards import without_durability
from tests.support.drill_load import Caller, Line, reckon
from tests.support.drill_tailing import Marked, whole, write
from tests.support.drill_worker import Worker
from tests.support.ledger import make_ledgers, make_tenant
from tests.support.owner import superuser
from tests.support.world import World

pytestmark = pytest.mark.drill

CALLERS = 6
AFTERWARDS_S = 0.2
ROUND_S = 10.0
"""How long one round may take, from the first command to the last comparison."""


class Ground:
    """A server of the drill's own, and a service on it."""

    def __init__(self, cluster: Cluster, folder: Path) -> None:
        self.cluster = cluster
        self.doors = Doors(cluster.database, folder)
        self.ledgers: Ledgers = make_ledgers(cluster.database, InlineTables())
        self.line = Line(self.doors.open().ready())

    def kill_service(self) -> None:
        """End the service and start it again, where it was."""
        port = self.line.service.port
        self.line.service.kill()
        self.line.service = self.doors.open(port=port)
        self.line.service.ready()

    def kill_postgres(self) -> None:
        """End the server with all its sessions and start it again."""
        self.cluster.server.kill()
        server = self.cluster.again()
        self.cluster = Cluster(server, self.cluster.database)

    def close(self) -> None:
        self.line.service.close()
        self.ledgers.close()
        self.doors.close()


@pytest.fixture(scope="module")
def ground(run_directory: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ground]:
    made = Ground(new_cluster(run_directory), tmp_path_factory.mktemp("doors"))
    yield made
    made.close()
    end_server(made.cluster.server.data_dir)


def one_round(
    ground: Ground, kill: Callable[[], None], chance: random.Random
) -> tuple[float, Counter[str]]:
    """Load, kill, start again, let callers finish; return the seconds from the first command to the
    last comparison, and the figures; raise what is wrong."""
    database = ground.doors.database
    world = DoorsWorld(ground.doors, ledgers=ground.ledgers)
    callers = [
        Caller(ground.line, world, number, chance.randrange(10**6)) for number in range(CALLERS)
    ]
    started = time.monotonic()
    for caller in callers:
        caller.start()
    time.sleep(chance.uniform(0.05, 1.0))
    kill()
    time.sleep(AFTERWARDS_S)
    for caller in callers:
        caller.stopped.set()
    for caller in callers:
        caller.join(60)
        assert not caller.is_alive(), "a caller was never answered"
        assert caller.fault is None, caller.fault
    odd = [said for caller in callers for said in caller.unexpected]
    assert not odd, odd[0]
    found = reckon(database, world.tenant, (one for caller in callers for one in caller.sent))
    assert (found.lost, found.doubled, found.elsewhere) == ([], [], []), found
    verdict = verify(database.auditor, world.tenant)
    assert not verdict.findings, verdict.findings
    compared = drill_oracle.compare(database, world.tenant)
    assert not compared.differing, compared.differing[0]
    return time.monotonic() - started, Counter(
        acknowledged=found.acknowledged,
        unanswered=found.unknown,
        unanswered_but_there=found.unknown_there,
        events=verdict.events,
        points_compared=compared.points,
    )


@pytest.mark.parametrize(("what", "small", "full"), [("service", 5, 200), ("postgres", 2, 50)])
def test_what_was_acknowledged_survives_a_kill(
    what: str,
    small: int,
    full: int,
    ground: Ground,
    rounds: Callable[[int, int], int],
    chance: random.Random,
    tell: Callable[..., None],
) -> None:
    number = rounds(small, full)
    kill = ground.kill_service if what == "service" else ground.kill_postgres
    slowest, figures = 0.0, Counter[str]()
    for _ in range(number):
        seconds, found = one_round(ground, kill, chance)
        slowest, figures = max(slowest, seconds), figures + found
    tell(
        f"crash, kill -9 of the {what}",
        number,
        0,
        callers=CALLERS,
        slowest_round_s=round(slowest, 1),
        **figures,
    )
    assert figures["acknowledged"] > 0
    # With its full number the drill has the machine for itself; beside other tests it may wait.
    assert number < full or slowest <= ROUND_S


# --- controls -------------------------------------------------------------------------------------


class Marks:
    """What writers in a process were told, and what of it the log does not have."""

    def __init__(self, database: Database, guards_off: tuple[str, ...] = ()) -> None:
        self.database = database
        self.tenant = make_tenant(database, FOLDS)
        self.told: list[Marked] = []
        self.worker = Worker(database, guards_off=guards_off, heard=self.told.append).ready()
        self._busy = [
            self.worker.call(write, self.tenant, f"w{number}", 1, 10**9) for number in range(4)
        ]

    def until(self, number: int) -> None:
        """Return once so many marks more were acknowledged."""
        due, end = len(self.told) + number, time.monotonic() + 30
        while len(self.told) < due:
            assert time.monotonic() < end, "the writers do not get on"
            time.sleep(0.001)

    def lost(self) -> list[str]:
        """End the writers; return what was acknowledged and is not there."""
        self.worker.kill()
        there = {
            json.loads(data)["account"].rpartition("/")[0]
            for _, _, _, name, data in whole(self.database, self.tenant)
            if name == "person.account_linked.1"
        }
        return sorted({f"{one.writer}/{one.number}" for one in self.told} - there)


def test_control_an_answer_before_the_commit_is_lost_with_the_process(
    database: Database, rounds: Callable[[int, int], int], tell: Callable[..., None]
) -> None:
    number = rounds(3, 20)
    lost = 0
    for _ in range(number):
        marks = Marks(database, guards_off=("waiting",))
        marks.until(50)
        lost += bool(marks.lost())
    tell("control of crashes, answered before the commit", number, lost)
    assert lost > 0


def test_control_a_commit_told_before_it_is_on_disk_is_lost_with_the_server(
    ground: Ground, rounds: Callable[[int, int], int], tell: Callable[..., None]
) -> None:
    number = rounds(2, 10)
    lost = 0
    with without_durability(ground.cluster.database):
        for _ in range(number):
            marks = Marks(ground.cluster.database)
            marks.until(50)
            ground.kill_postgres()
            lost += bool(marks.lost())
    tell("control of crashes, synchronous_commit off", number, lost)
    assert lost > 0


def test_control_the_oracle_sees_one_changed_row(
    database: Database, tell: Callable[..., None]
) -> None:
    world = World(database)
    world.active()
    world.close()
    before = drill_oracle.compare(database, world.tenant)
    assert not before.differing
    with superuser(database) as conn:
        conn.execute(
            "UPDATE permissions SET valid_to = valid_to + interval '1 second' WHERE tenant_id = %s",
            (world.tenant,),
        )
    after = drill_oracle.compare(database, world.tenant)
    tell("control of the oracle, a row one second too long", after.points, len(after.differing))
    assert after.differing
