"""A stream in quarantine is folded again after the repair: its rows in every live read model are
written anew, and the quarantine ends with them.

All in one transaction under the head row's lock: nothing is appended to the stream between, and
nobody sees one without the other.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final, LiteralString, NamedTuple
from uuid import UUID

import msgspec
import psycopg
from psycopg import sql
from psycopg.types.json import Jsonb

from domain.ledger import MEMORY_BOUND_S
from projections import history, inline
from projections.folding import NewerEvent
from projections.store import Quarantine
from projections.tables import HISTORY_KEYS, Table
from replay.comparable import Row, comparable
from replay.compare import against
from replay.findings import COUNT, TURN
from replay.rebuild_bulk import INSERTS
from replay.rebuild_plan import FOLDS, Conn, RebuildRefused, acting, alone, connect
from replay.stream_rows import Folded, Live, events_of, folded, live_models, live_rows, tables_of

LOCK_SECONDS: Final = 10
"""How long it waits for the runner's page and the head row before others go first."""

STATEMENT_SECONDS: Final = 60
"""How long one statement may hold the head row: commands wait for it."""

_encoder = msgspec.json.Encoder()


class HealRefused(Exception):
    """It cannot begin: a stable code, and what it is about."""

    def __init__(self, code: str, **params: Any) -> None:
        super().__init__(code)
        self.code = code
        self.params = params


class Healed(NamedTuple):
    """What came of it.

    `streams`: those taken together, for a check finds them by the same row. `rows`: table -> rows
    that were put in place of others. With `faults` nothing was changed: these events still cannot
    be applied. `position`: the log's head.
    """

    streams: tuple[str, ...]
    position: int
    rows: Mapping[str, int]
    faults: tuple[Quarantine, ...]


class _Still(Exception):
    """An event still cannot be applied."""

    def __init__(self, faults: Sequence[Quarantine]) -> None:
        super().__init__()
        self.faults = tuple(faults)


def heal(url: str, tenant: str, stream: str, folds: Mapping[str, int] = FOLDS) -> Healed:
    """Fold a stream again and put its rows in place; `url` is the operator's.

    A stream that is not in quarantine is treated the same: what is right stays as it is.

    Raises `HealRefused`: `heal.unknown_stream`; `heal.other_release` where a live read model is of
    another fold version than this code's, `heal.newer_event`, `heal.running` while a rebuild goes
    on, `heal.busy`. `psycopg.Error`.
    """
    try:
        with connect(url) as conn, alone(conn, tenant):
            conn.execute("SELECT set_config('lock_timeout', %s, false)", (f"{LOCK_SECONDS}s",))
            conn.execute(
                "SELECT set_config('statement_timeout', %s, false)", (f"{STATEMENT_SECONDS}s",)
            )
            strays = _Strays(conn, tenant, stream)
            try:
                # Two at once: the first one has the advisory lock, the other is refused. A crash
                # before the commit leaves quarantine and rows as they were, after it neither.
                with acting(conn, tenant):
                    done = _heal(conn, tenant, stream, folds, strays)
            except _Still as still:
                return Healed((stream,), 0, {}, still.faults)
    except RebuildRefused:
        raise HealRefused("heal.running") from None
    except NewerEvent as fault:
        raise HealRefused("heal.newer_event", position=fault.position, event=fault.name) from None
    except (psycopg.errors.LockNotAvailable, psycopg.errors.DeadlockDetected):
        raise HealRefused("heal.busy") from None
    # Another process may still answer from what it remembers of the rows that are gone.
    time.sleep(MEMORY_BOUND_S)
    return done


