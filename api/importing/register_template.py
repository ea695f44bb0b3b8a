"""A workbook for a register to be filled in: its columns, an example, what may stand where."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, datetime
from pathlib import Path
from typing import Any, Final, NamedTuple

import xlsxwriter  # pyright: ignore[reportMissingTypeStubs]
from xlsxwriter.exceptions import FileCreateError  # pyright: ignore[reportMissingTypeStubs]
from xlsxwriter.format import Format  # pyright: ignore[reportMissingTypeStubs]
from xlsxwriter.worksheet import Worksheet  # pyright: ignore[reportMissingTypeStubs]

from api.importing.register_cells import COMMENT, FIRST_YEAR, LAST_YEAR
from api.importing.register_columns import (
    FROM,
    IDENTITY,
    MARK,
    NUMBER,
    UNTIL,
    USCC,
    Column,
    compared,
    letters,
)
from api.importing.register_plan import Ruling, columns_of
from api.importing.register_points import Points
from api.importing.words import word
from api.texts import Language
from domain.catalogue import Catalogue, find, points
from domain.codes import MAX_CODE
from domain.values import Instant

ROWS: Final = 10_000
"""Rows below the heading that have their formats and lists; more may be filled in all the same."""

MAX_POINTS: Final = 20_000
"""Points of a dimension that are listed."""

_WIDTHS: Final[Mapping[str, int]] = {"name": 34, "uscc": 24, "identity": 24, "number": 22}
_CODES_FROM: Final = 5
"""Column of the second sheet at which the lists of codes begin."""

EXAMPLE: Final[Mapping[str, str]] = {
    "name": "示例茶行（上海）有限公司",
    "uscc": "91310000MA1FL00000",
    "number": "2026-0017",
    "contact": "王小明",
    "phone": "021-5555 0100",
}
"""An example that nobody can mistake for a customer: its code has a wrong check character."""


class _Formats(NamedTuple):
    heading: Format
    needed: Format
    text: Format
    day: Format
    example: Format
    example_day: Format
    title: Format
    wrapped: Format


class _List(NamedTuple):
    """Where a dimension's points stand on the second sheet: a range, and the first of them."""

    source: str
    first: str


def write_template(path: Path, found: Ruling, at: Instant, language: Language) -> None:
    """Write the workbook. Raises `OSError` where the file cannot be written."""
    book: Any = xlsxwriter.Workbook(
        str(path), {"strings_to_formulas": False, "strings_to_numbers": False}
    )
    formats = _formats(book)
    register: Worksheet = book.add_worksheet(word("template.register", language))
    explained: Worksheet = book.add_worksheet(word("template.explained", language))
    lists = _explained(explained, found, at, language, formats)
    _register(register, found, at, language, formats, lists)
    try:
        book.close()
    except FileCreateError as fault:
        raise OSError(*getattr(fault.args[0], "args", (str(fault),))) from fault


def _formats(book: Any) -> _Formats:
    plain = {"font_name": "Arial", "font_size": 10, "valign": "top"}
    grey = {"italic": True, "font_color": "#7f7f7f"}
    day = {"num_format": "yyyy-mm-dd", "align": "left"}
    heading = plain | {"bold": True, "bg_color": "#dfe8e2", "bottom": 1}
    made = (
        heading,
        heading | {"bg_color": "#bcd5c4"},
        plain | {"num_format": "@"},
        plain | day,
        plain | grey | {"num_format": "@"},
        plain | grey | day,
        plain | {"bold": True},
        plain | {"text_wrap": True},
    )
    return _Formats(*map(book.add_format, made))


# --- the sheet to be filled in --------------------------------------------------------------------


def _register(
    sheet: Worksheet,
    found: Ruling,
    at: Instant,
    language: Language,
    formats: _Formats,
    lists: Mapping[str, _List],
) -> None:
    days = {FROM.code, UNTIL.code}
    for place, column in enumerate(columns_of(found).all):
        is_day = column.code in days
        sheet.set_column(place, place, _WIDTHS.get(column.code, 18), formats.text)
        if is_day:
            sheet.set_column(place, place, 13, formats.day)
        heading = formats.needed if column.needed else formats.heading
        sheet.write_string(0, place, _heading(column, language), heading)
        if is_day:
            day = (1, 1) if column is FROM else (12, 31)
            sheet.write_datetime(1, place, datetime(at.year, *day), formats.example_day)  # noqa: DTZ001
        else:
            text = EXAMPLE.get(column.code, "")
            if column.dimension is not None:
                text = lists[column.dimension].first
            if place == 0:
                text = f"{COMMENT} {text}"
            sheet.write_string(1, place, text, formats.example)
        rule = _rule(column, language, lists)
        if rule is not None:
            sheet.data_validation(1, place, ROWS, place, rule)
    sheet.freeze_panes(1, 1)
    sheet.set_row(0, 20)


