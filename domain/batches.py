"""What the recorder is handed and hands back: rows as they lie in the log, a batch, its answer."""

from __future__ import annotations

from datetime import datetime
from typing import Any, NamedTuple
from uuid import UUID

from domain import wire
from domain.codec import encode
from domain.events.common import Event
from domain.permission_rows import Placed, closing, opening
from domain.wire import Sent, uuid_bytes


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
        self.folds: bytes | None = None
        self.latest: datetime | None = None
        self.earliest: datetime | None = None
        self.command_ids: list[bytes] = []
        self.callers: list[str] = []
        self.keys: list[str | None] = []
        self.fingerprints: list[bytes] = []
        self.outcomes: list[bytes] = []
        self.keep: list[bool] = []
        self.causations: list[int | None] = []
        self.reads_end: list[int] = []
        self.claims_end: list[int] = []
        self.events_end: list[int] = []
        self.streams: list[bytes] = []
        self.places: dict[str, int] = {}
        self.read_streams: list[int] = []
        self.read_versions: list[int] = []
        self.read_by: list[int] = []
        self.claim_kinds: list[str] = []
        self.claim_hashes: list[bytes] = []
        self.claim_streams: list[bytes] = []
        self.claim_hows: list[str] = []
        self.event_commands: list[int] = []
        self.event_streams: list[int] = []
        self.event_versions: list[int] = []
        self.types: list[str] = []
        self.data: list[bytes] = []
        self.actors: list[str] = []
        self.on_behalf_of: list[str | None] = []
        self.closed: list[Placed] = []
        self.opened: list[Placed] = []
        self.rows: list[bytes] = []
        self.touched: list[str] = []
        self.touched_by: list[int] = []

    def place(self, stream_id: str) -> int:
        """Return the stream's place from 1, given to it at its first mention."""
        place = self.places.get(stream_id)
        if place is None:
            self.streams.append(uuid_bytes(stream_id))
            place = self.places[stream_id] = len(self.streams)
        return place

    def lay(self, number: int, stream_id: str, version: int, event: Event) -> None:
        """Add an event of command `number`."""
        self.event_commands.append(number)
        self.event_streams.append(self.place(stream_id))
        self.event_versions.append(version)
        self.types.append(event.name)
        self.data.append(encode(event))
        self.actors.append(event.by.ref)
        behalf = event.on_behalf_of
        self.on_behalf_of.append(None if behalf is None else behalf.ref)
        if event.imported is None:
            if self.latest is None or event.at > self.latest:
                self.latest = event.at
            if self.earliest is None or event.at < self.earliest:
                self.earliest = event.at

    def answered(self, row: tuple[Any, ...]) -> Answer:
        """Return the answer that `append` gave as a row.

        Where every command was written it leaves the lists out: they lie one behind the other.
        """
        status, first, *rest = row
        if first is not None:
            return Answer(*row)
        position, ends = row[5], self.events_end
        starts = [0, *ends[:-1]]
        before = position - (ends[-1] if ends else 0)
        return Answer(
            status,
            [before + start + 1 for start in starts],
            [end - start for start, end in zip(starts, ends, strict=True)],
            [0] * len(ends),
            [None] * len(ends),
            *rest[3:],
        )

    def sent(self, tenant: bytes) -> tuple[Sent, ...]:
        """Return the arguments of `append` in its order, as they go over the wire."""
        return (
            wire.uuid(tenant),
            wire.json(self.folds),
            wire.instant(self.latest),
            wire.instant(self.earliest),
            wire.uuids(self.command_ids),
            wire.words(self.callers),
            wire.texts(self.keys),
            wire.byteas(self.fingerprints),
            wire.byteas(self.outcomes),
            wire.booleans(self.keep),
            wire.longs(self.causations),
            wire.integers(self.reads_end),
            wire.integers(self.claims_end),
            wire.integers(self.events_end),
            wire.uuids(self.streams),
            wire.integers(self.read_streams),
            wire.integers(self.read_versions),
            wire.integers(self.read_by),
            wire.words(self.claim_kinds),
            wire.byteas(self.claim_hashes),
            wire.uuids(self.claim_streams),
            wire.integers(self.event_commands),
            wire.integers(self.event_streams),
            wire.integers(self.event_versions),
            wire.words(self.types),
            wire.words(self.actors),
            wire.words(self.on_behalf_of),
            wire.byteas(self.data),
            wire.json(b"[" + b",".join(self.rows) + b"]" if self.rows else None),
            wire.texts(self.touched),
            wire.integers(self.touched_by),
            *closing(self.closed),
            *opening(self.opened),
            wire.words(self.claim_hows),
        )
