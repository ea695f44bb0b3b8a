"""Every read model built once more beside the live one is the same, and takes its place."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import psycopg
import pytest
from psycopg import sql

from api.provisioning import Database
from domain.commands.customers import BlockCustomer
from projections.folding import NewerEvent
from projections.inline import InlineTables
from projections.runner import Runner
from projections.tables import TABLES
from replay.compare import compare
from replay.reader import opened as reading
from replay.rebuild import FOLDS, Progress, RebuildRefused, rebuild
from replay.rebuild_plan import alone, connect, drop, plan
from tests.replay.planting import planted
from tests.support.ledger import make_ledgers, make_tenant
from tests.support.mirror import Mirror
from tests.support.mixed import Mixed
from tests.support.owner import superuser
from tests.support.world import World


@pytest.fixture
def world(database: Database) -> Iterator[World]:
    """A tenant of the test's own, with a grant in force; its read models are up to date."""
    made = World(database)
    made.active()
    follow(database)
    yield made
    made.close()


def follow(database: Database) -> None:
    runner = Runner(database.projector)
    try:
        while runner.step():
            pass
    finally:
        runner.close()


def equal(database: Database, tenant: str) -> bool:
    """Whether the live tables are what the log says."""
    with reading(database.auditor, tenant) as source:
        found, _ = compare(source)
    return not found


def generations(database: Database, tenant: str) -> dict[str, list[tuple[int, int, bool]]]:
    """Read model -> generation, fold version and whether it is live."""
    with superuser(database) as conn:
        rows = conn.execute(
            "SELECT projection, generation, fold, live FROM generations"
            " WHERE tenant_id = %s ORDER BY generation",
            (tenant,),
        ).fetchall()
    found: dict[str, list[tuple[int, int, bool]]] = {}
    for name, *one in rows:
        found.setdefault(name, []).append((one[0], one[1], one[2]))
    return found


def written(database: Database, tenant: str) -> dict[tuple[str, int], int]:
    """(table, generation) -> how many rows."""
    found: dict[tuple[str, int], int] = {}
    with superuser(database) as conn:
        for name in TABLES:
            rows = conn.execute(
                sql.SQL(
                    "SELECT generation, count(*) FROM {} WHERE tenant_id = %s GROUP BY 1"
                ).format(sql.Identifier(name)),
                (tenant,),
            ).fetchall()
            found |= {(name, generation): count for generation, count in rows}
    return found


# --- equal ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("range_events", [20_000, 40])
def test_what_is_rebuilt_equals_what_was_live(
    firm: Mixed, replay_database: Database, range_events: int
) -> None:
    done = rebuild(replay_database.migrator, firm.tenant, range_events=range_events)
    assert (done.differences, done.faults) == ((), ())
    assert done.position == done.events
    assert set(done.generations) == set(FOLDS)
    assert equal(replay_database, firm.tenant)
    rows = written(replay_database, firm.tenant)
    for name, table in TABLES.items():
        live = done.generations[table.projection]
        assert rows.get((name, live)) == rows.get((name, live - 1)), name
    assert sum(count for (_, one), count in rows.items() if one > 1) > 1_000


def test_a_made_up_history_rebuilt_by_two_processes_is_the_same(
    history: Mirror, replay_database: Database
) -> None:
    told: list[Progress] = []
    done = rebuild(
        replay_database.migrator, history.tenant, workers=2, range_events=30, told=told.append
    )
    assert (done.differences, done.faults) == ((), ())
    assert done.position is not None
    assert equal(replay_database, history.tenant)
    assert [one.phase for one in told if one.phase != "fold"] == ["follow", "compare", "swap"]


def test_one_read_model_alone_is_rebuilt_and_the_others_stay(
    world: World, database: Database
) -> None:
    done = rebuild(database.migrator, world.tenant, ["points", "hands"])
    assert done.generations == {"points": 2, "hands": 2}
    for name, found in generations(database, world.tenant).items():
        live = [generation for generation, _, live in found if live]
        assert live == ([2] if name in ("points", "hands") else [1])


def test_commands_go_on_after_the_swap_in_the_new_generation(
    world: World, database: Database
) -> None:
    done = rebuild(database.migrator, world.tenant)
    world.active()
    follow(database)
    assert equal(database, world.tenant)
    rows = written(database, world.tenant)
    assert rows["permissions", 2] == rows["permissions", 1] + 1
    assert rows["grants", 2] == rows["grants", 1] + 1
    assert done.position is not None


