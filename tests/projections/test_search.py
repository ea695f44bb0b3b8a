"""Searches find exactly what checks allow, page after page."""

from __future__ import annotations

import random
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import psycopg
import pytest

from domain.errors import Refused
from domain.ledger import Ledgers
from projections import search
from projections.check_rows import check_once
from projections.checks import Question
from projections.search import Found
from tests.projections import facts
from tests.projections.facts import day
from tests.projections.histories import TEAMS, TERRITORIES
from tests.projections.oracle import read
from tests.projections.test_inline import around, tell
from tests.support.ledger import new_id

Conn = psycopg.Connection[Any]
Search = Callable[..., Found]


def question(tenant: str, **more: Any) -> Question:
    """May somebody sell somewhere at noon of day 10?"""
    given: dict[str, Any] = {
        "tenant": tenant,
        "subject": "nobody",
        "action": "sell",
        "resource_type": "territory",
        "resource_id": "nowhere",
        "at": day(10.5),
    }
    return Question(**(given | more))


def walked(ask: Search, *given: Any, limit: int) -> list[str]:
    """All results, page by page; at most `limit` a page, and each page leads on."""
    found: list[str] = []
    after, pages = "", 0
    while True:
        page = ask(*given, after=after, limit=limit, now=datetime.now(UTC))
        assert len(page.results) <= limit
        found += page.results
        if page.last is None:
            return found
        assert page.last > after
        after, pages = page.last, pages + 1
        assert pages < 1_000


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_searches_hold_exactly_what_checks_allow(
    ledgers: Ledgers, tenant: str, service: Conn, seed: int
) -> None:
    world = tell(ledgers, tenant, seed, 60)
    log = read(service, tenant)
    catalogued = max(fact.position for fact in log if fact.happened == "point_added")
    chosen = random.Random(seed)
    people = {"customer": sorted(world.customers), "staff": sorted(world.staff), "team": TEAMS}
    parties = [f"{kind}:{one}" for kind, ids in people.items() for one in ids]
    actions = ["sell", "show"]
    sizes: set[int] = set()
    for _ in range(4):
        given: dict[str, Any] = {
            "at": chosen.choice(around(world.moments)),
            "as_of": chosen.choice([None, chosen.randint(catalogued, len(log))]),
            "properties": chosen.choice([{}, {"product": "tea/green"}]),
        }

        def allows(party: str, action: str, path: str, **given: Any) -> bool:
            asked = question(tenant, subject=party, action=action, resource_id=path, **given)
            return check_once(service, asked, datetime.now(UTC)).allowed

        allowed = {
            (party, action, path)
            for party in parties
            for action in actions
            for path in TERRITORIES
            if allows(party, action, path, **given)
        }
        limit = chosen.choice([1, 2, 3, 100])
        for action in actions:
            for path in TERRITORIES:
                asked = question(tenant, action=action, resource_id=path, **given)
                for kind, ids in people.items():
                    expected = [one for one in ids if (f"{kind}:{one}", action, path) in allowed]
                    assert walked(search.subjects, service, asked, kind, limit=limit) == expected
                    sizes.add(len(expected))
        for party in chosen.sample(parties, 8):
            for action in actions:
                asked = question(tenant, subject=party, action=action, **given)
                expected = [one for one in TERRITORIES if (party, action, one) in allowed]
                assert walked(search.resources, service, asked, limit=limit) == expected
            for path in TERRITORIES:
                asked = question(tenant, subject=party, resource_id=path, **given)
                expected = [one for one in actions if (party, one, path) in allowed]
                assert walked(search.actions, service, asked, limit=limit) == expected
    assert {0, 1} <= sizes


@pytest.fixture
def place(ledgers: Ledgers, tenant: str) -> Callable[..., None]:
    """Adds points of the catalogue, each in the territory."""

    def add(*paths: str) -> None:
        made = [facts.dimension("territory"), *(facts.point("territory", one) for one in paths)]
        facts.put(ledgers, tenant, "catalogue", tenant, *made)

    return add


def test_a_pattern_covers_its_path_and_what_lies_below_and_nothing_that_only_begins_so(
    ledgers: Ledgers, tenant: str, service: Conn, place: Callable[..., None]
) -> None:
    inside = ["CN", "CN/31", "CN/31/0115", "CN/é", "茶", "茶/绿茶", "茶/绿茶/龙井"]
    place(*inside, "CN!", "CN-1", "CN.", "CN0", "CNA", "C", "茶叶", "茶-", "\U0001f375")
    policy, ann = facts.policy(ledgers, tenant), facts.customer(ledgers, tenant)
    facts.grant(ledgers, tenant, ann, policy, {"territory": ("CN", "CN/31", "茶")})
    asked = question(tenant, subject=ann)
    for limit in (1, 2, 100):
        assert walked(search.resources, service, asked, limit=limit) == sorted(inside)
    facts.grant(ledgers, tenant, ann, policy, {"territory": ("*",)})
    everywhere = walked(search.resources, service, asked, limit=3)
    assert len(everywhere) == len(inside) + 9
    assert everywhere == sorted(everywhere)


