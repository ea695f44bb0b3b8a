"""What a bundle is made of, version 1: its manifest, its lines, its limits; see docs/bundle.md."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Annotated, Any, Final

import msgspec
from msgspec import UNSET, Meta, UnsetType

from replay.sources import BatchRow, Head, Model, Reach, Stored, TenantRow

FORMAT: Final = "counterseal.bundle"
VERSION: Final = 1

MANIFEST: Final = "manifest.json"
SEAL: Final = "manifest.sha256"
"""The last part: the SHA-256 of the manifest in hex and a line feed."""
SCHEMAS: Final = "schemas.json"

PART_BYTES: Final = 4 * 1024 * 1024
"""A part is ended once it is so long, unpacked."""
MAX_PART_BYTES: Final = 64 * 1024 * 1024
"""Longest part that is read; one line may make a part longer than `PART_BYTES`."""
MAX_MANIFEST_BYTES: Final = 64 * 1024 * 1024
MAX_PARTS: Final = 60_000
MAX_FILE_BYTES: Final = 0xFFFFFFFF
"""No ZIP64: a longer log is handed out in periods."""
MAX_RATIO: Final = 200
"""Unpacked bytes for each packed one; a log of events is nowhere near it, a bomb beyond."""
MAX_STREAMS: Final = 10_000
"""Chosen records of one bundle."""

Hex32 = Annotated[str, Meta(pattern="^[0-9a-f]{64}$")]
Id = Annotated[str, Meta(pattern="^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$")]
Place = Annotated[int, Meta(ge=1, le=2**63 - 1)]
Count = Annotated[int, Meta(ge=0, le=2**62)]
Small = Annotated[int, Meta(ge=1, le=2**31 - 1)]
Instant = Annotated[datetime, Meta(tz=True)]


class Damaged(Exception):
    """A bundle that is not as it was made: a code, and the place where it shows.

    Codes: `bundle.not_one`, `.version`, `.cut`, `.structure`, `.hash`, `.manifest`, `.part`,
    `.count`, `.size`.
    """

    def __init__(self, code: str, place: str) -> None:
        super().__init__(f"{code}: {place}")
        self.code = code
        self.place = place


class _Strict(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Anything written in a bundle: a field it does not know is an error."""


class EventLine(_Strict, frozen=True, omit_defaults=True):
    """What stands before the tabulator in a line of events; behind it `length` bytes of data.

    `proof` is the audit path (RFC 6962), where the bundle has not the whole batch.
    """

    position: Place
    stream: Id
    version: Small
    type: str
    recorded_at: Instant
    actor: str
    command: Id
    length: Annotated[int, Meta(ge=0, le=MAX_PART_BYTES)]
    on_behalf_of: str | None = None
    causation: Annotated[int, Meta(ge=-(2**63), le=2**63 - 1)] | None = None
    proof: Annotated[tuple[Hex32, ...], Meta(max_length=31)] | UnsetType = UNSET

    def stored(self, data: bytes) -> Stored:
        """Return the event as the log has it."""
        return Stored(
            self.position,
            self.stream,
            self.version,
            self.type,
            self.recorded_at.astimezone(UTC),
            data,
            self.actor,
            self.on_behalf_of,
            self.command,
            self.causation,
        )


class BatchLine(_Strict, frozen=True):
    """A line of batches."""

    first: Place
    count: Small
    recorded_at: Instant
    root: Hex32
    chain: Hex32

    def row(self) -> BatchRow:
        """Return the batch as the log has it."""
        return BatchRow(
            self.first,
            self.count,
            self.recorded_at.astimezone(UTC),
            bytes.fromhex(self.root),
            bytes.fromhex(self.chain),
        )


class RowLine(_Strict, frozen=True):
    """A line of rows: the stream a row follows from, the position of a row that stands for an event
    (else 0), the row.
    """

    owner: Id | None
    position: Count
    row: msgspec.Raw


class TenantPart(_Strict, frozen=True):
    """Whose log it is."""

    id: Id
    name: str
    clock: str

    def row(self) -> TenantRow:
        return TenantRow(self.id, self.name, self.clock)


class HeadPart(_Strict, frozen=True):
    """Where the last batch in the bundle ends; `chain` stands for everything before it."""

    position: Count
    recorded_at: Instant
    chain: Hex32

    def row(self) -> Head:
        return Head(self.position, self.recorded_at.astimezone(UTC), bytes.fromhex(self.chain))


class ReachPart(_Strict, frozen=True):
    """Which events are in it: positions `first` to `last`, of all streams or of those named."""

    first: Place
    last: Count
    streams: tuple[Id, ...] | None

    def reach(self) -> Reach:
        return Reach(
            self.first, self.last, None if self.streams is None else frozenset(self.streams)
        )


class ModelPart(_Strict, frozen=True):
    """A read model whose rows are in it, and the position that they are of."""

    name: str
    generation: int
    fold: int
    position: Count

    def model(self) -> Model:
        return Model(self.name, self.generation, self.fold, self.position)


class Part(_Strict, frozen=True):
    """One entry of the archive: unpacked and packed size and SHA-256, how many lines.

    `first` and `last` are the positions of its first and last event, of events alone.
    """

    name: str
    size: Annotated[int, Meta(ge=0, le=MAX_PART_BYTES)]
    sha256: Hex32
    packed: Annotated[int, Meta(ge=0, le=MAX_FILE_BYTES)]
    packed_sha256: Hex32
    lines: Count
    first: Count = 0
    last: Count = 0

    def place(self) -> str:
        """Return how the part is named where it is not right."""
        if not self.first:
            return self.name
        return f"{self.name} (positions {self.first} to {self.last})"


class Manifest(_Strict, frozen=True):
    """What a bundle says of itself."""

    format: str
    version: int
    made_by: str
    made_at: Instant
    tenant: TenantPart
    head: HeadPart
    reach: ReachPart
    events: Count
    batches: Count
    types: Mapping[str, Count]
    models: tuple[ModelPart, ...]
    rows: Mapping[str, Count]
    quarantined: Mapping[Id, Count]
    parts: tuple[Part, ...]


class Spoken(msgspec.Struct, frozen=True):
    """What any version of the format says first."""

    format: str = ""
    version: int = 0


def decoded(data: bytes) -> Manifest:
    """Return a manifest.

    Raises `Damaged`: `bundle.not_one`, `bundle.version`, `bundle.manifest`.
    """
    try:
        spoken = msgspec.json.decode(data, type=Spoken)
    except msgspec.MsgspecError as fault:
        raise Damaged("bundle.manifest", f"{MANIFEST}: {fault}") from fault
    if spoken.format != FORMAT:
        raise Damaged("bundle.not_one", MANIFEST)
    if spoken.version != VERSION:
        raise Damaged("bundle.version", f"{MANIFEST}: version {spoken.version}")
    try:
        return msgspec.json.decode(data, type=Manifest)
    except msgspec.MsgspecError as fault:
        raise Damaged("bundle.manifest", f"{MANIFEST}: {fault}") from fault


def encoded(manifest: Manifest) -> bytes:
    """Return a manifest as it is written: indented, for people look at it too."""
    return msgspec.json.format(msgspec.json.encode(manifest), indent=1) + b"\n"


def as_line(value: Any) -> bytes:
    """Return a line, with its end."""
    return msgspec.json.encode(value) + b"\n"
