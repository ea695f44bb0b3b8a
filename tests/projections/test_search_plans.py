"""A page of a search touches what it looks at, however much there is."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import psycopg
import pytest

from api.provisioning import Database
from projections import search
from projections.checks import Question
from projections.search import Found
from tests.projections.conftest import FOLDS
from tests.projections.facts import day
from tests.projections.filling import fill
from tests.projections.test_plans import Conn, party, touched
from tests.support import cluster
from tests.support.ledger import make_tenant
from tests.support.owner import superuser

ROWS_A_CANDIDATE = 35
"""Of a customer merged with another one, or of a member of a team that had its right passed on:
their permissions, standings and merges, and those of the grants above.
"""

ROWS_A_LOOK = 6
"""Of a member of a team whom nobody ever gave such a right."""


def populate(conn: Conn, tenant: str) -> None:
    """Fill the tables; the policy that all permissions rest on is there, and so are some staff."""
    fill(conn, tenant)
    conn.execute(
        "INSERT INTO events (tenant_id, position, stream_id, version, type, recorded_at, actor,"
        " command_id, data) VALUES (%s, 1, to_id(0), 1, 'policy.drafted.1', '2026-01-01Z', 's',"
        " to_id(1), '')",
        (tenant,),
    )
    conn.execute(
        "INSERT INTO standings SELECT %s, 1, 'staff:' || to_id(i), '2026-01-01Z', '2030-01-01Z',"
        " 1, NULL FROM generate_series(1, 4000) i",
        (tenant,),
    )
    conn.execute(
        "INSERT INTO permissions SELECT tenant_id, 1, gen_random_uuid(), 1, valid_from, valid_to,"
        " 1, NULL, 'staff:' || substr(grantee, 10), 'x', kind, actions, '{\"staff\": [\"*\"]}',"
        " policy_id, 1, NULL, '[]' FROM permissions WHERE known_to IS NULL LIMIT 500"
    )


@pytest.fixture(scope="module", params=["no statistics", "statistics"])
def filled(run_directory: Path, request: pytest.FixtureRequest) -> Iterator[tuple[Database, str]]:
    """A database with thousands of rows of one tenant, known to the planner or not."""
    made = cluster.new_database(run_directory)
    tenant = make_tenant(made, FOLDS)
    with superuser(made) as conn:
        populate(conn, tenant)
        if request.param == "statistics":
            conn.execute("ANALYZE")
    yield made, tenant
    cluster.drop(made.admin or "", made.name)


@pytest.fixture
def conn(filled: tuple[Database, str]) -> Iterator[Conn]:
    with snapshots(filled[0]) as opened:
        yield opened


def snapshots(database: Database) -> Conn:
    """Its transactions are one snapshot each, so that a search may run inside one."""
    opened = psycopg.connect(database.service, autocommit=True)
    opened.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
    return opened


def question(tenant: str, **more: Any) -> Question:
    given: dict[str, Any] = {
        "tenant": tenant,
        "subject": party(7),
        "action": "sell",
        "resource_type": "territory",
        "resource_id": "CN/7",
        "properties": {"product": "tea"},
        "at": day(10),
    }
    return Question(**(given | more))


def subjects(kind: str, **more: Any) -> Callable[[Conn, str], Found]:
    after = more.pop("after", "")
    return lambda conn, tenant: search.subjects(
        conn, question(tenant, **more), kind, after=after, limit=20, now=day(10)
    )


def resources(**more: Any) -> Callable[[Conn, str], Found]:
    after = more.pop("after", "")
    return lambda conn, tenant: search.resources(
        conn, question(tenant, **more), after=after, limit=20, now=day(10)
    )


STAFF = {"resource_type": "staff", "subject": f"staff:{party(7)[9:]}"}

SEARCHES: dict[str, Callable[[Conn, str], Found]] = {
    "customers": subjects("customer"),
    "customers behind": subjects("customer", after=party(3000)[9:]),
    "customers as of": subjects("customer", as_of=50),
    "staff": subjects("staff", resource_type="staff"),
    "points": resources(),
    "points behind": resources(after="CN/3"),
    "points as of": resources(as_of=50),
    "points that are staff": resources(**STAFF),
    "points that are staff behind": resources(**STAFF, after=party(3000)[9:]),
    "actions": lambda conn, tenant: search.actions(
        conn, question(tenant), after="", limit=20, now=day(10)
    ),
}


@pytest.mark.parametrize("name", SEARCHES)
def test_a_page_of_a_search_touches_what_it_looks_at(
    conn: Conn, filled: tuple[Database, str], name: str
) -> None:
    _, tenant = filled
    pages: list[Found] = []
    scans, rows = touched(conn, lambda: pages.append(SEARCHES[name](conn, tenant)))
    (page,) = pages
    assert len(page.results) == (1 if name == "actions" else 20)
    assert (page.last is None) == (name == "actions")
    assert scans == 0
    assert rows <= 50 + 42 * ROWS_A_CANDIDATE


def test_a_page_that_finds_nothing_stops_at_its_bound(
    conn: Conn, filled: tuple[Database, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    _, tenant = filled
    monkeypatch.setattr(search, "MAX_SUBJECTS", 500)
    pages: list[Found] = []
    nowhere = subjects("customer", resource_id="DE/7")
    scans, rows = touched(conn, lambda: pages.append(nowhere(conn, tenant)))
    assert (pages[0].results, pages[0].last) == ([], party(500)[9:])
    assert scans == 0
    assert rows <= 500 * ROWS_A_CANDIDATE


def test_whoever_was_never_given_such_a_right_costs_a_look_and_no_check(
    conn: Conn, filled: tuple[Database, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    _, tenant = filled
    monkeypatch.setattr(search, "MAX_SUBJECTS", 500)
    pages: list[Found] = []
    other = subjects("staff", action="fly")
    scans, rows = touched(conn, lambda: pages.append(other(conn, tenant)))
    assert (pages[0].results, pages[0].last, scans) == ([], party(500)[9:], 0)
    assert rows <= 500 * ROWS_A_LOOK


def test_plans_made_while_the_tables_were_empty_are_no_worse(run_directory: Path) -> None:
    made = cluster.new_database(run_directory)
    try:
        tenant = make_tenant(made, FOLDS)
        with snapshots(made) as conn, superuser(made) as owner:
            owner.execute("UPDATE ledgers SET position = 100 WHERE tenant_id = %s", (tenant,))
            for ask in SEARCHES.values():
                assert ask(conn, tenant).results == []
            populate(owner, tenant)
            for name, ask in SEARCHES.items():
                scans, rows = touched(conn, partial(ask, conn, tenant))
                assert scans == 0, name
                assert rows <= 50 + 42 * ROWS_A_CANDIDATE, name
    finally:
        cluster.drop(made.admin or "", made.name)
