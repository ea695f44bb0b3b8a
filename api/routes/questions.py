"""What every GET has in common: how new it must be, that the past is not offered, pages and CSV."""

from __future__ import annotations

import asyncio
import csv
import io
import time
from collections.abc import Iterable, Sequence
from typing import Annotated, Any, Final, Protocol, cast
from urllib.parse import urlencode

import msgspec

from api import cursors
from api.problems import Answered
from api.routes.operations import Call, answered
from api.shapes import When
from domain.errors import Refused

PAGE: Final = 100
"""Rows of a page where nothing is said."""

MAX_PAGE: Final = 1000
POLL_SECONDS: Final = 0.02
"""Between two looks at whether a position has been reached."""

Limit = Annotated[int, msgspec.Meta(ge=1, le=MAX_PAGE)]
MAX_POSITION: Final = 2**62
Position = Annotated[int, msgspec.Meta(ge=0, le=MAX_POSITION)]


class Question(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`at_least`: answer no sooner than this position is seen.

    `as_of`: by what was known then, a position of the log or an instant. `at`: by the clock at that
    instant. `happened`: by the acts alone that happened at or before it.
    """

    at_least: Position | None = None
    as_of: Position | When | None = None
    at: When | None = None
    happened: When | None = None

    def refuse_past(self) -> None:
        """Raises `Refused` `as_of.unavailable`, for an operation that asks nothing of the past."""
        for way in ("as_of", "at", "happened"):
            if getattr(self, way) is not None:
                raise Refused("as_of.unavailable", parameter=way)


class ListQuestion(Question, frozen=True, kw_only=True):
    """A page of a list: `limit` rows behind `cursor`."""

    limit: Limit = PAGE
    cursor: str | None = None

    def filters(self) -> dict[str, Any]:
        """Return everything of the list's own that says which rows there are."""
        common = {"at_least", "as_of", "at", "happened", "limit", "cursor"}
        pairs = msgspec.structs.asdict(self)
        return {name: value for name, value in pairs.items() if name not in common}

    def bound(self) -> dict[str, Any]:
        """Return what the cursor is bound to: the filters, and what is asked of the past."""
        ways = {"as_of": self.as_of, "at": self.at, "happened": self.happened}
        return self.filters() | {way: one for way, one in ways.items() if one is not None}

    def asked(self) -> dict[str, str]:
        """Return what the cursor is bound to as it stands in a query: by the names there, as
        texts.
        """
        names = {one.name: one.encode_name for one in msgspec.structs.fields(self)}
        values = {name: value for name, value in self.bound().items() if value is not None}
        return {names[name]: _as_text(value) for name, value in values.items()}


class Looked(Protocol):
    """What an answer says of the past it looked at."""

    def told(self) -> dict[str, Any]: ...
    def headers(self) -> list[tuple[bytes, bytes]]: ...
    def pins(self) -> list[Any]: ...


async def reached(call: Call, at_least: int | None) -> int:
    """Return the head's position, waiting until it is at least this one.

    Raises `Refused` `position.not_reached` when that takes longer than the settings allow.
    """
    end = time.monotonic() + call.services.settings.wait_seconds
    while True:
        tail = await call.work(call.services.ledgers.tail, call.tenant, 2**62)
        if at_least is None or tail.position >= at_least:
            return tail.position
        if time.monotonic() >= end:
            raise Refused("position.not_reached", position=at_least, reached=tail.position)
        await asyncio.sleep(POLL_SECONDS)


def _as_text(value: Any) -> str:
    found = msgspec.to_builtins(value)
    return found if isinstance(found, str) else msgspec.json.encode(found).decode()


def after_of(call: Call, question: ListQuestion, shape: tuple[type, ...]) -> list[Any] | None:
    """Return the key behind which the page begins. Raises `Malformed` `cursor.malformed`."""
    if question.cursor is None:
        return None
    return cursors.decode(call.operation.name, question.bound(), question.cursor, shape)


def page(
    call: Call,
    question: ListQuestion,
    items: Sequence[Any],
    last: list[Any] | None,
    position: int,
    view: Looked | None = None,
) -> Answered:
    """Return a page; `last` is the key of its last row where more rows follow, else None.

    `view` is what of the past it looked at.
    """
    following: str | None = None
    headers = [(b"position", str(position).encode()), *(view.headers() if view else ())]
    if last is not None:
        key = [*view.pins(), *last] if view else last
        following = cursors.encode(call.operation.name, question.bound(), key)
        query: dict[str, Any] = question.asked() | {"limit": question.limit, "cursor": following}
        if question.at_least is not None:
            query["at_least"] = question.at_least
        path: str = call.scope["path"]
        headers.append((b"link", f'<{path}?{urlencode(query)}>; rel="next"'.encode()))
    told = view.told() if view else {}
    return answered({"items": items, "next_cursor": following, **told}, 200, headers)


def csv_page(columns: Sequence[str], rows: Iterable[dict[str, Any]], *, first: bool) -> bytes:
    """Return rows as CSV (RFC 4180), UTF-8; the first page with the mark and the header line.

    A cell that a spreadsheet would take for a formula gets an apostrophe in front.
    """
    out = io.StringIO()
    writer = csv.writer(out)
    if first:
        out.write("\ufeff")
        writer.writerow(columns)
    for row in rows:
        writer.writerow([_cell(row.get(name)) for name in columns])
    return out.getvalue().encode()


_FORMULA: Final = ("=", "+", "-", "@", "\t", "\r", "\n", "\uff1d", "\uff0b", "\uff0d", "\uff20")
"""How a cell begins that spreadsheets take for a formula; some of them full-width signs too."""


def _cell(value: Any) -> str:
    match value:
        case None:
            return ""
        case bool():
            return "true" if value else "false"
        case str():
            return f"'{value}" if value.startswith(_FORMULA) else value
        case int() | float():
            return str(value)
        case list():
            return "; ".join(_cell(one) for one in cast(list[Any], value))
        case _:
            return msgspec.json.encode(value).decode()
