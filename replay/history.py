"""Lines of history from the log alone: one sentence an event, in the words of its moment."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from datetime import datetime
from itertools import chain, islice
from typing import Any, Final, NamedTuple

from domain import catalogue, values
from domain.codec import Undecodable, UnknownEvent
from domain.errors import Impossible
from domain.events import stream_kind
from projections.history_lines import Told, line, named_in, told
from projections.history_lines_names import Book, Language
from projections.history_names import Customer, Grant, Names
from projections.recent import Recent
from replay.folds import State, fold, streams
from replay.sources import Source, Stored

LINES: Final = 200
"""Events whose names are looked up together."""

REMEMBERED: Final = 5_000
"""Streams whose names are kept; beyond them the oldest are looked up again."""


class Line(NamedTuple):
    """An event as it is told; `at` is when it happened, None where it cannot be read."""

    position: int
    at: datetime | None
    recorded_at: datetime
    type: str
    stream_id: str
    line: str


def lines(
    source: Source,
    language: Language,
    *,
    first: int = 1,
    last: int | None = None,
    types: Collection[str] | None = None,
    stream: str | None = None,
) -> Iterator[Line]:
    """Yield the events from one position to another as sentences, of one stream or of all, with
    stored names without their version (`grant.approved`) in `types`, or of all types.

    What things are called is what they were called at the last position. Sealed texts are left out.
    """
    reach = source.reach
    last = reach.last if last is None else last
    events: Iterable[Stored]
    if stream is None:
        events = chain.from_iterable(source.events(max(first, reach.first), last))
    else:
        events = (one for one in source.stream(stream, last) if one.position >= first)
    wanted = (one for one in events if types is None or one.type.rpartition(".")[0] in types)
    names = Called(source, last)
    book = Book(language)
    while page := list(islice(wanted, LINES)):
        tellings = [told(_row(one)) for one in page]
        book = Book(language, names.of(tellings), names.policy)
        for stored, telling in zip(page, tellings, strict=True):
            yield Line(
                stored.position,
                None if telling.event is None else telling.event.at,
                stored.recorded_at,
                stored.type,
                stored.stream_id,
                line(telling, book),
            )


def _row(stored: Stored) -> Mapping[str, Any]:
    return {**stored._asdict(), "stream_kind": stream_kind(stored.type)}


class Called:
    """What the streams of a source were called at a position, each looked up when it is needed."""

    def __init__(self, source: Source, last: int) -> None:
        self._source = source
        self._last = last
        self._states: Recent[tuple[State | None]] = Recent(REMEMBERED)
        self._staff: dict[str, str] | None = None
        self._catalogue: tuple[catalogue.Catalogue | None] | None = None

    def of(self, tellings: Iterable[Told]) -> Names:
        """Return what is named in these events; what is not known is left out."""
        return self.names(*named_in(tellings))

    def names(self, ids: Iterable[str], points: Iterable[tuple[str, str]]) -> Names:
        """Return what these ids and points (dimension, path) are called."""
        found = {one: state for one in sorted(set(ids)) if (state := self._state(one)) is not None}
        kinds: dict[str, dict[str, Any]] = {"staff": {}, "customer": {}, "grant": {}}
        for one, state in found.items():
            if state.kind in kinds:
                kinds[state.kind][one] = state.state
        persons = {one for one, state in found.items() if state.kind == "person"}
        return Names(
            {one: state.number for one, state in kinds["staff"].items()},
            {one: self._numbers()[one] for one in persons if one in self._numbers()},
            {
                one: Customer(state.number, state.title if state.form == "organization" else None)
                for one, state in kinds["customer"].items()
            },
            {
                one: Grant(state.number, state.policy.policy, state.policy.version)
                for one, state in kinds["grant"].items()
            },
            {point: names for point in points if (names := self._point(*point)) is not None},
        )

    def policy(self, stream: str) -> Any:
        """Return a policy's state, None where there is none."""
        found = self._state(stream)
        return found.state if found is not None and found.kind == "policy" else None

    def _state(self, stream: str) -> State | None:
        known = self._states.get(stream)
        if known is None:
            known = (_folded(self._source.stream(stream, self._last)),)
            self._states.put(stream, known)
        return known[0]

    def _numbers(self) -> Mapping[str, str]:
        """Return person -> the number of their staff record."""
        if self._staff is None:
            self._staff = {}
            for _, events in streams(self._source.by_stream(self._last, {"staff"})):
                state = _folded(events)
                if state is not None:
                    self._staff[state.state.person] = state.state.number
        return self._staff

    def dimension(self, dimension: str) -> values.Names | None:
        """Return what a dimension is called, None where there is none."""
        state = self._known_catalogue()
        known = None if state is None else state.dimensions.get(dimension)
        return None if known is None else known.names

    def _known_catalogue(self) -> catalogue.Catalogue | None:
        if self._catalogue is None:
            states = [
                _folded(events)
                for _, events in streams(self._source.by_stream(self._last, {"catalogue"}))
            ]
            self._catalogue = (states[0].state if states and states[0] is not None else None,)
        return self._catalogue[0]

    def _point(self, dimension: str, path: str) -> Mapping[str, str] | None:
        known = self._known_catalogue()
        point = None if known is None else catalogue.find(known, dimension, path)
        return None if point is None else {"zh": point.names.zh, "en": point.names.en}


def _folded(events: Iterable[Stored]) -> State | None:
    """Return a state for its names; of a stream that cannot be folded there are none."""
    try:
        return fold(events)
    except (Impossible, Undecodable, UnknownEvent, KeyError):
        return None
