"""Quarantine: an event that cannot be applied stops its stream, and no other."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from uuid import UUID

import psycopg

from api.provisioning import Database
from domain.ledger import Ledgers
from projections.runner import Runner
from tests.projections import facts
from tests.projections.conftest import Asker
from tests.projections.runner.following import (
    SCOPE,
    follow,
)
from tests.support.owner import superuser


def test_an_event_that_cannot_be_applied_stops_its_stream_only_and_its_grants_are_denied(
    ledgers: Ledgers,
    database: Database,
    tenant: str,
    projector: psycopg.Connection[Any],
    runner: Callable[..., Runner],
    ask: Asker,
) -> None:
    policy = facts.policy(ledgers, tenant)
    one, other = (facts.customer(ledgers, tenant) for _ in range(2))
    broken = facts.grant(ledgers, tenant, one, policy, SCOPE)
    sound = facts.grant(ledgers, tenant, other, policy, SCOPE)
    position = facts.put(ledgers, tenant, "grant", broken, facts.suspended(700)).position
    later = facts.put(ledgers, tenant, "grant", broken, facts.resumed(701)).position
    with superuser(database) as conn:
        conn.execute(
            "UPDATE events SET data = '{\"at\": 1}' WHERE tenant_id = %s AND position = %s",
            (tenant, position),
        )
    assert ask.allowed(one)
    follow(runner(page=2), database, tenant)
    with projector.transaction():
        projector.execute("SELECT set_config('counterseal.tenant', %s, true)", (tenant,))
        found = projector.execute("SELECT stream_id, position, projection, code FROM quarantined")
        assert found.fetchall() == [(UUID(broken), position, "grants", "event.undecodable")]
        kept = projector.execute("SELECT grant_id, version, status FROM grants").fetchall()
        assert set(kept) == {(UUID(sound), 5, "active"), (UUID(broken), 5, "active")}
    assert ask.code(one) == "check.quarantined"
    assert ask.allowed(one, as_of=position - 1)
    assert not ask.allowed(one, as_of=later)
    assert ask.allowed(other)


def test_an_order_of_events_that_cannot_be_is_quarantined_too(
    ledgers: Ledgers,
    database: Database,
    tenant: str,
    projector: psycopg.Connection[Any],
    runner: Callable[..., Runner],
) -> None:
    policy, grantee = facts.policy(ledgers, tenant), facts.customer(ledgers, tenant)
    grant_id = facts.grant(ledgers, tenant, grantee, policy, SCOPE)
    position = facts.put(ledgers, tenant, "grant", grant_id, facts.resumed(5)).position
    with superuser(database) as conn:  # what was imported out of order is now said to be no import
        conn.execute(
            "UPDATE events SET data ="
            " convert_to((convert_from(data, 'UTF8')::jsonb - 'imported')::text, 'UTF8')"
            " WHERE tenant_id = %s AND position = %s",
            (tenant, position),
        )
    follow(runner(), database, tenant)
    with projector.transaction():
        projector.execute("SELECT set_config('counterseal.tenant', %s, true)", (tenant,))
        found = projector.execute("SELECT position, code FROM quarantined").fetchall()
    assert found == [(position, "event.impossible")]


def test_an_event_the_database_does_not_take_is_found_in_its_page_and_quarantined(
    ledgers: Ledgers,
    database: Database,
    tenant: str,
    projector: psycopg.Connection[Any],
    runner: Callable[..., Runner],
) -> None:
    policy = facts.policy(ledgers, tenant)
    grantee = facts.customer(ledgers, tenant)
    grants = [
        facts.grant(ledgers, tenant, grantee, policy, SCOPE, number=f"G{n}") for n in range(9)
    ]
    with superuser(database) as conn:  # a number with a character that no column takes
        conn.execute(
            "UPDATE events SET data = convert_to(replace(convert_from(data, 'UTF8'), '\"G4\"',"
            " '\"G\\u0000\"'), 'UTF8') WHERE tenant_id = %s AND type = 'grant.requested.1'",
            (tenant,),
        )
    follow(runner(), database, tenant)
    with projector.transaction():
        projector.execute("SELECT set_config('counterseal.tenant', %s, true)", (tenant,))
        found = projector.execute("SELECT stream_id::text, projection, code FROM quarantined")
        assert found.fetchall() == [(grants[4], "grants", "event.not_applied")]
        kept = projector.execute("SELECT grant_id::text, version FROM grants").fetchall()
    assert set(kept) == {(one, 5) for one in grants if one != grants[4]}
