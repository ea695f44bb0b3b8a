"""Sealed values: what personal data looks like in an event, and the Sealer that the edge provides.

Nothing here ciphers. A `Sealed` value is bound to one place, its `Context`; `bound_to` says which
bytes an edge has to authenticate for that, so that a sealed value moved to another tenant, subject,
stream, command or field does not open. The cipher and the keys are the edge's
(docs/adr/0002-sealed-fields.md).
"""

from __future__ import annotations

from typing import Any, Final, Literal, Protocol, final

import msgspec

from domain.errors import Refused

FORMAT_VERSION: Final = 1
"""The `v` that sealers write today. Older ones stay readable for ever: they lie in the log."""

TEXT_LIMIT_BYTES: Final = 32 * 1024
"""Longest text, in bytes of UTF-8, that one sealed value holds. The doors ask for less."""

_LABEL: Final = b"counterseal sealed field"


@final
class Sealed(msgspec.Struct, frozen=True, gc=False, forbid_unknown_fields=True):
    """A text that only the holder of its subject's key can read.

    `subject` is the id of the data subject (the tenant's id where the text speaks of no one), `key`
    the id of that subject's key, `box` nonce, ciphertext and tag as one (base64 in JSON), `v` the
    version of this format.
    """

    subject: str
    key: str
    box: bytes
    v: int = FORMAT_VERSION

    def __repr__(self) -> str:
        """Show whom it speaks of and nothing else: a repr ends up in logs and failed tests."""
        return f"Sealed(subject={self.subject!r})"

    def __rich_repr__(self) -> list[tuple[str, Any]]:
        """The same for `rich`, which would else list every field of a Struct."""
        return [("subject", self.subject)]


@final
class Context(msgspec.Struct, frozen=True, gc=False):
    """The one place where a sealed value belongs.

    `command_id` is the id of the command whose events carry it (a column of `events`), `field` the
    path of the field within the event, in words: "reason", "profile.name".
    """

    tenant: str
    stream_id: str
    command_id: str
    field: str


class Unopenable(Refused):
    """A sealed value does not open.

    `sealed.key_gone`: its subject was forgotten, this is what erasure means; show it as erased.
    `sealed.forged`: it was changed, or does not belong where it was found, or its key is missing
    without an erasure; show nothing and raise the alarm.
    """

    def __init__(self, code: Literal["sealed.key_gone", "sealed.forged"]) -> None:
        super().__init__(code)


class Sealer(Protocol):
    """Seals texts before a verb sees them."""

    def seal(self, subject: str, text: str, context: Context) -> Sealed:
        """Return `text` sealed under the key of `subject`, bound to `context`.

        The subject's key is stored for good before this returns, so that no event can name a key
        that a crash loses. Raises `Refused`: `text.too_long`, `text.not_unicode`, `subject.erased`
        (who was forgotten is not written about again).
        """
        ...


class Opener(Protocol):
    """Opens sealed texts for readers who may see them; whether they may is asked elsewhere."""

    def open(self, sealed: Sealed, context: Context) -> str:
        """Return the text. Raises `Unopenable`."""
        ...


def framed(*parts: bytes) -> bytes:
    """Return the parts, each with its length (4 bytes, big-endian) in front.

    It keeps ("ab", "c") and ("a", "bc") apart.
    """
    return b"".join(len(part).to_bytes(4, "big") + part for part in parts)


def bound_to(subject: str, key: str, v: int, context: Context) -> bytes:
    """Return the associated data of a sealed value.

    The order and the label are format version 1 and never change; another layout is another `v`.
    """
    return framed(
        _LABEL,
        str(v).encode(),
        context.tenant.encode(),
        subject.encode(),
        context.stream_id.encode(),
        context.command_id.encode(),
        context.field.encode(),
        key.encode(),
    )
