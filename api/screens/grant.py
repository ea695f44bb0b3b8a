"""A grant's page: what it is and how it came about, what waits, what may be asked and decided."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from api.ids import is_id
from api.problems import Answered
from api.screens import asked_of, own_grant
from api.screens.acts import Tried, offered
from api.screens.drawing import draw, sentence
from api.screens.grant_acts import ACTS, OnGrant
from api.screens.grant_shown import Facts, Shown
from api.screens.grants import number_of
from api.screens.moments import (
    NOW,
    Moment,
    Record,
    happened,
    headers_of,
    led_to,
    moment_of,
    steps,
)
from api.screens.visits import Visit, elsewhere, without_blanks
from domain.errors import Refused


async def page(visit: Visit) -> Answered:
    """Answer with the page of a grant; by its number, lead to its page."""
    asked = without_blanks(visit.query())
    stream = visit.part("id")
    if visit.caller.party.kind == "customer":
        return await own_grant.show(visit, stream, asked)
    if not is_id(stream):
        return elsewhere(f"/grants/{await _by_number(visit, stream)}")
    if "step" in asked:
        record = Record("grant", stream)
        return elsewhere(led_to(record, asked, await visit.work(record.marks, visit)))
    return await show(visit, stream, asked, moment_of(asked, visit.zone))


async def _by_number(visit: Visit, text: str) -> str:
    query = {"number": number_of(text)[:200], "limit": "1"}
    found = (await visit.desk.ask("grant.list", query=query)).document["items"]
    if not found:
        raise Refused("grant.unknown", grant=text[:64])
    return found[0]["grant_id"]


async def show(
    visit: Visit,
    stream: str,
    asked: Mapping[str, str],
    moment: Moment = NOW,
    tried: Tried | None = None,
    status: int = 200,
) -> Answered:
    """Answer with the page as of a moment; with a form that was refused, that and what was typed.

    Raises `Refused`: `grant.unknown`, and what the operations refuse.
    """
    headers = headers_of(asked)
    found = await visit.desk.ask("grant.get", {"id": stream}, moment.query, headers=headers)
    facts = Facts(
        id=stream,
        document=found.document,
        position=found.position,
        now=moment == NOW,
        opens=bool(headers),
    )
    shown = Shown(visit, facts)
    standing = await _standing(visit, shown.grantee, moment)
    values: dict[str, Any] = await visit.work(shown.values, standing)
    values["answer"] = await asked_of.answer(visit, shown, asked)
    values["questions"] = await visit.work(asked_of.form, visit, shown, asked)
    forms = [] if moment != NOW else await offered(visit, OnGrant(shown), ACTS, tried)
    values["forms"] = forms
    values["refusal"] = None if tried is None else sentence(visit, tried.refused)
    values["moved"] = tried is not None and tried.refused.code == "version.moved"
    values["tried"] = None if tried is None else tried.act
    values["happened"] = happened(shown.events, asked)
    values["nothing"] = "nothing" in asked
    values["past"] = steps(Record("grant", stream), shown.marks, moment, found.position)
    values["asked"] = {name: asked.get(name, "") for name in ("as_of", "at")}
    values["may_open"] = "personal:read" in visit.caller.scopes
    values["opens"] = bool(headers)
    return draw(visit, "grant.html", values, status=status)


async def _standing(visit: Visit, grantee: str, moment: Moment) -> dict[str, Any] | None:
    """Return the customer behind the grant, where whoever looks may see customers."""
    kind, _, customer = grantee.partition(":")
    if kind != "customer" or not visit.desk.may("customer.get"):
        return None
    try:
        found = await visit.desk.ask("customer.get", {"id": customer}, moment.query)
    except Refused as refused:
        if refused.code != "customer.unknown":
            raise
        return None  # imported history may name a customer that never was registered
    return found.document["state"]
