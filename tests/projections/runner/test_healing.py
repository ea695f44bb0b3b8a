"""Healing: after the repair a stream is folded again, and its rows and the quarantine's end are one
transaction.
"""

from __future__ import annotations

import asyncio
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import psycopg
import pytest

from api.provisioning import Database
from domain.ledger import MEMORY_BOUND_S, Ledgers
from projections.check_reader import CheckReader
from projections.checks import Question
from projections.memory import Memory
from projections.runner import Runner
from replay import healing
from replay.compare import compare
from replay.healing import HealRefused, heal
from replay.quarantine import around, held
from replay.reader import opened
from replay.rebuild_plan import alone, connect
from tests.projections import facts
from tests.projections.conftest import Asker
from tests.projections.facts import day
from tests.projections.runner.following import SCOPE, follow, rows
from tests.support.owner import superuser


class Broken:
    """A customer's grant with an event that nobody can read; another grant is sound."""

    def __init__(self, ledgers: Ledgers, database: Database, tenant: str) -> None:
        self.database = database
        self.tenant = tenant
        self.ledgers = ledgers
        policy = facts.policy(ledgers, tenant)
        self.holder, self.other = (facts.customer(ledgers, tenant) for _ in range(2))
        self.grant = facts.grant(ledgers, tenant, self.holder, policy, SCOPE)
        facts.grant(ledgers, tenant, self.other, policy, SCOPE)
        self.position = facts.put(ledgers, tenant, "grant", self.grant, facts.suspended(5)).position
        facts.put(ledgers, tenant, "grant", self.grant, facts.resumed(6))
        with superuser(database) as conn:
            row = conn.execute(
                "SELECT data FROM events WHERE tenant_id = %s AND position = %s",
                (tenant, self.position),
            ).fetchone()
            assert row is not None
            self.data = row[0]
        self.plant(b'{"at": 1}')

    def plant(self, data: bytes) -> None:
        """Write an event over, as the owner of the machine can."""
        with superuser(self.database) as conn:
            conn.execute(
                "UPDATE events SET data = %s WHERE tenant_id = %s AND position = %s",
                (data, self.tenant, self.position),
            )

    def repair(self) -> None:
        self.plant(self.data)

    def heal(self) -> healing.Healed:
        return heal(self.database.migrator, self.tenant, self.grant)

    def held(self) -> list[tuple[str, int, str]]:
        with psycopg.connect(self.database.service, autocommit=True) as conn:
            return [(one.stream_id, one.position, one.code) for one in held(conn, self.tenant)]

    def rows(self) -> Any:
        with psycopg.connect(self.database.projector, autocommit=True) as conn:
            return rows(conn, self.tenant)

    def differences(self) -> list[Any]:
        with opened(self.database.auditor, self.tenant) as source:
            return compare(source)[0]


@pytest.fixture
def broken(
    ledgers: Ledgers, database: Database, tenant: str, runner: Callable[..., Runner]
) -> Broken:
    made = Broken(ledgers, database, tenant)
    follow(runner(), database, tenant)
    assert made.held() == [(made.grant, made.position, "event.undecodable")]
    return made


def test_while_the_event_cannot_be_applied_nothing_changes_and_it_says_so(
    broken: Broken, ask: Asker
) -> None:
    before = broken.rows()
    found = broken.heal()
    assert [(one.position, one.code) for one in found.faults] == [
        (broken.position, "event.undecodable")
    ]
    assert broken.rows() == before
    assert broken.held() == [(broken.grant, broken.position, "event.undecodable")]
    assert ask.code(broken.holder) == "check.quarantined"


def test_after_the_repair_the_rows_are_those_of_the_log_and_it_is_allowed_again(
    broken: Broken, ask: Asker, runner: Callable[..., Runner]
) -> None:
    broken.repair()
    assert ask.code(broken.holder) == "check.quarantined"
    found = broken.heal()
    assert found.faults == ()
    assert found.rows["grants"] == 1
    assert "permissions" not in found.rows
    assert broken.held() == []
    assert broken.differences() == []
    assert ask.allowed(broken.holder)
    facts.put(broken.ledgers, broken.tenant, "grant", broken.grant, facts.suspended(7))
    follow(runner(), broken.database, broken.tenant)
    assert broken.differences() == []
    assert broken.held() == []
    assert not ask.allowed(broken.holder)


def test_what_is_right_stays_and_what_is_not_there_is_refused(broken: Broken) -> None:
    broken.repair()
    assert broken.heal().rows
    before = broken.rows()
    again = broken.heal()
    assert (again.rows, again.faults) == ({}, ())
    assert broken.rows() == before
    with pytest.raises(HealRefused, match=r"heal\.unknown_stream"):
        heal(broken.database.migrator, broken.tenant, "00000000-0000-7000-8000-0000000000ff")


def test_rows_of_another_releases_fold_are_left_to_a_rebuild(broken: Broken) -> None:
    broken.repair()
    before = broken.rows()
    with pytest.raises(HealRefused, match=r"heal\.other_release"):
        heal(broken.database.migrator, broken.tenant, broken.grant, {"grants": 99})
    assert broken.rows() == before
    assert broken.held() != []


