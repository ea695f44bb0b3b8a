"""History: one row an event, the keys by which it is found, and nothing that is sealed."""

from __future__ import annotations

import re
from collections.abc import Iterable
from datetime import datetime
from functools import cache, lru_cache
from typing import Any, Final, NamedTuple, cast

import msgspec

from domain.customers import Customer
from domain.events import Event, stream_kind
from domain.grant_states import Grant
from domain.sealing import Sealed
from projections.history_words import folded, words

NAME: Final = "history"
FOLD: Final = 1
"""The fold version: raised whenever the rows of the same events would be others."""

COMMON: Final = frozenset(Event.__struct_fields__)
CUSTOMER: Final = "customer:"
DIMENSION: Final = "customer"
"""The dimension of a scope that names customers."""

_ID: Final = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")
_DIGEST: Final = re.compile(r"[0-9a-f]{64}")
_PARTY: Final = re.compile(rf"(?:customer|staff):({_ID.pattern})")
SHORT: Final = 32
"""So long texts are remembered; of a long Chinese one each pair of neighbours would be kept."""

SHORTEST: Final = 36
"""No id, digest or party has fewer characters."""


class Place(NamedTuple):
    """What the log says of an event beside its data."""

    position: int
    stream_id: str
    version: int
    type: str
    recorded_at: datetime
    actor: str
    on_behalf_of: str | None
    command_id: str
    causation: int | None


class Row(NamedTuple):
    """A row and its keys, JSON-able, without tenant and generation."""

    row: dict[str, Any]
    keys: list[dict[str, Any]]


def row(place: Place, event: Event | None, after: Any) -> Row:
    """Return what is kept of an event.

    `event` is None where its bytes do not decode: then it is found by its place alone. `after` is
    the state of its stream, None where it cannot be folded.
    """
    kind = stream_kind(place.type)
    own = [] if event is None else _strings(event)
    said: dict[str, frozenset[str]] = {}
    for text in [] if event is None else _told(event, own):
        same, word_keys = _read(text) if len(text) <= SHORT else _cut(text)
        if same:
            said[same] = word_keys
    customers = _customers(kind, place.stream_id, event, after)
    grant = place.stream_id if kind == "grant" else None
    at = place.recorded_at if event is None else event.at
    found = {
        **place._asdict(),
        "at": at,
        "stream_kind": kind,
        "persons": _persons(event),
        "customers": customers,
        "grant_id": grant,
        "case_id": _case(event, after),
        "reason": None if event is None or event.reason is None else _clean(event.reason.code),
        "imported": event is not None and event.imported is not None,
        "said": "\n".join(said),
    }
    keys = {f"a:{ref}" for ref in (place.actor, place.on_behalf_of) if ref}
    keys |= {f"c:{one}" for one in customers}
    keys |= {f"n:{one}" for one in _ids(own) if one != place.stream_id}
    keys = keys.union(*said.values())
    keys.add(f"t:{unversioned(place.type)}")
    if grant is not None:
        keys.add(f"g:{grant}")
    listed = [{"key": key, "at": at, "position": place.position} for key in sorted(keys)]
    return Row(found, listed)


def unversioned(stored_name: str) -> str:
    """Return `grant.approved` for `grant.approved.1`."""
    return stored_name.rpartition(".")[0]


def named(event: Event) -> set[str]:
    """Return the ids that an event's own fields name: other streams, and its case."""
    return _ids(_strings(event))


def _told(event: Event, own: Iterable[str]) -> list[str]:
    """Return the clear texts of an event's own fields, its reason's code and its kinds of evidence.

    Ids and digests are none, and a sealed text is never looked into.
    """
    found = [text for text in own if not _is_technical(text)]
    if event.reason is not None and event.reason.code is not None:
        found.append(event.reason.code)
    found += [one.kind for one in event.evidence]
    return found


def _is_technical(text: str) -> bool:
    """Tell whether a text is an id, a digest or a party."""
    if len(text) < SHORTEST:
        return False
    return any(one.fullmatch(text) for one in (_ID, _DIGEST, _PARTY))


def _ids(texts: Iterable[str]) -> set[str]:
    found: set[str] = set()
    for text in texts:
        if len(text) < SHORTEST:
            continue
        party = _PARTY.fullmatch(text)
        if party is not None:
            found.add(party[1])
        elif _ID.fullmatch(text):
            found.add(text)
    return found


def _cut(text: str) -> tuple[str, frozenset[str]]:
    """Return a text folded, and the keys of its words."""
    same = folded(text)
    return same, frozenset([f"w:{one}" for one in words((same,))])


_read = lru_cache(maxsize=2048)(_cut)
"""Short texts come again and again: codes, kinds, names of things."""


def _strings(event: Event) -> list[str]:
    """Return every clear text in an event's own fields."""
    found: list[str] = []
    for field in _own_fields(type(event)):
        _look_inside(getattr(event, field), found)
    return found


@cache
def _own_fields(event: type[Event]) -> tuple[str, ...]:
    return tuple(field for field in event.__struct_fields__ if field not in COMMON)


def _look_inside(value: Any, found: list[str]) -> None:
    """Add the clear texts in a value."""
    if isinstance(value, str):
        found.append(value)
    elif isinstance(value, Sealed):
        return
    elif isinstance(value, msgspec.Struct):
        for field in value.__struct_fields__:
            _look_inside(getattr(value, field), found)
    elif isinstance(value, dict):
        for one in cast(dict[str, Any], value).values():
            _look_inside(one, found)
    elif isinstance(value, list | tuple | set | frozenset):
        for one in cast(Iterable[Any], value):
            _look_inside(one, found)


def _customers(kind: str, stream_id: str, event: Event | None, after: Any) -> list[str]:
    """Whom it concerns: a customer event its own, and whom it was merged into; a grant event the
    grantee and the customers that its scope names.
    """
    found: set[str] = set()
    if kind == "customer":
        found.add(stream_id)
        if isinstance(after, Customer) and after.merged_into is not None:
            found.add(after.merged_into)
    elif kind == "grant" and isinstance(after, Grant):
        if after.grantee.startswith(CUSTOMER):
            found.add(after.grantee.removeprefix(CUSTOMER))
        terms = getattr(event, "terms", None) or after.terms
        found.update(one for one in terms.scope.get(DIMENSION, ()) if _ID.fullmatch(one))
    return sorted(found)


def _persons(event: Event | None) -> list[str]:
    parties = () if event is None else (event.by, event.on_behalf_of)
    return sorted({party.person for party in parties if party is not None and party.person})


def _case(event: Event | None, after: Any) -> str | None:
    """The case an event belongs to: its own, or the request that the grant's stream began with."""
    own = getattr(event, "case", None) or getattr(event, "correction", None)
    found = own or (after.case if isinstance(after, Grant) else None)
    return found if isinstance(found, str) else None


def _clean(code: str | None) -> str | None:
    """A code as the database can hold it: imported history may have any character."""
    return None if code is None else code.replace("\x00", " ")
