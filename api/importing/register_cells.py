"""The cells of a register: what stands in each, and why one cannot be used."""

from __future__ import annotations

import re
import unicodedata
from datetime import UTC, date, datetime, time, timedelta, tzinfo
from typing import Final, Literal, NamedTuple

from stdnum.cn import ric, uscc
from stdnum.exceptions import InvalidChecksum, InvalidLength, ValidationError

from api.identifiers import telephone
from api.importing.faults import MAX_CELL, BadCell
from api.importing.instants import microseconds
from api.importing.register_columns import Column
from api.importing.register_points import Points
from domain import numbers
from domain.codes import MAX_CODE
from domain.errors import Refused
from domain.scopes import ANY, MAX_PATTERNS, path_fault
from domain.values import Names

MAX_SCOPE_CELL: Final = 32_767
"""Longest cell with points in it, in characters: what a workbook's cell holds."""

MOST_DIGITS: Final = 10**15
"""From here on a workbook's number has lost digits: it keeps fifteen."""

FIRST_YEAR: Final = 1950
LAST_YEAR: Final = 2200

COMMENT: Final = "#"
"""A row whose first cell begins so is none: the example of the template is such a row."""

_SPLIT = re.compile(r"[;；、\n]+")
_ROUNDED = re.compile(r"[0-9](\.[0-9]+)?[eE]\+?[0-9]{1,3}")
_DIALLED = re.compile(r"\+[0-9(]")
_ERRORS: Final = frozenset(
    {
        "#REF!", "#N/A", "#VALUE!", "#DIV/0!", "#NAME?", "#NUM!", "#NULL!", "#SPILL!", "#CALC!",
        "#GETTING_DATA",
    }
)  # fmt: skip
_CUT = re.compile("#{3,}")
"""What a workbook shows where a column is too narrow, and writes into a text saved from it."""

# What cannot be seen or stored; breaks of lines are looked at apart.
_UNSAFE = re.compile("[\x00-\x09\x0b\x0c\x0e-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff\ufffe\uffff]")
_DATES = (
    re.compile(r"([0-9]{4})-([0-9]{1,2})-([0-9]{1,2})"),
    re.compile(r"([0-9]{4})/([0-9]{1,2})/([0-9]{1,2})"),
    re.compile(r"([0-9]{4})\.([0-9]{1,2})\.([0-9]{1,2})"),
    re.compile(r"([0-9]{4})年([0-9]{1,2})月([0-9]{1,2})日"),
    re.compile(r"([0-9]{4})([0-9]{2})([0-9]{2})"),
)
_MIDNIGHT = re.compile(r"(.*[^ T])[ T]0{1,2}:00(:00(\.0+)?)?")
_TIME = re.compile(r".*[^ T][ T][0-9]{1,2}:[0-9]{2}.*")

Bound = Literal["from", "until"]


class Identity(NamedTuple):
    """Who a customer is: by its USCC, or by an identity card number."""

    form: Literal["organization", "person"]
    number: str


def is_comment(cells: list[str]) -> bool:
    """Tell whether the texts of a row are a comment: the first begins with #, and is no error."""
    first = next((cell for cell in cells if cell), "")
    plain = unicodedata.normalize("NFKC", first)
    return plain.startswith(COMMENT) and not _is_error(plain)


def text_of(cell: object, column: Column) -> str:
    """Return a cell as text: NFC, no white space around it, "" where it is empty.

    Raises `BadCell`: `register.cell_error`, `register.cell_lost_digits`, `register.cell_is_date`,
    `register.cell_formula_text`, `import.cell_too_long`, `import.cell_unsafe`."""
    match cell:
        case str():
            text = cell.strip()
        case bool():
            text = str(cell).upper()
        case int() | float():
            return _number(cell)
        case date() | time() | timedelta():
            raise BadCell("register.cell_is_date")
        case _:
            text = str(cell).strip()
    if not text:
        return ""
    if _is_error(text):
        raise BadCell("register.cell_error", value=text)
    if len(text) > (MAX_SCOPE_CELL if column.dimension else MAX_CELL):
        raise BadCell("import.cell_too_long")
    if text[0] in "=+@" and not (column.code == "phone" and _DIALLED.match(text)):
        raise BadCell("register.cell_formula_text", sign=text[0])
    if column.written and _ROUNDED.fullmatch(text):
        raise BadCell("register.cell_lost_digits", value=text)
    text = text.replace("\r\n", "\n").replace("\r", "\n")
    if _UNSAFE.search(text) or ("\n" in text and column.dimension is None):
        raise BadCell("import.cell_unsafe")
    return text if text.isascii() else unicodedata.normalize("NFC", text)


def _is_error(text: str) -> bool:
    return text in _ERRORS or _CUT.fullmatch(text) is not None


