"""Tables row by row, from a workbook or from separated text, which a broken row does not derail."""

from __future__ import annotations

import csv
import zipfile
from collections import deque
from collections.abc import Iterator, Sequence
from datetime import date, datetime
from pathlib import Path
from typing import BinaryIO, Final, NamedTuple, cast

import python_calamine

from api.importing.faults import Unusable
from api.importing.mapping import FileShape

MAX_LINE_BYTES: Final = 1024 * 1024
MAX_RECORD_LINES: Final = 64
"""Most lines one quoted row runs over; past it a quote counts as never closed."""

MAX_WORKBOOK_BYTES: Final = 64 * 1024 * 1024
MAX_UNPACKED_BYTES: Final = 1024 * 1024 * 1024
"""A workbook is held in memory by its reader, unpacked; what is larger comes as text."""

MAX_COLUMNS: Final = 1_000

Cell = str | datetime | date
_ZIP: Final = b"PK\x03\x04"
_COMPOUND: Final = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"
_MARK: Final = b"\xef\xbb\xbf"


class Row(NamedTuple):
    """A row with as many cells as the header; `row` and `line` count from 1, see `Fault`."""

    row: int
    line: int
    cells: Sequence[Cell]


class Broken(NamedTuple):
    """A row that is none. `cells` is what it seems to hold; `code` and `column` (its place from 0,
    None for the whole row) say what is wrong."""

    row: int
    line: int
    code: str
    column: int | None
    cells: Sequence[Cell]


class Table:
    """An opened table: its header, its rows once, how many bytes of it were read."""

    def __init__(self, header: Sequence[str], rows: Iterator[Row | Broken]) -> None:
        self.header = header
        self.rows = rows


class Progress:
    """How far a file was read."""

    def __init__(self) -> None:
        self.bytes_read = 0


def open_table(
    file: BinaryIO, path: Path, shape: FileShape, codec: str, progress: Progress
) -> Table:
    """Return the table in a file.

    Raises `Unusable`: `import.file_empty`, `import.not_a_table`, `import.header_not_in_encoding`,
    `import.workbook_too_large`, `import.sheet_missing`."""
    start = file.read(8)
    file.seek(0)
    if not start:
        raise Unusable("import.file_empty")
    if start.startswith((_ZIP, _COMPOUND)):
        return _workbook(file, path, shape)
    return _Text(file, shape, codec, progress).table()


class _Line(NamedTuple):
    number: int
    data: bytes


class _Text:
    """Separated values (RFC 4180), line by line.

    A quoted cell may run over lines. A row is taken only when it has as many cells as the header;
    else its first line alone is refused and reading goes on with the next one, so that a quote
    never closed swallows nothing."""

    def __init__(self, file: BinaryIO, shape: FileShape, codec: str, progress: Progress) -> None:
        self._file = file
        self._codec = codec
        self._delimiter = shape.delimiter
        self._progress = progress
        self._ahead: deque[_Line] = deque()
        self._number = 0
        self._width = 0

    def table(self) -> Table:
        """Read the header. Raises `Unusable`."""
        line = self._next()
        while line is not None and not line.data.strip():
            line = self._next()
        if line is None:
            raise Unusable("import.file_empty")
        data = line.data.removeprefix(_MARK)
        if b"\0" in data or len(data) > MAX_LINE_BYTES:
            raise Unusable("import.not_a_table", line=line.number)
        text, bad = self._decoded(data)
        if bad is not None:
            raise Unusable("import.header_not_in_encoding", line=line.number, byte=bad + 1)
        header = self._split(text)
        if header is None or len(header) > MAX_COLUMNS:
            raise Unusable("import.not_a_table", line=line.number)
        self._width = len(header)
        return Table([name.strip() for name in header], self._rows())

    def _rows(self) -> Iterator[Row | Broken]:
        row = 0
        while (line := self._next()) is not None:
            if not line.data.strip():
                continue
            row += 1
            yield self._row(row, line)

    def _row(self, row: int, line: _Line) -> Row | Broken:
        if len(line.data) > MAX_LINE_BYTES:
            return Broken(row, line.number, "import.line_too_long", None, ())
        text, bad = self._decoded(line.data)
        if bad is not None:
            column = self._place(line.data)
            return Broken(row, line.number, "import.not_in_encoding", column, self._rough(text))
        if '"' not in text:
            cells = text.split(self._delimiter)
            if len(cells) == self._width:
                return Row(row, line.number, cells)
            return Broken(row, line.number, "import.row_width", None, cells)
        cells = self._quoted(text)
        if cells is not None:
            return Row(row, line.number, cells)
        code = "import.row_quotes" if self._split(text) is None else "import.row_width"
        return Broken(row, line.number, code, None, self._rough(text))

    def _quoted(self, text: str) -> list[str] | None:
        """Return the cells of a row with quotes, over further lines where a quote is open."""
        taken: list[_Line] = []
        cells = self._split(text)
        while cells is None and len(taken) < MAX_RECORD_LINES:
            line = self._next()
            if line is None:
                break
            taken.append(line)
            more, bad = self._decoded(line.data)
            if bad is not None or len(line.data) > MAX_LINE_BYTES:
                break
            text += "\n" + more
            if '"' in more:
                cells = self._split(text)
        if cells is None or len(cells) != self._width:
            self._ahead.extendleft(reversed(taken))
            return None
        return cells

    def _split(self, text: str) -> list[str] | None:
        """Return the cells, None where quotes are open or stand where none may."""
        try:
            rows = list(csv.reader([text], delimiter=self._delimiter, strict=True))
        except csv.Error:
            return None
        return rows[0] if len(rows) == 1 else None

    def _rough(self, text: str) -> list[str]:
        """Return what a broken row seems to hold."""
        return [cell.strip().strip('"') for cell in text.split(self._delimiter)]

    def _decoded(self, data: bytes) -> tuple[str, int | None]:
        """Return the line's text, and the place of its first byte that is no text, or None."""
        stripped = data.rstrip(b"\r\n")
        try:
            return stripped.decode(self._codec), None
        except UnicodeDecodeError as fault:
            return stripped.decode(self._codec, errors="replace"), fault.start

    def _place(self, data: bytes) -> int | None:
        """Return in which cell a line stops being text."""
        try:
            data.decode(self._codec)
        except UnicodeDecodeError as fault:
            before = data[: fault.start].decode(self._codec, errors="replace")
            place = before.count(self._delimiter)
            return place if '"' not in before and place < self._width else None
        return None

    def _next(self) -> _Line | None:
        if self._ahead:
            return self._ahead.popleft()
        data = self._file.readline(MAX_LINE_BYTES + 1)
        if not data:
            return None
        self._number += 1
        self._progress.bytes_read += len(data)
        if len(data) > MAX_LINE_BYTES:
            rest = data
            while rest and not rest.endswith(b"\n"):  # skip to the line's end, keep none of it
                rest = self._file.readline(MAX_LINE_BYTES)
                self._progress.bytes_read += len(rest)
        return _Line(self._number, data)


