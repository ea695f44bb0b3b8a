"""What was taken already: finds, among many scopes and terms, the one that another meets."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Generic, NamedTuple, TypeVar

from domain.events.exclusion import Reservation
from domain.exclusions import Conflict, conflict
from domain.scopes import prefixes

Holder = TypeVar("Holder")


class Met(NamedTuple, Generic[Holder]):
    """Who holds it, and what both share."""

    holder: Holder
    shared: Conflict


class _Entry(NamedTuple, Generic[Holder]):
    """`number` counts in the order of taking."""

    number: int
    holder: Holder
    taken: Reservation


class Taken(Generic[Holder]):
    """Scopes and terms with who holds them, found by the paths of one dimension.

    Two patterns meet where one is above the other or the same: so each lies under its own path and
    under all above it, and a question looks under its paths and at those above them."""

    def __init__(self, dimension: str) -> None:
        """`dimension`: by which they are found; the one that tells most of them apart."""
        self._dimension = dimension
        self._count = 0
        self._exact: dict[str, list[_Entry[Holder]]] = {}
        self._below: dict[str, list[_Entry[Holder]]] = {}

    def add(self, holder: Holder, taken: Reservation) -> None:
        """Let a holder take a scope for a term."""
        self._count += 1
        entry = _Entry(self._count, holder, taken)
        above: set[str] = set()
        for pattern in taken.scope.get(self._dimension, ()):
            self._exact.setdefault(pattern, []).append(entry)
            above.update(_above(pattern))
        for path in above:
            self._below.setdefault(path, []).append(entry)

    def meeting(self, wanted: Reservation) -> Iterator[Met[Holder]]:
        """Yield who holds some of what is wanted, each once, in the order in which they took it."""
        met: dict[int, _Entry[Holder]] = {}
        for pattern in wanted.scope.get(self._dimension, ()):
            for one in (pattern, *_above(pattern)):
                met.update((entry.number, entry) for entry in self._exact.get(one, ()))
            met.update((entry.number, entry) for entry in self._below.get(pattern, ()))
        for number in sorted(met):
            entry = met[number]
            shared = conflict(entry.taken, wanted)
            if shared is not None:
                yield Met(entry.holder, shared)


def _above(pattern: str) -> tuple[str, ...]:
    """Return the patterns that cover this one and more: `*`, and each path above it."""
    return () if pattern == "*" else prefixes(pattern)[:-1]
