"""A page of work, and of every query of compliance, touches a bounded number of rows, however many
there are; with `--full` there are 100,000 grants.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import psycopg
import pytest

from api.provisioning import Database
from projections import approvers, compliance, worklists
from projections.queries import Page
from projections.scanning import CHUNK, SCAN
from projections.worklists import Wish
from tests.projections.conftest import FOLDS
from tests.projections.filling_work import EVERY, PEOPLE, TABLES, fill
from tests.projections.test_plans import party
from tests.support import cluster
from tests.support.ledger import make_ledgers, make_tenant
from tests.support.owner import superuser

pytestmark = pytest.mark.drill

Conn = psycopg.Connection[Any]
NOW = datetime(2026, 6, 1, tzinfo=UTC)
LIMIT = 10


@pytest.fixture(scope="module")
def many(request: pytest.FixtureRequest) -> int:
    return 100_000 if request.config.getoption("--full") else 8_000


@pytest.fixture(scope="module", params=["no statistics", "statistics"])
def filled(
    run_directory: Path, many: int, request: pytest.FixtureRequest
) -> Iterator[tuple[Database, str]]:
    """A database with many rows of one tenant, known to the planner or not."""
    made = cluster.new_database(run_directory)
    tenant = make_tenant(made, FOLDS)
    with superuser(made) as conn:
        fill(conn, tenant, many)
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
    """(sequential scans of the tables, rows read) of one question."""
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
        (list(set(TABLES) - {"policy_versions"}),),
    ).fetchone()
    assert row is not None
    return row


Ask = Callable[..., Page]
BEHIND = party(200)[9:]
FEW: dict[str, Ask] = {
    "unchecked": lambda conn, t: compliance.unchecked(conn, t, limit=LIMIT),
    "unchecked behind": lambda conn, t: compliance.unchecked(
        conn, t, after=[BEHIND, "c"], limit=LIMIT
    ),
    "open": lambda conn, t: compliance.open_longer(conn, t, days=3, instant=NOW, limit=LIMIT),
    "open behind": lambda conn, t: compliance.open_longer(
        conn, t, days=3, instant=NOW, after=["infinity", BEHIND, "c"], limit=LIMIT
    ),
    "beyond evidence": lambda conn, t: compliance.beyond_evidence(
        conn, t, instant=NOW, limit=LIMIT
    ),
    "ending": lambda conn, t: compliance.ending(conn, t, days=365, instant=NOW, limit=LIMIT),
    "ending behind": lambda conn, t: compliance.ending(
        conn, t, days=365, instant=NOW, after=["2027-01-01T00:03:20Z", BEHIND, "1"], limit=LIMIT
    ),
    "retired policies": lambda conn, t: compliance.retired_policies(
        conn, t, instant=NOW, limit=LIMIT
    ),
    "retired policies behind": lambda conn, t: compliance.retired_policies(
        conn, t, instant=NOW, limit=LIMIT,
        after=[party(0)[9:], 1, "2027-01-01T00:03:20Z", BEHIND, "1"],
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", FEW)
def test_a_page_of_compliance_touches_about_as_many_rows_as_it_shows(
    conn: Conn, filled: tuple[Database, str], name: str
) -> None:
    shown: list[int] = []
    scans, rows = touched(conn, lambda: shown.append(len(FEW[name](conn, filled[1]).items)))
    assert shown == [LIMIT]
    assert scans == 0
    assert rows <= 3 * CHUNK


RARE: dict[str, Ask] = {
    "nothing is beyond": lambda conn, t: compliance.beyond_evidence(
        conn, t, instant=datetime(2026, 1, 15, tzinfo=UTC), limit=LIMIT
    ),
    "nothing demands none": lambda conn, t: compliance.unchecked(
        conn, t, demanded=False, limit=LIMIT
    ),
    "nothing is open so long": lambda conn, t: compliance.open_longer(
        conn, t, days=400, instant=datetime(2026, 1, 15, tzinfo=UTC), limit=LIMIT
    ),
}


@pytest.mark.parametrize("name", RARE)
def test_a_page_that_finds_nothing_stops_and_says_where_to_go_on(
    conn: Conn, filled: tuple[Database, str], many: int, name: str
) -> None:
    _, tenant = filled
    pages: list[Page] = []
    scans, rows = touched(conn, lambda: pages.append(RARE[name](conn, tenant)))
    assert scans == 0
    assert rows <= 4 * SCAN
    assert pages[0].items == []
    assert (pages[0].last is None) == (name == "nothing demands none" and many // EVERY <= SCAN)


def test_who_approved_how_much_reads_the_approvals_of_the_people_shown(
    conn: Conn, filled: tuple[Database, str], many: int
) -> None:
    _, tenant = filled
    pages: list[Page] = []
    scans, rows = touched(
        conn, lambda: pages.append(approvers.approvers(conn, tenant, limit=3, after=["p100"]))
    )
    assert [row["person"] for row in pages[0].items] == ["p101", "p102", "p103"]
    assert [row["approvals"] for row in pages[0].items] == [many // PEOPLE] * 3
    assert scans == 0
    assert rows <= 4 * (many // PEOPLE) + 2 * PEOPLE + 100  # four: one more than is shown


def test_who_approved_how_much_reads_an_index_alone_once_vacuum_has_been(
    conn: Conn, filled: tuple[Database, str], many: int
) -> None:
    database, tenant = filled
    with superuser(database) as owner:
        owner.execute("VACUUM hands")
    pages: list[Page] = []
    scans, rows = touched(
        conn, lambda: pages.append(approvers.approvers(conn, tenant, limit=PEOPLE))
    )
    assert sum(row["approvals"] for row in pages[0].items) == many
    assert [row["kinds"] for row in pages[0].items] == [{"dealership": many // PEOPLE}] * PEOPLE
    assert scans == 0
    assert rows <= 20


def test_approvers_of_a_day_read_that_day(
    conn: Conn, filled: tuple[Database, str], many: int
) -> None:
    _, tenant = filled
    since, until = datetime(2026, 1, 1, tzinfo=UTC), datetime(2026, 1, 1, 0, 16, 40, tzinfo=UTC)
    pages: list[Page] = []
    scans, rows = touched(
        conn,
        lambda: pages.append(
            approvers.approvers(conn, tenant, since=since, until=until, limit=LIMIT)
        ),
    )
    assert scans == 0
    assert {row["approvals"] for row in pages[0].items} <= {4, 5}
    assert rows <= 2 * PEOPLE + 200


WISHES: dict[str, Wish] = {
    "all": Wish(),
    "of a kind": Wish(kind="kind1"),
    "of a customer": Wish(customer=party(77)),
    "overdue": Wish(overdue=30),
}


@pytest.mark.parametrize("name", WISHES)
@pytest.mark.parametrize("behind", [False, True])
def test_a_page_of_work_walks_the_index_of_its_filter(
    filled: tuple[Database, str], conn: Conn, name: str, behind: bool
) -> None:
    """The tasks have no streams here; they show as closed ones, each found by one row."""
    database, tenant = filled
    ledgers = make_ledgers(database, None, pool_size=1)
    after = ["2026-01-01T00:03:20Z", BEHIND, "check:c"] if behind else None
    pages: list[Page] = []
    try:
        ledger = ledgers.ledger(tenant)
        scans, rows = touched(
            conn,
            lambda: pages.append(
                worklists.worklist(conn, ledger, NOW, WISHES[name], after=after, limit=LIMIT)
            ),
        )
    finally:
        ledgers.close()
    assert len(pages[0].items) == (4 if name == "of a customer" else LIMIT)
    assert scans == 0
    assert rows <= CHUNK
