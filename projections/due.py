"""What the clock has done and nobody has written down yet: the timekeeper's question."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any, Final, Literal, NamedTuple, cast

import psycopg
from psycopg.rows import tuple_row

from domain.grant_states import ENDED
from domain.values import Instant

PAGE = 500
"""Rows a query returns at the most."""

Stream = Literal["grant", "customer"]

_QUESTIONS: dict[Stream, str] = {
    "grant": "SELECT g.grant_id::text, g.due_at FROM grants g"
    " JOIN generations l ON l.tenant_id = g.tenant_id AND l.projection = 'grants' AND l.live"
    " AND l.generation = g.generation"
    " WHERE g.tenant_id = %(tenant)s AND g.due_at <= %(now)s"
    " AND (g.due_at, g.grant_id) > (%(at)s, %(id)s::uuid)"
    " ORDER BY g.due_at, g.grant_id LIMIT %(page)s",
    "customer": "SELECT c.customer_id::text, c.due_at FROM customers c"
    " JOIN generations l ON l.tenant_id = c.tenant_id AND l.projection = 'customers' AND l.live"
    " AND l.generation = c.generation"
    " WHERE c.tenant_id = %(tenant)s AND c.due_at <= %(now)s"
    " AND (c.due_at, c.customer_id) > (%(at)s, %(id)s::uuid)"
    " ORDER BY c.due_at, c.customer_id LIMIT %(page)s",
}

_START = (datetime(1, 1, 1, tzinfo=UTC), "00000000-0000-0000-0000-000000000000")


class Due(NamedTuple):
    """A stream that the clock has moved, and the instant by which it did."""

    stream: Stream
    stream_id: str
    due_at: Instant


def due(conn: psycopg.Connection[Any], tenant: str, now: Instant) -> Iterator[Due]:
    """Yield every grant and customer that was due by `now`, the longest due first, page by page.

    `conn` is in autocommit; each page is a transaction of its own that only reads.
    """
    for stream, question in _QUESTIONS.items():
        at, last = _START
        while True:
            with conn.transaction(), conn.cursor(row_factory=tuple_row) as cursor:
                cursor.execute("SELECT set_config('counterseal.tenant', %s, true)", (tenant,))
                params = {"tenant": tenant, "now": now, "at": at, "id": last, "page": PAGE}
                rows = cursor.execute(cast(Any, question), params).fetchall()
            yield from (Due(stream, row[0], row[1]) for row in rows)
            if len(rows) < PAGE:
                break
            last, at = rows[-1][0], rows[-1][1]


class Below(NamedTuple):
    """A grant in effect that was passed on from `parent`, which ended as far as was recorded."""

    grant_id: str
    parent: str


Place = tuple[str, str]
"""Behind which child, as parent and grant, a page begins."""

TOP: Final[Place] = (_START[1], _START[1])

_BELOW = (
    "SELECT c.grant_id::text, c.parent::text,"
    " (p.status = ANY (%(ended)s) OR p.revoked_from <= %(now)s) IS TRUE"
    " FROM (SELECT g.tenant_id, g.generation, g.parent, g.grant_id FROM grants g"
    "  WHERE g.tenant_id = %(tenant)s AND g.parent IS NOT NULL AND g.generation ="
    "  (SELECT generation FROM generations"
    "   WHERE tenant_id = %(tenant)s AND projection = 'grants' AND live)"
    "  AND g.status IN ('scheduled', 'active', 'suspended')"
    "  AND (g.parent, g.grant_id) > (%(parent)s::uuid, %(id)s::uuid)"
    "  ORDER BY g.parent, g.grant_id LIMIT %(page)s) c"
    " LEFT JOIN LATERAL (SELECT p.status, p.revoked_from FROM grants p"
    "  WHERE p.tenant_id = c.tenant_id AND p.generation = c.generation AND p.grant_id = c.parent"
    "  OFFSET 0) p ON true"
    " ORDER BY c.parent, c.grant_id"
)


def below(
    conn: psycopg.Connection[Any], tenant: str, now: Instant, after: Place
) -> tuple[list[Below], Place | None]:
    """Return what is in effect below ended grants, of one page of all that was passed on, and where
    the next page begins; None where this was the last one.

    `conn` is in autocommit; a page looks at `PAGE` grants and those above them, whatever it finds.
    """
    with conn.transaction(), conn.cursor(row_factory=tuple_row) as cursor:
        cursor.execute("SELECT set_config('counterseal.tenant', %s, true)", (tenant,))
        params: dict[str, Any] = {
            "tenant": tenant,
            "now": now,
            "parent": after[0],
            "id": after[1],
            "page": PAGE,
            "ended": sorted(ENDED),
        }
        rows = cursor.execute(cast(Any, _BELOW), params).fetchall()
    found = [Below(row[0], row[1]) for row in rows if row[2]]
    return found, (rows[-1][1], rows[-1][0]) if len(rows) == PAGE else None


def tenants(conn: psycopg.Connection[Any]) -> list[str]:
    """Return every tenant's id."""
    with conn.cursor(row_factory=tuple_row) as cursor:
        return [row[0] for row in cursor.execute("SELECT tenant_id::text FROM tenants")]
