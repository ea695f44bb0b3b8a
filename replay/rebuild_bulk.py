"""The bulk of a rebuild: streams folded range by range, each once, their finished rows loaded; any
number of workers side by side.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Final, LiteralString
from uuid import UUID

import msgspec
import psycopg
from psycopg import sql

from domain.events import stream_kind
from projections import history
from projections.folding import Stored
from projections.refolding import Refold
from projections.store import Quarantine
from projections.tables import TABLES, Table
from replay.folds import without_collector
from replay.rebuild_plan import Conn, Plan, acting, connect

FETCH: Final = 2_000
"""Events fetched at once."""

ROWS: Final = 4_000
"""Rows kept back until they are written together."""

_encoder = msgspec.json.Encoder()

Row = Mapping[str, Any]


def work(url: str, plan: Plan, parent: int | None = None) -> int:
    """Do ranges until none is left that nobody does; return how many events were folded.

    `parent`: the process that this one must not outlive. Raises `NewerEvent`, `psycopg.Error`.
    """
    with connect(url) as conn:
        return do_ranges(conn, plan, lambda _: parent is None or os.getppid() == parent)


def do_ranges(conn: Conn, plan: Plan, go_on: Callable[[int], bool]) -> int:
    """Do ranges until none is left or `go_on`, asked after each with the events so far, says no."""
    done = 0
    with without_collector():
        while go_on(done):
            events = _range(conn, plan)
            if events is None:
                break
            done += events
    return done


def progress(conn: Conn, plan: Plan) -> tuple[int, int]:
    """Return how many events of the ranges are done, and how many ranges are left."""
    with acting(conn, plan.tenant):
        row = conn.execute(_PROGRESS, (plan.tenant, plan.rebuild)).fetchone()
    return (0, 0) if row is None else (int(row[0]), int(row[1]))


def _range(conn: Conn, plan: Plan) -> int | None:
    """Do one range in one transaction; None where none is left.

    A crash before its commit leaves nothing of the range, and whoever asks next is given it again;
    after it, its rows and the word that they are there. Rows and word go together also where the
    server loses the last commits, so it need not wait for the disk.
    """
    with acting(conn, plan.tenant):
        conn.execute("SET LOCAL synchronous_commit = off")
        claimed = conn.execute(_CLAIM, (plan.tenant, plan.rebuild)).fetchone()
        if claimed is None:
            return None
        number, low, high = claimed
        since = conn.execute(
            "SELECT stream_id::text, position FROM quarantined"
            " WHERE tenant_id = %s AND code <> 'table.differs'",
            (plan.tenant,),
        ).fetchall()
        refold = Refold(plan.tenant, dict.fromkeys(plan.models, plan.base), dict(since))
        loader = Loader(conn, plan.tenant, {name: one[0] for name, one in plan.models.items()})
        events = 0
        stream = ""
        for stored in _events(conn, plan, low, high):
            if stored.stream_id != stream:
                if stream:
                    refold.end()
                stream = stored.stream_id
                refold.begin(stream, stream_kind(stored.type))
                loader.take(refold.rows)
            refold.add(stored)
            events += 1
        if stream:
            refold.end()
        loader.take(refold.rows, most=0)
        write_faults(conn, plan, [*refold.faults, *loader.faults])
        conn.execute(
            "UPDATE rebuild_ranges SET events = %s"
            " WHERE tenant_id = %s AND rebuild_id = %s AND number = %s",
            (events, plan.tenant, plan.rebuild, number),
        )
    return events


def _events(conn: Conn, plan: Plan, low: UUID | None, high: UUID | None) -> Iterator[Stored]:
    """Yield the events of a range, stream by stream, oldest first."""
    conn.execute("SET LOCAL enable_seqscan = off")
    statement = _WHOLE if history.NAME in plan.models else _SHORT
    given = {"tenant": UUID(plan.tenant), "base": plan.base, "low": low, "high": high}
    with conn.cursor("range", binary=True) as cursor:
        cursor.itersize = FETCH
        cursor.execute(statement, given)
        for row in cursor:
            yield Stored(*row)


def write_faults(conn: Conn, plan: Plan, faults: Sequence[Quarantine]) -> None:
    """Write down streams that cannot be folded, in the caller's transaction."""
    for one in faults:
        conn.execute(_FAULT, (plan.tenant, plan.rebuild, *one))


