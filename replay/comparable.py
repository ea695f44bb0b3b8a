"""One row, from the database or from a fold, in a form in which equal values are equal."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from typing import Any, Final
from uuid import UUID

import msgspec

Row = dict[str, Any]

_encoder = msgspec.json.Encoder()
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
    """Instants are written with one zone or another; infinity is one of them, and whatever a row
    says that no calendar here has: such a row was written by nobody, and must be told, not stop who
    compares.
    """
    try:
        return datetime.fromisoformat(value)
    except ValueError:
        return value


def _spans(value: str) -> object:
    """Return the bounds of a multirange; an open one is infinity, or nothing."""
    found: list[list[Any]] = []
    for low, high in sorted(_SPAN.findall(value), key=lambda one: str(_bound(one[0]))):
        if found and found[-1][1] == _bound(low):
            found[-1][1] = _bound(high)  # the database joins what touches
        else:
            found.append([_bound(low), _bound(high)])
    return found


def _bound(text: str) -> object:
    return _instant(text) if text else None


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
