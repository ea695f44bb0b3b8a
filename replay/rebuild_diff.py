"""What differs between a read model that is live and the one built beside it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final, LiteralString, NamedTuple

from psycopg import IsolationLevel, sql

from projections import inline
from projections.tables import HISTORY, HISTORY_KEYS, TABLES, Table
from replay.rebuild_plan import Conn, Plan

EXAMPLES: Final = 10
"""Rows shown of each table at the most."""


class Difference(NamedTuple):
    """Rows of one table that are not the same in both: how many, and some of them as
    (key, live row, rebuilt row), a row being None where it is not there.

    `same_fold`: the same rules made both, so that they should be equal.
    """

    table: str
    projection: str
    same_fold: bool
    number: int
    examples: tuple[tuple[dict[str, Any], dict[str, Any] | None, dict[str, Any] | None], ...]


def differences(conn: Conn, plan: Plan) -> list[Difference]:
    """Compare the generations of a plan with the live ones, in one snapshot, as far as both have
    followed the log.

    Streams on which something happened between the two are left out of what follows the log; of
    what `append` writes nothing is.
    """
    before = conn.isolation_level
    conn.isolation_level = IsolationLevel.REPEATABLE_READ
    try:
        with conn.transaction():
            conn.execute("SELECT set_config('counterseal.tenant', %s, true)", (plan.tenant,))
            return list(_differences(conn, plan))
    finally:
        conn.isolation_level = before


def _differences(conn: Conn, plan: Plan) -> Iterator[Difference]:
    for table in TABLES.values():
        if table.projection not in plan.models:
            continue
        generation, fold = plan.models[table.projection]
        live = conn.execute(_LIVE, (plan.tenant, table.projection)).fetchone()
        ours = conn.execute(_OURS, (plan.tenant, table.projection, generation)).fetchone()
        if live is None or ours is None:
            continue
        given = {
            "tenant": plan.tenant,
            "old": live[0],
            "new": generation,
            "least": min(live[2], ours[0]),
            "most": max(live[2], ours[0]),
            "limit": EXAMPLES,
        }
        if table.projection in inline.FOLDS:
            given["least"] = ours[0]
        rows = conn.execute(_statement(table), given).fetchall()
        if rows:
            shown = tuple((_key(table, row[1] or row[2]), row[1], row[2]) for row in rows)
            yield Difference(table.name, table.projection, live[1] == fold, rows[0][0], shown)


def _key(table: Table, row: dict[str, Any]) -> dict[str, Any]:
    return {name: row[name] for name in table.key}


def _statement(table: Table) -> sql.Composed:
    """Return the query for rows that differ: how many, the live one, the rebuilt one."""
    columns = sql.SQL(", ").join(_column(table, name) for name in table.columns)
    side = sql.SQL(
        "(SELECT {columns} FROM {table} x"
        " WHERE x.tenant_id = %(tenant)s AND x.generation = {generation} AND {upto})"
    )
    both = [
        side.format(
            columns=columns,
            table=sql.Identifier(table.name),
            generation=sql.Placeholder(which),
            upto=sql.SQL(_upto(table)),
        )
        for which in ("old", "new")
    ]
    same = sql.SQL(" AND ").join(
        sql.SQL("o.{0} = n.{0}").format(sql.Identifier(name)) for name in table.key
    )
    return sql.SQL(
        "SELECT count(*) OVER (), to_jsonb(o), to_jsonb(n) FROM {old} o FULL JOIN {new} n"
        " ON {same} WHERE o IS DISTINCT FROM n LIMIT %(limit)s"
    ).format(old=both[0], new=both[1], same=same)


def _column(table: Table, name: str) -> sql.Composable:
    """A row that was closed after the position compared at was open at it."""
    if table.projection in inline.FOLDS and name == "known_to":
        return sql.SQL("CASE WHEN x.known_to <= %(least)s::bigint THEN x.known_to END AS known_to")
    return sql.SQL("x.{}").format(sql.Identifier(name))


def _upto(table: Table) -> LiteralString:
    if table.projection in inline.FOLDS:
        return "x.known_from <= %(least)s::bigint"
    if table in (HISTORY, HISTORY_KEYS):
        return "x.position <= %(least)s::bigint"
    return (
        "NOT EXISTS (SELECT 1 FROM events e WHERE e.tenant_id = %(tenant)s"
        " AND e.position > %(least)s::bigint AND e.position <= %(most)s::bigint"
        " AND e.stream_id = " + table.owner + ")"
    )


_LIVE: LiteralString = (
    "SELECT g.generation, g.fold, c.position FROM generations g"
    " JOIN checkpoints c USING (tenant_id, projection, generation)"
    " WHERE g.tenant_id = %s AND g.projection = %s AND g.live"
)
_OURS: LiteralString = (
    "SELECT position FROM checkpoints WHERE tenant_id = %s AND projection = %s AND generation = %s"
)
