"""Stored events by position or by stream, in pages at flat memory, as a role that can only read."""

from __future__ import annotations

from collections.abc import Generator, Iterator
from contextlib import contextmanager
from datetime import datetime
from typing import Any, NamedTuple

import psycopg
from psycopg.rows import tuple_row

from domain.batches import StoredRow, StreamRow

PAGE = 5_000
"""Rows fetched at once."""

Connection = psycopg.Connection[tuple[Any, ...]]


class BatchRow(NamedTuple):
    """One row of `batches`: what an append wrote, and its hashes."""

    first_position: int
    count_: int
    recorded_at: datetime
    root: bytes
    chain: bytes


class Head(NamedTuple):
    """The head row: how far the log says it goes."""

    position: int
    recorded_at: datetime
    chain: bytes


@contextmanager
def snapshot(url: str, tenant: str) -> Generator[Connection]:
    """Give a connection in one read-only transaction on one tenant: everything read agrees."""
    with psycopg.connect(url, row_factory=tuple_row, connect_timeout=5) as conn:
        conn.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
        conn.read_only = True
        conn.execute("SELECT set_config('counterseal.tenant', %s, true)", (tenant,))
        yield conn


def head(conn: Connection, tenant: str) -> Head:
    """Return the head row. Raises `LookupError` where the tenant has no log."""
    row = conn.execute(
        "SELECT position, recorded_at, chain FROM ledgers WHERE tenant_id = %s", (tenant,)
    ).fetchone()
    if row is None:
        raise LookupError("unknown tenant")
    return Head(*row)


def batches(conn: Connection, tenant: str) -> Iterator[BatchRow]:
    """Yield the batches in order."""
    with conn.cursor("batches", row_factory=tuple_row) as cursor:
        cursor.itersize = PAGE
        cursor.execute(
            "SELECT first_position, count, recorded_at, root, chain FROM batches"
            " WHERE tenant_id = %s ORDER BY first_position",
            (tenant,),
        )
        for row in cursor:
            yield BatchRow(*row)


def by_position(conn: Connection, tenant: str) -> Iterator[StoredRow]:
    """Yield every event in log order."""
    with conn.cursor("by_position", row_factory=tuple_row) as cursor:
        cursor.itersize = PAGE
        cursor.execute(
            "SELECT position, stream_id, version, type, recorded_at, actor, on_behalf_of,"
            " command_id, causation, data FROM events WHERE tenant_id = %s ORDER BY position",
            (tenant,),
        )
        for row in cursor:
            yield StoredRow(*row)


def by_stream(conn: Connection, tenant: str) -> Iterator[StreamRow]:
    """Yield every event stream by stream, oldest first."""
    with conn.cursor("by_stream", row_factory=tuple_row) as cursor:
        cursor.itersize = PAGE
        cursor.execute(
            "SELECT stream_id, version, position, type, recorded_at, command_id, data FROM events"
            " WHERE tenant_id = %s ORDER BY stream_id, version",
            (tenant,),
        )
        for row in cursor:
            yield StreamRow(*row)
