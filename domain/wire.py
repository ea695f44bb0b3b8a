"""Values as PostgreSQL's binary protocol has them: arrays built with one join a column, whatever
the number of commands.

See PostgreSQL, "Message Formats" and `array_send`, `uuid_send`, `int4send`, `timestamptz_send`.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from struct import Struct
from typing import Final, NamedTuple
from uuid import UUID

_HEADER: Final = Struct(">iiIii")
_ITEM: Final = Struct(">ii")
_LONG_ITEM: Final = Struct(">iq")
_LENGTH: Final = Struct(">i")
_LONG: Final = Struct(">q")
_NULL: Final = _LENGTH.pack(-1)
_SMALL: Final = tuple(_ITEM.pack(4, number) for number in range(4096))
_TRUE: Final = _LENGTH.pack(1) + b"\x01"
_FALSE: Final = _LENGTH.pack(1) + b"\x00"
_UUID_LENGTH: Final = _LENGTH.pack(16)
_INFINITY: Final = _LONG_ITEM.pack(8, 2**63 - 1)
_EPOCH: Final = datetime(2000, 1, 1, tzinfo=UTC)
_TICK: Final = timedelta(microseconds=1)

_BOOLEAN: Final = 16
_BYTES: Final = 17
_BIGINT: Final = 20
_INTEGER: Final = 23
_TEXT: Final = 25
_TIMESTAMPTZ: Final = 1184
_UUID: Final = 2950
_JSONB: Final = 3802


class Sent(NamedTuple):
    """A parameter: the number of its type, and its bytes; None is NULL."""

    oid: int
    data: bytes | None


def uuid_bytes(text: str) -> bytes:
    """Return the sixteen bytes of a UUID written with hyphens. Raises `ValueError` for what is
    none.
    """
    if len(text) == 36:
        found = bytes.fromhex(text.replace("-", ""))
        if len(found) == 16:
            return found
    return UUID(text).bytes


def uuid(value: bytes) -> Sent:
    return Sent(_UUID, value)


def json(text: bytes | None) -> Sent:
    """A `jsonb` from its text, UTF-8."""
    return Sent(_JSONB, None if text is None else b"\x01" + text)


def instant(at: datetime | None) -> Sent:
    """A `timestamptz`: microseconds since 2000-01-01 UTC."""
    return Sent(_TIMESTAMPTZ, None if at is None else _LONG.pack((at - _EPOCH) // _TICK))


def _array(oid: int, element: int, items: Sequence[bytes]) -> Sent:
    if not items:
        return Sent(oid, _HEADER.pack(0, 0, element, 0, 0)[:12])
    return Sent(oid, _HEADER.pack(1, 1, element, len(items), 1) + b"".join(items))


def integers(values: Sequence[int]) -> Sent:
    """An `integer[]`; none is negative."""
    try:
        items = [_SMALL[value] for value in values]
    except IndexError:
        items = [_ITEM.pack(4, value) for value in values]
    return _array(1007, _INTEGER, items)


def longs(values: Iterable[int | None]) -> Sent:
    """A `bigint[]`."""
    items = [_NULL if value is None else _LONG_ITEM.pack(8, value) for value in values]
    return _array(1016, _BIGINT, items)


def booleans(values: Iterable[bool]) -> Sent:
    """A `boolean[]`."""
    return _array(1000, _BOOLEAN, [_TRUE if value else _FALSE for value in values])


def instants(values: Iterable[datetime | None]) -> Sent:
    """A `timestamptz[]`; None is an open end, `infinity`."""
    items = [
        _INFINITY if at is None else _LONG_ITEM.pack(8, (at - _EPOCH) // _TICK) for at in values
    ]
    return _array(1185, _TIMESTAMPTZ, items)


def jsons(values: Iterable[bytes]) -> Sent:
    """A `jsonb[]` from texts, UTF-8."""
    items = [_LENGTH.pack(len(value) + 1) + b"\x01" + value for value in values]
    return _array(3807, _JSONB, items)


def uuids(values: Iterable[bytes | None]) -> Sent:
    """A `uuid[]` from sixteen bytes each."""
    return _array(
        2951, _UUID, [_NULL if value is None else _UUID_LENGTH + value for value in values]
    )


def byteas(values: Iterable[bytes]) -> Sent:
    """A `bytea[]`."""
    return _array(1001, _BYTES, [_LENGTH.pack(len(value)) + value for value in values])


def texts(values: Iterable[str | None]) -> Sent:
    """A `text[]` of values that are mostly others each time, like keys."""
    return _array(1009, _TEXT, [_NULL if value is None else _text(value) for value in values])


def words(values: Iterable[str | None]) -> Sent:
    """A `text[]` of values that come again and again, like names of types and of parties."""
    return _array(1009, _TEXT, [_NULL if value is None else _word(value) for value in values])


def _text(value: str) -> bytes:
    data = value.encode()
    return _LENGTH.pack(len(data)) + data


_word = lru_cache(maxsize=4096)(_text)
