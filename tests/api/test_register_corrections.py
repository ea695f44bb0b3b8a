"""A register beside corrections: whose code or number was replaced gets no right of another."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest

from api.importing.register_faults import Problem
from domain.commands.customer_records import DecideCorrection, ProposeCorrection
from domain.commands.customers import RegisterCustomer
from domain.events.grant import GrantRequested
from domain.sealing import Sealed
from tests.support.importing import Bench
from tests.support.ledger import OPERATOR, new_id, say
from tests.support.register_files import Made, made_rows, write_csv
from tests.support.register_ground import (
    CHANNELS,
    PRODUCTS,
    TERRITORIES,
    appointed,
    lay,
    register,
    today,
)


@pytest.fixture
def ground(bench: Bench) -> Bench:
    """A tenant with catalogue and policy."""
    lay(bench)
    return bench


def a_row(column: str) -> Made:
    """A sound row of an organization (`uscc`) or of a person (`identity`)."""
    found = made_rows(30, 5, today(), territories=TERRITORIES, products=PRODUCTS, channels=CHANNELS)
    return next(one for one in found if one[column]) | {"number": "", "from": today()}


def claim(bench: Bench, column: str, value: str) -> bytes:
    kind = {"uscc": "uscc", "identity": "identity_number"}[column]
    return bench.keys.keyed_hash(bench.tenant, kind, value)


def corrected(bench: Bench, column: str, made: Made) -> str:
    """Another code or number takes the place of a row's; return its customer."""
    kind = {"uscc": "uscc", "identity": "identity_number"}[column]
    customer = bench.ledgers.claim(bench.tenant, kind, claim(bench, column, made[column]))
    assert customer is not None
    root = appointed(bench, "administrator", OPERATOR)
    correction, other = new_id(), claim(bench, column, new_id())
    fields: dict[str, object] = {"uscc": new_id(), "uscc_claim": other}
    if column == "identity":
        fields = {"identity_number": Sealed(customer, "k", b"box"), "identity_claim": other}
    propose = ProposeCorrection(customer=customer, correction=correction, **fields)  # pyright: ignore[reportArgumentType]
    say(bench.ledgers, bench.tenant, propose, appointed(bench, "requester", root))
    accept = DecideCorrection(
        customer=customer,
        correction=correction,
        accept=True,
        uscc_claim=other,
        identity_claim=other,
    )
    say(bench.ledgers, bench.tenant, accept, appointed(bench, "verifier", root))
    return customer


@pytest.mark.parametrize("earlier", [0, 9], ids=["same first day", "earlier first day"])
@pytest.mark.parametrize("column", ["uscc", "identity"])
def test_a_row_with_what_a_correction_replaced_is_refused_at_its_cell(
    ground: Bench, tmp_path: Path, column: str, earlier: int
) -> None:
    first, path = a_row(column), tmp_path / "register"
    write_csv(path, [first])
    assert register(ground, path).problems == 0
    corrected(ground, column, first)
    before = len(ground.of_type(GrantRequested))
    owner = first | {
        "name": "另一家" if column == "uscc" else "李四",
        "product": "tea/black" if first["product"] != "红茶" else "茶具",
        "from": first["from"] - timedelta(days=earlier),
    }
    write_csv(path, [owner])
    for dry_run in (True, False):
        told: list[Problem] = []
        report = register(ground, path, dry_run=dry_run, on_fault=told.append)
        assert [one.code for one in told] == ["register.number_of_another"]
        assert (report.rows.written, report.rows.refused) == (0, 1)
    assert len(ground.of_type(GrantRequested)) == before


def test_once_the_other_is_registered_it_is_the_one_meant(ground: Bench, tmp_path: Path) -> None:
    first, path = a_row("uscc"), tmp_path / "register"
    write_csv(path, [first])
    register(ground, path)
    corrected(ground, "uscc", first)
    root = appointed(ground, "administrator", OPERATOR)
    command = RegisterCustomer(
        customer=new_id(),
        number="T-1",
        number_claim=ground.keys.keyed_hash(ground.tenant, "customer_number", "T-1"),
        form="organization",
        title="另一家",
        uscc=first["uscc"],
        uscc_claim=claim(ground, "uscc", first["uscc"]),
    )
    say(ground.ledgers, ground.tenant, command, appointed(ground, "requester", root))
    write_csv(path, [first | {"name": "另一家", "product": "tea/puer"}])
    told: list[Problem] = []
    register(ground, path, on_fault=told.append)
    assert [one.code for one in told] == ["register.customer_registered"]
