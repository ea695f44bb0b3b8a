"""The access check: may this subject do this action on this resource, and why, or why not.

One pure decision, whether its material comes from memory, from the database, or from the past.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from functools import lru_cache
from typing import Final

import msgspec

from domain.errors import Refused
from domain.scopes import MAX_PATH, Asked, path_fault
from domain.values import Instant
from projections.chains import chain_of, link
from projections.material import Attributes, Right, Subject
from projections.question import MAX_KEPT, Material, Question, covering, is_quarantined, place
from projections.reasons import Explanation, denial, own_failure, reason

MAX_SUBJECT: Final = 256
"""Longest subject ref in characters."""


class Decision(msgspec.Struct, frozen=True, gc=False):
    """The answer: `right` is what allows it, None a denial.

    `moment` is the instant asked about, or that in seconds since 1970; `read_at` the position of
    what it was decided on, the rest as in `Material`.
    """

    question: Question
    right: Right | None
    moment: Instant | float
    subject: Subject
    attributes: Attributes
    quarantined: Mapping[str, int]
    read_at: int
    as_of: int | None = None

    @property
    def allowed(self) -> bool:
        return self.right is not None

    @property
    def at(self) -> Instant:
        """The instant asked about."""
        moment = self.moment
        return moment if isinstance(moment, datetime) else datetime.fromtimestamp(moment, UTC)

    @property
    def position(self) -> int:
        """The place in the log it rests on: all that was recorded up to there was seen."""
        return self.read_at if self.as_of is None else self.as_of

    @property
    def material(self) -> Material:
        """What it was decided on."""
        return Material(self.subject, self.attributes, self.quarantined, self.read_at, self.as_of)

    def explanation(self, gone: Sequence[Right] = ()) -> Explanation:
        """Return why. `gone`: grants of the subject, and of those above its own, of which no row is
        left; from `read_gone`.
        """
        if self.right is not None:
            above = chain_of(self.right, self.subject.above, self.at).above
            return reason(self.right, "check.allowed", chain=tuple(map(link, above)))
        return denial(self.material, self.question, self.at, gone)


def decide(material: Material, question: Question, at: Instant) -> Decision:
    """Return the answer at `at`. Raises `Refused`: `check.bad_id`.

    Allowed is what one right allows: its kind declares the resource's type, it has the action, its
    scope covers the point, it is in force at `at` and its grantee in standing, its policy is there,
    and nothing it rests on is in quarantine. Where it was passed on, the same holds of every grant
    above, at the same instant and for the same point.
    """
    rights = material.subject.usable.get(question.action)
    if rights is not None:
        resource_type = question.resource_type
        own = covering(question.resource_id)
        point: Asked | None = None
        for right in rights:
            patterns = right.dimensions.get(resource_type)
            if patterns is None or patterns.isdisjoint(own):  # most rights end here
                continue
            for begin, until in right.windows:
                if begin <= at < until:
                    break
            else:
                continue
            if material.quarantined and is_quarantined(material, question, right):
                continue
            if point is None:
                point = place(material, question)
            if right.scope.covers(point) and (
                right.parent is None or _is_backed(material, question, at, point, right)
            ):
                return Decision(question, right, at, *material)
    require_ids(question)
    return Decision(question, None, at, *material)


def _is_backed(
    material: Material, question: Question, at: Instant, point: Asked, right: Right
) -> bool:
    """Tell whether every grant above allows the same."""
    chain = chain_of(right, material.subject.above, at)
    return chain.fault is None and all(
        own_failure(material, question, at, point, above) is None for above in chain.above
    )


def require_ids(question: Question) -> None:
    """Refuse ids that name no single thing: `check.bad_id`, with the member and what is wrong."""
    named = (("resource.type", question.resource_type), ("resource.id", question.resource_id))
    for member, text in named:
        fault = _path_fault(text)
        if member == "resource.type" and "/" in text:
            fault = "slash"
        if fault is not None:
            raise Refused("check.bad_id", member=member, fault=fault)
    fault = "too_long" if len(question.subject) > MAX_SUBJECT else _path_fault(question.subject)
    if fault is not None:
        raise Refused("check.bad_id", member="subject", fault=fault)


_kept_fault = lru_cache(maxsize=MAX_KEPT)(path_fault)


def _path_fault(text: str) -> str | None:
    return _kept_fault(text) if len(text) <= MAX_PATH else path_fault(text)
