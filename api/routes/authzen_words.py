"""What AuthZEN requests are made of, and how they become a question of a check."""

from __future__ import annotations

from typing import Annotated, Any, Final

import msgspec

from api import bodies
from api.bodies import Malformed
from api.routes.checks import NOTHING
from api.routes.operations import Call
from api.routes.questions import MAX_POSITION, Position
from domain.errors import Refused
from domain.values import Instant
from projections.checks import MAX_SUBJECT, Question

Word = Annotated[str, msgspec.Meta(min_length=1, max_length=512)]
Properties = dict[str, Any]


class Subject(msgspec.Struct, frozen=True, gc=False):
    """Section 5.1; members that are not named here are ignored."""

    type: Word
    id: Word
    properties: Properties | None = None


class Action(msgspec.Struct, frozen=True, gc=False):
    """Section 5.3."""

    name: Word
    properties: Properties | None = None


class Resource(msgspec.Struct, frozen=True, gc=False):
    """Section 5.2."""

    type: Word
    id: Word
    properties: Properties | None = None


class Evaluation(msgspec.Struct, frozen=True, gc=False):
    """Section 6.1: one access evaluation request.

    Of `context` these are ours: `explain` (true: give the reason), `at` (when it is to be in
    force), `as_of` (by what we knew then: position or instant), `consistency` (`"default"`,
    `"full"`, or `{"at_least": <position>}`).
    """

    subject: Subject
    action: Action
    resource: Resource
    context: Properties | None = None


class Times(msgspec.Struct, frozen=True, gc=False):
    """What `context` may say of times."""

    explain: bool = False
    at: Instant | None = None
    as_of: Position | Instant | None = None
    consistency: str | dict[str, int] = "default"


OURS: Final = frozenset(Times.__struct_fields__)


def subject_ref(subject: Subject) -> str:
    """Return a subject as parties are named. Raises `Refused` `check.bad_id`."""
    ref = f"{subject.type}:{subject.id}"
    if len(ref) > MAX_SUBJECT:
        raise Refused("check.bad_id", member="subject", fault="too_long")
    if subject.id[0] == "/":  # behind its type it would be a path
        raise Refused("check.bad_id", member="subject", fault="empty_segment")
    return ref


def question_of(tenant: str, asked: Evaluation) -> Question:
    """Return the question of an evaluation, but for what its context says of times."""
    return Question(
        tenant=tenant,
        subject=subject_ref(asked.subject),
        action=asked.action.name,
        resource_type=asked.resource.type,
        resource_id=asked.resource.id,
        properties=asked.resource.properties or NOTHING,
        context=asked.context or NOTHING,
    )


async def with_times(
    call: Call,
    question: Question,
    context: Properties | None,
    positions: dict[Instant, int] | None = None,
) -> tuple[Question, bool]:
    """Return the question as `context` changes it, and whether a reason is asked for.

    `positions` remembers which instant is which position, for who asks many questions. Raises
    `Malformed` `body.invalid`: a member of ours that is not what it should be.
    """
    if context is None or OURS.isdisjoint(context):
        return question, False
    ours = {name: context[name] for name in OURS & context.keys()}
    try:
        times = msgspec.convert(ours, Times)
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
        case {"at_least": position, **rest} if not rest and 0 <= position <= MAX_POSITION:
            at_least = position
        case _:
            fault = bodies.Finding("/context/consistency", "field.value", {})
            raise Malformed("body.invalid", fault)
    as_of = times.as_of
    if as_of is not None and not isinstance(as_of, int):
        known = {} if positions is None else positions
        if as_of not in known:
            known[as_of] = await call.services.memory.position_at(call.tenant, as_of)
        as_of = known[as_of]
    changed = msgspec.structs.replace(
        question,
        at=times.at,
        as_of=as_of,
        at_least=at_least,
        consistency="full" if full else "default",
    )
    return changed, times.explain
