"""Every hot query walks an index and touches few rows, however many there are, with statistics and
without.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from uuid import UUID

import psycopg
import pytest

from api.provisioning import Database
from domain.ledger import Ledgers
from projections import check_rows, queries
from projections.check_rows import CHECK, GONE, POSITION_AT, TAIL, check_parameters
from projections.due import PAGE, TOP, below, due
from projections.duty_breaches import breaches
from projections.inline import InlineTables
from projections.scanning import SCAN
from tests.projections import facts
from tests.projections.conftest import FOLDS
from tests.projections.filling import CHAINED, LEVEL, MANY, TABLES, fill
from tests.support import cluster
from tests.support.ledger import clock, make_ledgers, make_tenant
from tests.support.owner import superuser

pytestmark = pytest.mark.drill

Conn = psycopg.Connection[Any]


@pytest.fixture(scope="module", params=["no statistics", "statistics"])
def filled(
    run_directory: Path, rounds: Callable[[int, int], int], request: pytest.FixtureRequest
) -> Iterator[tuple[Database, str]]:
    """A database with thousands of rows of one tenant, known to the planner or not.

    A hundred thousand grants with `--full`.
    """
    made = cluster.new_database(run_directory)
    tenant = make_tenant(made, FOLDS)
    with superuser(made) as conn:
        fill(conn, tenant, rounds(MANY, 100_000))
        if request.param == "statistics":
            conn.execute("ANALYZE")
    yield made, tenant
    assert made.admin is not None
    cluster.drop(made.admin, made.name)


@pytest.fixture
def conn(filled: tuple[Database, str]) -> Iterator[Conn]:
    with psycopg.connect(filled[0].service, autocommit=True) as opened:
        yield opened


def touched(conn: Conn, ask: Callable[[], object]) -> tuple[int, int]:
    """(sequential scans of the large tables, rows read) of one question."""
    with conn.transaction(force_rollback=True):
        before = _counts(conn)
        ask()
        after = _counts(conn)
    return after[0] - before[0], after[1] - before[1]


def _counts(conn: Conn) -> tuple[int, int]:
    row = conn.execute(
        "SELECT coalesce(sum(seq_scan) FILTER (WHERE relname = ANY (%s)), 0)::bigint,"
        " coalesce(sum(seq_tup_read + coalesce(idx_tup_fetch, 0)), 0)::bigint"
        " FROM pg_stat_xact_user_tables",
        (list(TABLES),),
    ).fetchone()
    assert row is not None
    return row


def party(number: int) -> str:
    return f"customer:00000000-0000-7000-8000-{number:012x}"


@pytest.mark.parametrize("as_of", [None, 50])
@pytest.mark.parametrize("subjects", [1, 20])
def test_a_check_touches_the_subjects_own_rows_now_and_as_of_any_position(
    conn: Conn, filled: tuple[Database, str], as_of: int | None, subjects: int
) -> None:
    _, tenant = filled
    asked = [party(2 * n + 1) for n in range(1, subjects + 1)]  # each merged into the next one
    points = [f"territory/CN/{n}" for n in range(1, subjects + 1)]
    parameters = check_parameters(tenant, asked, points, as_of)

    def ask() -> None:
        row = conn.cursor(binary=True).execute(CHECK, parameters).fetchone()
        found = check_rows.loaded(row, asked, points)
        assert all(len(one.rights) == 2 for one in found.subjects.values())

    scans, rows = touched(conn, ask)
    assert scans == 0
    assert rows <= 30 + 25 * subjects


def staff(number: int) -> str:
    return f"staff:00000000-0000-7000-8000-{number:012x}"


@pytest.mark.parametrize("as_of", [None, 50])
@pytest.mark.parametrize("subjects", [1, 20])
@pytest.mark.parametrize("of_teams", [False, True])
def test_a_check_of_what_was_passed_on_touches_the_rows_of_its_own_chain(
    conn: Conn,
    filled: tuple[Database, str],
    as_of: int | None,
    subjects: int,
    of_teams: bool,
) -> None:
    _, tenant = filled
    numbers = range(3, 2 * subjects + 3, 2)  # the top one's grantee was merged into another
    asked = [staff(n) if of_teams else party(LEVEL * CHAINED + n) for n in numbers]
    points = [f"territory/CN/{n}" for n in numbers]
    parameters = check_parameters(tenant, asked, points, as_of)

    def ask() -> None:
        row = conn.cursor(binary=True).execute(CHECK, parameters).fetchone()
        found = check_rows.loaded(row, asked, points)
        for one in found.subjects.values():
            assert len(one.rights) == 1
            assert len(one.above) == CHAINED + of_teams
            assert not one.missing

    scans, rows = touched(conn, ask)
    assert scans == 0
    assert rows <= 60 + 75 * subjects


def test_a_plan_made_while_the_tables_were_empty_is_no_worse(run_directory: Path) -> None:
    made = cluster.new_database(run_directory)
    try:
        tenant = make_tenant(made, FOLDS)
        parameters = check_parameters(tenant, [party(3)], ["territory/CN/3"], None)
        with psycopg.connect(made.service, autocommit=True) as conn, superuser(made) as owner:
            below = party(LEVEL * CHAINED + 3)
            chained = check_parameters(tenant, [below, staff(3)], ["territory/CN/3"], None)
            for _ in range(3):
                conn.execute(CHECK, parameters, prepare=True).fetchone()
                conn.execute(CHECK, chained, prepare=True).fetchone()
            fill(owner, tenant)
            scans, rows = touched(conn, lambda: conn.execute(CHECK, parameters).fetchone())
            assert scans == 0
            assert rows <= 55
            scans, rows = touched(conn, lambda: conn.execute(CHECK, chained).fetchone())
            assert scans == 0
            assert rows <= 210
    finally:
        assert made.admin is not None
        cluster.drop(made.admin, made.name)


def test_closing_and_opening_rows_under_the_lock_touches_only_these(
    run_directory: Path,
) -> None:
    """The plans of `inline_apply` are made on empty tables, by the first append of a connection."""
    made = cluster.new_database(run_directory)
    ledgers: Ledgers = make_ledgers(made, InlineTables(), pool_size=1)
    try:
        tenant = make_tenant(made, FOLDS)
        policy, grantee = facts.policy(ledgers, tenant), facts.customer(ledgers, tenant)
        grant_id = facts.grant(ledgers, tenant, grantee, policy, {"territory": ("CN",)})
        facts.put(ledgers, tenant, "grant", grant_id, facts.suspended(1))
        with superuser(made) as owner:
            owner.execute(
                "INSERT INTO permissions SELECT p.tenant_id, 1, gen_random_uuid(), 1, p.valid_from,"
                " p.valid_to, 1, NULL, p.grantee, 'x', p.kind, p.actions, p.scope, p.policy_id, 1,"
                " NULL, '[]' FROM permissions p, generate_series(1, 4000) WHERE p.known_to IS NULL"
            )
            owner.execute("SELECT pg_stat_reset()")
            facts.put(ledgers, tenant, "grant", grant_id, facts.resumed(2))
            ledgers.close()  # its connections report what they did when they end
            row, end = None, time.monotonic() + 10
            while not (row and row[1]) and time.monotonic() < end:
                time.sleep(0.02)
                row = owner.execute(
                    "SELECT seq_scan, idx_tup_fetch FROM pg_stat_user_tables"
                    " WHERE relname = 'permissions'"
                ).fetchone()
        assert row is not None
        assert row[0] == 0
        assert 0 < row[1] <= 10
    finally:
        ledgers.close()
        assert made.admin is not None
        cluster.drop(made.admin, made.name)


def test_the_tail_reads_only_what_came_since(conn: Conn, filled: tuple[Database, str]) -> None:
    _, tenant = filled
    head = conn.execute("SELECT position FROM ledgers WHERE tenant_id = %s", (tenant,)).fetchone()
    assert head is not None

    def ask() -> None:
        row = conn.execute(TAIL, (UUID(tenant), head[0] - 10, 20_000)).fetchone()
        assert row is not None
        assert row[0] == head[0] >= 100 + MANY

    scans, rows = touched(conn, ask)
    assert scans == 0
    assert rows <= 30


def test_an_explanation_of_what_is_gone_reads_the_subjects_own_rows(
    conn: Conn, filled: tuple[Database, str]
) -> None:
    _, tenant = filled
    parameters = (UUID(tenant), [party(3)], [UUID(party(8)[9:])], None, 100)
    scans, rows = touched(conn, lambda: conn.execute(GONE, parameters).fetchone())
    assert scans == 0
    assert rows <= 15


def test_an_instant_is_found_in_the_log_by_one_probe(
    conn: Conn, filled: tuple[Database, str]
) -> None:
    _, tenant = filled
    scans, rows = touched(conn, lambda: conn.execute(POSITION_AT, (UUID(tenant), clock())))
    assert scans == 0
    assert rows <= 5


LISTS: dict[str, Callable[[Conn, str], queries.Page]] = {
    "grants": lambda conn, t: queries.grants(conn, t, limit=10),
    "grants behind": lambda conn, t: queries.grants(conn, t, after=[party(9)[9:]], limit=10),
    "grants of a grantee": lambda conn, t: queries.grants(conn, t, grantee="customer:1", limit=10),
    "grants in a state": lambda conn, t: queries.grants(conn, t, status="status1", limit=10),
    "grants of a kind": lambda conn, t: queries.grants(conn, t, kind="kind1", limit=10),
    "a grant by number": lambda conn, t: queries.grants(conn, t, number="G77", limit=10),
    "grants passed on": lambda conn, t: queries.grants(conn, t, parent=party(1)[9:], limit=10),
    "customers": lambda conn, t: queries.customers(conn, t, limit=10),
    "customers behind": lambda conn, t: queries.customers(
        conn, t, after=["C9", party(9)[9:]], limit=10
    ),
    "a customer by number": lambda conn, t: queries.customers(conn, t, number="C77", limit=10),
    "customers in a state": lambda conn, t: queries.customers(conn, t, status="status1", limit=10),
    "customers by title": lambda conn, t: queries.customers(conn, t, title="title77", limit=10),
    "customers as read": lambda conn, t: queries.customers(conn, t, order="title", limit=10),
    "policies": lambda conn, t: queries.policies(conn, t, limit=10),
    "policies of a kind": lambda conn, t: queries.policies(conn, t, kind="kind77", limit=10),
    "policies in a state": lambda conn, t: queries.policies(conn, t, status="status1", limit=10),
    "staff": lambda conn, t: queries.staff(conn, t, limit=10),
    "staff by number": lambda conn, t: queries.staff(conn, t, number="S77", limit=10),
}


@pytest.mark.parametrize("name", LISTS)
def test_a_page_of_a_list_touches_as_many_rows_as_it_shows(
    conn: Conn, filled: tuple[Database, str], name: str
) -> None:
    _, tenant = filled
    shown: list[int] = []
    scans, rows = touched(conn, lambda: shown.append(len(LISTS[name](conn, tenant).items)))
    assert shown[0] > 0
    assert scans == 0
    assert rows <= 200


def test_what_is_due_is_found_without_looking_at_the_rest(
    conn: Conn, filled: tuple[Database, str]
) -> None:
    _, tenant = filled
    (soon,) = conn.execute("SELECT '2026-01-01 20:30Z'::timestamptz").fetchone() or (None,)
    assert soon is not None
    found: list[int] = []
    scans, rows = touched(conn, lambda: found.append(len(list(due(conn, tenant, soon)))))
    assert (found, scans) == ([20], 0)
    assert rows <= 200


def test_a_page_of_what_was_passed_on_looks_at_no_more_than_a_page(
    conn: Conn, filled: tuple[Database, str]
) -> None:
    _, tenant = filled
    pages: list[object] = []
    scans, rows = touched(conn, lambda: pages.append(below(conn, tenant, clock(), TOP)))
    found, following = below(conn, tenant, clock(), TOP)
    assert (pages, scans) == ([(found, following)], 0)
    assert following is not None
    assert rows <= 2 * PAGE + 20


def test_a_page_of_breaches_looks_at_a_bounded_number_of_hands(
    conn: Conn, filled: tuple[Database, str]
) -> None:
    _, tenant = filled
    after: Any = None

    def ask() -> None:
        nonlocal after
        after = breaches(conn, tenant, after=after, limit=10).last

    for _ in range(2):
        scans, rows = touched(conn, ask)
        assert rows <= 2 * SCAN + 200
        assert scans == 0
        assert after is not None


def test_the_filled_rows_are_what_they_claim(filled: tuple[Database, str], conn: Conn) -> None:
    _, tenant = filled
    with conn.transaction():
        conn.execute("SELECT set_config('counterseal.tenant', %s, true)", (tenant,))
        for name in TABLES:
            row = conn.execute(f"SELECT count(*) FROM {name}").fetchone()  # pyright: ignore[reportArgumentType]
            assert row is not None
            assert row[0] >= MANY / 2, name
