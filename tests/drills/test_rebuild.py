"""Read models are rebuilt while eight writers work, and while the rebuild is killed again and
again: no command is refused, no reader sees half a model, and in the end all is as the log says."""

from __future__ import annotations

import multiprocessing
import random
import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime
from multiprocessing.connection import Connection
from typing import Any

import psycopg
import pytest

from api.provisioning import Database
from domain.commands.customers import BlockCustomer, UnblockCustomer
from projections.check_rows import check_once
from projections.checks import Question
from projections.runner import Runner
from replay.compare import compare
from replay.reader import opened as reading
from replay.rebuild import FOLDS, rebuild
from replay.rebuild_plan import acting, connect, drop, plan, read_plan
from tests.support.cluster import Cluster
from tests.support.world import BECAUSE, World

pytestmark = [pytest.mark.drill, pytest.mark.timeout(1_800)]

WRITERS = 8
RANGE = 40
"""Small ranges, so that there are many places to be killed at."""


class Numbered(World):
    """A world that many threads may use."""

    _lock = threading.Lock()

    def number(self) -> str:
        with self._lock:
            return super().number()


class Writer(threading.Thread):
    """Takes grants from request to effect, blocks and unblocks a customer, until told to stop."""

    def __init__(self, world: World, stopped: threading.Event) -> None:
        super().__init__(daemon=True)
        self._world = world
        self._stopped = stopped
        self.done = 0
        self.refused: list[BaseException] = []

    def run(self) -> None:
        world = self._world
        try:
            spare = world.customer()
            while not self._stopped.is_set():
                world.active(spare)
                world.say("compliance", BlockCustomer(customer=spare), reason=BECAUSE)
                world.say("compliance", UnblockCustomer(customer=spare), reason=BECAUSE)
                self.done += 5
        except Exception as fault:  # noqa: BLE001  (whatever it is: a command was refused)
            self.refused.append(fault)


class Reader(threading.Thread):
    """Asks without pause for a right that is there all the time, and how long two lists are."""

    def __init__(self, database: Database, tenant: str, customer: str) -> None:
        super().__init__(daemon=True)
        self._database = database
        self._tenant = tenant
        self._question = Question(
            tenant=tenant,
            subject=f"customer:{customer}",
            action="sell",
            resource_type="territory",
            resource_id="CN/31",
            properties={"product": "tea"},
        )
        self.stopped = threading.Event()
        self.asked = 0
        self.seen: list[str] = []

    def run(self) -> None:
        try:
            with psycopg.connect(self._database.service, autocommit=True) as conn:
                most = {"permissions": 0, "grants": 0}
                while not self.stopped.is_set():
                    self._ask(conn, most)
        except Exception as fault:  # noqa: BLE001  (whatever it is: a reader was refused)
            self.seen.append(repr(fault))

    def _ask(self, conn: psycopg.Connection[Any], most: dict[str, int]) -> None:
        if not check_once(conn, self._question, datetime.now(UTC)).allowed:
            self.seen.append("a right that was there all the time was denied")
        for name in most:
            with conn.transaction():
                conn.execute("SELECT set_config('counterseal.tenant', %s, true)", (self._tenant,))
                row = conn.execute(_COUNT[name], (self._tenant, name)).fetchone()
            found = 0 if row is None else int(row[0])
            if found < most[name]:
                self.seen.append(f"{name}: {found} rows after {most[name]}")
            most[name] = found
        self.asked += 1


_OF = (
    " WHERE tenant_id = current_tenant() AND generation = (SELECT generation FROM generations"
    " WHERE tenant_id = %s AND projection = %s AND live)"
)
_COUNT: dict[str, Any] = {
    "permissions": "SELECT count(*) FROM permissions" + _OF,
    "grants": "SELECT count(*) FROM grants" + _OF,
}


def follow(database: Database) -> None:
    """Bring every read model to the head."""
    runner = Runner(database.projector)
    while runner.step():
        pass
    runner.close()


def equal(database: Database, tenant: str) -> bool:
    with reading(database.auditor, tenant) as source:
        return compare(source)[0] == []


