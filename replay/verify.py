"""Whether a log is whole: positions, versions, times, hashes and chain, and every event folds."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from itertools import islice
from typing import Any, Final

import msgspec

from domain.codec import Undecodable, UnknownEvent, decode
from domain.errors import Impossible
from domain.events import Event, stream_kind
from domain.streams import EVOLVE, evolve
from replay import reader
from replay.folds import streams, without_collector
from replay.hashes import GENESIS, LONGEST_PATH, chain, climbed, leaf, root
from replay.sources import BatchRow, Source, Stored


class Finding(msgspec.Struct, frozen=True):
    """One thing that is not as it must be; `position` is the place in the log, or None."""

    code: str
    position: int | None
    detail: str


class Verdict(msgspec.Struct, frozen=True):
    """How much was looked at, and what was found; without findings the log is whole."""

    events: int
    batches: int
    position: int
    findings: tuple[Finding, ...]


MAX_FINDINGS: Final = 1_000
"""More are not listed: the log is beyond naming places."""


def verify(url: str, tenant: str) -> Verdict:
    """Read a tenant's whole log from the database, in one snapshot; see `verified`.

    Raises `LookupError` for an unknown tenant.
    """
    with reader.opened(url, tenant) as source:
        return verified(source)


def verified(source: Source, against: Source | None = None) -> Verdict:
    """Return what is wrong with a log, and with another one that should be its beginning.

    Codes: `log.position_missing`, `log.position_extra`, `log.count`, `log.hash`, `log.chain`,
    `log.time`, `log.head`, `log.proof`, `log.cut`, `log.rewritten`, `log.other_tenant`,
    `stream.version`, `stream.kind`, `event.actor`, `event.unknown`, `event.undecodable`,
    `event.impossible`. At most `MAX_FINDINGS` of the log, of its streams, and against the other.
    """
    log = _Log(source)
    found = list(islice(log.walk(), MAX_FINDINGS))
    with without_collector():
        found += islice(_fold(source), MAX_FINDINGS)
    if against is not None:
        found += islice(_against(source, against), MAX_FINDINGS)
    return Verdict(log.events, log.batches, source.head.position, tuple(found))


class _Log:
    """The walk along batches and their events, in position order."""

    def __init__(self, source: Source) -> None:
        self.events = 0
        self.batches = 0
        self._source = source
        self._reach = source.reach
        self._tenant = bytes.fromhex(source.tenant.id.replace("-", ""))
        self._position = 0
        self._chain = GENESIS
        self._last: datetime | None = None
        self._rows: Iterator[Stored] = iter(())
        self._next: Stored | None = None

    def walk(self) -> Iterator[Finding]:
        self._rows = (stored for page in self._source.events() for stored in page)
        self._next = next(self._rows, None)
        for batch in self._source.batches():
            self.batches += 1
            yield from self._place(batch)
            yield from self._batch(batch)
            if chain(self._chain, batch.root, batch.recorded_at) != batch.chain:
                yield Finding(
                    "log.chain",
                    batch.first_position,
                    "root, instant or the chain before was changed",
                )
            self._chain = batch.chain
            self._last = batch.recorded_at
            self._position = batch.last_position
        while self._next is not None:
            yield Finding("log.position_extra", self._next.position, "beyond every batch")
            self._take()
        head = self._source.head
        if (head.position, head.chain) != (self._position, self._chain):
            yield Finding("log.head", head.position, f"the last batch ends at {self._position}")
        elif self._last is not None and head.recorded_at != self._last:
            yield Finding("log.head", head.position, "another instant than the last batch's")

    def _place(self, batch: BatchRow) -> Iterator[Finding]:
        """Whether a batch stands where it must: behind the one before, later than it."""
        first, after = batch.first_position, self._position + 1
        if first > after:
            detail = f"no batch holds positions {after} to {first - 1}"
            yield Finding("log.position_missing", after, detail)
        if first < after:
            yield Finding("log.count", first, f"the batch before reaches to {self._position}")
        if batch.count_ < 1:
            yield Finding("log.count", first, f"a batch of {batch.count_} events")
        if self._last is not None and batch.recorded_at <= self._last:
            yield Finding("log.time", first, "not later than the batch before")

    def _batch(self, batch: BatchRow) -> Iterator[Finding]:
        """Whether the events of a batch are there, and are those that were written."""
        first, last = batch.first_position, batch.last_position
        leaves: list[bytes] = []
        places: list[int] = []
        expected = max(first, self._reach.first)
        while self._next is not None and self._next.position <= last:
            row = self._next
            self._take()
            self.events += 1
            if row.position < expected:
                yield Finding("log.position_extra", row.position, "between two batches, or twice")
                continue
            yield from self._missing(expected, row.position)
            if row.recorded_at != batch.recorded_at:
                yield Finding("log.time", row.position, "another instant than its batch's")
            leaves.append(leaf(self._tenant, row))
            places.append(row.position)
            expected = row.position + 1
        yield from self._missing(expected, min(last, self._reach.last) + 1)
        covered = (
            self._reach.streams is None and self._reach.first <= first and last <= self._reach.last
        )
        if covered or len(leaves) == batch.count_:
            if (root(leaves) if leaves else b"") != batch.root:
                yield Finding("log.hash", first, f"events {first} to {last} are not as written")
            return
        for position, own in zip(places, leaves, strict=True):
            path = self._source.proof(position)
            if path is None or len(path) > LONGEST_PATH:
                yield Finding("log.proof", position, "nothing proves that it belongs to its batch")
            elif climbed(own, position - first, batch.count_, path) != batch.root:
                yield Finding("log.hash", position, "it is not as written")

    def _missing(self, first: int, end: int) -> Iterator[Finding]:
        if self._reach.streams is None:
            for position in range(first, end):
                yield Finding("log.position_missing", position, "this event is gone")

    def _take(self) -> None:
        self._next = next(self._rows, None)


def _fold(source: Source) -> Iterator[Finding]:
    """Fold every stream with one state in memory at a time."""
    whole = source.reach.first == 1
    for stream, events in streams(source.by_stream()):
        version, kind, state = 0, "", None
        folding = True
        for stored in events:
            own = stream_kind(stored.type)
            if not version:
                kind = own
                folding = whole or stored.version == 1
                version = stored.version - 1 if not folding else 0
            if stored.version != version + 1:
                detail = f"{stream}: {stored.version} after {version}"
                yield Finding("stream.version", stored.position, detail)
            if own != kind and own in EVOLVE:
                yield Finding("stream.kind", stored.position, f"{own} in a stream of {kind}")
            version = stored.version
            event, finding = _event(stored)
            if finding is None and folding and event is not None:
                state, finding = _evolved(kind, state, event, stored.position)
                folding = finding is None
            elif finding is not None:
                folding = False
            if finding is not None:
                yield finding
            elif event is not None and not _same_hands(stored, event):
                yield Finding("event.actor", stored.position, "the row names other parties")


def _event(stored: Stored) -> tuple[Event | None, Finding | None]:
    if stream_kind(stored.type) not in EVOLVE:
        detail = f"{stored.type} belongs to no kind of stream"
        return None, Finding("event.unknown", stored.position, detail)
    try:
        return decode(stored.type, stored.data), None
    except UnknownEvent as fault:
        detail = f"{fault.name} is of a newer release"
        return None, Finding("event.unknown", stored.position, detail)
    except Undecodable as fault:
        return None, Finding("event.undecodable", stored.position, str(fault))


def _evolved(kind: str, state: Any, event: Event, position: int) -> tuple[Any, Finding | None]:
    try:
        return evolve(kind, state, event), None
    except Impossible as fault:
        return None, Finding("event.impossible", position, str(fault))
    except Exception as fault:  # noqa: BLE001  (an altered log may hold anything: told, not raised)
        return None, Finding("event.impossible", position, type(fault).__name__)


def _same_hands(stored: Stored, event: Event) -> bool:
    behalf = None if event.on_behalf_of is None else event.on_behalf_of.ref
    return (stored.actor, stored.on_behalf_of) == (event.by.ref, behalf)


def _against(source: Source, earlier: Source) -> Iterator[Finding]:
    """Whether a log still begins with what was handed out of it."""
    if source.tenant.id != earlier.tenant.id:
        yield Finding("log.other_tenant", None, f"the earlier one is of {earlier.tenant.id}")
        return
    mine = source.batches()
    for batch in earlier.batches():
        own = next(mine, None)
        if own is None:
            last = source.head.position
            detail = f"the log ends at {last}; it reached {earlier.head.position} before"
            yield Finding("log.cut", last + 1, detail)
            return
        if own != batch:
            detail = "from here on it is another log than the earlier one"
            yield Finding("log.rewritten", min(own.first_position, batch.first_position), detail)
            return
