"""What waits: for whoever is signed in, and for everybody where they may see it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final
from urllib.parse import urlencode

from api.problems import Answered
from api.screens.drawing import draw
from api.screens.naming import book, ids_of
from api.screens.visits import Visit
from projections.history_lines_names import Book

ROWS: Final = 50


async def page(visit: Visit) -> Answered:
    """Answer with a page of what waits, the longest waiting first."""
    asked = visit.query()
    staff = visit.caller.party.kind == "staff"
    everybody = staff is False or asked.get("of") == "all"
    query = {"limit": str(ROWS)}
    if "cursor" in asked:
        query["cursor"] = asked["cursor"]
    if visit.caller.party.kind == "customer":
        answer = await visit.desk.ask("me.asked", query=query)
        rows = await visit.work(_own_rows, visit, answer.document["items"])
    else:
        if not everybody:
            query["mine"] = "true"
        answer = await visit.desk.ask("worklist.list", query=query)
        rows = await visit.work(_rows, visit, answer.document["items"])
    following = answer.document["next_cursor"]
    kept = {"of": "all"} if asked.get("of") == "all" else {}
    values = {
        "rows": rows,
        "everybody": everybody,
        "staff": staff,
        "more": None if following is None else f"/work?{urlencode(kept | {'cursor': following})}",
    }
    return draw(visit, "work.html", values)


def _rows(visit: Visit, items: list[dict[str, Any]]) -> list[dict[str, Any]]:
    names = book(visit, ids_of(one["customer"] for one in items))
    return [_row(visit, names, one) for one in items]


def _row(visit: Visit, names: Book, item: Mapping[str, Any]) -> dict[str, Any]:
    stage = item["stage_names"]
    return {
        "what": visit.words.word("tasks", item["kind"]),
        "detail": "" if stage is None else stage[visit.language],
        "needs": needs(visit, item["needs"]),
        "about": item["about"],
        "link": _link(item["about"], item["id"]),
        "number": item["number"] or item["id"],
        "customer": names.party(item["customer"]) if item["customer"] else "",
        "case": item["case_kind"] if item["case_kind"] in ("renewal", "amendment") else None,
        "since": item["since"],
        "days": item["waiting_days"],
        "lapses_at": item["lapses_at"],
        "could": visit.words.comma.join(one["number"] for one in item["could"]),
        "hindrance": item["hindrance"],
        "unassigned": item["unassigned"],
    }


def needs(visit: Visit, missing: list[dict[str, Any]]) -> str:
    """Return what is still missing, in words: so many people of which role, for which checks."""
    words = visit.words
    found: list[str] = []
    for one in missing:
        role = words.word("role", one["role"]) if "role" in one else ""
        text = words.say("work.need", number=one.get("missing", 1), role=role)
        kinds = words.comma.join(words.word("kind", kind) for kind in one.get("kinds", ()))
        found.append(words.say("work.need_of", need=text, kinds=kinds) if kinds else text)
    return words.comma.join(found)


def _own_rows(visit: Visit, items: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [
        {
            "what": visit.words.word("asked", one["what"]),
            "detail": one.get("question") if isinstance(one.get("question"), str) else "",
            "needs": "",
            "about": "grant",
            "link": _link("grant", one["grant"]),
            "number": one.get("number", one["grant"]),
            "customer": "",
            "case": None,
            "since": one.get("since"),
            "days": None,
            "lapses_at": one.get("lapses_at"),
            "could": "",
            "hindrance": None,
            "unassigned": False,
        }
        for one in items
    ]


def _link(about: str, stream: str) -> str | None:
    return {"grant": f"/grants/{stream}", "customer": f"/customers/{stream}"}.get(about)
