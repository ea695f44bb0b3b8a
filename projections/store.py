"""Applies a page of row changes together with the checkpoint: one statement a table, one
transaction.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple
from uuid import UUID

import msgspec
import psycopg
from psycopg import sql
from psycopg.rows import TupleRow

from projections import duties, history
from projections.models import SERIES_MODELS, STREAM_MODELS
from projections.rows import SeriesModel, StreamModel

Conn = psycopg.Connection[TupleRow]

_encoder = msgspec.json.Encoder()


class Held(NamedTuple):
    """A read model of a tenant that this worker has claimed, and how far it is."""

    projection: str
    generation: int
    position: int


class Quarantine(NamedTuple):
    """An event that could not be applied, and what failed."""

    stream_id: str
    position: int
    projection: str
    code: str


class Page:
    """What events up to `position` amount to: rows by read model, a stream's last state once."""

    def __init__(self) -> None:
        self.position = 0
        self.rows: dict[str, dict[str, dict[str, Any]]] = {one.name: {} for one in STREAM_MODELS}
        self.series: dict[str, dict[str, list[dict[str, Any]]]] = {
            one.name: {} for one in SERIES_MODELS
        }
        self.hands: list[dict[str, Any]] = []
        self.void: list[dict[str, Any]] = []
        self.merges: list[dict[str, Any]] = []
        self.kinds: dict[str, dict[str, Any]] = {}
        self.history: list[dict[str, Any]] = []
        self.keys: list[dict[str, Any]] = []
        self.quarantined: list[Quarantine] = []

    def add(self, found: duties.Hands) -> None:
        """Add what one event says about hands."""
        self.hands += found.rows
        self.void += found.void
        self.merges += found.merges
        self.kinds |= {row["grant_id"]: row for row in found.kinds}

    def tell(self, found: history.Row) -> None:
        """Add the line of history of one event."""
        self.history.append(found.row)
        self.keys += found.keys


def apply(conn: Conn, tenant: str, held: Sequence[Held], page: Page) -> None:
    """Write the page into the read models held, and move their checkpoints to its position.

    To be called in the transaction that claimed them. A crash before its commit leaves rows and
    checkpoints as they were, and whoever claims next reads the same page again; after it, both have
    moved. Nothing is applied twice.
    """
    for one in held:
        if one.projection == duties.NAME:
            tables = (
                (_HANDS, page.hands),
                (_VOID, page.void),
                (_KINDS, list(page.kinds.values())),
                (_MERGES, page.merges),
            )
            _apply_tables(conn, tenant, one.generation, tables)
        elif one.projection == history.NAME:
            tables = ((_HISTORY, page.history), (_KEYS, page.keys))
            _apply_tables(conn, tenant, one.generation, tables)
        elif one.projection in page.series:
            _apply_series(conn, tenant, one, page.series[one.projection])
        elif rows := page.rows[one.projection]:
            parameters = (UUID(tenant), one.generation, _document(list(rows.values())))
            conn.execute(_UPSERTS[one.projection], parameters)
    if page.quarantined:
        found = [one._asdict() for one in page.quarantined]
        conn.execute(_QUARANTINE, (UUID(tenant), _document(found)))
    conn.execute(
        _CHECKPOINTS,
        (
            page.position,
            [one.projection for one in held],
            [one.generation for one in held],
            UUID(tenant),
        ),
    )


def _apply_tables(
    conn: Conn,
    tenant: str,
    generation: int,
    tables: Sequence[tuple[sql.SQL, list[dict[str, Any]]]],
) -> None:
    for statement, rows in tables:
        if rows:
            conn.execute(statement, (UUID(tenant), generation, _document(rows)))


def _apply_series(
    conn: Conn, tenant: str, held: Held, streams: Mapping[str, Sequence[Mapping[str, Any]]]
) -> None:
    """Put the rows of these streams in the place of all that were there."""
    if not streams:
        return
    of = sql.Identifier(held.projection)
    conn.execute(_CLEAR.format(of), (list(map(UUID, streams)), UUID(tenant), held.generation))
    rows = [{"stream_id": stream, **row} for stream, own in streams.items() for row in own]
    if rows:
        parameters = (UUID(tenant), held.generation, _document(rows))
        conn.execute(_INSERTS[held.projection], parameters)