def test_it_waits_for_its_turn_beside_a_rebuild_and_another_heal(broken: Broken) -> None:
    broken.repair()
    with (
        connect(broken.database.migrator) as conn,
        alone(conn, broken.tenant),
        pytest.raises(HealRefused, match=r"heal\.running"),
    ):
        broken.heal()
    assert broken.held() != []
    assert broken.heal().faults == ()


KILLED = """
import os, sys
from replay import healing
calls = 0
real = healing.{name}
def dies(*args, **more):
    global calls
    calls += 1
    if calls == {number}:
        os._exit(9)
    return real(*args, **more)
healing.{name} = dies
healing.heal(*sys.argv[1:])
"""


@pytest.mark.parametrize(
    ("name", "number"), [("live_models", 2), ("events_of", 1), ("_rewrite", 3), ("Healed", 1)]
)
def test_killed_anywhere_it_leaves_all_as_it_was_and_the_next_one_heals(
    broken: Broken, ask: Asker, name: str, number: int
) -> None:
    broken.repair()
    before = broken.rows()
    command = [sys.executable, "-c", KILLED.format(name=name, number=number)]
    where = [broken.database.migrator, broken.tenant, broken.grant]
    assert subprocess.run([*command, *where], check=False, timeout=60).returncode == 9
    assert broken.rows() == before
    assert ask.code(broken.holder) == "check.quarantined"
    assert broken.heal().faults == ()
    assert broken.differences() == []
    assert ask.allowed(broken.holder)


def test_what_is_appended_meanwhile_waits_and_comes_after_it(
    broken: Broken, monkeypatch: pytest.MonkeyPatch, runner: Callable[..., Runner]
) -> None:
    broken.repair()
    done: list[float] = []

    def more() -> None:
        facts.put(broken.ledgers, broken.tenant, "grant", broken.grant, facts.suspended(7))
        done.append(time.monotonic())

    writer = threading.Thread(target=more)
    rewrite = healing._rewrite  # pyright: ignore[reportPrivateUsage]
    ended: list[float] = []

    def slow(*args: Any) -> int:
        if not writer.ident:
            writer.start()
            time.sleep(0.3)
        ended.append(time.monotonic())
        return rewrite(*args)

    monkeypatch.setattr(healing, "_rewrite", slow)
    assert broken.heal().faults == ()
    writer.join(10)
    assert done[0] > ended[-1]
    follow(runner(), broken.database, broken.tenant)
    assert broken.differences() == []


def test_another_process_denies_and_then_allows_within_the_bound(broken: Broken) -> None:
    question = Question(
        tenant=broken.tenant,
        subject=broken.holder,
        action="sell",
        resource_type="territory",
        resource_id="CN/31",
        at=day(10.5),
    )

    async def walk() -> None:
        reader = CheckReader(broken.database.service)
        await reader.open()
        memory = Memory(reader, now=lambda: datetime.now(UTC), monotonic=time.monotonic)
        await memory.open()
        try:
            for _ in range(3):  # remembered, and denied from memory too
                assert not (await memory.check(question)).allowed
            broken.repair()
            assert not (await memory.check(question)).allowed
            await asyncio.to_thread(broken.heal)  # which returns after the bound
            recalled = memory.recall(question)
            assert recalled is None or recalled.allowed
            assert (await memory.check(question)).allowed
            with superuser(broken.database) as conn:
                conn.execute(
                    "INSERT INTO quarantined (tenant_id, stream_id, position, projection, code)"
                    " VALUES (%s, %s, 1, 'permissions', 'table.differs')",
                    (broken.tenant, broken.grant),
                )
            await asyncio.sleep(MEMORY_BOUND_S)
            assert not (await memory.check(question)).allowed
        finally:
            await memory.close()
            await reader.close()

    asyncio.run(walk())


def test_a_row_that_a_process_remembers_wrongly_is_forgotten_when_it_is_put_right(
    broken: Broken, database: Database
) -> None:
    """What was planted in the table was answered from memory: not after the heal."""
    broken.repair()
    broken.heal()
    with superuser(database) as conn:
        conn.execute(
            "UPDATE permissions SET actions = '{sell,destroy}' WHERE grant_id = %s", (broken.grant,)
        )
    question = Question(
        tenant=broken.tenant,
        subject=broken.holder,
        action="destroy",
        resource_type="territory",
        resource_id="CN/31",
        at=day(10.5),
    )

    async def walk() -> None:
        reader = CheckReader(database.service)
        await reader.open()
        memory = Memory(reader, now=lambda: datetime.now(UTC), monotonic=time.monotonic)
        await memory.open()
        try:
            assert (await memory.check(question)).allowed
            assert (await memory.check(question)).allowed
            found = await asyncio.to_thread(broken.heal)
            assert set(found.rows) == {"permissions"}
            assert not (await memory.check(question)).allowed
        finally:
            await memory.close()
            await reader.close()

    asyncio.run(walk())


def test_what_is_shown_are_the_events_around_the_place_as_they_lie_there(broken: Broken) -> None:
    with psycopg.connect(broken.database.service, autocommit=True) as conn:
        (one,) = held(conn, broken.tenant)
        assert (one.kind, one.number, one.grants) == ("grant", "G1", 1)
        events = around(conn, broken.tenant, broken.grant, one.position, 1)
    assert [event.fault for event in events] == [None, "event.undecodable", None]
    assert events[1].data == b'{"at": 1}'
    assert events[1].position == broken.position