def test_resources_are_those_known_at_the_position(
    ledgers: Ledgers, tenant: str, service: Conn, place: Callable[..., None]
) -> None:
    policy, ann = facts.policy(ledgers, tenant), facts.customer(ledgers, tenant)
    facts.grant(ledgers, tenant, ann, policy, {"territory": ("*",)})
    place("CN")
    before = len(read(service, tenant))
    facts.put(ledgers, tenant, "catalogue", tenant, facts.point("territory", "CN/31"))
    asked = question(tenant, subject=ann)
    assert walked(search.resources, service, asked, limit=9) == ["CN", "CN/31"]
    then = question(tenant, subject=ann, as_of=before)
    assert walked(search.resources, service, then, limit=9) == ["CN"]


def test_other_kinds_of_subjects_and_types_of_resources_find_nothing(
    ledgers: Ledgers, tenant: str, service: Conn
) -> None:
    policy, ann = facts.policy(ledgers, tenant), facts.customer(ledgers, tenant)
    facts.grant(ledgers, tenant, ann, policy, {"territory": ("*",)})
    for kind in ("robot", "service", "customers"):
        assert walked(search.subjects, service, question(tenant), kind, limit=9) == []
    for more in ({"resource_type": "planet"}, {"action": "fly"}, {"subject": "robot:r2"}):
        asked = question(tenant, **({"subject": ann} | more))
        assert walked(search.resources, service, asked, limit=9) == []


@pytest.mark.parametrize("bound", [1, 3, 7])
def test_a_page_ends_at_its_bound_of_work_and_leads_on_until_all_is_found(
    ledgers: Ledgers,
    tenant: str,
    service: Conn,
    place: Callable[..., None],
    monkeypatch: pytest.MonkeyPatch,
    bound: int,
) -> None:
    policy = facts.policy(ledgers, tenant)
    everyone = sorted(facts.customer(ledgers, tenant) for _ in range(12))
    for n, ref in enumerate(everyone):
        where = "CN/31" if n in (8, 11) else "CN/44"
        facts.grant(ledgers, tenant, ref, policy, {"territory": (where,), "product": ("*",)})
    paths = [f"CN/{n:02}" for n in range(20)]
    place(*paths)
    monkeypatch.setattr(search, "MAX_SUBJECTS", bound)
    monkeypatch.setattr(search, "MAX_POINTS", bound)
    asked = question(tenant, resource_id="CN/31", properties={"product": "tea"})
    first = search.subjects(service, asked, "customer", after="", limit=5, now=day(10))
    assert (first.results, first.last is None) == ([], False)
    found = walked(search.subjects, service, asked, "customer", limit=5)
    assert found == [everyone[n].partition(":")[2] for n in (8, 11)]
    facts.grant(ledgers, tenant, everyone[0], policy, {"territory": ("CN",)})
    asked = question(tenant, subject=everyone[0])
    assert walked(search.resources, service, asked, limit=5) == paths


def test_a_page_is_read_in_one_snapshot(
    ledgers: Ledgers, tenant: str, service: Conn, monkeypatch: pytest.MonkeyPatch
) -> None:
    policy, ann = facts.policy(ledgers, tenant), facts.customer(ledgers, tenant)
    grant = facts.grant(ledgers, tenant, ann, policy, {"territory": ("CN",)})
    head = len(read(service, tenant))
    load = search._load  # pyright: ignore[reportPrivateUsage]

    def late(*given: Any) -> Any:
        facts.put(ledgers, tenant, "grant", grant, facts.revoked(1))
        monkeypatch.setattr(search, "_load", load)
        return load(*given)

    monkeypatch.setattr(search, "_load", late)
    asked = question(tenant, resource_id="CN")

    def found() -> Found:
        return search.subjects(service, asked, "customer", after="", limit=9, now=day(10))

    assert found() == Found([ann.partition(":")[2]], None, head)
    assert found() == Found([], None, head + 1)


def test_what_cannot_be_searched_is_refused(ledgers: Ledgers, tenant: str, service: Conn) -> None:
    facts.customer(ledgers, tenant)

    def refused(ask: Search, *more: Any, **changed: Any) -> str:
        asked = question(**({"tenant": tenant} | changed))
        with pytest.raises(Refused) as refusal:
            ask(service, asked, *more, after="", limit=9, now=day(10))
        return refusal.value.code

    assert refused(search.subjects, "customer", as_of=10**6) == "position.not_reached"
    assert refused(search.actions, tenant=new_id()) == "tenant.unknown"
    for wrong in ("CN/*", "CN//31", "", "e\u0301"):
        assert refused(search.subjects, "customer", resource_id=wrong) == "check.bad_id"
        assert refused(search.actions, resource_id=wrong) == "check.bad_id"
        assert refused(search.resources, subject=f"customer:{wrong}/") == "check.bad_id"
    assert refused(search.resources, resource_type="a/b") == "check.bad_id"


def test_no_result_is_wanted_and_the_page_still_says_whether_there_are_any(
    ledgers: Ledgers, tenant: str, service: Conn
) -> None:
    policy, ann = facts.policy(ledgers, tenant), facts.customer(ledgers, tenant)
    asked = question(tenant, subject=ann, resource_id="CN")
    assert search.actions(service, asked, after="", limit=0, now=day(10))[:2] == ([], None)
    facts.grant(ledgers, tenant, ann, policy, {"territory": ("CN",)})
    assert search.actions(service, asked, after="", limit=0, now=day(10))[:2] == ([], "")
