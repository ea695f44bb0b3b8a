"""One record and its history: read from the log itself, so that it is as new as the answer."""

from __future__ import annotations

from typing import Any, Final

from api import rendering
from api.problems import Answered
from api.routes.operations import Call, Operation, answered
from api.routes.past import View, page_of, view_of
from api.routes.questions import ListQuestion, Question, page, reached
from api.routes.reading import Told, opener_for, opener_for_state, told, unmasks
from domain.errors import Refused
from domain.grant_states import Grant
from domain.policies import Policy
from domain.terms import agreement_digest
from domain.values import Instant
from projections.unseen import Show, masked

PLURALS: Final = {
    "grant": ("grants", "grants:read", "a grant", "授权"),
    "customer": ("customers", "customers", "a customer", "客户"),
    "staff": ("staff", "staff", "a staff member", "员工"),
    "person": ("persons", "staff", "a person", "自然人"),
    "policy": ("policies", "policies", "a policy", "政策"),
}
"""Kind -> path, scope, and its name in both languages."""

READERS: Final = ("audit:read",)
"""Scopes that read everything, masked."""


def _kind(call: Call) -> str:
    return call.operation.name.partition(".")[0]


async def one(call: Call) -> Answered:
    """Answer with a record's state, now or as it was."""
    kind = _kind(call)
    question = call.query(Question)
    stream = call.id("id", kind)
    position = await reached(call, question.at_least)
    view = await view_of(call, question)
    loaded = await call.work(view.load, kind, stream)
    if loaded.state is None:
        raise Refused(f"{kind}.unknown", **{kind: stream})
    at = view.now()
    unmasked = await unmasks(call, stream)
    state = await call.work(_state, call, kind, stream, loaded.state, at, unmasked)
    document: dict[str, Any] = {"id": stream, "version": loaded.version, "state": state}
    if kind == "grant":
        document["agreement"] = await call.work(agreement_of, call, loaded.state, view)
    return answered(document | view.told(), 200, headers_of(view, loaded.version, position))


def headers_of(view: View, version: int, position: int) -> list[tuple[bytes, bytes]]:
    """Return the headers of one record. What it was is nothing that a command could match: only
    what it is now has an ETag.
    """
    if view.position is not None:
        return [(b"position", str(view.position).encode()), *view.headers()]
    tag = (b"etag", f'"v{version}"'.encode())
    return [tag, (b"position", str(position).encode()), *view.headers()]


def _state(
    call: Call, kind: str, stream: str, state: Any, at: Instant, unmasked: bool
) -> dict[str, Any]:
    show: Show = masked
    if unmasked:
        show = opener_for_state(call, stream, told(call, stream))
    return rendering.state(kind, state, at, show)


def agreement_of(call: Call, grant: Grant, view: View | None = None) -> dict[str, Any] | None:
    """What is to be signed once the terms of a request or an open case are approved; else None."""
    case = grant.open_case
    walked = case if case is not None and case.status == "approved" else grant
    if walked.status != "approved":
        return None
    loaded = (view or View(call)).load("policy", walked.policy.policy)
    policy: Policy | None = loaded.state
    version = policy.versions.get(walked.policy.version) if policy is not None else None
    agreement = version.body.agreement if version is not None else None
    if agreement is None:
        return None
    return {
        "case": walked.case,
        "template": agreement.template,
        "version": agreement.version,
        "sha256": agreement.sha256,
        "signers": list(agreement.signers),
        "digest": agreement_digest(agreement, walked.terms),
    }


async def events(call: Call) -> Answered:
    """Answer with what happened to a record, oldest first."""
    kind = _kind(call)
    question = call.query(ListQuestion)
    stream = call.tenant if kind == "catalogue" else call.id("id", kind)
    position = await reached(call, question.at_least)
    view, after = await page_of(call, question, (int,))
    behind: int = 0 if after is None else after[0]
    every = await call.work(told, call, stream, behind)
    found = [one for one in every if view.sees(one.recorded.position, one.recorded.event.at)]
    if not found and not behind:
        raise Refused(f"{kind}.unknown", **{kind: stream})
    if found and found[0].recorded.kind != kind:
        raise Refused(f"{kind}.unknown", **{kind: stream})
    unmasked = await unmasks(call, stream)
    shown = found[: question.limit]
    items = await call.work(_events, call, stream, shown, unmasked)
    more = len(found) > len(shown)
    last = [shown[-1].recorded.version] if more else None
    looked = position if view.position is None else view.position
    return page(call, question, items, last, looked, view)


def _events(call: Call, stream: str, found: list[Told], unmasked: bool) -> list[dict[str, Any]]:
    return [
        rendering.event(
            one.recorded, opener_for(call, stream, one.command_id) if unmasked else masked
        )
        for one in found
    ]


def _operations(kind: str) -> tuple[Operation, Operation]:
    plural, scope, name, name_zh = PLURALS[kind]
    return (
        Operation(
            name=f"{kind}.get",
            method="GET",
            path=f"/v1/{plural}/{{id}}",
            scope=scope,
            also=READERS,
            summary=f"Show {name} as it is now, or as it was",
            summary_zh=f"查看{name_zh}现在或过去的状态",
            query=Question,
            past=("as_of", "at", "happened"),
            unmasks=True,
            answer="The state; texts about people are masked unless a purpose is given.",
            handle=one,
        ),
        Operation(
            name=f"{kind}.events",
            method="GET",
            path=f"/v1/{plural}/{{id}}/events",
            scope=scope,
            also=READERS,
            summary=f"Show what happened to {name}",
            summary_zh=f"查看{name_zh}的历史",
            query=ListQuestion,
            past=("as_of", "happened"),
            unmasks=True,
            answer="Events in the order of their versions.",
            handle=events,
        ),
    )


OPERATIONS: Final = (
    *_operations("grant"),
    *_operations("customer"),
    *_operations("staff"),
    *_operations("person"),
    *_operations("policy"),
    Operation(
        name="catalogue.events",
        method="GET",
        path="/v1/catalogue/events",
        scope="admin",
        also=READERS,
        summary="Show what happened to the catalogue",
        summary_zh="查看目录的历史",
        query=ListQuestion,
        past=("as_of", "happened"),
        answer="Events in the order of their versions.",
        handle=events,
    ),
)
