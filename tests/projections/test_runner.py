"""The runner: nothing twice, nothing skipped, whoever dies when; quarantine; releases."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from uuid import UUID

import psycopg
import pytest
from psycopg import sql

from api.provisioning import Database
from domain.ledger import Ledgers
from domain.streams import evolve
from projections.inline import InlineTables
from projections.models import FOLDS, STREAM_MODELS
from projections.runner import NewerEvent, Runner
from projections.store import Held, Page, apply
from tests.projections import facts
from tests.projections.conftest import FOLDS as ALL
from tests.projections.conftest import Asker
from tests.projections.facts import Record
from tests.projections.histories import World
from tests.support import cluster
from tests.support.ledger import make_ledgers, make_tenant, new_id, submission
from tests.support.owner import superuser

TABLES = ("grants", "customers", "policies", "staff", "hands", "person_merges")
SCOPE = {"territory": ("CN/31",)}


@pytest.fixture(scope="module")
def database(run_directory: Path) -> Iterator[Database]:
    """A database of these tests' own: workers look for whatever tenant is behind."""
    made = cluster.new_database(run_directory)
    yield made
    assert made.admin is not None
    cluster.drop(made.admin, made.name)


@pytest.fixture(scope="module")
def ledgers(database: Database) -> Iterator[Ledgers]:
    made = make_ledgers(database, InlineTables())
    yield made
    made.close()


@pytest.fixture
def runner(database: Database) -> Iterator[Callable[..., Runner]]:
    """Makes workers; closed after the test."""
    made: list[Runner] = []

    def make(**more: Any) -> Runner:
        made.append(Runner(database.projector, **more))
        return made[-1]

    yield make
    for one in made:
        one.close()


def tell(ledgers: Ledgers, tenant: str, seed: int, number: int) -> None:
    """Record a random history."""
    world = World(random.Random(seed), facts.policy(ledgers, tenant), tenant)
    waiting = [
        ledgers.submit(submission(tenant, Record(facts=tuple(command))))
        for command in world.commands(number)
    ]
    for one in waiting:
        one.result()


def follow(runner: Runner, database: Database, tenant: str, seconds: float = 20) -> None:
    """Run pages until the tenant's read models have got to its head."""
    end = time.monotonic() + seconds
    while behind(database, tenant):
        runner.step()
        assert time.monotonic() < end, behind(database, tenant)


def behind(database: Database, tenant: str) -> list[tuple[Any, ...]]:
    with psycopg.connect(database.projector) as conn:
        return conn.execute(
            "SELECT projection, c.position, l.position FROM checkpoints c"
            " JOIN ledgers l USING (tenant_id)"
            " WHERE tenant_id = %s AND c.position < l.position AND projection = ANY (%s)",
            (tenant, list(FOLDS)),
        ).fetchall()


def rows(conn: psycopg.Connection[Any], tenant: str) -> dict[str, list[tuple[Any, ...]]]:
    """Everything in the read models of a tenant."""
    with conn.transaction():
        conn.execute("SELECT set_config('counterseal.tenant', %s, true)", (tenant,))
        return {
            table: conn.execute(f"SELECT * FROM {table} ORDER BY 1, 2, 3, 4, 5").fetchall()  # pyright: ignore[reportArgumentType]
            for table in TABLES
        }


def expected(ledgers: Ledgers, tenant: str) -> dict[str, dict[str, dict[str, Any]]]:
    """The rows of a fold from the first event to the last, by read model and stream."""
    states: dict[str, Any] = {}
    last: dict[str, Any] = {}
    for row in ledgers.events(tenant, 1, limit=10_000):
        recorded = ledgers.ledger(tenant).recorded(row)
        states[recorded.stream_id] = evolve(
            recorded.kind, states.get(recorded.stream_id), recorded.event
        )
        last[recorded.stream_id] = recorded
    found: dict[str, dict[str, dict[str, Any]]] = {model.name: {} for model in STREAM_MODELS}
    for model in STREAM_MODELS:
        for stream_id, recorded in last.items():
            if recorded.kind == model.kind:
                place = {"version": recorded.version, "position": recorded.position}
                found[model.name][stream_id] = place | model.row(states[stream_id])
    return found


