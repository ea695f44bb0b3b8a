"""A register row by row, each with the number a workbook shows for it: from CSV text or xlsx."""

from __future__ import annotations

import zipfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import BinaryIO, Final, NamedTuple, cast

from api.importing.faults import Unusable
from api.importing.mapping import FileShape
from api.importing.reading import (
    MAX_COLUMNS,
    MAX_LINE_BYTES,
    MAX_UNPACKED_BYTES,
    Broken,
    Progress,
    open_sheet,
    open_table,
)
from api.importing.register_columns import FEWEST_KNOWN, Columns
from api.importing.register_formulas import formulas

TITLE_ROWS: Final = 20
"""Rows of a sheet among which the heading row is looked for."""

DELIMITERS: Final = (",", "\t", ";")

_UTF_16: Final = (b"\xff\xfe", b"\xfe\xff")
_ZIP: Final = b"PK\x03\x04"
_COMPOUND: Final = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"
_MARK: Final = b"\xef\xbb\xbf"
_NO_FORMULAS: Final[frozenset[int]] = frozenset()


class Line(NamedTuple):
    """A row of the register: its number as a workbook shows it, its cells from column A on, and
    which of them are formulas."""

    row: int
    cells: Sequence[object]
    formulas: frozenset[int]


class Unread(NamedTuple):
    """A row that cannot be read: why, and at which cell (None for the whole row)."""

    row: int
    place: int | None
    code: str


class Sheet(NamedTuple):
    """An opened register: the number and the cells of its heading row, and the rows below it that
    hold anything, once."""

    heading_row: int
    headings: Sequence[str]
    rows: Iterator[Line | Unread]


def open_register(
    file: BinaryIO, path: Path, columns: Columns, sheet: str | None, progress: Progress
) -> Sheet:
    """Return the register in a file.

    Raises `Unusable`: `import.file_empty`, `import.not_a_table`, `import.header_not_in_encoding`,
    `import.workbook_too_large`, `import.sheet_missing`, `register.not_xlsx`, `register.utf_16`,
    `register.encoding`."""
    start = file.read(8)
    file.seek(0)
    if not start:
        raise Unusable("import.file_empty")
    if start.startswith(_COMPOUND):
        raise Unusable("register.not_xlsx")
    if start.startswith(_ZIP):
        return _workbook(file, path, columns, sheet)
    if start.startswith(_UTF_16):
        raise Unusable("register.utf_16")
    return _separated(file, path, columns, progress)


# --- text -----------------------------------------------------------------------------------------


class _Lines(NamedTuple):
    """What the lines of a text say of its encoding: the first that is not blank, counted from 1,
    and how many with signs beyond ASCII are text in UTF-8, in GB18030, and there are."""

    number: int
    first: bytes
    utf_8: int
    gb18030: int
    foreign: int


def _separated(file: BinaryIO, path: Path, columns: Columns, progress: Progress) -> Sheet:
    lines = _looked_through(file)
    file.seek(0)
    codec = "utf-8" if 2 * lines.utf_8 >= lines.foreign else "gb18030"
    if codec == "gb18030" and 2 * lines.gb18030 < lines.foreign:
        raise Unusable("register.encoding")
    first = lines.first.removeprefix(_MARK).decode(codec, errors="replace")
    delimiter = max(DELIMITERS, key=lambda one: columns.known(_rough(first, one)))
    if codec == "gb18030" and columns.known(_rough(first, delimiter)) == 0:
        raise Unusable("register.encoding")
    shape = FileShape(delimiter=delimiter)
    table = open_table(file, path, shape, codec, progress)

    def rows() -> Iterator[Line | Unread]:
        run_over = 0  # lines of the file that are no rows of their own: breaks within cells
        for found in table.rows:
            row = found.line - run_over
            if isinstance(found, Broken):
                yield Unread(row, found.column, found.code)
                continue
            run_over += sum(str(cell).count("\n") for cell in found.cells)
            if any(str(cell).strip() for cell in found.cells):
                yield Line(row, found.cells, _NO_FORMULAS)

    return Sheet(lines.number, table.header, rows())


def _looked_through(file: BinaryIO) -> _Lines:
    """Read a text once, for its encoding: a heading in English does not tell that of the rows."""
    number, first = 0, b""
    utf_8 = gb18030 = foreign = 0
    while data := file.readline(MAX_LINE_BYTES):
        if not first:
            number += 1
            first = data.strip()
        if data.isascii():
            continue
        foreign += 1
        utf_8 += _is_text(data, "utf-8")
        gb18030 += _is_text(data, "gb18030")
    return _Lines(number, first, utf_8, gb18030, foreign)


def _is_text(data: bytes, codec: str) -> bool:
    try:
        data.decode(codec)
    except UnicodeDecodeError:
        return False
    return True


def _rough(text: str, delimiter: str) -> list[str]:
    return [cell.strip().strip('"') for cell in text.split(delimiter)]


# --- a workbook -----------------------------------------------------------------------------------


def _workbook(file: BinaryIO, path: Path, columns: Columns, wanted: str | None) -> Sheet:
    sheet = open_sheet(file, path, wanted)
    try:
        with zipfile.ZipFile(path) as packed:
            if "xl/workbook.xml" not in packed.namelist():
                raise Unusable("register.not_xlsx")
            computed = formulas(packed, sheet.name, MAX_UNPACKED_BYTES)
    except zipfile.BadZipFile as fault:
        raise Unusable("import.not_a_table", line=1) from fault
    by_row: dict[int, set[int]] = {}
    for row, place in computed:
        by_row.setdefault(row, set()).add(place)
    margin: list[object] = [""] * (sheet.start or (0, 0))[1]
    merged = _Merged(sheet.merged_cell_ranges or [])
    found: Iterator[tuple[int, list[object]]] = (
        (row, merged.filled(row, margin + cast("list[object]", list(cells))))
        for row, cells in enumerate(sheet.iter_rows(), 1)
    )
    top: list[tuple[int, list[str]]] = []
    for row, cells in found:
        texts = [str(cell).strip() for cell in cells]
        if any(texts):
            top.append((row, texts))
            if columns.known(texts) >= FEWEST_KNOWN:
                break
        if row >= TITLE_ROWS:
            break
    if not top:
        raise Unusable("import.file_empty")
    heading = top[-1] if columns.known(top[-1][1]) >= FEWEST_KNOWN else top[0]
    if len(heading[1]) > MAX_COLUMNS:
        raise Unusable("import.not_a_table", line=heading[0])

    def rows() -> Iterator[Line | Unread]:
        for row, cells in found:
            if any(not isinstance(cell, str) or cell.strip() for cell in cells):
                own = by_row.get(row)
                yield Line(row, cells, _NO_FORMULAS if own is None else frozenset(own))

    return Sheet(*heading, rows())


class _Merged:
    """Merged cells: what stands in the first of them holds for each row that they run over."""

    def __init__(self, ranges: Sequence[tuple[tuple[int, int], tuple[int, int]]]) -> None:
        self._begins: dict[int, list[tuple[int, int]]] = {}
        for (top, left), (bottom, _) in ranges:
            if bottom > top:
                self._begins.setdefault(top + 1, []).append((left, bottom + 1))
        self._open: dict[int, tuple[int, object]] = {}

    def filled(self, row: int, cells: list[object]) -> list[object]:
        """Return a row's cells; rows are asked for in their order."""
        for place, (last, value) in list(self._open.items()):
            if row > last:
                del self._open[place]
            elif place < len(cells):
                cells[place] = value
        for place, last in self._begins.get(row, ()):
            if place < len(cells):
                self._open[place] = (last, cells[place])
        return cells
