"""A register: sound rows become customers and rights in force."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from tests.support.importing import Bench
from tests.support.register_files import EN, ZH, Made, Register, made_rows, write_csv, write_xlsx
from tests.support.register_ground import (
    CHANNELS,
    PRODUCTS,
    TERRITORIES,
    ZONE,
    Asking,
    lay,
    paths,
    register,
    today,
)


@pytest.fixture
def ground(bench: Bench) -> Bench:
    """A tenant with catalogue and policy."""
    lay(bench)
    return bench


@pytest.fixture
def asking(ground: Bench) -> Iterator[Asking]:
    """Access checks on that tenant."""
    made = Asking(ground)
    yield made
    made.close()


def rows(count: int, seed: int = 1) -> list[Made]:
    """Sound rows on the tenant's points."""
    return made_rows(
        count, seed, today(), territories=TERRITORIES, products=PRODUCTS, channels=CHANNELS
    )


@pytest.mark.parametrize("form", ["utf-8", "utf-8-sig", "gb18030", "xlsx"])
def test_sound_rows_are_in_force_from_their_first_day_to_their_last(
    ground: Bench, asking: Asking, tmp_path: Path, form: str
) -> None:
    made, path = rows(60), tmp_path / "register"
    if form == "xlsx":
        write_xlsx(path, Register(made), headings=EN)
    else:
        write_csv(path, made, headings=ZH, encoding=form)
    report = register(ground, path)
    assert (report.rows.total, report.rows.written, report.problems) == (60, 60, 0)
    assert report.active + report.scheduled == 60
    assert report.scheduled == sum(one["from"] > today() for one in made) > 0
    for one in made:
        customer = asking.customer(one)
        assert customer is not None
        first, last = (
            datetime.combine(one[name], datetime.min.time(), ZONE) for name in ("from", "until")
        )
        split = re.compile(r"[;；、\n]").split
        for territory in paths("territory", one["territory"], split):
            [product] = paths("product", one["product"], split)
            [channel] = paths("channel", one["channel"], split)
            scope = (territory, product, channel)
            begun = one["from"] <= today()
            assert asking.may(customer, *scope) == begun
            assert asking.may(customer, *scope, action="promote") == begun
            assert asking.may(customer, *scope, at=first)
            assert asking.may(customer, *scope, at=last + timedelta(hours=23, minutes=59))
            assert not asking.may(customer, *scope, at=last + timedelta(days=1))
            assert not asking.may(customer, *scope, at=first - timedelta(seconds=1))
