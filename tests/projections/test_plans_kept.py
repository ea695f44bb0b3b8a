"""A plan that a connection made while a table was small touches few rows when it is large, before
anybody has taken statistics: until autovacuum comes round, that is the plan.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from uuid import UUID

import psycopg
import pytest

from api.provisioning import Database
from projections import queries
from tests.projections.conftest import FOLDS
from tests.projections.filling import EVERY, prepare, put
from tests.projections.test_plans import party, touched
from tests.support import cluster
from tests.support.ledger import make_tenant
from tests.support.owner import superuser

pytestmark = pytest.mark.drill

Conn = psycopg.Connection[Any]
Ask = Callable[[Conn, str], object]

MANY = 4_000
KEPT = 8
"""So often a statement is asked until its plan is kept."""

EVENTS = (
    "INSERT INTO events SELECT %s, i, to_id(i), 1, CASE WHEN i = 77 THEN 'staff.appointed.1'"
    " ELSE 'grant.noted.1' END, clock_timestamp(), 'service:test', NULL, to_id(i), NULL, ''"
    " FROM generate_series(%s::integer, %s::integer) i"
)
CLAIMS = (
    "INSERT INTO claims SELECT %s, 'number', sha256(i::text::bytea), to_id(i)"
    " FROM generate_series(%s::integer, %s::integer) i"
)
ONE = party(77)[9:]


def grants(**more: Any) -> Ask:
    return lambda conn, tenant: queries.grants(conn, tenant, limit=10, **more)


def customers(**more: Any) -> Ask:
    return lambda conn, tenant: queries.customers(conn, tenant, limit=10, **more)


ASKED: dict[str, Ask] = {
    "streams": lambda conn, t: conn.execute(
        "SELECT * FROM read_streams(%s, %s, %s)", (UUID(t), [UUID(ONE)], [0])
    ).fetchall(),
    "events": lambda conn, t: conn.execute(
        "SELECT * FROM read_events(%s, %s, %s, %s)", (UUID(t), 70, 79, 10)
    ).fetchall(),
    "a claim": lambda conn, t: conn.execute(
        "SELECT read_claim(%s, 'number', sha256('77'))", (UUID(t),)
    ).fetchall(),
    "staff": lambda conn, t: conn.execute("SELECT read_staff_ids(%s)", (UUID(t),)).fetchall(),
    "grants": grants(),
    "grants behind one": grants(after=[ONE]),
    "a grant by number": grants(number="G77"),
    "grants in a state": grants(status="status1"),
    "grants of a kind in its state": grants(kind="kind1", status="status1"),
    "grants of a kind in no state of it": grants(kind="kind1", status="status2"),
    "grants of a kind and state behind one": grants(kind="kind1", status="status1", after=[ONE]),
    "grants of a grantee in a state": grants(grantee="customer:1", status="status1"),
    "a customer by number": customers(number="C77"),
    "customers": customers(),
    "customers in a state": customers(status="status1"),
    "customers in a state behind one": customers(status="status1", after=["C9", ONE]),
    "customers by title": customers(title="title7"),
    "customers by title in a state": customers(title="title7", status="status37"),
    "customers by title in no state": customers(title="title7", status="ended"),
    "customers by title in a state behind one": customers(
        title="title", status="status37", after=["title77", ONE]
    ),
    "customers as read in a state": customers(order="title", status="status1"),
}
NOTHING = {"grants of a kind in no state of it", "customers by title in no state"}


@pytest.fixture(scope="module")
def grown(run_directory: Path) -> Iterator[tuple[Conn, str]]:
    """A connection that asked everything of a small tenant, which is a large one by now."""
    made: Database = cluster.new_database(run_directory)
    tenant = make_tenant(made, FOLDS)
    with (
        superuser(made) as owner,
        psycopg.connect(made.service, autocommit=True, prepare_threshold=0) as conn,
    ):
        prepare(owner)
        for table in ("events", "claims"):
            owner.execute(f"ALTER TABLE {table} SET (autovacuum_enabled = off)")  # pyright: ignore[reportArgumentType]
        for first, last in ((MANY + 1, MANY + 20), (1, MANY)):
            owner.execute(EVENTS, (tenant, first, last))
            owner.execute(CLAIMS, (tenant, first, last))
            if first > 1:
                put(owner, tenant, ("grants", "customers"), 20)
                for ask in ASKED.values():
                    for _ in range(KEPT):
                        ask(conn, tenant)
                for table in ("grants", "customers"):
                    owner.execute(f"DELETE FROM {table}")  # pyright: ignore[reportArgumentType]
        put(owner, tenant, ("grants", "customers"), MANY)
        yield conn, tenant
    assert made.admin is not None
    cluster.drop(made.admin, made.name)


@pytest.mark.parametrize("name", ASKED)
def test_a_plan_kept_from_a_small_table_touches_few_rows_of_a_large_one(
    grown: tuple[Conn, str], name: str
) -> None:
    conn, tenant = grown
    found: list[Any] = []
    _, rows = touched(conn, lambda: found.append(ASKED[name](conn, tenant)))
    shown = found[0].items if isinstance(found[0], queries.Page) else found[0]
    assert bool(shown) != (name in NOTHING)
    assert rows <= MANY // EVERY + 100
