"""`recorder`: the append function alone, in batches of 64 one-event commands."""

from __future__ import annotations

import statistics
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from uuid import UUID

from api.provisioning import Database
from domain.batches import Batch
from domain.recorder import LedgerDatastore, LedgerRecorder
from tests.bench.measure import Plan, Result, Side, compare, in_turn
from tests.bench.stage import database, pgbench, plain_database
from tests.support.ledger import make_tenant, new_id

BATCH = 64
CHUNK = 16
"""Batches written between two looks at the clock."""

DATA = (
    b'{"hold":"018f0000-0000-7000-8000-000000000000","at":"2026-11-22T08:30:15.123456Z"'
    b',"by":{"ref":"staff:018f0000-0000-7000-8000-000000000000","person":"018f0000"},'
    b'"reason":{"code":"test"}}'
)


class Recorder:
    """Appends batch after batch to one tenant: new streams, each command with a key."""

    def __init__(self, made: Database) -> None:
        self.datastore = LedgerDatastore(made.service)
        self.recorder = LedgerRecorder(self.datastore, make_tenant(made))
        self._number = 0

    def batch(self) -> Batch:
        """Return the next batch."""
        batch = Batch()
        for place in range(1, BATCH + 1):
            self._number += 1
            stream = batch.place(new_id())
            batch.read_streams.append(stream)
            batch.read_versions.append(0)
            batch.read_by.append(0)
            batch.command_ids.append(UUID(new_id()).bytes)
            batch.callers.append("bench")
            batch.keys.append(str(self._number))
            batch.fingerprints.append(b"0123456789abcdef0123456789abcdef")
            batch.outcomes.append(b'{"kind":"grant","version":1,"narrowing":false}')
            batch.keep.append(True)
            batch.causations.append(None)
            batch.reads_end.append(place)
            batch.claims_end.append(0)
            batch.events_end.append(place)
            batch.event_commands.append(place)
            batch.event_streams.append(stream)
            batch.event_versions.append(1)
            batch.types.append("grant.suspended.1")
            batch.data.append(DATA)
            batch.actors.append("staff:018f0000-0000-7000-8000-000000000000")
            batch.on_behalf_of.append(None)
        return batch

    def write(self, batches: Sequence[Batch]) -> None:
        """Append these, one after the other."""
        for batch in batches:
            answer = self.recorder.append(batch)
            if answer.status != "o" * BATCH:
                raise RuntimeError(f"the batch was not written: {answer.status}")


def rate(recorders: Sequence[Recorder], seconds: float) -> float:
    """Return commands a second of all recorders together, each in a thread of its own; making the
    batches is not in the time."""
    done, spent = 0, 0.0
    end = time.perf_counter() + seconds
    with ThreadPoolExecutor(len(recorders)) as pool:
        while time.perf_counter() < end:
            work = [[one.batch() for _ in range(CHUNK)] for one in recorders]
            start = time.perf_counter()
            list(pool.map(Recorder.write, recorders, work))
            spent += time.perf_counter() - start
            done += len(recorders) * CHUNK * BATCH
    return done / spent


def run(plan: Plan) -> Result:
    """Measure one tenant, whose batches take turns, and two side by side."""
    with database() as made:
        recorders = [Recorder(made) for _ in range(2)]
        rows = plain_database(made, "rows")
        sides = [
            Side("append, batches of 64", "commands/s", lambda s: rate(recorders[:1], s)),
            Side("two tenants at once", "commands/s", lambda s: rate(recorders, s)),
            Side("pgbench -c 32", "commits/s", lambda s: pgbench(rows, len(DATA), 32, s)),
        ]
        figures = in_turn(sides, plan)
        for one in recorders:
            one.datastore.close()
    two = statistics.median(figures[sides[1].name])
    return compare(
        sides[0],
        [(sides[2], 1.8, "higher")],
        figures,
        name="recorder",
        note=f"two tenants at once: {two:,.0f} commands/s; a tenant's batches take turns, and"
        " pgbench's 32 connections do not",
    )
