"""What a process remembers of the rights of a tenant goes with the generation it was read from."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator

import psycopg
import pytest

from api.provisioning import Database
from domain.errors import Refused
from projections.check_reader import CheckReader
from projections.check_rows import check_once
from projections.checks import Question
from projections.memory import Memory
from replay.rebuild import rebuild
from tests.projections.fake_log import Clock
from tests.support.ledger import clock
from tests.support.owner import superuser
from tests.support.world import World


@pytest.fixture
def world(database: Database) -> Iterator[World]:
    made = World(database)
    yield made
    made.close()


def asked(world: World, customer: str) -> Question:
    return Question(
        tenant=world.tenant,
        subject=f"customer:{customer}",
        action="sell",
        resource_type="territory",
        resource_id="CN/31",
        properties={"product": "tea"},
    )


def with_memory(database: Database, told: Callable[[Memory, Clock], Awaitable[None]]) -> None:
    """Run something with a process's memory, whose clock is given."""

    async def scenario() -> None:
        own, reader = Clock(), CheckReader(database.service)
        await reader.open()
        memory = Memory(reader, now=clock, monotonic=own.monotonic)
        try:
            await told(memory, own)
        finally:
            await memory.close()
            await reader.close()

    asyncio.run(scenario())


def test_after_a_swap_nothing_is_answered_from_rows_of_the_old_generation(
    world: World, database: Database
) -> None:
    """The live row allows too much; the rebuilt one does not, and no event says so."""
    customer = world.customer()
    world.active(customer, scope={"territory": ("CN/32",), "product": ("tea",)})
    with superuser(database) as conn:
        conn.execute(
            'UPDATE permissions SET scope = \'{"territory": ["CN"], "product": ["tea"]}\''
            " WHERE tenant_id = %s",
            (world.tenant,),
        )

    async def told(memory: Memory, own: Clock) -> None:
        question = asked(world, customer)
        assert (await memory.check(question)).allowed
        own.time += 1
        assert (await memory.check(question)).allowed
        assert memory.recall(question) is not None
        done = await asyncio.to_thread(rebuild, database.migrator, world.tenant, accept=True)
        assert done.position is not None
        remembered = memory.recall(question)
        assert remembered is not None, "within the bound it still answers, and that is the bound"
        own.time += 1
        assert not (await memory.check(question)).allowed

    with_memory(database, told)


def test_a_rebuild_says_it_is_done_no_sooner_than_memories_are_too_old(
    world: World, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    slept: list[float] = []
    monkeypatch.setattr("replay.rebuild.time.sleep", slept.append)
    rebuild(database.migrator, world.tenant)
    assert slept == [0.25]


def test_a_process_answers_no_check_from_rows_of_a_fold_it_does_not_know(
    world: World, database: Database
) -> None:
    """Neither from the database nor, once it has looked, from memory."""
    customer = world.customer()
    world.active(customer)
    question = asked(world, customer)

    async def told(memory: Memory, own: Clock) -> None:
        assert (await memory.check(question)).allowed
        own.time += 1
        assert (await memory.check(question)).allowed
        with superuser(database) as conn:
            conn.execute(
                "UPDATE generations SET fold = fold + 1"
                " WHERE tenant_id = %s AND projection = 'permissions'",
                (world.tenant,),
            )
        own.time += 1
        for _ in range(2):
            with pytest.raises(Refused, match=r"ledger\.other_release"):
                await memory.check(question)
        assert memory.recall(question) is None

    with_memory(database, told)
    refused = pytest.raises(Refused, match=r"ledger\.other_release")
    with psycopg.connect(database.service, autocommit=True) as conn, refused:
        check_once(conn, question, clock())
    rebuild(database.migrator, world.tenant)
    with psycopg.connect(database.service, autocommit=True) as conn:
        assert check_once(conn, question, clock()).allowed
