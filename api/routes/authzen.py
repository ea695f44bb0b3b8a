"""AuthZEN Authorization API 1.0 (final, 2026-01-11): the single evaluation, and where things are.

The hot path is straight: who calls, the body by msgspec, the answer from memory, constant bytes.
"""

from __future__ import annotations

from typing import Annotated, Any, Final

import msgspec
import orjson

from api import bodies
from api.bodies import Malformed
from api.ids import is_id
from api.problems import Answered
from api.routes.checks import EXAMPLE_ID, NOTHING, explained
from api.routes.operations import JSON, Call, Operation, answered
from domain.errors import Refused
from domain.values import Instant
from projections.checks import MAX_SUBJECT, Question

ALLOWED: Final = b'{"decision":true}'
DENIED: Final = b'{"decision":false}'
HEADERS: Final = [(b"content-type", JSON)]

Word = Annotated[str, msgspec.Meta(min_length=1, max_length=512)]


class Subject(msgspec.Struct, frozen=True, gc=False):
    """Section 5.1; members that are not named here are ignored."""

    type: Word
    id: Word
    properties: dict[str, Any] | None = None


class Action(msgspec.Struct, frozen=True, gc=False):
    """Section 5.3."""

    name: Word
    properties: dict[str, Any] | None = None


class Resource(msgspec.Struct, frozen=True, gc=False):
    """Section 5.2."""

    type: Word
    id: Word
    properties: dict[str, Any] | None = None


class Evaluation(msgspec.Struct, frozen=True, gc=False):
    """Section 6.1: one access evaluation request.

    Of `context` these are ours: `explain` (true: give the reason), `at` (when it is to be in
    force), `as_of` (by what we knew then: position or instant), `consistency` (`"default"`,
    `"full"`, or `{"at_least": <position>}`).
    """

    subject: Subject
    action: Action
    resource: Resource
    context: dict[str, Any] | None = None


class _Times(msgspec.Struct, frozen=True, gc=False):
    """What `context` may say of times."""

    explain: bool = False
    at: Instant | None = None
    as_of: Annotated[int, msgspec.Meta(ge=0)] | Instant | None = None
    consistency: str | dict[str, int] = "default"


_OURS: Final = frozenset(_Times.__struct_fields__)


async def evaluate(call: Call) -> Answered:
    """Answer one evaluation."""
    data = await call.json()
    asked = bodies.decode(call.services.decoder(Evaluation), data)
    context = asked.context
    subject = f"{asked.subject.type}:{asked.subject.id}"
    memory, measures = call.services.memory, call.services.measures
    if len(subject) > MAX_SUBJECT:
        raise Refused("check.bad_id", member="subject", fault="too_long")
    question = Question(
        tenant=call.caller.tenant,
        subject=subject,
        action=asked.action.name,
        resource_type=asked.resource.type,
        resource_id=asked.resource.id,
        properties=asked.resource.properties or NOTHING,
        context=context or NOTHING,
    )
    explain = False
    if context is not None and not _OURS.isdisjoint(context):
        question, explain = await _with_times(call, question, context)
    decision = memory.recall(question)  # after the body was read: that is when the bound is tested
    if decision is None:
        decision = await memory.check(question)
    allowed = decision.allowed
    measures.decided(allowed)
    if not explain:
        return Answered(200, HEADERS, ALLOWED if allowed else DENIED)
    why = explained(await memory.explain(decision), call.language)
    document = {"decision": allowed, "context": why | {"position": decision.position}}
    return Answered(200, HEADERS, orjson.dumps(document))


async def _with_times(
    call: Call, question: Question, context: dict[str, Any]
) -> tuple[Question, bool]:
    """Return the question as `context` changes it, and whether a reason is asked for.

    Raises `Malformed` `body.invalid`: a member of ours that is not what it should be.
    """
    ours = {name: context[name] for name in _OURS & context.keys()}
    try:
        times = msgspec.convert(ours, _Times)
    except msgspec.ValidationError as fault:
        found = bodies.finding(str(fault))
        raise Malformed(
            "body.invalid", found._replace(pointer=f"/context{found.pointer}")
        ) from None
    at_least: int | None = None
    full = False
    match times.consistency:
        case "default":
            pass
        case "full":
            full = True
        case {"at_least": position, **rest} if not rest and position >= 0:
            at_least = position
        case _:
            fault = bodies.Finding("/context/consistency", "field.value", {})
            raise Malformed("body.invalid", fault)
    as_of = times.as_of
    if as_of is not None and not isinstance(as_of, int):
        as_of = await call.services.memory.position_at(call.tenant, as_of)
    changed = msgspec.structs.replace(
        question,
        at=times.at,
        as_of=as_of,
        at_least=at_least,
        consistency="full" if full else "default",
    )
    return changed, times.explain


async def configuration(call: Call) -> Answered:
    """Answer where the endpoints are (section 9), also of a tenant, there or not."""
    base = call.services.settings.base_url
    tenant = call.scope["path_params"].get("tenant")
    if tenant is not None and not is_id(tenant):
        raise Refused("route.unknown")
    document = {
        "policy_decision_point": base if tenant is None else f"{base}/{tenant}",
        "access_evaluation_endpoint": f"{base}/access/v1/evaluation",
    }
    return answered(document)


def _metadata(name: str, path: str) -> Operation:
    return Operation(
        name=name,
        method="GET",
        path=path,
        scope=None,
        summary="AuthZEN metadata: where the endpoints are",
        summary_zh="AuthZEN 元数据：各端点的位置",
        shows={
            "policy_decision_point": "https://pdp.example.com",
            "access_evaluation_endpoint": "https://pdp.example.com/access/v1/evaluation",
        },
        handle=configuration,
    )


WELL_KNOWN: Final = "/.well-known/authzen-configuration"

OPERATIONS: Final = (
    Operation(
        name="access.evaluate",
        method="POST",
        path="/access/v1/evaluation",
        scope="evaluate",
        summary="AuthZEN access evaluation",
        summary_zh="AuthZEN 访问评估",
        body=Evaluation,
        example={
            "subject": {"type": "customer", "id": EXAMPLE_ID},
            "action": {"name": "sell"},
            "resource": {
                "type": "territory",
                "id": "CN/31/0115",
                "properties": {"product": "tea/green"},
            },
        },
        shows={"decision": True},
        answer="The decision; a denial is an answer too.",
        handle=evaluate,
    ),
    _metadata("access.metadata", WELL_KNOWN),
    _metadata("access.metadata_of_tenant", f"{WELL_KNOWN}/{{tenant}}"),
)
