"""What a check answers from a row that somebody changed: allowed until it is found, then denied,
and right again once it is healed.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, LiteralString

import psycopg
import pytest

from api.provisioning import Database
from domain.ledger import Ledgers
from projections import search
from projections.checks import Question
from projections.runner import Runner
from replay.healing import heal
from replay.verifier import Verifier
from tests.projections import facts
from tests.projections.conftest import Asker
from tests.projections.facts import day
from tests.projections.runner.following import SCOPE, follow
from tests.support.owner import superuser

PRODUCTS = {"product": ("tea",), "territory": ("CN/31",)}


class Ground:
    """Customers: one holds a grant, one nothing, one is in standing only later."""

    def __init__(self, ledgers: Ledgers, database: Database, tenant: str, ask: Asker) -> None:
        self.database, self.tenant, self.ask = database, tenant, ask
        policy = facts.policy(ledgers, tenant)
        self.holder = facts.customer(ledgers, tenant)
        self.other = facts.customer(ledgers, tenant)
        self.late = facts.customer(ledgers, tenant, since=20)
        self.grant = facts.grant(ledgers, tenant, self.holder, policy, SCOPE)
        facts.grant(ledgers, tenant, self.late, policy, SCOPE, number="G2")
        self.streams = {
            "grant": self.grant,
            "late": self.late.partition(":")[2],
            "other": self.other.partition(":")[2],
        }

    def plant(self, statement: LiteralString) -> None:
        given = {"tenant": self.tenant, **self.__dict__}
        with superuser(self.database) as conn:
            assert conn.execute(statement, given).rowcount == 1

    def verify(self) -> None:
        verifier = Verifier(self.database.projector, turn=5_000, rest=0)
        for _ in range(200):
            verifier.step()
        verifier.close()


@pytest.fixture
def ground(
    ledgers: Ledgers,
    database: Database,
    tenant: str,
    ask: Asker,
    runner: Callable[..., Runner],
) -> Ground:
    made = Ground(ledgers, database, tenant, ask)
    follow(runner(), database, tenant)
    return made


CASES: dict[str, tuple[LiteralString, str, str, dict[str, Any]]] = {
    "an action more": (
        (
            "UPDATE permissions SET actions = '{sell,destroy}' WHERE grant_id = %(grant)s"
            " AND tenant_id = %(tenant)s"
        ),
        "grant",
        "holder",
        {"action": "destroy"},
    ),
    "a grant of somebody else's": (
        (
            "INSERT INTO permissions SELECT tenant_id, generation, grant_id, terms_number,"
            " valid_from, valid_to, known_from, known_to, %(other)s, number, kind, actions, scope,"
            " policy_id, policy_version, parent, stops FROM permissions"
            " WHERE grant_id = %(grant)s AND tenant_id = %(tenant)s"
        ),
        "grant",
        "other",
        {},
    ),
    "in standing too soon": (
        (
            "UPDATE standings SET valid_from = '2020-01-01 00:00Z' WHERE party = %(late)s"
            " AND tenant_id = %(tenant)s"
        ),
        "late",
        "late",
        {},
    ),
    "one with somebody else": (
        (
            "INSERT INTO aliases SELECT tenant_id, generation, %(other)s, %(holder)s, valid_from, 1"
            " FROM standings WHERE party = %(holder)s AND tenant_id = %(tenant)s"
        ),
        "other",
        "other",
        {},
    ),
}


@pytest.mark.parametrize("case", list(CASES))
def test_a_right_that_nobody_gave_ends_when_it_is_found_and_is_gone_when_it_is_healed(
    ground: Ground, service: psycopg.Connection[Any], case: str
) -> None:
    statement, stream, subject, more = CASES[case]
    who: str = getattr(ground, subject)
    assert not ground.ask.allowed(who, **more)
    ground.plant(statement)
    assert ground.ask.allowed(who, **more)

    ground.verify()
    assert not ground.ask.allowed(who, **more)
    assert ground.ask.code(who, **more) == "check.quarantined"
    asked = Question(
        tenant=ground.tenant,
        subject=who,
        action=more.get("action", "sell"),
        resource_type="territory",
        resource_id="CN/31",
        at=day(10.5),
    )
    found = search.subjects(service, asked, "customer", after="", limit=10, now=day(10.5))
    assert who.partition(":")[2] not in found.results
    assert search.actions(service, asked, after="", limit=10, now=day(10.5)).results == []

    assert heal(ground.database.migrator, ground.tenant, ground.streams[stream]).rows
    assert not ground.ask.allowed(who, **more)
    assert ground.ask.code(who, **more) != "check.quarantined"
    assert ground.ask.allowed(ground.holder)


def test_without_the_verifier_the_wrong_answer_stays(ground: Ground) -> None:
    """The control: what is denied above is denied by what was found."""
    ground.plant(CASES["an action more"][0])
    assert ground.ask.allowed(ground.holder, action="destroy")
    assert ground.ask.allowed(ground.holder, action="destroy")


def test_where_the_catalogue_says_what_it_should_not_nothing_is_taken_from_it(
    ground: Ground, ledgers: Ledgers
) -> None:
    """A product is asked about; where it lies only a planted row says."""
    who = facts.customer(ledgers, ground.tenant)
    policy = facts.policy(ledgers, ground.tenant)
    facts.grant(ledgers, ground.tenant, who, policy, PRODUCTS, number="G3")
    more = {"resource_type": "product", "resource_id": "tea/green"}
    assert not ground.ask.allowed(who, **more)
    ground.plant(
        "INSERT INTO points SELECT %(tenant)s, 1, 'product', 'tea/green', '-infinity', 'infinity',"
        """ 1, NULL, '{"zh": "茶", "en": "tea"}', '{"territory": "CN/31"}'"""
    )
    assert ground.ask.allowed(who, **more)
    ground.verify()
    assert ground.ask.code(who, **more) == "check.quarantined"
    assert ground.ask.allowed(who, **more, properties={"territory": "CN/31"}) is False
    heal(ground.database.migrator, ground.tenant, ground.tenant)
    assert ground.ask.code(who, **more) == "scope.dimension_missing"
    assert ground.ask.allowed(who, **more, properties={"territory": "CN/31"})


def test_what_the_doors_allowed_by_another_stream_is_allowed_all_the_while(ground: Ground) -> None:
    ground.plant(CASES["in standing too soon"][0])
    ground.verify()
    assert ground.ask.allowed(ground.holder)
    assert heal(ground.database.migrator, ground.tenant, ground.streams["late"]).rows
