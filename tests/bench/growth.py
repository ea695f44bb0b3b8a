"""`growth`: what one command, one check and one page cost the database, of a log and of one ten
times as long: they should cost the same, but for the depth of the indexes.

The longer logs are the same tenant's, on the same connections: a plan that was made while the
tables were small is still in use when they are large. Statistics are as autovacuum keeps them.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

import psycopg
from psycopg.rows import tuple_row

from api.provisioning import Database
from tests.bench.growth_asked import Asking
from tests.bench.growth_counts import Cost, Meter
from tests.bench.growth_log import Log, village
from tests.bench.logs import owner
from tests.bench.measure import FULL, LONG, QUICK, TINY, Against, Plan, Result, ratio
from tests.bench.stage import database
from tests.support.world import World

SIZES: Final[Mapping[Plan, tuple[int, ...]]] = MappingProxyType(
    {
        TINY: (1_500, 2_500),
        QUICK: (10_000, 100_000),
        FULL: (100_000, 1_000_000),
        LONG: (100_000, 1_000_000, 5_000_000),
    }
)
"""Events of the logs."""

BUFFERS: Final = 1.5
"""A tree ten or fifty times as large is one level deeper, and a probe of three or four blocks then
costs one more: so much more at the most."""

ROWS: Final = 1.1
"""Rows know nothing of depth: what a page shows and steps over may differ a little with whom it was
asked of, and no more."""

JUDGED: Final = 100_000
"""With fewer events than that a page of a hundred is often not full."""

LINEAR: Final = frozenset({"compliance, approvers"})
"""What counts all there is, and says so: told with the others, and grows with the log."""

Costs = dict[str, Cost]


def counted(made: Database, sizes: tuple[int, ...], grants: int, times: int) -> list[Costs]:
    """Return what every question cost, at one length of the log after another."""
    world = World(made, pool_size=1, writers=1)
    log = Log(made, world.tenant, village(world, grants, max(16, grants * 3 // 5)))
    found: list[Costs] = []
    with (
        owner(made) as observer,
        psycopg.connect(
            made.service, autocommit=True, prepare_threshold=0, row_factory=tuple_row
        ) as conn,
    ):
        meter = Meter(observer, conn, world.ledgers.pool)
        asking = Asking(conn, world, log)
        for size in sizes:
            log.grow(size)
            asked = asking.asked()
            found.append({name: meter.cost(ask, times // 2, times) for name, ask in asked.items()})
    world.close()
    return found


def run(plan: Plan) -> Result:
    """Measure at every size; `value` is the worst ratio of buffers of what should not grow."""
    sizes = SIZES[plan]
    grants, times = {TINY: (10, 1), QUICK: (100, 10)}.get(plan, (100, 20))
    with database() as made:
        found = counted(made, sizes, grants, times)
    against: list[Against] = []
    for size, costs in zip(sizes[1:], found[1:], strict=True):
        for name, cost in costs.items():
            base, word = found[0][name], f"{name}, {size:,} events against {sizes[0]:,}"
            against += [
                ratio(cost.buffers, word, base.buffers, "buffers", BUFFERS, "lower"),
                ratio(cost.rows, word, base.rows, "rows", ROWS, "lower"),
            ]
    ratios = [
        one.ratio
        for one in against
        if one.unit == "buffers" and one.name.partition(f", {sizes[1]:,}")[0] not in LINEAR
    ]
    return Result("growth", max(ratios), "times the buffers", ratios, against, _table(sizes, found))


def _table(sizes: tuple[int, ...], found: list[Costs]) -> str:
    """Return buffers and rows of each question, a line each."""
    lines = ["buffers / rows at " + ", ".join(f"{size:,}" for size in sizes) + " events:"]
    if sizes[0] < JUDGED:
        lines[0] += " (pages of the shortest are not full: longer ones tell more)"
    for name in found[0]:
        figures = "  ".join(f"{one[name].buffers:,.1f} / {one[name].rows:,.1f}" for one in found)
        lines.append(f"    {name}: {figures}")
    return "\n".join(lines)