def test_a_rebuild_while_writers_work_refuses_no_command_and_no_reader_sees_half_of_it(
    fresh_database: Callable[[], Database],
    rounds: Callable[[int, int], int],
    tell: Callable[..., None],
) -> None:
    database = fresh_database()
    world = Numbered(database)
    customer = world.customer()
    world.active(customer)
    follow(database)
    stopped, reader = threading.Event(), Reader(database, world.tenant, customer)
    runner = Runner(database.projector)
    following = threading.Thread(target=runner.run, args=(stopped,), daemon=True)
    writers = [Writer(world, stopped) for _ in range(WRITERS)]
    for thread in (reader, following, *writers):
        thread.start()
    number, during = rounds(2, 8), 0
    try:
        for _ in range(number):
            before = sum(one.done for one in writers)
            done = rebuild(
                database.migrator, world.tenant, workers=rounds(1, 2), range_events=RANGE
            )
            assert done.position is not None, done.differences
            during += sum(one.done for one in writers) - before
    finally:
        stopped.set()
        for thread in (following, *writers):
            thread.join(60)
        reader.stopped.set()
        reader.join(60)
    assert [one.refused for one in writers if one.refused] == []
    assert reader.seen == []
    assert during > 0
    assert reader.asked > number
    follow(database)
    assert equal(database, world.tenant)
    world.close()
    tell("rebuild_while_writing", number, 0, commands=during, asked=reader.asked)


def test_a_swap_before_the_rows_are_there_is_seen_by_the_reader(
    fresh_database: Callable[[], Database],
) -> None:
    """The control: what the drill above looks for, it finds."""
    database = fresh_database()
    world = Numbered(database)
    customer = world.customer()
    world.active(customer)
    follow(database)
    reader = Reader(database, world.tenant, customer)
    reader.start()
    while reader.asked < 2:
        time.sleep(0.01)
    with connect(database.migrator) as conn:
        begun = plan(conn, world.tenant, list(FOLDS))
        with acting(conn, world.tenant):
            of = " WHERE tenant_id = %s"
            conn.execute("UPDATE generations SET live = false" + of, (world.tenant,))
            conn.execute(
                "UPDATE generations SET live = true" + of + " AND generation = %s",
                (world.tenant, begun.generation("grants")),
            )
    until = time.monotonic() + 20
    while len(set(reader.seen)) < 3 and time.monotonic() < until:
        time.sleep(0.01)
    reader.stopped.set()
    reader.join(20)
    assert len({one.partition(":")[0] for one in reader.seen}) == 3, reader.seen
    world.close()


def _rebuild(pipe: Connection[Any, Any], url: str, tenant: str) -> None:
    """In a process of its own, to be killed."""
    pipe.send("begins")
    rebuild(url, tenant, range_events=RANGE)
    pipe.send("done")


def test_a_rebuild_killed_again_and_again_ends_equal(
    fresh_cluster: Callable[[], Cluster],
    rounds: Callable[[int, int], int],
    chance: random.Random,
    tell: Callable[..., None],
) -> None:
    """The process is killed, every fifth time the server is; each run takes up what is there."""
    made = fresh_cluster()
    database = made.database
    world = Numbered(database)
    for _ in range(20):
        world.active()
    world.close()
    follow(database)
    begun = time.monotonic()
    assert rebuild(database.migrator, world.tenant, range_events=RANGE).position is not None
    lasts = time.monotonic() - begun
    context = multiprocessing.get_context("spawn")
    number, hit, finished = rounds(5, 50), 0, 0
    for turn in range(number):
        ours, theirs = context.Pipe()
        process = context.Process(
            target=_rebuild, args=(theirs, database.migrator, world.tenant), daemon=True
        )
        process.start()
        assert ours.poll(60)
        assert ours.recv() == "begins"
        if turn == 0:  # once surely in the middle of it, however few the rounds
            until_begun(database, world.tenant)
        time.sleep(chance.uniform(0, (1.5 if turn else 0.1) * lasts))  # a new process is slower
        if turn % 5 == 4:
            made.server.kill()
            process.kill()
            made = Cluster(made.again(), database)
        process.kill()
        process.join()
        finished += ours.poll() and ours.recv() == "done"
        ours.close()
        with connect(database.migrator) as conn:
            hit += read_plan(conn, world.tenant) is not None
        assert all_live(database, world.tenant)
    done = rebuild(database.migrator, world.tenant, range_events=RANGE)
    assert done.position is not None
    assert done.differences == ()
    follow(database)
    assert equal(database, world.tenant)
    with connect(database.migrator) as conn:
        drop(conn, world.tenant)
    assert equal(database, world.tenant)
    assert hit > 0
    tell("rebuild_killed", number, 0, in_the_middle=hit, finished=finished)


def until_begun(database: Database, tenant: str) -> None:
    """Wait until a rebuild has written its plan."""
    end = time.monotonic() + 60
    with connect(database.migrator) as conn:
        while read_plan(conn, tenant) is None:
            assert time.monotonic() < end
            time.sleep(0.002)


def all_live(database: Database, tenant: str) -> bool:
    """Whether every read model has exactly one live generation."""
    with psycopg.connect(database.service) as conn:
        rows = conn.execute(
            "SELECT projection FROM generations WHERE tenant_id = %s AND live", (tenant,)
        ).fetchall()
    return sorted(row[0] for row in rows) == sorted(FOLDS)
