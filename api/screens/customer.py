"""A customer's page: who they are, how they stand, what they hold, who acts for and looks after
them.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, NamedTuple
from urllib.parse import urlencode

from api.ids import is_id
from api.problems import Answered
from api.rendering import Show
from api.routes.reading import opener_for, told
from api.screens import grants
from api.screens.acts import Tried, offered
from api.screens.customer_acts import ACTS, OnCustomer, kinds_of
from api.screens.drawing import draw, sentence
from api.screens.grant_shown import line_of
from api.screens.moments import (
    NOW,
    Mark,
    Moment,
    Record,
    happened,
    headers_of,
    led_to,
    marks_of,
    moment_of,
    steps,
)
from api.screens.naming import LocalBook, book, ids_of, points_of
from api.screens.visits import Visit, elsewhere, without_blanks
from domain.errors import Refused
from projections.history_lines import line, named_in
from projections.unseen import masked

GRANTS: Final = 50
STAFF: Final = 1000
"""Staff among whom those who look after the customer are found."""


class _Lines(NamedTuple):
    """What happened, ready to be shown; the moments of all events, also of later ones."""

    events: list[dict[str, Any]]
    marks: list[Mark]
    names: LocalBook


async def page(visit: Visit) -> Answered:
    """Answer with the page of a customer."""
    asked = without_blanks(visit.query())
    stream = visit.part("id")
    if "step" in asked and is_id(stream):
        record = Record("customer", stream)
        return elsewhere(led_to(record, asked, await visit.work(record.marks, visit)))
    return await show(visit, stream, asked, moment_of(asked, visit.zone))


async def show(
    visit: Visit,
    stream: str,
    asked: Mapping[str, str],
    moment: Moment = NOW,
    tried: Tried | None = None,
    status: int = 200,
) -> Answered:
    """Answer with the page as of a moment; with a form that was refused, that and what was typed.

    Raises `Refused`: `customer.unknown`, and what the operations refuse.
    """
    if not is_id(stream):
        raise Refused("customer.unknown", customer=stream[:64])
    headers = headers_of(asked)
    found = await visit.desk.ask("customer.get", {"id": stream}, moment.query, headers=headers)
    state: dict[str, Any] = found.document["state"]
    held = await _held(visit, stream, asked, moment)
    lines = await visit.work(
        _told, visit, stream, found.position, state, held["rows"], opens=bool(headers)
    )
    subject = OnCustomer(visit, stream, found.document["version"], await _kinds(visit))
    values = {
        "id": stream,
        "state": state,
        "fields": _fields(state),
        "members": [
            {**one, "who": lines.names.record("person", one["person"])} for one in _members(state)
        ],
        "checks": [_check(visit, one) for one in state.get("checks", ())],
        "managers": await _managers(visit, stream) if moment == NOW else None,
        "grants": [grants.row(lines.names, one) for one in held["rows"]],
        "more": held["more"],
        "may_see_grants": held["may"],
        "waits": held["waits"],
        "events": list(reversed(lines.events)),
        "happened": happened(lines.events, asked),
        "nothing": "nothing" in asked,
        "forms": [] if moment != NOW else await offered(visit, subject, ACTS, tried),
        "refusal": None if tried is None else sentence(visit, tried.refused),
        "tried": None if tried is None else tried.act,
        "moved": tried is not None and tried.refused.code == "version.moved",
        "past": steps(Record("customer", stream), lines.marks, moment, found.position),
        "asked": {name: asked.get(name, "") for name in ("as_of", "at")},
        "may_open": "personal:read" in visit.caller.scopes,
        "opens": bool(headers),
    }
    return draw(visit, "customer.html", values, status=status)


def _members(state: Mapping[str, Any]) -> list[dict[str, Any]]:
    found: dict[str, dict[str, Any]] = state.get("members", {})
    return list(found.values())


_IDENTITY: Final = ("title", "uscc", "full_name", "identity_number", "contact", "address")


def _fields(state: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return what is known of who it is; sealed fields as what they are unless they were opened."""
    found: list[dict[str, Any]] = []
    for name in _IDENTITY:
        value = state.get(name)
        if value is None:
            continue
        sealed = isinstance(value, dict)
        erased = sealed and "erased" in value
        found.append({"name": name, "value": value, "sealed": sealed, "erased": erased})
    return found