def assert_equal_to_fold(conn: psycopg.Connection[Any], ledgers: Ledgers, tenant: str) -> None:
    with conn.transaction():
        conn.execute("SELECT set_config('counterseal.tenant', %s, true)", (tenant,))
        for model in STREAM_MODELS:
            columns = [model.key, "version", "position", *model.columns]
            statement = sql.SQL("SELECT {} FROM {}").format(
                sql.SQL(", ").join(map(sql.Identifier, columns)), sql.Identifier(model.name)
            )
            stored = conn.execute(statement).fetchall()
            live = {str(one[0]): dict(zip(columns[1:], one[1:], strict=True)) for one in stored}
            told = expected(ledgers, tenant)[model.name]
            assert live.keys() == told.keys()
            for stream_id, row in told.items():
                assert {name: _plain(one) for name, one in live[stream_id].items()} == {
                    name: _plain(one) for name, one in row.items()
                }


def _plain(value: Any) -> Any:
    """Lists and tuples alike, and instants inside documents as texts."""
    match value:
        case list() | tuple():
            return [_plain(one) for one in value]  # pyright: ignore[reportUnknownVariableType]
        case dict():
            return {name: _plain(one) for name, one in value.items()}  # pyright: ignore[reportUnknownVariableType]
        case _:
            return value


def test_rows_equal_a_fold_of_the_log_from_its_beginning(
    ledgers: Ledgers,
    database: Database,
    tenant: str,
    projector: psycopg.Connection[Any],
    runner: Callable[..., Runner],
) -> None:
    tell(ledgers, tenant, 1, 60)
    follow(runner(page=37), database, tenant)
    assert_equal_to_fold(projector, ledgers, tenant)
    tell(ledgers, tenant, 2, 20)
    follow(runner(page=5, states=4), database, tenant)
    assert_equal_to_fold(projector, ledgers, tenant)


def test_a_worker_that_remembers_nothing_writes_the_same_rows(
    ledgers: Ledgers,
    database: Database,
    tenant: str,
    projector: psycopg.Connection[Any],
    runner: Callable[..., Runner],
) -> None:
    tell(ledgers, tenant, 3, 30)
    while behind(database, tenant):
        runner(page=3).step()  # a new worker for every page
    assert_equal_to_fold(projector, ledgers, tenant)


def test_a_worker_killed_between_pages_applies_nothing_twice_and_skips_nothing(
    ledgers: Ledgers,
    database: Database,
    tenant: str,
    projector: psycopg.Connection[Any],
    runner: Callable[..., Runner],
) -> None:
    tell(ledgers, tenant, 4, 30)
    worker = runner(page=7)
    with superuser(database) as conn:
        while behind(database, tenant):
            try:
                worker.step()
            except psycopg.OperationalError:
                worker.close()
            conn.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                " WHERE usename = 'counterseal_projector' AND query LIKE '%%checkpoints%%'"
                " AND datname = current_database()"
            )
    assert_equal_to_fold(projector, ledgers, tenant)


def test_a_worker_killed_in_the_middle_of_a_page_leaves_nothing_of_it(
    ledgers: Ledgers,
    database: Database,
    tenant: str,
    projector: psycopg.Connection[Any],
    runner: Callable[..., Runner],
) -> None:
    tell(ledgers, tenant, 5, 20)
    worker = runner(page=1_000)
    faults: list[BaseException] = []

    def work() -> None:
        try:
            while worker.step():
                pass
        except psycopg.OperationalError as fault:
            faults.append(fault)

    with superuser(database) as conn:
        conn.autocommit = False
        conn.execute("LOCK TABLE staff IN ACCESS EXCLUSIVE MODE")  # the last table it writes
        thread = threading.Thread(target=work)
        thread.start()
        with superuser(database) as watch:
            waiting: list[Any] = []
            end = time.monotonic() + 10
            while not waiting and time.monotonic() < end:
                waiting = watch.execute(
                    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                    " WHERE usename = 'counterseal_projector' AND wait_event_type = 'Lock'"
                    " AND datname = current_database()"
                ).fetchall()
                time.sleep(0.01)
        assert waiting
        thread.join(10)
        conn.rollback()
    assert faults
    assert not any(rows(projector, tenant).values())
    worker.close()
    follow(worker, database, tenant)
    assert_equal_to_fold(projector, ledgers, tenant)


def test_several_workers_do_no_harm(
    ledgers: Ledgers, database: Database, projector: psycopg.Connection[Any]
) -> None:
    tenants = [make_tenant(database, ALL) for _ in range(3)]
    stop = threading.Event()
    workers = [Runner(database.projector, page=9) for _ in range(3)]
    threads = [threading.Thread(target=worker.run, args=(stop,)) for worker in workers]
    for thread in threads:
        thread.start()
    for seed, tenant in enumerate(tenants):
        tell(ledgers, tenant, 10 + seed, 25)
    end = time.monotonic() + 20
    while any(behind(database, tenant) for tenant in tenants) and time.monotonic() < end:
        time.sleep(0.02)
    stop.set()
    for worker, thread in zip(workers, threads, strict=True):
        worker.wake()
        thread.join(10)
        assert not thread.is_alive()
    for tenant in tenants:
        assert_equal_to_fold(projector, ledgers, tenant)


