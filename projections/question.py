"""What a check asks, what it is decided on, and where the asked point lies."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from types import MappingProxyType
from typing import Any, Final, Literal, NamedTuple, cast

import msgspec

from domain.scopes import MAX_PATH, Asked, Pattern, prefixes
from domain.teams import TEAM
from domain.values import Instant
from projections.material import Attributes, Right, Subject

MAX_KEPT: Final = 65_536
"""Texts of which what was found is kept; none of them is longer than a path."""

NOTHING: Final[Mapping[str, Any]] = MappingProxyType({})


class Question(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """May `subject` (a party's ref) do `action` on the resource?

    `properties` of the resource and `context` are documents of the caller; only what they say of
    dimensions counts. `at` is the instant asked about (None: now), `as_of` the position of the log
    by whose knowledge (None: today's). `at_least`: answer no sooner than that position is seen.
    `full` asks the database whatever is remembered.
    """

    tenant: str
    subject: str
    action: str
    resource_type: str
    resource_id: str
    properties: Mapping[str, Any] = NOTHING
    context: Mapping[str, Any] = NOTHING
    at: Instant | None = None
    as_of: int | None = None
    at_least: int | None = None
    consistency: Literal["default", "full"] = "default"


class Material(NamedTuple):
    """What a question is decided on: the subject, the resource's attributes (dimension -> path,
    several where it lies below each of them), streams in quarantine with the position from which
    they are, and the position all this was read at.

    `as_of` is that position where the question was asked of the past, else None.
    """

    subject: Subject
    attributes: Attributes
    quarantined: Mapping[str, int]
    position: int
    as_of: int | None = None


_kept = lru_cache(maxsize=MAX_KEPT)(prefixes)


def covering(path: str) -> tuple[Pattern, ...]:
    """Return every pattern that covers a path; none where the text is no path."""
    return _kept(path) if len(path) <= MAX_PATH else ()


def place(material: Material, question: Question, more: frozenset[str] = frozenset()) -> Asked:
    """Return the asked point, as far as the subject's rights ask for it, with every pattern that
    would cover it.

    A dimension's path comes from the resource itself, else from its properties, else from the
    catalogue, else from the context. What is given and is no path covers nothing: a wrong property
    is not replaced by a stored one.
    """
    point = {question.resource_type: covering(question.resource_id)}
    properties, attributes, context = question.properties, material.attributes, question.context
    wanted = material.subject.dimensions
    for dimension in wanted | more if more else wanted:
        if dimension in point:
            continue
        if dimension in properties:
            point[dimension] = _patterns(properties[dimension])
        elif dimension in attributes:
            point[dimension] = _patterns(attributes[dimension])
        elif dimension in context:
            point[dimension] = _patterns(context[dimension])
    return cast(Asked, point)


def _patterns(given: Any) -> tuple[Pattern, ...]:
    """Return what would cover a path; of several stored ones, what would cover any of them."""
    if isinstance(given, str):
        return covering(given)
    if isinstance(given, tuple):
        paths = cast(tuple[str, ...], given)
        return tuple(dict.fromkeys(one for path in paths for one in covering(path)))
    return ()


def is_quarantined(material: Material, question: Question, right: Right) -> bool:
    """Tell whether a stream the answer rests on was in quarantine by then.

    Beside the right's own streams that is the catalogue, whose id is the tenant's, for a team's
    right and wherever it says where the resource lies; and a customer who is the resource.
    """
    streams = right.streams
    if right.party.startswith(_TEAM):
        streams = (*streams, question.tenant)
    if material.attributes:
        streams = (*streams, question.tenant, question.resource_id)
    for stream in streams:
        since = material.quarantined.get(stream)
        if since is not None and (material.as_of is None or since <= material.as_of):
            return True
    return False


_TEAM: Final = f"{TEAM}:"
