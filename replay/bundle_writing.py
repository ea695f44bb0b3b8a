"""Writes a bundle: one file with the events as stored, what proves them, and what explains them.

A part at a time is in memory, however long the log is.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from datetime import datetime
from importlib.metadata import version
from itertools import groupby
from typing import Any, Final, NamedTuple

import msgspec

from domain.events import EVENTS
from projections.tables import TABLES
from replay.bundle_archive import Sink, Writing
from replay.bundle_format import (
    FORMAT,
    MANIFEST,
    PART_BYTES,
    SCHEMAS,
    SEAL,
    VERSION,
    BatchLine,
    EventLine,
    HeadPart,
    Manifest,
    ModelPart,
    Part,
    ReachPart,
    RowLine,
    TenantPart,
    as_line,
    encoded,
)
from replay.hashes import GENESIS, leaf, path
from replay.sources import BEGINNING, BatchRow, Head, Model, Reach, Source, Stored

Proof = Sequence[bytes]

PROGRAM: Final = "counterseal"


class Written(NamedTuple):
    """A bundle that was written: its manifest, and length and SHA-256 of the file."""

    manifest: Manifest
    length: int
    sha256: str


def write(
    source: Source, sink: Sink, reach: Reach, made_at: datetime, *, rows: bool = True
) -> Written:
    """Write a bundle of a source, or of a part of it: a period, or chosen streams.

    Rows of read models go in where every event goes in: `rows` False leaves them out all the same.
    Nothing that is sealed is opened; keys, keyed hashes and claims are not looked at. Raises
    `TooLarge`, `LookupError` where a batch is not whole in the source and has no proof.
    """
    archive = Writing(sink)
    parts: list[Part] = []
    head, batches = _batches(source, reach, archive, parts)
    types: Counter[str] = Counter()
    events = _Lines("events", archive, parts)
    for stored, proof in _events(source, reach):
        types[stored.type] += 1
        events.add(_event(stored, proof), stored.position)
    events.close()
    models: Sequence[Model] = ()
    counts: Mapping[str, int] = {}
    if rows and complete(source, reach):
        models, counts = _rows(source, archive, parts)
    parts.append(archive.add(SCHEMAS, schemas(types)))
    streams = None if reach.streams is None else tuple(sorted(reach.streams))
    manifest = Manifest(
        FORMAT,
        VERSION,
        f"{PROGRAM} {version(PROGRAM)}",
        made_at,
        TenantPart(*source.tenant),
        HeadPart(head.position, head.recorded_at, head.chain.hex()),
        ReachPart(reach.first, reach.last, streams),
        types.total(),
        batches,
        dict(sorted(types.items())),
        tuple(ModelPart(*one) for one in models),
        counts,
        dict(source.quarantined()) if models else {},
        tuple(parts),
    )
    data = encoded(manifest)
    written = archive.add(MANIFEST, data)
    archive.add(SEAL, f"{written.sha256}\n".encode())
    archive.close()
    return Written(manifest, archive.length, archive.sha256)


def complete(source: Source, reach: Reach) -> bool:
    """Return whether a bundle of this reach has every event that the source's rows follow from."""
    return reach.whole and reach.last == source.head.position


class _Lines:
    """Lines of one kind, cut into parts."""

    def __init__(self, folder: str, archive: Writing, parts: list[Part]) -> None:
        self.count = 0
        self._folder = folder
        self._archive = archive
        self._parts = parts
        self._number = 0
        self._begin()

    def add(self, line: bytes, position: int = 0) -> None:
        """Add a line; `position` is that of an event."""
        self._lines.append(line)
        self._size += len(line)
        self._first = self._first or position
        self._last = position
        self.count += 1
        if self._size >= PART_BYTES:
            self.close()

    def close(self) -> None:
        """Write what is left."""
        if self._lines:
            self._number += 1
            name = f"{self._folder}/{self._number:06}.jsonl"
            place = self._first, self._last
            part = self._archive.add(name, b"".join(self._lines), len(self._lines), *place)
            self._parts.append(part)
        self._begin()

    def _begin(self) -> None:
        self._lines: list[bytes] = []
        self._size = self._first = self._last = 0


