"""Streams in quarantine: which there are, what is denied because of them, and the events around the
place where it began.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final, LiteralString, NamedTuple
from uuid import UUID

import psycopg

from domain.codec import decode
from domain.events import stream_kind
from domain.streams import evolve
from projections.folding import code_of

DIFFERS: Final = "table.differs"
"""The code of a stream whose rows are not what the log says."""

AROUND: Final = 5
"""Events shown before and after the place, unless told otherwise."""

Conn = psycopg.Connection[Any]


class Held(NamedTuple):
    """A stream in quarantine.

    `kind` of stream, None where the log has no such stream; `number` as a read model has it.
    `projection`, `code`: what failed and how; since `found_at`. `grants` are denied because of it:
    those that are the stream, or were given to whom it speaks of. `columns`: table and column (or
    `*`, the whole row) of what differs.
    """

    stream_id: str
    kind: str | None
    number: str | None
    position: int
    projection: str
    code: str
    found_at: datetime
    grants: int
    columns: tuple[str, ...]


class Shown(NamedTuple):
    """An event as it is stored; `fault` is what becomes of it now, None where it can be applied."""

    position: int
    version: int
    type: str
    recorded_at: datetime
    actor: str
    data: bytes
    fault: str | None


def held(conn: Conn, tenant: str, stream: str | None = None) -> list[Held]:
    """Return the streams in quarantine of a tenant, or this one alone, in the order of positions.

    `conn` is in autocommit.
    """
    with conn.transaction():
        conn.execute("SELECT set_config('counterseal.tenant', %s, true)", (tenant,))
        rows = conn.execute(_HELD, {"tenant": tenant, "stream": stream}).fetchall()
    return [Held(*row[:8], columns=tuple(row[8])) for row in rows]


def around(conn: Conn, tenant: str, stream: str, position: int, most: int = AROUND) -> list[Shown]:
    """Return the events of a stream around a position, and the first one that cannot be applied."""
    with conn.transaction():
        conn.execute("SELECT set_config('counterseal.tenant', %s, true)", (tenant,))
        rows = conn.execute(_EVENTS, (tenant, UUID(stream))).fetchall()
    told = _told(rows)
    middle = next((n for n, one in enumerate(told) if one.position >= position), len(told) - 1)
    first = next((n for n, one in enumerate(told) if one.fault is not None), middle)
    return [one for n, one in enumerate(told) if min(abs(n - middle), abs(n - first)) <= most]


def _told(rows: Sequence[Any]) -> list[Shown]:
    """Fold the stream as far as it goes; what comes behind a fault cannot be told."""
    state: Any = None
    broken = False
    found: list[Shown] = []
    for position, version, name, recorded_at, actor, data in rows:
        fault: str | None = None
        if not broken:
            try:
                state = evolve(stream_kind(name), state, decode(name, data))
            except Exception as raised:  # noqa: BLE001  (whatever it is, it is what is shown)
                broken = True
                fault = code_of(raised)
        found.append(Shown(position, version, name, recorded_at, actor, data, fault))
    return found


_HELD: Final[LiteralString] = (
    "SELECT q.stream_id::text, first.kind,"
    " CASE first.kind"
    "  WHEN 'grant' THEN (SELECT x.number FROM grants x WHERE x.tenant_id = q.tenant_id"
    "   AND x.generation = chosen('grants') AND x.grant_id = q.stream_id)"
    "  WHEN 'customer' THEN (SELECT x.number FROM customers x WHERE x.tenant_id = q.tenant_id"
    "   AND x.generation = chosen('customers') AND x.customer_id = q.stream_id)"
    "  WHEN 'staff' THEN (SELECT x.number FROM staff x WHERE x.tenant_id = q.tenant_id"
    "   AND x.generation = chosen('staff') AND x.staff_id = q.stream_id)"
    "  WHEN 'policy' THEN (SELECT x.kind FROM policies x WHERE x.tenant_id = q.tenant_id"
    "   AND x.generation = chosen('policies') AND x.policy_id = q.stream_id) END,"
    " q.position, q.projection, q.code, q.found_at,"
    " CASE WHEN first.kind IN ('customer', 'staff') THEN"
    "  (SELECT count(DISTINCT p.grant_id) FROM permissions p WHERE p.tenant_id = q.tenant_id"
    "   AND p.generation = chosen('permissions') AND p.grantee = first.kind || ':' || q.stream_id"
    "   AND p.known_to IS NULL)"
    " ELSE (SELECT count(DISTINCT p.grant_id) FROM permissions p WHERE p.tenant_id = q.tenant_id"
    "   AND p.generation = chosen('permissions') AND p.grant_id = q.stream_id AND p.known_from > 0"
    "   AND p.known_to IS NULL) END,"
    " ARRAY(SELECT d.relation || '.' || coalesce(c.name, '*') FROM differences d"
    "  LEFT JOIN LATERAL unnest(d.columns) AS c(name) ON true"
    "  WHERE d.tenant_id = q.tenant_id AND q.stream_id IN (d.stream_id, d.resting) ORDER BY 1)"
    " FROM quarantined q"
    " LEFT JOIN LATERAL (SELECT split_part(e.type, '.', 1) AS kind FROM events e"
    "  WHERE e.tenant_id = q.tenant_id AND e.stream_id = q.stream_id ORDER BY e.version LIMIT 1)"
    "  first ON true"
    " WHERE q.tenant_id = %(tenant)s"
    " AND (%(stream)s::uuid IS NULL OR q.stream_id = %(stream)s::uuid)"
    " ORDER BY q.position, q.stream_id"
)
_EVENTS: Final[LiteralString] = (
    "SELECT position, version, type, recorded_at, actor, data FROM events"
    " WHERE tenant_id = %s AND stream_id = %s ORDER BY version"
)
