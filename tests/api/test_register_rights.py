"""Rights that a register gives against those that are there: the same twice, exclusive kinds."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from api.importing.register_against import Against
from api.importing.register_faults import CellFault
from domain.events.grant import GrantRequested
from tests.support.importing import Bench
from tests.support.register_faults import in_the_ledger
from tests.support.register_files import Made, write_csv
from tests.support.register_ground import lay, register, today

Told = list[tuple[str, str]]
Give = Callable[..., Told]


@pytest.fixture
def give(bench: Bench, tmp_path: Path) -> Give:
    """Imports rows as a register; returns each problem's cell and code."""

    def given(*rows: Made, said: list[str] | None = None, **wanted: Any) -> Told:
        path = tmp_path / "register.csv"
        write_csv(path, rows)
        faults: list[CellFault] = []
        register(bench, path, on_fault=faults.append, **wanted)
        if said is not None:
            said += [fault.why("en") for fault in faults]
        return [(fault.cell, fault.code) for fault in faults]

    return given


def row(customer: int, **cells: Any) -> Made:
    """A sound row of a customer of its own."""
    made = in_the_ledger(1, customer, today())["right"][0]
    return made | {"name": f"茶庄{customer}", "number": ""} | cells


def test_a_customer_may_have_what_does_not_overlap(bench: Bench, give: Give) -> None:
    lay(bench)
    first = row(1)
    other = first | {"product": "普洱"}
    after = first | {
        "from": first["until"] + timedelta(days=1),
        "until": first["until"] + timedelta(days=9),
    }
    last_day = first | {"from": first["until"], "until": first["until"] + timedelta(days=9)}
    below = first | {"territory": "CN/44/01", "product": "茶叶"}
    assert give(first, other, after, last_day, below) == [
        ("D5", "register.same_twice"),
        ("D6", "register.point_unknown"),
    ]
    assert give(last_day, row(2)) == [("D2", "register.same_in_ledger")]
    assert give(last_day, first) == [("D2", "register.same_twice")]  # what is there goes before


def test_what_begins_wider_or_narrower_overlaps_all_the_same(bench: Bench, give: Give) -> None:
    lay(bench)
    first = row(1, territory="上海市", product="绿茶")
    wider = first | {"territory": "*", "product": "茶叶"}
    narrower = first | {"territory": "浦东新区", "product": "tea/green/longjing"}
    beside = first | {"territory": "浙江省；浦东新区", "product": "茶具;绿茶"}
    assert give(first, wider, narrower, beside) == [
        (f"D{number}", "register.same_twice") for number in (3, 4, 5)
    ]


def test_of_an_exclusive_kind_a_place_is_one_customers(bench: Bench, give: Give) -> None:
    lay(bench, exclusive=True)
    first = row(1, territory="CN/31")
    assert give(
        first,
        row(2, territory="浦东新区", product="茶叶"),
        row(3, territory="CN/32"),
        first | {"product": "龙井;红茶"},
    ) == [("D3", "register.exclusive_twice"), ("D5", "register.same_twice")]
    told = give(row(4, territory="CN/31;CN/34"), row(5, territory="CN/33"), first)
    assert told == [("D2", "register.exclusive_twice")]
    assert give(row(4, territory="全国")) == [("D2", "register.exclusive_in_ledger")]


def test_a_place_taken_after_it_was_looked_at_is_refused_by_the_ledger(
    bench: Bench, give: Give, monkeypatch: pytest.MonkeyPatch
) -> None:
    lay(bench, exclusive=True)
    assert give(row(1, territory="CN/31")) == []
    monkeypatch.setattr(Against, "_exclusive", lambda *_: None)
    said: list[str] = []
    told = give(row(2, territory="CN/31"), row(3), said=said)
    assert told == [("D2", "grant.exclusive_overlap")]
    first = bench.of_type(GrantRequested)[0]
    assert first.number in said[0]
    assert len(list(bench.facts("grant.requested"))) == 2


def test_all_or_nothing_writes_nothing_where_one_row_has_a_problem(
    bench: Bench, give: Give
) -> None:
    lay(bench)
    before = len(bench.log())
    rows = (row(1), row(2, phone="12"))
    assert give(*rows, all_or_nothing=True) == [("K3", "register.phone_malformed")]
    assert len(bench.log()) == before
    assert give(rows[0], all_or_nothing=True) == []
    assert len(bench.log()) == before + 6


def test_a_row_that_says_something_else_than_it_did_is_refused(bench: Bench, give: Give) -> None:
    lay(bench)
    numbered = row(1, number="A-1")
    assert give(numbered) == []
    longer = numbered | {"until": numbered["until"] + timedelta(days=1)}
    assert give(longer) == [("2", "register.row_changed")]
    assert give(longer, numbered) == [
        ("D2", "register.same_twice"),
        ("I2", "register.number_twice"),
    ]
    assert give(row(2, number="a-1")) == [("I2", "register.number_taken")]
    assert give(numbered | {"remarks": "anything"}) == []
