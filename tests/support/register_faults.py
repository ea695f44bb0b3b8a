"""Faults of registers: each kind plants itself into a sound row and says where it must be told."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from datetime import date, datetime, timedelta
from itertools import groupby
from typing import Any, Final, NamedTuple

from tests.support.register_files import Made, Planted, Register, credit_code, letter


class Spot(NamedTuple):
    """Where a fault is planted: its row's number, the row, one before it of the same customer, one
    of another customer with a number, and what the ledger has for the faults that need it."""

    row: int
    made: Made
    before: tuple[int, Made]
    numbered: tuple[int, Made]
    ledger: Made


Plant = Callable[[Spot, Register, random.Random], tuple[str, str]]
"""Changes a row; returns the field whose cell is at fault, and the code."""


def cell(name: str, code: str, value: Any) -> Plant:
    """A fault that is one cell's alone."""

    def plant(spot: Spot, _: Register, __: random.Random) -> tuple[str, str]:
        spot.made[name] = value
        return name, code

    return plant


def spoiled(name: str, code: str, change: Callable[[str], Any]) -> Plant:
    """A fault made of what stands in the cell."""

    def plant(spot: Spot, _: Register, __: random.Random) -> tuple[str, str]:
        spot.made[name] = change(spot.made[name])
        return name, code

    return plant


def _other_check(code: str) -> str:
    return code[:-1] + ("0" if code[-1] != "0" else "1")


def _nobody(spot: Spot, _: Register, __: random.Random) -> tuple[str, str]:
    spot.made.update(uscc="", identity="")
    return "uscc", "register.identifier_missing"


def _both(spot: Spot, _: Register, __: random.Random) -> tuple[str, str]:
    spot.made["identity"] = "11010519491231002X"
    return "identity", "register.identifier_twice"


def _before_from(spot: Spot, _: Register, __: random.Random) -> tuple[str, str]:
    spot.made["until"] = spot.made["from"] - timedelta(days=1)
    return "until", "register.until_before_from"


def _over(spot: Spot, _: Register, __: random.Random) -> tuple[str, str]:
    spot.made["from"] = date(2021, 1, 1)
    spot.made["until"] = date(2021, 12, 31)
    return "until", "register.term_over"


def _too_long(spot: Spot, _: Register, __: random.Random) -> tuple[str, str]:
    spot.made["until"] = spot.made["from"] + timedelta(days=366)
    return "until", "register.term_too_long"


def _with_time(spot: Spot, _: Register, __: random.Random) -> tuple[str, str]:
    spot.made["from"] = datetime.combine(spot.made["from"], datetime.min.time()).replace(hour=9)
    return "from", "register.date_with_time"


def _same_number(spot: Spot, _: Register, __: random.Random) -> tuple[str, str]:
    spot.made["number"] = spot.numbered[1]["number"].lower()
    return "number", "register.number_twice"


def _same_right(spot: Spot, _: Register, __: random.Random) -> tuple[str, str]:
    for name in ("territory", "product", "channel", "from", "until"):
        spot.made[name] = spot.before[1][name]
    return "territory", "register.same_twice"


def _known_number(spot: Spot, _: Register, __: random.Random) -> tuple[str, str]:
    spot.made["number"] = spot.ledger["number"]
    return "number", "register.number_taken"


def _known_right(spot: Spot, _: Register, __: random.Random) -> tuple[str, str]:
    kept = ("name", "uscc", "identity", "territory", "product", "channel", "from", "until")
    spot.made.update({name: spot.ledger[name] for name in kept} | {"number": ""})
    return "territory", "register.same_in_ledger"


def _known_as(spot: Spot, _: Register, __: random.Random) -> tuple[str, str]:
    spot.made.update(name="别名茶行", uscc=spot.ledger["uscc"], identity="", product="tea/puer")
    return "name", "register.name_in_ledger"


def _blocked(spot: Spot, _: Register, __: random.Random) -> tuple[str, str]:
    who = {"name": spot.ledger["name"], "uscc": spot.ledger["uscc"], "identity": ""}
    spot.made.update(who, product="tea/puer")
    return "uscc", "register.customer_blocked"


def _formula(spot: Spot, register: Register, __: random.Random) -> tuple[str, str]:
    register.formulas[spot.row, "product"] = '="tea/"&"black"'
    return "product", "register.cell_formula"


