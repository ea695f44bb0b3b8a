"""Cursors of lists: where the next page begins, bound to the list and its filter."""

from __future__ import annotations

import base64
import hashlib
from typing import Any, Final, cast

import orjson

from api.bodies import Malformed

MAX_CURSOR: Final = 3072
"""Longest cursor in characters: a path of 512 characters of four bytes each fits."""

_MARK_BYTES: Final = 9


def encode(operation: str, filters: Any, after: list[Any]) -> str:
    """Return a cursor for the rows behind `after`, the key of the last row given.

    It holds no secret and no personal data: ids, numbers and codes that the caller was just shown.
    """
    document = orjson.dumps([_mark(operation, filters), after])
    return base64.urlsafe_b64encode(document).rstrip(b"=").decode()


def decode(operation: str, filters: Any, cursor: str, shape: tuple[type, ...]) -> list[Any]:
    """Return the key that `encode` was given. Raises `Malformed` `cursor.malformed`.

    A cursor of another list, of another filter, or with a key of another shape is malformed.
    """
    if len(cursor) > MAX_CURSOR:
        raise Malformed("cursor.malformed")
    try:
        raw = base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4))
        mark, after = orjson.loads(raw)
    except (ValueError, TypeError):
        raise Malformed("cursor.malformed") from None
    if mark != _mark(operation, filters) or not isinstance(after, list):
        raise Malformed("cursor.malformed")
    key = cast(list[Any], after)
    right = len(key) == len(shape) and all(
        isinstance(one, kind) and not isinstance(one, bool)
        for one, kind in zip(key, shape, strict=True)
    )
    if not right:
        raise Malformed("cursor.malformed")
    return key


def _mark(operation: str, filters: Any) -> str:
    digest = hashlib.sha256(orjson.dumps([operation, filters], option=orjson.OPT_SORT_KEYS))
    return base64.urlsafe_b64encode(digest.digest()[:_MARK_BYTES]).decode()
