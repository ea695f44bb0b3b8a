"""Folds a page of events once for all read models: states, rows, hands, what cannot be applied."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from contextlib import suppress
from datetime import datetime
from typing import Any, LiteralString, NamedTuple
from uuid import UUID

import msgspec
import psycopg
from psycopg.rows import TupleRow

from domain.codec import Undecodable, UnknownEvent, decode
from domain.errors import Impossible
from domain.events import Event, stream_kind
from domain.streams import evolve
from projections import courses, duties, history
from projections.courses import Course
from projections.models import SERIES_MODELS, STREAM_MODELS
from projections.recent import Recent
from projections.store import Page, Quarantine

Conn = psycopg.Connection[TupleRow]

log = logging.getLogger("counterseal.runner")

_MODEL_OF = {model.kind: model for model in STREAM_MODELS}

_STREAMS: LiteralString = (
    "SELECT position, stream_id::text, version, type, recorded_at, data"
    " FROM read_streams(%b, %b::uuid[], %b::integer[]) WHERE position <= %b::bigint"
)
EVENTS: LiteralString = (
    "SELECT position, stream_id::text, version, type, recorded_at, data, actor, on_behalf_of,"
    " command_id::text, causation"
    " FROM read_events(%b, %b::bigint, %b::bigint, %b::integer)"
)
"""A page of a tenant's log as `Stored` (tenant, from, to, limit)."""

_QUARANTINED: LiteralString = (
    "SELECT stream_id::text, position FROM quarantined"
    " WHERE tenant_id = %b AND code <> 'table.differs'"  # which stops nobody who follows the log
)


class NewerEvent(Exception):
    """The log has an event of a newer release: this worker must stop, and nothing is skipped."""

    def __init__(self, tenant: str, position: int, name: str) -> None:
        super().__init__(
            f"position {position} of tenant {tenant} is a {name}, which this release does not know;"
            " start the newer release"
        )
        self.tenant = tenant
        self.position = position
        self.name = name

    def __reduce__(self) -> tuple[type[NewerEvent], tuple[str, int, str]]:
        """A worker's process hands it to the one that began it."""
        return NewerEvent, (self.tenant, self.position, self.name)


class Stored(NamedTuple):
    """An event as it lies in the log."""

    position: int
    stream_id: str
    version: int
    type: str
    recorded_at: datetime
    data: bytes
    actor: str = ""
    on_behalf_of: str | None = None
    command_id: str = ""
    causation: int | None = None


class Folded(NamedTuple):
    """A stream's state, its course, and the version they are of."""

    version: int
    state: Any
    course: Course = Course()


class _Act(msgspec.Struct):
    """When an event happened, and nothing else of it."""

    at: datetime


class Horizon(NamedTuple):
    """How far a fold of the past looks: acts at or before `happened`, None for all of them."""

    happened: datetime | None = None

    def sees(self, data: bytes) -> bool:
        """Tell whether an event, by its stored bytes, is one of them; what cannot be read is."""
        if self.happened is None:
            return True
        try:
            return _act.decode(data).at <= self.happened
        except msgspec.DecodeError:
            return True


_act = msgspec.json.Decoder(_Act)


