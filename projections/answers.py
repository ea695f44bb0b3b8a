"""Answers given before: a remembered subject, with what was answered of it and for how long that
holds.

An answer hangs on the subject it was decided for, so it goes when the subject is forgotten. Beside
that it rests on the clock and on the catalogue, and says of both how far.
"""

from __future__ import annotations

from bisect import bisect_right
from collections import deque
from sys import intern
from typing import Any, Final

import msgspec

from domain.scopes import MAX_PATH
from projections.checks import Decision, Question
from projections.material import Attributes, Right, Subject

MARGIN_S: Final = 0.001
"""How far from an instant at which anything changes answers are given again: there numbers of
seconds are not compared, but instants.
"""


class Answer(msgspec.Struct, frozen=True, gc=False):
    """What one question was answered; so for as long as the catalogue has touched no point of the
    resource's type: `moved[0]` is still `moves`.
    """

    right: Right | None
    attributes: Attributes
    moved: list[int]
    moves: int


_TEXT: Final[set[type]] = {str}

STILL: Final = [0]
"""For an answer that rests on no point of the catalogue."""

Key = tuple[Any, ...]


def key_of(question: Question) -> Key:
    """Return all that a question of now says, its subject and its context apart.

    Its properties stand name by name and then value by value, so no two questions have the same
    key. Not hashable where a property is no simple value.
    """
    properties = question.properties
    return (
        question.action,
        question.resource_type,
        question.resource_id,
        *properties,
        *properties.values(),
    )


class Held:
    """A subject as memory holds it, and the answers given of it by key, which are the same at every
    instant in `[begin_s, until_s)`, seconds since 1970.
    """

    __slots__ = ("_edges_s", "answers", "begin_s", "subject", "until_s")

    def __init__(self, subject: Subject) -> None:
        self.subject = subject
        self.answers: dict[Key, Answer] = {}
        self.begin_s = self.until_s = 0.0
        self._edges_s: list[float] | None = None

    def reach(self, at_s: float) -> bool:
        """Keep answers of the span around a moment in which nothing begins and nothing ends for the
        subject, those of another span no longer; False for a moment too near an end of it.
        """
        if not self.begin_s <= at_s < self.until_s:
            if self._edges_s is None:
                self._edges_s = _edges_s(self.subject)
            place = bisect_right(self._edges_s, at_s)
            begin = self._edges_s[place - 1] if place else float("-inf")
            until = self._edges_s[place] if place < len(self._edges_s) else float("inf")
            self.begin_s, self.until_s = begin + MARGIN_S, until - MARGIN_S
            self.answers.clear()
        return self.begin_s <= at_s < self.until_s


def _edges_s(subject: Subject) -> list[float]:
    """Return every instant at which a right of the subject, or one above, begins or ends."""
    edges = {
        edge
        for rights in subject.usable.values()
        for right in rights
        for window in right.windows
        for edge in window
    }
    for rights in subject.above.values():
        for right in rights:
            edges.add(right.valid_from)  # from then on it rules, whether or not its grantee stands
            edges.update(edge for window in right.windows for edge in window)
    return sorted(edge.timestamp() for edge in edges)


class Answers:
    """Keeps answers, at most `limit` of a process: the oldest go first."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._order: deque[tuple[dict[Key, Answer], Key]] = deque()

    def keep(self, held: Held, decision: Decision, at_s: float, moved: list[int]) -> None:
        """Keep what was decided at a moment, unless the question is too long to be kept, or has
        properties that are no texts: what equals them may not be the same (True equals 1).
        """
        key = key_of(decision.question)
        if set(map(type, key)) != _TEXT or max(map(len, key)) > MAX_PATH:
            return
        if not held.reach(at_s):
            return
        if len(self._order) >= self._limit:
            answers, oldest = self._order.popleft()
            answers.pop(oldest, None)
        key = tuple(map(intern, key))  # few texts make up many questions: each is kept once
        held.answers[key] = Answer(decision.right, decision.attributes, moved, moved[0])
        self._order.append((held.answers, key))
