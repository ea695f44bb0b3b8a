"""Roles and databases: made once, closed to everyone else; a role too strong does not start."""

import json
import secrets
import stat
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import psycopg
import pytest
from psycopg.conninfo import make_conninfo

from api import postgres, provisioning
from api.postgres import StartRefused, ensure_server
from api.provisioning import LOGINS, MIGRATOR, OWNER, SERVICE, Database, provision, role_url
from api.service_role import check_service_role
from tests.support import cluster

PASSWORD = "only-for-this-test"


@pytest.fixture(scope="module")
def own(run_directory: Path) -> Iterator[cluster.Cluster]:
    """A server on which roles may be broken and mended."""
    made = cluster.new_cluster(run_directory)
    yield made
    cluster.end_server(made.server.data_dir)


def run(url: str, statement: str) -> list[Any]:
    with psycopg.connect(url, autocommit=True) as conn:
        cursor = conn.execute(statement.encode())
        return cursor.fetchall() if cursor.description else []


def refusal(url: str) -> str:
    with psycopg.connect(url) as conn:
        with pytest.raises(StartRefused) as refused:
            check_service_role(conn)
        return refused.value.code


@pytest.fixture
def candidate(own: cluster.Cluster) -> Iterator[Callable[[str, str], str]]:
    """Makes a role of these attributes, lets a statement give it more, and returns its address."""
    made: list[str] = []
    admin = own.server.admin_url

    def make(attributes: str, statement: str = "") -> str:
        role = f"candidate_{secrets.token_hex(4)}"
        run(admin, f"CREATE ROLE {role} LOGIN PASSWORD '{PASSWORD}' {attributes}")
        made.append(role)
        run(admin, f"GRANT CONNECT ON DATABASE {own.database.name} TO {role}")
        inside = make_conninfo(admin, dbname=own.database.name)
        run(inside, f"GRANT USAGE ON SCHEMA public TO {role}")
        if statement:
            run(inside, statement.format(role=role))
        return role_url(admin, role, PASSWORD, own.database.name)

    yield make
    for role in made:
        for database in (own.database.name, "postgres"):
            run(make_conninfo(admin, dbname=database), f"DROP OWNED BY {role} CASCADE")
        run(admin, f"DROP ROLE {role}")


def test_again_it_changes_nothing(own: cluster.Cluster) -> None:
    before = (own.server.data_dir / "roles.json").read_bytes()
    verifiers = "SELECT rolname, rolpassword FROM pg_authid ORDER BY rolname"
    known = run(own.server.admin_url, verifiers)
    again = provision(own.server.admin_url, "counterseal", own.server.data_dir)
    assert again == own.database
    assert (own.server.data_dir / "roles.json").read_bytes() == before
    assert run(own.server.admin_url, verifiers) == known


def test_several_at_once_make_each_thing_once(own: cluster.Cluster) -> None:
    name = f"together_{secrets.token_hex(4)}"
    with ThreadPoolExecutor(3) as pool:
        running = [
            pool.submit(provision, own.server.admin_url, name, own.server.data_dir)
            for _ in range(3)
        ]
        made = {future.result(60) for future in running}
    assert len(made) == 1
    assert run(made.pop().service, "SELECT current_user") == [(SERVICE,)]


def test_passwords_are_scram_and_readable_by_their_owner_alone(own: cluster.Cluster) -> None:
    file = own.server.data_dir / "roles.json"
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert set(json.loads(file.read_text())) == set(LOGINS)
    kinds = run(
        own.server.admin_url,
        "SELECT DISTINCT left(rolpassword, 14) FROM pg_authid WHERE rolcanlogin",
    )
    assert kinds == [("SCRAM-SHA-256$",)]
    assert all(word not in repr(own.database) for word in json.loads(file.read_text()).values())


def test_nobody_logs_in_as_the_owner_and_no_role_is_powerful(own: cluster.Cluster) -> None:
    rows = run(
        own.server.admin_url,
        "SELECT rolname, rolcanlogin FROM pg_roles WHERE rolname LIKE 'counterseal%'"
        " AND NOT (rolsuper OR rolbypassrls OR rolcreaterole OR rolcreatedb OR rolreplication)",
    )
    assert dict(rows) == {OWNER: False} | dict.fromkeys(LOGINS, True)
    members = run(
        own.server.admin_url,
        "SELECT member::regrole::text FROM pg_auth_members WHERE roleid = 'counterseal_owner'"
        "::regrole",
    )
    assert members == [(MIGRATOR,)]


