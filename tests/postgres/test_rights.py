"""What the service's role tries and may not: the one way into the log is `append`."""

from __future__ import annotations

import psycopg
import pytest
from psycopg.errors import InsufficientPrivilege

from api.provisioning import Database
from tests.support.ledger import make_ledgers, make_tenant, new_id, say
from tests.support.owner import superuser
from tests.support.toys import Register

ATTEMPTS = {
    "insert an event": "INSERT INTO events SELECT * FROM events LIMIT 1",
    "update an event": "UPDATE events SET data = data",
    "delete an event": "DELETE FROM events",
    "truncate the events": "TRUNCATE events",
    "forge a position": "UPDATE events SET position = position + 1",
    "insert a batch": "INSERT INTO batches SELECT * FROM batches LIMIT 1",
    "update a batch": "UPDATE batches SET root = root",
    "delete a batch": "DELETE FROM batches",
    "truncate the batches": "TRUNCATE batches",
    "advance the head row": "UPDATE ledgers SET position = position + 1",
    "lock the head row": "SELECT * FROM ledgers FOR UPDATE",
    "insert a head row": "INSERT INTO ledgers (tenant_id) VALUES (gen_random_uuid())",
    "delete the head row": "DELETE FROM ledgers",
    "store a command": "INSERT INTO commands SELECT * FROM commands LIMIT 1",
    "change a command": "UPDATE commands SET outcome = outcome",
    "delete a command": "DELETE FROM commands",
    "store a claim": "INSERT INTO claims SELECT * FROM claims LIMIT 1",
    "take a claim over": "UPDATE claims SET stream_id = gen_random_uuid()",
    "delete a claim": "DELETE FROM claims",
    "swap a generation": "UPDATE generations SET live = NOT live",
    "move a checkpoint": "UPDATE checkpoints SET position = 0",
    "write permissions past append": "SELECT permissions_apply(NULL, NULL, NULL, NULL, NULL,"
    " NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL,"
    " NULL, NULL, NULL, NULL, NULL, NULL, NULL)",
    "write other rows past append": "SELECT inline_apply(NULL, NULL, NULL, NULL)",
    "insert a permission": "INSERT INTO permissions SELECT * FROM permissions LIMIT 1",
    "prolong a permission": "UPDATE permissions SET known_to = NULL",
    "delete permissions": "DELETE FROM permissions",
    "insert a standing": "INSERT INTO standings SELECT * FROM standings LIMIT 1",
    "change a standing": "UPDATE standings SET generation = generation",
    "delete a standing": "DELETE FROM standings",
    "move a point": "UPDATE points SET generation = generation",
    "delete a point": "DELETE FROM points",
    "truncate the points": "TRUNCATE points",
    "make a moment of the past": "INSERT INTO moments (tenant_id, moment, position, folds, state)"
    " VALUES (gen_random_uuid(), 1, 1, '{}', 'ready')",
    "call a moment ready": "UPDATE moments SET state = 'ready'",
    "drop a moment": "DELETE FROM moments",
    "make a tenant": "SELECT create_tenant(gen_random_uuid(), 'x', 'system', '{}')",
    "rename a tenant": "UPDATE tenants SET name = 'x'",
    "drop the guard": "DROP TRIGGER append_only ON events",
    "switch triggers off": "SET session_replication_role = replica",
    "switch row security off": "ALTER TABLE events DISABLE ROW LEVEL SECURITY",
    "become the owner": "SET ROLE counterseal_owner",
    "make a table": "CREATE TABLE mine (id int)",
    "replace append": "CREATE OR REPLACE FUNCTION append() RETURNS int LANGUAGE sql RETURN 1",
    "make a role": "CREATE ROLE friend",
}


@pytest.fixture
def tenant(database: Database) -> str:
    tenant = make_tenant(database)
    ledgers = make_ledgers(database)
    say(ledgers, tenant, Register(person=new_id()))
    ledgers.close()
    return tenant


@pytest.mark.parametrize("attempt", sorted(ATTEMPTS))
def test_the_service_role_may_not(database: Database, tenant: str, attempt: str) -> None:
    with psycopg.connect(database.service) as conn:
        conn.execute("SELECT set_config('counterseal.tenant', %s, false)", (tenant,))
        with pytest.raises(InsufficientPrivilege):
            conn.execute(ATTEMPTS[attempt].encode())


@pytest.mark.parametrize("role", ["service", "projector", "auditor"])
@pytest.mark.parametrize("table", ["events", "batches", "commands", "claims"])
def test_without_a_tenant_nothing_is_seen(
    database: Database, tenant: str, role: str, table: str
) -> None:
    del tenant
    with psycopg.connect(getattr(database, role)) as conn:
        assert conn.execute(f"SELECT count(*) FROM {table}".encode()).fetchone() == (0,)
        conn.execute("SELECT set_config('counterseal.tenant', '', true)")
        assert conn.execute(f"SELECT count(*) FROM {table}".encode()).fetchone() == (0,)


def test_another_tenant_s_rows_are_not_seen(database: Database, tenant: str) -> None:
    other = make_tenant(database)
    with psycopg.connect(database.service) as conn:
        conn.execute("SELECT set_config('counterseal.tenant', %s, true)", (other,))
        assert conn.execute("SELECT count(*) FROM events").fetchone() == (0,)
        conn.execute("SELECT set_config('counterseal.tenant', %s, true)", (tenant,))
        assert conn.execute("SELECT count(*) FROM events").fetchone() == (1,)


def test_the_tenant_s_setting_does_not_survive_a_call(database: Database, tenant: str) -> None:
    with psycopg.connect(database.service, autocommit=True) as conn:
        rows = conn.execute("SELECT * FROM read_events(%s, 1, 10, 10)", (tenant,)).fetchall()
        assert len(rows) == 1
        assert conn.execute("SELECT count(*) FROM events").fetchone() == (0,)


@pytest.mark.parametrize("table", ["events", "batches"])
@pytest.mark.parametrize(
    "deed", ["UPDATE {} SET recorded_at = now()", "DELETE FROM {}", "TRUNCATE {}"]
)
def test_the_owner_may_not_change_the_log_either(
    database: Database, tenant: str, table: str, deed: str
) -> None:
    with psycopg.connect(database.migrator) as conn:
        conn.execute("SET ROLE counterseal_owner")
        conn.execute("SELECT set_config('counterseal.tenant', %s, true)", (tenant,))
        with pytest.raises(InsufficientPrivilege, match="append-only"):
            conn.execute(deed.format(table).encode())


def test_with_the_guard_off_the_same_deed_succeeds(database: Database, tenant: str) -> None:
    with superuser(database) as conn:
        done = conn.execute("UPDATE events SET actor = actor WHERE tenant_id = %s", (tenant,))
        assert done.rowcount == 1
