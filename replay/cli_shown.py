"""How the command line shows things: aligned columns for people, JSON for programs."""

from __future__ import annotations

import json
import re
import sys
import unicodedata
from collections.abc import Generator, Iterable, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Annotated, Any, Final, cast

import typer

FINE: Final = 0
FINDINGS: Final = 1
"""Something was found, or the rules say no."""
USAGE: Final = 2
"""The arguments or the settings are not right."""
UNREACHABLE: Final = 3
"""The database or the service cannot be reached, or is not fit to be used."""
FAULT: Final = 70
"""A fault of this program (EX_SOFTWARE)."""

_OBEYED: Final = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")

Json = Annotated[bool, typer.Option("--json")]


def line(text: str = "") -> None:
    """Print one line of the answer."""
    sys.stdout.write(harmless(text) + "\n")
    sys.stdout.flush()


def aside(text: str) -> None:
    """Print one line that is not the answer, to standard error."""
    sys.stderr.write(harmless(text) + "\n")
    sys.stderr.flush()


def harmless(text: str) -> str:
    """Return a text in which what a terminal would obey is spelled out: names in a bundle are those
    of whoever made it, and could otherwise write over what was said of it. JSON stays what it is.
    """
    return _OBEYED.sub(lambda one: f"\\u{ord(one[0]):04x}", text)


def document(value: Any) -> None:
    """Print the answer as JSON."""
    line(json.dumps(plain(value), ensure_ascii=False, indent=2))


def plain(value: Any) -> Any:
    """Return a value as JSON holds it: instants as RFC 3339, ids as text."""
    match value:
        case None | bool() | int() | float() | str():
            return value
        case datetime():
            return value.astimezone(UTC).isoformat().replace("+00:00", "Z")
        case Mapping():
            pairs = cast(Mapping[Any, Any], value)
            return {str(key): plain(one) for key, one in pairs.items()}
        case list() | tuple() | set() | frozenset():
            return [plain(one) for one in cast(Iterable[Any], value)]
        case _:
            return str(value)


def instant(value: datetime | None) -> str:
    """Return an instant for people: UTC, to the second; nothing for none."""
    if value is None:
        return ""
    return value.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%SZ")


def table(headings: Sequence[str] | None, rows: Iterable[Sequence[object]]) -> None:
    """Print aligned columns, under headings if any; numbers stand to the right."""
    cells = [[_cell(one) for one in row] for row in rows]
    if not cells:
        return
    numeric = [all(cell.isdigit() for cell in column) for column in zip(*cells, strict=True)]
    shown = cells if headings is None else [list(headings), *cells]
    widths = [max(map(width, column)) for column in zip(*shown, strict=True)]
    for row in shown:
        padded = [
            _padded(cell, size, right=right)
            for cell, size, right in zip(row, widths, numeric, strict=True)
        ]
        line("  ".join(padded).rstrip())


def pairs(rows: Iterable[tuple[str, object]]) -> None:
    """Print names and values, one pair a line; a value of several lines stays in its column."""
    known = [(name, _cell(value)) for name, value in rows]
    size = max((width(name) for name, _ in known), default=0)
    for name, value in known:
        first, *more = value.split("\n")
        line(f"{_padded(name, size, right=False)}  {first}".rstrip())
        for one in more:
            line(f"{' ' * size}  {one}".rstrip())


def width(text: str) -> int:
    """Return how many columns of a terminal a text takes; a Chinese character takes two."""
    return sum(2 if unicodedata.east_asian_width(sign) in "WF" else 1 for sign in text)


def _padded(text: str, size: int, *, right: bool) -> str:
    space = " " * (size - width(text))
    return space + text if right else text + space


def _cell(value: object) -> str:
    if isinstance(value, datetime):
        return instant(value)
    return "" if value is None else str(value)


@contextmanager
def working(text: str) -> Generator[None]:
    """Show on a terminal that something takes its time; elsewhere nothing."""
    if not sys.stderr.isatty():
        yield
        return
    from rich.console import Console

    with Console(stderr=True).status(text):
        yield
