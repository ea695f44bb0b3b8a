"""One row, from the database or from a fold, in a form in which equal values are equal."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, Final
from uuid import UUID

import msgspec

Row = dict[str, Any]

_encoder = msgspec.json.Encoder()
_EPOCH: Final = datetime(2000, 1, 1, tzinfo=UTC)
CYCLE_YEARS: Final = 400
"""After so many years the calendar is the same again."""

_CYCLE: Final = timedelta(days=146_097)
_FAR: Final = re.compile(r"([0-9]{4,6})(-[0-9]{2}-[0-9]{2}[T ].*?)( BC)?")
_SPAN: Final = re.compile(r'[\[(]"?([^",]*)"?,"?([^",\])]*)"?[\])]')


def as_written(rows: Iterable[Mapping[str, Any]]) -> list[Row]:
    """Return folded rows as the database is handed them: strings, numbers, lists, objects."""
    return msgspec.json.decode(_encoder.encode(list(rows)))


def comparable(columns: Mapping[str, str], row: Row) -> tuple[Any, ...]:
    """Return the values of a row in the order of `columns` (column -> type in the database)."""
    return tuple(
        None if (value := row.get(name)) is None else _AS[kind](value)
        for name, kind in columns.items()
    )


def _instant(value: str) -> object:
    """Instants are written with one zone or another, and some have no year that is a year here:
    imported history says "never" with the last second of 9999, which in another zone is later.

    Infinity, and what is no instant at all, is itself: a row is to be told, it may not stop whoever
    compares.
    """
    try:
        return datetime.fromisoformat(value) - _EPOCH
    except (ValueError, TypeError):
        return _far(value)


def _far(value: str) -> object:
    found = _FAR.fullmatch(value)
    if found is None:
        return value
    year = 1 - int(found[1]) if found[3] else int(found[1])
    turns, year = divmod(year, CYCLE_YEARS)
    try:
        near = datetime.fromisoformat(f"{year + 2 * CYCLE_YEARS:04}{found[2]}")
        return near - _EPOCH + (turns - 2) * _CYCLE
    except (ValueError, TypeError):
        return value


def _spans(value: str) -> object:
    """Return the bounds of a multirange; an open one is infinity, or nothing."""
    found: list[list[Any]] = []
    bounds = [(_bound(low), _bound(high)) for low, high in _SPAN.findall(value)]
    for low, high in sorted(bounds, key=lambda one: _place(one[0])):
        if found and found[-1][1] == low:
            found[-1][1] = high  # the database joins what touches
        else:
            found.append([low, high])
    return found


def _bound(text: str) -> object:
    return _instant(text) if text else None


def _place(bound: object) -> timedelta:
    if isinstance(bound, timedelta):
        return bound
    return timedelta.max if bound == "infinity" else timedelta.min


def _same(value: Any) -> object:
    return value


_AS: Final[Mapping[str, Callable[[Any], object]]] = {
    "text": _same,
    "text[]": _same,
    "jsonb": _same,
    "integer": _same,
    "bigint": _same,
    "boolean": _same,
    "timestamptz": _instant,
    "uuid": lambda value: UUID(value),
    "tstzmultirange": _spans,
}
