"""The read side: pages of the read models by filter, and waiting until a read model has got
somewhere.

Every list is complete and resumable: rows in the order of a key, a page begins behind the key of
the last row given. `tests/projections/test_plans.py` shows that each of them walks an index.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from itertools import takewhile
from typing import Any, Final, Literal, NamedTuple
from uuid import UUID

import psycopg
from psycopg import sql
from psycopg.rows import dict_row, tuple_row

from domain.errors import Refused
from projections.reading import walking

MAX_PAGE: Final = 1_000
"""Rows of a page at the most."""

POLL_S: Final = 0.02

Conn = psycopg.Connection[Any]
Key = Sequence[Any]
"""What the rows of a list are ordered by, JSON-able: of one row the place behind which the next
page begins.
"""


class Page(NamedTuple):
    """Rows, their columns by name.

    `last` is the key of the last one where more follow, else None; `position` that up to which the
    read model had followed the log.
    """

    items: list[dict[str, Any]]
    last: list[Any] | None
    position: int


_Column = tuple[sql.SQL, str, sql.SQL]
"""Expression, name, and how a value of its type is written."""


class _List(NamedTuple):
    """A list: table, read model, columns shown, and the columns of its order with their types.

    `leads`: filters, each with an index that begins with these columns and goes on in the order;
    the first one of which all are given is walked.
    """

    table: str
    columns: tuple[str, ...]
    order: tuple[_Column, ...]
    leads: tuple[tuple[str, ...], ...] = ()


def _order(*columns: tuple[str, str]) -> tuple[_Column, ...]:
    return tuple((_EXPRESSIONS[name], name, _CASTS[kind]) for name, kind in columns)


_EXPRESSIONS: Final = {
    "grant_id": sql.SQL("grant_id"),
    "customer_id": sql.SQL("customer_id"),
    "policy_id": sql.SQL("policy_id"),
    "staff_id": sql.SQL("staff_id"),
    "number": sql.SQL("number"),
    "parent": sql.SQL("parent"),
    "grantee": sql.SQL("grantee"),
    "kind": sql.SQL("kind"),
    "status": sql.SQL("status"),
    "title": sql.SQL('title COLLATE "C"'),
    "title_key": sql.SQL('title_key COLLATE "C"'),
}
_CASTS: Final = {"uuid": sql.SQL("%s::uuid"), "text": sql.SQL("%s::text")}
_KINDS: Final = {"parent": "uuid"} | dict.fromkeys(("number", "grantee", "kind", "status"), "text")
_LAST_CHARACTER: Final = "\U0010ffff"

_GRANTS: Final = (
    "grant_id", "version", "position", "recorded_at", "number", "grantee", "kind", "status",
    "terms_number", "actions", "scope", "policy_id", "policy_version", "case_id", "starts_at",
    "ends_at", "lapses_at", "revoked_from", "ended_at", "due_at", "holds", "revocation",
    "irregular",
)  # fmt: skip
_CUSTOMERS: Final = (
    "customer_id", "version", "position", "recorded_at", "number", "form", "title", "title_key",
    "uscc", "status", "confirmed_until", "due_at", "grade", "merged_into", "members", "irregular",
)  # fmt: skip
_POLICIES: Final = (
    "policy_id", "version", "position", "recorded_at", "kind", "names", "newest", "status",
    "versions", "irregular",
)  # fmt: skip
_STAFF: Final = (
    "staff_id", "version", "position", "recorded_at", "number", "person", "level", "roles",
    "customers", "status", "deputy", "deputy_from", "deputy_until", "irregular",
)  # fmt: skip


def grants(
    conn: Conn,
    tenant: str,
    *,
    grantee: str | None = None,
    status: str | None = None,
    kind: str | None = None,
    number: str | None = None,
    parent: str | None = None,
    after: Key | None = None,
    limit: int = 100,
) -> Page:
    """Return grants in the order of their ids, which is that of their making; key `[grant_id]`.

    `status` is as recorded; `parent` is the id of the grant they are passed on from. Raises
    `Refused`: `page.limit`.
    """
    leads = (("number",), ("parent",), ("grantee",), ("kind", "status"), ("kind",), ("status",))
    which = _List("grants", _GRANTS, _order(("grant_id", "uuid")), leads)
    equal = {
        "grantee": grantee,
        "status": status,
        "kind": kind,
        "number": number,
        "parent": None if parent is None else UUID(parent),
    }
    return _page(conn, tenant, which, equal, after, limit)


def customers(
    conn: Conn,
    tenant: str,
    *,
    number: str | None = None,
    status: str | None = None,
    title: str | None = None,
    order: Literal["number", "title"] = "number",
    after: Key | None = None,
    limit: int = 100,
) -> Page:
    """Return customers by number, key `[number, customer_id]`.

    With `title`, organizations whose title begins so, by title, key `[title, customer_id]`; with
    `order="title"` all organizations as Chinese readers look for them, key `[title_key,
    customer_id]`. Natural persons are in neither: their names are sealed. Raises `Refused`:
    `page.limit`.
    """
    filters: list[_Filter] = []
    between: dict[str, tuple[str, str]] = {}
    column = "number"
    if title is not None:
        column = "title"
        between["title"] = (title, title + _LAST_CHARACTER)
        # Said plainly, so that it is seen that there is a title: its indexes have no others.
        filters.append((sql.SQL('title COLLATE "C" <= %s'), (title + _LAST_CHARACTER,)))
    elif order == "title":
        column = "title_key"
        filters.append((sql.SQL("title_key IS NOT NULL"), ()))
    key = _order((column, "text"), ("customer_id", "uuid"))
    which = _List("customers", _CUSTOMERS, key, (("status",),))
    equal = {"number": number, "status": status}
    return _page(conn, tenant, which, equal, after, limit, filters, between)


def policies(
    conn: Conn,
    tenant: str,
    *,
    kind: str | None = None,
    status: str | None = None,
    after: Key | None = None,
    limit: int = 100,
) -> Page:
    """Return policies in the order of their ids, key `[policy_id]`.

    Raises `Refused`: `page.limit`.
    """
    which = _List("policies", _POLICIES, _order(("policy_id", "uuid")), (("kind",), ("status",)))
    return _page(conn, tenant, which, {"kind": kind, "status": status}, after, limit)


def staff(
    conn: Conn,
    tenant: str,
    *,
    number: str | None = None,
    role: str | None = None,
    active: bool | None = None,
    after: Key | None = None,
    limit: int = 100,
) -> Page:
    """Return staff by number; key `[number, staff_id]`. Raises `Refused`: `page.limit`.

    `role` and `active` are looked for on the way along the numbers: a tenant's staff are few.
    """
    filters: list[_Filter] = []
    if role is not None:
        filters.append((sql.SQL("%s = ANY (roles)"), (role,)))
    if active is not None:
        filters.append((sql.SQL("(status = 'appointed') = %s"), (active,)))
    order = _order(("number", "text"), ("staff_id", "uuid"))
    which = _List("staff", _STAFF, order)
    return _page(conn, tenant, which, {"number": number}, after, limit, filters)


def reached(conn: Conn, tenant: str, projection: str) -> int:
    """Return the position up to which a read model has followed the log; in a transaction that
    reads the past the position it is read as of.

    Raises `Refused`: `projection.unknown`.
    """
    row = (
        conn.cursor(row_factory=tuple_row).execute(_REACHED, (UUID(tenant), projection)).fetchone()
    )
    if row is None or row[0] is None:
        raise Refused("projection.unknown", projection=projection)
    return row[0]


def wait_for(conn: Conn, tenant: str, projection: str, position: int, limit_s: float) -> int:
    """Return the position reached, as soon as it is at least `position`; blocks.

    `conn` is in autocommit. Raises `Refused`: `position.not_reached` after `limit_s` seconds,
    `projection.unknown`.
    """
    end = time.monotonic() + limit_s
    while True:
        found = reached(conn, tenant, projection)
        if found >= position:
            return found
        if time.monotonic() >= end:
            raise Refused("position.not_reached", position=position, reached=found)
        time.sleep(POLL_S)


def require_limit(limit: int) -> None:
    """Refuse with `page.limit` a page of no row or of too many."""
    if not 1 <= limit <= MAX_PAGE:
        raise Refused("page.limit", limit=limit, most=MAX_PAGE)


_REACHED: Final = sql.SQL("SELECT reached_by(%s, %s)")

_Filter = tuple[sql.Composable, tuple[Any, ...]]


def _page(
    conn: Conn,
    tenant: str,
    which: _List,
    equal: Mapping[str, Any],
    after: Key | None,
    limit: int,
    filters: Sequence[_Filter] = (),
    between: Mapping[str, tuple[Any, Any]] | None = None,
) -> Page:
    require_limit(limit)
    within = {name: (value, value) for name, value in equal.items() if value is not None}
    lead = next((one for one in which.leads if within.keys() >= set(one)), ())
    within |= between or {}
    order = (*_order(*((name, _KINDS[name]) for name in lead)), *which.order)
    # Bounds and no equality: the order asked for is then that of one index alone. Bounds of rows:
    # the walk then begins and ends with what is asked for, by all its columns.
    walked = list(takewhile(lambda one: one[1] in within, order))
    limits = [within[name] for _, name, _ in walked]
    every = [
        *filters,
        *(
            (sql.SQL("{} = %s").format(sql.Identifier(name)), (low,))
            for name, (low, _) in within.items()
            if name not in {name for _, name, _ in walked}
        ),
    ]
    if after is not None:
        every.append(_compared(order, ">", [*(within[name][0] for name in lead), *after]))
    elif walked:
        every.append(_compared(walked, ">=", [low for low, _ in limits]))
    if walked:
        every.append(_compared(walked, "<=", [high for _, high in limits]))
    statement = sql.SQL(
        "SELECT {columns} FROM {table} WHERE tenant_id = current_tenant() AND generation ="
        " (SELECT chosen({model}))"
        "{filters} ORDER BY {order} LIMIT %s"
    ).format(
        columns=sql.SQL(", ").join(map(sql.Identifier, which.columns)),
        table=sql.Identifier(which.table),
        model=sql.Literal(which.table),
        filters=sql.Composed([sql.SQL(" AND {}").format(one) for one, _ in every]),
        order=sql.SQL(", ").join(expression for expression, _, _ in order),
    )
    parameters = [value for _, values in every for value in values]
    with walking(conn, tenant):
        position = reached(conn, tenant, which.table)  # before the rows: they are as new, or newer
        cursor = conn.cursor(row_factory=dict_row)
        rows = cursor.execute(statement, (*parameters, limit + 1)).fetchall()
    items = [plain(row) for row in rows[:limit]]
    more = len(rows) > limit
    last = [items[-1][name] for _, name, _ in which.order] if more else None
    return Page(items, last, position)


def _compared(columns: Sequence[_Column], sign: Literal[">", ">=", "<="], values: Key) -> _Filter:
    """Return the comparison of these columns, as one row, with values."""
    left = sql.SQL(", ").join(expression for expression, _, _ in columns)
    right = sql.SQL(", ").join(cast for _, _, cast in columns)
    return sql.SQL("({}) {} ({})").format(left, sql.SQL(sign), right), tuple(values)


def plain(row: dict[str, Any]) -> dict[str, Any]:
    """Return the row with its ids as texts."""
    return {name: str(one) if isinstance(one, UUID) else one for name, one in row.items()}
