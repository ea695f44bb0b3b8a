"""What is wrong in a register: a cell as a workbook shows it, a stable code, the facts of it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, NamedTuple

from api.importing.faults import Unusable
from api.importing.register_columns import letters
from api.importing.words import word
from api.texts import Language

WHOLE_ROW: Final = -1
"""The place of a fault that is not one cell's."""


class Problem(NamedTuple):
    """What is wrong at one cell: row from 1 as a workbook shows it, column from 0 (or `WHOLE_ROW`),
    a code, the facts that its sentence names."""

    row: int
    place: int
    code: str
    params: Mapping[str, Any] = {}


class CellFault(NamedTuple):
    """A problem as it is told: `cell` like E17 (only the row where it is the whole row's), the
    heading of its column."""

    row: int
    column: str
    heading: str
    code: str
    params: Mapping[str, Any]

    @property
    def cell(self) -> str:
        """Where it is, as a workbook shows it."""
        return f"{self.column}{self.row}"

    def why(self, language: Language) -> str:
        """Return what is wrong, in a sentence."""
        return word(self.code, language, **self.params)

    def line(self, language: Language) -> str:
        """Return where and why, in one line."""
        if self.column:
            place = f"{self.cell} {self.heading}"
        else:
            place = word("fault.row", language, row=self.row)
        return word("fault.told", language, place=place, why=self.why(language), code=self.code)

    def document(self, language: Language) -> dict[str, Any]:
        """Return it as JSON has it."""
        return {
            "row": self.row,
            "column": self.column,
            "heading": self.heading,
            "cell": self.cell,
            "code": self.code,
            "detail": self.why(language),
        }


def told(problem: Problem, headings: Mapping[int, str]) -> CellFault:
    """Return a problem with the letters and the heading of its column."""
    column = "" if problem.place == WHOLE_ROW else letters(problem.place)
    heading = headings.get(problem.place, "")
    return CellFault(problem.row, column, heading, problem.code, problem.params)


class BadHeadings(Unusable):
    """The heading row is not one of a register: nothing is read. `faults`: each at its cell."""

    def __init__(self, faults: tuple[CellFault, ...]) -> None:
        super().__init__("register.headings", count=len(faults))
        self.faults = faults
