"""Refusals as RFC 9457 problems: which status a code has, and the document a caller gets."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any, Final, Literal, cast

import orjson

from api.bodies import Malformed
from api.texts import Language, text
from domain.errors import Refused

MEDIA_TYPE: Final = b"application/problem+json"
URN: Final = "urn:counterseal:problem:"
RETRY_AFTER_SECONDS: Final = 1
"""What a caller is told to wait after 429 and 503."""

RULE: Final = 422
"""The status of every code that no line below names: the body is well formed, the rules say no."""

EXACT: Final[Mapping[str, int]] = {
    "as_of.unavailable": 422,
    "key.reused": 422,
    "version.moved": 412,
    "version.missing": 428,
    "purpose.missing": 403,
    "purpose.malformed": 400,
    "claim.taken": 409,
    "action.unknown": 422,
    "channel.unknown": 422,
    "grantee.unknown": 422,
    "stage.unknown": 422,
    "successor.unknown": 422,
    "case.open": 409,
    "error.open": 409,
    "check.bad_id": 400,
    "member.act_unknown": 422,
    "member.taken": 409,
    "member.term_empty": 422,
    "member.too_many": 422,
    "member.unknown": 404,
    "stream.closed": 409,
    "clock.not_given": 400,
    "clock.skew": 503,
    "method.not_allowed": 405,
    "body.too_large": 413,
    "body.content_type": 415,
    "body.encoding": 415,
    "evidence.too_large": 413,
    "evidence.type_not_allowed": 415,
    "login.missing": 401,
    "login.failed": 401,
    "session.over": 401,
    "link.over": 401,
    "form.foreign": 403,
    "form.token": 403,
    "request.deadline": 503,
    "request.busy": 503,
    "request.too_many": 429,
    "position.not_reached": 503,
    "moment.preparing": 503,
    "access_log.unreachable": 503,
    "share.not_in_force": 403,
    "share.purpose_other": 403,
    "share.not_assigned": 403,
    "share.field_not_editable": 403,
    "server.fault": 500,
    "subject.erased": 410,
    "history.unknown": 404,
    "worklist.not_staff": 422,
    "sealed.key_gone": 410,
    "sealed.forged": 500,
}

PREFIXES: Final[Mapping[str, int]] = {
    "duties.": 403,
    "role.": 403,
    "import.not_importer": 403,
    "member.": 403,
    "actor.": 403,
    "approver.": 403,
    "scope_of_key.": 403,
    "body.": 400,
    "query.": 400,
    "header.": 400,
    "cursor.": 400,
    "field.": 400,
    "idempotency_key.": 400,
    "ledger.": 503,
    "keys.": 503,
    "history.": 400,
    "database.": 503,
}

SUFFIXES: Final[Mapping[str, int]] = {
    ".unknown": 404,
    ".state": 409,
    ".not_open": 409,
}


def status_of(code: str) -> int:
    """Return the HTTP status of a refusal code."""
    found = EXACT.get(code)
    if found is not None:
        return found
    for prefix, status in PREFIXES.items():
        if code.startswith(prefix):
            return status
    for suffix, status in SUFFIXES.items():
        if code.endswith(suffix):
            return status
    return RULE


class Answered:
    """An answer ready to be sent: status, headers, body."""

    __slots__ = ("body", "headers", "status")

    def __init__(self, status: int, headers: list[tuple[bytes, bytes]], body: bytes) -> None:
        self.status = status
        self.headers = headers
        self.body = body


def problem(
    refused: Refused,
    language: Language,
    *,
    headers: list[tuple[bytes, bytes]] | None = None,
    **members: Any,
) -> Answered:
    """Return the problem document of a refusal; `members` are further extension members."""
    status = status_of(refused.code)
    document: dict[str, Any] = {
        "type": URN + refused.code,
        "status": status,
        "code": refused.code,
        "detail": text(refused.code, language, refused.params),
    }
    if refused.params:
        document["params"] = {name: plain(value) for name, value in refused.params.items()}
    if isinstance(refused, Malformed) and refused.findings:
        document["errors"] = [
            {
                "pointer": found.pointer,
                "code": found.code,
                "detail": text(found.code, language, found.params),
            }
            for found in refused.findings
        ]
    document.update(members)
    sent = [*_headers(status, language), *(headers or [])]
    return Answered(status, sent, orjson.dumps(document))


def _headers(status: int, language: Language) -> list[tuple[bytes, bytes]]:
    found = [(b"content-type", MEDIA_TYPE), (b"content-language", language.encode())]
    if status == 401:
        found.append((b"www-authenticate", b'Bearer realm="counterseal"'))
    if status in (429, 503):
        found.append((b"retry-after", str(RETRY_AFTER_SECONDS).encode()))
    return found


def plain(value: Any) -> Any:
    """Return a parameter as JSON can hold it: instants as RFC 3339, collections as lists."""
    match value:
        case None | bool() | int() | float() | str():
            return value
        case datetime():
            return value.isoformat().replace("+00:00", "Z")
        case Mapping():
            pairs = cast(Mapping[Any, Any], value)
            return {str(key): plain(one) for key, one in pairs.items()}
        case list() | tuple() | set() | frozenset():
            return [plain(one) for one in cast(Iterable[Any], value)]
        case _:
            return str(value)


def language_of(accept: bytes | None) -> Language:
    """Return the language an Accept-Language header prefers (RFC 9110, 12.5.4); else English."""
    best: tuple[float, Language] = (0.0, "en")
    for part in (accept or b"").decode("latin-1").split(",")[:16]:
        tag, _, parameter = part.partition(";")
        name = tag.strip().lower().partition("-")[0]
        found: Literal["zh", "en"] | None = "zh" if name == "zh" else "en" if name == "en" else None
        if found is not None and (weight := _weight(parameter)) > best[0]:
            best = (weight, found)
    return best[1]


def _weight(parameter: str) -> float:
    name, _, value = parameter.strip().partition("=")
    if name.strip().lower() != "q":
        return 1.0
    try:
        return min(max(float(value), 0.0), 1.0)
    except ValueError:
        return 0.0
