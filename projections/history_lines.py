"""One readable sentence for each event, in Chinese and English, made from the stored event when it
is read; the sentences lie in `history_lines.toml`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from typing import Any, Final, NamedTuple, cast

import msgspec

from domain.codec import Undecodable, UnknownEvent, decode
from domain.events import Event
from domain.events.policy import PolicyBody
from domain.sealing import Sealed
from domain.values import Names, Party, PolicyRef, Terms
from projections.history_lines_names import SHOWN, Book, fill, one_line, texts
from projections.unseen import Show, masked

CUSTOMER: Final = "customer"
"""The dimension whose points are customers."""

_ID: Final = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")

RECORDS: Final[Mapping[str, str]] = {
    "to": "staff",
    "deputy": "staff",
    "person": "person",
    "successor": "grant",
    "grant": "grant",
    "share": "grant",
    "cause": "grant",
    "parent": "grant",
}
"""Field -> the kind of the record whose id it holds."""

WORDS: Final[Mapping[str, str]] = {"roles": "role", "acts": "act", "document": "kind"}
"""Field -> the section of words that its codes have, where it is not the field's own name."""


class Told(NamedTuple):
    """An event as history has it; `event` is None where its bytes cannot be read."""

    kind: str
    stream_id: str
    type: str
    actor: Party
    on_behalf_of: Party | None
    event: Event | None


def told(row: Mapping[str, Any]) -> Told:
    """Return a row of history as what a line is made of."""
    event = None
    try:
        event = decode(row["type"], bytes(row["data"]))
    except (UnknownEvent, Undecodable):
        principal = None if row["on_behalf_of"] is None else Party(row["on_behalf_of"])
        actor = Party(row["actor"])
    else:
        actor, principal = event.by, event.on_behalf_of
    return Told(row["stream_kind"], row["stream_id"], row["type"], actor, principal, event)


def named_in(ones: Iterable[Told]) -> tuple[set[str], set[tuple[str, str]]]:
    """Return the ids and points (dimension, path) whose names the lines of these events need."""
    ids: set[str] = set()
    points: set[tuple[str, str]] = set()
    for one in ones:
        ids.add(one.stream_id)
        for party in (one.actor, one.on_behalf_of):
            if party is not None:
                ids |= {part for part in (party.id, party.person) if part}
        ids |= set(_ids(one.event))
        placed = set(_points(one.event))
        ids |= {path for dimension, path in placed if dimension == CUSTOMER}
        points |= placed
    return {one for one in ids if _ID.fullmatch(one)}, points


def _ids(event: Event | None) -> Iterable[str]:
    """The ids in an event's own fields, as many of a list as a line shows."""
    for field in () if event is None else event.__struct_fields__:
        value = getattr(event, field)
        ones = cast(tuple[Any, ...], value)[:SHOWN] if isinstance(value, tuple) else (value,)
        yield from (one.rpartition(":")[2] for one in ones if isinstance(one, str))


def _points(event: Event | None) -> Iterable[tuple[str, str]]:
    terms: Terms | None = getattr(event, "terms", None)
    scopes = [] if terms is None else [terms.scope]
    scopes += [one.scope for one in getattr(event, "reservations", ())[:SHOWN]]
    for scope in scopes:
        for dimension, patterns in scope.items():
            yield from ((dimension, one) for one in patterns[:SHOWN])
    path = getattr(event, "path", None)
    if event is not None and isinstance(path, str):
        yield str(getattr(event, "dimension", "")), path


def line(one: Told, book: Book, show: Show = masked) -> str:
    """Return the sentence for an event; `show` opens its sealed texts for those who may see them.

    A sealed text that is not opened is left out, and so is what it stands in.
    """
    known = texts()
    template = known["lines"].get(one.type)
    if one.event is None or template is None:
        template = known["unreadable"]
    value = _Value(one, book, show)
    said = fill(template[book.language], value)
    if one.event is not None:
        said = _with_suffixes(said, one.event, book, value)
    return said[:1].upper() + said[1:]


