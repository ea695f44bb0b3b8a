"""History: one readable line an event, found by qualifiers and words; and what led to an event and
what followed from it.
"""

from __future__ import annotations

from typing import Annotated, Any, Final, Literal

import msgspec

from api.problems import Answered
from api.routes import history_items
from api.routes.lists import followed
from api.routes.operations import Call, Operation, answered
from api.routes.past import View, page_of, view_of
from api.routes.questions import MAX_PAGE, ListQuestion, Question, csv_page, page
from domain.errors import Refused
from projections import history, history_asked, history_reading
from projections.history_asked import MAX_TEXT, Filter
from projections.queries import Page

SCOPE: Final = "audit:read"
ALSO: Final = ("grants:supervise",)
"""Who sees what happened to everybody: those who audit, and those who supervise."""

RECORDS: Final = {
    "grant": ("grants", "grants:read", "g", "a grant", "授权"),
    "customer": ("customers", "customers", "c", "a customer", "客户"),
}
"""Kind -> path, scope, mark of its keys, and its name in both languages."""

COLUMNS: Final = (
    "position",
    "at",
    "recorded_at",
    "type",
    "kind",
    "stream",
    "version",
    "actor",
    "on_behalf_of",
    "grant",
    "customers",
    "case",
    "reason",
    "imported",
    "line",
)
PAST: Final = ("as_of", "happened")
KEY: Final = (str, int)
"""The shape of a page's key: when it happened, and the place in the log."""

HOW: Final = (
    "`q` takes `actor:` (staff number, `staff:…`, `customer:…`, `service:…`), `customer:` and"
    " `grant:` (number or id), `type:` (an event, `grant.renewal_*`, or all of `grant`), `since:`"
    " and `until:` (a date in UTC or an instant; until ends before it), and words, Chinese ones"
    ' too; `"words together"` in quotes. A qualifier given twice means either value. A page may be'
    " short and yet have a `next_cursor`: go on until it is null."
)


class HistoryList(ListQuestion, frozen=True, kw_only=True):
    """What happened, by when it happened. `q`: qualifiers and words."""

    q: Annotated[str, msgspec.Meta(max_length=MAX_TEXT)] | None = None
    order: Literal["newest", "oldest"] = "newest"


def _find(
    call: Call,
    view: View,
    question: HistoryList,
    fixed: Filter,
    after: list[Any] | None,
    limit: int,
) -> Page:
    """Read one page with its stored events. Blocks."""
    with view.reading(history.NAME) as connection:
        wanted = fixed
        if question.q is not None and question.q.strip():
            asked = history_asked.asked(question.q)
            wanted = history_asked.filter_of(connection, call.tenant, asked)
            wanted = wanted._replace(terms=(*fixed.terms, *wanted.terms))
        return history_reading.find(
            connection,
            call.tenant,
            wanted=wanted,
            order=question.order,
            after=after,
            limit=limit,
        )


async def _fixed(call: Call, view: View) -> Filter:
    """Return what the path names: all of history, or a record's own."""
    kind = call.operation.name.partition(".")[0]
    if kind not in RECORDS:
        return Filter()
    stream = call.id("id", kind)
    if (await call.work(view.load, kind, stream)).state is None:
        raise Refused(f"{kind}.unknown", **{kind: stream})
    ones = [stream]
    if kind == "customer":
        ones = await view.run(_with_merged, call, view, stream)
    return Filter((tuple(f"{RECORDS[kind][2]}:{one}" for one in ones),))


def _with_merged(call: Call, view: View, customer: str) -> list[str]:
    with view.reading(history.NAME) as connection:
        return history_asked.with_merged(connection, call.tenant, [customer])


# --- the operations -------------------------------------------------------------------------------


async def listed(call: Call) -> Answered:
    """Answer with a page of lines."""
    question = call.query(HistoryList)
    view, after = await page_of(call, question, KEY)
    fixed = await _fixed(call, view)
    await followed(call, history.NAME, question.at_least)
    found = await view.run(_find, call, view, question, fixed, after, question.limit)
    opens = await history_items.opens(call, found.items)
    items = await view.run(history_items.items, call, found.items, unmasked=opens, view=view)
    answer = page(call, question, items, found.last, found.position, view)
    answer.headers.append((b"content-language", call.language.encode()))
    return answer