class Fold:
    """Folds one page of one tenant's events; with a `horizon` a page of the past."""

    def __init__(
        self,
        conn: Conn,
        tenant: str,
        start: int,
        states: Recent[Folded],
        horizon: Horizon | None = None,
    ) -> None:
        self._conn = conn
        self._tenant = tenant
        self._start = start
        self._past = horizon is not None
        self._sees = (horizon or Horizon()).sees
        self._remembered = states
        self._states: dict[str, Folded] = {}
        self._quarantined: dict[str, int] = {}
        self._page = Page()

    def page(self, events: Sequence[Stored]) -> Page:
        """Return what the events amount to; ends before an event of a newer release.

        Raises `NewerEvent` where it is the first one.
        """
        page = self._page
        cursor = self._conn.cursor(binary=True).execute(_QUARANTINED, (UUID(self._tenant),))
        self._quarantined = dict(cursor.fetchall())
        seen = [stored for stored in events if self._sees(stored.data)]
        self._load(seen)
        touched: dict[str, Stored] = {}
        for stored in seen:
            since, event = self._quarantined.get(stored.stream_id), None
            if since is None or stored.position < since:
                try:
                    event = self._apply(stored)
                    if event is not None:
                        touched[stored.stream_id] = stored
                except UnknownEvent as fault:
                    if page.position:
                        break
                    raise NewerEvent(self._tenant, stored.position, fault.name) from fault
            self._tell(stored, event or decoded(stored))
            page.position = stored.position
        else:
            page.position = events[-1].position
        for stored in touched.values():
            self._row(stored)
        return page

    def refused(self, stored: Stored, fault: Exception) -> Page:
        """Return the page of one event that the database does not take: a quarantine."""
        model = _MODEL_OF.get(stream_kind(stored.type))
        self._quarantine(stored, duties.NAME if model is None else model.name, fault)
        self._tell(stored, None)
        self._page.position = stored.position
        return self._page

    def remember(self) -> None:
        """Keep the states for the next page; to be called once the page is committed."""
        for stream_id, folded in self._states.items():
            self._remembered.put(self._tenant + stream_id, folded)

    def _load(self, events: Sequence[Stored]) -> None:
        """Bring the streams of the page that are older than it to where the page begins."""
        wanted: dict[str, int] = {}
        for stored in events:
            if stored.stream_id in self._states or stored.stream_id in wanted:
                continue
            known = self._remembered.get(self._tenant + stored.stream_id)
            if known is None or known.version >= stored.version:
                known = Folded(0, None)
            self._states[stored.stream_id] = known
            if known.version != stored.version - 1:
                wanted[stored.stream_id] = known.version
        if not wanted:
            return
        ids = [UUID(stream_id) for stream_id in wanted]
        parameters = (UUID(self._tenant), ids, list(wanted.values()), self._start)
        for row in self._conn.cursor(binary=True).execute(_STREAMS, parameters):
            stored = Stored(*row)
            if not self._sees(stored.data):
                continue
            since = self._quarantined.get(stored.stream_id)
            if since is None or stored.position < since:
                try:
                    self._evolve(stored)
                except UnknownEvent as fault:
                    raise NewerEvent(self._tenant, stored.position, fault.name) from fault

    def _apply(self, stored: Stored) -> Event | None:
        """Fold one event and take its hands; return it, or None where its stream is stopped."""
        before = self._states[stored.stream_id].state
        event = self._evolve(stored)
        if event is None:
            return None
        after = self._states[stored.stream_id].state
        try:
            found = duties.hands(stored.stream_id, stored.position, event, before, after)
        except Exception as fault:  # noqa: BLE001  (as in `_evolve`)
            self._quarantine(stored, duties.NAME, fault)
            return None
        if found is not None:
            self._page.add(found)
        return event

    def _evolve(self, stored: Stored) -> Event | None:
        """Fold one event, or put its stream into quarantine and return None.

        Raises `UnknownEvent`.
        """
        before = self._states[stored.stream_id]
        kind = stream_kind(stored.type)
        try:
            event = decode(stored.type, stored.data)
            after = evolve(kind, before.state, event)
            course = courses.step(before.course, event, after)
        except UnknownEvent:
            raise
        except Exception as fault:  # noqa: BLE001  (whatever it is: this stream stops, others go on)
            model = _MODEL_OF.get(kind)
            self._quarantine(stored, kind if model is None else model.name, fault)
            return None
        self._states[stored.stream_id] = Folded(stored.version, after, course)
        return event

    def _tell(self, stored: Stored, event: Event | None) -> None:
        """Make the row of history, also of an event whose stream is in quarantine: what happened
        is to be seen, whatever follows from it. Of what is no event it has the place alone.
        """
        place = history.Place(
            stored.position,
            stored.stream_id,
            stored.version,
            stored.type,
            stored.recorded_at,
            stored.actor,
            stored.on_behalf_of,
            stored.command_id,
            stored.causation,
        )
        folded = self._states.get(stored.stream_id)
        self._page.tell(history.row(place, event, None if folded is None else folded.state))

    def _row(self, stored: Stored) -> None:
        """Make the rows of a stream's last state."""
        kind = stream_kind(stored.type)
        model = _MODEL_OF.get(kind)
        if model is None:
            return
        folded = self._states[stored.stream_id]
        try:
            values = model.row(folded.state)
            series = {
                one.name: one.rows(stored.stream_id, folded.course, folded.state)
                for one in SERIES_MODELS
                if kind in one.kinds
            }
        except Exception as fault:  # noqa: BLE001  (as in `_evolve`)
            self._quarantine(stored, model.name, fault)
            return
        self._page.rows[model.name][stored.stream_id] = {
            model.key: stored.stream_id,
            "version": folded.version,
            "position": stored.position,
            "recorded_at": stored.recorded_at,
            **values,
        }
        for name, rows in series.items():
            self._page.series[name][stored.stream_id] = rows

    def _quarantine(self, stored: Stored, projection: str, fault: Exception) -> None:
        code = code_of(fault)
        log.log(
            logging.INFO if self._past else logging.ERROR,
            "stream %s is in quarantine from position %d: %s (%s)",
            stored.stream_id,
            stored.position,
            code,
            type(fault).__name__,
        )
        self._quarantined[stored.stream_id] = stored.position
        found = Quarantine(stored.stream_id, stored.position, projection, code)
        self._page.quarantined.append(found)


def code_of(fault: Exception) -> str:
    """Return what is said of an event that could not be applied."""
    match fault:
        case Impossible():
            return "event.impossible"
        case Undecodable():
            return "event.undecodable"
        case _:
            return "event.not_applied"


def decoded(stored: Stored) -> Event | None:
    """Return an event that is not folded, None where its bytes are none."""
    with suppress(UnknownEvent, Undecodable):
        return decode(stored.type, stored.data)
    return None