ANYWHERE: Final[dict[str, Plant]] = {
    "no name": cell("name", "register.name_missing", ""),
    "nobody": _nobody,
    "both": _both,
    "code too short": spoiled("uscc", "register.uscc_length", lambda code: code[:-1]),
    "code with an O": spoiled(
        "uscc", "register.uscc_characters", lambda code: f"{code[:10]}O{code[11:]}"
    ),
    "code mistyped": spoiled("uscc", "register.uscc_check", _other_check),
    "another name": cell("name", "register.name_differs", "另一个名字"),
    "no such place": cell("territory", "register.point_unknown", "CN/99"),
    "one of two is no such place": cell("territory", "register.point_unknown", "上海市；火星"),
    "no such product": cell("product", "register.point_unknown", "咖啡"),
    "no such channel": cell("channel", "register.point_unknown", "传真"),
    "place ended": cell("territory", "register.point_ended", "旧区"),
    "place to come": cell("territory", "register.point_planned", "CN/91"),
    "two places": cell("territory", "register.point_ambiguous", "朝阳区"),
    "no place": cell("territory", "register.scope_empty", ""),
    "separators alone": cell("product", "register.scope_empty", "；、"),
    "a hole": cell("territory", "register.pattern_malformed", "CN//31"),
    "a star within": cell("territory", "register.pattern_malformed", "CN/*"),
    "no first day": cell("from", "register.from_missing", ""),
    "no day": cell("from", "register.from_no_date", "下个月"),
    "no last day": cell("until", "register.until_missing", ""),
    "for ever": cell("until", "register.until_no_date", "长期"),
    "thirty days of February": cell("until", "register.until_no_date", "2027-02-30"),
    "a year too far": cell("until", "register.date_out_of_range", "9999-12-31"),
    "with a time": _with_time,
    "ends before it begins": _before_from,
    "over": _over,
    "too long": _too_long,
    "number of two words": cell("number", "register.number_malformed", "SQ 17"),
    "number like ours": cell("number", "register.number_malformed", "CS-20261122-7F3K9Q-M"),
    "number too long": cell("number", "register.number_too_long", "N" * 65),
    "number again": _same_number,
    "number taken": _known_number,
    "right again": _same_right,
    "right known": _known_right,
    "known by another name": _known_as,
    "blocked": _blocked,
    "no telephone": cell("phone", "register.phone_malformed", "12345"),
    "formula": _formula,
    "formula as text": cell("contact", "register.cell_formula_text", "=cmd|'/c calc'!A1"),
    "at sign": cell("contact", "register.cell_formula_text", "@SUM(A1)"),
    "reference lost": cell("channel", "register.cell_error", "#REF!"),
    "number that lost digits": cell("phone", "register.cell_lost_digits", 1.23e17),
    "text that lost digits": cell("number", "register.cell_lost_digits", "1.23E+17"),
    "a date as number": cell("number", "register.cell_is_date", date(2026, 1, 1)),
    "a name of 201": cell("name", "import.cell_too_long", "名" * 201),
    "a tab": cell("contact", "import.cell_unsafe", "王\t明"),
}  # fmt: skip
"""Kinds by name; all but those of `PERSONS` go into an organization's row."""

PERSONS: Final[dict[str, Plant]] = {
    "card mistyped": spoiled("identity", "register.identity_malformed", lambda c: "0" + c[1:]),
    "card too short": cell("identity", "register.identity_malformed", "310101900101001"),
}

OF_THE_LEDGER: Final = {
    "number taken": "number",
    "right known": "right",
    "known by another name": "name",
    "blocked": "blocked",
}
"""Kind -> which of the ledger's rows it needs."""


UNTOUCHED: Final = 60
"""Up to this row nothing is planted, so that others may refer to what stands there."""


def plant(register: Register, count: int, seed: int, ledger: dict[str, list[Made]]) -> set[str]:
    """Plant so many faults, of all kinds in turn, one a customer; return the kinds.

    `ledger`: what is there already: rows whose `number` is taken, whose `right` is given, whose
    `name` is another, who are `blocked`; each is used once."""
    drawn = random.Random(seed)
    spots = list(_spots(register))
    drawn.shuffle(spots)
    kinds = [
        one
        for one in (*ANYWHERE.items(), *PERSONS.items())
        if one[0] not in OF_THE_LEDGER or ledger[OF_THE_LEDGER[one[0]]]
    ]
    planted: set[str] = set()
    first = enumerate(register.rows[: UNTOUCHED - 1], 2)
    numbered = [(row, made) for row, made in first if made["number"]]
    while len(register.planted) < count:
        name, kind = kinds[len(register.planted) % len(kinds)]
        person = name in PERSONS
        place = next(i for i, (_, made, _) in enumerate(spots) if bool(made["identity"]) == person)
        row, made, before = spots.pop(place)
        used = OF_THE_LEDGER.get(name)
        other = drawn.choice(numbered)
        spot = Spot(row, made, before, other, ledger[used].pop() if used else {})
        if name == "text that lost digits" or name.startswith("number"):
            made["number"] = ""
        field, code = kind(spot, register, drawn)
        register.planted.append(Planted(f"{letter(field)}{row}", code))
        planted.add(name)
    return planted


def _spots(register: Register) -> Iterator[tuple[int, Made, tuple[int, Made]]]:
    """Yield the last row of each customer that has several, with the one before it."""
    rows = list(enumerate(register.rows, 2))
    for _, group in groupby(rows, key=lambda one: (one[1]["uscc"], one[1]["identity"])):
        some = list(group)
        if len(some) > 1 and some[0][0] > UNTOUCHED:
            yield *some[-1], some[-2]


def in_the_ledger(count: int, seed: int, today: date) -> dict[str, list[Made]]:
    """Return rows for the ledger, `count` for each use of `OF_THE_LEDGER`."""
    drawn = random.Random(seed)

    def made(use: str, number: int) -> Made:
        return {
            "name": f"已有{use}{number}有限公司",
            "uscc": credit_code(drawn),
            "identity": "",
            "territory": "CN/44",
            "product": "tea/black",
            "channel": "*",
            "from": today - timedelta(days=30),
            "until": today + timedelta(days=200),
            "number": f"OLD-{use}-{number}",
            "contact": "",
            "phone": "",
            "remarks": "",
        }

    return {use: [made(use, number) for number in range(count)] for use in OF_THE_LEDGER.values()}
