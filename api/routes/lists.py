"""Lists: pages of the read models by filter, and the same as CSV."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import Any, Final, Literal

import msgspec
import psycopg

from api import rendering
from api.bodies import Malformed
from api.problems import Answered
from api.routes.operations import Call, Operation
from api.routes.past import View, page_of
from api.routes.questions import (
    MAX_PAGE,
    POLL_SECONDS,
    ListQuestion,
    csv_page,
    page,
)
from api.shapes import Code, Grantee, Line
from domain import customers, grant_states, policies
from domain.errors import Refused
from domain.values import Instant
from projections import queries
from projections.queries import Page

READERS: Final = ("audit:read",)


class GrantList(ListQuestion, frozen=True, kw_only=True):
    """Grants in the order of their making. `status` is as recorded."""

    grantee: Grantee | None = None
    status: grant_states.Status | None = None
    kind: Code | None = None
    number: Line | None = None


class CustomerList(ListQuestion, frozen=True, kw_only=True):
    """Customers by number; by title with `title` (how it begins) or `order=title`.

    Natural persons have no title and are found by number.
    """

    number: Code | None = None
    status: customers.Status | None = None
    title: Line | None = None
    order: Literal["number", "title"] = "number"


class PolicyList(ListQuestion, frozen=True, kw_only=True):
    """Policies in the order of their making."""

    kind: Code | None = None
    status: policies.Recorded | None = None


class StaffList(ListQuestion, frozen=True, kw_only=True):
    """Staff by number."""

    number: Code | None = None
    role: Code | None = None
    active: bool | None = None


class Listing(msgspec.Struct, frozen=True, kw_only=True):
    """One list: its question, where its rows come from, and the shape of its keys.

    `rows` reads by the filters of the question alone; `read`, which blocks, where it takes more.
    `past`: which ways of asking for the past it takes.
    """

    name: str
    path: str
    scope: str
    also: tuple[str, ...]
    summary: str
    summary_zh: str
    question: type[ListQuestion]
    projection: str
    key: tuple[type, ...]
    columns: tuple[str, ...]
    rows: Callable[..., Page] | None = None
    read: Callable[[Call, View, Any, list[Any] | None, int], Page] | None = None
    kind: str | None = None
    past: tuple[Literal["as_of", "at", "happened"], ...] = ("as_of", "happened")


async def followed(call: Call, projection: str, position: int | None) -> None:
    """Wait until the read model has got there. Raises `Refused` `position.not_reached`."""
    if position is None:
        return
    end = time.monotonic() + call.services.settings.wait_seconds
    while True:
        found = await call.work(_reached, call, projection)
        if found >= position:
            return
        if time.monotonic() >= end:
            raise Refused("position.not_reached", position=position, reached=found)
        await asyncio.sleep(POLL_SECONDS)


def _reached(call: Call, projection: str) -> int:
    with call.services.ledgers.pool.connection() as connection:
        return queries.reached(connection, call.tenant, projection)


def read_page(
    call: Call,
    listing: Listing,
    view: View,
    question: ListQuestion,
    after: list[Any] | None,
    limit: int,
) -> Page:
    """Read one page, statuses brought up to the clock. Blocks."""
    if listing.read is not None:
        found = listing.read(call, view, question, after, limit)
        return found._replace(items=[rendering.shown(row) for row in found.items])
    if listing.rows is None:
        raise TypeError(f"{listing.name} does not say where its rows come from")
    filters = question.filters()
    with view.reading(listing.projection) as connection:
        found = listing.rows(connection, call.tenant, after=after, limit=limit, **filters)
    now = view.now()
    for row in found.items:
        if _moved(row, now) and listing.kind is not None:
            # The clock has done something that nobody has recorded yet: the log itself knows.
            stream = row[f"{listing.kind}_id"]
            state = view.load(listing.kind, stream).state
            row["status"] = rendering.state(listing.kind, state, now)["status"]
        row.pop("title_key", None)
    return found._replace(items=[rendering.shown(row) for row in found.items])


def _moved(row: dict[str, Any], now: Instant) -> bool:
    """Tell whether the clock has made the status recorded in a row another one; takes the row's
    `due_at`.
    """
    due_at, revoked = row.pop("due_at", None), row.get("revoked_from")
    if due_at is not None and due_at <= now:
        return True
    # A revocation that was to take effect later has taken effect: nobody has to write that down.
    return revoked is not None and revoked <= now and row["status"] in IN_EFFECT


IN_EFFECT: Final = frozenset({"scheduled", "active", "suspended"})


def _first(
    call: Call,
    listing: Listing,
    view: View,
    question: ListQuestion,
    after: list[Any] | None,
    limit: int,
) -> Page:
    """Read the page that a cursor, which anybody can make up, leads to. Blocks."""
    try:
        return read_page(call, listing, view, question, after, limit)
    except psycopg.DataError:
        if after is None:
            raise
        raise Malformed("cursor.malformed") from None


def operations_of(listing: Listing) -> tuple[Operation, Operation]:
    """Return the operations of a list: as pages, and as CSV."""

    async def as_json(call: Call) -> Answered:
        question = call.query(listing.question)
        view, after = await page_of(call, question, listing.key)
        await followed(call, listing.projection, question.at_least)
        found = await view.run(_first, call, listing, view, question, after, question.limit)
        return page(call, question, found.items, found.last, found.position, view)

    async def as_csv(call: Call) -> None:
        question = call.query(listing.question)
        view, after = await page_of(call, question, listing.key)
        await followed(call, listing.projection, question.at_least)
        caller = call.caller
        log = call.services.access_log
        await log.export(caller.tenant, caller.key_id, caller.party, call.operation.name)
        found = await view.run(_first, call, listing, view, question, after, MAX_PAGE)
        headers = [
            (b"content-type", b"text/csv; charset=utf-8"),
            (b"content-disposition", f'attachment; filename="{listing.name}.csv"'.encode()),
            (b"position", str(found.position).encode()),
            *view.headers(),
        ]
        await call.send({"type": "http.response.start", "status": 200, "headers": headers})
        first = True
        while True:
            # A fault from here on cuts the answer off: the caller sees that it is not whole.
            body = csv_page(listing.columns, found.items, first=first)
            more = found.last is not None
            await call.send({"type": "http.response.body", "body": body, "more_body": more})
            if not more:
                return
            first = False
            found = await view.run(read_page, call, listing, view, question, found.last, MAX_PAGE)

    common: dict[str, Any] = {
        "method": "GET",
        "scope": listing.scope,
        "also": listing.also,
        "query": listing.question,
        "past": listing.past,
    }
    return (
        Operation(
            name=listing.name,
            path=listing.path,
            summary=listing.summary,
            summary_zh=listing.summary_zh,
            answer="A page; `next_cursor` is null where nothing follows.",
            shows={"items": [dict.fromkeys(listing.columns, "…")], "next_cursor": None},
            handle=as_json,
            **common,
        ),
        Operation(
            name=f"{listing.name}_csv",
            path=f"{listing.path}.csv",
            summary=f"{listing.summary}, as CSV: all rows of the filter",
            summary_zh=f"{listing.summary_zh}（CSV，含筛选的全部行）",
            media_type="text/csv",
            answer="UTF-8 with its mark; the first line names the columns.",
            handle=as_csv,
            **common,
        ),
    )


LISTS: Final = (
    Listing(
        name="grant.list",
        path="/v1/grants",
        scope="grants:read",
        also=READERS,
        summary="Grants",
        summary_zh="授权列表",
        question=GrantList,
        projection="grants",
        rows=queries.grants,
        key=(str,),
        columns=(
            "grant_id",
            "number",
            "grantee",
            "kind",
            "status",
            "actions",
            "scope",
            "starts_at",
            "ends_at",
            "revoked_from",
            "lapses_at",
            "version",
        ),
        kind="grant",
        past=("as_of", "at", "happened"),
    ),
    Listing(
        name="customer.list",
        path="/v1/customers",
        scope="customers",
        also=READERS,
        summary="Customers",
        summary_zh="客户列表",
        question=CustomerList,
        projection="customers",
        rows=queries.customers,
        key=(str, str),
        columns=(
            "customer_id",
            "number",
            "form",
            "title",
            "uscc",
            "status",
            "confirmed_until",
            "grade",
            "merged_into",
            "version",
        ),
        kind="customer",
        past=("as_of", "at", "happened"),
    ),
    Listing(
        name="policy.list",
        path="/v1/policies",
        scope="policies",
        also=("grants:read", *READERS),
        summary="Policies",
        summary_zh="政策列表",
        question=PolicyList,
        projection="policies",
        rows=queries.policies,
        key=(str,),
        columns=("policy_id", "kind", "names", "status", "newest", "versions", "version"),
    ),
    Listing(
        name="staff.list",
        path="/v1/staff",
        scope="staff",
        also=READERS,
        summary="Staff",
        summary_zh="员工列表",
        question=StaffList,
        projection="staff",
        rows=queries.staff,
        key=(str, str),
        columns=("staff_id", "number", "person", "level", "roles", "status", "deputy", "version"),
    ),
)

OPERATIONS: Final[tuple[Operation, ...]] = tuple(
    operation for listing in LISTS for operation in operations_of(listing)
)