@pytest.mark.parametrize(
    ("role", "suffix"),
    [
        ("keys", ""),
        ("service", "_keys"),
        ("projector", "_keys"),
        ("auditor", "_keys"),
    ],
)
def test_the_ledger_and_the_keys_have_no_common_reader(
    own: cluster.Cluster, role: str, suffix: str
) -> None:
    url = make_conninfo(getattr(own.database, role), dbname=own.database.name + suffix)
    with pytest.raises(psycopg.OperationalError, match="permission denied for database"):
        psycopg.connect(url, connect_timeout=2)


def test_a_stranger_cannot_connect(own: cluster.Cluster) -> None:
    role = f"stranger_{secrets.token_hex(4)}"
    run(own.server.admin_url, f"CREATE ROLE {role} LOGIN PASSWORD '{PASSWORD}'")
    try:
        for database in (own.database.name, f"{own.database.name}_keys"):
            with pytest.raises(psycopg.OperationalError, match="permission denied for database"):
                psycopg.connect(role_url(own.server.admin_url, role, PASSWORD, database))
    finally:
        run(own.server.admin_url, f"DROP ROLE {role}")


@pytest.mark.parametrize(
    "statement",
    [
        "CREATE TABLE mine (n int)",
        "CREATE TEMPORARY TABLE mine (n int)",
        "CREATE SCHEMA mine",
        "CREATE FUNCTION mine() RETURNS int LANGUAGE sql AS 'SELECT 1'",
        "SET ROLE counterseal_owner",
        "SET ROLE counterseal_migrator",
        "ALTER ROLE counterseal_service BYPASSRLS",
        "ALTER SYSTEM SET fsync = off",
    ],
)
@pytest.mark.parametrize("role", ["service", "projector", "auditor"])
def test_who_serves_makes_nothing_and_becomes_nobody(
    own: cluster.Cluster, role: str, statement: str
) -> None:
    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        run(getattr(own.database, role), statement)


def test_a_new_function_of_the_owner_is_closed_until_it_is_granted(own: cluster.Cluster) -> None:
    make = "CREATE FUNCTION later() RETURNS int LANGUAGE sql SECURITY DEFINER AS 'SELECT 1'"
    with psycopg.connect(own.database.migrator, autocommit=True) as conn:
        conn.execute("SET ROLE counterseal_owner")
        conn.execute(make.encode())
        try:
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                run(own.database.service, "SELECT later()")
            conn.execute("GRANT EXECUTE ON FUNCTION later TO counterseal_service")
            assert run(own.database.service, "SELECT later()") == [(1,)]
        finally:
            conn.execute("DROP FUNCTION later")


def test_an_unknown_password_is_not_replaced_unless_asked_to(
    own: cluster.Cluster, tmp_path: Path
) -> None:
    with pytest.raises(StartRefused) as refused:
        provision(own.server.admin_url, "counterseal", tmp_path)
    assert refused.value.code == "database.password_unknown"
    assert run(own.database.service, "SELECT 1") == [(1,)]
    known = json.loads((own.server.data_dir / "roles.json").read_text())
    anew = provision(own.server.admin_url, "counterseal", tmp_path, reset=True)
    try:
        assert run(anew.service, "SELECT 1") == [(1,)]
        with pytest.raises(psycopg.OperationalError, match="password"):
            run(own.database.service, "SELECT 1")
    finally:
        provision(own.server.admin_url, "counterseal", known, reset=True)
    assert run(own.database.service, "SELECT 1") == [(1,)]


def test_a_database_of_someone_else_is_not_taken(own: cluster.Cluster) -> None:
    name = f"theirs_{secrets.token_hex(4)}"
    run(own.server.admin_url, f"CREATE DATABASE {name}")
    with pytest.raises(StartRefused) as refused:
        provision(own.server.admin_url, name, own.server.data_dir)
    assert refused.value.code == "database.taken"


def test_a_role_that_became_powerful_is_refused(own: cluster.Cluster) -> None:
    run(own.server.admin_url, "ALTER ROLE counterseal_auditor BYPASSRLS")
    try:
        with pytest.raises(StartRefused, match="counterseal_auditor") as refused:
            provision(own.server.admin_url, "counterseal", own.server.data_dir)
        assert refused.value.code == "database.role"
    finally:
        run(own.server.admin_url, "ALTER ROLE counterseal_auditor NOBYPASSRLS")