def _check(visit: Visit, check: Mapping[str, Any]) -> dict[str, Any]:
    word = visit.words.word
    return {
        "kind": word("kind", check["kind"]),
        "channel": word("channel", check["channel"]),
        "passed": word("passed", "true" if check.get("passed", True) else "false"),
    }


async def _held(
    visit: Visit, stream: str, asked: Mapping[str, str], moment: Moment
) -> dict[str, Any]:
    if not visit.desk.may("grant.list"):
        return {"rows": [], "more": None, "may": False, "waits": None}
    query = {"grantee": f"customer:{stream}", "limit": str(GRANTS)} | moment.query
    if "cursor" in asked:
        query["cursor"] = asked["cursor"]
    try:
        found = (await visit.desk.ask("grant.list", query=query)).document
    except Refused as refused:
        if refused.code != "moment.preparing":
            raise
        waits = sentence(visit, refused)  # the rest of the page need not wait for the list
        return {"rows": [], "more": None, "may": True, "waits": waits}
    following = found["next_cursor"]
    kept = {name: asked[name] for name in ("as_of", "at") if name in asked}
    behind = urlencode(kept | {"cursor": following})
    more = None if following is None else f"/customers/{stream}?{behind}"
    return {"rows": found["items"], "more": more, "may": True, "waits": None}


async def _managers(visit: Visit, stream: str) -> list[str] | None:
    """Return the numbers of the staff who look after the customer; None where that is not seen."""
    if not visit.desk.may("staff.list"):
        return None
    query = {"active": "true", "limit": str(STAFF)}
    items = (await visit.desk.ask("staff.list", query=query)).document["items"]
    customers = await visit.work(_looked_after, visit, [one["staff_id"] for one in items])
    return [one["number"] for one in items if stream in customers[one["staff_id"]]]


def _looked_after(visit: Visit, ids: list[str]) -> dict[str, tuple[str, ...]]:
    ledgers = visit.services.ledgers
    ledgers.ledger(visit.tenant).refresh(ids)
    states = ((one, ledgers.load(visit.tenant, "staff", one).state) for one in ids)
    return {one: () if state is None else state.customers for one, state in states}


async def _kinds(visit: Visit) -> list[tuple[str, str]]:
    if not visit.desk.may("policy.list"):
        return []
    query = {"status": "published", "limit": "100"}
    items = (await visit.desk.ask("policy.list", query=query)).document["items"]
    return kinds_of(visit, items)


def _told(
    visit: Visit,
    stream: str,
    position: int,
    state: Mapping[str, Any],
    rows: list[dict[str, Any]],
    *,
    opens: bool,
) -> _Lines:
    call = visit.desk.entered("customer.events", {"id": stream})
    every = told(call, stream)
    recorded = [one for one in every if one.recorded.position <= position]
    ids, points = named_in(line_of(one) for one in recorded)
    people = {one["person"] for one in _members(state)}
    names = book(
        visit,
        ids | people | ids_of(one["grantee"] for one in rows),
        points | points_of(one["scope"] for one in rows if one.get("scope")),
    )
    events: list[dict[str, Any]] = []
    for one in recorded:
        show: Show = opener_for(call, stream, one.command_id) if opens else masked
        events.append(
            {
                "version": one.recorded.version,
                "position": one.recorded.position,
                "at": one.recorded.event.at,
                "recorded_at": one.recorded.recorded_at,
                "line": line(line_of(one), names, show),
            }
        )
    return _Lines(events, marks_of(every), names)