def _number(cell: float) -> str:
    if abs(cell) >= MOST_DIGITS:
        raise BadCell("register.cell_lost_digits", value=f"{cell:.2E}")
    return str(int(cell)) if float(cell).is_integer() else str(cell)


def identity_of(code: str, card: str) -> Identity | None:
    """Return who it is by the one of both texts that is there; None where neither is.

    Raises `BadCell`: `register.uscc_length`, `register.uscc_characters`, `register.uscc_check`,
    `register.identity_malformed`."""
    if code:
        return Identity("organization", _credit_code(_compact(code)))
    if card:
        try:
            return Identity("person", ric.validate(_compact(card)))
        except ValidationError:
            raise BadCell("register.identity_malformed") from None
    return None


def _compact(text: str) -> str:
    return re.sub(r"[\s-]", "", unicodedata.normalize("NFKC", text)).upper()


def _credit_code(text: str) -> str:
    try:
        return uscc.validate(text)
    except InvalidLength:
        raise BadCell("register.uscc_length", length=len(text)) from None
    except InvalidChecksum:
        raise BadCell("register.uscc_check") from None
    except ValidationError:
        raise BadCell("register.uscc_characters") from None


def patterns_of(text: str, points: Points) -> tuple[str, ...]:
    """Return the patterns that a cell names, by path or by name, in its order.

    Raises `BadCell`: `register.scope_empty`, `register.patterns_too_many`,
    `register.pattern_malformed`, `register.point_unknown`, `register.point_ambiguous`,
    `register.point_ended`, `register.point_planned`."""
    parts = [part.strip() for part in _SPLIT.split(text)]
    named = [part for part in parts if part]
    if not named:
        raise BadCell("register.scope_empty")
    if len(named) > MAX_PATTERNS:
        raise BadCell("register.patterns_too_many", limit=MAX_PATTERNS)
    return tuple(_pattern(part, points) for part in named)


def _pattern(text: str, points: Points) -> str:
    if unicodedata.normalize("NFKC", text) == ANY:
        return ANY
    found = points.named(text)
    if len(found) > 1:
        raise BadCell("register.point_ambiguous", value=text, paths=tuple(sorted(found)[:5]))
    if not found:
        code = "point_unknown" if path_fault(text) is None else "pattern_malformed"
        raise BadCell(f"register.{code}", value=text)
    [path] = found
    status = points.status(path)
    if status != "standing":
        raise BadCell(f"register.point_{status}", value=text)
    return path


def day_of(cell: object, bound: Bound) -> date | None:
    """Return the day in a cell, None where it is empty.

    Raises `BadCell`: `register.from_no_date`, `register.until_no_date`, `register.date_with_time`,
    `register.date_out_of_range`, `register.cell_error`, `register.cell_formula_text`."""
    if isinstance(cell, datetime):
        if cell.time() != time():
            raise BadCell("register.date_with_time")
        found = cell.date()
    elif isinstance(cell, date):
        found = cell
    else:
        text = text_of(cell, _DAY) if isinstance(cell, str) else str(cell)
        if not text:
            return None
        found = _read(unicodedata.normalize("NFKC", text), bound)
    if not FIRST_YEAR <= found.year <= LAST_YEAR:
        raise BadCell("register.date_out_of_range", first=FIRST_YEAR, last=LAST_YEAR)
    return found


_DAY: Final = Column("day", Names("日期", "Day"))


def _read(text: str, bound: Bound) -> date:
    midnight = _MIDNIGHT.fullmatch(text)
    if midnight is not None:
        text = midnight[1]
    elif _TIME.fullmatch(text):
        raise BadCell("register.date_with_time")
    for pattern in _DATES:
        parts = pattern.fullmatch(text)
        if parts is not None:
            try:
                return date(*map(int, parts.groups()))
            except ValueError:
                break
    raise BadCell(f"register.{bound}_no_date")


def begins(day: date, zone: tzinfo) -> int:
    """Return when a day begins in a zone, in microseconds since 1970 in UTC."""
    return microseconds(
        datetime(day.year, day.month, day.day, tzinfo=zone).astimezone(UTC), None, UTC
    )


def number_of(text: str) -> str:
    """Return a grant's number as it is written; one of ours in its usual form.

    Raises `BadCell`: `register.number_too_long`, `register.number_malformed`."""
    if len(text) > MAX_CODE:
        raise BadCell("register.number_too_long", limit=MAX_CODE)
    if any(sign.isspace() or unicodedata.category(sign) == "Cf" or sign == "*" for sign in text):
        raise BadCell("register.number_malformed")
    try:
        return numbers.parse(text)
    except numbers.NumberFault as fault:
        if fault.code == "check":
            raise BadCell("register.number_malformed") from None
        return text


def phone_of(text: str) -> str:
    """Return a telephone number in E.164. Raises `BadCell` `register.phone_malformed`."""
    try:
        return telephone(text)
    except Refused:
        raise BadCell("register.phone_malformed") from None
