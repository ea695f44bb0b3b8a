"""AuthZEN's searches: of subjects, resources and actions (section 8)."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime
from functools import partial
from typing import Annotated, Any, Final, Protocol, cast

import msgspec
from msgspec.structs import replace

from api import bodies, cursors
from api.bodies import Malformed
from api.problems import Answered
from api.routes.authzen import ENDPOINTS, EXAMPLE
from api.routes.authzen_words import (
    Action,
    Properties,
    Resource,
    Subject,
    Word,
    subject_ref,
    with_times,
)
from api.routes.checks import NOTHING
from api.routes.operations import Call, Operation, answered
from api.routes.questions import reached
from projections import search
from projections.checks import Question
from projections.search import MAX_RESULTS, Found


class PageAsked(msgspec.Struct, frozen=True, gc=False):
    """Section 8.2: how many results at the most, or the `next_token` of the page before."""

    token: str | None = None
    limit: Annotated[int, msgspec.Meta(ge=0)] | None = None


class SubjectSought(msgspec.Struct, frozen=True, gc=False):
    """Of which type; an `id` makes no difference."""

    type: Word
    properties: Properties | None = None


class ResourceSought(msgspec.Struct, frozen=True, gc=False):
    """Of which type; an `id` makes no difference, `properties` are each one's."""

    type: Word
    properties: Properties | None = None


class SubjectSearch(msgspec.Struct, frozen=True, gc=False):
    """Section 8.4: who may do this here? The context is that of an evaluation."""

    subject: SubjectSought
    action: Action
    resource: Resource
    context: Properties | None = None
    page: PageAsked | None = None


class ResourceSearch(msgspec.Struct, frozen=True, gc=False):
    """Section 8.5: where may they do this? The context is that of an evaluation."""

    subject: Subject
    action: Action
    resource: ResourceSought
    context: Properties | None = None
    page: PageAsked | None = None


class ActionSearch(msgspec.Struct, frozen=True, gc=False):
    """Section 8.6: what may they do here? The context is that of an evaluation."""

    subject: Subject
    resource: Resource
    context: Properties | None = None
    page: PageAsked | None = None


class Asked(Protocol):
    """What the three have in common."""

    @property
    def context(self) -> Properties | None: ...

    @property
    def page(self) -> PageAsked | None: ...


async def subjects(call: Call) -> Answered:
    """Answer who may."""
    asked = bodies.decode(call.services.decoder(SubjectSearch), await call.json())
    kind, action, where = asked.subject.type, asked.action.name, asked.resource
    question = _question(call, kind, action, where.type, where.id, where.properties)
    look = partial(search.subjects, kind=kind)
    return await _page(call, asked, question, look, lambda one: {"type": kind, "id": one})


async def resources(call: Call) -> Answered:
    """Answer where they may."""
    asked = bodies.decode(call.services.decoder(ResourceSearch), await call.json())
    who = subject_ref(asked.subject)
    kind, properties = asked.resource.type, asked.resource.properties
    question = _question(call, who, asked.action.name, kind, SOUGHT, properties)
    look = search.resources
    return await _page(call, asked, question, look, lambda one: {"type": kind, "id": one})


async def actions(call: Call) -> Answered:
    """Answer what they may."""
    asked = bodies.decode(call.services.decoder(ActionSearch), await call.json())
    who, where = subject_ref(asked.subject), asked.resource
    question = _question(call, who, SOUGHT, where.type, where.id, where.properties)
    return await _page(call, asked, question, search.actions, lambda name: {"name": name})


SOUGHT: Final = "sought"
"""Stands in a question for what is searched; the search puts each candidate in its place."""


def _question(
    call: Call, subject: str, action: str, kind: str, path: str, properties: Properties | None
) -> Question:
    return Question(
        tenant=call.tenant,
        subject=subject,
        action=action,
        resource_type=kind,
        resource_id=path,
        properties=properties or NOTHING,
    )


async def _page(
    call: Call,
    asked: Asked,
    question: Question,
    look: Callable[..., Found],
    result: Callable[[str], dict[str, str]],
) -> Answered:
    """Answer with one page, the way it stands in the log right now."""
    query = _query(asked)
    after, limit = _place(call, query, asked.page or PageAsked())
    if asked.context is not None:
        question = replace(question, context=asked.context)
        question, _ = await with_times(call, question, asked.context)
    if question.at_least is not None:
        await reached(call, question.at_least)
    found = await call.work(_read, call, look, question, after, limit)
    document: dict[str, Any] = {"results": [result(one) for one in found.results]}
    if found.last is not None:
        token = cursors.encode(call.operation.name, query, [limit, found.last])
        document["page"] = {"next_token": token}
    elif asked.page is not None:
        document["page"] = {"next_token": ""}
    return answered(document, 200, [(b"position", str(found.position).encode())])


def _query(asked: Asked) -> str:
    """Return what a token is bound to: all that was asked, but for the page."""
    told = cast(dict[str, Any], msgspec.to_builtins(asked))
    return json.dumps(told | {"page": None}, sort_keys=True)


def _place(call: Call, query: str, page: PageAsked) -> tuple[str, int]:
    """Return behind which key the page begins, and how many results it has at the most.

    Raises `Malformed` `cursor.malformed`: a token of another query, with another limit, or with
    what we never gave.
    """
    limit = MAX_RESULTS if page.limit is None else min(page.limit, MAX_RESULTS)
    if not page.token:
        return "", limit
    given, after = cursors.decode(call.operation.name, query, page.token, (int, str))
    other = page.limit is not None and given != limit
    if other or not 0 <= given <= MAX_RESULTS or "\0" in after:
        raise Malformed("cursor.malformed")
    return after, given


def _read(
    call: Call, look: Callable[..., Found], question: Question, after: str, limit: int
) -> Found:
    now = datetime.now(UTC)
    with call.services.ledgers.pool.connection() as connection:
        return look(connection, question, after=after, limit=limit, now=now)


def _operation(
    name: str, summary: str, summary_zh: str, body: type[msgspec.Struct], **more: Any
) -> Operation:
    return Operation(
        name=f"access.search_{name}",
        method="POST",
        path=ENDPOINTS[f"search_{name}_endpoint"],
        scope="search",
        summary=f"AuthZEN search: {summary}",
        summary_zh=f"AuthZEN 搜索：{summary_zh}",
        body=body,
        answer="A page of results, in a stable order; `next_token` is empty where nothing follows.",
        **more,
    )


WHO, WHAT, WHERE = (EXAMPLE[name] for name in ("subject", "action", "resource"))
LIMIT: Final = {"page": {"limit": 100}}
END: Final = {"page": {"next_token": ""}}

OPERATIONS: Final = (
    _operation(
        "subject",
        "who may do this here",
        "谁可在此为此行为",
        SubjectSearch,
        example={"subject": {"type": WHO["type"]}, "action": WHAT, "resource": WHERE} | LIMIT,
        shows={"results": [WHO]} | END,
        handle=subjects,
    ),
    _operation(
        "resource",
        "where may they do this",
        "其可在何处为此行为",
        ResourceSearch,
        example={
            "subject": WHO,
            "action": WHAT,
            "resource": {name: WHERE[name] for name in ("type", "properties")},
        }
        | LIMIT,
        shows={"results": [{"type": WHERE["type"], "id": WHERE["id"]}]} | END,
        handle=resources,
    ),
    _operation(
        "action",
        "what may they do here",
        "其可在此为何行为",
        ActionSearch,
        example={"subject": WHO, "resource": WHERE} | LIMIT,
        shows={"results": [WHAT]} | END,
        handle=actions,
    ),
)