def _batches(source: Source, reach: Reach, archive: Writing, parts: list[Part]) -> tuple[Head, int]:
    """Write every batch from the log's beginning on; return where they end, and how many."""
    lines = _Lines("batches", archive, parts)
    head = Head(0, BEGINNING, GENESIS)
    for batch in source.batches():
        if batch.first_position > reach.last:
            break
        root, chain = batch.root.hex(), batch.chain.hex()
        lines.add(
            as_line(BatchLine(batch.first_position, batch.count_, batch.recorded_at, root, chain))
        )
        head = Head(batch.last_position, batch.recorded_at, batch.chain)
    lines.close()
    return head, lines.count


def _event(stored: Stored, proof: Proof | None) -> bytes:
    line = EventLine(
        stored.position,
        stored.stream_id,
        stored.version,
        stored.type,
        stored.recorded_at,
        stored.actor,
        stored.command_id,
        len(stored.data),
        stored.on_behalf_of,
        stored.causation,
        msgspec.UNSET if proof is None else tuple(one.hex() for one in proof),
    )
    return msgspec.json.encode(line) + b"\t" + stored.data + b"\n"


def _events(source: Source, reach: Reach) -> Iterator[tuple[Stored, Proof | None]]:
    """Yield the events that go in, with their audit paths where a batch does not go in whole."""
    if reach.streams is not None:
        yield from _chosen(source, reach, reach.streams)
        return
    proofs: dict[int, Proof] = {}
    for batch in source.batches():
        if batch.first_position > reach.last:
            break
        begins = batch.first_position < reach.first <= batch.last_position
        if begins or batch.first_position <= reach.last < batch.last_position:
            whole = _whole(source, batch)
            inside = [one for one in whole if reach.first <= one.position <= reach.last]
            proofs |= _paths(source, batch, whole, {one.position for one in inside})
    for page in source.events(reach.first, reach.last):
        for stored in page:
            yield stored, proofs.pop(stored.position, None) if proofs else None


def _chosen(
    source: Source, reach: Reach, streams: Collection[str]
) -> Iterator[tuple[Stored, Proof | None]]:
    wanted = sorted(
        stored.position
        for stream in streams
        for stored in source.stream(stream, reach.last)
        if stored.position >= reach.first
    )
    batches = iter(source.batches())
    current: list[BatchRow] = []

    def batch_of(position: int) -> BatchRow:
        while not current or current[0].last_position < position:
            current[:] = [next(batches)]
        return current[0]

    for batch, positions in groupby(wanted, batch_of):
        inside = set(positions)
        whole = _whole(source, batch)
        proofs = _paths(source, batch, whole, inside) if len(inside) < batch.count_ else {}
        for stored in whole:
            if stored.position in inside:
                yield stored, proofs.get(stored.position)


def _whole(source: Source, batch: BatchRow) -> list[Stored]:
    pages = source.events(batch.first_position, batch.last_position)
    return [stored for page in pages for stored in page]


def _paths(
    source: Source, batch: BatchRow, whole: Sequence[Stored], positions: Collection[int]
) -> dict[int, Proof]:
    """Return the audit path of each of these positions in their batch."""
    if len(whole) == batch.count_:
        tenant = bytes.fromhex(source.tenant.id.replace("-", ""))
        leaves = [leaf(tenant, stored) for stored in whole]
        return {one: path(leaves, one - batch.first_position) for one in positions}
    found: dict[int, Proof] = {}
    for position in positions:
        proof = source.proof(position)
        if proof is None:
            raise LookupError(position)
        found[position] = proof
    return found


def _rows(
    source: Source, archive: Writing, parts: list[Part]
) -> tuple[Sequence[Model], Mapping[str, int]]:
    """Write the rows of every read model, in the order of the streams they follow from."""
    models = source.models()
    counts: dict[str, int] = {}
    for table in TABLES.values():
        if table.projection in models:
            lines = _Lines(f"rows/{table.name}", archive, parts)
            for owner, position, row in source.owned(table):
                stream = None if owner is None else str(owner)
                lines.add(as_line(RowLine(stream, position, msgspec.Raw(row.encode()))))
            lines.close()
            counts[table.name] = lines.count
    return list(models.values()), counts


def schemas(types: Collection[str]) -> bytes:
    """Return the JSON Schema of each of these event types, by its stored name."""
    known = {name: EVENTS[name] for name in sorted(types) if name in EVENTS}
    found, shared = msgspec.json.schema_components(known.values(), ref_template="#/$defs/{name}")
    document: dict[str, Any] = {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "events": dict(zip(known, found, strict=True)),
        "$defs": shared,
    }
    return msgspec.json.format(msgspec.json.encode(document), indent=1) + b"\n"
