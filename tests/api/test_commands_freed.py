"""What a command looked at is freed with its answer, with no help of the collector."""

from __future__ import annotations

import gc
from collections.abc import Iterator

import pytest

from domain.errors import Refused
from domain.flight import Flight
from domain.view import View
from tests.support.doors import House
from tests.support.trade import Trade

COMMANDS = 20


@pytest.fixture
def nothing_collected() -> Iterator[None]:
    """Cycles stay where they are."""
    gc.collect()
    gc.disable()
    yield
    gc.enable()


def kept() -> dict[str, int]:
    """How many refusals and views are there, and batches."""
    known = gc.get_objects()
    return {one.__name__: sum(type(it) is one for it in known) for one in (Refused, View, Flight)}


@pytest.mark.usefixtures("nothing_collected")
def test_refused_commands_leave_nothing_behind(house: House) -> None:
    trade = Trade(house)
    names = {"zh": "维度", "en": "Dimension"}

    def refuse() -> None:
        answer = trade["requester"].post(
            "/v1/catalogue/dimensions", {"dimension": "d", "names": names}
        )
        assert answer.json()["code"] == "role.missing"

    refuse()
    before = kept()
    for _ in range(COMMANDS):
        refuse()
    after = kept()
    grown = {name: after[name] - before[name] for name in after}
    assert max(grown.values()) <= 2, grown  # the last one may still be on its way out


@pytest.mark.usefixtures("nothing_collected")
def test_written_commands_leave_nothing_behind(house: House) -> None:
    trade = Trade(house)
    trade.catalogue()

    def write(place: int) -> None:
        names = {"zh": "点", "en": "Point"}
        trade["admin"].done(
            "/v1/catalogue/points",
            {"dimension": "territory", "path": f"CN/{40 + place}", "names": names},
        )

    write(0)
    before = kept()
    for place in range(1, COMMANDS + 1):
        write(place)
    after = kept()
    grown = {name: after[name] - before[name] for name in after}
    assert max(grown.values()) <= 2, grown
