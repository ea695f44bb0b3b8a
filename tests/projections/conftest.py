"""What tests of read models share: ledgers with their inline rows, and tenants with every read
model.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec
import psycopg
import pytest

from api.provisioning import Database
from domain.ledger import Ledgers
from projections import inline, models, queries
from projections.check_rows import check_once, gone_once
from projections.checks import Decision, Explanation, Question
from projections.inline import InlineTables
from projections.memory import Memory
from projections.runner import Runner
from tests.projections.facts import day
from tests.projections.fake_log import LIMITS, Clock, Log
from tests.support import cluster
from tests.support.ledger import make_ledgers, make_tenant

FOLDS = dict(inline.FOLDS) | dict(models.FOLDS)


@pytest.fixture(scope="session")
def database(run_directory: Path) -> Iterator[Database]:
    """A database of this folder's own: workers look for whatever tenant is behind."""
    made = cluster.new_database(run_directory)
    yield made
    assert made.admin is not None
    cluster.drop(made.admin, made.name)


@pytest.fixture(scope="session")
def ledgers(database: Database) -> Iterator[Ledgers]:
    made = make_ledgers(database, InlineTables())
    yield made
    made.close()


@pytest.fixture
def tenant(database: Database) -> str:
    return make_tenant(database, FOLDS)


@pytest.fixture
def service(database: Database) -> Iterator[psycopg.Connection[Any]]:
    """A connection of the service's role."""
    with psycopg.connect(database.service, autocommit=True) as conn:
        yield conn


@pytest.fixture
def projector(database: Database) -> Iterator[psycopg.Connection[Any]]:
    """A connection of the projector's role."""
    with psycopg.connect(database.projector, autocommit=True) as conn:
        yield conn


def apply_objects(
    conn: psycopg.Connection[Any],
    tenant: str,
    positions: Sequence[int | None],
    rows: Sequence[dict[str, Any]],
) -> None:
    """Write rows as objects, past every guard; the tenant is set already."""
    conn.execute(
        "SELECT inline_apply(%s::uuid, %s::jsonb, %s::bigint[], %s::jsonb)",
        (
            tenant,
            msgspec.json.encode(dict.fromkeys(FOLDS, 1)).decode(),
            list(positions),
            msgspec.json.encode(rows).decode(),
        ),
    )


class Asker:
    """Asks the database: may the subject sell on this territory at noon of day 10?"""

    def __init__(self, conn: psycopg.Connection[Any], tenant: str) -> None:
        self._conn = conn
        self._tenant = tenant

    def decision(self, subject: str, **more: Any) -> Decision:
        given: dict[str, Any] = {
            "tenant": self._tenant,
            "subject": subject,
            "action": "sell",
            "resource_type": "territory",
            "resource_id": "CN/31",
            "at": day(10.5),
        }
        return check_once(self._conn, Question(**(given | more)), datetime.now(UTC))

    def allowed(self, subject: str, **more: Any) -> bool:
        return self.decision(subject, **more).allowed

    def why(self, subject: str, **more: Any) -> Explanation:
        decision = self.decision(subject, **more)
        return decision.explanation(gone_once(self._conn, decision))

    def code(self, subject: str, **more: Any) -> str:
        return self.why(subject, **more).code


@pytest.fixture
def ask(service: psycopg.Connection[Any], tenant: str) -> Asker:
    return Asker(service, tenant)


@pytest.fixture
def follow(
    database: Database, tenant: str, service: psycopg.Connection[Any]
) -> Iterator[Callable[[], int]]:
    """Brings the tenant's read models to its head; returns the position."""
    runner = Runner(database.projector)

    def catch_up() -> int:
        found = service.execute("SELECT position FROM ledgers WHERE tenant_id = %s", (tenant,))
        head: int = (found.fetchone() or (0,))[0]
        while min(queries.reached(service, tenant, name) for name in models.FOLDS) < head:
            runner.step()
        return head

    yield catch_up
    runner.close()


@pytest.fixture
def log() -> Log:
    return Log()


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def memory(log: Log, clock: Clock) -> Memory:
    return Memory(log, now=clock.now, monotonic=clock.monotonic, limits=LIMITS)
