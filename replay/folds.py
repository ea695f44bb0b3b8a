"""Stored events folded to states: one stream, or every stream at once in memory."""

from __future__ import annotations

import gc
from collections.abc import Generator, Iterable, Iterator
from contextlib import contextmanager
from datetime import datetime
from typing import Any, NamedTuple

from domain.codec import decode
from domain.events import Event, stream_kind
from domain.streams import EVOLVE, evolve
from projections import courses
from projections.courses import Course
from replay.sources import Source, Stored


class State(NamedTuple):
    """A stream as folded: its kind, its last version and position, and what the fold made of it."""

    stream_id: str
    kind: str
    version: int
    position: int
    recorded_at: datetime
    state: Any
    course: Course


@contextmanager
def without_collector() -> Generator[None]:
    """Keep the cycle collector from looking through states that have no cycles, again and again:
    half of the time of a fold. What is dropped is freed all the same.
    """
    running = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if running:
            gc.enable()


def states(source: Source, last: int | None = None) -> dict[str, tuple[str, int, Any]]:
    """Return stream -> (kind, version, state) of every stream up to a position, in memory.

    Raises `UnknownEvent`, `Undecodable`, `Impossible`, `KeyError` for a kind of stream there is
    none of.
    """
    found: dict[str, tuple[str, int, Any]] = {}
    known = found.get
    with without_collector():
        for page in source.briefs(last):
            for _, stream, version, stored_name, data in page:
                before = known(stream)
                kind = stored_name.partition(".")[0]
                state = None if before is None else before[2]
                found[stream] = (kind, version, EVOLVE[kind](state, decode(stored_name, data)))
    return found


def fold(events: Iterable[Stored], happened: datetime | None = None) -> State | None:
    """Return the state of one stream from its events, oldest first, None of no events.

    `happened` leaves out acts that took place after that instant. Raises as `states`.
    """
    found: State | None = None
    for stored in events:
        event = decode(stored.type, stored.data)
        if happened is None or event.at <= happened:
            found = step(found, stored, event)
    return found


def step(before: State | None, stored: Stored, event: Event) -> State:
    """Return the state after one event."""
    kind = stream_kind(stored.type)
    after = evolve(kind, None if before is None else before.state, event)
    course = courses.step(Course() if before is None else before.course, event, after)
    return State(
        stored.stream_id, kind, stored.version, stored.position, stored.recorded_at, after, course
    )


def streams(pages: Iterable[Iterable[Stored]]) -> Iterator[tuple[str, Iterator[Stored]]]:
    """Yield each stream with its events, from pages ordered by stream; each is to be used up before
    the next one is asked for.
    """
    flat = (stored for page in pages for stored in page)
    stored = next(flat, None)
    while stored is not None:
        stream = stored.stream_id
        left: list[Stored | None] = [stored]

        def own(stream: str = stream, left: list[Stored | None] = left) -> Iterator[Stored]:
            while (one := left[0]) is not None and one.stream_id == stream:
                yield one
                left[0] = next(flat, None)

        events = own()
        yield stream, events
        for _ in events:
            pass
        stored = left[0]
