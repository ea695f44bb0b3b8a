"""From a register's rows to entries: each cell looked at, every problem of a row told."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from datetime import date, timedelta
from typing import Any, Final, TypeVar

from api.importing.faults import MAX_CELL, BadCell, Unusable
from api.importing.instants import microseconds
from api.importing.register_cells import (
    Bound,
    Identity,
    begins,
    day_of,
    identity_of,
    is_comment,
    number_of,
    patterns_of,
    phone_of,
    text_of,
)
from api.importing.register_columns import (
    CONTACT,
    FROM,
    IDENTITY,
    NAME,
    NUMBER,
    PHONE,
    UNTIL,
    USCC,
    Column,
    Columns,
    Heading,
    Laid,
    compared,
    letters,
)
from api.importing.register_faults import (
    WHOLE_ROW,
    BadHeadings,
    CellFault,
    Problem,
)
from api.importing.register_plan import Plan
from api.importing.register_points import Points
from api.importing.register_reading import Line, Sheet, Unread
from api.importing.register_spool import Entry, RegisterSpool, nothing
from api.normal_forms import normal_form
from domain.scopes import normal

REPORT_EVERY: Final = 2_000
"""Rows between two words of progress."""

CACHED_CELLS: Final = 20_000
"""Short cells with points in them that are remembered as read: registers repeat them."""

_DAY: Final = timedelta(days=1)

Found = TypeVar("Found")


def laid(sheet: Sheet, columns: Columns) -> Laid:
    """Return which column stands where.

    Raises `BadHeadings` with every fault of the heading row."""
    found = columns.laid([str(text) for text in sheet.headings])
    row = sheet.heading_row
    faults = [
        CellFault(row, letters(one.place), one.text, f"register.{code}", {"heading": one.text})
        for code, some in (("column_unknown", found.unknown), ("column_twice", found.twice))
        for one in some
    ]
    faults += [
        CellFault(row, "", "", "register.column_missing", {"zh": one.names.zh, "en": one.names.en})
        for one in columns.missing(found)
    ]
    if faults:
        raise BadHeadings(tuple(faults))
    return found


class RegisterIntake:
    """Takes rows into a spool. `rows` counts them all, `comments` those that are none."""

    def __init__(
        self,
        plan: Plan,
        points: Mapping[str, Points],
        spool: RegisterSpool,
    ) -> None:
        """`points`: those of each dimension of the policy."""
        self._plan = plan
        self._places = plan.laid.places
        self._points = points
        self._spool = spool
        self._now = microseconds(plan.now, None, None)
        self._read: dict[tuple[str, str], tuple[str, ...]] = {}
        self.rows = self.comments = 0

    def take(self, sheet: Sheet, tell: Callable[[], None]) -> None:
        """Read every row. Raises `Unusable`: `import.file_empty`."""
        for found in sheet.rows:
            if isinstance(found, Unread):
                self.rows += 1
                place = WHOLE_ROW if found.place is None else found.place
                self._spool.refuse(Problem(found.row, place, found.code))
                self._spool.add(nothing(found.row), None)
            elif is_comment([_shown(cell) for cell in found.cells]):
                self.comments += 1
            else:
                self.rows += 1
                self._line(found)
            if self.rows % REPORT_EVERY == 0:
                tell()
        if self.rows == 0:
            raise Unusable("import.file_empty")
        self._spool.judge()

    def _line(self, line: Line) -> None:
        row = _Row(line, self._places, self._spool)
        _beyond(line, self._places, row)
        name = row.text(NAME)
        if name == "":
            row.refuse(NAME, "register.name_missing")
        who = self._identity(row)
        scope = self._scope(row)
        starts, ends = self._term(row)
        number = row.read(NUMBER, lambda text: number_of(text) if text else "")
        contact = row.text(CONTACT) or ""
        phone = row.read(PHONE, lambda text: phone_of(text) if text else "") or ""
        entry = Entry(
            line.row,
            None if who is None else who.form,
            None if who is None else who.number,
            name or None,
            None if name is None else compared(name),
            scope,
            starts,
            ends,
            number or None,
            contact,
            phone,
        )
        self._spool.add(entry, normal_form("grant_number", number) if number else None)

    def _identity(self, row: _Row) -> Identity | None:
        """Return who it is. A USCC and a card number in one row could be two customers."""
        code, card = row.text(USCC), row.text(IDENTITY)
        if code is None or card is None:
            return None
        if code and card:
            row.refuse(IDENTITY, "register.identifier_twice")
            return None
        if not code and not card:
            row.refuse(
                USCC if USCC.code in self._places else IDENTITY, "register.identifier_missing"
            )
            return None
        column = USCC if code else IDENTITY
        return row.tried(column, lambda: identity_of(code, card))

    def _scope(self, row: _Row) -> str | None:
        scope: dict[str, tuple[str, ...]] = {}
        for column in self._plan.columns.dimensions:
            patterns = row.read(column, lambda text, known=column: self._patterns(known, text))
            if patterns is not None and column.dimension is not None:
                scope[column.dimension] = patterns
        if len(scope) < len(self._plan.columns.dimensions):
            return None
        return json.dumps(normal(scope), ensure_ascii=False)

    def _patterns(self, column: Column, text: str) -> tuple[str, ...]:
        key = (column.code, text)
        found = self._read.get(key)
        if found is None:
            found = patterns_of(text, self._points[column.dimension or ""])
            if len(text) <= MAX_CELL:
                if len(self._read) >= CACHED_CELLS:
                    self._read.clear()
                self._read[key] = found
        return found

    def _term(self, row: _Row) -> tuple[int | None, int | None]:
        """Return when it begins and ends; the day in the column "until" is its last."""
        from_, until = row.day(FROM, "from"), row.day(UNTIL, "until")
        ends = None if until is None else begins(until + _DAY, self._plan.zone)
        starts = None if from_ is None else begins(from_, self._plan.zone)
        if from_ is not None and until is not None and until < from_:
            row.refuse(UNTIL, "register.until_before_from")
            return None, None
        if ends is not None and ends <= self._now:
            row.refuse(UNTIL, "register.term_over")
        if starts is not None and ends is not None:
            longest = self._plan.body.longest_days
            if ends - starts > longest * 86_400_000_000:
                row.refuse(UNTIL, "register.term_too_long", days=longest)
        return starts, ends


class _Row:
    """One row while it is read: gives its cells, keeps what is wrong with them."""

    def __init__(self, line: Line, places: Mapping[str, Heading], spool: RegisterSpool) -> None:
        self._line = line
        self._places = places
        self._spool = spool

    def refuse(self, column: Column, code: str, **params: Any) -> None:
        """Keep a problem at a cell of this row."""
        self.refuse_at(self._places[column.code].place, code, **params)

    def refuse_at(self, place: int, code: str, **params: Any) -> None:
        self._spool.refuse(Problem(self._line.row, place, code, params))

    def tried(self, column: Column, read: Callable[[], Found]) -> Found | None:
        """Return what is read, None where the cell cannot be used: then that is kept."""
        try:
            return read()
        except BadCell as fault:
            self.refuse(column, fault.code, **fault.params)
            return None

    def text(self, column: Column) -> str | None:
        """Return a cell's text, "" where the file has no such column, None where it is none."""
        return self.tried(column, lambda: text_of(self._cell(column), column))

    def read(self, column: Column, read: Callable[[str], Found]) -> Found | None:
        """Return what a cell's text is read as."""
        return self.tried(column, lambda: read(text_of(self._cell(column), column)))

    def day(self, column: Column, bound: Bound) -> date | None:
        """Return the day in a cell; an empty one is a problem too."""

        def read() -> date:
            found = day_of(self._cell(column), bound)
            if found is None:
                raise BadCell(f"register.{bound}_missing")
            return found

        return self.tried(column, read)

    def _cell(self, column: Column) -> object:
        heading = self._places.get(column.code)
        if heading is None:
            return ""
        if heading.place in self._line.formulas:
            raise BadCell("register.cell_formula")
        cells = self._line.cells
        return cells[heading.place] if heading.place < len(cells) else ""


def _beyond(line: Line, places: Mapping[str, Heading], row: _Row) -> None:
    """Refuse what stands in a column without a heading: nobody can tell what it is."""
    named = {heading.place for heading in places.values()}
    for place, cell in enumerate(line.cells):
        if place not in named and _shown(cell):
            row.refuse_at(place, "register.cell_without_heading")


def _shown(cell: object) -> str:
    return cell.strip() if isinstance(cell, str) else str(cell)
