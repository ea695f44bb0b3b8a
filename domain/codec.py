"""Events to stored names and bytes, and back."""

from __future__ import annotations

import msgspec

from domain.events import EVENTS, Event
from domain.upcasts import STEPS, upcast


class UnknownEvent(Exception):
    """A stored name this release does not know: it was written by a newer one. Whoever reads must
    stop, not skip."""

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self.name = name


class Undecodable(Exception):
    """Stored bytes that are not an event of their stored name: altered, or written by something
    else."""

    def __init__(self, name: str, why: str) -> None:
        super().__init__(f"{name}: {why}")
        self.name = name


_encoder = msgspec.json.Encoder()
_decoders = {name: msgspec.json.Decoder(event) for name, event in EVENTS.items()}
_old = msgspec.json.Decoder(dict)


def encode(event: Event) -> bytes:
    """Return the event's JSON, UTF-8, fields in the order of the struct; the bytes are stored as
    they are for good."""
    return _encoder.encode(event)


def decode(name: str, data: bytes) -> Event:
    """Return the event stored under `name`, brought to its newest version.

    Raises `UnknownEvent` for a name of a newer release, `Undecodable` where the bytes do not fit
    the name."""
    decoder = _decoders.get(name)
    try:
        if decoder is not None:
            return decoder.decode(data)
        if name in STEPS:
            newest, document = upcast(name, _old.decode(data), STEPS)
            return msgspec.convert(document, EVENTS[newest])
    except msgspec.MsgspecError as fault:
        raise Undecodable(name, str(fault)) from fault
    raise UnknownEvent(name)
