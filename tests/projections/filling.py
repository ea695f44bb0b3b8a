"""Thousands of rows of one tenant in every table that hot queries ask, put there by force."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import psycopg

MANY = 4_000
CHAINED = 3
LEVEL = 1_000_000
"""How far apart the numbers of a grant and of what was passed on from it are."""

EVERY = 40
"""MANY / EVERY rows share a value of each filter."""

TABLES = (
    "permissions", "standings", "aliases", "points", "memberships", "batches", "grants",
    "customers", "policies", "staff", "hands",
)  # fmt: skip

_TERRITORY = '{"territory": ["CN"], "product": ["tea"]}'
_SAID = {
    "permissions": "1, to_id(i), 1, '2026-01-01Z', '2030-01-01Z', 10, NULL,"
    " 'customer:' || to_id(i), 'G' || i, 'dealership', '{sell}', '" + _TERRITORY + "',"
    " to_id(0), 1, NULL, '[]'",
    "standings": "1, 'customer:' || to_id(i), '2026-01-01Z', '2030-01-01Z', 1, NULL",
    "points": "1, 'territory', 'CN/' || i, '-infinity', 'infinity', 5, NULL, '{}',"
    """ '{"product": "tea"}'""",
    "memberships": "1, 'staff:' || to_id(i), 'sales/' || i, '2026-01-01Z', '2030-01-01Z', 1, NULL",
    "batches": "100 + i, 1, '2026-01-01Z'::timestamptz + i * interval '1 s', '', '', '{}'",
    "grants": "1, to_id(i), 1, i, '2026-01-01Z', 'G' || i, 'customer:' || i %% %(e)s,"
    " 'kind' || i %% %(e)s, 'status' || i %% %(e)s, 1, '{sell}', '{}', '', 1, 'c', NULL, NULL,"
    " NULL, NULL, NULL, '2026-01-01Z'::timestamptz + i * interval '1 hour', 0, NULL, false",
    "customers": "1, to_id(i), 1, i, '2026-01-01Z', 'C' || i, 'organization', 'title' || i,"
    " 'key' || i, NULL, 'status' || i %% %(e)s, NULL, NULL, NULL, NULL, 0, false",
    "policies": "1, to_id(i), 1, i, '2026-01-01Z', 'kind' || i, '{}', 1, 'status' || i %% %(e)s,"
    " '[]', false",
    "staff": "1, to_id(i), 1, i, '2026-01-01Z', 'S' || i, 'p' || i, 'a', '{}', '{}',"
    " 'appointed', NULL, NULL, NULL, false",
    "hands": "1, to_id(i / 2), 'c', i, 'p' || i / 2, 'G',"
    " CASE i %% 2 WHEN 0 THEN 'requested' ELSE 'checked' END, NULL, '2026-01-01Z', 's', false,"
    " NULL",
}
"""Columns after the tenant, for the i-th row."""


def fill(conn: psycopg.Connection[Any], tenant: str, many: int = MANY) -> None:
    """Fill the tables, `many` rows each, as a superuser; no statistics are taken.

    Every second customer was merged into the next one. Below the grant of each customer there are
    `CHAINED` more, each passed on from the one above: grant `LEVEL` * level + i, given to a
    customer of the same number. Each staff member belongs to a team of its own, which was given one
    grant from the bottom of a chain. The log goes from position 101 to 100 + `many`.
    """
    given = {"t": tenant, "n": many, "e": EVERY, "l": LEVEL}
    prepare(conn)
    put(conn, tenant, _SAID, many)
    conn.execute(
        "INSERT INTO aliases SELECT %(t)s, 1, 'customer:' || to_id(i), 'customer:' || to_id(i + 1),"
        " '2026-02-01Z', 5, NULL FROM generate_series(1, %(n)s, 2) i",
        given,
    )
    for level in range(1, CHAINED + 1):
        _pass_on(conn, given, LEVEL * level, "customer:' || to_id(%(grant)s + i)")
    _pass_on(conn, given, LEVEL * (CHAINED + 1), "team:sales/' || i")
    conn.execute(
        "INSERT INTO grants (tenant_id, generation, grant_id, version, position, recorded_at,"
        " number, grantee, kind, status, terms_number, actions, scope, policy_id, policy_version,"
        " case_id, holds, irregular, parent) SELECT %(t)s, 1, to_id(%(l)s + i), 1, i,"
        " '2026-01-01Z', 'B' || i, 'customer:b' || i, 'below', 'active', 1, '{sell}', '{}', '', 1,"
        " 'c', 0, false, to_id(i) FROM generate_series(1, %(n)s) i",
        given,
    )
    conn.execute("UPDATE ledgers SET position = 100 + %(n)s WHERE tenant_id = %(t)s", given)


def prepare(conn: psycopg.Connection[Any]) -> None:
    """Make what `put` calls, and see that nobody takes statistics."""
    conn.execute(
        "CREATE FUNCTION to_id(i bigint) RETURNS uuid LANGUAGE sql IMMUTABLE RETURN"
        " ('00000000-0000-7000-8000-' || lpad(to_hex(i), 12, '0'))::uuid"
    )
    for table in TABLES:
        conn.execute(f"ALTER TABLE {table} SET (autovacuum_enabled = off)")  # pyright: ignore[reportArgumentType]


def put(conn: psycopg.Connection[Any], tenant: str, tables: Iterable[str], many: int) -> None:
    """Put so many rows in each of these tables."""
    given = {"t": tenant, "n": many, "e": EVERY}
    for table in tables:
        statement = (
            f"INSERT INTO {table} SELECT %(t)s, {_SAID[table]} FROM generate_series(1, %(n)s) i"
        )
        conn.execute(statement, given)  # pyright: ignore[reportArgumentType]


def _pass_on(
    conn: psycopg.Connection[Any], given: dict[str, Any], grant: int, grantee: str
) -> None:
    """Pass on each of the grants `LEVEL` below `grant` once; `grantee` is the rest of a literal."""
    conn.execute(
        "INSERT INTO permissions SELECT %(t)s, 1, to_id(%(grant)s + i), 1, '2026-01-01Z',"  # pyright: ignore[reportArgumentType]
        f" '2030-01-01Z', 10, NULL, '{grantee}, 'G' || i, 'dealership', '{{sell}}',"
        f" '{_TERRITORY}', to_id(0), 1, to_id(%(grant)s - %(l)s + i)::text, '[]'"
        " FROM generate_series(1, %(n)s) i",
        {**given, "grant": grant},
    )
