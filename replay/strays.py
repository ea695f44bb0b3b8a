"""Rows of read models that follow from no stream of the log, or that no index finds by theirs: what
a comparison stream by stream does not come to.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final, LiteralString

from psycopg import sql

from projections import history
from projections.tables import HISTORY, HISTORY_KEYS, INLINE, TABLES, Table
from replay.compare import Comparison, Difference
from replay.reader import Database
from replay.rebuild_plan import Conn
from replay.sources import TenantRow
from replay.stream_rows import Live

MOST: Final = 100
"""Such rows of one table that are told."""

NAMES: Final = tuple(TABLES)
"""The tables in the order in which they are looked through."""


def strays(
    conn: Conn, tenant: TenantRow, table: Table, live: Live, keys: tuple[int, int]
) -> Iterator[Difference]:
    """Yield such rows of one table, in one snapshot.

    `keys`: so many rows of `history_keys` up to a position were found by their streams; only where
    there are others the history is compared as a whole, for its rows say nothing of their stream.
    """
    if table is HISTORY_KEYS:
        yield from _keys(conn, tenant, live, keys)
        return
    given = {"tenant": tenant.id, "generation": live.generation, "most": MOST}
    for (row,) in conn.execute(_statement(table), given):
        key = {name: row.get(name) for name in table.key}
        yield Difference(table.name, table.projection, key, "", row, None)


def _keys(conn: Conn, tenant: TenantRow, live: Live, keys: tuple[int, int]) -> Iterator[Difference]:
    upto, found = keys
    row = conn.execute(_COUNT, (tenant.id, live.generation, upto)).fetchone()
    if row is None or row[0] == found:
        return
    told = 0
    for one in Comparison(Database(conn, tenant), [history.NAME]):
        if one.table == HISTORY_KEYS.name and told < MOST:
            told += 1
            yield one


def _statement(table: Table) -> sql.Composed:
    return sql.SQL(
        "SELECT (SELECT row_to_json(r) FROM (SELECT {columns}) r) FROM {table} x"
        " WHERE x.tenant_id = %(tenant)s AND x.generation = %(generation)s AND ({stray})"
        " LIMIT %(most)s"
    ).format(
        columns=sql.SQL(", ").join(sql.Identifier("x", name) for name in table.columns),
        table=sql.Identifier(table.name),
        stray=sql.SQL(_stray(table)),
    )


def _stray(table: Table) -> LiteralString:
    if table is HISTORY:
        return (
            "(SELECT true FROM events e WHERE e.tenant_id = x.tenant_id"
            " AND e.position = x.position ORDER BY e.position LIMIT 1) IS NULL"
        )
    # Probed one by one: a join would be planned by statistics that a young table does not have.
    nowhere: LiteralString = (
        "(SELECT true FROM events e WHERE e.tenant_id = x.tenant_id AND e.stream_id = ("
        + table.owner
        + ") ORDER BY e.version LIMIT 1) IS NULL"
    )
    return _ALSO.get(table.name, "") + nowhere


_PARTY: Final[LiteralString] = "x.party !~ '^(customer|staff):' OR "
_ALSO: Final[Mapping[str, LiteralString]] = {
    INLINE["g"].name: "x.known_from <= 0 OR ",
    **{INLINE[letter].name: _PARTY for letter in "sam"},
}
_COUNT: Final[LiteralString] = (
    "SELECT count(*) FROM history_keys WHERE tenant_id = %s AND generation = %s AND position <= %s"
)
