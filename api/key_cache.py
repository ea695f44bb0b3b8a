"""Subject keys in memory, few and not for long, so that a forgotten one is soon gone everywhere."""

from __future__ import annotations

import hmac
import threading
import time
from collections import OrderedDict
from dataclasses import dataclass, field
from typing import Final

CACHED_KEYS: Final = 10_000
"""Keys a process holds; the one unused for longest makes room."""


@dataclass(slots=True)
class SubjectKey:
    """A data subject's key: its id, and 32 bytes that no repr shows."""

    id: str
    key: bytes = field(repr=False)
    _begun: hmac.HMAC | None = field(default=None, init=False, repr=False, compare=False)

    def hash(self, data: bytes) -> bytes:
        """Return the HMAC-SHA256 (RFC 2104) of data under this key, 32 bytes.

        What depends on the key alone is computed once and goes with it. `hmac.digest` computes it
        anew, and lets other threads in each time: the event loop would wait for them.
        """
        begun = self._begun
        if begun is None:
            begun = self._begun = hmac.new(self.key, digestmod="sha256")
        found = begun.copy()
        found.update(data)
        return found.digest()


Name = tuple[str, str, str]
"""Tenant, purpose, subject."""


class KeyCache:
    """The keys used last, each for `life_seconds` from the moment its query was *sent*.

    Counted from then, not from the answer: whatever was committed before that moment was seen by
    the query, so a key destroyed at T is used by nobody after T + `life_seconds`. The monotonic
    clock is asked at each use; it runs on while a process is stopped.
    """

    def __init__(self, life_seconds: float, limit: int = CACHED_KEYS) -> None:
        self._life_seconds = life_seconds
        self._limit = limit
        self._lock = threading.Lock()
        self._keys: OrderedDict[Name, tuple[float, SubjectKey]] = OrderedDict()

    def get(self, name: Name) -> SubjectKey | None:
        """Return the key, None when it is not held or held for too long."""
        with self._lock:
            found = self._keys.get(name)
            if found is None:
                return None
            if time.monotonic() >= found[0]:
                del self._keys[name]
                return None
            self._keys.move_to_end(name)
            return found[1]

    def put(self, name: Name, key: SubjectKey, sent_at: float) -> None:
        """Hold a key that a query sent at `sent_at` (monotonic seconds) has read."""
        with self._lock:
            self._keys[name] = (sent_at + self._life_seconds, key)
            self._keys.move_to_end(name)
            while len(self._keys) > self._limit:
                self._keys.popitem(last=False)

    def drop(self, name: Name) -> None:
        """Let go of a key at once.

        A thread that has read it just before may put it back, for what is left of its life.
        """
        with self._lock:
            self._keys.pop(name, None)
