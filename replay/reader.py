"""A tenant's log in the database, read in one snapshot by a role that can only read."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Generator, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime
from itertools import count
from typing import Any, Final, LiteralString
from uuid import UUID

import psycopg
from psycopg import sql
from psycopg.rows import TupleRow, tuple_row

from projections.inline import FOLDS as INLINE
from projections.tables import HISTORY_KEYS, Table
from replay.sources import (
    BEGINNING,
    PAGE,
    BatchRow,
    Brief,
    Head,
    Model,
    Reach,
    Stored,
    TenantRow,
    silent,
)

Conn = psycopg.Connection[TupleRow]

CONNECT_SECONDS: Final = 5

_STORED: LiteralString = (
    "SELECT position, stream_id::text, version, type, recorded_at, data, actor, on_behalf_of,"
    " command_id::text, causation FROM events"
)
_IDS: Final = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")


class UnknownTenant(LookupError):
    """There is no tenant of this name or id, or none was said and there are several.

    `names` are those there are.
    """

    def __init__(self, asked: str | None, names: Sequence[str]) -> None:
        super().__init__(asked or "")
        self.asked = asked
        self.names = names


@contextmanager
def opened(url: str, tenant: str | None = None) -> Generator[Database]:
    """Give the log of a tenant, named by its id or name; without one, of the only tenant there is.

    One read-only transaction that sees one moment: everything read from it agrees. Raises
    `UnknownTenant`, `psycopg.OperationalError`.
    """
    with psycopg.connect(
        url, row_factory=tuple_row, connect_timeout=CONNECT_SECONDS, options="-c timezone=UTC"
    ) as conn:
        conn.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
        conn.read_only = True
        found = _tenant(conn, tenant)
        conn.execute("SELECT set_config('counterseal.tenant', %s, true)", (found.id,))
        yield Database(conn, found)


def tenants(conn: Conn) -> list[TenantRow]:
    """Return every tenant, oldest first."""
    rows = conn.execute(
        "SELECT tenant_id::text, name, clock FROM tenants JOIN ledgers USING (tenant_id)"
        " ORDER BY created_at, tenant_id"
    )
    return [TenantRow(*row) for row in rows]


def _tenant(conn: Conn, asked: str | None) -> TenantRow:
    known = tenants(conn)
    matching = [one for one in known if asked is None or asked in (one.id, one.name)]
    if len(matching) != 1:
        raise UnknownTenant(asked, [one.name for one in known])
    return matching[0]


class Database:
    """A `Source` in the database; lives as long as the transaction it was opened in."""

    def __init__(self, conn: Conn, tenant: TenantRow) -> None:
        self.tell: Callable[[int], None] = silent
        self._conn = conn
        self.tenant = tenant
        row = conn.execute(
            "SELECT position, recorded_at, chain FROM ledgers WHERE tenant_id = %s", (tenant.id,)
        ).fetchone()
        if row is None:
            raise UnknownTenant(tenant.id, [])
        self.head = Head(*row)
        self.reach = Reach(1, self.head.position)
        self._names = count(1)

    def batches(self) -> Iterator[BatchRow]:
        statement: LiteralString = (
            "SELECT first_position, count, recorded_at, root, chain FROM batches"
            " WHERE tenant_id = %s ORDER BY first_position"
        )
        for page in self._pages(statement, (self.tenant.id,)):
            yield from map(BatchRow._make, page)

    def events(
        self, first: int = 1, last: int | None = None, types: Collection[str] | None = None
    ) -> Iterator[Sequence[Stored]]:
        # Without an end, what lies beyond the head is read too: it is for the verifier to find.
        where: LiteralString = (
            " WHERE tenant_id = %(tenant)s AND position >= %(first)s"
            " AND (%(last)s::bigint IS NULL OR position <= %(last)s)"
            " AND (%(types)s::text[] IS NULL OR type = ANY (%(types)s)) ORDER BY position"
        )
        asked = {
            "tenant": self.tenant.id,
            "first": first,
            "last": last,
            "types": None if types is None else list(types),
        }
        for page in self._pages(_STORED + where, asked):
            self.tell(len(page))
            yield [Stored._make(row) for row in page]

    def briefs(self, last: int | None = None) -> Iterator[Sequence[Brief]]:
        statement: LiteralString = (
            "SELECT position, stream_id::text, version, type, data FROM events"
            " WHERE tenant_id = %s AND position <= %s ORDER BY position"
        )
        yield from self._pages(statement, (self.tenant.id, self._last(last)))

    def by_stream(
        self, last: int | None = None, kinds: Collection[str] | None = None
    ) -> Iterator[Sequence[Stored]]:
        where: LiteralString = (
            " WHERE tenant_id = %(tenant)s AND (%(last)s::bigint IS NULL OR position <= %(last)s)"
            " AND (%(kinds)s::text[] IS NULL OR split_part(type, '.', 1) = ANY (%(kinds)s))"
            " ORDER BY stream_id, version"
        )
        asked = {
            "tenant": self.tenant.id,
            "last": last,
            "kinds": None if kinds is None else list(kinds),
        }
        for page in self._pages(_STORED + where, asked):
            self.tell(len(page))
            yield [Stored._make(row) for row in page]

    def stream(self, stream_id: str, last: int | None = None) -> Sequence[Stored]:
        if _IDS.fullmatch(stream_id) is None:
            return []
        rows = self._conn.cursor(binary=True).execute(
            _STORED
            + " WHERE tenant_id = %s AND stream_id = %s AND position <= %s ORDER BY version",
            (self.tenant.id, stream_id, self._last(last)),
        )
        return [Stored._make(row) for row in rows]

    def proof(self, position: int) -> None:  # noqa: ARG002  (every batch is here whole)
        return None

    def position_at(self, instant: datetime) -> int:
        row = self._conn.execute(
            "SELECT first_position + count - 1 FROM batches"
            " WHERE tenant_id = %s AND recorded_at <= %s ORDER BY recorded_at DESC LIMIT 1",
            (self.tenant.id, instant),
        ).fetchone()
        return 0 if row is None else int(row[0])

    def recorded_at(self, position: int) -> datetime:
        row = self._conn.execute(
            "SELECT recorded_at FROM batches WHERE tenant_id = %s AND first_position <= %s"
            " ORDER BY first_position DESC LIMIT 1",
            (self.tenant.id, position),
        ).fetchone()
        return BEGINNING if row is None else row[0]

    def models(self) -> Mapping[str, Model]:
        rows = self._conn.execute(
            "SELECT g.projection, g.generation, g.fold, c.position FROM generations g"
            " JOIN checkpoints c USING (tenant_id, projection, generation)"
            " WHERE g.tenant_id = %s AND g.live ORDER BY g.projection",
            (self.tenant.id,),
        )
        return {
            name: Model(name, generation, fold, self.head.position if name in INLINE else position)
            for name, generation, fold, position in rows
        }

    def owned(self, table: Table) -> Iterator[tuple[UUID | None, int, str]]:
        """Yield the live rows of a table in the order of the streams that they follow from: that
        stream, the position of a row that stands for an event (else 0), the row as JSON.
        """
        joined: LiteralString = ""
        owner = table.owner
        if table is HISTORY_KEYS:
            joined = " LEFT JOIN events e ON e.tenant_id = x.tenant_id AND e.position = x.position"
            owner = "e.stream_id"
        statement = sql.SQL(
            "SELECT {owner}, {position}, (SELECT row_to_json(r)::text FROM (SELECT {columns}) r)"
            " FROM {table} x{joined}"
            " WHERE x.tenant_id = %(tenant)s AND x.generation = %(generation)s"
            " ORDER BY 1 NULLS FIRST, 2"
        ).format(
            owner=sql.SQL(owner),
            position=sql.SQL("x.position" if table.by_event else "0::bigint"),
            columns=sql.SQL(", ").join(sql.Identifier("x", name) for name in table.columns),
            table=sql.Identifier(table.name),
            joined=sql.SQL(joined),
        )
        generation = self.models()[table.projection].generation
        asked = {"tenant": self.tenant.id, "generation": generation}
        for page in self._pages(statement, asked):
            yield from page

    def quarantined(self) -> Mapping[str, int]:
        """Return the streams with an event that cannot be applied, and its position."""
        rows = self._conn.execute(
            "SELECT stream_id::text, position FROM quarantined"
            " WHERE tenant_id = %s AND code <> 'table.differs'",
            (self.tenant.id,),
        )
        return dict(rows.fetchall())

    def _last(self, last: int | None) -> int:
        return self.head.position if last is None else last

    def _pages(self, statement: LiteralString | sql.Composed, parameters: Any) -> Iterator[Any]:
        """Yield rows in pages from a cursor of the server's, so that no more than one is held."""
        with psycopg.ServerCursor(self._conn, f"read_{next(self._names)}") as cursor:
            cursor.execute(statement, parameters, binary=True)
            while page := cursor.fetchmany(PAGE):
                yield page
