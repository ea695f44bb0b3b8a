"""Registers made here: names, codes that check, rows, and faults planted where the test says."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, timedelta
from pathlib import Path
from typing import Any, Final

import xlsxwriter
from stdnum.cn import ric, uscc

ZH: Final = (
    "客户名称", "统一社会信用代码", "身份证号", "区域", "产品", "渠道", "生效日期", "截止日期",
    "授权编号", "联系人", "联系电话", "备注",
)  # fmt: skip
EN: Final = (
    "Customer name", "Unified social credit code", "Identity card number", "Territory", "Product",
    "Channel", "From", "Until", "Number", "Contact", "Phone", "Remarks",
)  # fmt: skip
FIELDS: Final = (
    "name", "uscc", "identity", "territory", "product", "channel", "from", "until", "number",
    "contact", "phone", "remarks",
)  # fmt: skip

Made = dict[str, Any]
"""Field -> cell."""


@dataclass(frozen=True)
class Planted:
    """A fault that the import has to name: at which cell, by which code."""

    cell: str
    code: str


@dataclass
class Register:
    """Rows as they stand below the heading, row 2 the first; what is wrong with some of them."""

    rows: list[Made]
    planted: list[Planted] = field(default_factory=list)
    formulas: dict[tuple[int, str], str] = field(default_factory=dict)

    @property
    def bad(self) -> set[int]:
        """The rows that have a fault."""
        return {int("".join(filter(str.isdigit, one.cell))) for one in self.planted}

    def good(self) -> Iterator[tuple[int, Made]]:
        """Yield the rows that have none, with their numbers."""
        bad = self.bad
        for row, made in enumerate(self.rows, 2):
            if row not in bad:
                yield row, made


def letter(name: str) -> str:
    """Return the letter of a field's column."""
    return chr(ord("A") + FIELDS.index(name))


def credit_code(drawn: random.Random) -> str:
    """Return a unified social credit code whose check character fits."""
    body = "91" + str(drawn.choice((110000, 310000, 330100, 440300)))
    body += "".join(drawn.choice("0123456789ABCDEFGHJKLMNPQRTUWXY") for _ in range(9))
    return body + uscc.calc_check_digit(body)


def card_number(drawn: random.Random) -> str:
    """Return an identity card number whose check character fits."""
    born = date(1955, 1, 1) + timedelta(days=drawn.randrange(16_000))
    body = f"310101{born:%Y%m%d}{drawn.randrange(1000):03}"
    return body + ric.calc_check_digit(body + "0")


def made_rows(
    count: int,
    seed: int,
    today: date,
    *,
    territories: Sequence[str],
    products: Sequence[str],
    channels: Sequence[str],
) -> list[Made]:
    """Return sound rows: no customer has the same product twice, every seventh is a person."""
    drawn = random.Random(seed)
    rows: list[Made] = []
    customer = 0
    while len(rows) < count:
        customer += 1
        person = customer % 7 == 0
        who = {
            "name": f"王{customer}" if person else f"示例茶业{customer:05}有限公司",
            "uscc": "" if person else credit_code(drawn),
            "identity": card_number(drawn) if person else "",
            "contact": f"联系人{customer}" if customer % 3 else "",
            "phone": f"138{drawn.randrange(10**8):08}" if customer % 2 else "",
        }
        for product in drawn.sample(list(products), k=min(len(products), drawn.randrange(1, 4))):
            later = drawn.random() < 0.1
            from_ = today + timedelta(days=drawn.randrange(1, 60) * (1 if later else -1))
            rows.append(
                who
                | {
                    "territory": drawn.choice(territories),
                    "product": product,
                    "channel": drawn.choice((*channels, "*")),
                    "from": from_,
                    "until": from_ + timedelta(days=drawn.randrange(100, 300)),
                    "number": f"SQ-{len(rows):06}" if drawn.random() < 0.5 else "",
                    "remarks": drawn.choice(("", "老客户")),
                }
            )
    return rows[:count]


def as_text(value: object) -> str:
    """Return a cell as it stands in separated text."""
    return value.isoformat() if isinstance(value, date) else str(value)


def write_csv(
    path: Path,
    rows: Sequence[Mapping[str, Any]],
    *,
    headings: Sequence[str] = ZH,
    encoding: str = "utf-8",
) -> None:
    """Write rows as separated text, every cell in quotes."""
    with path.open("w", encoding=encoding, newline="") as file:
        file.write(",".join(headings) + "\r\n")
        for made in rows:
            cells = (as_text(made.get(name, "")).replace('"', '""') for name in FIELDS)
            file.write(",".join(f'"{cell}"' for cell in cells) + "\r\n")


def write_xlsx(
    path: Path,
    register: Register,
    *,
    headings: Sequence[str] = ZH,
    adorn: Callable[[Any, Any], None] | None = None,
) -> None:
    """Write a register as a workbook; days are days, all else is text."""
    book = xlsxwriter.Workbook(str(path), {"constant_memory": adorn is None})
    sheet: Any = book.add_worksheet()
    day = book.add_format({"num_format": "yyyy-mm-dd"})
    for place, text in enumerate(headings):
        sheet.write_string(0, place, text)
    for row, made in enumerate(register.rows, 1):
        for place, name in enumerate(FIELDS):
            cell = made.get(name, "")
            formula = register.formulas.get((row + 1, name))
            if formula is not None:
                sheet.write_formula(row, place, formula, None, as_text(cell))
            elif isinstance(cell, date):
                sheet.write_datetime(row, place, cell, day)
            elif isinstance(cell, float | int):
                sheet.write_number(row, place, cell)
            elif cell:
                sheet.write_string(row, place, cell)
    if adorn is not None:
        adorn(book, sheet)
    book.close()
