"""`replay`: a stored log folded to the states of all its streams, in memory, by one process."""

from __future__ import annotations

import time
from typing import Any

import psycopg
from psycopg.conninfo import make_conninfo

from api.provisioning import Database
from replay.folds import states
from replay.reader import opened
from tests.bench.measure import Plan, Result, Side, compare, in_turn
from tests.bench.stage import database
from tests.support.world import World

GRANTS = 30_000
ACTS = 6
"""Events a grant, of one that is asked for, checked, approved and in force."""

_COPIES = """
INSERT INTO events
SELECT e.tenant_id, %(head)s + (e.version - 1) * %(n)s + i,
       ('019a0000-0000-7000-8000-' || lpad(to_hex(i), 12, '0'))::uuid,
       e.version, e.type, e.recorded_at, e.actor, e.on_behalf_of, e.command_id, e.causation, e.data
FROM events e, generate_series(1, %(n)s) i WHERE e.stream_id = %(grant)s
"""
_COLUMNS = (
    "position, stream_id, version, type, recorded_at, actor, on_behalf_of, command_id, causation,"
    " data"
)


class Log:
    """A tenant with one grant as it was made by real commands, and copies of it."""

    def __init__(self, made: Database, grants: int) -> None:
        self._made = made
        world = World(made)
        grant = world.active()
        self.tenant = world.tenant
        world.close()
        with self._owner() as conn:
            row = conn.execute(
                "SELECT position FROM ledgers WHERE tenant_id = %s", (self.tenant,)
            ).fetchone()
            if row is None:
                raise RuntimeError("the tenant has no log")
            conn.execute(_COPIES, {"head": row[0], "n": grants, "grant": grant})
            self.events: int = row[0] + ACTS * grants
            conn.execute(
                "UPDATE ledgers SET position = %s WHERE tenant_id = %s", (self.events, self.tenant)
            )
            conn.execute("VACUUM ANALYZE events")

    def fold(self, _: float) -> float:
        """Return events a second, from the stored log to every stream's state."""
        start = time.perf_counter()
        with opened(self._made.auditor, self.tenant) as source:
            found = states(source)
        took = time.perf_counter() - start
        if sum(version for _, version, _ in found.values()) != self.events:
            raise RuntimeError("not every event was folded")
        return self.events / took

    def copy(self, _: float) -> float:
        """Return rows a second of the same rows by COPY, looked at by nobody: the floor."""
        start = time.perf_counter()
        with self._owner() as conn, conn.cursor() as cursor:
            every = f"SELECT {_COLUMNS} FROM events ORDER BY position"
            with cursor.copy(f"COPY ({every}) TO STDOUT (FORMAT binary)".encode()) as rows:
                for _chunk in rows:
                    pass
        return self.events / (time.perf_counter() - start)

    def _owner(self) -> psycopg.Connection[Any]:
        if self._made.admin is None:
            raise RuntimeError("the floor needs an administrator of the server")
        address = make_conninfo(self._made.admin, dbname=self._made.name)
        return psycopg.connect(address, autocommit=True)


def run(plan: Plan) -> Result:
    """Measure."""
    with database() as made:
        log = Log(made, max(100, int(GRANTS * plan.scale)))
        ours = Side("stored log to states in memory", "events/s", log.fold)
        floor = Side("COPY of the same rows", "rows/s", log.copy)
        figures = in_turn([ours, floor], plan)
        return compare(ours, [(floor, 0.10, "higher")], figures, name="replay")
