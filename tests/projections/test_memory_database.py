"""Memory on a real database: two processes, as far as the ledger can tell, and connections that are
lost.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

import pytest

from api.provisioning import Database
from domain.errors import Refused
from domain.ledger import Ledgers
from projections.check_reader import CheckReader
from projections.check_rows import CheckTail
from projections.checks import Question
from projections.memory import Memory
from projections.remembered import Limits
from tests.projections import facts
from tests.projections.facts import Record, day
from tests.support.ledger import clock, new_id, submission
from tests.support.owner import superuser

SCOPE = {"territory": ("CN/31",)}


class HeldReader(CheckReader):
    """A reader whose tails can be held back, as a slow network would."""

    def __init__(self, url: str) -> None:
        super().__init__(url)
        self.let_go = asyncio.Event()
        self.let_go.set()

    async def tail(self, tenant: str, after: int) -> CheckTail:
        await self.let_go.wait()
        return await super().tail(tenant, after)


@asynccontextmanager
async def process(
    database: Database, wait_s: float = 2.0
) -> AsyncIterator[tuple[Memory, HeldReader]]:
    """A process that answers checks."""
    reader = HeldReader(database.service)
    await reader.open()
    limits = Limits(wait_s=wait_s)
    memory = Memory(reader, now=clock, monotonic=time.monotonic, limits=limits)
    await memory.open()
    try:
        yield memory, reader
    finally:
        await memory.close()
        await reader.close()


def asked(tenant: str, subject: str, **more: Any) -> Question:
    given: dict[str, Any] = {
        "tenant": tenant,
        "subject": subject,
        "action": "sell",
        "resource_type": "territory",
        "resource_id": "CN/31",
        "at": day(10),
    }
    return Question(**(given | more))


def some_grants(ledgers: Ledgers, tenant: str, number: int) -> list[tuple[str, str]]:
    """So many customers with a grant each: (grantee, grant)."""
    policy = facts.policy(ledgers, tenant)
    found: list[tuple[str, str]] = []
    for _ in range(number):
        grantee = facts.customer(ledgers, tenant)
        found.append((grantee, facts.grant(ledgers, tenant, grantee, policy, SCOPE)))
    return found


async def acknowledged(ledgers: Ledgers, tenant: str, grant_id: str) -> None:
    """Revoke, and return when the revocation may be acknowledged."""
    command = Record(facts=(("grant", grant_id, facts.revoked(5)),))
    outcome = await asyncio.wrap_future(ledgers.submit(submission(tenant, command)))
    assert outcome.narrowing
    await asyncio.sleep(max(0.0, outcome.acknowledge_at - time.monotonic()))


def test_acknowledged_is_denied_in_every_process_while_all_are_asked(
    database: Database, ledgers: Ledgers, tenant: str
) -> None:
    grants = some_grants(ledgers, tenant, 6)

    async def ask_on(memory: Memory, stop: asyncio.Event) -> int:
        answers = 0
        while not stop.is_set():
            for grantee, _ in grants:
                await memory.check(asked(tenant, grantee))
                answers += 1
            await asyncio.sleep(0)
        return answers

    async def scenario() -> None:
        async with process(database) as (one, _), process(database) as (other, _):
            stop = asyncio.Event()
            asking = [asyncio.create_task(ask_on(memory, stop)) for memory in (one, other)]
            for grantee, grant_id in grants:
                assert (await one.check(asked(tenant, grantee))).allowed
                assert (await other.check(asked(tenant, grantee))).allowed
                await acknowledged(ledgers, tenant, grant_id)
                for memory in (one, other):
                    assert not (await memory.check(asked(tenant, grantee))).allowed
            stop.set()
            assert min(await asyncio.gather(*asking)) > 100

    asyncio.run(scenario())


def test_a_process_whose_tail_is_blocked_stops_answering_and_never_allows_what_is_revoked(
    database: Database, ledgers: Ledgers, tenant: str
) -> None:
    ((grantee, grant_id),) = some_grants(ledgers, tenant, 1)

    async def scenario() -> None:
        async with process(database, wait_s=0.3) as (memory, reader):
            assert (await memory.check(asked(tenant, grantee))).allowed
            reader.let_go.clear()
            await asyncio.sleep(0.05)
            await acknowledged(ledgers, tenant, grant_id)
            assert memory.recall(asked(tenant, grantee)) is None
            with pytest.raises(Refused, match=r"^ledger\.unreachable"):
                await memory.check(asked(tenant, grantee))
            assert not (await memory.check(asked(tenant, grantee, consistency="full"))).allowed
            reader.let_go.set()
            assert not (await memory.check(asked(tenant, grantee))).allowed

    asyncio.run(scenario())


def test_a_lost_connection_costs_another_try_and_no_answer(
    database: Database, ledgers: Ledgers, tenant: str
) -> None:
    ((grantee, _),) = some_grants(ledgers, tenant, 1)

    async def scenario() -> None:
        async with process(database) as (memory, _):
            for _ in range(3):
                assert (await memory.check(asked(tenant, grantee, consistency="full"))).allowed
                with superuser(database) as conn:
                    conn.execute(
                        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                        " WHERE query LIKE '%read_check%' AND datname = current_database()"
                        " AND pid <> pg_backend_pid()"
                    )

    asyncio.run(scenario())


def test_as_of_answers_what_was_known_then(
    database: Database, ledgers: Ledgers, tenant: str
) -> None:
    ((grantee, grant_id),) = some_grants(ledgers, tenant, 1)
    before = ledgers.tail(tenant, 0)
    facts.put(ledgers, tenant, "grant", grant_id, facts.revoked(5))

    async def scenario() -> None:
        async with process(database) as (memory, _):
            assert not (await memory.check(asked(tenant, grantee))).allowed
            then = await memory.position_at(tenant, before.recorded_at)
            assert then == before.position
            decision = await memory.check(asked(tenant, grantee, as_of=then))
            assert decision.allowed
            assert decision.position == then
            undated = await memory.check(asked(tenant, grantee, as_of=then, at=None))
            assert undated.at == before.recorded_at
            assert await memory.position_at(tenant, day(-1)) == 0

    asyncio.run(scenario())


def test_a_grant_revoked_before_it_began_is_still_explained(
    database: Database, ledgers: Ledgers, tenant: str
) -> None:
    policy, grantee = facts.policy(ledgers, tenant), facts.customer(ledgers, tenant)
    scope = {"territory": ("CN/31",), "product": ("tea",)}
    grant_id = facts.grant(ledgers, tenant, grantee, policy, scope, since=20)
    facts.put(ledgers, tenant, "grant", grant_id, facts.revoked(15))
    catalogue: Sequence[Any] = (
        facts.dimension("territory"),
        facts.dimension("product"),
        facts.point("territory", "CN/31", product="tea"),
    )
    facts.put(ledgers, tenant, "catalogue", tenant, *catalogue)

    async def scenario() -> None:
        async with process(database) as (memory, _):
            decision = await memory.check(asked(tenant, grantee, at=day(30)))
            assert not decision.allowed
            why = await memory.explain(decision)
            assert (why.code, why.grant) == ("check.revoked", grant_id)
            stranger = await memory.check(asked(tenant, f"customer:{new_id()}"))
            assert (await memory.explain(stranger)).code == "check.subject_unknown"

    asyncio.run(scenario())