def _document(rows: Sequence[Mapping[str, Any]]) -> str:
    return _encoder.encode(rows).decode()


def _upsert(model: StreamModel) -> sql.Composed:
    """Return the statement that writes rows given as one JSON document (tenant, generation,
    document).
    """
    common = {model.key: "uuid", "version": "integer", "position": "bigint"}
    types = common | {"recorded_at": "timestamptz"} | dict(model.columns)
    columns = [sql.Identifier(name) for name in types]
    typed = [
        sql.SQL("{} {}").format(sql.Identifier(name), _type(kind)) for name, kind in types.items()
    ]
    changed = [
        sql.SQL("{0} = excluded.{0}").format(column)
        for name, column in zip(types, columns, strict=True)
        if name != model.key
    ]
    return sql.SQL(
        "INSERT INTO {table} (tenant_id, generation, {columns})"
        " SELECT %s, %s, r.* FROM json_to_recordset(%s::json) AS r({typed})"
        " ON CONFLICT (tenant_id, generation, {key}) DO UPDATE SET {changed}"
    ).format(
        table=sql.Identifier(model.name),
        columns=sql.SQL(", ").join(columns),
        typed=sql.SQL(", ").join(typed),
        key=sql.Identifier(model.key),
        changed=sql.SQL(", ").join(changed),
    )


_TYPES = {
    "text": sql.SQL("text"),
    "text[]": sql.SQL("text[]"),
    "jsonb": sql.SQL("jsonb"),
    "integer": sql.SQL("integer"),
    "bigint": sql.SQL("bigint"),
    "boolean": sql.SQL("boolean"),
    "timestamptz": sql.SQL("timestamptz"),
    "uuid": sql.SQL("uuid"),
    "tstzmultirange": sql.SQL("tstzmultirange"),
}


def _insert(model: SeriesModel) -> sql.Composed:
    """Return the statement that adds rows given as one JSON document (tenant, generation,
    document).
    """
    types = {"stream_id": "uuid", "item": "text"} | dict(model.columns)
    typed = [
        sql.SQL("{} {}").format(sql.Identifier(name), _type(kind)) for name, kind in types.items()
    ]
    return sql.SQL(
        "INSERT INTO {table} (tenant_id, generation, {columns})"
        " SELECT %s, %s, r.* FROM json_to_recordset(%s::json) AS r({typed})"
    ).format(
        table=sql.Identifier(model.name),
        columns=sql.SQL(", ").join(map(sql.Identifier, types)),
        typed=sql.SQL(", ").join(typed),
    )


def _type(name: str) -> sql.SQL:
    return _TYPES[name]


_UPSERTS: Mapping[str, sql.Composed] = {model.name: _upsert(model) for model in STREAM_MODELS}
_INSERTS: Mapping[str, sql.Composed] = {model.name: _insert(model) for model in SERIES_MODELS}
# Bounds and no equality, and an order: that of one index alone. Else a plan made while the table
# was small would be kept, along an index that has to be read as a whole.
_CLEAR = sql.SQL(
    "DELETE FROM {0} d USING unnest(%s::uuid[]) AS u(id) CROSS JOIN LATERAL ("
    "SELECT x.ctid AS place FROM {0} x WHERE x.tenant_id = %s AND x.generation = %s"
    " AND x.stream_id >= u.id AND x.stream_id <= u.id ORDER BY x.stream_id, x.item OFFSET 0) f"
    " WHERE d.ctid = f.place"
)