def test_read_models_at_different_places_are_brought_together(
    ledgers: Ledgers,
    database: Database,
    tenant: str,
    projector: psycopg.Connection[Any],
    runner: Callable[..., Runner],
) -> None:
    tell(ledgers, tenant, 6, 30)
    follow(runner(), database, tenant)
    before = rows(projector, tenant)
    with superuser(database) as conn:
        for table in ("grants", "hands", "person_merges"):
            conn.execute(f"DELETE FROM {table} WHERE tenant_id = %s", (tenant,))  # pyright: ignore[reportArgumentType]
        for projection, position in (("grants", 0), ("hands", 0), ("staff", 20), ("policies", 33)):
            conn.execute(
                "UPDATE checkpoints SET position = %s WHERE tenant_id = %s AND projection = %s",
                (position, tenant, projection),
            )
    follow(runner(page=11), database, tenant)
    assert rows(projector, tenant) == before


def test_an_event_that_cannot_be_applied_stops_its_stream_only_and_its_grants_are_denied(
    ledgers: Ledgers,
    database: Database,
    tenant: str,
    projector: psycopg.Connection[Any],
    runner: Callable[..., Runner],
    ask: Asker,
) -> None:
    policy = facts.policy(ledgers, tenant)
    one, other = (facts.customer(ledgers, tenant) for _ in range(2))
    broken = facts.grant(ledgers, tenant, one, policy, SCOPE)
    sound = facts.grant(ledgers, tenant, other, policy, SCOPE)
    position = facts.put(ledgers, tenant, "grant", broken, facts.suspended(700)).position
    later = facts.put(ledgers, tenant, "grant", broken, facts.resumed(701)).position
    with superuser(database) as conn:
        conn.execute(
            "UPDATE events SET data = '{\"at\": 1}' WHERE tenant_id = %s AND position = %s",
            (tenant, position),
        )
    assert ask.allowed(one)
    follow(runner(page=2), database, tenant)
    with projector.transaction():
        projector.execute("SELECT set_config('counterseal.tenant', %s, true)", (tenant,))
        found = projector.execute("SELECT stream_id, position, projection, code FROM quarantined")
        assert found.fetchall() == [(UUID(broken), position, "grants", "event.undecodable")]
        kept = projector.execute("SELECT grant_id, version, status FROM grants").fetchall()
        assert set(kept) == {(UUID(sound), 5, "active"), (UUID(broken), 5, "active")}
    assert ask.code(one) == "check.quarantined"
    assert ask.allowed(one, as_of=position - 1)
    assert not ask.allowed(one, as_of=later)
    assert ask.allowed(other)


def test_an_order_of_events_that_cannot_be_is_quarantined_too(
    ledgers: Ledgers,
    database: Database,
    tenant: str,
    projector: psycopg.Connection[Any],
    runner: Callable[..., Runner],
) -> None:
    policy, grantee = facts.policy(ledgers, tenant), facts.customer(ledgers, tenant)
    grant_id = facts.grant(ledgers, tenant, grantee, policy, SCOPE)
    position = facts.put(ledgers, tenant, "grant", grant_id, facts.resumed(5)).position
    with superuser(database) as conn:  # what was imported out of order is now said to be no import
        conn.execute(
            "UPDATE events SET data ="
            " convert_to((convert_from(data, 'UTF8')::jsonb - 'imported')::text, 'UTF8')"
            " WHERE tenant_id = %s AND position = %s",
            (tenant, position),
        )
    follow(runner(), database, tenant)
    with projector.transaction():
        projector.execute("SELECT set_config('counterseal.tenant', %s, true)", (tenant,))
        found = projector.execute("SELECT position, code FROM quarantined").fetchall()
    assert found == [(position, "event.impossible")]


