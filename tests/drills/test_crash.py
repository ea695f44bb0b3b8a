"""The service and its PostgreSQL are killed at random moments under load: what was acknowledged is
there, once, and the tables are what the events say."""

from __future__ import annotations

import random
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from domain.ledger import Ledgers
from projections.inline import InlineTables
from replay.verify import verify
from tests.support import drill_oracle
from tests.support.cluster import Cluster
from tests.support.drill_doors import Doors, DoorsWorld
from tests.support.drill_load import Caller, Line, reckon
from tests.support.ledger import make_ledgers

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


@pytest.fixture
def ground(fresh_cluster: Callable[[], Cluster], tmp_path: Path) -> Iterator[Ground]:
    made = Ground(fresh_cluster(), tmp_path)
    yield made
    made.close()


def one_round(ground: Ground, kill: Callable[[], None], chance: random.Random) -> Counter[str]:
    """Load, kill, start again, let callers finish; return the figures, raise what is wrong."""
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
    seconds = time.monotonic() - started
    return Counter(
        acknowledged=found.acknowledged,
        unanswered=found.unknown,
        unanswered_but_there=found.unknown_there,
        events=verdict.events,
        points_compared=compared.points,
        too_slow=int(seconds > ROUND_S),
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
        begun = time.monotonic()
        figures += one_round(ground, kill, chance)
        slowest = max(slowest, time.monotonic() - begun)
    tell(
        f"crash, kill -9 of the {what}",
        number,
        0,
        callers=CALLERS,
        slowest_round_s=round(slowest, 1),
        **figures,
    )
    assert figures["acknowledged"] > 0