_HANDS = sql.SQL(
    "INSERT INTO hands (tenant_id, generation, grant_id, case_id, position, person, number, act,"
    " stage, at, party, imported, kind)"
    " SELECT %s, %s, r.* FROM json_to_recordset(%s::json) AS r(grant_id uuid, case_id text,"
    " position bigint, person text, number text, act text, stage text, at timestamptz, party text,"
    " imported boolean, kind text)"
)
_VOID = sql.SQL(
    # The first one counts, where a page has several that take the same approval away.
    "UPDATE hands h SET void = v.position"
    " FROM (SELECT x.tenant_id, x.generation, x.grant_id, x.case_id, x.position AS given, x.person,"
    " min(r.position) AS position"
    " FROM (SELECT %s::uuid AS tenant_id, %s::integer AS generation, o.*"
    " FROM json_to_recordset(%s::json) AS o(grant_id uuid, case_id text, position bigint,"
    " stage text, persons text[])) r"
    " JOIN hands x ON x.tenant_id = r.tenant_id AND x.generation = r.generation"
    " AND x.grant_id = r.grant_id AND x.case_id = r.case_id AND x.act = 'approved'"
    " AND x.void IS NULL AND x.position < r.position AND (r.stage IS NULL OR x.stage = r.stage)"
    " AND (r.persons IS NULL OR x.person = ANY (r.persons))"
    " GROUP BY x.tenant_id, x.generation, x.grant_id, x.case_id, x.position, x.person) v"
    " WHERE h.tenant_id = v.tenant_id AND h.generation = v.generation AND h.grant_id = v.grant_id"
    " AND h.case_id = v.case_id AND h.position = v.given AND h.person = v.person"
)
_KINDS = sql.SQL(
    "UPDATE hands h SET kind = r.kind"
    " FROM (SELECT %s::uuid AS tenant_id, %s::integer AS generation, o.*"
    " FROM json_to_recordset(%s::json) AS o(grant_id uuid, kind text)) r"
    " WHERE h.tenant_id = r.tenant_id AND h.generation = r.generation AND h.grant_id = r.grant_id"
    " AND h.kind <> r.kind"
)
_MERGES = sql.SQL(
    "INSERT INTO person_merges (tenant_id, generation, person, into_person, position)"
    " SELECT %s, %s, r.* FROM json_to_recordset(%s::json) AS r(person text, into_person text,"
    " position bigint)"
    " ON CONFLICT (tenant_id, generation, person) DO UPDATE"
    " SET into_person = excluded.into_person, position = excluded.position"
)
_HISTORY = sql.SQL(
    "INSERT INTO history (tenant_id, generation, position, at, recorded_at, stream_kind, stream_id,"
    " version, type, actor, on_behalf_of, persons, customers, grant_id, case_id, reason,"
    " command_id, causation, imported, said)"
    " SELECT %s, %s, r.* FROM json_to_recordset(%s::json) AS r(position bigint, at timestamptz,"
    " recorded_at timestamptz, stream_kind text, stream_id uuid, version integer, type text,"
    " actor text, on_behalf_of text, persons text[], customers text[], grant_id uuid, case_id text,"
    " reason text, command_id uuid, causation bigint, imported boolean, said text)"
)
_KEYS = sql.SQL(
    "INSERT INTO history_keys (tenant_id, generation, key, at, position)"
    " SELECT %s, %s, r.* FROM json_to_recordset(%s::json) AS r(key text, at timestamptz,"
    " position bigint)"
)
_QUARANTINE = sql.SQL(
    "INSERT INTO quarantined (tenant_id, stream_id, position, projection, code)"
    " SELECT %s, r.* FROM json_to_recordset(%s::json) AS r(stream_id uuid, position bigint,"
    " projection text, code text)"
    " ON CONFLICT (tenant_id, stream_id) DO UPDATE SET position = excluded.position,"
    " projection = excluded.projection, code = excluded.code"
    " WHERE excluded.position < quarantined.position"
)
_CHECKPOINTS = sql.SQL(
    "UPDATE checkpoints c SET position = %s"
    " FROM unnest(%s::text[], %s::integer[]) AS r(projection, generation)"
    " WHERE c.tenant_id = %s AND c.projection = r.projection AND c.generation = r.generation"
)
