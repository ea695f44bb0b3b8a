"""Reading history: pages by filter, and what led to an event and what followed from it.

No page costs more than `STEPS` probes, whatever is asked: one that runs out of them is short and
says where to go on.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from contextlib import suppress
from datetime import datetime
from typing import Any, Final, Literal, NamedTuple
from uuid import UUID

import psycopg
from psycopg.rows import dict_row, tuple_row

from domain.codec import Undecodable, UnknownEvent, decode
from domain.errors import Refused
from projections.history import NAME, named
from projections.history_asked import Filter
from projections.history_names import names
from projections.queries import Page, plain, reached, require_limit

Conn = psycopg.Connection[Any]
Order = Literal["newest", "oldest"]

STEPS: Final = 20_000
"""Index probes of one page at the most, some tenths of a second."""

MAX_POSITION: Final = 2**62

NEAR: Final = 50
"""Events of one relation that are shown around an event."""

Relation = Literal["command", "cause", "case", "stream", "rests_on", "names"]

_FIND: Final = (
    "SELECT o_positions, o_at, o_position, o_more FROM find_history(%s::uuid, %s::text[],"
    " %s::integer[], %s::text[], %s::timestamptz, %s::timestamptz, %s::timestamptz, %s::bigint,"
    " %s, %s::integer, %s::integer)"
)
_READ: Final = "SELECT * FROM read_history(%s::uuid, %s::bigint[])"


class Near(NamedTuple):
    """An event beside another, and how it stands to it."""

    relation: Relation
    item: dict[str, Any]


class Around(NamedTuple):
    """An event, what led to it and what followed from it, each in the order of the log.

    `more` names the relations of which only the nearest are here, as `led_to.<relation>` or
    `followed.<relation>`.
    """

    item: dict[str, Any]
    led_to: list[Near]
    followed: list[Near]
    more: list[str]
    position: int


def find(
    conn: Conn,
    tenant: str,
    *,
    wanted: Filter,
    order: Order = "newest",
    after: Sequence[Any] | None = None,
    limit: int = 100,
    steps: int = STEPS,
) -> Page:
    """Return rows of history with their stored events (`data`), by when they happened.

    The key is `[at, position]`, `at` in RFC 3339. A page may be short, or empty, and yet have a key
    behind which more may follow. Raises `Refused`: `page.limit`, `cursor.malformed`.
    """
    require_limit(limit)
    at, behind = (None, None) if after is None else _place(after)
    keys = [key for term in wanted.terms for key in term]
    terms = [number for number, term in enumerate(wanted.terms, 1) for _ in term]
    cursor = conn.cursor(row_factory=tuple_row)
    position = reached(conn, tenant, NAME)
    asked: tuple[Any, ...] = (
        UUID(tenant), keys, terms, list(wanted.said), wanted.since, wanted.until, at, behind,
        order == "newest", limit + 1, steps,
    )  # fmt: skip
    ((positions, last_at, last, more),) = cursor.execute(_FIND, asked).fetchall()
    items = rows(conn, tenant, positions[:limit])
    if len(positions) > limit:
        return Page(items, [items[-1]["at"].isoformat(), items[-1]["position"]], position)
    return Page(items, [last_at.isoformat(), last] if more else None, position)


def rows(conn: Conn, tenant: str, positions: Iterable[int]) -> list[dict[str, Any]]:
    """Return the rows at positions, with their stored events, in the order given."""
    found = conn.cursor(row_factory=dict_row).execute(_READ, (UUID(tenant), list(positions)))
    return [plain(row) for row in found.fetchall()]


def around(conn: Conn, tenant: str, position: int) -> Around:
    """Return the event at a position with what is stored of its causes and consequences.

    Raises `Refused`: `history.unknown`.
    """
    until = reached(conn, tenant, NAME)
    found = rows(conn, tenant, [position])
    if not found:
        raise Refused("history.unknown", position=position)
    item = found[0]
    look = _Look(conn, tenant, item)
    before: dict[Relation, list[int]] = {
        "command": look.command()[0],
        "cause": [] if item["causation"] is None else [item["causation"]],
        "case": look.stream(back=True, case=True),
        "stream": look.stream(back=True, case=False),
        "rests_on": look.rests_on(),
    }
    behind: dict[Relation, list[int]] = {
        "command": look.command()[1],
        "cause": look.caused(),
        "case": look.stream(back=False, case=True),
        "stream": look.stream(back=False, case=False),
        "names": look.naming(),
    }
    more = [f"led_to.{name}" for name, ones in before.items() if len(ones) > NEAR]
    more += [f"followed.{name}" for name, ones in behind.items() if len(ones) > NEAR]
    return Around(item, _near(conn, tenant, before), _near(conn, tenant, behind), more, until)


def _near(conn: Conn, tenant: str, found: dict[Relation, list[int]]) -> list[Near]:
    """Read the events found; one that stands in several relations is told by the first."""
    relations: dict[int, Relation] = {}
    for relation, positions in found.items():
        for one in positions[:NEAR]:
            relations.setdefault(one, relation)
    items = rows(conn, tenant, sorted(relations))
    return [Near(relations[item["position"]], item) for item in items]


class _Look:
    """Looks around one event; every method returns positions, the nearest first, one more than
    `NEAR` where there are more.
    """

    def __init__(self, conn: Conn, tenant: str, item: dict[str, Any]) -> None:
        self._conn = conn
        self._tenant = tenant
        self._item = item
        self._position: int = item["position"]

    def _rows(self, statement: str, *parameters: Any) -> list[tuple[Any, ...]]:
        with self._conn.transaction():
            self._conn.execute("SELECT set_config('counterseal.tenant', %s, true)", (self._tenant,))
            cursor = self._conn.cursor(row_factory=tuple_row)
            return cursor.execute(statement, parameters).fetchall()  # pyright: ignore[reportArgumentType]

    def command(self) -> tuple[list[int], list[int]]:
        """The events of the same command, before and behind: they stand side by side."""
        found = self._rows(
            "SELECT position, command_id::text FROM events WHERE tenant_id = current_tenant()"
            " AND position BETWEEN %s AND least(%s, (SELECT chosen_position())) ORDER BY position",
            self._position - NEAR - 1,
            self._position + NEAR + 1,
        )
        same = {position for position, command in found if command == self._item["command_id"]}
        before, behind = self._position - 1, self._position + 1
        while before in same:
            before -= 1
        while behind in same:
            behind += 1
        return (
            list(range(self._position - 1, before, -1)),
            list(range(self._position + 1, behind)),
        )

    def stream(self, *, back: bool, case: bool) -> list[int]:
        """The events of the same case around it; or, without, the neighbour in the stream.

        What comes before is the whole case so far; of what follows, the next event.
        """
        version: int = self._item["version"]
        span = (version - NEAR - 1, version - 1) if back else (version + 1, version + NEAR + 1)
        order = "DESC" if back else "ASC"
        found = self._rows(
            "SELECT e.position, h.case_id FROM events e JOIN LATERAL (SELECT x.position, x.case_id"
            " FROM history x WHERE x.tenant_id = current_tenant()"
            " AND x.generation = (SELECT chosen('history')) AND x.position >= e.position"
            " ORDER BY x.position LIMIT 1) h ON h.position = e.position"
            " WHERE e.tenant_id = current_tenant() AND e.stream_id = %s AND e.version"
            f" BETWEEN %s AND %s ORDER BY e.version {order}",
            UUID(self._item["stream_id"]),
            *span,
        )
        if not case:
            return [row[0] for row in found[:1]]
        mine = self._item["case_id"]
        same = [row[0] for row in found if mine is not None and row[1] == mine]
        return same if back else same[:1]

    def caused(self) -> list[int]:
        """The events whose cause it is, as far as the command that made them said so."""
        found = self._rows(
            "SELECT causation, position FROM history WHERE tenant_id = current_tenant()"
            " AND generation = (SELECT chosen('history'))"
            " AND causation >= %s ORDER BY causation, position LIMIT %s",
            self._position,
            NEAR + 1,
        )
        return [position for cause, position in found if cause == self._position]

    def naming(self) -> list[int]:
        """Later events of other streams that name its stream, or its case."""
        ids = {self._item["stream_id"], self._item["case_id"]} - {None}
        keys = sorted(f"n:{one}" for one in ids)
        asked: tuple[Any, ...] = (
            UUID(self._tenant), keys, [1] * len(keys), [], None, None, self._item["at"],
            self._position, False, 2 * NEAR, STEPS,
        )  # fmt: skip
        row = self._conn.cursor(row_factory=tuple_row).execute(_FIND, asked).fetchone()
        found: list[int] = [] if row is None else row[0]
        return [one for one in found if one > self._position][: NEAR + 1]

    def rests_on(self) -> list[int]:
        """The last event, before it, of each other stream that it names or that its grant has."""
        ids: set[str] = set(self._item["customers"])
        with suppress(UnknownEvent, Undecodable):
            ids |= named(decode(self._item["type"], bytes(self._item["data"])))
        if self._item["grant_id"] is not None:
            known = names(self._conn, self._tenant, [self._item["grant_id"]], ()).grants
            ids |= {one.policy for one in known.values()}
        ids -= {self._item["stream_id"], self._item["case_id"]}
        streams = [one for one in sorted(ids) if _is_stream(one)]
        found = [self._last_before(one) for one in streams[:NEAR]]
        return sorted({one for one in found if one is not None}, reverse=True)

    def _last_before(self, stream_id: str) -> int | None:
        """The last event of a stream before this one, by halving its versions."""
        newest = self._rows(
            "SELECT version FROM events WHERE tenant_id = current_tenant() AND stream_id = %s"
            " ORDER BY version DESC LIMIT 1",
            UUID(stream_id),
        )
        low, high, best = 1, newest[0][0] if newest else 0, None
        while low <= high:
            middle = (low + high) // 2
            ((position,),) = self._rows(
                "SELECT position FROM events WHERE tenant_id = current_tenant() AND stream_id = %s"
                " AND version = %s",
                UUID(stream_id),
                middle,
            )
            if position < self._position:
                low, best = middle + 1, position
            else:
                high = middle - 1
        return best


def _place(after: Sequence[Any]) -> tuple[datetime, int]:
    """Return a page's key; one that we never gave is refused, as nothing in it can be trusted."""
    text, position = after
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        raise Refused("cursor.malformed") from None
    if found.tzinfo is None or not 0 <= position < MAX_POSITION:
        raise Refused("cursor.malformed")
    return found, position


def _is_stream(text: str) -> bool:
    """Tell whether a text may be a stream's id; imported history names policies that have none."""
    try:
        UUID(text)
    except ValueError:
        return False
    return True