def test_an_event_the_database_does_not_take_is_found_in_its_page_and_quarantined(
    ledgers: Ledgers,
    database: Database,
    tenant: str,
    projector: psycopg.Connection[Any],
    runner: Callable[..., Runner],
) -> None:
    policy = facts.policy(ledgers, tenant)
    grantee = facts.customer(ledgers, tenant)
    grants = [
        facts.grant(ledgers, tenant, grantee, policy, SCOPE, number=f"G{n}") for n in range(9)
    ]
    with superuser(database) as conn:  # a number with a character that no column takes
        conn.execute(
            "UPDATE events SET data = convert_to(replace(convert_from(data, 'UTF8'), '\"G4\"',"
            " '\"G\\u0000\"'), 'UTF8') WHERE tenant_id = %s AND type = 'grant.requested.1'",
            (tenant,),
        )
    follow(runner(), database, tenant)
    with projector.transaction():
        projector.execute("SELECT set_config('counterseal.tenant', %s, true)", (tenant,))
        found = projector.execute("SELECT stream_id::text, projection, code FROM quarantined")
        assert found.fetchall() == [(grants[4], "grants", "event.not_applied")]
        kept = projector.execute("SELECT grant_id::text, version FROM grants").fetchall()
    assert set(kept) == {(one, 5) for one in grants if one != grants[4]}


def test_an_event_of_a_newer_release_stops_the_worker_and_skips_nothing(
    ledgers: Ledgers,
    database: Database,
    tenant: str,
    projector: psycopg.Connection[Any],
    runner: Callable[..., Runner],
) -> None:
    policy, grantee = facts.policy(ledgers, tenant), facts.customer(ledgers, tenant)
    grant_id = facts.grant(ledgers, tenant, grantee, policy, SCOPE)
    position = facts.put(ledgers, tenant, "grant", grant_id, facts.suspended(5)).position
    change = "UPDATE events SET type = %s WHERE tenant_id = %s AND position = %s"
    with superuser(database) as conn:
        conn.execute(change, ("grant.teleported.9", tenant, position))
        worker = runner()
        while {row[1] for row in behind(database, tenant)} != {position - 1}:
            worker.step()
        with pytest.raises(NewerEvent, match=r"grant\.teleported\.9"):
            worker.step()
        assert {row[1] for row in behind(database, tenant)} == {position - 1}
        stop = threading.Event()
        with pytest.raises(NewerEvent):
            worker.run(stop)
        conn.execute(change, ("grant.suspended.1", tenant, position))
    follow(runner(), database, tenant)
    assert_equal_to_fold(projector, ledgers, tenant)


def test_what_another_release_folds_is_left_to_it(
    database: Database, tenant: str, ledgers: Ledgers, runner: Callable[..., Runner]
) -> None:
    facts.policy(ledgers, tenant)
    newer = dict(FOLDS) | {"grants": 2}
    with superuser(database) as conn:
        conn.execute(
            "UPDATE generations SET fold = 2 WHERE tenant_id = %s AND projection = 'grants'",
            (tenant,),
        )
    worker = runner()
    while {row[0] for row in behind(database, tenant)} != {"grants"}:
        worker.step()
    assert worker.step() == 0
    follow(runner(folds=newer), database, tenant)


def test_a_lost_database_is_tried_again(
    ledgers: Ledgers, database: Database, tenant: str, runner: Callable[..., Runner]
) -> None:
    worker, stop = runner(), threading.Event()
    thread = threading.Thread(target=worker.run, args=(stop,))
    thread.start()
    facts.policy(ledgers, tenant)
    with superuser(database) as conn:
        conn.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE usename = 'counterseal_projector' AND datname = current_database()"
            " AND pid <> pg_backend_pid()"
        )
    facts.policy(ledgers, tenant)
    end = time.monotonic() + 10
    while behind(database, tenant) and time.monotonic() < end:
        time.sleep(0.02)
    stop.set()
    worker.wake()
    thread.join(10)
    assert not behind(database, tenant)


def test_rows_and_checkpoint_move_in_one_transaction(
    database: Database, tenant: str, ledgers: Ledgers
) -> None:
    facts.policy(ledgers, tenant)
    page = Page()
    page.position = 1
    with psycopg.connect(database.projector, autocommit=True) as conn:
        page.rows["grants"][new_id()] = {"grant_id": new_id()}
        held = [Held("customers", 1, 0), Held("grants", 1, 0)]
        with pytest.raises(psycopg.errors.NotNullViolation):
            in_a_transaction(conn, tenant, held, page)
        assert {("grants", 0, 1), ("customers", 0, 1)} <= set(behind(database, tenant))
        page.rows["grants"].clear()
        in_a_transaction(conn, tenant, held, page)
        assert {row[0] for row in behind(database, tenant)} == {"policies", "staff", "hands"}


def in_a_transaction(
    conn: psycopg.Connection[Any], tenant: str, held: list[Held], page: Page
) -> None:
    with conn.transaction():
        conn.execute("SELECT set_config('counterseal.tenant', %s, true)", (tenant,))
        apply(conn, tenant, held, page)
