"""The columns of a register: which there are for a policy, and by which headings they are known."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from typing import Final, NamedTuple

import msgspec

from domain.values import Names

MARK: Final = "*"
"""Stands behind the heading of a column that must be there; the reader does not need it."""

FEWEST_KNOWN: Final = 3
"""Headings that a row must have to be the heading row: titles above it have fewer."""


class Column(msgspec.Struct, frozen=True):
    """A column: its code, its headings, others it is known by; `needed`: the file must have it.

    `dimension` names the dimension whose points stand in it. `written`: the cells are text even
    where they look like numbers."""

    code: str
    names: Names
    also: tuple[str, ...] = ()
    needed: bool = False
    dimension: str | None = None
    written: bool = False


NAME: Final = Column("name", Names("客户名称", "Customer name"), ("客户", "customer"), needed=True)
USCC: Final = Column(
    "uscc",
    Names("统一社会信用代码", "Unified social credit code"),
    ("USCC", "信用代码", "社会信用代码"),
    written=True,
)
IDENTITY: Final = Column(
    "identity",
    Names("身份证号", "Identity card number"),
    ("身份证号码", "公民身份号码", "ID card", "ID number"),
    written=True,
)
FROM: Final = Column("from", Names("生效日期", "From"), ("起始日期", "开始日期"), needed=True)
UNTIL: Final = Column(
    "until", Names("截止日期", "Until"), ("到期日期", "终止日期", "结束日期"), needed=True
)
NUMBER: Final = Column(
    "number", Names("授权编号", "Number"), ("编号", "Grant number"), written=True
)
CONTACT: Final = Column("contact", Names("联系人", "Contact"))
PHONE: Final = Column(
    "phone", Names("联系电话", "Phone"), ("电话", "手机", "手机号", "Telephone"), written=True
)
REMARKS: Final = Column("remarks", Names("备注", "Remarks"), ("说明", "Note"))
"""Read by nobody: what stands there is not imported."""


class Heading(NamedTuple):
    """A cell of the heading row: its place from 0, its text."""

    place: int
    text: str


class Laid(NamedTuple):
    """Which column stands where; headings that are no column, and columns that stand twice."""

    places: Mapping[str, Heading]
    unknown: tuple[Heading, ...]
    twice: tuple[Heading, ...]


class Columns:
    """The columns of a register of one kind: those of every register, one for each dimension."""

    def __init__(self, dimensions: Mapping[str, Names]) -> None:
        """`dimensions`: those of the policy, in its order, with their names."""
        self.dimensions = tuple(
            Column(f"scope.{code}", names, (code,), needed=True, dimension=code, written=True)
            for code, names in dimensions.items()
        )

    @cached_property
    def all(self) -> tuple[Column, ...]:
        """Every column, in the order of the template."""
        return (
            NAME, USCC, IDENTITY, *self.dimensions, FROM, UNTIL, NUMBER, CONTACT, PHONE, REMARKS,
        )  # fmt: skip

    @cached_property
    def _known(self) -> dict[str, Column]:
        """Heading, as it is compared -> column; a dimension's goes before one of every register."""
        known: dict[str, Column] = {}
        for column in (*self.dimensions, *self.all):
            for name in (column.names.zh, column.names.en, *column.also):
                known.setdefault(compared(name), column)
        return known

    def known(self, texts: Sequence[str]) -> int:
        """Return how many of these are headings of columns."""
        return sum(compared(text) in self._known for text in texts)

    def laid(self, texts: Sequence[str]) -> Laid:
        """Return what the heading row says; cells without text say nothing."""
        places: dict[str, Heading] = {}
        unknown: list[Heading] = []
        twice: list[Heading] = []
        for place, text in enumerate(texts):
            if not text.strip():
                continue
            heading = Heading(place, text.strip())
            column = self._known.get(compared(text))
            if column is None:
                unknown.append(heading)
            elif column.code in places:
                twice.append(heading)
            else:
                places[column.code] = heading
        return Laid(places, tuple(unknown), tuple(twice))

    def missing(self, laid: Laid) -> Iterator[Column]:
        """Yield the columns that the file must have and has not.

        Of the two that identify a customer one is enough; where both lack, the first is told."""
        for column in self.all:
            if column.needed and column.code not in laid.places:
                yield column
            if column is USCC and not {USCC.code, IDENTITY.code} & laid.places.keys():
                yield column


def compared(text: str) -> str:
    """Return a heading or a name as it is compared: NFKC, lower case, no white space, no mark."""
    plain = unicodedata.normalize("NFKC", text).casefold()
    return "".join(plain.split()).removesuffix(MARK)


def letters(place: int) -> str:
    """Return a column's letters as a workbook shows them: 0 is A, 25 is Z, 26 is AA."""
    found = ""
    place += 1
    while place:
        place, rest = divmod(place - 1, 26)
        found = chr(ord("A") + rest) + found
    return found
