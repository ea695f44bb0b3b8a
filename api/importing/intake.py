"""From a table's rows to whole cases: each cell looked at, each broken row told with its place."""

from __future__ import annotations

import json
import re
import unicodedata
from collections.abc import Callable, Sequence
from contextlib import closing
from typing import Final

from api.importing.faults import MAX_CELL, BadCell, Fault, Unusable
from api.importing.instants import microseconds
from api.importing.mapping import Mapping
from api.importing.reading import Broken, Cell, Row, Table
from api.importing.spool import Spool
from domain.codes import code_fault
from domain.scopes import ANY, path_fault
from domain.values import CHANNELS, Instant

MAX_STEP_NAMES: Final = 1_000
"""Most different steps: their names are written in the clear, so the column must hold names of
steps and not texts about people."""

MAX_SCOPES: Final = 20_000
"""Most different scopes one file names."""

MAX_CASE_STEPS: Final = 5_000
"""Most steps of one case; it is written in one command."""

REPORT_EVERY: Final = 2_000
"""Rows between two words of progress."""

# What cannot be seen or stored: control characters, separators of lines, surrogates, no characters.
_UNSAFE = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff\ufffe\uffff]")


class Intake:
    """Takes a table's rows into a spool. `rows` counts them all, `refused` those with a fault."""

    def __init__(self, mapping: Mapping, spool: Spool, now: Instant | None) -> None:
        """`now`: what is later cannot have happened; None where the tenant's clock is given."""
        self._mapping = mapping
        self._spool = spool
        self._now = None if now is None else microseconds(now, None, None)
        self._steps: set[str] = set()
        self._scopes: set[str] = set()
        self._lost: int | None = None
        self.rows = 0

    def take(self, table: Table, tell: Callable[[], None]) -> None:
        """Read every row; afterwards each sound case of the spool is whole.

        Raises `Unusable`: `import.column_missing`, `import.column_twice`, `import.file_empty`,
        `import.case_unreadable`, `import.too_many_step_names`, `import.too_many_scopes`."""
        places = self._places(table.header)
        for found in table.rows:
            self.rows += 1
            if isinstance(found, Broken):
                self._broken(found, table.header, places)
            else:
                self._row(found, places)
            if self.rows % REPORT_EVERY == 0:
                tell()
        self._spool.flush()
        if self.rows == 0:
            raise Unusable("import.file_empty")
        self._find_lost()
        self._find_repeated()
        self._find_too_long()
        tell()

    def _places(self, header: Sequence[str]) -> dict[str, int]:
        places: dict[str, int] = {}
        for column in self._mapping.needed:
            count = header.count(column)
            if count == 0:
                found = tuple(name for name in header if name)
                raise Unusable("import.column_missing", line=1, column=column, found=found)
            if count > 1:
                raise Unusable("import.column_twice", line=1, column=column)
            places[column] = header.index(column)
        return places

    def _row(self, found: Row, places: dict[str, int]) -> None:
        columns, cells = self._mapping.columns, found.cells
        column, case = columns.case, None
        try:
            case = _text(cells[places[column]])
            self._lost_ended(case)
            step = _text(cells[places[column := columns.step]])
            person = self._person(cells[places[column := columns.person]])
            at = self._instant(cells[places[column := columns.instant]])
            step_id = None
            if columns.id is not None:
                step_id = _text(cells[places[column := columns.id]])
            rest = self._templates(cells, places)
        except BadCell as fault:
            column = fault.params.get("column", column)
            self._refuse(Fault(found.row, found.line, column, fault.code, case), None, None)
            return
        self._steps.add(step)
        if len(self._steps) > MAX_STEP_NAMES:
            raise Unusable("import.too_many_step_names", limit=MAX_STEP_NAMES)
        number = self._spool.case(case)
        self._spool.add((number, at, found.row, found.line, step, person, step_id, *rest))

    def _person(self, cell: Cell) -> str:
        people = self._mapping.people
        if cell == "" and people.nobody is not None:
            return ""
        name = _text(cell)
        if people.called == "number" and code_fault(name) is not None:
            raise BadCell("import.person_no_code")
        return name

    def _instant(self, cell: Cell) -> int:
        given = cell if not isinstance(cell, str) else _text(cell)
        at = microseconds(given, self._mapping.written.instants.format, self._mapping.zone)
        if self._now is not None and at > self._now:
            raise BadCell("import.instant_future")
        return at

    def _templates(self, cells: Sequence[Cell], places: dict[str, int]) -> tuple[str, ...]:
        """Return grantee, title, channel and scope as this row's cells make them."""
        mapping = self._mapping
        texts = _Cells(cells, places)
        grantee = mapping.grantee.fill(texts).removeprefix("customer:")
        if not 0 < len(grantee) <= MAX_CELL:
            raise BadCell("import.grantee_malformed", column=_first(mapping.grantee.columns))
        channel = mapping.channel.fill(texts)
        if channel not in CHANNELS:
            raise BadCell("import.channel_unknown", column=_first(mapping.channel.columns))
        scope: dict[str, str] = {}
        for dimension, template in mapping.scope.items():
            scope[dimension] = template.fill(texts)
            if scope[dimension] != ANY and path_fault(scope[dimension]) is not None:
                raise BadCell("import.path_malformed", column=_first(template.columns))
        written = json.dumps(scope, ensure_ascii=False)
        self._scopes.add(written)
        if len(self._scopes) > MAX_SCOPES:
            raise Unusable("import.too_many_scopes", limit=MAX_SCOPES)
        return grantee, mapping.title.fill(texts), channel, written

    def _broken(self, found: Broken, header: Sequence[str], places: dict[str, int]) -> None:
        """Keep a row that is none; its cells tell its case only where all of them are there."""
        column = "" if found.column is None else header[found.column]
        place, cells = places[self._mapping.columns.case], found.cells
        case = None
        if len(cells) == len(header) and found.column not in (None, place):
            case = _text_or_none(cells[place])
            self._lost_ended(case)
        fault = Fault(found.row, found.line, column, found.code, case)
        left = _text_or_none(cells[place]) if place < len(cells) else None
        from_right = len(cells) - (len(header) - place)
        right = _text_or_none(cells[from_right]) if 0 <= from_right < len(cells) else None
        self._refuse(fault, left, right)

    def _refuse(self, fault: Fault, left: str | None, right: str | None) -> None:
        self._spool.refuse(fault)
        if fault.case is not None:
            return
        self._spool.run(
            "INSERT INTO lost VALUES (?, ?, ?, NULL, ?, ?)",
            fault.row,
            fault.line,
            self._spool.last_case,
            left,
            right,
        )
        if self._lost is None:
            self._lost = fault.row

    def _lost_ended(self, case: str | None) -> None:
        """Tell the rows lost since the last sound one which case came after them."""
        if self._lost is None or case is None:
            return
        self._spool.run(
            "UPDATE lost SET after = ? WHERE row >= ?", self._spool.case(case), self._lost
        )
        self._lost = None

    def _find_lost(self) -> None:
        """Break every case that a row whose case cannot be told might belong to.

        A cell that looks like a known case names it, counted from the left or, where cells are
        missing or too many before it, from the right. Else, where the rows of a case stand
        together, it is the case before or after. Where they do not, it could be any: then nothing
        is written."""
        with closing(self._spool.each("SELECT * FROM lost ORDER BY row")) as lost:
            for row, line, before, after, left, right in lost:
                near = {number for number in (before, after) if number is not None}
                named = {number for number in map(self._known, (left, right)) if number is not None}
                if not named and not self._spool.grouped:
                    raise Unusable("import.case_unreadable", line=line, row=row)
                certain = named & near if self._spool.grouped else named
                for number in certain or named | near:
                    self._spool.break_case(number)

    def _known(self, case: str | None) -> int | None:
        if case is None:
            return None
        found = list(self._spool.each("SELECT no FROM cases WHERE name = ?", case))
        return found[0][0] if found else None

    def _find_repeated(self) -> None:
        """Refuse each row whose step id an earlier row has."""
        if self._mapping.columns.id is None:
            return
        spool = self._spool
        spool.run("CREATE INDEX ids ON steps (id, row)")
        spool.run(
            "CREATE TEMP TABLE repeated AS SELECT id, min(row) AS first FROM steps"
            " GROUP BY id HAVING count(*) > 1"
        )
        spool.run(
            "INSERT OR IGNORE INTO faults SELECT s.row, s.line, ?, 'import.step_repeated', c.name"
            " FROM repeated r JOIN steps s ON s.id = r.id AND s.row > r.first"
            " JOIN cases c ON c.no = s.case_no",
            self._mapping.columns.id,
        )
        spool.run(
            "UPDATE cases SET broken = 1 WHERE name IN"
            " (SELECT case_name FROM faults WHERE code = 'import.step_repeated')"
        )
        spool.run("DELETE FROM steps WHERE row IN (SELECT row FROM faults)")

    def _find_too_long(self) -> None:
        """Refuse cases with more steps than one command takes; told at their first row."""
        spool = self._spool
        spool.run(
            "INSERT OR IGNORE INTO faults"
            " SELECT min(s.row), min(s.line), '', 'import.case_too_long', c.name"
            " FROM steps s JOIN cases c ON c.no = s.case_no GROUP BY s.case_no"
            f" HAVING count(*) > {MAX_CASE_STEPS}"
        )
        spool.run(
            "UPDATE cases SET broken = 1 WHERE name IN"
            " (SELECT case_name FROM faults WHERE code = 'import.case_too_long')"
        )
        spool.run("DELETE FROM steps WHERE row IN (SELECT row FROM faults)")


class _Cells(dict[str, str]):
    """The cells of a row by column, looked at when they are asked for."""

    def __init__(self, cells: Sequence[Cell], places: dict[str, int]) -> None:
        super().__init__()
        self._cells = cells
        self._places = places

    def __missing__(self, column: str) -> str:
        try:
            found = _text(self._cells[self._places[column]])
        except BadCell as fault:
            raise BadCell(fault.code, column=column) from None
        self[column] = found
        return found


def _text(cell: Cell) -> str:
    """Return a cell as it is used: NFC, without white space around it. Raises `BadCell`."""
    text = cell.strip() if isinstance(cell, str) else cell.isoformat()
    if not text:
        raise BadCell("import.cell_empty")
    if len(text) > MAX_CELL:
        raise BadCell("import.cell_too_long")
    if not text.isascii():
        text = unicodedata.normalize("NFC", text)
    if _UNSAFE.search(text):
        raise BadCell("import.cell_unsafe")
    return text


def _text_or_none(cell: Cell) -> str | None:
    try:
        return _text(cell)
    except BadCell:
        return None


def _first(columns: Sequence[str]) -> str:
    return columns[0] if columns else ""
