"""Cursors hold no secret, so anybody can make one up: it is refused as malformed, never a fault."""

import json
from typing import Any
from urllib.parse import urlencode

import msgspec
import pytest

from api import cursors
from api.routes.authzen_search import ActionSearch, ResourceSearch, SubjectSearch
from api.routes.compliance import LISTS as COMPLIANCE
from api.routes.lists import LISTS, Listing
from api.routes.work import WORK
from tests.support.doors import House
from tests.support.trade import Trade, evaluation

MADE_UP: dict[type, tuple[Any, ...]] = {
    str: ("\x00", "x", "9999-12-31T23:59:59-23:59"),
    int: (2**62, -1, 2**64 - 1),
}


@pytest.fixture(scope="module")
def firm(house: House) -> Trade:
    """A firm with no more than its people."""
    made = Trade(house)
    house.follow()
    return made


@pytest.mark.parametrize("suffix", ["", ".csv"])
@pytest.mark.parametrize("listing", [*LISTS, *COMPLIANCE, WORK], ids=lambda one: one.name)
def test_a_made_up_cursor_is_malformed_or_leads_nowhere(
    firm: Trade, listing: Listing, suffix: str
) -> None:
    operation = listing.name + ("_csv" if suffix else "")
    codes: set[str] = set()
    for number in range(3):
        key = [MADE_UP[kind][number] for kind in listing.key]
        cursor = cursors.encode(operation, listing.question().filters(), key)
        answer = firm["root"].get(f"{listing.path}{suffix}?{urlencode({'cursor': cursor})}")
        assert answer.status_code in (200, 400), answer.text
        if answer.status_code == 400:
            codes.add(answer.json()["code"])
    assert codes <= {"cursor.malformed"}


SOUGHT: dict[str, type[msgspec.Struct]] = {
    "subject": SubjectSearch,
    "resource": ResourceSearch,
    "action": ActionSearch,
}


OURS = [10, ""]
"""A place that a token of ours may hold."""


@pytest.mark.parametrize("place", [[-1, ""], [-(2**63), ""], [2**64 - 1, ""], [10, "\x00"]])
@pytest.mark.parametrize("sought", SOUGHT)
def test_a_made_up_token_of_a_search_is_malformed(
    firm: Trade, sought: str, place: list[Any]
) -> None:
    seeker = firm.callers.get("seeker") or firm.service("seeker", "search")
    body = evaluation("01900000-0000-7000-8000-000000000000")
    query = json.dumps(
        msgspec.to_builtins(msgspec.convert(body, SOUGHT[sought])) | {"page": None}, sort_keys=True
    )
    answers = [
        seeker.ask(f"/access/v1/search/{sought}", body | {"page": {"token": token}})
        for token in (
            cursors.encode(f"access.search_{sought}", query, one) for one in (OURS, place)
        )
    ]
    assert [one.status_code for one in answers] == [200, 400]
    assert answers[1].json()["code"] == "cursor.malformed"
