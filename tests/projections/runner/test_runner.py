"""The runner: nothing twice, nothing skipped, whoever dies when; releases."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Any

import psycopg
import pytest

from api.provisioning import Database
from domain.ledger import Ledgers
from projections.models import FOLDS
from projections.runner import NewerEvent, Runner
from projections.store import Held, Page, apply
from tests.projections import facts
from tests.projections.conftest import FOLDS as ALL
from tests.projections.runner.following import (
    SCOPE,
    assert_equal_to_fold,
    behind,
    follow,
    rows,
    tell,
)
from tests.support.ledger import make_tenant, new_id
from tests.support.owner import superuser


def drain(worker: Runner) -> None:
    """Work until nothing is left, for tenants of other tests too."""
    while worker.step():
        pass


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
        conn.execute("LOCK TABLE tasks IN ACCESS EXCLUSIVE MODE")  # the last table it writes
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
            drain(worker)
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
    drain(worker)
    assert {row[0] for row in behind(database, tenant)} == {"grants"}
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
        left = {row[0] for row in behind(database, tenant)}
        assert left == FOLDS.keys() - {"grants", "customers"}


def in_a_transaction(
    conn: psycopg.Connection[Any], tenant: str, held: list[Held], page: Page
) -> None:
    with conn.transaction():
        conn.execute("SELECT set_config('counterseal.tenant', %s, true)", (tenant,))
        apply(conn, tenant, held, page)
