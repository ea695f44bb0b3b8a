"""What looks random in the sample and never changes: draws, ids and numbers made of names."""

from __future__ import annotations

import hashlib
import random
from datetime import date, datetime
from typing import Final

from domain import numbers
from domain.values import Instant

SEED: Final = "counterseal sample 1"
"""Another seed is another sample: other names, other days, other numbers."""


def draws(name: str) -> random.Random:
    """Return a source of draws of its own for whatever bears this name."""
    return random.Random(f"{SEED}/{name}")  # noqa: S311  (nothing secret is made of it)


def _digest(name: str) -> bytes:
    return hashlib.sha256(f"{SEED}/{name}".encode()).digest()


def id_of(name: str, at: Instant) -> str:
    """Return the UUIDv7 (RFC 9562) of what bears this name and came to be at `at`."""
    stamp = int(at.timestamp() * 1000)
    high = stamp << 16 | 0x7000 | int.from_bytes(_digest(name)[:2], "big") & 0xFFF
    low = 0b10 << 62 | int.from_bytes(_digest(name)[2:10], "big") & (1 << 62) - 1
    text = f"{high << 64 | low:032x}"
    return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"


def number_of(name: str, day: date | datetime) -> str:
    """Return the readable number of the grant of this name, asked for on `day`."""
    at = day.date() if isinstance(day, datetime) else day
    return numbers.make(at, int.from_bytes(_digest(f"number/{name}")[:8], "big") % numbers.SPAN)
