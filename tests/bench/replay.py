"""`replay`: a stored log folded to the states of all its streams, in memory, by one process."""

from __future__ import annotations

import time

from api.provisioning import Database
from replay.folds import states
from replay.reader import opened
from tests.bench.logs import lengthen, owner
from tests.bench.measure import Plan, Result, Side, compare, in_turn
from tests.bench.stage import database
from tests.support.world import World

GRANTS = 30_000
ACTS = 6
"""Events a grant, of one that is asked for, checked, approved and in force."""

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
        copied = lengthen(made, self.tenant, [grant], ACTS * grants)
        self.events = copied.base + copied.events

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
        with owner(self._made) as conn, conn.cursor() as cursor:
            every = f"SELECT {_COLUMNS} FROM events ORDER BY position"
            with cursor.copy(f"COPY ({every}) TO STDOUT (FORMAT binary)".encode()) as rows:
                for _chunk in rows:
                    pass
        return self.events / (time.perf_counter() - start)


def run(plan: Plan) -> Result:
    """Measure."""
    with database() as made:
        log = Log(made, max(100, int(GRANTS * plan.scale)))
        ours = Side("stored log to states in memory", "events/s", log.fold)
        floor = Side("COPY of the same rows", "rows/s", log.copy)
        figures = in_turn([ours, floor], plan)
        return compare(ours, [(floor, 0.10, "higher")], figures, name="replay")
