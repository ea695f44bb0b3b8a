"""A page of a list that is filtered while it is walked: complete, and of bounded work."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final, NamedTuple

SCAN: Final = 2_000
"""Rows that a page looks at at the most; where fewer than asked for were found by then, the page
is short and the next one goes on.
"""

CHUNK: Final = 250
"""Rows looked at in one go behind the first ones."""

Row = dict[str, Any]
Key = list[Any]


class Scanned(NamedTuple):
    """Rows wanted; `last` is the key of the last one looked at where more may follow, else None."""

    items: list[Row]
    last: Key | None


def scan(
    fetch: Callable[[Key | None, int], list[Row]],
    wanted: Callable[[list[Row]], list[Row | None]],
    key: Callable[[Row], Key],
    *,
    after: Key | None,
    limit: int,
    most: int = SCAN,
) -> Scanned:
    """Walk rows behind `after` until `limit` wanted ones are found, or `most` were looked at.

    `fetch` returns so many rows behind a key in its order; `wanted` returns for each row what is to
    be shown of it, None where nothing is.
    """
    items: list[Row] = []
    looked, size = 0, limit
    while True:
        size = min(size, most - looked)
        rows = fetch(after, size + 1)
        chunk, more = rows[:size], len(rows) > size
        for number, found in enumerate(wanted(chunk), 1):
            if found is not None:
                items.append(found)
            if len(items) == limit:
                at_end = number == len(chunk) and not more
                return Scanned(items, None if at_end else key(chunk[number - 1]))
        if not more:
            return Scanned(items, None)
        looked += size
        after = key(chunk[-1])
        if looked >= most:
            return Scanned(items, after)
        size = CHUNK
