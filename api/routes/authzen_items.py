"""What a request for many AuthZEN evaluations says (section 7.1): items, and what stands beside
them as their default."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Final, Literal, cast

import msgspec

from api import bodies
from api.bodies import Malformed
from api.routes.authzen_words import Action, Evaluation, Properties, Resource, Subject
from api.routes.operations import Call
from domain.errors import Refused

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


class Item(msgspec.Struct, frozen=True, gc=False):
    """One of many evaluations, whose objects are each whole or not there at all."""

    subject: Subject | msgspec.UnsetType = msgspec.UNSET
    action: Action | msgspec.UnsetType = msgspec.UNSET
    resource: Resource | msgspec.UnsetType = msgspec.UNSET
    context: Properties | None = None


class Whole(msgspec.Struct, frozen=True, gc=False):
    """`Evaluations` as most are: nothing has to be filled in, and nothing is wrong."""

    evaluations: Annotated[list[Item], msgspec.Meta(max_length=MAX_EVALUATIONS)]
    subject: Subject | None = None
    action: Action | None = None
    resource: Resource | None = None
    context: Properties | None = None
    options: Options | None = None


def read(call: Call, data: bytes) -> tuple[list[Evaluation | Refused], Semantic]:
    """Return the items of a body, each as an evaluation of its own or what is wrong with it, and
    how many of them are to be answered. Raises what `bodies.decode` raises.
    """
    bodies.check_json(data)
    whole = _whole(call.services.decoder(Whole), data)
    found = None if whole is None else _each_of(whole)
    if whole is not None and found is not None:
        return found, _semantic(whole.options)
    asked = bodies.decode(call.services.decoder(Evaluations), data)  # to be filled in, or wrong
    found = [_evaluation(asked, item) for item in asked.evaluations or ()]
    return found, _semantic(asked.options)


def _semantic(options: Options | None) -> Semantic:
    return "execute_all" if options is None else options.evaluations_semantic


def _whole(decoder: msgspec.json.Decoder[Whole], data: bytes) -> Whole | None:
    """Return the body where it is `Whole`."""
    try:
        return decoder.decode(data)
    except (msgspec.DecodeError, ValueError):
        return None


def _each_of(asked: Whole) -> list[Evaluation | Refused] | None:
    """Return the items, each as an evaluation of its own; None where one has not all it needs."""
    found: list[Evaluation | Refused] = []
    for item in asked.evaluations:
        subject, action, resource = item.subject, item.action, item.resource
        if subject is msgspec.UNSET:
            subject = asked.subject
        if action is msgspec.UNSET:
            action = asked.action
        if resource is msgspec.UNSET:
            resource = asked.resource
        if subject is None or action is None or resource is None:
            return None
        context = asked.context if item.context is None else item.context
        found.append(Evaluation(subject, action, resource, context))
    return found


def _evaluation(asked: Evaluations, item: Properties) -> Evaluation | Refused:
    """Return an item as an evaluation of its own, or what is wrong with it."""
    try:
        return msgspec.convert(_filled(asked, item), Evaluation)
    except msgspec.ValidationError as fault:
        return Malformed("body.invalid", bodies.finding(str(fault)))


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
