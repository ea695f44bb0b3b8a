"""Whether a log is whole: positions, versions, times, hashes and chain, and every event folds."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from typing import Any
from uuid import UUID

import msgspec

from domain.batches import StoredRow
from domain.codec import Undecodable, UnknownEvent, decode
from domain.errors import Impossible
from domain.events import stream_kind
from domain.streams import evolve
from replay import reader
from replay.hashes import GENESIS, chain, leaf, root


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


MAX_FINDINGS = 1_000
"""More are not listed: the log is beyond naming places."""


def verify(url: str, tenant: str) -> Verdict:
    """Read a tenant's whole log in one snapshot and return what is wrong with it.

    Codes: `log.position_missing`, `log.position_extra`, `log.hash`, `log.chain`, `log.time`,
    `log.head`, `stream.version`, `event.unknown`, `event.undecodable`, `event.impossible`.
    Raises `LookupError` for an unknown tenant.
    """
    found: list[Finding] = []
    with reader.snapshot(url, tenant) as conn:
        head = reader.head(conn, tenant)
        log = _Log(tenant)
        for finding in log.walk(conn):
            if len(found) < MAX_FINDINGS:
                found.append(finding)
        if (log.position, log.chain) != (head.position, head.chain):
            found.append(
                Finding("log.head", head.position, f"the last batch ends at {log.position}")
            )
        for finding in _fold(conn, tenant):
            if len(found) < MAX_FINDINGS:
                found.append(finding)
    return Verdict(log.events, log.batches, head.position, tuple(found))


class _Log:
    """The walk along batches and their events, in position order."""

    def __init__(self, tenant: str) -> None:
        self.tenant = tenant
        self.position = 0
        self.chain = GENESIS
        self.events = 0
        self.batches = 0
        self._last: datetime | None = None
        self._rows: Iterator[StoredRow] = iter(())
        self._next: StoredRow | None = None

    def walk(self, conn: reader.Connection) -> Iterator[Finding]:
        self._rows = reader.by_position(conn, self.tenant)
        self._next = next(self._rows, None)
        for batch in reader.batches(conn, self.tenant):
            self.batches += 1
            if batch.first_position != self.position + 1:
                yield Finding(
                    "log.position_missing",
                    self.position + 1,
                    f"no batch holds positions {self.position + 1} to {batch.first_position - 1}",
                )
            yield from self._batch(batch)
            if self._last is not None and batch.recorded_at <= self._last:
                yield Finding("log.time", batch.first_position, "not later than the batch before")
            self._last = batch.recorded_at
            self.position = batch.first_position + batch.count_ - 1
        while self._next is not None:
            yield Finding("log.position_extra", self._next.position, "beyond every batch")
            self._next = next(self._rows, None)

    def _batch(self, batch: reader.BatchRow) -> Iterator[Finding]:
        first, last = batch.first_position, batch.first_position + batch.count_ - 1
        leaves: list[bytes] = []
        expected = first
        while self._next is not None and self._next.position <= last:
            row = self._next
            self._next = next(self._rows, None)
            self.events += 1
            while expected < row.position:
                yield Finding("log.position_missing", expected, "this event is gone")
                expected += 1
            if row.position < expected:
                yield Finding("log.position_extra", row.position, "between two batches")
                continue
            if row.recorded_at != batch.recorded_at:
                yield Finding("log.time", row.position, "another instant than its batch's")
            leaves.append(leaf(UUID(self.tenant), row))
            expected += 1
        while expected <= last:
            yield Finding("log.position_missing", expected, "this event is gone")
            expected += 1
        tree = root(leaves) if leaves else b""
        if tree != batch.root:
            yield Finding("log.hash", first, f"events {first} to {last} are not as written")
        expected_chain = chain(self.chain, batch.root, batch.recorded_at)
        if expected_chain != batch.chain:
            yield Finding("log.chain", first, "root, instant or the chain before was changed")
        self.chain = batch.chain


def _fold(conn: reader.Connection, tenant: str) -> Iterator[Finding]:
    """Fold every stream with one state in memory at a time."""
    stream: UUID | None = None
    version, state, broken = 0, None, False
    kind: Any = ""
    for row in reader.by_stream(conn, tenant):
        if row.stream_id != stream:
            stream, version, state, broken = row.stream_id, 0, None, False
            kind = stream_kind(row.type)
        if row.version != version + 1:
            yield Finding(
                "stream.version", row.position, f"{row.stream_id}: {row.version} after {version}"
            )
        version = row.version
        if broken:
            continue
        broken = True
        try:
            state = evolve(kind, state, decode(row.type, row.data))
            broken = False
        except UnknownEvent as fault:
            yield Finding("event.unknown", row.position, f"{fault.name} is of a newer release")
        except Undecodable as fault:
            yield Finding("event.undecodable", row.position, str(fault))
        except Impossible as fault:
            yield Finding("event.impossible", row.position, str(fault))
        except KeyError:
            yield Finding("event.unknown", row.position, f"{kind} is no stream kind")
