"""What stood at a past moment: rows by what was known, what was in force, what had happened."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from datetime import datetime
from typing import Any, Final, NamedTuple

from domain import customers, grants, persons, policies, staff
from domain.codec import UnknownEvent, decode
from domain.events import stream_kind
from domain.values import Instant
from projections.folding import Horizon, NewerEvent, code_of
from projections.models import STREAM_MODELS
from projections.refolding import KINDS, Refold
from projections.store import Quarantine
from projections.tables import TABLES, Table
from replay.comparable import as_written
from replay.folds import State, step, streams, without_collector
from replay.sources import Source, Stored

NUMBERED: Final[Mapping[str, str]] = {
    "grant": "grant.requested.1",
    "customer": "customer.registered.1",
    "staff": "staff.appointed.1",
}
"""Kind of record -> the event that gives it its number."""

_STREAM_MODELS: Final = {model.name: model for model in STREAM_MODELS}
_STATUS: Final[Mapping[str, Callable[[Any, Instant], str]]] = {
    "grant": grants.status_at,
    "customer": customers.status_at,
    "staff": staff.status_at,
    "person": persons.status_at,
}


class OutOfReach(Exception):
    """The source has not what the question needs; `code` says what is missing."""

    def __init__(self, code: str, **params: Any) -> None:
        super().__init__(code)
        self.code = code
        self.params = params


class Moment(NamedTuple):
    """A moment asked about: the log up to `position`, recorded at `recorded_at`; statuses and terms
    at `valid`; acts at or before `happened` alone, where it is given.
    """

    position: int
    recorded_at: datetime
    valid: datetime
    happened: datetime | None


def moment(
    source: Source,
    known: int | datetime | None,
    valid: datetime | None,
    happened: datetime | None,
) -> Moment:
    """Return the moment of a question. `known` is a position, an instant or the end of the source;
    `valid` is `happened` where that alone is said, else the instant at which `known` was recorded.

    Raises `OutOfReach`: `position.beyond`, `position.before`.
    """
    reach = source.reach
    if isinstance(known, datetime):
        position = min(source.position_at(known), reach.last)
    else:
        position = reach.last if known is None else known
    if position > reach.last:
        raise OutOfReach("position.beyond", position=position, last=reach.last)
    if position < reach.first and reach.last:
        raise OutOfReach("position.before", position=position, first=reach.first)
    recorded_at = source.recorded_at(position)
    return Moment(position, recorded_at, valid or happened or recorded_at, happened)


def rows(
    source: Source,
    at: Moment,
    table: str,
    only: Collection[str] | None = None,
    faults: list[Quarantine] | None = None,
) -> Iterator[dict[str, Any]]:
    """Yield the rows of a table as of a moment, JSON-able, in the order of their streams.

    Folded from the events alone, one stream in memory at a time. `only` are the streams looked at,
    None for all. Rows with a time of knowledge are those held at the position. A stream that cannot
    be folded to its end is added to `faults`. Raises `OutOfReach` `source.partial`, `NewerEvent`,
    `KeyError` for a table there is none of.
    """
    known = TABLES[table]
    pages = _pages(source, at.position, KINDS[known.projection], only)
    sees = Horizon(at.happened).sees
    seen = ([stored for stored in page if sees(stored.data)] for page in pages)
    with without_collector():
        if table in _STREAM_MODELS:
            yield from _states(source.tenant.id, table, at, seen, faults)
        else:
            yield from _refolded(source.tenant.id, known, at, seen, faults)


def _pages(
    source: Source, last: int, kinds: Collection[str], only: Collection[str] | None
) -> Iterator[Iterable[Stored]]:
    if only is None:
        if not source.reach.whole:
            raise OutOfReach("source.partial")
        yield from source.by_stream(last, kinds)
        return
    for stream in sorted(only):
        events = source.stream(stream, last)
        if not events or events[0].version != 1:
            raise OutOfReach("source.partial" if events else "stream.unknown", stream=stream)
        yield events


def _states(
    tenant: str,
    table: str,
    at: Moment,
    pages: Iterable[Iterable[Stored]],
    faults: list[Quarantine] | None,
) -> Iterator[dict[str, Any]]:
    model = _STREAM_MODELS[table]
    for stream, events in streams(pages):
        found = _state(tenant, table, events, faults)
        if found is None or found.kind != model.kind:
            continue
        row = {
            model.key: stream,
            "version": found.version,
            "position": found.position,
            "recorded_at": found.recorded_at,
            **model.row(found.state),
        }
        [written] = as_written([row])
        if found.kind == "policy":
            for one in written["versions"]:
                one["status"] = policies.status_at(found.state, one["number"], at.valid)
        else:
            written["status"] = _STATUS[found.kind](found.state, at.valid)
        yield written


def _state(
    tenant: str, table: str, events: Iterable[Stored], faults: list[Quarantine] | None
) -> State | None:
    """Return a stream's state, or that before the event which cannot be applied."""
    found: State | None = None
    for stored in events:
        try:
            found = step(found, stored, decode(stored.type, stored.data))
        except UnknownEvent as fault:
            raise NewerEvent(tenant, stored.position, fault.name) from fault
        except Exception as fault:  # noqa: BLE001  (whatever it is: told, and the others go on)
            if faults is not None:
                faults.append(Quarantine(stored.stream_id, stored.position, table, code_of(fault)))
            break
    return found


def _refolded(
    tenant: str,
    table: Table,
    at: Moment,
    pages: Iterable[Iterable[Stored]],
    faults: list[Quarantine] | None,
) -> Iterator[dict[str, Any]]:
    refold = Refold(tenant, {table.projection: at.position})
    for stream, events in streams(pages):
        first = next(events, None)
        if first is None:
            continue
        refold.begin(stream, stream_kind(first.type))
        refold.add(first)
        for stored in events:
            refold.add(stored)
        refold.end()
        found = refold.rows.pop(table.name, ())
        refold.rows.clear()
        yield from (row for row in as_written(found) if _held(table, row))
    if faults is not None:
        faults += refold.faults


def _held(table: Table, row: Mapping[str, Any]) -> bool:
    """Whether a row is held at the position: it was not closed by then."""
    return "known_to" not in table.columns or row.get("known_to") is None


def in_force(row: Mapping[str, Any], at: datetime) -> bool:
    """Return whether a row with a time of its own (`valid_from`, `valid_to`) holds at an instant;
    one without always does.
    """
    begin, end = row.get("valid_from"), row.get("valid_to")
    return (not begin or begin == "-infinity" or datetime.fromisoformat(begin) <= at) and (
        not end or end == "infinity" or at < datetime.fromisoformat(end)
    )


def located(source: Source, kind: str, number: str, last: int | None = None) -> str | None:
    """Return the stream of a grant, customer or staff member by its number, None for no such one.

    The log is looked through for the event that gave the number; no read model is asked.
    """
    for page in source.events(source.reach.first, last or source.reach.last, {NUMBERED[kind]}):
        for stored in page:
            if getattr(decode(stored.type, stored.data), "number", None) == number:
                return stored.stream_id
    return None
