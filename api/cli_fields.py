"""`FIELD=VALUE` words: the fields that a body has, and the body that the words make."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, Final, NamedTuple

import msgspec
from msgspec import inspect

from api import bodies, shapes
from api.cli_errors import Usage
from api.cli_places import instant_of
from api.cli_texts import spoken
from api.texts import text

APART: Final = frozenset({"evidence"})
"""Fields that options give, because they are more than a value."""

FEW: Final = 3
"""So many words stand in the form of a value: `grantee|tenant`."""

STDIN: Final = "-"
"""The value that stands for what comes on standard input: nothing of it is seen by others."""

_FORMS: Final = tuple(
    (inspect.type_info(shape), form)
    for shape, form in ((shapes.Id, "ID"), (shapes.Code, "CODE"), (shapes.Path, "PATH"))
)
_COMMA: Final = re.compile(r"(?<!\\),")
_PARTY: Final = "customer|staff"
"""What the pattern of a party has and no other."""


class Field(NamedTuple):
    """A field as the help page shows it: `term.days`, `scope.DIMENSION`; `form` of its value.

    `words` are the values there are, where they are too many to stand in the form.
    """

    name: str
    form: str
    needed: bool
    words: tuple[str, ...] = ()


class Leaf(NamedTuple):
    """A field that was given: the way to it, its type, and its values: texts, or an instant."""

    way: tuple[str, ...]
    kind: Any
    many: bool
    values: tuple[Any, ...]

    @property
    def name(self) -> str:
        return ".".join(self.way)


Named = Callable[[str, str], str]
"""Takes the form of a value (PARTY, ID) and the value; returns what the service knows it by."""


def fields_of(body: type[msgspec.Struct]) -> list[Field]:
    """Return every field that words can give a body: its own, the needed ones first; then those
    that every command has.
    """
    common = set(shapes.Deed.__struct_fields__)
    found = list(_fields(inspect.type_info(body), "", needed=True))
    return sorted(found, key=lambda one: (one.name.partition(".")[0] in common, not one.needed))


def _fields(kind: Any, name: str, *, needed: bool) -> Iterator[Field]:
    kind = _bare(kind)
    match kind:
        case inspect.StructType():
            for one in kind.fields:
                if one.encode_name not in APART:
                    below = f"{name}.{one.encode_name}" if name else one.encode_name
                    yield from _fields(one.type, below, needed=needed and one.required)
        case inspect.DictType():
            yield from _fields(kind.value_type, f"{name}.{_key(name)}", needed=needed)
        case inspect.VarTupleType():
            yield Field(name, f"{_form(kind.item_type)},...", needed)
        case inspect.LiteralType() if len(kind.values) > FEW:
            yield Field(name, _form(kind), needed, tuple(map(str, kind.values)))
        case _:
            yield Field(name, _form(kind), needed)


def _key(name: str) -> str:
    return "DIMENSION" if name == "scope" else "NAME"


def _bare(kind: Any) -> Any:
    """Return a type without its notes, and without None beside it."""
    if isinstance(kind, inspect.Metadata):
        return _bare(kind.type)
    if isinstance(kind, inspect.UnionType):
        others = [one for one in kind.types if not isinstance(one, inspect.NoneType)]
        return _bare(others[0]) if len(others) == 1 else kind
    return kind


def _form(kind: Any) -> str:
    """Return how a help page names the values of a type."""
    kind = _bare(kind)
    for known, form in _FORMS:
        if kind == _bare(known):
            return form
    match kind:
        case inspect.StrType() if kind.pattern is not None and _PARTY in kind.pattern:
            return "PARTY"
        case inspect.DateTimeType():
            return "INSTANT"
        case inspect.IntType():
            return "NUMBER"
        case inspect.BoolType():
            return "true|false"
        case inspect.LiteralType() if len(kind.values) <= FEW:
            return "|".join(map(str, kind.values))
        case inspect.LiteralType():
            return "WORD"
        case _:
            return "TEXT"


def parsed(body: type[msgspec.Struct], words: Iterable[tuple[str, str]]) -> list[Leaf]:
    """Return which fields the words give, each once. Nothing is asked of anyone.

    Raises `Usage`: `fields.unknown`, `fields.below`, `fields.repeated`, `instant.malformed`.
    """
    root = inspect.type_info(body)
    found: dict[tuple[str, ...], Leaf] = {}
    for name, value in words:
        way = tuple(name.split("."))
        kind = _found(body, root, way)
        if isinstance(kind, inspect.VarTupleType):
            before = found[way].values if way in found else ()
            found[way] = Leaf(way, _bare(kind.item_type), True, (*before, *_items(value)))
        elif way in found:
            raise Usage("fields.repeated", field=name)
        elif isinstance(kind, inspect.DateTimeType):
            # Read here: the library would take a bare number for seconds.
            found[way] = Leaf(way, kind, False, (instant_of(value),))
        else:
            found[way] = Leaf(way, kind, False, (value,))
    return list(found.values())


def _items(value: str) -> Iterator[str]:
    r"""Yield the items of a list; `\,` is a comma of its own."""
    for one in _COMMA.split(value):
        if one:
            yield one.replace("\\,", ",")


def _found(body: type[msgspec.Struct], root: Any, way: tuple[str, ...]) -> Any:
    """Return the type of the field at the end of a way, a list's or a plain value's."""
    kind = _bare(root)
    for step in way:
        match kind:
            case inspect.StructType():
                known = {one.encode_name: one.type for one in kind.fields}
                if step not in known or step in APART:
                    raise _unknown(body, way)
                kind = _bare(known[step])
            case inspect.DictType() if step:
                kind = _bare(kind.value_type)
            case _:
                raise _unknown(body, way)
    if isinstance(kind, inspect.StructType | inspect.DictType):
        whole = ".".join(way)
        below = [one.name for one in fields_of(body) if one.name.startswith(f"{whole}.")]
        raise Usage("fields.below", field=whole, known=below)
    return kind


def _unknown(body: type[msgspec.Struct], way: tuple[str, ...]) -> Usage:
    known = [one.name for one in fields_of(body)]
    return Usage("fields.unknown", field=".".join(way), known=", ".join(known))


def tree_of(leaves: Iterable[Leaf], named: Named) -> dict[str, Any]:
    """Return the fields as a body nests them; parties and grants by what the service knows them by.

    Raises what `named` raises.
    """
    tree: dict[str, Any] = {}
    for leaf in leaves:
        values = [_value(leaf, one, named) for one in leaf.values]
        below = tree
        for step in leaf.way[:-1]:
            below = below.setdefault(step, {})
        below[leaf.way[-1]] = values if leaf.many else values[0]
    return tree


def _value(leaf: Leaf, value: Any, named: Named) -> Any:
    if value == STDIN:
        value = sys.stdin.read().rstrip("\n")
    form = _form(leaf.kind)
    if form == "PARTY" or (form == "ID" and leaf.name in ("parent", "successor")):
        return named(form, value)
    return value


def made(body: type[msgspec.Struct], tree: Mapping[str, Any]) -> bytes:
    """Return the body as JSON, the same bytes for the same words. Raises `Usage` `fields.wrong`."""
    try:
        return msgspec.json.encode(msgspec.convert(tree, body, strict=False))
    except msgspec.ValidationError as fault:
        found = bodies.finding(str(fault))
        name = found.pointer.removeprefix("/").replace("/", ".").replace("~1", "/")
        raise Usage(
            "fields.wrong", field=name, why=text(found.code, spoken(), found.params)
        ) from None
