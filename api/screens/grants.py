"""The list of grants, found by number, grantee or status, page by page."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final, get_args
from urllib.parse import urlencode

from api.problems import Answered, status_of
from api.routes.operations import UNLOGGED
from api.screens.drawing import draw, sentence
from api.screens.naming import book, ids_of, link_of, points_of
from api.screens.visits import Visit, without_blanks
from domain import grant_states, numbers
from domain.errors import Refused
from projections.history_lines_names import Book

ROWS: Final = 50
CHOICES: Final = 20
"""Customers offered where what was typed fits several."""

STATUSES: Final[tuple[str, ...]] = get_args(grant_states.Status)
FILTERS: Final = ("number", "grantee", "status")

_REF: Final = re.compile(r"(?:customer|staff|team):.+")


async def page(visit: Visit) -> Answered:
    """Answer with a page of grants, in the order of their making."""
    asked = without_blanks(visit.query())
    shown: dict[str, Any] = {
        "asked": {name: asked.get(name, "") for name in FILTERS},
        "statuses": STATUSES,
        "rows": [],
        "choices": [],
        "more": None,
        "sentence": None,
        "own": visit.caller.party.kind == "customer",
    }
    status = 200
    try:
        if shown["own"]:
            shown |= await _own(visit, asked)
        else:
            shown |= await _found(visit, asked)
    except Refused as refused:
        typed = any(name in asked for name in (*FILTERS, "cursor"))
        status = status_of(refused.code)
        if not typed or status in UNLOGGED:
            raise
        shown["sentence"] = sentence(visit, refused)
    return draw(visit, "grants.html", shown, status=status)


async def _found(visit: Visit, asked: Mapping[str, str]) -> dict[str, Any]:
    query = {"limit": str(ROWS)}
    query |= {name: asked[name] for name in ("status", "cursor") if name in asked}
    if "number" in asked:
        query["number"] = number_of(asked["number"])
    if "grantee" in asked:
        refs = await _grantees(visit, asked["grantee"])
        if not refs:
            raise Refused("grantee.unknown", grantee=asked["grantee"])
        if len(refs) > 1:
            return {"choices": await visit.work(_choices, visit, refs)}
        query["grantee"] = refs[0]
    answer = await visit.desk.ask("grant.list", query=query)
    return await visit.work(_shown, visit, answer.document, asked)


async def _own(visit: Visit, asked: Mapping[str, str]) -> dict[str, Any]:
    query = {"limit": str(ROWS)} | ({"cursor": asked["cursor"]} if "cursor" in asked else {})
    answer = await visit.desk.ask("me.grants", query=query)
    items = [
        {**one, "grant_id": one["grant"], "grantee": None, "starts_at": one.get("starts_at")}
        for one in answer.document["items"]
    ]
    document = {**answer.document, "items": items}
    return await visit.work(_shown, visit, document, asked)


def number_of(text: str) -> str:
    """Return a grant's number as it is written, however it was typed.

    Raises `Refused` `grant.mistyped` where its check character says that it is another one.
    """
    try:
        return numbers.parse(text)
    except numbers.NumberFault as fault:
        if fault.code == "check":
            raise Refused("grant.mistyped", grant=text) from None
        return text  # imported grants keep the numbers they had


async def _grantees(visit: Visit, text: str) -> list[str]:
    """Return the refs that may be meant: a ref, a customer's number, how a name begins."""
    if _REF.fullmatch(text):
        return [text]
    for how in ("number", "title"):
        if how == "number" and re.search(r"[\s/*]", text):
            continue
        found = await visit.desk.ask("customer.list", query={how: text, "limit": str(CHOICES)})
        if refs := [f"customer:{one['customer_id']}" for one in found.document["items"]]:
            return refs
    return []


def _choices(visit: Visit, refs: list[str]) -> list[dict[str, str]]:
    names = book(visit, ids_of(refs))
    return [
        {"name": names.party(ref), "link": f"/grants?{urlencode({'grantee': ref})}"} for ref in refs
    ]


def _shown(visit: Visit, document: Mapping[str, Any], asked: Mapping[str, str]) -> dict[str, Any]:
    items: list[dict[str, Any]] = document["items"]
    names = book(
        visit,
        ids_of(one["grantee"] for one in items),
        points_of(one["scope"] for one in items if one.get("scope")),
    )
    following = document["next_cursor"]
    kept = {name: asked[name] for name in FILTERS if name in asked}
    return {
        "rows": [row(names, one) for one in items],
        "more": None if following is None else f"/grants?{urlencode(kept | {'cursor': following})}",
    }


def row(names: Book, item: Mapping[str, Any]) -> dict[str, Any]:
    """Return a row of a list of grants."""
    grantee = item["grantee"]
    return {
        "link": f"/grants/{item['grant_id']}",
        "number": item["number"] or item["grant_id"],
        "status": item["status"],
        "grantee": names.party(grantee) if grantee else "",
        "grantee_link": link_of(grantee) if grantee else None,
        "kind": item.get("kind") or "",
        "scope": names.scope(item.get("scope") or {}),
        "starts_at": item.get("starts_at"),
        "ends_at": item.get("ends_at"),
    }
