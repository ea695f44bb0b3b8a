"""Decisions from a page: a form becomes the operation that it is, and its answer a page again."""

from __future__ import annotations

from collections.abc import Mapping

from api.bodies import Malformed
from api.problems import Answered, status_of
from api.screens import customer, customer_acts, grant, grant_acts, own_grant
from api.screens.acts import Act, Tried, body_of, headers_of
from api.screens.asking import Answer
from api.screens.visits import Visit, elsewhere
from domain.errors import Refused


async def on_grant(visit: Visit) -> Answered:
    """Decide on a grant; what is refused is shown above the form, with what was typed."""
    typed = await visit.form()
    act = _act(grant_acts.BY_NAME, typed)
    stream = visit.part("id")
    try:
        answer = await _decide(visit, act, stream, typed)
    except Refused as refused:
        tried, status = Tried(act.name, typed, refused), status_of(refused.code)
        if visit.caller.party.kind == "customer":
            return await own_grant.show(visit, stream, {}, tried, status)
        return await grant.show(visit, stream, {}, tried=tried, status=status)
    return _done(f"/grants/{stream}", answer)


async def on_customer(visit: Visit) -> Answered:
    """Decide on a customer; what is refused is shown above the form, with what was typed."""
    typed = await visit.form()
    act = _act(customer_acts.BY_NAME, typed)
    stream = visit.part("id")
    try:
        answer = await _decide(visit, act, stream, typed)
    except Refused as refused:
        tried = Tried(act.name, typed, refused)
        return await customer.show(visit, stream, {}, tried=tried, status=status_of(refused.code))
    return _done(f"/customers/{stream}", answer)


def _act(known: Mapping[str, Act], typed: Mapping[str, str]) -> Act:
    found = known.get(typed.get("act", ""))
    if found is None:
        raise Malformed("query.invalid")
    return found


async def _decide(visit: Visit, act: Act, stream: str, typed: Mapping[str, str]) -> Answer:
    path = {"id": stream} | {name: typed.get(name, "") for name in act.places}
    headers = headers_of(act, typed.get("key", ""), typed.get("version", ""))
    return await visit.desk.ask(
        act.operation, path, body=body_of(visit, act, typed), headers=headers
    )


def _done(path: str, answer: Answer) -> Answered:
    """Lead to the page with what happened: reloading it sends nothing again."""
    events = answer.document["events"]
    own = [one["version"] for one in events if one["stream"] == answer.document["id"]]
    if not own:
        return elsewhere(f"{path}?nothing=1")
    return elsewhere(f"{path}?since={min(own) - 1}&until={max(own)}")
