"""AuthZEN Authorization API 1.0 (final, 2026-01-11): the single evaluation, and where things are.

The hot path is straight: who calls, the body by msgspec, the answer from memory, constant bytes.
"""

from __future__ import annotations

from typing import Any, Final

import orjson

from api import bodies
from api.explanations import explained
from api.ids import is_id
from api.problems import Answered
from api.routes.authzen_words import Evaluation, question_of, with_times
from api.routes.checks import EXAMPLE_ID
from api.routes.operations import JSON, Call, Operation, answered
from domain.errors import Refused
from projections.checks import Decision

ALLOWED: Final = b'{"decision":true}'
DENIED: Final = b'{"decision":false}'
HEADERS: Final = [(b"content-type", JSON)]


async def evaluate(call: Call) -> Answered:
    """Answer one evaluation."""
    return await evaluated(call, await call.json())


async def evaluated(call: Call, data: bytes) -> Answered:
    """Return the answer to one evaluation, the whole body of a request."""
    asked = bodies.decode(call.services.decoder(Evaluation), data)
    memory, measures = call.services.memory, call.services.measures
    question, explain = question_of(call.caller.tenant, asked), False
    if asked.context is not None:
        question, explain = await with_times(call, question, asked.context)
    decision = memory.recall(question)  # after the body was read: that is when the bound is tested
    if decision is None:
        decision = await memory.check(question)
    allowed = decision.allowed
    measures.decided(allowed)
    if not explain:
        return Answered(200, HEADERS, ALLOWED if allowed else DENIED)
    return Answered(200, HEADERS, await shown(call, decision, explain=True))


async def shown(call: Call, decision: Decision, *, explain: bool) -> bytes:
    """Return a decision as JSON: bare, or with its reason where one was asked for."""
    allowed = decision.allowed
    if not explain:
        return ALLOWED if allowed else DENIED
    why = explained(await call.services.memory.explain(decision), call.language)
    return orjson.dumps({"decision": allowed, "context": why | {"position": decision.position}})


ENDPOINTS: Final = {
    "access_evaluation_endpoint": "/access/v1/evaluation",
    "access_evaluations_endpoint": "/access/v1/evaluations",
    "search_subject_endpoint": "/access/v1/search/subject",
    "search_resource_endpoint": "/access/v1/search/resource",
    "search_action_endpoint": "/access/v1/search/action",
}
"""Parameter of the metadata (section 9.1.1) -> path."""


def _metadata_of(point: str, base: str) -> dict[str, str]:
    endpoints = {name: f"{base}{path}" for name, path in ENDPOINTS.items()}
    return {"policy_decision_point": point, **endpoints}


async def configuration(call: Call) -> Answered:
    """Answer where the endpoints are (section 9), also of a tenant, there or not."""
    base = call.services.settings.base_url
    tenant = call.scope["path_params"].get("tenant")
    if tenant is not None and not is_id(tenant):
        raise Refused("route.unknown")
    return answered(_metadata_of(base if tenant is None else f"{base}/{tenant}", base))


def _metadata(name: str, path: str, point: str) -> Operation:
    return Operation(
        name=name,
        method="GET",
        path=path,
        scope=None,
        summary="AuthZEN metadata: where the endpoints are",
        summary_zh="AuthZEN 元数据：各端点的位置",
        shows=_metadata_of(point, "https://pdp.example.com"),
        handle=configuration,
    )


WELL_KNOWN: Final = "/.well-known/authzen-configuration"

EXAMPLE: Final[dict[str, Any]] = {
    "subject": {"type": "customer", "id": EXAMPLE_ID},
    "action": {"name": "sell"},
    "resource": {
        "type": "territory",
        "id": "CN/31/0115",
        "properties": {"product": "tea/green"},
    },
}

OPERATIONS: Final = (
    Operation(
        name="access.evaluate",
        method="POST",
        path=ENDPOINTS["access_evaluation_endpoint"],
        scope="evaluate",
        summary="AuthZEN access evaluation",
        summary_zh="AuthZEN 访问评估",
        body=Evaluation,
        example=EXAMPLE,
        shows={"decision": True},
        answer="The decision; a denial is an answer too.",
        handle=evaluate,
    ),
    _metadata("access.metadata", WELL_KNOWN, "https://pdp.example.com"),
    _metadata(
        "access.metadata_of_tenant",
        f"{WELL_KNOWN}/{{tenant}}",
        f"https://pdp.example.com/{EXAMPLE_ID}",
    ),
)
