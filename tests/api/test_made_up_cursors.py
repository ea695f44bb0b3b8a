"""Cursors hold no secret, so anybody can make one up: it is refused as malformed, never a fault."""

from typing import Any
from urllib.parse import urlencode

import pytest

from api import cursors
from api.routes.compliance import LISTS as COMPLIANCE
from api.routes.lists import LISTS, Listing
from api.routes.work import WORK
from tests.support.doors import House
from tests.support.trade import Trade

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
