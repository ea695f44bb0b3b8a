"""AuthZEN's access evaluations: many in one request, decided together (sections 7.1 and 7.2)."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Final, Literal, cast

import msgspec
import orjson

from api import bodies
from api.bodies import Malformed
from api.problems import Answered, status_of
from api.routes.authzen import ENDPOINTS, EXAMPLE, HEADERS, evaluated, shown
from api.routes.authzen_words import Evaluation, Properties, question_of, with_times
from api.routes.operations import Call, Operation
from api.texts import Language, text
from domain.errors import Refused
from domain.values import Instant
from projections.check_reader import POOL_SIZE
from projections.checks import Decision, Question

MAX_EVALUATIONS: Final = 1_000
"""Evaluations of one request."""

REQUIRED: Final[Mapping[str, tuple[str, ...]]] = {
    "subject": ("type", "id"),
    "action": ("name",),
    "resource": ("type", "id"),
}
"""Members of an evaluation, and the keys of each that a default fills in."""

Semantic = Literal["execute_all", "deny_on_first_deny", "permit_on_first_permit"]


class Options(msgspec.Struct, frozen=True, gc=False):
    """Section 7.1.2: whether the answer ends with the first denial, or the first permission."""

    evaluations_semantic: Semantic = "execute_all"


class Evaluations(msgspec.Struct, frozen=True, gc=False):
    """Section 7.1: evaluations, each with `subject`, `action`, `resource` and `context`.

    What stands beside them is the default. An item's object takes the place of the whole default;
    `type`, `id` and `name` that it lacks are filled in from there, `properties` never. Without any
    evaluations the request is a single one.
    """

    subject: Properties | None = None
    action: Properties | None = None
    resource: Properties | None = None
    context: Properties | None = None
    evaluations: Annotated[list[Properties], msgspec.Meta(max_length=MAX_EVALUATIONS)] | None = None
    options: Options | None = None


async def evaluate_all(call: Call) -> Answered:
    """Answer evaluations in their order."""
    data = await call.json()
    asked = bodies.decode(call.services.decoder(Evaluations), data)
    if not asked.evaluations:
        return await evaluated(call, data)
    semantic = "execute_all" if asked.options is None else asked.options.evaluations_semantic
    positions: dict[Instant, int] = {}
    questions = [await _asked(call, asked, item, positions) for item in asked.evaluations]
    outcomes = await _decided(
        call, [one if isinstance(one, Refused) else one[0] for one in questions]
    )
    explains = [not isinstance(one, Refused) and one[1] for one in questions]
    number = _end(outcomes, semantic)
    parts: list[bytes] = []
    for begin in range(0, number, POOL_SIZE):  # no more reasons at once than there are connections
        some = slice(begin, min(begin + POOL_SIZE, number))
        pairs = zip(outcomes[some], explains[some], strict=True)
        parts += await asyncio.gather(*(_shown(call, one, explain) for one, explain in pairs))
    return Answered(200, HEADERS, b'{"evaluations":[' + b",".join(parts) + b"]}")


async def _asked(
    call: Call, asked: Evaluations, item: Properties, positions: dict[Instant, int]
) -> tuple[Question, bool] | Refused:
    """Return an item's question and whether it asks for a reason, or what is wrong with it."""
    try:
        evaluation = msgspec.convert(_filled(asked, item), Evaluation)
        question = question_of(call.caller.tenant, evaluation)
        return await with_times(call, question, evaluation.context, positions)
    except msgspec.ValidationError as fault:
        return Malformed("body.invalid", bodies.finding(str(fault)))
    except Refused as refused:
        return _of_item(refused)


def _filled(asked: Evaluations, item: Properties) -> Properties:
    """Return an item as an evaluation of its own."""
    found: Properties = {}
    for name, required in REQUIRED.items():
        default: Properties | None = getattr(asked, name)
        own: Any = item.get(name, default)
        if isinstance(own, dict) and default is not None and own is not default:
            filled = {key: default[key] for key in required if key in default}
            own = filled | cast(Properties, own)
        if own is not None or name in item:
            found[name] = own
    context = item.get("context")
    found["context"] = asked.context if context is None else context
    return found


def _of_item(refused: Refused) -> Refused:
    """Return a refusal that concerns one item alone; raise one that concerns them all."""
    if status_of(refused.code) != 400:
        raise refused
    return refused


async def _decided(call: Call, questions: Sequence[Question | Refused]) -> list[Decision | Refused]:
    """Decide all that memory knows at once, and what it lacks in as few reads as there can be."""
    memory = call.services.memory
    outcomes: list[Decision | Refused | None] = []
    for one in questions:
        try:
            outcomes.append(one if isinstance(one, Refused) else memory.recall(one))
        except Refused as refused:
            outcomes.append(_of_item(refused))
    missing = {
        place: memory.check(one)
        for place, (one, outcome) in enumerate(zip(questions, outcomes, strict=True))
        if outcome is None and not isinstance(one, Refused)
    }
    found = await asyncio.gather(*missing.values(), return_exceptions=True)
    for place, outcome in zip(missing, found, strict=True):
        if isinstance(outcome, Refused):
            outcomes[place] = _of_item(outcome)
        elif isinstance(outcome, BaseException):
            raise outcome
        else:
            outcomes[place] = outcome
    return [one for one in outcomes if one is not None]


def _end(outcomes: Sequence[Decision | Refused], semantic: Semantic) -> int:
    """Return how many are answered: up to the one that stops, itself included."""
    if semantic == "execute_all":
        return len(outcomes)
    stops = semantic == "permit_on_first_permit"
    for place, outcome in enumerate(outcomes, start=1):
        if (isinstance(outcome, Decision) and outcome.allowed) is stops:
            return place
    return len(outcomes)


async def _shown(call: Call, outcome: Decision | Refused, explain: bool) -> bytes:
    if isinstance(outcome, Refused):
        error = _error(outcome, call.language)
        return orjson.dumps({"decision": False, "context": {"error": error}})
    call.services.measures.decided(outcome.allowed)
    return await shown(call, outcome, explain=explain)


def _error(refused: Refused, language: Language) -> dict[str, Any]:
    """Return what is wrong with an item (section 7.2.1), in the words of a problem."""
    found: dict[str, Any] = {"status": status_of(refused.code), "code": refused.code}
    if isinstance(refused, Malformed) and refused.findings:
        finding = refused.findings[0]
        found |= {"pointer": finding.pointer, "code": finding.code}
        return found | {"message": text(finding.code, language, finding.params)}
    return found | {"message": text(refused.code, language, refused.params)}


OPERATIONS: Final = (
    Operation(
        name="access.evaluate_all",
        method="POST",
        path=ENDPOINTS["access_evaluations_endpoint"],
        scope="evaluate",
        summary="AuthZEN access evaluations: many in one request",
        summary_zh="AuthZEN 批量访问评估：一次请求多项",
        body=Evaluations,
        example={
            "subject": EXAMPLE["subject"],
            "action": {"name": "sell"},
            "evaluations": [
                {"resource": EXAMPLE["resource"]},
                {"resource": EXAMPLE["resource"] | {"id": "CN/32"}},
            ],
            "options": {"evaluations_semantic": "execute_all"},
        },
        shows={"evaluations": [{"decision": True}, {"decision": False}]},
        answer="The decisions in their order; without evaluations the decision of the single one.",
        handle=evaluate_all,
    ),
)