class _Strays:
    """Rows that follow from a stream and that no index finds by it, looked for before anything is
    locked: `append` never writes such.
    """

    def __init__(self, conn: Conn, tenant: str, stream: str) -> None:
        self.rows: dict[str, list[Row]] = {}
        with acting(conn, tenant):
            models = live_models(conn, tenant, inline.FOLDS)
            for table in tables_of(models):
                if table.by_event:
                    continue
                found = conn.execute(
                    _owned(table),
                    {
                        "tenant": tenant,
                        "generation": models[table.projection].generation,
                        "stream": stream,
                        "catalogue": stream == tenant,
                    },
                ).fetchall()
                self.rows[table.name] = [row[0] for row in found]
            if history.NAME in models:
                # No index finds them by position. The rows of an event never change, so those of
                # events that come after this are none of them.
                generation = models[history.NAME].generation
                rows = conn.execute(_KEPT, (tenant, generation, tenant, stream)).fetchall()
                self.rows[HISTORY_KEYS.name] = [row[0] for row in rows]
            recorded = conn.execute(_RECORDED, (tenant, stream, stream == tenant)).fetchall()
        for name, key in recorded:
            self.rows.setdefault(name, []).append(key)


def _heal(
    conn: Conn, tenant: str, stream: str, folds: Mapping[str, int], strays: _Strays
) -> Healed:
    conn.execute(TURN, (tenant,))
    conn.execute(_RUNNER, (tenant,))  # the page under way is committed, and none begins
    head = conn.execute(_HEAD, (tenant,)).fetchone()
    models = live_models(conn, tenant, inline.FOLDS)
    other = sorted(name for name, live in models.items() if folds.get(name) != live.fold)
    if head is None or other:
        raise HealRefused("heal.other_release", models=", ".join(other))
    streams = _together(conn, tenant, stream)
    events = events_of(conn, tenant, streams)
    known = conn.execute(_KNOWN, (tenant, list(map(UUID, streams)))).fetchone()
    if not events and not any(strays.rows.values()) and known is None:
        raise HealRefused("heal.unknown_stream", stream=stream)
    of = folded(tenant, events, models, {})
    if of.faults:
        raise _Still(of.faults)
    whole = of._replace(streams=tuple(streams))
    written = {
        table.name: number
        for table in tables_of(models)
        if (number := _rewrite(conn, tenant, table, models[table.projection], whole, strays))
    }
    ids = list(map(UUID, streams))
    conn.execute(_MOMENTS, (tenant, tenant, ids))
    conn.execute(_RELEASE, (tenant, ids))
    conn.execute(_DIFFERENCES, (tenant, ids, tenant in streams))
    conn.execute(COUNT, {"tenant": tenant})
    conn.execute(_REVISION, (tenant, list(inline.FOLDS)))
    return Healed(tuple(streams), head[0], written, ())


def _together(conn: Conn, tenant: str, stream: str) -> list[str]:
    """Return the stream, and those that a check finds by the same differing row."""
    found = [stream]
    for one in found:  # grows while it is walked
        rows = conn.execute(_RESTING, {"tenant": tenant, "stream": one}).fetchall()
        found += [other for (other,) in rows if other not in found]
    return found


def _rewrite(conn: Conn, tenant: str, table: Table, live: Live, of: Folded, strays: _Strays) -> int:
    """Put the folded rows in the place of those that are there; return how many were not right."""
    there = live_rows(conn, tenant, table, live.generation, of)
    must = of.rows.get(table.name, ())
    differences = list(against(table, there, must))
    keys = _keys(table, strays.rows.get(table.name, ()))
    known = _keys(table, there)
    right = _keys(table, must)
    more = [key for key in keys if key not in known and key not in right]
    if not differences and not more:
        return 0
    named = {"tenant": tenant, "generation": live.generation}
    gone = [*known.values(), *(keys[key] for key in more)]
    conn.execute(_delete(table), {**named, "rows": Jsonb(gone)})
    if must:
        try:
            with conn.transaction():
                document = _encoder.encode(list(must)).decode()
                conn.execute(INSERTS[table.name], (UUID(tenant), live.generation, document))
        except (psycopg.DataError, psycopg.IntegrityError):
            position = of.positions[-1] if of.positions else 0
            fault = Quarantine(of.streams[0], position, table.projection, "event.not_applied")
            raise _Still([fault]) from None
    return len(_keys(table, (one.key for one in differences))) + len(more)


def _keys(table: Table, rows: Iterable[Mapping[str, Any]]) -> dict[tuple[Any, ...], Row]:
    """Return the keys of rows, each once, by what is equal where they are."""
    columns = {name: table.columns[name] for name in table.key}
    found = ({name: row.get(name) for name in table.key} for row in rows)
    return {comparable(columns, key): key for key in found}


