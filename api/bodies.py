"""Request bodies: strict JSON from bytes to a struct, and where in it a fault lies.

Refused before any type is asked: what is not UTF-8, a key twice in one object, NaN and the
infinities, more than `MAX_DEPTH` levels. Structs refuse unknown fields themselves; lone surrogates
and control characters fail the text types of `api.shapes`.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from functools import cache, lru_cache
from typing import Any, Final, NamedTuple, TypeVar, cast

import msgspec
import orjson
from msgspec import inspect

from domain.errors import Refused

MAX_DEPTH: Final = 24
"""Levels of arrays and objects in a body."""

JSON_TYPES: Final = frozenset({b"application/json"})

Body = TypeVar("Body")


class Finding(NamedTuple):
    """One fault of a body: a JSON pointer (RFC 6901), a code of `api.texts`, its parameters."""

    pointer: str
    code: str
    params: Mapping[str, Any]


class Malformed(Refused):
    """What came is not what the operation takes; `findings` say where and why."""

    def __init__(self, code: str, *findings: Finding, **params: Any) -> None:
        super().__init__(code, **params)
        self.findings = findings


class _Twice(Exception):
    """A key stands twice in one object."""


def _pairs(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise _Twice
    return found


def _no_constant(_: str) -> Any:
    raise ValueError("NaN and the infinities are not JSON")


_strict = json.JSONDecoder(object_pairs_hook=_pairs, parse_constant=_no_constant)
_token = re.compile(rb'"(?:[^"\\]|\\.)*"|[\[\]{}]', re.DOTALL)


def too_deep(data: bytes) -> bool:
    """Return whether brackets outside strings nest deeper than `MAX_DEPTH`."""
    if data.count(b"{") + data.count(b"[") <= MAX_DEPTH:
        return False
    depth = 0
    for match in _token.finditer(data):
        sign = data[match.start()]
        if sign in b"[{":
            depth += 1
            if depth > MAX_DEPTH:
                return True
        elif sign in b"]}":
            depth -= 1
    return False


def is_plain(data: bytes) -> bool:
    """Return whether this is strict JSON for sure, told in a few passes; False says nothing.

    Without a backslash no string holds a quote, and colons stand in strings as they are. Written
    again a document has as many colons as before, unless a key stood there twice.
    """
    if b"\\" in data:
        return False
    try:
        document = orjson.loads(data)
    except ValueError:
        return False
    if orjson.dumps(document).count(b":") != data.count(b":"):
        return False
    if data.count(b"{") + data.count(b"[") <= MAX_DEPTH:
        return True
    # A string without brackets leaves two quotes side by side; where one quote is left, brackets
    # stand in a string. Then innermost pair by innermost pair, one level a turn.
    left = data.translate(_ALIKE, _NEITHER_BRACKET_NOR_QUOTE).replace(b'""', b"")
    for _ in range(MAX_DEPTH):
        left = left.replace(b"[]", b"")
        if not left:
            return True
    return False


_NEITHER_BRACKET_NOR_QUOTE: Final = bytes(set(range(256)) - set(b'[]{}"'))
_ALIKE: Final = bytes.maketrans(b"{}", b"[]")


def check_json(data: bytes) -> None:
    """Refuse what is not strict JSON.

    Raises `Malformed`: `body.empty`, `body.not_utf8`, `body.too_deep`, `body.duplicate_key`,
    `body.not_json`.
    """
    if is_plain(data):
        return
    if not data.strip():
        raise Malformed("body.empty")
    try:
        text = data.decode()
    except UnicodeDecodeError:
        raise Malformed("body.not_utf8") from None
    if too_deep(data):
        raise Malformed("body.too_deep", limit=MAX_DEPTH)
    try:
        _strict.decode(text)
    except _Twice:
        raise Malformed("body.duplicate_key") from None
    except (ValueError, RecursionError):
        raise Malformed("body.not_json") from None


def decode(decoder: msgspec.json.Decoder[Body], data: bytes) -> Body:
    """Return the body as its struct. Raises `Malformed`: those of `check_json`, `body.invalid`."""
    check_json(data)
    try:
        return decoder.decode(data)
    except msgspec.ValidationError as fault:
        raise Malformed("body.invalid", finding(str(fault))) from None
    except (msgspec.DecodeError, ValueError):  # a lone surrogate written as an escape, among others
        raise Malformed("body.not_json") from None


def in_utc(value: Body, pointer: str = "") -> Body:
    """Return a body with its instants in UTC, as they are written down.

    Raises `Malformed` `body.invalid`: an instant that no calendar has in UTC; nobody could read it
    again.
    """
    given: Any = value
    match given:
        case datetime():
            try:
                return cast(Body, given.astimezone(UTC))
            except OverflowError:
                raise Malformed("body.invalid", Finding(pointer, "field.instant", {})) from None
        case msgspec.Struct():
            changed: dict[str, Any] = {}
            for name, step in _timed(type(given)):
                old = getattr(given, name)
                if old and (new := in_utc(old, pointer + step)) is not old:
                    changed[name] = new
            return cast(Body, msgspec.structs.replace(given, **changed)) if changed else value
        case tuple() | list():
            some = cast(Sequence[Any], given)
            found = [in_utc(one, f"{pointer}/{place}") for place, one in enumerate(some)]
            if all(new is old for new, old in zip(found, some, strict=True)):
                return value
            return cast(Body, found if isinstance(some, list) else tuple(found))
        case _:
            return value


@cache
def _timed(shape: type[Any]) -> tuple[tuple[str, str], ...]:
    """Return the fields of a struct in or below which an instant may stand, each with its pointer;
    most bodies have none, and are not walked.
    """
    kind = cast(inspect.StructType, inspect.type_info(shape))
    return tuple(
        (one.name, f"/{_escaped(one.encode_name)}") for one in kind.fields if _holds(one.type)
    )


def _holds(kind: inspect.Type) -> bool:
    """Return whether values of this type may be or hold an instant."""
    match kind:
        case inspect.DateTimeType():
            return True
        case inspect.UnionType():
            return any(map(_holds, kind.types))
        case inspect.Metadata():
            return _holds(kind.type)
        case inspect.StructType():
            return bool(_timed(kind.cls))
        case inspect.CollectionType():
            return _holds(kind.item_type)
        case inspect.TupleType():
            return any(map(_holds, kind.item_types))
        case _:  # plain values; what is not typed comes out of JSON as text
            return False


def convert(values: Mapping[str, str], to: type[Body], code: str) -> Body:
    """Return texts (a query, headers) as a struct. Raises `Malformed` with `code`."""
    for name, whole in _instants(to):
        # Texts are converted leniently, and then a number would pass for seconds since 1970.
        text = values.get(name, "")
        if _NUMBER.fullmatch(text) and not (whole and _WHOLE.fullmatch(text)):
            raise Malformed(code, Finding(f"/{_escaped(name)}", "field.instant", {}))
    try:
        return msgspec.convert(values, to, strict=False)
    except msgspec.ValidationError as fault:
        raise Malformed(code, finding(str(fault))) from None


_NUMBER: Final = re.compile(r"\s*[-+]?[0-9.]+(?:[eE][-+]?[0-9]+)?\s*")


_WHOLE: Final = re.compile(r"-?[0-9]+")


@lru_cache(maxsize=256)
def _instants(to: type[Any]) -> tuple[tuple[str, bool], ...]:
    """Return the names of a struct's fields that are instants, and whether each may be a whole
    number as well.
    """
    kind = inspect.type_info(to)
    if not isinstance(kind, inspect.StructType):
        return ()
    return tuple(
        (one.encode_name, _is_whole(one.type)) for one in kind.fields if _is_instant(one.type)
    )


def _is_whole(kind: inspect.Type) -> bool:
    if isinstance(kind, inspect.UnionType):
        return any(map(_is_whole, kind.types))
    if isinstance(kind, inspect.Metadata):
        return _is_whole(kind.type)
    return isinstance(kind, inspect.IntType)


def _is_instant(kind: inspect.Type) -> bool:
    if isinstance(kind, inspect.UnionType):
        return any(map(_is_instant, kind.types))
    if isinstance(kind, inspect.Metadata):
        return _is_instant(kind.type)
    return isinstance(kind, inspect.DateTimeType)


_AT: Final = re.compile(r"^(?P<what>.*?)(?: - at `(?:key in )?\$(?P<path>.*)`)?$", re.DOTALL)
_STEP: Final = re.compile(r"\.(?P<name>[^.\[]+)|\[(?P<index>\d+)\]")
_MISSING: Final = re.compile(r"Object missing required field `(?P<name>.*)`")
_UNKNOWN: Final = re.compile(r"Object contains unknown field `(?P<name>.*)`", re.DOTALL)
_TYPE: Final = re.compile(r"Expected `(?P<expected>[^`]*)`, got `(?P<got>[^`]*)`")
_BOUND: Final = re.compile(r"Expected `(?P<expected>[^`]*)` (?P<bound>(?:of length )?[<>=]+ .*)")


def finding(message: str) -> Finding:
    """Return what msgspec found, as a pointer and a code; nothing of the value itself."""
    match = _AT.match(message)
    what, path = (match["what"], match["path"] or "") if match else (message, "")
    pointer = "".join(
        f"/{_escaped(step['name'] or step['index'])}" for step in _STEP.finditer(path)
    )
    if missing := _MISSING.match(what):
        return Finding(f"{pointer}/{_escaped(missing['name'])}", "field.missing", {})
    if unknown := _UNKNOWN.match(what):
        return Finding(f"{pointer}/{_escaped(unknown['name'])}", "field.unknown", {})
    if wrong := _TYPE.match(what):
        return Finding(pointer, "field.type", wrong.groupdict())
    if bound := _BOUND.match(what):
        return Finding(pointer, "field.bound", {"bound": bound["bound"]})
    if "matching regex" in what:
        return Finding(pointer, "field.text", {})
    if "RFC3339" in what or "datetime" in what:
        return Finding(pointer, "field.instant", {})
    return Finding(pointer, "field.value", {})


def _escaped(name: str) -> str:
    printable = "".join(sign if sign.isprintable() else "?" for sign in name[:64])
    return printable.replace("~", "~0").replace("/", "~1")


def is_json(content_type: bytes | None) -> bool:
    """Return whether this Content-Type is JSON in UTF-8."""
    if content_type is None:
        return False
    kind, _, parameters = content_type.partition(b";")
    if kind.strip().lower() not in JSON_TYPES:
        return False
    for parameter in filter(None, (part.strip() for part in parameters.split(b";"))):
        name, _, value = parameter.partition(b"=")
        if name.strip().lower() == b"charset" and value.strip(b' "').lower() != b"utf-8":
            return False
    return True