class Loader:
    """Writes finished rows into generations: `generations` is read model -> number.

    A row that the database takes for none is left out, and its stream is a fault.
    """

    def __init__(self, conn: Conn, tenant: str, generations: Mapping[str, int]) -> None:
        self.faults: list[Quarantine] = []
        self._conn = conn
        self._tenant = UUID(tenant)
        self._generations = generations

    def take(self, rows: dict[str, list[dict[str, Any]]], most: int = ROWS) -> None:
        """Write the rows of each table that has more than `most`, and take them out of `rows`."""
        for name in [name for name, found in rows.items() if len(found) > most]:
            self._write(TABLES[name], rows.pop(name))

    def _write(self, table: Table, rows: Sequence[Row]) -> None:
        try:
            with self._conn.transaction():
                self._insert(table, rows)
        except (psycopg.DataError, psycopg.IntegrityError) as fault:
            if len(rows) > 1:
                half = len(rows) // 2
                self._write(table, rows[:half])
                self._write(table, rows[half:])
                return
            stream = rows[0].get(table.key[0])
            position = rows[0].get("position")
            if not isinstance(stream, str) or not isinstance(position, int):
                raise fault from None  # `append` had this row: then it is no fault of the stream's
            self.faults.append(Quarantine(stream, position, table.name, "event.not_applied"))

    def _insert(self, table: Table, rows: Sequence[Row]) -> None:
        generation = self._generations[table.projection]
        document = _encoder.encode(rows).decode()
        self._conn.execute(INSERTS[table.name], (self._tenant, generation, document))


def _insert(table: Table) -> sql.Composed:
    return sql.SQL(
        "INSERT INTO {table} (tenant_id, generation, {columns})"
        " SELECT %s, %s, r.* FROM json_to_recordset(%s::json) AS r({typed})"
    ).format(
        table=sql.Identifier(table.name),
        columns=sql.SQL(", ").join(map(sql.Identifier, table.columns)),
        typed=sql.SQL(", ").join(
            sql.SQL("{} {}").format(sql.Identifier(name), sql.SQL(_TYPES[kind]))
            for name, kind in table.columns.items()
        ),
    )


_TYPES: Final[Mapping[str, LiteralString]] = {
    "text": "text",
    "text[]": "text[]",
    "jsonb": "jsonb",
    "integer": "integer",
    "bigint": "bigint",
    "boolean": "boolean",
    "timestamptz": "timestamptz",
    "uuid": "uuid",
    "tstzmultirange": "tstzmultirange",
}

INSERTS: Final[Mapping[str, sql.Composed]] = {name: _insert(one) for name, one in TABLES.items()}
"""Table -> the statement that adds rows given as one JSON document (tenant, generation, document).
"""

_CLAIM: LiteralString = (
    "SELECT number, low, high FROM rebuild_ranges"
    " WHERE tenant_id = %s AND rebuild_id = %s AND events IS NULL"
    " ORDER BY number LIMIT 1 FOR UPDATE SKIP LOCKED"
)
_PROGRESS: LiteralString = (
    "SELECT coalesce(sum(events), 0), count(*) FILTER (WHERE events IS NULL) FROM rebuild_ranges"
    " WHERE tenant_id = %s AND rebuild_id = %s"
)
_FAULT: LiteralString = (
    "INSERT INTO rebuild_faults AS f (tenant_id, rebuild_id, stream_id, position, projection, code)"
    " VALUES (%s, %s, %s, %s, %s, %s) ON CONFLICT (tenant_id, rebuild_id, stream_id) DO UPDATE"
    " SET position = excluded.position, projection = excluded.projection, code = excluded.code"
    " WHERE excluded.position < f.position"
)
_FROM: LiteralString = (
    " FROM events WHERE tenant_id = %(tenant)s AND position <= %(base)s"
    " AND stream_id >= coalesce(%(low)s::uuid, '00000000-0000-0000-0000-000000000000')"
    " AND (%(high)s::uuid IS NULL OR stream_id < %(high)s::uuid) ORDER BY stream_id, version"
)
_SHORT: LiteralString = "SELECT position, stream_id::text, version, type, recorded_at, data" + _FROM
_WHOLE: LiteralString = (
    "SELECT position, stream_id::text, version, type, recorded_at, data, actor, on_behalf_of,"
    " command_id::text, causation" + _FROM
)
