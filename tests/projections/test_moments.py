"""Moments on random histories: every table as the live ones, cut at a position; what had happened
by an instant, against the stored JSON alone.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from datetime import datetime
from typing import Any

import psycopg
import pytest

from api.provisioning import Database
from domain.ledger import Ledgers
from projections import moments, queries
from projections.moments import Maker
from tests.projections import facts
from tests.projections.facts import Record
from tests.projections.oracle import Fact, read
from tests.projections.past_histories import Told
from tests.support.ledger import submission
from tests.support.owner import superuser

COMMANDS = 60
Conn = psycopg.Connection[Any]

TABLES = (
    "grants", "customers", "policies", "staff", "hands", "person_merges", "tasks", "cases",
    "effects", "policy_versions", "history", "history_keys",
)  # fmt: skip


def told(ledgers: Ledgers, tenant: str, seed: int, follow: Callable[[], int] | None) -> Told:
    """Record a random history; with `follow` the read models are brought along in between."""
    made = Told(random.Random(seed), facts.policy(ledgers, tenant), tenant)
    for command in made.commands(COMMANDS):
        ledgers.submit(submission(tenant, Record(facts=tuple(command)))).result()
        if follow is not None:
            follow()
    return made


def made(database: Database, tenant: str, position: int, happened: datetime | None = None) -> int:
    """Fill the moment, in small pages; return its number."""
    with psycopg.connect(database.service, autocommit=True) as conn:
        asked = moments.ask(conn, tenant, position, happened)
        assert asked.moment is not None
        with psycopg.connect(database.projector, autocommit=True) as projector:
            maker = Maker(page=37, states=20)
            while not moments.ask(conn, tenant, position, happened).ready:
                assert maker.step(projector)
    return asked.moment


def rows(database: Database, tenant: str, table: str, generation: int) -> list[str]:
    """Return every row of a table, without tenant and generation, as texts in their order."""
    with superuser(database) as conn:
        found = conn.execute(
            f"SELECT (to_jsonb(t) - 'tenant_id' - 'generation')::text FROM {table} t"  # pyright: ignore[reportArgumentType]
            " WHERE tenant_id = %s AND generation = %s ORDER BY 1",
            (tenant, generation),
        ).fetchall()
    return [row[0] for row in found]


@pytest.mark.parametrize("seed", [1, 2])
def test_a_moment_is_row_by_row_what_the_live_read_models_were(
    database: Database, ledgers: Ledgers, tenant: str, follow: Callable[[], int], seed: int
) -> None:
    chance = random.Random(seed)
    made_up = Told(random.Random(seed), facts.policy(ledgers, tenant), tenant)
    kept: dict[int, dict[str, list[str]]] = {}
    for command in made_up.commands(COMMANDS):
        ledgers.submit(submission(tenant, Record(facts=tuple(command)))).result()
        if chance.random() < 0.15:
            position = follow()
            kept[position] = {name: rows(database, tenant, name, 1) for name in TABLES}
    follow()
    assert len(kept) >= 3
    for position, then in kept.items():
        moment = made(database, tenant, position)
        for name in TABLES:
            assert rows(database, tenant, name, -moment) == then[name], (position, name)
    last = kept[max(kept)]
    assert [name for name in TABLES if not last[name]] in ([], ["person_merges"])


def acts(log: list[Fact], known: int, happened: datetime) -> list[Fact]:
    """Return what had happened by an instant, among what was known."""
    return [
        fact
        for fact in log
        if fact.position <= known and datetime.fromisoformat(fact.data["at"]) <= happened
    ]


@pytest.mark.parametrize("seed", [3, 4])
def test_what_had_happened_is_made_of_these_acts_and_no_others(
    database: Database,
    ledgers: Ledgers,
    tenant: str,
    service: Conn,
    follow: Callable[[], int],
    rounds: Callable[[int, int], int],
    seed: int,
) -> None:
    story = told(ledgers, tenant, seed, None)
    head, log, chance = follow(), read(service, tenant), random.Random(seed)
    late = 0
    for _ in range(rounds(5, 40)):
        known, happened = chance.randint(1, head), chance.choice(story.moments)
        moment = made(database, tenant, known, happened)
        these = acts(log, known, happened)
        with service.transaction():
            assert moments.choose(service, tenant, moment)
            grants = queries.grants(service, tenant, limit=1000)
            people = queries.customers(service, tenant, limit=1000)
        assert grants.position == people.position == known
        seen = {fact.position for fact in these}
        lines = rows(database, tenant, "history", -moment)
        assert len(lines) == len(seen)
        late += max(seen, default=0) - len(seen)
        given = {one.stream for one in these if (one.kind, one.happened) == ("grant", "requested")}
        # An act on a grant whose request is told to have come later leaves no row of its own.
        assert {row["grant_id"] for row in grants.items} == given
        for row in grants.items:
            mine = [one for one in these if one.stream == row["grant_id"]]
            assert row["position"] == mine[-1].position
            changed = [one for one in mine if one.happened in ("renewed", "amended")]
            assert row["terms_number"] == 1 + len(changed), row
        registered = {one.stream for one in these if one.happened == "registered"}
        assert {row["customer_id"] for row in people.items} >= registered
    assert late > 0, "nothing was told late: known and happened were never apart"
