"""Three hundred answers that explain themselves, each confirmed by the slow reference."""

from __future__ import annotations

import random
from collections import Counter
from datetime import UTC, datetime, timedelta

import pytest

from tests.support.doors import House
from tests.support.explained import Asked, confirm
from tests.support.mixed import ACTIONS, Mixed

CHECKS = 300
DAYS = (0, 0, 0, 5, 15, 25, 35, 50, 400, -1)


@pytest.fixture(scope="module")
def firm(house: House) -> Mixed:
    return Mixed(house)


@pytest.mark.parametrize("seed", [20261122])
def test_every_explanation_names_what_the_log_says(firm: Mixed, seed: int) -> None:
    chance = random.Random(seed)
    log = firm.log()
    subjects, places = firm.subjects(), list(firm.places())
    said: Counter[str] = Counter()
    grants: set[str] = set()
    for _ in range(CHECKS):
        (kind, subject), place = chance.choice(subjects), chance.choice(places)
        action = chance.choice(ACTIONS[3:] if place.type == "customer" else ACTIONS[:3])
        at = datetime.now(UTC) + timedelta(days=chance.choice(DAYS))
        ref = f"{kind}:{subject}"
        body = {
            "subject": ref,
            "action": action,
            "resource": place.document(),
            "at": at.isoformat(),
        }
        answer = firm.checker.ask("/v1/checks", body)
        assert answer.status_code == 200, answer.text
        told = answer.json()
        parties = log.same(ref) | {ref, *firm.parties(ref)}
        asked = Asked(parties, action, place.type, firm.points(place), at)
        confirm(log, asked, told["decision"], told["explanation"])
        said[told["explanation"]["code"]] += 1
        grants.add(told["explanation"].get("grant", ""))
    print(f"\n{CHECKS} explanations confirmed: {dict(said)}, {len(grants)} grants named")
    assert len(said) >= 6
    assert said["check.allowed"] >= 10
