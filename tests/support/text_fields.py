"""Which fields of a body hold words of a person: found in the shapes themselves, none listed."""

from __future__ import annotations

import types
from collections.abc import Iterator, Mapping
from typing import Annotated, Any, Union, get_args, get_origin, get_type_hints

import msgspec

from api import shapes

BOUND = {
    get_args(one)[1] for one in (shapes.Code, shapes.Path, shapes.Id, shapes.Ref, shapes.Sha256)
}
"""What makes a string a code, a path, an id, ...: it cannot hold a sentence."""


def text_fields(shape: Any, path: str = "") -> Iterator[str]:
    """Yield where free text may stand in a body of this shape: `contact.name`, `notes[].text`."""
    origin, args = get_origin(shape), get_args(shape)
    if origin is Annotated:
        if BOUND.isdisjoint(args[1:]):
            yield from text_fields(args[0], path)
    elif origin in (Union, types.UnionType):
        for one in args:
            yield from text_fields(one, path)
    elif origin is tuple:
        yield from text_fields(args[0], f"{path}[]")
    elif origin in (dict, Mapping):
        yield from text_fields(args[0], f"{path}{{name}}")
        yield from text_fields(args[1], f"{path}{{}}")
    elif isinstance(shape, type) and issubclass(shape, msgspec.Struct):
        hints = get_type_hints(shape, include_extras=True)
        for field in msgspec.structs.fields(shape):
            below = f"{path}.{field.encode_name}" if path else field.encode_name
            yield from text_fields(hints[field.name], below)
    elif shape in (str, Any):
        yield path


def texts(body: Any, path: str = "") -> Iterator[tuple[str, str]]:
    """Yield every string of a body that was sent, with where it stands, as `text_fields` says."""
    match body:
        case str():
            yield path, body
        case dict():
            for name, value in body.items():
                yield from texts(value, f"{path}.{name}" if path else str(name))
        case list() | tuple():
            for one in body:
                yield from texts(one, f"{path}[]")
        case _:
            pass
