"""The question "may they …?" on a grant's page: asked as an access check, answered in words."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from api.screens.clock import given
from api.screens.drawing import sentence
from api.screens.grant_shown import Shown
from api.screens.naming import book
from api.screens.visits import Visit
from api.texts import text
from domain.errors import Refused
from domain.values import PolicyRef

PLACE: Final = "on."
"""How the fields begin that name a point, one a dimension."""


def form(visit: Visit, shown: Shown, asked: Mapping[str, str]) -> dict[str, Any] | None:
    """Return the fields of the question, None for whoever may not ask it."""
    if not shown.grantee or not visit.desk.may("access.check"):
        return None
    policy = shown.state["policy"]
    ref = PolicyRef(policy["policy"], policy["version"])
    return {
        "actions": [(one, shown.names.action(ref, one)) for one in shown.terms["actions"]],
        "action": asked.get("action", ""),
        "places": [
            {
                "name": f"{PLACE}{dimension}",
                "label": shown.names.dimension(dimension),
                "value": asked.get(f"{PLACE}{dimension}", _suggested(patterns)),
            }
            for dimension, patterns in shown.terms["scope"].items()
        ],
        "when": asked.get("when", ""),
    }


def _suggested(patterns: list[str]) -> str:
    return next((one for one in patterns if one != "*"), "")


async def answer(visit: Visit, shown: Shown, asked: Mapping[str, str]) -> dict[str, Any] | None:
    """Return the check's answer with its explanation; None where nothing was asked."""
    if "action" not in asked:
        return None
    places = {
        name.removeprefix(PLACE): value for name, value in asked.items() if name.startswith(PLACE)
    }
    kind = next(iter(places), "")
    body: dict[str, Any] = {
        "subject": shown.grantee,
        "action": asked["action"],
        "resource": {
            "type": kind,
            "id": places.pop(kind, ""),
            "properties": places,
        },
    }
    if "when" in asked:
        body["at"] = given(asked["when"], visit.zone)
    if "as_of" in asked:
        known = asked["as_of"]
        body["as_of"] = int(known) if known.isdigit() else given(known, visit.zone)
    try:
        found = (await visit.desk.ask("access.check", body=body)).document
    except Refused as refused:
        return {"allowed": None, "detail": sentence(visit, refused), "at": None, "number": None}
    explanation = found["explanation"]
    return {
        "allowed": found["decision"],
        "detail": await _told(visit, explanation),
        "at": found["at"],
        "position": found["position"],
        "number": explanation.get("number"),
        "link": f"/grants/{explanation['grant']}" if explanation.get("grant") else None,
        "terms": explanation.get("terms"),
        "chain": [
            {"number": one.get("number"), "link": f"/grants/{one['grant']}"}
            for one in explanation.get("chain", ())
            if one.get("grant")
        ],
    }


async def _told(visit: Visit, explanation: Mapping[str, Any]) -> str:
    """Return the API's explanation, with what its dimension and its point are called."""
    dimension, path = explanation.get("dimension"), explanation.get("path")
    if dimension is None:
        return explanation["detail"]
    names = await visit.work(book, visit, (), () if path is None else ((dimension, path),))
    called = {"dimension": await visit.work(names.dimension, dimension)}
    if path is not None:
        name = names.point(dimension, path)
        called["path"] = path if name == path else f"{name} {path}"
    return text(explanation["code"], visit.language, {**explanation, **called})
