"""What people did before the ledger existed, taken over as facts: ready events, stream by stream.

This is the only way past the verbs, and so it is narrow: the importer alone, marked facts alone,
nothing that has yet to happen, and never onto a history that is already there.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final, final

import msgspec

from domain.catalogue import Catalogue, find
from domain.commands.widening import reserve_imported
from domain.errors import Refused
from domain.events.catalogue import DimensionDeclared, PointAdded
from domain.events.common import Event
from domain.grants import Grant
from domain.values import Party
from domain.view import Claim, Command, View

IMPORTER: Final = Party("service:import")
"""Whoever runs an import; also the hand of what it infers, since no person's is known."""

MAX_EVENTS: Final = 20_000
"""Most events one command takes over."""


@final
class Facts(msgspec.Struct, frozen=True, gc=False):
    """Events for one stream, and what it claims.

    `if_absent`: left out where the stream exists already; of a catalogue's events those whose
    dimension or point exists already. `free`: of a grant, that it is refused where another has its
    place in an exclusive kind; history is taken over as it was, overlapping or not."""

    kind: str
    stream_id: str
    events: tuple[Event, ...]
    claims: tuple[Claim, ...] = ()
    if_absent: bool = False
    free: bool = False


@final
class RecordImported(Command, frozen=True, kw_only=True):
    """Take over facts; the last stream is the one it is about."""

    facts: tuple[Facts, ...]

    @property
    def kind(self) -> str:
        return self.facts[-1].kind

    @property
    def stream_id(self) -> str:
        return self.facts[-1].stream_id

    def hints(self) -> tuple[tuple[str, str], ...]:
        return tuple((one.kind, one.stream_id) for one in self.facts)

    def decide(self, view: View) -> None:
        """Raises `Refused`: `import.not_importer`, `import.too_many_events`,
        `import.not_a_fact` (an event without its source), `import.not_yet` (one later than now),
        `import.stream_exists`, `grant.exclusive_overlap`."""
        if view.by != IMPORTER:
            raise Refused("import.not_importer", party=view.by.ref)
        if sum(len(one.events) for one in self.facts) > MAX_EVENTS:
            raise Refused("import.too_many_events", limit=MAX_EVENTS)
        for one in self.facts:
            for event in one.events:
                if event.imported is None:
                    raise Refused("import.not_a_fact", event=event.name)
                if event.at > view.at:
                    raise Refused("import.not_yet", event=event.name, at=event.at)
            self._take(view, one)

    def _take(self, view: View, one: Facts) -> None:
        version, state = view.look(one.kind, one.stream_id)
        events = one.events
        if one.kind == "catalogue":
            events = tuple(_missing(state, one.events))
        elif version > 0:
            if not one.if_absent:
                raise Refused("import.stream_exists", kind=one.kind, stream=one.stream_id)
            return
        after = view.record(one.kind, one.stream_id, events)
        if isinstance(after, Grant):
            reserve_imported(view, one.stream_id, after, free=one.free)
        for claim in one.claims:
            view.claim(*claim)


def _missing(catalogue: Catalogue | None, events: tuple[Event, ...]) -> Iterator[Event]:
    """Yield the declarations and points that the catalogue does not have, ended ones included."""
    known = catalogue or Catalogue()
    for event in events:
        match event:
            case DimensionDeclared(dimension=dimension):
                there = dimension in known.dimensions
            case PointAdded(dimension=dimension, path=path):
                there = find(known, dimension, path) is not None
            case _:
                raise Refused("import.not_a_fact", event=event.name)
        if not there:
            yield event
