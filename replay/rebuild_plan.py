"""What a rebuild is going to do, written down so that it can be taken up again: the generations it
fills, and the ranges of streams.
"""

from __future__ import annotations

from collections.abc import Collection, Generator, Mapping
from contextlib import contextmanager
from itertools import pairwise
from types import MappingProxyType
from typing import Any, Final, LiteralString, NamedTuple
from uuid import UUID, uuid4

import psycopg
from psycopg import sql
from psycopg.rows import TupleRow, tuple_row
from psycopg.types.json import Jsonb

from projections import inline, models
from projections.migrate import OWNER
from projections.tables import TABLES

FOLDS: Final[Mapping[str, int]] = MappingProxyType({**inline.FOLDS, **models.FOLDS})
"""Every read model of this release and its fold version."""

CONNECT_SECONDS: Final = 10
LOCK_SPACE: Final = 0x0C5EB
"""The advisory locks of rebuilds; the second number is made of the tenant's id."""

RANGE_EVENTS: Final = 20_000
"""About so many events are folded in one transaction."""

SAMPLES: Final = 8
"""Places looked at for each range, to find where it should end."""

MAX_RANGES: Final = 5_000

Conn = psycopg.Connection[TupleRow]


class RebuildRefused(Exception):
    """A rebuild cannot begin or go on: a stable code, and what it is about."""

    def __init__(self, code: str, **params: Any) -> None:
        super().__init__(code)
        self.code = code
        self.params = params


class Plan(NamedTuple):
    """A rebuild under way: `models` is read model -> (generation, fold version); streams are folded
    up to the position `base` in ranges, what came later follows. `resumed`: begun by an earlier
    run.
    """

    tenant: str
    rebuild: UUID
    models: Mapping[str, tuple[int, int]]
    base: int
    resumed: bool

    def generation(self, projection: str) -> int:
        return self.models[projection][0]


def connect(url: str) -> Conn:
    """Connect as the operator, in the owner's place; in autocommit. Raises `psycopg.Error`, also
    where the role may not take that place.
    """
    conn = psycopg.connect(
        url, autocommit=True, row_factory=tuple_row, connect_timeout=CONNECT_SECONDS
    )
    try:
        conn.execute(sql.SQL("SET ROLE {}").format(sql.Identifier(OWNER)))
        conn.execute("SET timezone = 'UTC'")
    except psycopg.Error:
        conn.close()
        raise
    return conn


@contextmanager
def acting(conn: Conn, tenant: str) -> Generator[None]:
    """Begin a transaction on one tenant; it commits with the block."""
    with conn.transaction():
        conn.execute("SELECT set_config('counterseal.tenant', %s, true)", (tenant,))
        yield


@contextmanager
def alone(conn: Conn, tenant: str) -> Generator[None]:
    """Keep other rebuilds of this tenant out; the lock goes with the connection.

    Raises `RebuildRefused`: `rebuild.running`.
    """
    row = conn.execute(
        "SELECT pg_try_advisory_lock(%s, hashtext(%s))", (LOCK_SPACE, tenant)
    ).fetchone()
    if row is None or not row[0]:
        raise RebuildRefused("rebuild.running")
    try:
        yield
    finally:
        if not conn.closed:
            conn.execute("SELECT pg_advisory_unlock(%s, hashtext(%s))", (LOCK_SPACE, tenant))


def plan(
    conn: Conn,
    tenant: str,
    wanted: Collection[str],
    folds: Mapping[str, int] = FOLDS,
    range_events: int = RANGE_EVENTS,
) -> Plan:
    """Take up the rebuild that was begun, or begin one; to be called by who is `alone`.

    What was begun for other read models or by another release is thrown away. Raises
    `RebuildRefused`: `rebuild.unknown_model`, `rebuild.unknown_tenant`.
    """
    unknown = sorted(set(wanted) - set(folds))
    if unknown:
        raise RebuildRefused("rebuild.unknown_model", models=", ".join(unknown))
    asked = {name: folds[name] for name in wanted}
    begun = read_plan(conn, tenant)
    if begun is not None:
        if {name: fold for name, (_, fold) in begun.models.items()} == asked:
            return begun
        throw_away(conn, begun)
    with acting(conn, tenant):
        # A crash before this commit leaves nothing of the rebuild; after it, one without rows, that
        # the next run takes up.
        return _begin(conn, tenant, asked, range_events)


def read_plan(conn: Conn, tenant: str) -> Plan | None:
    """Return the rebuild that was begun, None where there is none."""
    with acting(conn, tenant):
        row = conn.execute(
            "SELECT rebuild_id, models, base FROM rebuilds WHERE tenant_id = %s", (tenant,)
        ).fetchone()
    if row is None:
        return None
    listed: dict[str, tuple[int, int]] = {name: (one[0], one[1]) for name, one in row[1].items()}
    return Plan(tenant, row[0], listed, row[2], resumed=True)


def throw_away(conn: Conn, begun: Plan) -> None:
    """Remove what a rebuild has written so far, and its plan.

    A crash in between leaves the plan and some of its rows; the next run throws away the rest, or
    takes the plan up and finds its ranges not done.
    """
    with acting(conn, begun.tenant):
        # Waits for a worker that outlived its run: it holds the row of its range.
        conn.execute(
            "UPDATE rebuild_ranges SET events = NULL WHERE tenant_id = %s AND rebuild_id = %s",
            (begun.tenant, begun.rebuild),
        )
        for name, (generation, _) in begun.models.items():
            clear(conn, begun.tenant, name, generation)
        forget(conn, begun)
        conn.execute(
            "DELETE FROM generations g USING unnest(%s::text[], %s::integer[])"
            " AS r(projection, generation) WHERE g.tenant_id = %s AND NOT g.live"
            " AND g.projection = r.projection AND g.generation = r.generation",
            (*_numbers(begun), begun.tenant),
        )
        conn.execute(
            "DELETE FROM checkpoints c USING unnest(%s::text[], %s::integer[])"
            " AS r(projection, generation) WHERE c.tenant_id = %s"
            " AND c.projection = r.projection AND c.generation = r.generation",
            (*_numbers(begun), begun.tenant),
        )


