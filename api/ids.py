"""Ids made at the doors: UUIDv7, so that what is made later sorts later (RFC 9562, section 5.7)."""

from __future__ import annotations

import os
import re
import threading
import time
from typing import Final

_COUNTER_BITS: Final = 12
_RANDOM_BYTES: Final = 10
_UUID: Final = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")

_POOL_BYTES: Final = 4096
"""Random bytes are fetched so many at a time: each call of the system lets other threads in."""

_lock = threading.Lock()
_pool = b""
_last = 0  # milliseconds and counter of the last id, as one number


def new_id() -> str:
    """Return a new id as canonical lower-case text; rising within this process.

    The 12 bits after the milliseconds count on from a random start; 62 random bits follow.
    """
    global _last, _pool
    now = time.time_ns() // 1_000_000
    with _lock:
        if len(_pool) < _RANDOM_BYTES:
            _pool = os.urandom(_POOL_BYTES)
        random = int.from_bytes(_pool[:_RANDOM_BYTES], "big")
        _pool = _pool[_RANDOM_BYTES:]
        stamp = now << _COUNTER_BITS | (random >> 69)  # 11 random bits: room to count up
        if stamp <= _last:  # the same millisecond, or a clock put back
            stamp = _last + 1
        _last = stamp
    high = (stamp >> _COUNTER_BITS) << 16 | 0x7000 | (stamp & 0xFFF)
    low = 0b10 << 62 | (random & (1 << 62) - 1)
    text = f"{high << 64 | low:032x}"
    return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"


def _forget_pool() -> None:
    """After a fork both would make the same ids from what is left in the pool."""
    global _pool
    _pool = b""


os.register_at_fork(after_in_child=_forget_pool)


def is_id(text: str) -> bool:
    """Return whether the text is an id as we write it: canonical, lower-case."""
    return _UUID.fullmatch(text) is not None