def open_sheet(file: BinaryIO, path: Path, wanted: str | None) -> python_calamine.CalamineSheet:
    """Return a sheet of a workbook (xlsx, xlsb, xls, ods), the first one where none is wanted.

    Raises `Unusable`: `import.not_a_table`, `import.workbook_too_large`, `import.sheet_missing`."""
    size = path.stat().st_size
    try:
        if zipfile.is_zipfile(path):
            with zipfile.ZipFile(path) as packed:
                unpacked = sum(one.file_size for one in packed.infolist())
            if unpacked > MAX_UNPACKED_BYTES:
                raise Unusable("import.workbook_too_large", limit=MAX_UNPACKED_BYTES)
        if size > MAX_WORKBOOK_BYTES:
            raise Unusable("import.workbook_too_large", limit=MAX_WORKBOOK_BYTES)
        book = python_calamine.CalamineWorkbook.from_filelike(file)
        name = wanted or book.sheet_names[0]
        if name not in book.sheet_names:
            raise Unusable("import.sheet_missing", sheet=name, found=tuple(book.sheet_names))
        return book.get_sheet_by_name(name)
    except (python_calamine.CalamineError, zipfile.BadZipFile, OSError, IndexError) as fault:
        raise Unusable("import.not_a_table", line=1) from fault


def _workbook(file: BinaryIO, path: Path, shape: FileShape) -> Table:
    """Return the table of a sheet (xlsx, xlsb, xls, ods)."""
    sheet = open_sheet(file, path, shape.sheet)
    rows: Iterator[tuple[int, Sequence[object]]] = enumerate(sheet.iter_rows(), 1)
    for _, cells in rows:
        header = [_text(cell) for cell in cells]
        if any(header):
            if len(header) > MAX_COLUMNS:
                raise Unusable("import.not_a_table", line=1)
            return Table([str(name).strip() for name in header], _sheet_rows(rows, len(header)))
    raise Unusable("import.file_empty")


def _sheet_rows(rows: Iterator[tuple[int, Sequence[object]]], width: int) -> Iterator[Row | Broken]:
    row = 0
    for line, found in rows:
        cells = [_text(cell) for cell in found]
        if any(cells):
            row += 1
            yield Row(row, line, cells + [""] * (width - len(cells)))


def _text(cell: object) -> Cell:
    """Return a workbook's cell as text, or as the instant it is."""
    if isinstance(cell, datetime | date | str):
        return cell
    if isinstance(cell, float) and cell.is_integer():
        return str(int(cell))
    return "" if cell is None else str(cast(object, cell))
