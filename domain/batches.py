"""What the recorder is handed and hands back: rows as they lie in the log, a batch, its answer."""

from __future__ import annotations

from datetime import datetime
from typing import NamedTuple
from uuid import UUID

from domain.events.common import Event


class StoredRow(NamedTuple):
    """One row of `events` as it lies there."""

    position: int
    stream_id: UUID
    version: int
    type: str
    recorded_at: datetime
    actor: str
    on_behalf_of: str | None
    command_id: UUID
    causation: int | None
    data: bytes


class StreamRow(NamedTuple):
    """What folding a stream needs of an event."""

    stream_id: UUID
    version: int
    position: int
    type: str
    recorded_at: datetime
    command_id: UUID
    data: bytes


class Tail(NamedTuple):
    """The head of a log, and the keys of the inline rows touched after a position."""

    position: int
    recorded_at: datetime
    clock: str
    touched: list[str]


class Answer(NamedTuple):
    """What `append` says of a batch; one entry a command in `status`, `first`, `counts`, `moved`,
    `outcome`."""

    status: str
    first: list[int | None]
    counts: list[int]
    moved: list[int]
    outcome: list[bytes | None]
    position: int
    recorded_at: datetime
    skewed: bool | None
    clock: datetime


class Batch:
    """The arguments of one `append`: flat arrays, a command's slice ending where its `c_*` column
    says."""

    def __init__(self) -> None:
        self.folds: str | None = None
        self.latest: datetime | None = None
        self.earliest: datetime | None = None
        self.command_ids: list[UUID] = []
        self.callers: list[str] = []
        self.keys: list[str | None] = []
        self.fingerprints: list[bytes] = []
        self.outcomes: list[bytes] = []
        self.keep: list[bool] = []
        self.causations: list[int | None] = []
        self.reads_end: list[int] = []
        self.claims_end: list[int] = []
        self.events_end: list[int] = []
        self.streams: list[UUID] = []
        self.places: dict[str, int] = {}
        self.read_streams: list[int] = []
        self.read_versions: list[int] = []
        self.read_by: list[int] = []
        self.claim_kinds: list[str] = []
        self.claim_hashes: list[bytes] = []
        self.claim_streams: list[UUID] = []
        self.event_commands: list[int] = []
        self.event_streams: list[int] = []
        self.event_versions: list[int] = []
        self.actors: list[str] = []
        self.on_behalf_of: list[str | None] = []
        self.rows: str | None = None
        self.touched: list[str] = []
        self.touched_by: list[int] = []
        self.answer: Answer | None = None

    def place(self, stream_id: str) -> int:
        """Return the stream's place from 1, given to it at its first mention."""
        place = self.places.get(stream_id)
        if place is None:
            self.streams.append(UUID(stream_id))
            place = self.places[stream_id] = len(self.streams)
        return place

    def lay(self, number: int, stream_id: str, version: int, event: Event) -> UUID:
        """Add an event of command `number`; return its stream's id."""
        place = self.place(stream_id)
        self.event_commands.append(number)
        self.event_streams.append(place)
        self.event_versions.append(version)
        self.actors.append(event.by.ref)
        behalf = event.on_behalf_of
        self.on_behalf_of.append(None if behalf is None else behalf.ref)
        if event.imported is None:
            if self.latest is None or event.at > self.latest:
                self.latest = event.at
            if self.earliest is None or event.at < self.earliest:
                self.earliest = event.at
        return self.streams[place - 1]