def test_what_is_written_while_streams_are_folded_follows(world: World, database: Database) -> None:
    """Acts come between every two steps; the new generations have them all at the swap."""
    pending = [world.pending() for _ in range(4)]
    before = written(database, world.tenant)["permissions", 1]

    def told(_: Progress) -> None:
        if pending:
            world.approve(pending.pop())

    done = rebuild(database.migrator, world.tenant, told=told)
    assert done.position is not None
    assert done.position > done.events
    assert not pending
    assert written(database, world.tenant)["permissions", 2] == before + 4
    follow(database)
    assert equal(database, world.tenant)


# --- compared before the swap ---------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "column"), [("permissions", "scope"), ("grants", "status"), ("history", "said")]
)
def test_rows_that_differ_under_one_fold_are_shown_and_nothing_is_swapped(
    world: World, database: Database, name: str, column: str
) -> None:
    table = TABLES[name]
    kind = table.columns[column]
    with superuser(database) as conn, planted(conn, world.tenant, table, column, kind) as done:
        assert done
        refused = rebuild(database.migrator, world.tenant)
        assert refused.position is None
        [found] = refused.differences
        assert (found.table, found.number, found.same_fold) == (name, 1, True)
        [(key, live, rebuilt)] = found.examples
        assert set(key) == set(table.key)
        assert live is not None
        assert rebuilt is not None
        assert {one for one in live if live[one] != rebuilt[one]} == {column}
        assert all(found[0][2] for found in generations(database, world.tenant).values())
        accepted = rebuild(database.migrator, world.tenant, accept=True)
        assert accepted.resumed
        assert accepted.position is not None
    assert equal(database, world.tenant)


def test_a_tenant_of_an_older_fold_refuses_commands_until_it_is_rebuilt(
    world: World, database: Database
) -> None:
    customer = world.customer()
    with superuser(database) as conn:
        conn.execute("UPDATE generations SET fold = fold - 1 WHERE tenant_id = %s", (world.tenant,))
        conn.execute(
            "UPDATE points SET names = '{}' WHERE tenant_id = %s AND dimension = 'product'",
            (world.tenant,),
        )
    with pytest.raises(Exception, match=r"ledger\.other_release"):
        world.request(customer)
    done = rebuild(database.migrator, world.tenant)
    assert done.position is not None
    [found] = done.differences
    assert (found.table, found.same_fold, found.number) == ("points", False, 3)
    world.active(customer)
    follow(database)
    assert equal(database, world.tenant)


# --- killed, twice at once, thrown away -----------------------------------------------------------


class Killed(BaseException):
    """The process is gone."""


@pytest.mark.parametrize("phase", ["fold", "follow", "compare", "swap"])
def test_a_run_that_ends_anywhere_is_taken_up_by_the_next_one(
    world: World, database: Database, phase: str
) -> None:
    def die(one: Progress) -> None:
        if one.phase == phase:
            raise Killed

    with pytest.raises(Killed):
        rebuild(database.migrator, world.tenant, told=die, range_events=20)
    assert all(one[0][2] for one in generations(database, world.tenant).values())
    world.active()
    done = rebuild(database.migrator, world.tenant, range_events=20)
    assert done.resumed
    assert done.position is not None
    assert done.differences == ()
    follow(database)
    assert equal(database, world.tenant)


def test_what_was_begun_for_other_read_models_is_thrown_away(
    world: World, database: Database
) -> None:
    def die(one: Progress) -> None:
        if one.phase == "compare":
            raise Killed

    with pytest.raises(Killed):
        rebuild(database.migrator, world.tenant, told=die)
    assert written(database, world.tenant)["grants", 2] > 0
    done = rebuild(database.migrator, world.tenant, ["hands"])
    assert not done.resumed
    assert done.generations == {"hands": 2}
    rows = written(database, world.tenant)
    assert ("grants", 2) not in rows
    assert rows["hands", 2] == rows["hands", 1]


def test_two_rebuilds_of_one_tenant_at_once_are_refused(world: World, database: Database) -> None:
    with connect(database.migrator) as conn, alone(conn, world.tenant):
        with pytest.raises(RebuildRefused, match=r"rebuild\.running"):
            rebuild(database.migrator, world.tenant)
        refused = pytest.raises(RebuildRefused, match=r"rebuild\.running")
        with connect(database.migrator) as other, refused:
            drop(other, world.tenant)
    assert rebuild(database.migrator, world.tenant).position is not None


def test_drop_removes_what_is_not_live_and_a_plan_begun(world: World, database: Database) -> None:
    rebuild(database.migrator, world.tenant)
    with connect(database.migrator) as conn:
        with alone(conn, world.tenant):
            plan(conn, world.tenant, list(FOLDS))
        removed = drop(conn, world.tenant)
        assert set(removed) <= set(FOLDS)
        assert removed["grants"] == 1
        assert drop(conn, world.tenant) == {}
    assert {one for _, one in written(database, world.tenant)} == {2}
    found = generations(database, world.tenant)
    assert all([one[0] for one in rows] == [2] for rows in found.values())
    assert equal(database, world.tenant)
    assert rebuild(database.migrator, world.tenant).generations["grants"] == 3


