"""What a party has in the list, what searches find for them, and what checks allow are the same."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from tests.support.doors import House
from tests.support.mixed import ACTIONS, Mixed, Place

pytestmark = pytest.mark.drill

DAYS = (0, 15, 5, 25, 35, 50, 400)
BATCH = 50

Cell = tuple[tuple[str, str], str, Place]


@pytest.fixture(scope="module")
def firm(house: House) -> Mixed:
    return Mixed(house)


def checked(firm: Mixed, cells: list[Cell], context: dict[str, Any]) -> Iterator[Cell]:
    """Yield the cells that checks allow."""
    for start in range(0, len(cells), BATCH):
        page = cells[start : start + BATCH]
        items = [
            {
                "subject": {"type": kind, "id": subject},
                "action": {"name": action},
                "resource": place.document(),
            }
            for (kind, subject), action, place in page
        ]
        body = {"evaluations": items, "context": context}
        answer = firm.checker.ask("/access/v1/evaluations", body)
        assert answer.status_code == 200, answer.text
        for cell, item in zip(page, answer.json()["evaluations"], strict=True):
            if item["decision"]:
                yield cell


def found(firm: Mixed, what: str, body: dict[str, Any]) -> list[dict[str, str]]:
    """Return every result of a search, page by page."""
    results: list[dict[str, str]] = []
    page: dict[str, Any] = {"limit": 7}
    while True:
        answer = firm["searcher"].ask(f"/access/v1/search/{what}", body | {"page": page})
        assert answer.status_code == 200, answer.text
        results += answer.json()["results"]
        token = answer.json()["page"]["next_token"]
        if not token:
            return results
        page = {"token": token}


def by_resources(firm: Mixed, context: dict[str, Any]) -> Iterator[Cell]:
    """Yield the cells that searches of resources find."""
    kinds = {(place.type, place.properties) for place in firm.places()}
    for kind, subject in firm.subjects():
        for action in ACTIONS:
            for resource, properties in kinds:
                body = {
                    "subject": {"type": kind, "id": subject},
                    "action": {"name": action},
                    "resource": {"type": resource, "properties": dict(properties)},
                    "context": context,
                }
                for one in found(firm, "resource", body):
                    yield (kind, subject), action, Place(one["type"], one["id"], properties)


def by_subjects(firm: Mixed, context: dict[str, Any]) -> Iterator[Cell]:
    """Yield the cells that searches of subjects find."""
    for place in firm.places():
        for action in ACTIONS:
            for kind in ("customer", "staff", "team"):
                body = {
                    "subject": {"type": kind},
                    "action": {"name": action},
                    "resource": place.document(),
                    "context": context,
                }
                for one in found(firm, "subject", body):
                    yield (one["type"], one["id"]), action, place


def by_actions(firm: Mixed, context: dict[str, Any]) -> Iterator[Cell]:
    """Yield the cells that searches of actions find."""
    for kind, subject in firm.subjects():
        for place in firm.places():
            body = {
                "subject": {"type": kind, "id": subject},
                "resource": place.document(),
                "context": context,
            }
            for one in found(firm, "action", body):
                yield (kind, subject), one["name"], place


def listed(firm: Mixed) -> dict[str, set[str]]:
    """Return the grants of every grantee, by the list."""
    grants: dict[str, set[str]] = defaultdict(set)
    after = ""
    while True:
        page = firm["admin"].get(f"/v1/grants?limit=5{after}").json()
        for one in page["items"]:
            grants[one["grantee"]].add(one["grant_id"])
        if page["next_cursor"] is None:
            return grants
        after = f"&cursor={page['next_cursor']}"


def test_searches_contain_exactly_what_checks_allow_and_the_log_says(
    firm: Mixed, rounds: Callable[[int, int], int]
) -> None:
    firm.service("searcher", "search")
    log = firm.log()
    cells = [
        (subject, action, place)
        for subject in firm.subjects()
        for action in ACTIONS
        for place in firm.places()
    ]
    total, allowed, wrong = 0, 0, 0
    for days in DAYS[: rounds(2, len(DAYS))]:
        at = datetime.now(UTC) + timedelta(days=days)
        context = {"at": at.isoformat()}
        checks = set(checked(firm, cells, context))
        told = {
            ((kind, subject), action, place)
            for (kind, subject), action, place in cells
            if any(
                log.allows(f"{kind}:{subject}", action, point, at) for point in firm.points(place)
            )
        }
        known = set(cells)
        searches = [
            set(search(firm, context)) & known for search in (by_resources, by_subjects, by_actions)
        ]
        total += len(cells)
        allowed += len(checks)
        wrong += sum(len(one ^ checks) for one in (told, *searches))
        assert checks == told, (days, checks ^ told)
        for one in searches:
            assert one == checks, (days, one ^ checks)
    print(f"\nlist = search = check: {total} cells, {allowed} allowed, {wrong} wrong")


def test_whatever_is_allowed_rests_on_a_grant_of_the_list(firm: Mixed) -> None:
    grants = listed(firm)
    cells = [
        (subject, action, place)
        for subject in firm.subjects()
        for action in ACTIONS
        for place in firm.places()
    ]
    seen: set[str] = set()
    for (kind, subject), action, place in checked(firm, cells, {}):
        ref = f"{kind}:{subject}"
        body = {"subject": ref, "action": action, "resource": place.document()}
        answer = firm.checker.ask("/v1/checks", body).json()
        assert answer["decision"], body
        named = answer["explanation"]["grant"]
        assert any(named in grants[party] for party in firm.parties(ref)), answer
        seen.add(named)
    assert len(seen) >= 8
