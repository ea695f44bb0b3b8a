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
from projections.checks import Explanation
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


@pytest.mark.parametrize("seed", [8, 9, 10])
def test_checks_of_what_was_passed_on_and_of_teams_answer_what_the_events_say(
    ledgers: Ledgers, tenant: str, service: psycopg.Connection[Any], ask: Asker, seed: int
) -> None:
    """Each grant that has one above, or was given to a team, is asked for where it might allow."""
    world = tell(ledgers, tenant, seed, 100)
    log = read(service, tenant)
    chosen = random.Random(seed)
    moments = around(world.moments)
    seen: set[str] = set()
    for _ in range(200):
        known = chosen.choice([None, chosen.randint(len(log) // 2, len(log))])
        at = chosen.choice(moments)
        oracle = Oracle(log, known or len(log))
        told = [one for _, one in sorted(oracle.grants_in_force(at).items())]
        passed_on = [one for one in told if one["terms"].get("parent")]
        of_teams = [one for one in told if one["grantee"].startswith("team:")]
        told = passed_on if chosen.random() < 0.8 else of_teams
        if not told:
            continue
        grant = chosen.choice(told)
        subject = grant["grantee"]
        members = [f"staff:{ref}" for ref in world.staff if oracle.teams(f"staff:{ref}", at)]
        if subject.startswith("team:") and members:
            subject = chosen.choice([subject, *members])
        path, action = chosen.choice(TERRITORIES), chosen.choice(grant["terms"]["actions"])
        said = {"product": chosen.choice(["tea", "tea/green"])}
        expected = oracle.allows(subject, action, said | {"territory": path}, at)
        decision = ask.decision(
            subject, action=action, resource_id=path, properties=said, at=at, as_of=known
        )
        why = decision.explanation()
        assert decision.allowed == expected, (subject, action, path, at, known, why)
        seen.add(_sort(why, subject, decision.allowed))
    assert len({"passed on", "fails above", "of the team", "of the own team"} & seen) >= 2


def _sort(why: Explanation, subject: str, allowed: bool) -> str:
    """What an answer rested on, so that the test can tell it met all of it."""
    if why.chain:
        return "passed on" if allowed else "fails above"
    if allowed and subject.startswith("team:"):
        return "of the team"
    return "of the own team" if allowed and subject.startswith("staff:") else "else"


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
