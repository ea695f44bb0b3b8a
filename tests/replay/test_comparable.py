"""Values of rows in a form in which equal ones are equal: as folded, as the database has them."""

from __future__ import annotations

import psycopg
import pytest

from api.provisioning import Database
from replay.comparable import comparable

ONE = {"at": "timestamptz"}
MANY = {"spans": "tstzmultirange"}


def stored(database: Database, kind: str, value: str) -> str:
    """A value as it comes out of a row of the database."""
    with psycopg.connect(database.auditor) as conn:
        conn.execute("SET timezone = 'UTC'")
        row = conn.execute(f"SELECT to_jsonb(%s::{kind}) #>> '{{}}'", (value,)).fetchone()  # pyright: ignore[reportArgumentType, reportCallIssue]
    assert row is not None
    return str(row[0])


@pytest.mark.parametrize(
    "told",
    [
        "2026-02-28T23:59:59.999999+08:00",
        "9999-12-31T23:59:59-08:00",
        "9999-12-31T23:59:59Z",
        "0001-01-01T00:00:00+08:00",
        "0001-01-01T00:00:00Z",
        "1900-03-01T00:00:00+08:05",
        "infinity",
        "-infinity",
    ],
)
def test_an_instant_is_the_same_however_far_it_is_and_in_whatever_zone(
    replay_database: Database, told: str
) -> None:
    there = stored(replay_database, "timestamptz", told)
    assert comparable(ONE, {"at": there}) == comparable(ONE, {"at": told})


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("10000-01-01T07:59:59+00:00", "10000-01-01T07:59:58+00:00"),
        ("10000-01-01T07:59:59+00:00", "9600-01-01T07:59:59+00:00"),
        ("0044-03-15T00:00:00+00:00 BC", "0044-03-15T00:00:00+00:00"),
        ("0045-03-15T00:00:00+00:00 BC", "0044-03-15T00:00:00+00:00 BC"),
        ("infinity", "-infinity"),
        ("nonsense", "2026-01-01T00:00:00Z"),
    ],
)
def test_instants_that_are_not_the_same_differ(one: str, other: str) -> None:
    assert comparable(ONE, {"at": one}) != comparable(ONE, {"at": other})


def test_spans_are_the_same_in_whatever_zone_they_are_told(replay_database: Database) -> None:
    told = (
        "{[2026-01-01T06:00:00+08:00,2026-01-01T07:00:00+08:00),"
        "[2025-12-31T23:30:00+00:00,2026-01-02T00:00:00+00:00),"
        "[2026-01-02T08:00:00+08:00,)}"
    )
    there = stored(replay_database, "tstzmultirange", told)
    assert comparable(MANY, {"spans": there}) == comparable(MANY, {"spans": told})
