"""What ids are called: numbers of staff, customers and grants, titles of organizations, names of
points; each probed by its key, so that a page costs what it shows.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final, NamedTuple

import psycopg
from psycopg.rows import tuple_row

from domain.codec import decode
from domain.streams import evolve
from projections.reading import walking

Conn = psycopg.Connection[Any]


class Customer(NamedTuple):
    """A customer; only an organization has a title."""

    number: str
    title: str | None


class Grant(NamedTuple):
    """A grant, and the policy version it rests on now."""

    number: str
    policy: str
    version: int


class Names(NamedTuple):
    """By id; names of points by (dimension, path) and language, of persons their staff number."""

    staff: Mapping[str, str]
    persons: Mapping[str, str]
    customers: Mapping[str, Customer]
    grants: Mapping[str, Grant]
    points: Mapping[tuple[str, str], Mapping[str, str]]


NOBODY: Final = Names({}, {}, {}, {}, {})

# The ids go in as one array, each is probed once. An equality inside would leave the planner free
# to walk any index of a table it knows nothing of; an order has to come from the one on this key.
_PROBE: Final = (
    "SELECT u.id::text, {columns} FROM unnest(%s::uuid[]) AS u(id) JOIN LATERAL (SELECT *"
    " FROM {table} t WHERE t.tenant_id = current_tenant()"
    " AND t.generation = (SELECT chosen('{table}'))"
    " AND t.{key} >= {id} ORDER BY t.{key} LIMIT 1) f ON f.{key} = {id}"
)
_STAFF: Final = _PROBE.format(table="staff", key="staff_id", columns="f.number", id="u.id")
_PERSONS: Final = _PROBE.format(table="staff", key="person", columns="f.number", id="u.id::text")
_CUSTOMERS: Final = _PROBE.format(
    table="customers", key="customer_id", columns="f.number, f.title", id="u.id"
)
_GRANTS: Final = _PROBE.format(
    table="grants",
    key="grant_id",
    columns="f.number, f.policy_id, f.policy_version",
    id="u.id",
)
_POINTS: Final = (
    "SELECT u.dimension, u.path, f.names FROM unnest(%s::text[], %s::text[]) AS u(dimension, path)"
    " CROSS JOIN LATERAL (SELECT * FROM points p WHERE p.tenant_id = current_tenant()"
    " AND p.generation = (SELECT generation FROM generations WHERE tenant_id = current_tenant()"
    " AND projection = 'points' AND live) AND p.dimension = u.dimension AND p.path = u.path"
    " AND p.known_from <= coalesce((SELECT chosen_position()), 9223372036854775807)"
    " ORDER BY p.known_from DESC LIMIT 1) f"
)


def names(conn: Conn, tenant: str, ids: Iterable[str], points: Iterable[tuple[str, str]]) -> Names:
    """Return what these ids and points are called; what is not known is left out."""
    wanted, placed = sorted(set(ids)), sorted(set(points))
    if not wanted and not placed:
        return NOBODY
    with walking(conn, tenant):
        cursor = conn.cursor(row_factory=tuple_row)

        def rows(statement: str, *parameters: Any) -> list[tuple[Any, ...]]:
            return cursor.execute(statement, parameters).fetchall()  # pyright: ignore[reportArgumentType]

        found = rows(_POINTS, [one for one, _ in placed], [one for _, one in placed])
        return Names(
            dict(rows(_STAFF, wanted)),
            dict(rows(_PERSONS, wanted)),
            {row[0]: Customer(*row[1:]) for row in rows(_CUSTOMERS, wanted)},
            {row[0]: Grant(*row[1:]) for row in rows(_GRANTS, wanted)},
            {(dimension, path): called for dimension, path, called in found},
        )


def folded(conn: Conn, tenant: str, kind: str, stream_id: str) -> Any:
    """Return the state of a stream as committed now, None where there is none of that kind."""
    state: Any = None
    rows = conn.cursor(row_factory=tuple_row).execute(
        "SELECT type, data FROM read_streams(%s::uuid, ARRAY[%s::uuid], ARRAY[0])",
        (tenant, stream_id),
    )
    for stored_name, data in rows:
        if not stored_name.startswith(f"{kind}."):
            return None
        state = evolve(kind, state, decode(stored_name, data))
    return state
