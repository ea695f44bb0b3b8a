"""Events and states as JSON: instants in UTC, sealed texts masked unless they may be opened."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from functools import cache
from typing import Any, Final, cast

import msgspec
import orjson
from msgspec import UNSET
from msgspec.structs import astuple, replace

from domain import catalogue, customers, grants, persons, policies, staff
from domain.events import Event
from domain.ledger import Recorded
from domain.sealing import Context, Opener, Sealed, Unopenable
from domain.values import Instant
from projections.unseen import MASKED, Show, masked

COMMON: Final = frozenset(Event.__struct_fields__)
"""Fields that every event has; what remains is the event's own."""


def opened(opener: Opener, tenant: str, stream_id: str, command_id: str) -> Show:
    """Return what opens texts of one command's events on one stream.

    A text whose subject was forgotten shows as `{"sealed": true, "erased": true}`; one that does
    not open where it stands as `{"sealed": true, "forged": true}`.
    """

    def show(sealed: Sealed, field: str) -> Any:
        try:
            return opener.open(sealed, Context(tenant, stream_id, command_id, field))
        except Unopenable as fault:
            why = "erased" if fault.code == "sealed.key_gone" else "forged"
            return {**MASKED, why: True}

    return show


def instant(value: datetime) -> str:
    """Return an instant as RFC 3339 in UTC, with as many digits as it has; one that no calendar
    has in UTC, in imported history, as it was told.
    """
    try:
        there = value if value.tzinfo is UTC else value.astimezone(UTC)
        return there.isoformat().replace("+00:00", "Z")
    except OverflowError:
        return value.isoformat()


def shown(value: Any, field: str = "", show: Show = masked) -> Any:
    """Return any value of an event or a state as JSON; `field` is the name it stands under.

    Empty fields of structs are left out. The text of a reason stands under `reason`.
    """
    kind = cast(type[Any], type(value))
    if kind in _PLAIN:
        return value
    render = _RENDERERS.get(kind)
    if render is None:
        render = _RENDERERS[kind] = _renderer(kind)
    return render(value, field, show)


_PLAIN: Final = frozenset({type(None), bool, int, float, str})


def _renderer(kind: type[Any]) -> _Render:
    """Return what shows values of a type; asked once a type."""
    if issubclass(kind, datetime):
        return lambda value, _field, _show: instant(value)
    if issubclass(kind, Sealed):
        return lambda value, field, show: show(value, field)
    if issubclass(kind, msgspec.Struct):
        return _struct(kind)
    if issubclass(kind, Mapping):
        return lambda value, field, show: {
            str(name): shown(one, field, show) for name, one in value.items()
        }
    if issubclass(kind, set | frozenset):
        return lambda value, field, show: sorted(shown(one, field, show) for one in value)
    return lambda value, field, show: [shown(one, field, show) for one in value]


def _struct(kind: type[msgspec.Struct]) -> _Render:
    pairs = tuple(zip(kind.__struct_fields__, kind.__struct_encode_fields__, strict=True))

    def render(value: Any, field: str, show: Show) -> dict[str, Any]:
        found: dict[str, Any] = {}
        for name, written in pairs:
            one = getattr(value, name)
            if one is None or (not one and (one == () or one == {})):
                continue
            found[written] = shown(one, field if name == "text" and field else name, show)
        return found

    return render


_Render = Callable[[Any, str, Show], Any]
_RENDERERS: Final[dict[type[Any], _Render]] = {}


def event(recorded: Recorded, show: Show = masked) -> dict[str, Any]:
    """Return a recorded event: where it stands, whose hand it was, and its own fields."""
    fields: dict[str, Any] = {}
    found: dict[str, Any] = {
        "position": recorded.position,
        "type": recorded.type,
        "stream": recorded.stream_id,
        "version": recorded.version,
        "recorded_at": instant(recorded.recorded_at),
    }
    event = recorded.event
    for name, written, is_common in _fields(type(event)):
        one = getattr(event, name)
        if one is None or (not one and (one == () or one == {})):
            continue
        into = found if is_common else fields
        into[written] = one if type(one) in _PLAIN else shown(one, name, show)
    found["fields"] = fields
    return found


@cache
def _fields(kind: type[Event]) -> tuple[tuple[str, str, bool], ...]:
    """Return the fields of an event, by name and as written, and whether every event has each."""
    pairs = zip(kind.__struct_fields__, kind.__struct_encode_fields__, strict=True)
    return tuple((name, written, written in COMMON) for name, written in pairs)


def state(kind: str, found: Any, at: Instant, show: Show = masked) -> Any:
    """Return a stream's state as of `at`, its status by the clock; None where it does not exist."""
    if found is None:
        return None
    if kind == "catalogue":
        return _catalogue(found)
    if kind in TEXTLESS:
        whole = msgspec.to_builtins(found, str_keys=True, order="deterministic")
        rendered = {name: one for name, one in whole.items() if one not in _EMPTY}
    else:
        rendered = shown(found, "", show)
    if kind == "policy":
        rendered["status"] = found.status
        for number in found.versions:
            rendered["versions"][str(number)]["status"] = policies.status_at(found, number, at)
        return rendered
    rendered["status"] = _STATUS[kind](found, at)
    return rendered


def state_written(kind: str, found: Any, at: Instant) -> orjson.Fragment:
    """Return what `state` returns as JSON already, for a document that `orjson` writes.

    A state that holds no text is written straight from its struct.
    """
    if found is None or kind not in TEXTLESS or kind == "policy":
        return orjson.Fragment(orjson.dumps(state(kind, found, at)))
    changes: dict[str, Any] = {
        name: UNSET
        for name, one in zip(found.__struct_fields__, astuple(found), strict=True)
        if not one and (one is None or type(one) in _LEFT_OUT)
    }
    changes["status"] = _STATUS[kind](found, at)
    return orjson.Fragment(_ordered.encode(replace(found, **changes)))


_ordered: Final = msgspec.json.Encoder(order="deterministic")
_LEFT_OUT: Final = frozenset({dict, list, set, frozenset})
"""Types whose empty values a state is shown without, as `_EMPTY` says."""

TEXTLESS: Final = frozenset({"grant", "staff", "policy"})
"""Kinds whose states hold no sealed text, and need not be walked value by value."""

_EMPTY: Final[tuple[Any, ...]] = (None, [], {})


def _catalogue(found: catalogue.Catalogue) -> dict[str, Any]:
    """The dimensions and how many points each has; the points have lists of their own."""
    return {
        "status": found.status,
        "dimensions": {
            code: {"names": shown(one.names), "points": sum(map(len, one.shelves))}
            for code, one in found.dimensions.items()
        },
    }


_STATUS: Final[Mapping[str, Callable[[Any, Instant], str]]] = {
    "person": persons.status_at,
    "staff": staff.status_at,
    "customer": customers.status_at,
    "grant": grants.status_at,
}
