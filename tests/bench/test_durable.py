"""What is measured is durable, for ours and for the peers: a benchmark refuses to run otherwise."""

from __future__ import annotations

from unittest.mock import Mock

import psycopg
import pytest
from psycopg.conninfo import make_conninfo

from api.provisioning import Database
from domain.recorder import LedgerDatastore
from tests.bench import stage
from tests.support.cluster import drop


def addresses(made: Database) -> dict[str, str]:
    return {
        "service": made.service,
        "projector": made.projector,
        "auditor": made.auditor,
        "migrator": made.migrator,
        "keys": made.keys,
        "peers": str(made.admin),
    }


def test_every_role_writes_durably_as_it_is_measured(database: Database) -> None:
    for role, address in addresses(database).items():
        with psycopg.connect(address) as conn:
            for setting in stage.DURABLE:
                row = conn.execute("SELECT current_setting(%s)", (setting,)).fetchone()
                assert row == ("on",), (role, setting)


def test_the_connections_that_append_are_durable(database: Database) -> None:
    """Those of the pool: its options come on top of what the role and the database say."""
    datastore = LedgerDatastore(database.service, pool_size=1)
    try:
        with datastore.get_connection() as conn:
            found = conn.execute(
                "SELECT current_setting(s) AS value FROM unnest(%s::text[]) AS s",
                (list(stage.DURABLE),),
            ).fetchall()
    finally:
        datastore.close()
    assert [row["value"] for row in found] == ["on"] * len(stage.DURABLE)


@pytest.mark.parametrize("role", ["service", "projector", "migrator", "peers"])
def test_no_benchmark_runs_where_a_commit_is_not_waited_for(database: Database, role: str) -> None:
    bought = make_conninfo(addresses(database)[role], options="-c synchronous_commit=off")
    stage.refuse_undurable(addresses(database)[role])
    with pytest.raises(RuntimeError, match="synchronous_commit is off"):
        stage.refuse_undurable(addresses(database)["service"], bought)


def test_the_stage_and_the_peers_database_are_looked_at(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    looked: list[str] = []
    monkeypatch.setattr(stage, "refuse_undurable", lambda *given: looked.extend(given))
    monkeypatch.setattr(stage, "embedded_database", lambda *_: database)
    monkeypatch.setattr(stage, "migrate_both", lambda _: [])
    monkeypatch.setattr(stage, "ensure_server", lambda _: Mock())
    with stage.database() as made:
        peer = stage.plain_database(made, f"{database.name}_peer")
        drop(str(database.admin), f"{database.name}_peer")
    assert {made.service, made.projector, made.migrator, peer} <= set(looked)
