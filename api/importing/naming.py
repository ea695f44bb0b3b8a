"""Names that a second run gives again: ids, keys and grant numbers, all from one secret."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Iterable

import msgspec

from domain import numbers
from domain.events import Event
from domain.events.grant import GrantRequested
from domain.sealing import framed
from domain.values import Instant, PolicyRef

_encoder = msgspec.json.Encoder()


class Namer:
    """Names of one tenant and one source, under a key that only this installation has."""

    def __init__(self, key: bytes, tenant: str, source: str) -> None:
        self._key = key
        self._place = (tenant.encode(), source.encode())

    def id(self, at: Instant, *what: str) -> str:
        """Return an id shaped like a UUIDv7 (RFC 9562, 5.7) whose time is `at`, not before 1970."""
        digest = int.from_bytes(self._digest(b"id", *what), "big")
        millis = max(0, int(at.timestamp() * 1000)) & (1 << 48) - 1
        high = millis << 16 | 0x7000 | (digest >> 244)
        low = 0b10 << 62 | (digest & (1 << 62) - 1)
        text = f"{high << 64 | low:032x}"
        return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"

    def key(self, case: str) -> str:
        """Return the idempotency key of a case."""
        return self._digest(b"key", case).hex()

    def number(self, at: Instant, case: str, draw: int) -> str:
        """Return a grant number of that day; `draw` counts from 0 where one was taken already."""
        drawn = int.from_bytes(self._digest(b"number", case, str(draw)), "big")
        return numbers.make(at.date(), drawn % numbers.SPAN)

    def fingerprint(self, case: str, events: Iterable[Event]) -> bytes:
        """Return what tells whether a case says the same as when it was imported.

        Rows may have moved in the file, another version of the policy may be the newest, another
        number may have been drawn: none of it is what the case says."""
        said = [b"fingerprint", case.encode()]
        for event in events:
            bare = msgspec.structs.replace(event, imported=None)
            if isinstance(bare, GrantRequested):
                bare = msgspec.structs.replace(bare, number="", policy=PolicyRef("", 0))
            said += [event.name.encode(), _encoder.encode(bare)]
        return hmac.digest(self._key, framed(*self._place, *said), hashlib.sha256)

    def said(self, *what: str) -> bytes:
        """Return what tells whether a row says the same as when it was imported."""
        return self._digest(b"said", *what)

    def _digest(self, purpose: bytes, *what: str) -> bytes:
        said = (text.encode() for text in what)
        return hmac.digest(self._key, framed(*self._place, purpose, *said), hashlib.sha256)
