"""Migrations: once each, whole or not at all, whatever interrupts them."""

import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psycopg
import pytest
from psycopg import sql

from api.provisioning import Database
from projections.migrate import MigrationRefused, migrate, pending
from tests.support import cluster

Folder = Callable[..., Path]


@pytest.fixture(scope="module")
def shared(run_directory: Path) -> Iterator[Database]:
    made = cluster.bare_database(run_directory)
    yield made
    assert made.admin is not None
    cluster.drop(made.admin, made.name)


@pytest.fixture
def bare(shared: Database) -> Iterator[Database]:
    """A database with its roles and nothing in it."""
    yield shared
    with psycopg.connect(shared.migrator, autocommit=True) as conn:
        conn.execute("SET ROLE counterseal_owner")
        for name in [*tables(shared), "schema_migrations"]:
            conn.execute(sql.SQL("DROP TABLE IF EXISTS {}").format(sql.Identifier(name)))


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    """Writes a folder of migrations: `folder(one="CREATE ...")` is `0001_one.sql`."""

    def write(**bodies: str) -> Path:
        path = tmp_path / "sql"
        path.mkdir(exist_ok=True)
        for old in path.iterdir():
            old.unlink()
        for number, (name, body) in enumerate(bodies.items(), 1):
            (path / f"{number:04}_{name}.sql").write_text(body)
        return path

    return write


def tables(database: Database) -> set[str]:
    with psycopg.connect(database.migrator) as conn:
        rows = conn.execute("SELECT tablename FROM pg_tables WHERE schemaname = 'public'")
        return {name for (name,) in rows} - {"schema_migrations"}


ONE = "CREATE TABLE one (n int); INSERT INTO one VALUES (1);"
TWO = "CREATE TABLE two (n int);"


def test_each_file_is_applied_once_in_order(bare: Database, folder: Folder) -> None:
    assert [one.name for one in migrate(bare.migrator, folder(one=ONE))] == ["0001_one.sql"]
    both = folder(one=ONE, two=TWO)
    with psycopg.connect(bare.service) as conn:
        assert [one.name for one in pending(conn, both)] == ["0002_two.sql"]
    assert [one.name for one in migrate(bare.migrator, both)] == ["0002_two.sql"]
    assert migrate(bare.migrator, both) == []
    assert tables(bare) == {"one", "two"}


def test_what_a_migration_makes_belongs_to_the_owner(bare: Database, folder: Folder) -> None:
    migrate(bare.migrator, folder(one=ONE))
    with psycopg.connect(bare.migrator) as conn:
        owners = conn.execute("SELECT DISTINCT tableowner FROM pg_tables WHERE schemaname='public'")
        assert owners.fetchall() == [("counterseal_owner",)]


def test_a_file_that_fails_leaves_nothing_of_itself(bare: Database, folder: Folder) -> None:
    broken = folder(one=ONE, two="CREATE TABLE half (n int); SELECT 1 / 0;", three=TWO)
    with pytest.raises(psycopg.errors.DivisionByZero):
        migrate(bare.migrator, broken)
    assert tables(bare) == {"one"}
    repaired = folder(one=ONE, two="CREATE TABLE half (n int);", three=TWO)
    assert len(migrate(bare.migrator, repaired)) == 2
    assert tables(bare) == {"one", "half", "two"}


def test_ended_in_the_middle_it_is_done_again(bare: Database, folder: Folder) -> None:
    slow = folder(one=ONE, two="CREATE TABLE half (n int); SELECT pg_sleep(30);")
    assert bare.admin is not None
    with ThreadPoolExecutor(1) as pool, psycopg.connect(bare.admin, autocommit=True) as admin:
        running = pool.submit(migrate, bare.migrator, slow)
        deadline = time.monotonic() + 20
        ended = None
        while ended is None and time.monotonic() < deadline:
            ended = admin.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                " WHERE datname = %s AND wait_event = 'PgSleep'",
                (bare.name,),
            ).fetchone()
        assert ended == (True,)
        with pytest.raises(psycopg.OperationalError):
            running.result(timeout=20)
    assert tables(bare) == {"one"}
    quick = folder(one=ONE, two="CREATE TABLE half (n int); SELECT pg_sleep(0);")
    assert [one.name for one in migrate(bare.migrator, quick)] == ["0002_two.sql"]
    assert tables(bare) == {"one", "half"}


def test_two_at_once_apply_each_file_once(bare: Database, folder: Folder) -> None:
    slow = folder(one=ONE + "SELECT pg_sleep(0.3);", two=TWO)
    together = threading.Barrier(3)

    def run() -> int:
        together.wait(10)
        return len(migrate(bare.migrator, slow))

    with ThreadPoolExecutor(3) as pool:
        done = [running.result(60) for running in [pool.submit(run) for _ in range(3)]]
    assert sorted(done) == [0, 0, 2]


@pytest.mark.parametrize(
    ("later", "code"),
    [
        ({"one": ONE + " ", "two": TWO}, "migration.changed"),
        ({"uno": ONE, "two": TWO}, "migration.changed"),
        ({"one": ONE}, "migration.newer"),
        ({}, "migration.newer"),
    ],
)
def test_a_folder_that_does_not_fit_the_database_is_refused(
    bare: Database, folder: Folder, later: dict[str, str], code: str
) -> None:
    migrate(bare.migrator, folder(one=ONE, two=TWO))
    with pytest.raises(MigrationRefused) as refused:
        migrate(bare.migrator, folder(**later))
    assert refused.value.code == code
    assert tables(bare) == {"one", "two"}


def test_a_file_that_was_applied_may_not_go(bare: Database, folder: Folder) -> None:
    path = folder(one=ONE, two=TWO)
    migrate(bare.migrator, path)
    (path / "0001_one.sql").unlink()
    with pytest.raises(MigrationRefused, match=r"0001_one\.sql") as refused:
        migrate(bare.migrator, path)
    assert refused.value.code == "migration.missing"


def test_a_file_may_not_come_before_one_that_was_applied(bare: Database, folder: Folder) -> None:
    path = folder(one=ONE)
    (path / "0003_three.sql").write_text("CREATE TABLE three (n int);")
    migrate(bare.migrator, path)
    (path / "0002_two.sql").write_text(TWO)
    with pytest.raises(MigrationRefused, match=r"0002_two\.sql") as refused:
        migrate(bare.migrator, path)
    assert refused.value.code == "migration.late"


@pytest.mark.parametrize("name", ["0001_again.sql", "1_short.sql", "0002-dash.sql", "zz.sql"])
def test_a_number_twice_or_another_name_is_refused(
    bare: Database, folder: Folder, name: str
) -> None:
    path = folder(one=ONE)
    (path / name).write_text(TWO)
    with pytest.raises(MigrationRefused) as refused:
        migrate(bare.migrator, path)
    assert refused.value.code == "migration.numbers"
    assert tables(bare) == set()


def test_a_file_that_commits_by_itself_is_refused(bare: Database, folder: Folder) -> None:
    with pytest.raises(MigrationRefused) as refused:
        migrate(bare.migrator, folder(one="CREATE TABLE one (n int); COMMIT;"))
    assert refused.value.code == "migration.transaction"


def test_only_a_member_of_the_owner_migrates(bare: Database, folder: Folder) -> None:
    with pytest.raises(MigrationRefused) as refused:
        migrate(bare.service, folder(one=ONE))
    assert refused.value.code == "migration.role"