def _heading(column: Column, language: Language) -> str:
    return getattr(column.names, language) + (MARK if column.needed else "")


def _rule(column: Column, language: Language, lists: Mapping[str, _List]) -> dict[str, Any] | None:
    """Return how a workbook helps to fill a column; it warns, and forbids nothing."""
    if column.dimension is not None:
        source = lists[column.dimension].source
        rule = {"validate": "list", "source": source, "show_error": False}
        return rule if source else None
    warned = {"error_type": "warning", "error_message": _explains(column, language)[:255]}
    match column.code:
        case FROM.code | UNTIL.code:
            bounds = {"minimum": date(FIRST_YEAR, 1, 1), "maximum": date(LAST_YEAR, 12, 31)}
            return warned | {"validate": "date", "criteria": "between"} | bounds
        case USCC.code | IDENTITY.code:
            return warned | {"validate": "length", "criteria": "==", "value": 18}
        case NUMBER.code:
            return warned | {"validate": "length", "criteria": "<=", "value": MAX_CODE}
        case _:
            return None


# --- the sheet that explains ----------------------------------------------------------------------


def _explained(
    sheet: Worksheet, found: Ruling, at: Instant, language: Language, formats: _Formats
) -> dict[str, _List]:
    sheet.set_column(0, 0, 26)
    sheet.set_column(1, 1, 11)
    sheet.set_column(2, 2, 70)
    sheet.write_string(0, 0, word("template.columns", language), formats.title)
    for place, code in enumerate(("column", "needed", "what")):
        sheet.write_string(1, place, word(f"template.{code}", language), formats.heading)
    row = 2
    for column in columns_of(found).all:
        needed = "yes" if column.needed else "one_of" if column in (USCC, IDENTITY) else "no"
        sheet.write_string(row, 0, _heading(column, language), formats.wrapped)
        sheet.write_string(row, 1, word(f"template.{needed}", language), formats.wrapped)
        sheet.write_string(row, 2, _explains(column, language), formats.wrapped)
        row += 1
    row += 1
    sheet.write_string(row, 0, word("template.rules", language), formats.title)
    for number in range(1, 6):
        text = word(f"template.rule.{number}", language, days=found.body.longest_days)
        sheet.merge_range(row + number, 0, row + number, 2, text, formats.wrapped)
        sheet.set_row(row + number, 30)
    row += 7
    sheet.write_string(row, 0, word("template.actions", language), formats.title)
    for number, rule in enumerate(found.body.actions, 1):
        sheet.write_string(row + number, 0, rule.action, formats.wrapped)
        sheet.write_string(row + number, 2, getattr(rule.names, language), formats.wrapped)
    lists: dict[str, _List] = {}
    left = _CODES_FROM - 1
    for column in columns_of(found).dimensions:
        dimension = column.dimension or ""
        lists[dimension] = _points(sheet, left, column, found, at, language, formats)
        left += 5
    sheet.freeze_panes(2, 0)
    return lists


def _points(
    sheet: Worksheet,
    left: int,
    column: Column,
    found: Ruling,
    at: Instant,
    language: Language,
    formats: _Formats,
) -> _List:
    """List a dimension's points that may be named now; return where they stand."""
    dimension = column.dimension or ""
    known = Points(found.catalogue, dimension, at)
    sheet.write_string(0, left, getattr(column.names, language), formats.title)
    for place, code in enumerate(("write", "path", "zh", "en")):
        sheet.write_string(1, left + place, word(f"template.{code}", language), formats.heading)
        sheet.set_column(left + place, left + place, 20)
    row, first = 2, "*"
    for path, point in points(found.catalogue, dimension):
        if known.status(path) != "standing" or row >= MAX_POINTS + 2:
            continue
        written = _written(path, found.catalogue, dimension, known, language)
        first = written if row == 2 else first
        for place, text in enumerate((written, path, point.names.zh, point.names.en)):
            sheet.write_string(row, left + place, text, formats.text)
        row += 1
    if row == 2:
        return _List("", first)
    column_name = f"${letters(left)}"
    return _List(f"='{sheet.get_name()}'!{column_name}$3:{column_name}${row}", first)


def _written(path: str, known: Catalogue, dimension: str, named: Points, language: Language) -> str:
    """Return the shortest that means this point alone: its name, with those above it where it must
    be, else its path."""
    segments = path.split("/")
    names: list[str] = []
    for depth in range(len(segments), 0, -1):
        point = find(known, dimension, "/".join(segments[:depth]))
        if point is None:
            break
        name: str = getattr(point.names, language)
        names.insert(0, name)
        text = "/".join(names)
        plain = not any(sign in text for sign in ";；、\n") and compared(text) != "*"
        if plain and "/" not in name and named.named(text) == frozenset({path}):
            return text
    return path


def _explains(column: Column, language: Language) -> str:
    if column.dimension is not None:
        return word("template.about.scope", language)
    return word(f"template.about.{column.code}", language)
