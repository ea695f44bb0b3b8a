"""Sixteen writers in four processes, some of them killed, some of their appends ended half-way:
whoever tails the log misses nothing."""

from __future__ import annotations

import json
import random
import threading
import time
from collections import Counter
from collections.abc import Callable
from concurrent.futures import Future
from itertools import pairwise

import pytest

from api.provisioning import Database
from projections.inline import FOLDS
from replay.verify import verify
from tests.support.drill_hold import Reaper, append_unlocked, hold_one_in, make_unlocked
from tests.support.drill_tailing import Marked, missed, readers, whole, write
from tests.support.drill_worker import Worker, WorkerGone
from tests.support.ledger import make_ledgers, make_tenant
from tests.support.owner import superuser

pytestmark = pytest.mark.drill

PROCESSES = 4
WRITERS = 16
PATIENCE_S = 1800


class Crew:
    """The processes and their writers; who is killed comes back and goes on with the same keys."""

    def __init__(self, database: Database, tenant: str, marks: int) -> None:
        self.database = database
        self.tenant = tenant
        self.marks = marks
        self.told: dict[str, dict[int, int]] = {f"w{number}": {} for number in range(WRITERS)}
        self.conflicting: list[Marked] = []
        self._lock = threading.Lock()
        self._workers = [self._hire(number) for number in range(PROCESSES)]
        self._busy = [self._set_to_work(number) for number in range(PROCESSES)]

    def _writers(self, process: int) -> list[str]:
        return list(self.told)[process::PROCESSES]

    def _hire(self, process: int) -> Worker:
        del process
        return Worker(self.database, heard=self._heard)

    def _set_to_work(self, process: int) -> list[Future[int]]:
        worker = self._workers[process].ready()
        return [
            worker.call(write, self.tenant, writer, len(self.told[writer]) + 1, self.marks)
            for writer in self._writers(process)
        ]

    def _heard(self, mark: Marked) -> None:
        with self._lock:
            known = self.told[mark.writer].setdefault(mark.number, mark.position)
            if known != mark.position:
                self.conflicting.append(mark)

    @property
    def acknowledged(self) -> int:
        return sum(len(marks) for marks in self.told.values())

    def kill(self, process: int) -> None:
        """End a process with its writers where they are; another takes their work over."""
        self._workers[process].kill()
        self._workers[process] = self._hire(process)
        self._busy[process] = self._set_to_work(process)

    def check(self) -> None:
        """Raise what went wrong in a process that was not killed."""
        for busy in self._busy:
            for future in busy:
                if future.done() and not isinstance(future.exception(), WorkerGone):
                    future.result()

    def finish(self) -> None:
        """Wait until every writer is done."""
        for busy in self._busy:
            for future in busy:
                future.result(PATIENCE_S)

    def close(self) -> None:
        for worker in self._workers:
            worker.close()


def test_no_reader_misses_an_event(
    fresh_database: Callable[[], Database],
    rounds: Callable[[int, int], int],
    chance: random.Random,
    seed: int,
    tell: Callable[..., None],
) -> None:
    database = fresh_database()
    tenant = make_tenant(database, FOLDS)
    marks, kills = rounds(6_000, 100_000) // WRITERS, rounds(5, 100)
    hold_one_in(database, rounds(100, 1000))
    ledgers = make_ledgers(database)
    started = time.monotonic()
    with Reaper(database, seed) as reaper:
        following = readers(database, ledgers, tenant)
        crew = Crew(database, tenant, marks)
        try:
            for number in range(kills):
                due = marks * WRITERS * (number + chance.random()) / kills
                while crew.acknowledged < due:
                    crew.check()
                    time.sleep(0.002)
                crew.kill(chance.randrange(PROCESSES))
            crew.finish()
        finally:
            crew.close()
        seconds = time.monotonic() - started
        log = whole(database, tenant)
        for reader in following:
            reader.until(log[-1][0])
        seen = {reader.name: reader.stop() for reader in following}
    ledgers.close()
    lost = {name: missed(log, events) for name, events in seen.items()}
    late = {
        name: [b.position for a, b in pairwise(events) if b[0] != a[0] + 1]
        for name, events in seen.items()
    }
    tell(
        "lost events",
        len(log),
        sum(map(len, lost.values())),
        writers=WRITERS,
        processes=PROCESSES,
        readers=len(seen),
        killed=kills,
        ended_half_way=reaper.ended,
        events_a_second=round(len(log) / seconds),
    )
    assert not any(lost.values()), lost
    assert not any(late.values()), f"positions out of turn: {late}"
    assert [row[0] for row in log] == list(range(1, len(log) + 1)), "positions are not dense"
    assert reaper.ended > 0, "no append was ended half-way"
    assert not verify(database.auditor, tenant).findings
    found = Counter[str]()
    places: dict[str, int] = {}
    for position, _, _, name, data in log:
        if name == "person.account_linked.1":
            mark = json.loads(data)["account"].rpartition("/")[0]
            found[mark] += 1
            places[mark] = position
    assert not crew.conflicting, "a writer was told two positions for one key"
    told = {f"{w}/{n}": at for w, known in crew.told.items() for n, at in known.items()}
    assert len(told) == marks * WRITERS
    assert found == dict.fromkeys(told, 1), "an acknowledged event is not there exactly once"
    assert places == told


def test_control_an_appender_without_the_lock_is_missed(
    fresh_database: Callable[[], Database], tell: Callable[..., None]
) -> None:
    database = fresh_database()
    tenant = make_tenant(database, FOLDS)
    make_unlocked(database)
    ledgers = make_ledgers(database)
    with superuser(database) as held, superuser(database) as swift:
        following = readers(database, ledgers, tenant)
        held.autocommit = False
        late = append_unlocked(held, tenant)
        passed = append_unlocked(swift, tenant)
        for reader in following:
            reader.until(passed)
        held.commit()
        last = append_unlocked(swift, tenant)
        for reader in following:
            reader.until(last)
    log = whole(database, tenant)
    lost = {reader.name: missed(log, reader.stop()) for reader in following}
    ledgers.close()
    tell("control of lost events", len(following), sum(map(len, lost.values())))
    assert [row[0] for row in log] == [late, passed, last]
    assert lost == {"subscription": [late], "pages": [late], "sql": [late]}
