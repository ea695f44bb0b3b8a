"""What belongs to one party: the refs it stands for, its grants, and what it is asked.

Every page walks the index of each ref, and so reads no rows of others.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final

import psycopg
from psycopg import sql
from psycopg.rows import dict_row, tuple_row

from projections.queries import Key, Page, plain, reached, require_limit
from projections.reading import walking

Conn = psycopg.Connection[Any]

MAX_MERGES: Final = 8
"""How many steps of merges are followed, as everywhere."""

_MERGED: Final = sql.SQL("""
WITH RECURSIVE family (party, depth) AS (
    SELECT %(party)s::text, 0
    UNION
    SELECT a.party, f.depth + 1
    FROM family f JOIN aliases a ON a.into_party = f.party
    WHERE a.tenant_id = current_tenant() AND f.depth < %(most)s
        AND a.known_from <= coalesce((SELECT chosen_position()), 9223372036854775807)
        AND (a.known_to IS NULL OR a.known_to > (SELECT chosen_position()))
        AND a.generation = (SELECT generation FROM generations
            WHERE tenant_id = current_tenant() AND projection = 'standings' AND live))
SELECT DISTINCT party FROM family ORDER BY party
""")

_GRANTS: Final = sql.SQL("""
SELECT r.grant_id
FROM unnest(%(refs)s::text[]) AS asked(party) CROSS JOIN LATERAL (
    SELECT g.grant_id FROM grants g
    WHERE g.tenant_id = current_tenant() AND g.grantee = asked.party
        AND g.generation = (SELECT chosen('grants'))
        AND (%(after)s::uuid IS NULL OR g.grant_id > %(after)s::uuid)
    ORDER BY g.grantee, g.grant_id LIMIT %(limit)s) r
ORDER BY r.grant_id LIMIT %(limit)s
""")

_TASKS: Final = sql.SQL("""
SELECT r.* FROM unnest(%(refs)s::text[]) AS asked(party) CROSS JOIN LATERAL (
    SELECT t.stream_id, t.item, t.kind, t.since, t.lapses_at FROM tasks t
    WHERE t.tenant_id = current_tenant() AND t.party = asked.party AND t.about = 'grant'
        AND t.generation = (SELECT chosen('tasks'))
        AND t.kind IN ('answer', 'sign', 'confirm_revocation') AND t.item NOT LIKE '%%:tenant'
        AND (%(since)s::timestamptz IS NULL
             OR (t.since, t.stream_id, t.item)
                > (%(since)s::timestamptz, %(stream)s::uuid, %(item)s::text))
    ORDER BY t.party, t.since, t.stream_id, t.item LIMIT %(limit)s) r
ORDER BY r.since, r.stream_id, r.item LIMIT %(limit)s
""")


def merged_refs(conn: Conn, tenant: str, party: str) -> tuple[str, ...]:
    """Return the refs a party stands for: itself, and every record that was merged into it."""
    with walking(conn, tenant):
        rows = (
            conn.cursor(row_factory=tuple_row)
            .execute(_MERGED, {"party": party, "most": MAX_MERGES})
            .fetchall()
        )
    return tuple(row[0] for row in rows)


def grants(conn: Conn, tenant: str, refs: Sequence[str], *, after: Key | None, limit: int) -> Page:
    """Return the ids of grants given to these refs, in the order of their making; key `[grant_id]`.

    Raises `Refused`: `page.limit`.
    """
    asked = {"refs": list(refs), "after": None if after is None else after[0]}
    return _page(conn, tenant, "grants", _GRANTS, asked, limit, ("grant_id",))


def tasks(conn: Conn, tenant: str, refs: Sequence[str], *, after: Key | None, limit: int) -> Page:
    """Return what waits for these refs to answer, sign or confirm, the longest waiting first; key
    `[since, stream_id, item]`.

    It may say more than waits in the end: the streams themselves know. Raises `Refused`:
    `page.limit`.
    """
    since, stream, item = (None, None, None) if after is None else after
    asked = {"refs": list(refs), "since": since, "stream": stream, "item": item}
    return _page(conn, tenant, "tasks", _TASKS, asked, limit, ("since", "stream_id", "item"))


def _page(
    conn: Conn,
    tenant: str,
    model: str,
    statement: sql.SQL,
    asked: dict[str, Any],
    limit: int,
    order: Sequence[str],
) -> Page:
    require_limit(limit)
    with walking(conn, tenant):
        position = reached(conn, tenant, model)  # before the rows: they are as new, or newer
        cursor = conn.cursor(row_factory=dict_row)
        rows = cursor.execute(statement, asked | {"limit": limit + 1}).fetchall()
    items = [plain(row) for row in rows[:limit]]
    last = [_text(items[-1][name]) for name in order] if len(rows) > limit else None
    return Page(items, last, position)


def _text(value: Any) -> str:
    return value.isoformat() if isinstance(value, datetime) else value