def test_another_version_of_the_server_is_refused(
    own: cluster.Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(provisioning, "NEWEST", own.server.major - 1)
    with pytest.raises(StartRefused) as refused:
        provision(own.server.admin_url, "counterseal", own.server.data_dir)
    assert refused.value.code == "database.version"


def test_an_administrator_without_superuser_can_provision(
    fresh_server: postgres.Server, tmp_path: Path
) -> None:
    run(
        fresh_server.admin_url,
        f"CREATE ROLE keeper LOGIN CREATEROLE CREATEDB PASSWORD '{PASSWORD}'",
    )
    keeper = role_url(fresh_server.admin_url, "keeper", PASSWORD, "postgres")
    made = provision(keeper, "ours", tmp_path)
    assert provision(keeper, "ours", tmp_path) == made
    provisioning.migrate_both(made)
    with psycopg.connect(made.service) as conn:
        check_service_role(conn)


@pytest.fixture
def fresh_server(run_directory: Path) -> Iterator[postgres.Server]:
    server = ensure_server(run_directory / "clusters" / secrets.token_hex(4) / "postgres")
    yield server
    cluster.end_server(server.data_dir)


def test_the_service_role_may_start(own: cluster.Cluster) -> None:
    with psycopg.connect(own.database.service) as conn:
        check_service_role(conn)


@pytest.mark.parametrize(
    ("role", "code"),
    [
        ("admin", "database.role_powerful"),
        ("migrator", "database.role_owner"),
        ("projector", "database.role_writes"),
        ("keys", "database.role_writes"),
    ],
)
def test_the_service_does_not_start_as_another_role_of_ours(
    own: cluster.Cluster, role: str, code: str
) -> None:
    assert refusal(getattr(own.database, role)) == code


@pytest.mark.parametrize(
    ("attributes", "statement", "code"),
    [
        ("BYPASSRLS", "", "database.role_powerful"),
        ("CREATEROLE", "", "database.role_powerful"),
        ("NOINHERIT IN ROLE pg_write_all_data", "", "database.role_powerful"),
        ("NOINHERIT IN ROLE counterseal_owner", "", "database.role_owner"),
        ("", "CREATE SCHEMA theirs AUTHORIZATION {role}", "database.role_owner"),
        ("", "GRANT CREATE ON SCHEMA public TO {role}", "database.role_creates"),
        ("", "GRANT INSERT ON events TO {role}", "database.role_writes"),
        ("", "GRANT UPDATE (position) ON ledgers TO {role}", "database.role_writes"),
        ("", "GRANT TRUNCATE ON batches TO {role}", "database.role_writes"),
        ("", "GRANT DELETE ON commands TO {role}", "database.role_writes"),
    ],
)
def test_a_role_that_could_change_history_does_not_start(
    candidate: Callable[[str, str], str], attributes: str, statement: str, code: str
) -> None:
    assert refusal(candidate(attributes, statement)) == code


def test_a_role_that_only_reads_may_start(candidate: Callable[[str, str], str]) -> None:
    url = candidate("", "GRANT SELECT ON ALL TABLES IN SCHEMA public TO {role}")
    with psycopg.connect(url) as conn:
        check_service_role(conn)


def test_a_session_that_does_not_wait_for_the_disk_does_not_start(own: cluster.Cluster) -> None:
    with psycopg.connect(own.database.service) as conn:
        conn.execute("SET synchronous_commit = off")
        with pytest.raises(StartRefused, match="synchronous_commit") as refused:
            check_service_role(conn)
    assert refused.value.code == "database.not_durable"


@pytest.mark.parametrize("name", ["fsync", "full_page_writes"])
def test_a_server_that_may_lose_what_it_wrote_is_not_started_on(
    own: cluster.Cluster, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    own.server.stop()
    monkeypatch.setattr(postgres, "DURABLE", postgres.DURABLE | {name: "off"})
    careless = own.again()
    try:
        with (
            psycopg.connect(own.database.service) as conn,
            pytest.raises(StartRefused, match=name) as refused,
        ):
            check_service_role(conn)
        assert refused.value.code == "database.not_durable"
    finally:
        monkeypatch.undo()
        careless.stop()
        own.again()


def test_a_database_copied_from_a_template_is_closed_as_well(
    fresh_database: Callable[[], Database],
) -> None:
    made = fresh_database()
    assert made.admin is not None
    rows = run(
        made.admin,
        "SELECT datname FROM pg_database WHERE has_database_privilege('public', oid, 'CONNECT')"
        f" AND datname IN ('{made.name}', '{made.name}_keys')",
    )
    assert rows == []
