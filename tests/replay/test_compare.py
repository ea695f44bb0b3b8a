"""Live tables are held against the log: equal when nothing was touched, and what was is named."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import psycopg
import pytest

from api.provisioning import Database
from projections.tables import TABLES
from replay.compare import Compared, Difference, compare
from replay.reader import opened as reading
from tests.replay.planting import planted
from tests.support.mirror import Mirror
from tests.support.mixed import Mixed
from tests.support.owner import superuser

COLUMNS = [
    (name, column, kind)
    for name, table in TABLES.items()
    for column, kind in (("tenant_id", "uuid"), ("generation", "integer"), *table.columns.items())
]


@pytest.fixture(scope="module")
def owner(replay_database: Database) -> Iterator[psycopg.Connection[Any]]:
    with superuser(replay_database) as conn:
        yield conn


def compared(database: Database, tenant: str, *names: str) -> tuple[list[Difference], Compared]:
    """Compare as the auditor's role does."""
    with reading(database.auditor, tenant) as source:
        return compare(source, names or None)


def test_the_columns_compared_are_all_that_the_database_has(
    owner: psycopg.Connection[Any],
) -> None:
    for name, table in TABLES.items():
        rows = owner.execute(
            "SELECT column_name FROM information_schema.columns"
            " WHERE table_schema = 'public' AND table_name = %s",
            (name,),
        ).fetchall()
        assert {row[0] for row in rows} == {"tenant_id", "generation", *table.columns}, name


def test_every_table_with_a_generation_is_compared(owner: psycopg.Connection[Any]) -> None:
    rows = owner.execute(
        "SELECT table_name FROM information_schema.columns"
        " WHERE table_schema = 'public' AND column_name = 'generation'"
    ).fetchall()
    assert {row[0] for row in rows} == {"generations", "checkpoints", "verified", *TABLES}


def test_the_live_tables_of_a_firm_are_what_the_log_says(
    firm: Mixed, replay_database: Database
) -> None:
    found, how = compared(replay_database, firm.tenant)
    assert found == []
    assert how.faults == ()
    assert how.events == how.position > 150
    assert how.rows > 1_000


def test_the_live_tables_after_a_made_up_history_are_what_the_log_says(
    history: Mirror, replay_database: Database
) -> None:
    found, how = compared(replay_database, history.tenant)
    assert found == []
    assert how.events == how.position > 200


@pytest.mark.parametrize(("name", "column", "kind"), COLUMNS, ids=lambda one: str(one))
def test_one_planted_change_is_found_and_named(
    name: str,
    column: str,
    kind: str,
    firm: Mixed,
    history: Mirror,
    replay_database: Database,
    owner: psycopg.Connection[Any],
) -> None:
    table = TABLES[name]
    for tenant in (firm.tenant, history.tenant):
        with planted(owner, tenant, table, column, kind) as done:
            if not done:
                continue
            found, _ = compared(replay_database, tenant, table.projection)
        assert {one.table for one in found} == {name}, found
        if len(found) == 1:
            # The row is gone where its tenant or generation was changed.
            assert found[0].column == ("" if column in ("tenant_id", "generation") else column)
        else:
            # It follows from another stream now: one row too few there, one too many here.
            assert sorted((one.live is None, one.folded is None) for one in found) == [
                (False, True),
                (True, False),
            ], found
            assert column in table.owner or column in ("position", "path"), (column, found)
        assert compared(replay_database, tenant, table.projection)[0] == []
        return
    pytest.fail(f"no row of {name} to change")
