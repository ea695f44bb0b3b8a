"""`as_of`: what was allowed at an old instant as an old position knew it, against what is allowed
now, both asked of the database.
"""

from __future__ import annotations

import random
import time
from collections.abc import Iterator, Sequence
from datetime import datetime
from itertools import cycle

import psycopg
from psycopg.rows import TupleRow, tuple_row

from projections.check_rows import check_once
from projections.checks import Question
from projections.inline import FOLDS
from replay.rebuild import rebuild
from replay.sources import Stored
from tests.bench.logs import Copied, family, lengthen, owner
from tests.bench.measure import Plan, Result, Side, compare, in_turn
from tests.bench.stage import database
from tests.support.ledger import clock
from tests.support.world import World

EVENTS = 1_000_000
GRANTS = 3
"""Grants a customer."""

HOLDS = 4
"""How often each was suspended and resumed: as often do its rows change."""

SEED = 5


class Asked:
    """A customer's question after another, on one connection of the service's role."""

    def __init__(self, conn: psycopg.Connection[TupleRow], questions: Sequence[Question]) -> None:
        self._conn = conn
        self._questions: Iterator[Question] = cycle(questions)

    def run(self, seconds: float) -> float:
        """Return the milliseconds of a check."""
        done, start = 0, time.perf_counter()
        while time.perf_counter() - start < seconds:
            decision = check_once(self._conn, next(self._questions), clock())
            if not decision.allowed:
                raise RuntimeError(f"denied: {decision.explanation().code}")
            done += 1
        return 1000 * (time.perf_counter() - start) / done


def run(plan: Plan) -> Result:
    """Measure with a million events."""
    with database() as made:
        world = World(made)
        held, less = family(world, GRANTS, HOLDS), family(world, GRANTS, HOLDS // 2)
        tenant = world.tenant
        world.close()
        copied = lengthen(made, tenant, [*held, *less], int(EVENTS * plan.scale))
        rebuild(made.migrator, tenant, list(FOLDS), accept=True, workers=2)  # none are there yet
        with owner(made) as conn:
            conn.execute("VACUUM ANALYZE permissions, standings, points")
        position, instant = _past(copied, held[1:])
        copies = list(range(copied.copies))
        random.Random(SEED).shuffle(copies)
        old, new = ([copied.stream(one[0], copy) for copy in copies] for one in (held, less))
        then = [_question(tenant, one, position, instant) for one in old]
        with psycopg.connect(made.service, autocommit=True, row_factory=tuple_row) as conn:
            sides = [
                Side("a position and an instant of the past", "ms", Asked(conn, then).run),
                *(
                    Side(name, "ms", Asked(conn, [_question(tenant, one) for one in ones]).run)
                    for name, ones in (("now, as many rows", new), ("now, the same grants", old))
                ),
            ]
            figures = in_turn(sides, plan)
    return compare(
        sides[0], [(side, 1.5, "lower") for side in sides[1:]], figures, name="as_of",
        note=f"{copied.base + copied.events:,} events; customers with {GRANTS} grants, suspended"
        f" and resumed {HOLDS} times, asked for as half of that had left them; against those with"
        f" {HOLDS // 2} times, and against the same as they are now",
    )  # fmt: skip


def _past(copied: Copied, grants: Sequence[str]) -> tuple[int, datetime]:
    """Return a position that knew half of the holds, and the instant at which all grants ran."""

    def acts(name: str) -> list[Stored]:
        return [one for one in copied.acts if one.stream_id in grants and one.type == name]

    half = acts("grant.resumed.1")[len(grants) * HOLDS // 2 - 1]
    return copied.after(half.version, half.stream_id), acts("grant.activated.1")[-1].recorded_at


def _question(
    tenant: str, customer: str, as_of: int | None = None, at: datetime | None = None
) -> Question:
    return Question(
        tenant=tenant,
        subject=f"customer:{customer}",
        action="sell",
        resource_type="territory",
        resource_id="CN/31",
        properties={"product": "tea"},
        as_of=as_of,
        at=at,
    )