async def as_csv(call: Call) -> None:
    """Send all lines of the filter, sealed texts left out."""
    question = call.query(HistoryList)
    view, after = await page_of(call, question, KEY)
    fixed = await _fixed(call, view)
    await followed(call, history.NAME, question.at_least)
    caller = call.caller
    found = await view.run(_find, call, view, question, fixed, after, MAX_PAGE)
    log = call.services.access_log
    await log.export(caller.tenant, caller.key_id, caller.party, call.operation.name)
    headers = [
        (b"content-type", b"text/csv; charset=utf-8"),
        (b"content-disposition", b'attachment; filename="history.csv"'),
        (b"content-language", call.language.encode()),
        (b"position", str(found.position).encode()),
        *view.headers(),
    ]
    await call.send({"type": "http.response.start", "status": 200, "headers": headers})
    first = True
    while True:
        # A fault from here on cuts the answer off: the caller sees that it is not whole.
        items = await view.run(history_items.items, call, found.items, view=view)
        body = csv_page(COLUMNS, items, first=first)
        more = found.last is not None
        await call.send({"type": "http.response.body", "body": body, "more_body": more})
        if not more:
            return
        first = False
        found = await view.run(_find, call, view, question, fixed, found.last, MAX_PAGE)


async def one(call: Call) -> Answered:
    """Answer with one event, what led to it and what followed from it."""
    question = call.query(Question)
    view = await view_of(call, question)
    text = call.part("position")
    if not (text.isascii() and text.isdigit() and len(text) < 19):
        raise Refused("history.unknown", position=text[:64])
    await followed(call, history.NAME, question.at_least)
    found = await view.run(_around, call, view, int(text))
    near = [*found.led_to, *found.followed]
    rows = [found.item, *(one.item for one in near)]
    opens = await history_items.opens(call, rows)
    first, *others = await view.run(
        history_items.items, call, rows, unmasked=opens, full=True, view=view
    )
    shown = [{"relation": one.relation, **item} for one, item in zip(near, others, strict=True)]
    for item in shown:
        item.pop("event", None)
    document = {
        **first,
        "led_to": shown[: len(found.led_to)],
        "followed": shown[len(found.led_to) :],
        "more": found.more,
        **view.told(),
    }
    headers = [
        (b"position", str(found.position).encode()),
        (b"content-language", call.language.encode()),
        *view.headers(),
    ]
    return answered(document, 200, headers)


def _around(call: Call, view: View, position: int) -> history_reading.Around:
    with view.reading(history.NAME) as connection:
        return history_reading.around(connection, call.tenant, position)


_SHOWN: Final = dict.fromkeys(COLUMNS, "…") | {
    "position": 41,
    "type": "grant.approved.1",
    "customers": ["…"],
    "imported": False,
    "line": "Grant CS-20261122-7F3K9Q-N was approved: Sell in Shanghai; Tea, for 365 days.",
}


def _of(kind: str) -> tuple[Operation, Operation]:
    plural, scope, _, name, name_zh = RECORDS[kind]
    common: dict[str, Any] = {
        "method": "GET",
        "scope": scope,
        "also": (SCOPE,),
        "query": HistoryList,
        "past": PAST,
        "description": HOW,
    }
    return (
        Operation(
            name=f"{kind}.history",
            path=f"/v1/{plural}/{{id}}/history",
            summary=f"What happened to {name} and around it, a readable line an event",
            summary_zh=f"{name_zh}的经过，每个事件一行",
            unmasks=True,
            answer="A page; `next_cursor` is null where nothing follows.",
            shows={"items": [_SHOWN], "next_cursor": None},
            handle=listed,
            **common,
        ),
        Operation(
            name=f"{kind}.history_csv",
            path=f"/v1/{plural}/{{id}}/history.csv",
            summary=f"What happened to {name}, as CSV: all rows of the filter",
            summary_zh=f"{name_zh}的经过（CSV，含筛选的全部行）",
            media_type="text/csv",
            answer="UTF-8 with its mark; the first line names the columns.",
            handle=as_csv,
            **common,
        ),
    )


OPERATIONS: Final = (
    Operation(
        name="history.list",
        method="GET",
        path="/v1/history",
        scope=SCOPE,
        also=ALSO,
        summary="What happened, a readable line an event",
        summary_zh="经过：每个事件一行",
        description=HOW,
        query=HistoryList,
        past=PAST,
        unmasks=True,
        answer="A page; `next_cursor` is null where nothing follows.",
        shows={"items": [_SHOWN], "next_cursor": None},
        handle=listed,
    ),
    Operation(
        name="history.list_csv",
        method="GET",
        path="/v1/history.csv",
        scope=SCOPE,
        also=ALSO,
        summary="What happened, as CSV: all rows of the filter",
        summary_zh="经过（CSV，含筛选的全部行）",
        description=HOW,
        query=HistoryList,
        past=PAST,
        media_type="text/csv",
        answer="UTF-8 with its mark; the first line names the columns.",
        handle=as_csv,
    ),
    Operation(
        name="history.get",
        method="GET",
        path="/v1/history/{position}",
        scope=SCOPE,
        also=ALSO,
        summary="An event, what led to it and what followed from it",
        summary_zh="一个事件，其由来与后果",
        query=Question,
        past=PAST,
        unmasks=True,
        answer="`relation` says how each stands to it; `more` which of them are cut.",
        shows={**_SHOWN, "led_to": [], "followed": [], "more": []},
        handle=one,
    ),
    *_of("grant"),
    *_of("customer"),
)
