"""Where an auditor reads a log: one protocol, met by the database and by a bundle alike."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Final, NamedTuple, Protocol
from uuid import UUID

from projections.folding import Stored
from projections.tables import Table

__all__ = [
    "BatchRow",
    "Brief",
    "Head",
    "Model",
    "Reach",
    "Source",
    "Stored",
    "Table",
    "TenantRow",
]

BEGINNING: Final = datetime.min.replace(tzinfo=UTC)
"""When nothing was known yet."""

PAGE: Final = 2_000
"""Events read at once: what flat memory is made of."""

Brief = tuple[int, str, int, str, bytes]
"""Position, stream, version, type, data: what folding needs of an event, and no more."""


class TenantRow(NamedTuple):
    """Whose log it is; `clock` is `system` or `given`."""

    id: str
    name: str
    clock: str


class Head(NamedTuple):
    """The head row: how far the log says it goes."""

    position: int
    recorded_at: datetime
    chain: bytes


class BatchRow(NamedTuple):
    """One row of `batches`: what an append wrote, and its hashes."""

    first_position: int
    count_: int
    recorded_at: datetime
    root: bytes
    chain: bytes

    @property
    def last_position(self) -> int:
        return self.first_position + self.count_ - 1


class Reach(NamedTuple):
    """Which events a source has: positions `first` to `last`, of all streams or of some."""

    first: int
    last: int
    streams: frozenset[str] | None = None

    @property
    def whole(self) -> bool:
        """Whether every stream is here from its beginning, so that anything can be folded."""
        return self.first == 1 and self.streams is None


class Model(NamedTuple):
    """The live generation of a read model, its fold version, and the position its rows are of."""

    name: str
    generation: int
    fold: int
    position: int


def silent(_: int) -> None:
    """Tell nobody."""


class Source(Protocol):
    """One tenant's log at one moment, and its read models where they are at hand.

    Everything read from one source agrees. Events come in pages of at most `PAGE`, so that memory
    stays flat; `last` stands for the source's own last position where it is None.
    """

    tell: Callable[[int], None]
    """Called with the number of events of each page that is given: for who shows progress."""

    @property
    def tenant(self) -> TenantRow: ...

    @property
    def head(self) -> Head: ...

    @property
    def reach(self) -> Reach: ...

    def batches(self) -> Iterator[BatchRow]:
        """Yield the batches in order, from the first of the log on."""
        ...

    def events(
        self, first: int = 1, last: int | None = None, types: Collection[str] | None = None
    ) -> Iterator[Sequence[Stored]]:
        """Yield events in the order of the log, `first` to `last`, of some stored names or all."""
        ...

    def briefs(self, last: int | None = None) -> Iterator[Sequence[Brief]]:
        """Yield all events in the order of the log, with what folding needs alone: the fast way."""
        ...

    def by_stream(
        self, last: int | None = None, kinds: Collection[str] | None = None
    ) -> Iterator[Sequence[Stored]]:
        """Yield events stream by stream, oldest first, of some stream kinds or all; a page may end
        within a stream.
        """
        ...

    def stream(self, stream_id: str, last: int | None = None) -> Sequence[Stored]:
        """Return one stream's events, none where there is no such stream."""
        ...

    def proof(self, position: int) -> Sequence[bytes] | None:
        """Return the audit path of an event in its batch (RFC 6962), None where there is none: a
        source needs it for batches only that it does not have whole.
        """
        ...

    def position_at(self, instant: datetime) -> int:
        """Return the last position recorded at or before an instant, 0 where there is none."""
        ...

    def recorded_at(self, position: int) -> datetime:
        """Return when a position was recorded; before the first one it is the beginning of time."""
        ...

    def models(self) -> Mapping[str, Model]:
        """Return the read models at hand by name; a bundle may have none."""
        ...

    def quarantined(self) -> Mapping[str, int]:
        """Return the streams in quarantine, and from which position on."""
        ...

    def owned(self, table: Table) -> Iterator[tuple[UUID | None, int, str]]:
        """Yield the live rows of a table in the order of the streams that they follow from: that
        stream, the position of a row that stands for an event (else 0), the row as JSON. Raises
        `KeyError` where the source does not have the model.
        """
        ...
