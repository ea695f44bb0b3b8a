"""A bounded store of what was used recently."""

from __future__ import annotations

from typing import Generic, TypeVar

V = TypeVar("V")


class Recent(Generic[V]):
    """Keeps what was used most recently: at least `limit / 2` values, at most `limit`.

    Two generations instead of one ordered list: a hit on the young one costs one look-up and moves
    nothing (or `young.get`, where a call is too much). When the young one is full it becomes the
    old one, and what the old one still held is forgotten.
    """

    __slots__ = ("_half", "_old", "young")

    def __init__(self, limit: int) -> None:
        self._half = max(1, limit // 2)
        self.young: dict[str, V] = {}
        self._old: dict[str, V] = {}

    def __len__(self) -> int:
        return len(self.young) + len(self._old)

    def get(self, key: str) -> V | None:
        """Return the value, or None."""
        found = self.young.get(key)
        if found is None and key in self._old:
            found = self._old.pop(key)
            self.put(key, found)
        return found

    def put(self, key: str, value: V) -> None:
        """Keep a value; forgets the least recently used ones past the limit."""
        if key not in self.young and len(self.young) >= self._half:
            self._old, self.young = self.young, {}
        self.young[key] = value
        self._old.pop(key, None)

    def drop(self, key: str) -> None:
        """Forget one value."""
        self.young.pop(key, None)
        self._old.pop(key, None)

    def clear(self) -> None:
        """Forget everything."""
        self.young = {}
        self._old = {}
