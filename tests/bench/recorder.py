"""`recorder`: the append function alone, in batches of 64 one-event commands."""

from __future__ import annotations

import time
from uuid import UUID

from api.provisioning import Database
from domain.batches import Batch
from domain.recorder import LedgerDatastore, LedgerRecorder
from tests.bench.measure import Plan, Result, Side, compare, in_turn
from tests.bench.stage import database, pgbench, plain_database
from tests.support.ledger import make_tenant, new_id

BATCH = 64
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

    def run(self, seconds: float) -> float:
        """Return commands a second."""
        done, spent = 0, 0.0
        end = time.perf_counter() + seconds
        while time.perf_counter() < end:
            batch = self.batch()
            start = time.perf_counter()
            answer = self.recorder.append(batch)
            spent += time.perf_counter() - start
            if answer.status != "o" * BATCH:
                raise RuntimeError(f"the batch was not written: {answer.status}")
            done += BATCH
        return done / spent


def run(plan: Plan) -> Result:
    """Measure."""
    with database() as made:
        recorder = Recorder(made)
        rows = plain_database(made, "rows")
        sides = [
            Side("append, batches of 64", "commands/s", recorder.run),
            Side("pgbench -c 32", "commits/s", lambda s: pgbench(rows, len(DATA), 32, s)),
        ]
        figures = in_turn(sides, plan)
        recorder.datastore.close()
    return compare(sides[0], [(sides[1], 1.8, "higher")], figures, name="recorder")
