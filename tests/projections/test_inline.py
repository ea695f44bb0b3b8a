"""Inline rows against an independent reference, at every position and instant that could tell them
apart.
"""

from __future__ import annotations

import random
from datetime import datetime, timedelta
from typing import Any

import psycopg
import pytest

from domain.ledger import Ledgers
from tests.projections import facts
from tests.projections.conftest import Asker
from tests.projections.facts import Record
from tests.projections.histories import PRODUCTS, TERRITORIES, World
from tests.projections.oracle import Oracle, read
from tests.support.ledger import submission

HAIR = timedelta(microseconds=1)


def tell(ledgers: Ledgers, tenant: str, seed: int, number: int) -> World:
    """Record a random history, many commands at once so that they share batches."""
    world = World(random.Random(seed), facts.policy(ledgers, tenant), tenant)
    waiting = [
        ledgers.submit(submission(tenant, Record(facts=tuple(command))))
        for command in world.commands(number)
    ]
    for one in waiting:
        one.result()
    return world


def around(moments: list[datetime]) -> list[datetime]:
    """The instants at which something changes, and those just before."""
    return [at - beside for at in sorted(set(moments)) for beside in (HAIR, timedelta(0))]


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_rows_say_what_the_events_say_at_every_position_and_instant(
    ledgers: Ledgers, tenant: str, service: psycopg.Connection[Any], seed: int
) -> None:
    world = tell(ledgers, tenant, seed, 40)
    log = read(service, tenant)
    chosen = random.Random(seed)
    moments = around(world.moments)
    for known in chosen.sample(range(1, len(log) + 1), 25):
        oracle = Oracle(log, known)
        for at in chosen.sample(moments, 12):
            rows = rows_in_force(service, tenant, known, at)
            told = oracle.grants_in_force(at)
            assert rows == {ref: grant["grantee"] for ref, grant in told.items()}, (known, at)


@pytest.mark.parametrize("seed", [4, 5, 6])
def test_checks_answer_what_the_events_say_now_and_as_of_any_position(
    ledgers: Ledgers, tenant: str, service: psycopg.Connection[Any], ask: Asker, seed: int
) -> None:
    world = tell(ledgers, tenant, seed, 60)
    log = read(service, tenant)
    chosen = random.Random(seed)
    subjects = [f"customer:{ref}" for ref in world.customers] + [
        f"staff:{ref}" for ref in world.staff
    ]
    answers: set[bool] = set()
    for _ in range(250):
        known = chosen.choice([None, chosen.randint(1, len(log))])
        at = chosen.choice(around(world.moments))
        subject, path = chosen.choice(subjects), chosen.choice(TERRITORIES)
        action = chosen.choice(["sell", "show"])
        said = chosen.choice([{}, {"product": chosen.choice(PRODUCTS)}])
        oracle = Oracle(log, known or len(log))
        point = {**oracle.attributes("territory", path), **said, "territory": path}
        expected = oracle.allows(subject, action, point, at)
        decision = ask.decision(
            subject, action=action, resource_id=path, properties=said, at=at, as_of=known
        )
        assert decision.allowed == expected, (
            subject,
            action,
            point,
            at,
            known,
            decision.explanation(),
        )
        answers.add(expected)
    assert answers == {True, False}


def rows_in_force(
    conn: psycopg.Connection[Any], tenant: str, known: int, at: datetime
) -> dict[str, str]:
    """The grants whose rows are known at a position and valid at an instant."""
    with conn.transaction():
        conn.execute("SELECT set_config('counterseal.tenant', %s, true)", (tenant,))
        found = conn.execute(
            "SELECT grant_id::text, grantee FROM permissions WHERE known_from <= %s"
            " AND (known_to IS NULL OR known_to > %s) AND valid_from <= %s AND %s < valid_to",
            (known, known, at, at),
        ).fetchall()
    assert len(found) == len(dict(found)), "one grant has two rows in force at once"
    return dict(found)
