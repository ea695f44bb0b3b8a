"""As of any position and at any instant a check is what an independent reference says, on random
histories.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable
from datetime import datetime
from typing import Any

import psycopg
import pytest

from api.provisioning import Database
from domain.ledger import Ledgers
from projections.check_rows import check_once
from projections.checks import Decision, Question
from tests.projections import facts
from tests.projections.conftest import FOLDS
from tests.projections.facts import Record
from tests.projections.histories import PRODUCTS, TEAMS, TERRITORIES
from tests.projections.oracle import Oracle, read
from tests.projections.past_histories import Told
from tests.projections.test_inline import around
from tests.support.ledger import make_tenant, submission

COMMANDS = 90
"""Of one history."""

WHAT = {
    "grant.suspended",
    "grant.amended",
    "grant.renewed",
    "grant.revoked",
    "customer.blocked",
    "customer.merged",
    "told late",
}
"""What every history has, on the average at least once."""

Conn = psycopg.Connection[Any]


class History:
    """One random history of a tenant of its own, and who and what may be asked about."""

    def __init__(self, ledgers: Ledgers, conn: Conn, tenant: str, seed: int) -> None:
        self.tenant = tenant
        self.chance = random.Random(seed)
        self.told = Told(self.chance, facts.policy(ledgers, tenant), tenant)
        waiting = [
            ledgers.submit(submission(tenant, Record(facts=tuple(command))))
            for command in self.told.commands(COMMANDS)
        ]
        for one in waiting:
            one.result()
        self.log = read(conn, tenant)
        self.moments = around(self.told.moments)
        self._oracles: dict[int, Oracle] = {}

    def oracle(self, known: int) -> Oracle:
        if known not in self._oracles:
            self._oracles[known] = Oracle(self.log, known)
        return self._oracles[known]

    def question(self) -> tuple[int, datetime, str, str, dict[str, str]]:
        """Return a position, an instant, who, what, and a point: mostly where it could be so."""
        chance = self.chance
        known, at = chance.randint(1, len(self.log)), chance.choice(self.moments)
        oracle = self.oracle(known)
        forced = oracle.grants_in_force(at)
        action = chance.choice(["sell", "show"])
        path, product = chance.choice(TERRITORIES), chance.choice(PRODUCTS)
        if forced and chance.random() < 0.7:
            grant = forced[chance.choice(sorted(forced))]
            who = chance.choice(sorted(oracle.same(grant["grantee"])))
            near = grant["terms"]["scope"]["territory"][0]
            path = next((one for one in TERRITORIES if one.startswith(near)), path)
            product = next(iter(grant["terms"]["scope"].get("product", ["tea"])))
            product = "tea" if product == "*" else product
        else:
            who = chance.choice(
                [f"customer:{ref}" for ref in self.told.customers]
                + [f"staff:{ref}" for ref in self.told.staff]
                + [f"team:{team}" for team in TEAMS]
            )
        return known, at, who, action, {"territory": path, "product": product}

    def check(
        self, conn: Conn, known: int, at: datetime, who: str, action: str, point: dict[str, str]
    ) -> Decision:
        question = Question(
            tenant=self.tenant,
            subject=who,
            action=action,
            resource_type="territory",
            resource_id=point["territory"],
            properties={"product": point["product"]},
            at=at,
            as_of=known,
        )
        return check_once(conn, question, at)


@pytest.mark.timeout(1800)
def test_as_of_is_what_an_independent_reference_says(
    database: Database,
    ledgers: Ledgers,
    service: Conn,
    rounds: Callable[[int, int], int],
) -> None:
    histories, each = rounds(5, 20), rounds(100, 500)
    said: Counter[bool] = Counter()
    codes: Counter[str] = Counter()
    seen: Counter[str] = Counter()
    otherwise: Counter[str] = Counter()
    wrong: list[Any] = []
    for seed in range(histories):
        history = History(ledgers, service, make_tenant(database, FOLDS), 20261122 + seed)
        seen += history.told.seen
        for _ in range(each):
            asked = history.question()
            known, at, who, action, point = asked
            expected = history.oracle(known).allows(who, action, point, at)
            decision = history.check(service, *asked)
            said[expected] += 1
            why = decision.explanation()
            codes[why.code] += 1
            otherwise["passed on"] += len(why.chain) > 0
            if decision.allowed != expected:
                wrong.append((seed, expected, asked, why))
            # What a wrong position or a wrong instant would have said: the test can tell them.
            head, far = len(history.log), history.chance.choice(history.moments)
            otherwise["known"] += history.check(service, head, *asked[1:]).allowed != expected
            otherwise["valid"] += history.check(service, known, far, *asked[2:]).allowed != expected
    total = sum(said.values())
    print(f"\nas of = reference: {total} questions, {said[True]} allowed, {len(wrong)} wrong")
    print(f"{dict(codes)}\n{dict(otherwise)}\n{dict(seen)}")
    assert wrong == []
    assert total == histories * each
    assert said[True] > total / 8
    assert otherwise["known"] > total / 20
    assert otherwise["valid"] > total / 20
    assert otherwise["passed on"] > 0
    assert set(seen) > WHAT
    assert min(seen[one] for one in WHAT) >= histories
