"""The live rows of some streams, found by the tables' own indexes, and the same rows as the log has
them.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from itertools import chain
from typing import Any, Final, LiteralString, NamedTuple
from uuid import UUID

from psycopg import sql

from domain.events import stream_kind
from projections.folding import Stored
from projections.refolding import Refold
from projections.store import Quarantine
from projections.tables import HISTORY, HISTORY_KEYS, INLINE, TABLES, Table
from replay.comparable import Row, as_written
from replay.compare import Difference, against
from replay.rebuild_plan import Conn

POINTS: Final = INLINE["p"].name
_PARTIES: Final = frozenset({INLINE[letter].name for letter in "sam"})


class Live(NamedTuple):
    """A live read model: its generation, its fold version, and the position its rows are of."""

    generation: int
    fold: int
    position: int


class Folded(NamedTuple):
    """Some streams folded from their first event: rows by table, and what could not be folded."""

    streams: tuple[str, ...]
    positions: tuple[int, ...]
    rows: Mapping[str, Sequence[Row]]
    faults: tuple[Quarantine, ...]


def live_models(conn: Conn, tenant: str, inline: Iterable[str]) -> dict[str, Live]:
    """Return the live read models by name; those written by `append` are as far as the head."""
    rows = conn.execute(_MODELS, {"tenant": tenant, "inline": list(inline)}).fetchall()
    return {name: Live(generation, fold, position) for name, generation, fold, position in rows}


def events_of(conn: Conn, tenant: str, streams: Sequence[str]) -> list[Stored]:
    """Return every event of some streams, stream by stream, oldest first."""
    cursor = conn.cursor(binary=True).execute(_EVENTS, (UUID(tenant), list(map(UUID, streams))))
    return [Stored(*row) for row in cursor.fetchall()]


def folded(
    tenant: str,
    events: Sequence[Stored],
    models: Mapping[str, Live],
    since: Mapping[str, int],
) -> Folded:
    """Return what whole streams amount to, each read model as of the position its rows are of.

    `since`: streams with an event that cannot be applied, and its position. Raises `NewerEvent`.
    """
    refold = Refold(tenant, {name: live.position for name, live in models.items()}, since)
    streams: dict[str, None] = {}
    for stored in events:
        if stored.stream_id not in streams:
            if streams:
                refold.end()
            streams[stored.stream_id] = None
            refold.begin(stored.stream_id, stream_kind(stored.type))
        refold.add(stored)
    if streams:
        refold.end()
    rows = {name: as_written(found) for name, found in refold.rows.items()}
    positions = tuple(stored.position for stored in events)
    return Folded(tuple(streams), positions, rows, tuple(refold.faults))


def tables_of(models: Mapping[str, Live]) -> list[Table]:
    """Return the tables of these read models."""
    return [table for table in TABLES.values() if table.projection in models]


def live_rows(conn: Conn, tenant: str, table: Table, generation: int, of: Folded) -> list[Row]:
    """Return the rows of a table that follow from these streams, as far as an index finds them.

    What no index finds, `replay.strays` looks for.
    """
    given: dict[str, Any] = {
        "tenant": tenant,
        "generation": generation,
        "ids": list(map(UUID, of.streams)),
        "texts": list(of.streams),
    }
    if table is HISTORY:
        given["positions"] = list(of.positions)
    elif table is HISTORY_KEYS:
        keys = of.rows.get(table.name, ())
        for name in table.key:
            given[name] = [row[name] for row in keys]
        return [row[0] for row in conn.execute(_KEYS, given).fetchall()]
    elif table.name in _PARTIES:
        given["parties"] = [f"{kind}:{one}" for one in of.streams for kind in ("customer", "staff")]
    wheres = _wheres(table, catalogue=tenant in of.streams)
    found = (conn.execute(_select(table, where), given).fetchall() for where in wheres)
    return [row[0] for row in chain.from_iterable(found)]


def differing(
    conn: Conn, tenant: str, models: Mapping[str, Live], of: Folded
) -> tuple[list[Difference], list[int]]:
    """Return what differs between the live rows of these streams and what the log says, and the
    positions of the live rows of `history_keys`.

    Of streams that cannot be folded the rows that `append` wrote are left out: what they must be
    nobody knows, and the streams are in quarantine.
    """
    found: list[Difference] = []
    keys: list[int] = []
    broken = {fault.stream_id for fault in of.faults}
    for table in tables_of(models):
        live = live_rows(conn, tenant, table, models[table.projection].generation, of)
        differences = against(table, live, of.rows.get(table.name, ()))
        if broken and table in INLINE.values():
            differences = (
                one for one in differences if owner_of(tenant, table, one.key, {}) not in broken
            )
        found += differences
        if table is HISTORY_KEYS:
            keys = [row["position"] for row in live]
    return found, keys


def owner_of(
    tenant: str, table: Table, key: Mapping[str, Any], positions: Mapping[int, str]
) -> str | None:
    """Return the id of the stream that a row follows from, as `Table.owner` does; `positions`:
    position -> stream, for rows that stand for an event.
    """
    if table.by_event:
        return positions.get(key["position"])
    name = table.key[0]
    if table.name in _PARTIES:
        return _id(str(key["party"]).partition(":")[2])
    if table.name == POINTS:
        dimension = str(key["dimension"]).partition("/")[0]
        return _id(str(key["path"])) if dimension == "customer" else tenant
    return _id(str(key["grant_id" if "grant_id" in key else name]))


def resting_on(table: Table, key: Mapping[str, Any]) -> str | None:
    """Return a further stream that checks find this row by: the customer of an assignment."""
    dimension = str(key.get("dimension", ""))
    if table.name == POINTS and dimension.startswith("customer/"):
        return _id(dimension.partition("/")[2])
    return None


def _id(text: str) -> str | None:
    try:
        return str(UUID(text)) if len(text) == 36 else None
    except ValueError:
        return None


def _wheres(table: Table, *, catalogue: bool) -> list[LiteralString]:
    """Return which rows are looked for, each by an index."""
    if table.name == POINTS:
        return [_ASSIGNED, _CUSTOMERS, *([_CATALOGUE] if catalogue else [])]
    if table.name in _PARTIES:
        return ["x.party = ANY (%(parties)s)"]
    return [_BY_TABLE.get(table.name) or _BY_KEY[table.key[0]]]


_BY_TABLE: Final[Mapping[str, LiteralString]] = {
    "permissions": "x.grant_id = ANY (%(ids)s) AND x.known_from > 0",
    "history": "x.position = ANY (%(positions)s)",
}
_BY_KEY: Final[Mapping[str, LiteralString]] = {
    "grant_id": "x.grant_id = ANY (%(ids)s)",
    "customer_id": "x.customer_id = ANY (%(ids)s)",
    "policy_id": "x.policy_id = ANY (%(ids)s)",
    "staff_id": "x.staff_id = ANY (%(ids)s)",
    "stream_id": "x.stream_id = ANY (%(ids)s)",
    "person": "x.person = ANY (%(texts)s)",
}
# Probed one by one, in the order of the index: a join would read the whole table.
_KEYS: Final[LiteralString] = (
    "SELECT (SELECT row_to_json(r) FROM (SELECT x.key, x.at, x.position) r)"
    " FROM unnest(%(key)s::text[], %(at)s::timestamptz[], %(position)s::bigint[]) AS u(k, a, p)"
    " CROSS JOIN LATERAL (SELECT h.key, h.at, h.position FROM history_keys h"
    " WHERE h.tenant_id = %(tenant)s AND h.generation = %(generation)s"
    " AND h.key = u.k AND h.at = u.a AND h.position = u.p"
    " ORDER BY h.key, h.at, h.position LIMIT 1) x"
)
_CUSTOMERS: Final[LiteralString] = "x.dimension = 'customer' AND x.path = ANY (%(texts)s)"
_ASSIGNED: Final[LiteralString] = "x.dimension LIKE 'customer/%%' AND x.path = ANY (%(texts)s)"
_CATALOGUE: Final[LiteralString] = (
    "x.dimension <> 'customer' AND x.dimension NOT LIKE 'customer/%%'"
)


def _select(table: Table, where: LiteralString) -> sql.Composed:
    return sql.SQL(
        "SELECT (SELECT row_to_json(r) FROM (SELECT {columns}) r) FROM {table} x"
        " WHERE x.tenant_id = %(tenant)s AND x.generation = %(generation)s AND {where}"
    ).format(
        columns=sql.SQL(", ").join(sql.Identifier("x", name) for name in table.columns),
        table=sql.Identifier(table.name),
        where=sql.SQL(where),
    )


_MODELS: Final[LiteralString] = (
    "SELECT g.projection, g.generation, g.fold,"
    " CASE WHEN g.projection = ANY (%(inline)s) THEN l.position ELSE c.position END"
    " FROM generations g JOIN checkpoints c USING (tenant_id, projection, generation)"
    " JOIN ledgers l USING (tenant_id) WHERE g.tenant_id = %(tenant)s AND g.live"
)
_EVENTS: Final[LiteralString] = (
    "SELECT position, stream_id::text, version, type, recorded_at, data, actor, on_behalf_of,"
    " command_id::text, causation FROM events WHERE tenant_id = %b AND stream_id = ANY (%b)"
    " ORDER BY stream_id, version"
)
