"""Which kinds of file count as evidence, and how their first bytes give them away."""

from __future__ import annotations

import codecs
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Final, Protocol

from domain.errors import Refused

TEXT: Final = "text/plain"
SNIFFED_BYTES: Final = 64
"""As many first bytes of a file as the look at its signature may need."""

_ALIASES: Final[Mapping[str, str]] = MappingProxyType(
    {
        "audio/m4a": "audio/mp4",
        "audio/x-m4a": "audio/mp4",
        "audio/mp3": "audio/mpeg",
        "audio/wave": "audio/wav",
        "audio/x-wav": "audio/wav",
        "audio/vnd.wave": "audio/wav",
        "application/ogg": "audio/ogg",
        "audio/amr-wb": "audio/amr",
    }
)


class Look(Protocol):
    """Watches a file go by and refuses what is not of the announced kind."""

    def feed(self, piece: bytes, last: bool) -> None:
        """Look at the next piece. Raises `Refused`: `evidence.type_not_allowed`."""
        ...


def media_type_of(announced: str) -> str:
    """Return the name under which an announced media type is kept: no parameters, no alias.

    Raises `Refused`: `evidence.type_not_allowed`, also for a text in another encoding than UTF-8.
    """
    name, _, parameters = announced.lower().partition(";")
    name = _ALIASES.get(name.strip(), name.strip())
    if name == TEXT:
        charset = parameters.strip().removeprefix("charset=").strip('"')
        if charset not in {"", "utf-8", "utf8", "us-ascii"}:
            raise _not_allowed(announced)
    elif name not in SIGNATURES:
        raise _not_allowed(announced)
    return name


def look_for(media_type: str) -> Look:
    """Return what checks a file of `media_type`, a name that `media_type_of` has returned."""
    return _TextLook() if media_type == TEXT else _SignatureLook(media_type)


class _SignatureLook:
    """The first bytes must be those of the kind; what follows is for the program that shows it."""

    def __init__(self, media_type: str) -> None:
        self._media_type = media_type
        self._head = b""
        self._seen = False

    def feed(self, piece: bytes, last: bool) -> None:
        if self._seen:
            return
        self._head += piece[: SNIFFED_BYTES - len(self._head)]
        if len(self._head) < SNIFFED_BYTES and not last:
            return
        self._seen = True
        if not SIGNATURES[self._media_type](self._head):
            raise _not_allowed(self._media_type)


class _TextLook:
    """Every byte must be UTF-8, without NUL, which no text file has and many other files do."""

    def __init__(self) -> None:
        self._decoder = codecs.getincrementaldecoder("utf-8")("strict")

    def feed(self, piece: bytes, last: bool) -> None:
        try:
            self._decoder.decode(piece, last)
        except UnicodeDecodeError:  # it would carry the bytes along
            raise _not_allowed(TEXT) from None
        if b"\0" in piece:
            raise _not_allowed(TEXT)


def _not_allowed(media_type: str) -> Refused:
    shown = "".join(sign for sign in media_type[:64] if sign.isascii() and sign.isprintable())
    return Refused("evidence.type_not_allowed", media_type=shown)


def _mp3(head: bytes) -> bool:
    """An ID3v2 tag, or a frame of MPEG audio layer III (ISO/IEC 11172-3, 2.4.1.3)."""
    frame = len(head) > 2 and head[0] == 0xFF and head[1] & 0xE0 == 0xE0
    return head.startswith(b"ID3") or (
        frame and head[1] >> 1 & 3 == 1 and head[1] >> 3 & 3 != 1 and head[2] >> 4 != 0xF
    )


def _mp4(head: bytes) -> bool:
    """A file type box in front, of a brand that holds sound or film (ISO/IEC 14496-12, 4.3).

    Telephones write sound alone under the general brands too, so the two are not told apart here.
    """
    return head[4:8] == b"ftyp" and head[8:12] in _MP4_BRANDS


_MP4_BRANDS: Final = frozenset(
    b"isom,iso2,iso3,iso4,iso5,iso6,mp41,mp42,avc1,MSNV,M4A ,M4B ,M4V ,3gp4,3gp5,3gp6".split(b",")
)


def _riff(form: bytes) -> Callable[[bytes], bool]:
    return lambda head: head.startswith(b"RIFF") and head[8:12] == form


def _starts(*signs: bytes) -> Callable[[bytes], bool]:
    return lambda head: head.startswith(signs)


SIGNATURES: Final[Mapping[str, Callable[[bytes], bool]]] = MappingProxyType(
    {
        "application/pdf": _starts(b"%PDF-"),
        "image/jpeg": _starts(b"\xff\xd8\xff"),
        "image/png": _starts(b"\x89PNG\r\n\x1a\n"),
        "image/webp": _riff(b"WEBP"),
        "audio/mpeg": _mp3,
        "audio/mp4": _mp4,
        "audio/wav": _riff(b"WAVE"),
        "audio/ogg": _starts(b"OggS"),
        "audio/amr": _starts(b"#!AMR\n", b"#!AMR-WB\n"),
        "video/mp4": _mp4,
    }
)
"""By media type, whether a file that starts so is of it. Beside these: plain text in UTF-8."""
