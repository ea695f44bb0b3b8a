"""Rebuilt equals live over random histories, late imports and streams in quarantine among them."""

from __future__ import annotations

import random
from collections.abc import Iterator

import pytest

from api.provisioning import Database
from domain.ledger import Ledgers
from projections.inline import InlineTables
from projections.runner import Runner
from replay.compare import Difference, compare
from replay.reader import opened as reading
from replay.rebuild import FOLDS, rebuild
from tests.projections import facts
from tests.projections.facts import Record
from tests.projections.histories import World as Histories
from tests.replay.test_rebuild import follow
from tests.support.ledger import make_ledgers, make_tenant, submission
from tests.support.owner import superuser
from tests.support.world import World


@pytest.fixture(scope="module")
def ledgers(database: Database) -> Iterator[Ledgers]:
    made = make_ledgers(database, InlineTables())
    yield made
    made.close()


def differences(database: Database, tenant: str) -> list[Difference]:
    with reading(database.auditor, tenant) as source:
        return compare(source)[0]


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_rebuilt_equals_live_after_a_random_history(
    database: Database, ledgers: Ledgers, seed: int
) -> None:
    """The runner follows in pages of any size; half of the history is written during a rebuild."""
    chosen, tenant = random.Random(seed), make_tenant(database, FOLDS)
    history = Histories(chosen, facts.policy(ledgers, tenant), tenant)
    commands = [tuple(command) for command in history.commands(120)]
    for command in commands[:60]:
        ledgers.execute(submission(tenant, Record(facts=command)))
        if chosen.random() < 0.3:
            runner = Runner(database.projector, page=chosen.randint(1, 7))
            runner.step()
            runner.close()
    follow(database)
    assert differences(database, tenant) == []
    left = iter(commands[60:])

    def told(_: object) -> None:
        for command in [next(left, None) for _ in range(12)]:
            if command is not None:
                ledgers.execute(submission(tenant, Record(facts=command)))

    done = rebuild(database.migrator, tenant, range_events=30, told=told)
    assert (done.differences, done.faults) == ((), ())
    assert done.position is not None
    assert done.position > done.events
    for command in left:
        ledgers.execute(submission(tenant, Record(facts=command)))
    follow(database)
    assert differences(database, tenant) == []


def test_a_stream_in_quarantine_stays_where_it_is(database: Database) -> None:
    """Neither is it a difference, nor does a rebuild lift the quarantine."""
    world = World(database)
    grant = world.pending()
    with superuser(database) as conn:
        conn.execute(
            "UPDATE events SET data = '{' WHERE tenant_id = %s AND stream_id = %s AND version = 3",
            (world.tenant, grant),
        )
    follow(database)
    world.active()
    follow(database)
    assert differences(database, world.tenant) == []
    done = rebuild(database.migrator, world.tenant)
    assert (done.differences, done.faults) == ((), ())
    assert done.position is not None
    world.active()
    follow(database)
    assert differences(database, world.tenant) == []
    with superuser(database) as conn:
        rows = conn.execute(
            "SELECT stream_id::text FROM quarantined WHERE tenant_id = %s", (world.tenant,)
        ).fetchall()
    assert rows == [(grant,)]
    world.close()
