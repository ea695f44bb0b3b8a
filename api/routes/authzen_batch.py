"""AuthZEN's access evaluations: many in one request, decided together (sections 7.1 and 7.2)."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any, Final

import orjson

from api.bodies import Malformed
from api.problems import Answered, status_of
from api.routes import authzen_items
from api.routes.authzen import ALLOWED, DENIED, ENDPOINTS, EXAMPLE, HEADERS, evaluated, shown
from api.routes.authzen_items import Evaluations, Semantic
from api.routes.authzen_words import OURS, Evaluation, question_of, with_times
from api.routes.operations import Call, Operation
from api.texts import Language, text
from domain.errors import Refused
from domain.values import Instant
from projections.check_reader import POOL_SIZE
from projections.checks import Decision, Question


async def evaluate_all(call: Call) -> Answered:
    """Answer evaluations in their order."""
    data = await call.json()
    evaluations, semantic = authzen_items.read(call, data)
    if not evaluations:
        return await evaluated(call, data)
    questions, explained = await _questions(call, evaluations)
    outcomes = await _decided(call, questions)
    del outcomes[_end(outcomes, semantic) :]
    parts = _bare(call, outcomes)
    told = [place for place in explained if place < len(parts)]
    for begin in range(0, len(told), POOL_SIZE):  # no more at once than there are connections
        some = told[begin : begin + POOL_SIZE]
        reasons = await asyncio.gather(*(_told(call, outcomes[place]) for place in some))
        for place, reason in zip(some, reasons, strict=True):
            parts[place] = reason
    return Answered(200, HEADERS, b'{"evaluations":[' + b",".join(parts) + b"]}")


async def _questions(
    call: Call, evaluations: Sequence[Evaluation | Refused]
) -> tuple[list[Question | Refused], list[int]]:
    """Return each item's question, or what is wrong with it; and the places of those that ask for
    a reason.
    """
    tenant = call.tenant
    found: list[Question | Refused] = []
    explained: list[int] = []
    positions: dict[Instant, int] = {}
    for place, one in enumerate(evaluations):
        if isinstance(one, Refused):
            found.append(one)
            continue
        try:
            question = question_of(tenant, one)
            if one.context is not None and not OURS.isdisjoint(one.context):
                question, explain = await with_times(call, question, one.context, positions)
                if explain:
                    explained.append(place)
            found.append(question)
        except Refused as refused:
            found.append(_of_item(refused))
    return found, explained


def _of_item(refused: Refused) -> Refused:
    """Return a refusal that concerns one item alone; raise one that concerns them all."""
    if status_of(refused.code) != 400:
        raise refused
    return refused


async def _decided(call: Call, questions: Sequence[Question | Refused]) -> list[Decision | Refused]:
    """Decide all that memory knows at once, and what it lacks in as few reads as there can be."""
    asked = [one for one in questions if isinstance(one, Question)]
    decided = iter(await call.services.memory.check_many(asked))
    return [one if isinstance(one, Refused) else _of_outcome(next(decided)) for one in questions]


def _of_outcome(outcome: Decision | Refused) -> Decision | Refused:
    return _of_item(outcome) if isinstance(outcome, Refused) else outcome


def _end(outcomes: Sequence[Decision | Refused], semantic: Semantic) -> int:
    """Return how many are answered: up to the one that stops, itself included."""
    if semantic == "execute_all":
        return len(outcomes)
    stops = semantic == "permit_on_first_permit"
    for place, outcome in enumerate(outcomes, start=1):
        if (isinstance(outcome, Decision) and outcome.allowed) is stops:
            return place
    return len(outcomes)


def _bare(call: Call, outcomes: Sequence[Decision | Refused]) -> list[bytes]:
    """Return the items of the answer without reasons, and count the decisions."""
    parts = [
        _error(one, call.language)
        if isinstance(one, Refused)
        else (DENIED if one.right is None else ALLOWED)
        for one in outcomes
    ]
    for allowed, part in ((True, ALLOWED), (False, DENIED)):
        if number := parts.count(part):
            call.services.measures.decided(allowed, number)
    return parts


async def _told(call: Call, outcome: Decision | Refused) -> bytes:
    """Return an item of the answer with its reason."""
    if isinstance(outcome, Refused):
        return _error(outcome, call.language)
    return await shown(call, outcome, explain=True)


def _error(refused: Refused, language: Language) -> bytes:
    """Return an item of the answer that says what is wrong (section 7.2.1) as a problem does."""
    found: dict[str, Any] = {"status": status_of(refused.code), "code": refused.code}
    if isinstance(refused, Malformed) and refused.findings:
        finding = refused.findings[0]
        found |= {"pointer": finding.pointer, "code": finding.code}
        found["message"] = text(finding.code, language, finding.params)
    else:
        found["message"] = text(refused.code, language, refused.params)
    return orjson.dumps({"decision": False, "context": {"error": found}})


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