def _owned(table: Table) -> sql.Composed:
    """Rows of one stream; those of no stream at all count to the catalogue."""
    return sql.SQL(
        "SELECT (SELECT row_to_json(r) FROM (SELECT {key}) r) FROM {table} x"
        " WHERE x.tenant_id = %(tenant)s AND x.generation = %(generation)s"
        " AND ({owner} = %(stream)s OR (%(catalogue)s AND {owner} IS NULL))"
    ).format(
        key=sql.SQL(", ").join(sql.Identifier("x", name) for name in table.key),
        table=sql.Identifier(table.name),
        owner=sql.SQL(table.owner),
    )


def _delete(table: Table) -> sql.Composed:
    """Delete rows by their keys (tenant, generation, JSON document of keys)."""
    return sql.SQL(
        "DELETE FROM {table} x USING jsonb_to_recordset(%(rows)s) AS r({typed})"
        " WHERE x.tenant_id = %(tenant)s AND x.generation = %(generation)s AND {same}"
    ).format(
        table=sql.Identifier(table.name),
        typed=sql.SQL(", ").join(
            sql.SQL("{} {}").format(sql.Identifier(name), sql.SQL(_TYPES[table.columns[name]]))
            for name in table.key
        ),
        same=sql.SQL(" AND ").join(
            sql.SQL("x.{0} = r.{0}").format(sql.Identifier(name)) for name in table.key
        ),
    )


_TYPES: Final[Mapping[str, LiteralString]] = {
    "text": "text",
    "integer": "integer",
    "bigint": "bigint",
    "timestamptz": "timestamptz",
    "uuid": "uuid",
}

_KEPT: Final[LiteralString] = (
    "SELECT row_to_json(r) FROM (SELECT x.key, x.at, x.position FROM history_keys x"
    " WHERE x.tenant_id = %s AND x.generation = %s AND x.position IN"
    " (SELECT position FROM events WHERE tenant_id = %s AND stream_id = %s)) r"
)
_RUNNER: Final[LiteralString] = (
    "SELECT 1 FROM checkpoints c JOIN generations g USING (tenant_id, projection, generation)"
    " WHERE c.tenant_id = %s AND g.live ORDER BY c.projection FOR UPDATE OF c"
)
_HEAD: Final[LiteralString] = "SELECT position FROM ledgers WHERE tenant_id = %s FOR UPDATE"
_RESTING: Final[LiteralString] = (
    "SELECT resting::text FROM differences WHERE tenant_id = %(tenant)s AND resting IS NOT NULL"
    " AND stream_id = %(stream)s"
    " UNION SELECT stream_id::text FROM differences WHERE tenant_id = %(tenant)s"
    " AND stream_id IS NOT NULL AND resting = %(stream)s"
)
_KNOWN: Final[LiteralString] = (
    "SELECT 1 FROM quarantined WHERE tenant_id = %s AND stream_id = ANY (%s)"
)
_RECORDED: Final[LiteralString] = (
    "SELECT relation, key FROM differences"
    " WHERE tenant_id = %s AND (stream_id = %s OR (%s AND stream_id IS NULL)) AND columns = '{}'"
)
_RELEASE: Final[LiteralString] = (
    "DELETE FROM quarantined WHERE tenant_id = %s AND stream_id = ANY (%s)"
)
_DIFFERENCES: Final[LiteralString] = (
    "DELETE FROM differences WHERE tenant_id = %s"
    " AND (stream_id = ANY (%s) OR (%s AND stream_id IS NULL))"
)
# Moments made meanwhile lack what could not be applied; whoever asks has them made again.
_MOMENTS: Final[LiteralString] = (
    "UPDATE moments SET state = 'dropped' WHERE tenant_id = %s AND state <> 'dropped'"
    " AND position >= (SELECT min(position) FROM quarantined WHERE tenant_id = %s"
    " AND stream_id = ANY (%s) AND code <> 'table.differs')"
)
# Every process forgets what it remembers of the tenant when it next confirms the head.
_REVISION: Final[LiteralString] = (
    "UPDATE generations SET revision = revision + 1"
    " WHERE tenant_id = %s AND projection = ANY (%s) AND live"
)