def _with_suffixes(said: str, event: Event, book: Book, value: Callable[[str], str]) -> str:
    """Put why it was decided, and where it was taken over from, before the full stop."""
    stop = "。" if book.language == "zh" else "."
    suffixes = texts()["suffixes"]
    found = fill(suffixes["reason"][book.language], value)
    if event.imported is not None:
        key = "inferred" if event.imported.inferred else "imported"
        found += fill(suffixes[key][book.language], value)
    return f"{said.removesuffix(stop)}{found}{stop}" if found else said


class _Value:
    """Gives what a name in a template stands for, an empty text for nothing."""

    def __init__(self, one: Told, book: Book, show: Show) -> None:
        self._one = one
        self._book = book
        self._show = show

    def __call__(self, name: str) -> str:
        one, book = self._one, self._book
        match name:
            case "actor":
                return book.actor(one.actor, one.on_behalf_of)
            case "subject":
                return book.record(one.kind, one.stream_id)
            case "type":
                return one.type
            case "reason":
                return self._reason()
            case "source":
                imported = None if one.event is None else one.event.imported
                return "" if imported is None else one_line(imported.source)
            case "point":
                dimension, path = (getattr(one.event, part, "") for part in ("dimension", "path"))
                return book.point(dimension, path)
            case _:
                return self._field(name, getattr(one.event, name, None))

    def _reason(self) -> str:
        reason = None if self._one.event is None else self._one.event.reason
        if reason is None:
            return ""
        code = "" if reason.code is None else self._book.word("reason", reason.code)
        text = "" if reason.text is None else self._sealed(reason.text, "reason")
        return self._book.listed((code, text), "semicolon")

    def _field(self, name: str, value: Any) -> str:
        book = self._book
        match value:
            case None | ():
                return ""
            case bool():
                return book.word(name, "true" if value else "false")
            case str():
                return self._text(name, value)
            case int():
                return str(value)
            case datetime():
                return book.instant(value)
            case Sealed():
                return self._sealed(value, name)
            case Names():
                return book.names(value)
            case PolicyBody():
                return book.names(value.names)
            case PolicyRef():
                return book.version(value)
            case Terms():
                return book.terms(self._policy(), value)
            case tuple():
                return book.listed(self._element(name, one) for one in cast(tuple[Any, ...], value))
            case _:
                return ""

    def _element(self, name: str, value: Any) -> str:
        if isinstance(value, str):
            return self._text(name, value)
        scope = getattr(value, "scope", None) if isinstance(value, msgspec.Struct) else None
        return "" if scope is None else self._book.scope(scope)

    def _text(self, name: str, value: str) -> str:
        book = self._book
        if name == "stage":
            return book.stage(self._policy(), value)
        if name == "grantee":
            return book.party(value)
        if _ID.fullmatch(value):
            kind = self._one.kind if name == "into" else RECORDS.get(name, "")
            kind = "customer" if name == "customers" else kind
            return book.record(kind, value) if kind else ""
        return book.word(WORDS.get(name, name), value)

    def _policy(self) -> PolicyRef | None:
        found = getattr(self._one.event, "policy", None)
        return found if isinstance(found, PolicyRef) else self._book.pinned(self._one.stream_id)

    def _sealed(self, sealed: Sealed, field: str) -> str:
        shown = self._show(sealed, field)
        if isinstance(shown, str):
            return one_line(_readable(shown))
        why = next((why for why in ("erased", "forged") if shown.get(why)), None)
        return "" if why is None else self._book.called(why)


def _readable(text: str) -> str:
    """Return a text as a person reads it: of a sealed object (a contact) its values."""
    if not text.startswith("{"):
        return text
    try:
        found = msgspec.json.decode(text, type=dict[str, Any])
    except msgspec.MsgspecError:
        return text
    return ", ".join(str(value) for value in found.values())
