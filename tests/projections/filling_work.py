"""Many rows of one tenant in the tables that work lists and compliance ask, put there by force."""

from __future__ import annotations

from typing import Any, Final

import psycopg

EVERY: Final = 40
"""One in so many grants is still open, in force, or was never checked."""

PEOPLE: Final = 200
"""Approvers."""

TABLES: Final = (
    "tasks", "cases", "effects", "policy_versions", "hands", "customers", "grants",
)  # fmt: skip

_OPEN: Final = "i %% %(e)s = 0"
_SAID: Final = {
    "tasks": "1, to_id(i), 'check:c', 'kind' || i %% %(e)s, 'grant', 'customer:' || to_id(i / 4),"
    " '2026-01-01Z'::timestamptz + i * interval '1 s', NULL",
    "cases": "1, to_id(i), 'c', 'request', 'G' || i, 'customer:' || to_id(i), to_id(i %% 20)::text,"
    " 1, '2026-01-01Z'::timestamptz + i * interval '1 s',"
    f" CASE WHEN {_OPEN} THEN NULL ELSE '2026-02-01Z'::timestamptz END,"
    f" CASE WHEN {_OPEN} THEN 'infinity' ELSE '2026-02-01Z'::timestamptz END,"
    f" CASE WHEN {_OPEN} THEN 0 ELSE 1 END, 1, false",
    "effects": "1, to_id(i), '1', 'G' || i, 'customer:' || to_id(i), 'dealership',"
    " to_id(i %% 20)::text, 1, '2026-01-01Z',"
    f" CASE WHEN {_OPEN} THEN '2027-01-01Z'::timestamptz + i * interval '1 s'"
    " ELSE '2026-02-01Z' END,"
    " tstzmultirange(tstzrange('2026-01-01Z',"
    f" CASE WHEN {_OPEN} THEN '2027-01-01Z'::timestamptz + i * interval '1 s'"
    " ELSE '2026-02-01Z' END)), true,"
    f" CASE WHEN i %% (%(e)s * 2) = 0 THEN '2026-05-01Z'::timestamptz ELSE NULL END",
    "customers": "1, to_id(i), 1, i, '2026-01-01Z', 'C' || i, 'organization', 'title' || i,"
    " 'key' || i, NULL, 'confirmed', '2030-01-01Z', NULL, NULL, NULL, 0, false",
    "hands": "1, to_id(i), 'c', i, 'p' || lpad((i %% %(p)s)::text, 3, '0'), 'G', 'approved', 's',"
    " '2026-01-01Z'::timestamptz + i * interval '1 s', 's', false, NULL, 'dealership'",
    "grants": "1, to_id(i), 1, i, '2026-01-01Z', 'G' || i, 'customer:' || to_id(i), 'dealership',"
    " 'active', 1, '{sell}', '{}', '', 1, 'c', NULL, NULL, NULL, NULL, NULL, NULL, 0, NULL, false",
}
"""Columns after the tenant, for the i-th row."""

_VERSIONS: Final = (
    "INSERT INTO policy_versions SELECT %(t)s, 1, to_id(i), '1', 1, 'dealership', '2026-01-01Z',"
    " CASE WHEN i < 4 THEN '2026-03-01Z'::timestamptz END, NULL, true"
    " FROM generate_series(0, 19) i"
)


def fill(conn: psycopg.Connection[Any], tenant: str, number: int) -> None:
    """Fill the tables, so many rows each, as a superuser; no statistics are taken."""
    given = {"t": tenant, "n": number, "e": EVERY, "p": PEOPLE}
    conn.execute(
        "CREATE FUNCTION to_id(i bigint) RETURNS uuid LANGUAGE sql IMMUTABLE RETURN"
        " ('00000000-0000-7000-8000-' || lpad(to_hex(i), 12, '0'))::uuid"
    )
    for table in TABLES:
        conn.execute(f"ALTER TABLE {table} SET (autovacuum_enabled = off)")  # pyright: ignore[reportArgumentType]
    for table, said in _SAID.items():
        statement = f"INSERT INTO {table} SELECT %(t)s, {said} FROM generate_series(1, %(n)s) i"
        conn.execute(statement, given)  # pyright: ignore[reportArgumentType]
    conn.execute(_VERSIONS, given)
