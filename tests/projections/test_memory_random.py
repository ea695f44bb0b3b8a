"""Memory over random histories: after every command it answers what the database answers."""

from __future__ import annotations

import asyncio
import random
from datetime import timedelta
from typing import Any

import psycopg
import pytest

from api.provisioning import Database
from domain.ledger import Ledgers
from projections.check_reader import CheckReader
from projections.check_rows import check_once
from projections.checks import Question
from projections.memory import Memory
from tests.projections import facts
from tests.projections.facts import Record
from tests.projections.fake_log import Clock
from tests.projections.histories import PRODUCTS, TEAMS, TERRITORIES, World
from tests.support.ledger import clock, submission

SOME = 12
"""Subjects asked for after each command, of those there are."""


def asked(chosen: random.Random, tenant: str, subject: str, moments: list[Any]) -> Question:
    return Question(
        tenant=tenant,
        subject=subject,
        action=chosen.choice(["sell", "show"]),
        resource_type="territory",
        resource_id=chosen.choice(TERRITORIES),
        properties=chosen.choice([{}, {"product": chosen.choice(PRODUCTS)}]),
        at=chosen.choice(moments) + chosen.choice([timedelta(0), timedelta(hours=7)]),
    )


@pytest.mark.parametrize("seed", [21, 22])
def test_nothing_touched_stays_remembered_whatever_happens_above(
    database: Database,
    ledgers: Ledgers,
    tenant: str,
    service: psycopg.Connection[Any],
    seed: int,
) -> None:
    """The process's clock makes it confirm the head before each round; what it remembers of earlier
    rounds stays unless a key it rests on was touched.
    """
    chosen = random.Random(seed)
    world = World(chosen, facts.policy(ledgers, tenant), tenant)
    own = Clock()
    counts = {"recalled": 0, "allowed": 0, "above": 0, "teams": 0}

    async def ask(memory: Memory, question: Question) -> None:
        counts["recalled"] += memory.recall(question) is not None
        found = await memory.check(question)
        expected = check_once(service, question, clock())
        assert found.explanation() == expected.explanation(), question
        counts["allowed"] += found.allowed
        if found.right is not None:
            counts["above"] += found.right.parent is not None
            counts["teams"] += found.right.party.startswith("team:")

    async def scenario() -> None:
        reader = CheckReader(database.service)
        await reader.open()
        memory = Memory(reader, now=clock, monotonic=own.monotonic)
        try:
            for command in world.commands(60):
                given = submission(tenant, Record(facts=tuple(command)))
                await asyncio.wrap_future(ledgers.submit(given))
                own.time += 1
                subjects = [
                    *(f"customer:{ref}" for ref in world.customers),
                    *(f"staff:{ref}" for ref in world.staff),
                    *(f"team:{path}" for path in TEAMS),
                ]
                for subject in chosen.sample(subjects, min(SOME, len(subjects))):
                    await ask(memory, asked(chosen, tenant, subject, world.moments))
        finally:
            await memory.close()
            await reader.close()

    asyncio.run(scenario())
    assert all(counts.values()), counts
