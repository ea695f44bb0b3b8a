"""Whether the process lives, whether it can serve, and what it counts; without a key."""

from __future__ import annotations

import asyncio
from typing import Any, Final, NamedTuple

import psycopg
from psycopg.rows import tuple_row
from psycopg_pool import PoolClosed, PoolTimeout

from api.problems import Answered
from api.routes.operations import Call, Operation, answered
from domain.errors import Refused
from projections import migrate

READY_SECONDS: Final = 3.0
"""A database that takes longer to answer is not ready."""

LAG = """
SELECT c.projection, max(l.position - c.position)
FROM checkpoints c
JOIN generations g USING (tenant_id, projection, generation)
JOIN ledgers l USING (tenant_id)
WHERE g.live AND c.projection <> ALL (%s)
GROUP BY c.projection
"""

FINDINGS = """
SELECT coalesce(sum(s.differences), 0), coalesce(sum(s.quarantined), 0),
       (SELECT coalesce(max(l.position - coalesce(v.position, 0)), 0) FROM generations g
        JOIN ledgers l USING (tenant_id)
        LEFT JOIN verified v USING (tenant_id, projection, generation) WHERE g.live)
FROM sweeps s
"""


class Readiness(NamedTuple):
    """What a look at the database found."""

    database: bool
    migrations: bool
    lag: dict[str, int]


async def live(_: Call) -> Answered:
    """Answer without asking anything: the process is there and its loop turns."""
    return answered({"status": "live"})


async def ready(call: Call) -> Answered:
    """Answer 200 where commands and checks can be served, else 503 with what is missing."""
    found = Readiness(False, False, {})
    try:
        async with asyncio.timeout(READY_SECONDS):
            found = await call.work(look, call)
    except (TimeoutError, psycopg.Error, PoolTimeout, PoolClosed, Refused):
        pass  # not ready is the answer
    good = found.database and found.migrations
    document = {
        "status": "ready" if good else "not_ready",
        "database": found.database,
        "migrations": found.migrations,
        "lag": found.lag,
    }
    return answered(document, 200 if good else 503)


def look(call: Call) -> Readiness:
    """Ask the database; `lag` is in events, the worst tenant's, by read model. Blocks."""
    inline = call.services.ledgers.inline
    written_at_once = [] if inline is None else list(inline.folds)
    pool = call.services.ledgers.pool
    with pool.connection() as connection, connection.cursor(row_factory=tuple_row) as asked:
        rows: list[tuple[str, int]] = asked.execute(LAG, (written_at_once,)).fetchall()
        known = asked.execute("SELECT max(number) FROM public.schema_migrations").fetchone()
        counted = asked.execute(FINDINGS).fetchone()
    latest = migrate.migrations(migrate.FOLDER)[-1].number
    lag = {projection: max(0, behind) for projection, behind in rows}
    for projection, behind in lag.items():
        call.services.measures.lag.labels(projection).set(behind)
    if counted is not None:
        call.services.measures.looked(*map(int, counted))
    return Readiness(True, known is not None and known[0] == latest, lag)


async def metrics(call: Call) -> Answered:
    """Answer with the counters in Prometheus' text format."""
    headers: list[tuple[bytes, bytes]] = [(b"content-type", b"text/plain; version=0.0.4")]
    return Answered(200, headers, call.services.measures.text())


def _open(name: str, path: str, summary: str, summary_zh: str, handle: Any, **more: Any) -> Any:
    return Operation(
        name=name,
        method="GET",
        path=path,
        scope=None,
        summary=summary,
        summary_zh=summary_zh,
        handle=handle,
        **more,
    )


OPERATIONS: Final[tuple[Operation, ...]] = (
    _open("health.live", "/livez", "Whether the process lives", "进程是否存活", live),
    _open("health.ready", "/readyz", "Whether it can serve", "是否可以服务", ready),
    _open(
        "health.metrics",
        "/metrics",
        "Counters for Prometheus",
        "Prometheus 指标",
        metrics,
        media_type="text/plain",
    ),
)