def forget(conn: Conn, begun: Plan) -> None:
    """Remove the plan, in the caller's transaction."""
    for table in ("rebuild_faults", "rebuild_ranges", "rebuilds"):
        conn.execute(
            sql.SQL("DELETE FROM {} WHERE tenant_id = %s AND rebuild_id = %s").format(
                sql.Identifier(table)
            ),
            (begun.tenant, begun.rebuild),
        )


def clear(conn: Conn, tenant: str, projection: str, generation: int) -> int:
    """Remove the rows of one generation, in the caller's transaction; return how many."""
    removed = 0
    for table in TABLES.values():
        if table.projection == projection:
            removed += conn.execute(
                sql.SQL("DELETE FROM {} WHERE tenant_id = %s AND generation = %s").format(
                    sql.Identifier(table.name)
                ),
                (tenant, generation),
            ).rowcount
    return removed


def drop(conn: Conn, tenant: str) -> dict[str, int]:
    """Remove every generation that is not live, half-filled ones and their plan too; return how
    many rows by read model. Moments are left alone.

    Raises `RebuildRefused`: `rebuild.running`.
    """
    with alone(conn, tenant):
        begun = read_plan(conn, tenant)
        if begun is not None:
            throw_away(conn, begun)
        removed: dict[str, int] = {}
        live = dict(conn.execute(_LIVE, (tenant,)).fetchall())
        for name, generation in live.items():
            with acting(conn, tenant):
                removed[name] = sum(
                    conn.execute(
                        sql.SQL(
                            "DELETE FROM {} WHERE tenant_id = %s AND generation > 0"
                            " AND generation <> %s"
                        ).format(sql.Identifier(table.name)),
                        (tenant, generation),
                    ).rowcount
                    for table in TABLES.values()
                    if table.projection == name
                )
                for kept in ("generations", "checkpoints"):
                    conn.execute(
                        sql.SQL(
                            "DELETE FROM {} WHERE tenant_id = %s AND projection = %s"
                            " AND generation > 0 AND generation <> %s"
                        ).format(sql.Identifier(kept)),
                        (tenant, name, generation),
                    )
                # A crash after some read models leaves the others for the next call.
    return {name: count for name, count in removed.items() if count}


_LIVE: LiteralString = (
    "SELECT projection, generation FROM generations WHERE tenant_id = %s AND live"
)


def _numbers(begun: Plan) -> tuple[list[str], list[int]]:
    return list(begun.models), [generation for generation, _ in begun.models.values()]


def _begin(conn: Conn, tenant: str, asked: Mapping[str, int], range_events: int) -> Plan:
    head = conn.execute("SELECT position FROM ledgers WHERE tenant_id = %s", (tenant,)).fetchone()
    if head is None:
        raise RebuildRefused("rebuild.unknown_tenant", tenant=tenant)
    base: int = head[0]
    highest = dict(
        conn.execute(
            "SELECT projection, max(generation) FROM generations WHERE tenant_id = %s"
            " GROUP BY projection",
            (tenant,),
        ).fetchall()
    )
    numbered = {name: (max(0, highest.get(name, 0)) + 1, fold) for name, fold in asked.items()}
    begun = Plan(tenant, uuid4(), numbered, base, resumed=False)
    for name, (generation, fold) in numbered.items():
        clear(
            conn, tenant, name, generation
        )  # nothing is there; were it, it would be taken as ours
        conn.execute(
            "INSERT INTO generations (tenant_id, projection, generation, fold, live)"
            " VALUES (%s, %s, %s, %s, false)",
            (tenant, name, generation, fold),
        )
        conn.execute(
            "INSERT INTO checkpoints (tenant_id, projection, generation, position)"
            " VALUES (%s, %s, %s, %s)",
            (tenant, name, generation, base),
        )
    conn.execute(
        "INSERT INTO rebuilds (tenant_id, rebuild_id, models, base) VALUES (%s, %s, %s, %s)",
        (tenant, begun.rebuild, Jsonb(numbered), base),
    )
    bounds: list[UUID | None] = [None, *_bounds(conn, tenant, base, range_events), None]
    with conn.cursor() as cursor:
        cursor.executemany(
            "INSERT INTO rebuild_ranges (tenant_id, rebuild_id, number, low, high)"
            " VALUES (%s, %s, %s, %s, %s)",
            [
                (tenant, begun.rebuild, number, low, high)
                for number, (low, high) in enumerate(pairwise(bounds))
            ],
        )
    return begun


def _bounds(conn: Conn, tenant: str, base: int, range_events: int) -> list[UUID]:
    """Return ids between which about as many events lie everywhere: those of events at places
    spread evenly over the log, so that nothing is counted.
    """
    number = min(MAX_RANGES, base // range_events)
    if number < 2:
        return []
    sampled = number * SAMPLES
    rows = conn.execute(
        "SELECT e.stream_id FROM generate_series(1, %(n)s) AS u(n) JOIN events e"
        " ON e.tenant_id = %(tenant)s AND e.position = u.n::bigint * %(base)s / %(n)s",
        {"tenant": tenant, "n": sampled, "base": base},
    ).fetchall()
    ids: list[UUID] = sorted(row[0] for row in rows)
    return sorted(set(ids[SAMPLES::SAMPLES]))
