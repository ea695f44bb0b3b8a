"""`append`: load, decide, durable append, permission rows; 64 in flight, in process."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any
from uuid import UUID, uuid4

from eventsourcing.application import Application
from eventsourcing.domain import Aggregate, event
from psycopg.conninfo import conninfo_to_dict

from api.garbage import collect_seldom
from api.provisioning import Database
from api.threads import take_short_turns
from domain.codec import encode
from domain.commands.grants import ApproveStage, RecordCheck
from domain.commands.supervision import ResumeGrant, SuspendGrant
from domain.ledger import Outcome
from domain.view import Command
from tests.bench.measure import Plan, Result, Side, compare, in_turn
from tests.bench.stage import database, pgbench, plain_database
from tests.support.ledger import new_id
from tests.support.world import World

IN_FLIGHT = 64
GRANTS = 2000
"""So many that each is suspended a few times at the most, as in life."""


class LibraryGrant(Aggregate):
    """The same two verbs as an aggregate of the library."""

    @event("Requested")
    def __init__(self) -> None:
        self.holds: list[str] = []

    @event("Suspended")
    def suspend(self, hold: str, reason: str) -> None:
        """One hold more."""
        self.holds.append(hold)

    @event("Resumed")
    def resume(self, hold: str, reason: str) -> None:
        """One hold less."""
        self.holds.remove(hold)


class Ours:
    """Suspend and resume grants in turn, each once after the other."""

    def __init__(self, made: Database, grants: int) -> None:
        self.world = World(made)
        customers = [self.world.customer() for _ in range(max(1, grants // 20))]
        pending = [
            self.world.request_command(customers[number % len(customers)])
            for number in range(grants)
        ]
        for future in [self.world.submit("requester", command) for command in pending]:
            future.result()
        self.grants = [command.grant_id for command in pending]
        for who, deed in (
            ("verifier", lambda g: RecordCheck(grant_id=g, check="documents", channel="online")),
            ("approver0", lambda g: ApproveStage(grant_id=g, stage="sales")),
        ):
            for future in [self.world.submit(who, deed(grant)) for grant in self.grants]:
                future.result()
        self._holds = dict.fromkeys(self.grants, "")
        self._turn = self._commands()
        self.bytes = 0
        take_short_turns()  # as a serving process does
        collect_seldom()

    def _commands(self) -> Iterator[Command]:
        while True:
            for grant in self.grants:
                hold = self._holds[grant]
                if hold:
                    self._holds[grant] = ""
                    yield ResumeGrant(grant_id=grant, hold=hold)
                else:
                    self._holds[grant] = new_id()
                    yield SuspendGrant(grant_id=grant, hold=self._holds[grant])

    def run(self, seconds: float) -> float:
        """Return commands a second, each decided and durable."""
        flying: deque[Future[Outcome]] = deque()
        done, start = 0, time.perf_counter()
        end = start + seconds
        while time.perf_counter() < end:
            flying.append(self.world.submit("compliance", next(self._turn)))
            if len(flying) >= IN_FLIGHT:
                self.bytes = len(encode(flying.popleft().result().events[0].event))
                done += 1
        while flying:
            flying.popleft().result()
            done += 1
        return done / (time.perf_counter() - start)


class Library:
    """`eventsourcing` as it comes: its Aggregate, its recorder, load and save in threads."""

    def __init__(self, address: str, grants: int) -> None:
        parts = {key: str(value) for key, value in conninfo_to_dict(address).items()}
        self.app: Application[UUID] = Application(
            {
                "PERSISTENCE_MODULE": "eventsourcing.postgres",
                "POSTGRES_DBNAME": parts["dbname"],
                "POSTGRES_HOST": parts["host"],
                "POSTGRES_PORT": parts.get("port", "5432"),
                "POSTGRES_USER": parts["user"],
                "POSTGRES_PASSWORD": parts.get("password", ""),
                "POSTGRES_POOL_SIZE": "16",
            }
        )
        made = [LibraryGrant() for _ in range(grants)]
        for one in made:
            self.app.save(one)
        self.ids = [one.id for one in made]
        self.threads = 1
        self.threads = max((1, 4, 8, 16), key=self._at)

    def _at(self, threads: int) -> float:
        self.threads = threads
        return self.run(0.7)

    def run(self, seconds: float) -> float:
        """Return commands a second, each loaded, decided and saved."""
        end = time.perf_counter() + seconds

        def work(number: int) -> int:
            done = 0
            mine = self.ids[number :: self.threads] or self.ids
            while True:
                for grant_id in mine:
                    if time.perf_counter() > end:
                        return done
                    grant: Any = self.app.repository.get(grant_id)
                    if grant.holds:
                        grant.resume(grant.holds[0], "test")
                    else:
                        grant.suspend(uuid4().hex, "test")
                    self.app.save(grant)
                    done += 1

        start = time.perf_counter()
        with ThreadPoolExecutor(self.threads) as pool:
            total = sum(pool.map(work, range(self.threads)))
        return total / (time.perf_counter() - start)


def run(plan: Plan) -> Result:
    """Measure; see performance targets in docs/performance.md."""
    grants = max(70, int(GRANTS * plan.scale)) if plan.scale < 1 else GRANTS
    with database() as made:
        ours = Ours(made, grants)
        library = Library(plain_database(made, "library"), grants)
        ours.run(0.1)
        rows = plain_database(made, "rows")
        sides = [
            Side("counterseal", "commands/s", ours.run),
            Side(f"eventsourcing, {library.threads} threads", "commands/s", library.run),
            Side("pgbench -c 32", "commits/s", lambda s: pgbench(rows, ours.bytes, 32, s)),
        ]
        figures = in_turn(sides, plan)
        ours.world.close()
        library.app.close()
    return compare(
        sides[0],
        [(sides[1], 30.0, "higher"), (sides[2], 1.1, "higher")],
        figures,
        name="append",
        note="ours also keeps idempotency keys, hashes, reads under the lock and permission rows;"
        " the library loads each grant from its log and writes its event, nothing else",
    )
