"""Access checks: our own form, with all dimensions, times and the reason."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Final, Literal

import msgspec

from api import bodies, rendering
from api.explanations import explained
from api.problems import Answered
from api.routes.operations import Call, Operation, answered
from api.routes.questions import Position
from api.shapes import Code, Path, Shape, When
from domain.scopes import MAX_DIMENSIONS
from projections.checks import Decision, Question

Properties = Annotated[dict[str, Any], msgspec.Meta(max_length=4 * MAX_DIMENSIONS)]


class ResourceAsked(Shape, frozen=True, kw_only=True):
    """A point: `type` is a dimension, `id` a path in it; `properties` place it on others."""

    type: Code
    id: Path
    properties: Properties | None = None


class CheckAsked(Shape, frozen=True, kw_only=True):
    """May `subject` do `action` on `resource`?

    `at`: when it is to be in force (now where nothing is said). `as_of`: by what we knew then, a
    position of the log or an instant. `at_least`: answer no sooner than this position is seen.
    """

    subject: Annotated[str, msgspec.Meta(min_length=1, max_length=256)]
    action: Code
    resource: ResourceAsked
    context: Properties | None = None
    at: When | None = None
    as_of: Position | When | None = None
    at_least: Position | None = None
    consistency: Literal["default", "full"] = "default"
    explain: bool = True


async def handle(call: Call) -> Answered:
    """Answer one check."""
    data = await call.json()
    asked = bodies.decode(call.services.decoder(CheckAsked), data)
    memory = call.services.memory
    as_of = asked.as_of
    if as_of is not None and not isinstance(as_of, int):
        as_of = await memory.position_at(call.tenant, as_of)
    decision = await memory.check(
        Question(
            tenant=call.tenant,
            subject=asked.subject,
            action=asked.action,
            resource_type=asked.resource.type,
            resource_id=asked.resource.id,
            properties=asked.resource.properties or NOTHING,
            context=asked.context or NOTHING,
            at=asked.at,
            as_of=as_of,
            at_least=asked.at_least,
            consistency=asked.consistency,
        )
    )
    call.services.measures.decided(decision.allowed)
    document: dict[str, Any] = {
        "decision": decision.allowed,
        "at": rendering.instant(decision.at),
        "position": decision.position,
    }
    if asked.explain:
        document["explanation"] = explained(await memory.explain(decision), call.language)
    return answered(document, 200, [position_header(decision)])


def position_header(decision: Decision) -> tuple[bytes, bytes]:
    """Return the header that says what the answer rests on."""
    return (b"position", str(decision.position).encode())


NOTHING: Final[Mapping[str, Any]] = {}

EXAMPLE_ID: Final = "01900000-0000-7000-8000-000000000000"

OPERATIONS: Final = (
    Operation(
        name="access.check",
        method="POST",
        path="/v1/checks",
        scope="evaluate",
        summary="May this party do this, here, now or then, and why",
        summary_zh="该主体此刻或当时能否在此为此行为，及其理由",
        body=CheckAsked,
        example={
            "subject": f"customer:{EXAMPLE_ID}",
            "action": "sell",
            "resource": {
                "type": "territory",
                "id": "CN/31/0115",
                "properties": {"product": "tea/green"},
            },
        },
        shows={
            "decision": True,
            "at": "2026-11-01T08:30:00Z",
            "position": 41,
            "explanation": {
                "code": "check.allowed",
                "detail": "Allowed by grant CS-20261122-7F3K9Q-N.",
                "grant": EXAMPLE_ID,
                "number": "CS-20261122-7F3K9Q-N",
                "terms": 1,
                "rests_on": 38,
            },
        },
        answer="The decision, the instant asked about, and the position it rests on.",
        handle=handle,
    ),
)
