"""A register with faults: each is named at its cell, and every other row goes in."""

from __future__ import annotations

import random
import re
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from api.importing.register_faults import CellFault
from tests.support.importing import Bench
from tests.support.register_faults import ANYWHERE, PERSONS, in_the_ledger, plant
from tests.support.register_files import Made, Register, made_rows, write_xlsx
from tests.support.register_ground import (
    CHANNELS,
    PRODUCTS,
    TERRITORIES,
    Asking,
    block,
    lay,
    paths,
    register,
    today,
)

FAULTS = 200


def faulty(bench: Bench, folder: Path, count: int, seed: int) -> tuple[Path, Register]:
    """Lay the ground, and write a register with faults of every kind; return it and its path."""
    lay(bench)
    ledger = in_the_ledger(FAULTS // len(ANYWHERE) + 1, seed + 1, today())
    earlier = folder / "earlier.xlsx"
    write_xlsx(earlier, Register([made for some in ledger.values() for made in some]))
    assert register(bench, earlier).problems == 0
    block(bench, ledger["blocked"])
    rows = made_rows(
        count, seed, today(), territories=TERRITORIES, products=PRODUCTS, channels=CHANNELS
    )
    made = Register(rows)
    kinds = plant(made, FAULTS, seed, ledger)
    assert kinds == ANYWHERE.keys() | PERSONS.keys()
    assert len({one.code for one in made.planted}) > 30
    path = folder / "register.xlsx"
    write_xlsx(path, made)
    return path, made


def in_force(asking: Asking, made: Made) -> bool:
    """Whether a row's customer may do now all that the row says."""
    split = re.compile(r"[;；、\n]").split
    [product] = paths("product", made["product"], split)
    [channel] = paths("channel", made["channel"], split)
    customer = asking.customer(made)
    return customer is not None and all(
        asking.may(customer, territory, product, channel)
        for territory in paths("territory", made["territory"], split)
    )


@pytest.mark.drill
@pytest.mark.timeout(300)
def test_two_hundred_faults_in_five_thousand_rows_are_each_named_at_their_cell(
    bench: Bench, tmp_path: Path, rounds: Callable[[int, int], int]
) -> None:
    seed = rounds(1, random.SystemRandom().randrange(2**32))
    count = rounds(2_000, 5_000)
    path, made = faulty(bench, tmp_path, count, seed)
    before, told = len(bench.log()), list[CellFault]()
    began = time.monotonic()
    report = register(bench, path, on_fault=told.append)
    took = time.monotonic() - began
    found, expected = ({(one.cell, one.code) for one in some} for some in (told, made.planted))
    assert (found - expected, expected - found) == (set(), set()), f"seed {seed}"
    assert len(told) == len(made.planted) == FAULTS
    assert (report.rows.written, report.rows.refused) == (count - FAULTS, FAULTS)
    log = bench.log()
    assert len(log) == before + report.events
    asking = Asking(bench)
    try:
        good = [one for _, one in made.good()]
        sample = random.Random(seed).sample(good, rounds(60, 1_000))
        assert [in_force(asking, one) for one in sample] == [
            one["from"] <= today() for one in sample
        ]
        bad = [made.rows[row - 2] for row in sorted(made.bad)]
        assert not any(in_force(asking, one) for one in bad if asking.customer(one) is None)
    finally:
        asking.close()
    again = register(bench, path)
    assert (again.rows.present, again.rows.written, again.events) == (count - FAULTS, 0, 0)
    assert again.faults == report.faults
    assert len(bench.log()) == len(log)
    print(
        f"\n{count} rows, {FAULTS} faults of {len(report.faults)} codes, each at its cell,"
        f" {report.events} events in {took:.1f} s, seed {seed}"
    )
