"""What is wrong with a file or a row, and where: the stable codes of an import."""

from __future__ import annotations

from typing import Any, Final, NamedTuple

from domain.errors import Refused

MAX_CELL: Final = 200
"""Longest cell that is used, in characters."""


class Unusable(Refused):
    """The file or the mapping as a whole cannot be used; nothing is written."""


class BadCell(Exception):
    """A cell that cannot be used; which one the reader knows."""

    def __init__(self, code: str, **params: Any) -> None:
        super().__init__(code)
        self.code = code
        self.params = params


class Fault(NamedTuple):
    """A row that is refused: where, why, and whose case it is (None where that cannot be told).

    `row` counts the rows below the header from 1, `line` the lines of the file from 1; `column` is
    the header's word, or "" where the row as a whole is broken."""

    row: int
    line: int
    column: str
    code: str
    case: str | None = None
