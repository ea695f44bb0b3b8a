"""Forms: read strictly, and believed only from a page of ours."""

from __future__ import annotations

import hmac
import re
from collections.abc import Mapping
from typing import Final
from urllib.parse import parse_qsl, urlsplit

from api.bodies import Malformed
from api.layers import Receive, Scope, header
from domain.errors import Refused

FIELDS: Final = 100
MEDIA_TYPE: Final = b"application/x-www-form-urlencoded"
HIDDEN: Final = "of_session"
"""The hidden field with what only a page of this session knows."""

_LOCAL: Final = re.compile(r"/(?![/\\])[\x21-\x5b\x5d-\x7e]*")


async def read(scope: Scope, receive: Receive) -> dict[str, str]:
    """Return the fields of a form, spaces around them cut, `\\r\\n` as `\\n`.

    Raises `Malformed`: `body.content_type`, `body.cut`, `query.invalid`, `query.repeated`;
    `Refused` `body.too_large`.
    """
    kind = (header(scope, b"content-type") or b"").partition(b";")[0].strip().lower()
    if kind != MEDIA_TYPE:
        raise Malformed("body.content_type")
    data = b""
    more = True
    while more:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise Malformed("body.cut")
        data += message.get("body", b"")
        more = message.get("more_body", False)
    return fields(data)


def fields(data: bytes) -> dict[str, str]:
    """Return the fields of a form or a query. Raises `Malformed`: as `read`."""
    try:
        pairs = parse_qsl(
            data.decode("ascii"),
            keep_blank_values=True,
            encoding="utf-8",
            errors="strict",
            max_num_fields=FIELDS,
        )
    except ValueError:
        raise Malformed("query.invalid") from None
    found = {name: value.replace("\r\n", "\n").strip() for name, value in pairs}
    if len(found) != len(pairs):
        raise Malformed("query.repeated")
    return found


def require_own_origin(scope: Scope) -> None:
    """Refuse a form that another site sent. Raises `Refused` `form.foreign`.

    A browser says where a form comes from: by `Sec-Fetch-Site` over https, and by `Origin` always.
    One that says neither is refused: fail closed.
    """
    site = header(scope, b"sec-fetch-site")
    if site is not None:
        if site != b"same-origin":
            raise Refused("form.foreign")
        return
    origin, host = header(scope, b"origin"), header(scope, b"host")
    if origin is None or host is None:
        raise Refused("form.foreign")
    try:
        place = urlsplit(origin.decode("latin-1")).netloc
    except ValueError:  # what is no address is no address of ours
        raise Refused("form.foreign") from None
    if place.lower() != host.decode("latin-1").lower():
        raise Refused("form.foreign")


def require_token(given: Mapping[str, str], known: str) -> None:
    """Refuse a form that no page of this session made. Raises `Refused` `form.token`."""
    if not hmac.compare_digest(given.get(HIDDEN, "").encode(), known.encode()):
        raise Refused("form.token")


def local_path(text: str, otherwise: str = "/") -> str:
    """Return a path of this service to go to, never another site."""
    return text if len(text) < 2048 and _LOCAL.fullmatch(text) else otherwise


def cookies(scope: Scope) -> dict[str, str]:
    """Return the cookies of a request; of one name the first."""
    found: dict[str, str] = {}
    for name, value in scope["headers"]:
        if name == b"cookie":
            for part in value.decode("latin-1").split(";"):
                key, sign, one = part.strip().partition("=")
                if sign:
                    found.setdefault(key, one)
    return found
