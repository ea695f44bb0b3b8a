"""`follow`: how fast all read models follow the log while it grows, against how fast it grows."""

from __future__ import annotations

import multiprocessing
import statistics
import threading
import time
from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from itertools import count
from typing import Any, NamedTuple

import psycopg

from domain.commands.customers import ConfirmCustomer, RecordIdentityCheck, RegisterCustomer
from domain.commands.grants import ApproveStage, RecordCheck
from domain.commands.supervision import ResumeGrant, SuspendGrant
from domain.ledger import Outcome
from domain.view import Command
from projections.models import FOLDS
from projections.runner import Runner
from tests.bench.measure import Plan, Result, ratio
from tests.bench.stage import database
from tests.support.ledger import new_id
from tests.support.world import World, hashed

IN_FLIGHT = 64
GRANTS = 5
"""Grants of each customer."""

CAUGHT_UP_S = 300.0

Said = tuple[str, Command]


class Round(NamedTuple):
    """Events a second in the same seconds: appended, followed by all read models."""

    appended: float
    followed: float


class Office:
    """Customers that are registered, and their grants: asked for, checked, approved, suspended,
    resumed; so many lanes of it at once.
    """

    def __init__(self, world: World) -> None:
        self._world = world
        self._numbers = count()
        self._lanes = [self._lane() for _ in range(IN_FLIGHT)]

    def work(self, seconds: float) -> None:
        """Keep a command of every lane in flight for so long, and wait for the last ones."""
        end = time.perf_counter() + seconds
        flying = deque(self._next(lane) for lane in self._lanes)
        while flying:
            future, lane = flying.popleft()
            future.result()
            if time.perf_counter() < end:
                flying.append(self._next(lane))

    def _next(self, lane: Iterator[Said]) -> tuple[Future[Outcome], Iterator[Said]]:
        who, command = next(lane)
        return self._world.submit(who, command), lane

    def _lane(self) -> Iterator[Said]:
        while True:
            customer = new_id()
            yield from self._customer(customer)
            for _ in range(GRANTS):
                yield from self._grant(customer)

    def _customer(self, customer: str) -> Iterator[Said]:
        number = f"F{next(self._numbers):07}"
        yield (
            "requester",
            RegisterCustomer(
                customer=customer,
                number=number,
                number_claim=hashed("customer", number),
                form="organization",
                title=f"茶庄 {number}",
            ),
        )
        yield (
            "verifier",
            RecordIdentityCheck(
                customer=customer,
                check_kind="licence",
                channel="online",
                passed=True,
                document="business_licence",
            ),
        )
        yield "verifier", ConfirmCustomer(customer=customer, policy=self._world.policy)

    def _grant(self, customer: str) -> Iterator[Said]:
        asked = self._world.request_command(customer)
        grant, hold = asked.grant_id, new_id()
        yield "requester", asked
        yield "verifier", RecordCheck(grant_id=grant, check="documents", channel="online")
        yield "approver0", ApproveStage(grant_id=grant, stage="sales")
        yield "compliance", SuspendGrant(grant_id=grant, hold=hold)
        yield "compliance", ResumeGrant(grant_id=grant, hold=hold)


class Watch:
    """Where the log and its read models stand."""

    def __init__(self, conn: psycopg.Connection[Any], tenant: str) -> None:
        self._conn = conn
        self._given = (list(FOLDS), tenant)

    def places(self) -> tuple[int, int]:
        """Return the head, and how far every read model has followed, at one moment."""
        row = self._conn.execute(
            "SELECT l.position, min(c.position) FROM ledgers l JOIN checkpoints c USING (tenant_id)"
            " JOIN generations g USING (tenant_id, projection, generation)"
            " WHERE g.live AND c.projection = ANY (%s) AND l.tenant_id = %s GROUP BY l.position",
            self._given,
        ).fetchone()
        if row is None:
            raise RuntimeError("the tenant has no read models")
        return row[0], row[1]

    def wait(self) -> None:
        """Wait until the read models stand where the log does."""
        end = time.monotonic() + CAUGHT_UP_S
        while len(set(self.places())) > 1:
            if time.monotonic() > end:
                raise RuntimeError(f"the read models did not follow: {self.places()}")
            time.sleep(0.02)


def follow(url: str) -> None:
    """Follow until ended: what `counterseal serve` does with a process for the runner alone."""
    Runner(url).run(threading.Event())


@contextmanager
def _following(url: str) -> Iterator[None]:
    process = multiprocessing.get_context("spawn").Process(target=follow, args=(url,), daemon=True)
    process.start()
    try:
        yield
    finally:
        process.terminate()
        process.join(10)


def _round(office: Office, watch: Watch, seconds: float) -> Round:
    watch.wait()
    head = base = watch.places()[0]
    start, followed = time.perf_counter(), base
    while followed == base:  # once, but on a machine that has no time for the follower
        office.work(seconds)
        head, followed = watch.places()
    took = time.perf_counter() - start
    return Round((head - base) / took, (followed - base) / took)


def run(plan: Plan) -> Result:
    """Measure; every round begins with read models that have caught up."""
    with database() as made:
        world = World(made)
        office = Office(world)
        with psycopg.connect(made.auditor, autocommit=True) as conn, _following(made.projector):
            watch = Watch(conn, world.tenant)
            if plan.warm_up:
                _round(office, watch, plan.warm_up)
            found = [_round(office, watch, plan.seconds) for _ in range(plan.rounds)]
            watch.wait()
        world.close()
    followed = [one.followed for one in found]
    appended = statistics.median(one.appended for one in found)
    value = statistics.median(followed)
    against = ratio(value, "appended meanwhile", appended, "events/s", 0.5, "higher")
    return Result(
        "follow", value, "events/s", followed, [against],
        "counted at the end of each round, when what was appended last had no time to be followed",
    )  # fmt: skip
