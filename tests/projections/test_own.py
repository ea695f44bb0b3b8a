"""One's own lists: complete, in order, page after page, and without reading rows of others."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest

from api.provisioning import Database
from projections import own
from projections.queries import Page
from tests.projections.conftest import FOLDS
from tests.projections.filling_work import TABLES, fill
from tests.support import cluster
from tests.support.ledger import make_tenant
from tests.support.owner import superuser

Conn = psycopg.Connection[Any]
MANY = 6_000
REFS = ("customer:me", "customer:before")
MINE = 12
"""Grants, and tasks, of each of the refs."""

LIMIT = 5


@pytest.fixture(scope="module", params=["no statistics", "statistics"])
def filled(run_directory: Path, request: pytest.FixtureRequest) -> Iterator[tuple[Database, str]]:
    """Many rows of one tenant, a few of them one's own; known to the planner or not."""
    made = cluster.new_database(run_directory)
    tenant = make_tenant(made, FOLDS)
    with superuser(made) as conn:
        fill(conn, tenant, MANY)
        for place, ref in enumerate(REFS):
            conn.execute(
                "UPDATE grants SET grantee = %s WHERE grant_id IN"
                " (SELECT to_id(n * 400 + %s) FROM generate_series(1, %s) n)",
                (ref, place, MINE),
            )
            conn.execute(
                "INSERT INTO tasks SELECT %s, 1, gen_random_uuid(), kind || ':c' || more, kind,"
                " 'grant', %s, '2026-01-01Z'::timestamptz + n * interval '1 hour', NULL"
                " FROM generate_series(1, %s) n,"
                " (VALUES ('sign', ':grantee'), ('sign', ':tenant'), ('check', '')) k(kind, more)",
                (tenant, ref, MINE),
            )
        conn.execute(
            "INSERT INTO aliases VALUES (%s, 1, 'customer:before', 'customer:me', now(), 1, NULL)",
            (tenant,),
        )
        if request.param == "statistics":
            conn.execute("ANALYZE")
    yield made, tenant
    assert made.admin is not None
    cluster.drop(made.admin, made.name)


@pytest.fixture
def conn(filled: tuple[Database, str]) -> Iterator[Conn]:
    with psycopg.connect(filled[0].service, autocommit=True) as opened:
        yield opened


def pages(ask: Callable[..., Page]) -> list[dict[str, Any]]:
    """All rows, page after page."""
    found: list[dict[str, Any]] = []
    after: list[Any] | None = None
    while True:
        page = ask(after=after, limit=LIMIT)
        found += page.items
        if page.last is None:
            return found
        after = page.last


def test_all_of_one_s_own_come_once_in_their_order_and_nothing_of_others(
    conn: Conn, filled: tuple[Database, str]
) -> None:
    _, tenant = filled
    ids = [row["grant_id"] for row in pages(lambda **more: own.grants(conn, tenant, REFS, **more))]
    assert ids == sorted(set(ids))
    assert len(ids) == 2 * MINE
    tasks = pages(lambda **more: own.tasks(conn, tenant, REFS, **more))
    assert len(tasks) == 2 * MINE, "what others check or sign is not asked of the grantee"
    assert {row["item"] for row in tasks} == {"sign:c:grantee"}
    keys = [(row["since"], row["stream_id"]) for row in tasks]
    assert keys == sorted(keys)


def test_a_record_stands_for_those_merged_into_it_and_not_for_the_one_it_went_into(
    conn: Conn, filled: tuple[Database, str]
) -> None:
    _, tenant = filled
    assert own.merged_refs(conn, tenant, "customer:me") == ("customer:before", "customer:me")
    assert own.merged_refs(conn, tenant, "customer:before") == ("customer:before",)


@pytest.mark.parametrize("what", ["grants", "tasks", "merged_refs"])
@pytest.mark.parametrize("behind", [False, True])
def test_a_page_of_one_s_own_touches_no_more_rows_than_that(
    conn: Conn, filled: tuple[Database, str], what: str, behind: bool
) -> None:
    _, tenant = filled

    def ask() -> None:
        match what:
            case "grants":
                after = ["00000000-0000-7000-8000-000000000100"] if behind else None
                own.grants(conn, tenant, REFS, after=after, limit=LIMIT)
            case "tasks":
                since = ["2026-01-01T05:00:00+00:00", "0" * 8 + "-0000-7000-8000-" + "0" * 12, ""]
                own.tasks(conn, tenant, REFS, after=since if behind else None, limit=LIMIT)
            case _:
                own.merged_refs(conn, tenant, "customer:me")

    with conn.transaction(force_rollback=True):
        before = _counts(conn)
        ask()
        scans, rows = (now - then for now, then in zip(_counts(conn), before, strict=True))
    assert scans == 0
    assert rows <= 8 * MINE


def _counts(conn: Conn) -> tuple[int, int]:
    row = conn.execute(
        "SELECT coalesce(sum(seq_scan) FILTER (WHERE relname = ANY (%s)), 0)::bigint,"
        " coalesce(sum(seq_tup_read + coalesce(idx_tup_fetch, 0)), 0)::bigint"
        " FROM pg_stat_xact_user_tables",
        ([*(set(TABLES) - {"policy_versions"})],),
    ).fetchone()
    assert row is not None
    return row