def test_who_is_no_operator_cannot_rebuild(world: World, database: Database) -> None:
    for url in (database.service, database.projector, database.auditor):
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            rebuild(url, world.tenant)


@pytest.mark.parametrize(
    ("given", "code"),
    [({"names": ["nothing"]}, "rebuild.unknown_model"), ({}, "rebuild.unknown_tenant")],
)
def test_what_is_not_there_is_not_rebuilt(
    database: Database, given: dict[str, Any], code: str
) -> None:
    tenant = make_tenant(database, FOLDS) if given else "01900000-0000-7000-8000-00000000dead"
    with pytest.raises(RebuildRefused, match=code):
        rebuild(database.migrator, tenant, given.get("names"))


# --- what cannot be folded ------------------------------------------------------------------------


def test_a_stream_that_cannot_be_folded_is_named_and_goes_into_quarantine_with_the_swap(
    world: World, database: Database
) -> None:
    grant = world.active()
    follow(database)
    with superuser(database) as conn:
        row = conn.execute(
            "UPDATE events SET data = 'broken' WHERE tenant_id = %s AND stream_id = %s"
            " AND version = 3 RETURNING position",
            (world.tenant, grant),
        ).fetchone()
    assert row is not None
    refused = rebuild(database.migrator, world.tenant)
    assert refused.position is None
    [fault] = refused.faults
    assert (fault.stream_id, fault.position, fault.code) == (grant, row[0], "event.undecodable")
    with superuser(database) as conn:
        held = "SELECT stream_id FROM quarantined WHERE tenant_id = %s"
        assert conn.execute(held, (world.tenant,)).fetchall() == []
    done = rebuild(database.migrator, world.tenant, accept=True)
    assert done.position is not None
    with superuser(database) as conn:
        rows = conn.execute(
            "SELECT stream_id::text, position FROM quarantined WHERE tenant_id = %s",
            (world.tenant,),
        ).fetchall()
        assert rows == [(grant, row[0])]
        conn.execute("DELETE FROM quarantined WHERE tenant_id = %s", (world.tenant,))


# --- other releases -------------------------------------------------------------------------------


class Older(InlineTables):
    """The inline tables as another release folds them."""

    def __init__(self) -> None:
        self.folds = {name: fold + 1 for name, fold in InlineTables.folds.items()}


def test_a_process_of_another_release_writes_nothing_into_the_new_generation(
    world: World, database: Database
) -> None:
    """Its commands are refused, its runner leaves what follows the log alone."""
    other = make_ledgers(database, Older())
    own, customer = world.ledgers, world.customer()
    grant = world.pending(customer)
    older = Runner(database.projector, folds={name: fold + 1 for name, fold in FOLDS.items()})
    try:
        rebuild(database.migrator, world.tenant)
        before = written(database, world.tenant)
        world.ledgers = other
        for command in (
            lambda: world.approve(grant),
            lambda: world.say("compliance", BlockCustomer(customer=customer)),
            lambda: world.check(grant),
        ):
            with pytest.raises(Exception, match=r"ledger\.other_release"):
                command()
        world.ledgers = own
        world.approve(grant)
        assert older.step() == 0
        after = written(database, world.tenant)
        changed = {key for key in after if after[key] != before.get(key)}
        assert changed == {("permissions", 2)}
        follow(database)
        assert equal(database, world.tenant)
    finally:
        world.ledgers = own
        other.close()
        older.close()


@pytest.mark.parametrize("workers", [1, 2])
def test_an_event_of_a_newer_release_ends_the_rebuild_and_nothing_is_swapped(
    world: World, database: Database, workers: int
) -> None:
    grant = world.active()
    rename = "UPDATE events SET type = %s WHERE tenant_id = %s AND stream_id = %s AND version = 1"
    with superuser(database) as conn:
        conn.execute(rename, ("grant.requested.9", world.tenant, grant))
        try:
            with pytest.raises(NewerEvent) as raised:
                rebuild(database.migrator, world.tenant, workers=workers, range_events=20)
        finally:  # the next test's runner follows every tenant
            conn.execute(rename, ("grant.requested.1", world.tenant, grant))
    assert (raised.value.tenant, raised.value.name) == (world.tenant, "grant.requested.9")
    assert all(found[0][2] for found in generations(database, world.tenant).values())
    assert rebuild(database.migrator, world.tenant, range_events=20).position is not None
