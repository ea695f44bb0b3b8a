"""One value of one row changed behind everybody's back, and put back."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager
from typing import Any, LiteralString, cast

import psycopg
from psycopg import sql

from projections.tables import TABLES, Table

OTHERS: dict[str, LiteralString] = {
    "text": "coalesce({0}, '') || 'x'",
    "text[]": "{0} || ARRAY['planted']",
    "jsonb": """'{{"planted": "1"}}'::jsonb""",
    "integer": "{0} + 1000",
    "bigint": "coalesce({0}, 0) + 1000000",
    "boolean": "NOT {0}",
    "timestamptz": "CASE WHEN isfinite({0}) THEN {0} + interval '1 second'"
    " ELSE '2099-01-01 00:00:00Z'::timestamptz END",
    "uuid": "gen_random_uuid()",
    "tstzmultirange": "'{{[2020-01-01 00:00:00Z,2020-01-02 00:00:00Z)}}'::tstzmultirange",
}
"""Type -> a value that is another one, and no neighbour's: it may be a part of the key."""

SPECIAL: dict[tuple[str, str], LiteralString] = {
    ("tasks", "about"): "CASE {0} WHEN 'grant' THEN 'customer' ELSE 'grant' END",
    ("cases", "kind"): "CASE {0} WHEN 'request' THEN 'renewal' ELSE 'request' END",
    ("hands", "act"): "CASE {0} WHEN 'checked' THEN 'requested' ELSE 'checked' END",
    **{(name, "known_from"): "{0} - 1" for name in TABLES},
    **{(name, "valid_from"): "{0} - interval '1 second'" for name in TABLES},
    ("points", "valid_from"): "'2001-01-01 00:00:00Z'::timestamptz",
}
"""What a constraint asks for."""


@contextmanager
def planted(
    conn: psycopg.Connection[Any], tenant: str, table: Table, column: str, kind: str
) -> Generator[bool]:
    """Change one value of one live row for a while, where there is one to change; `conn` is a
    superuser's. Gives whether there was a row.
    """
    other = sql.SQL(SPECIAL.get((table.name, column), OTHERS[kind])).format(sql.Identifier(column))
    names = {"table": sql.Identifier(table.name), "column": sql.Identifier(column)}
    found = conn.execute(
        sql.SQL(
            "SELECT ctid::text, {column}::text FROM {table}"
            " WHERE tenant_id = %s AND generation = (SELECT generation FROM generations"
            " WHERE tenant_id = %s AND projection = %s AND live)"
            " ORDER BY {column} IS NULL, random() LIMIT 1"
        ).format(**names),
        (tenant, tenant, table.projection),
    ).fetchone()
    if found is None:
        yield False
        return
    changed = conn.execute(
        sql.SQL(
            "UPDATE {table} SET {column} = {other} WHERE ctid = %s::tid RETURNING ctid::text"
        ).format(**names, other=other),
        (found[0],),
    ).fetchone()
    assert changed is not None
    try:
        yield True
    finally:
        put = conn.execute(
            sql.SQL("UPDATE {table} SET {column} = %s::{kind} WHERE ctid = %s::tid").format(
                **names, kind=sql.SQL(cast("LiteralString", kind))
            ),
            (found[1], changed[0]),
        )
        assert put.rowcount == 1
