"""One event of every type with every field filled, and one with only what it must have; always the
same."""

from __future__ import annotations

import types
from datetime import UTC, datetime
from typing import Any, Literal, Union, get_args, get_origin

import msgspec

from domain.events import Event

INSTANT = datetime(2026, 11, 22, 8, 30, 15, 123456, tzinfo=UTC)


def full(kind: type[Event]) -> Event:
    """Return an event with every field filled."""
    return _struct(kind, full=True)


def least(kind: type[Event]) -> Event:
    """Return an event with only its required fields."""
    return _struct(kind, full=False)


def _struct(kind: type[Any], *, full: bool) -> Any:
    values = {
        field.name: _value(field.type, field.name, full)
        for field in msgspec.structs.fields(kind)
        if full or field.required
    }
    return kind(**values)


def _value(annotation: Any, name: str, full: bool) -> Any:
    origin, args = get_origin(annotation), get_args(annotation)
    if origin in (Union, types.UnionType):
        return _value(next(a for a in args if a is not type(None)), name, full)
    if origin is Literal:
        return args[0]
    if origin is tuple:
        return (_value(args[0], name, full),)
    if origin is dict:
        return {"territory": _value(args[1], name, full)}
    if hasattr(annotation, "__metadata__"):
        return _value(annotation.__origin__, name, full)
    if isinstance(annotation, type) and issubclass(annotation, msgspec.Struct):
        return _struct(annotation, full=full)
    return {
        str: f"{name} 例",
        int: 7,
        bool: True,
        bytes: b"\x00sealed\xff",
        datetime: INSTANT,
    }[annotation]
