"""A bundle read: checked from its first byte to its last, then asked like the log it came from.

Its events are laid out in a file of this machine's own, gone with the reading, so that they are
found by stream as well as by position at flat memory. No database is needed, and no network.
"""

from __future__ import annotations

import hashlib
import sqlite3
import tempfile
from collections.abc import Callable, Collection, Generator, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final
from uuid import UUID

import msgspec

from projections.tables import TABLES
from replay.bundle_archive import Entry, Reading
from replay.bundle_format import (
    MANIFEST,
    SCHEMAS,
    SEAL,
    BatchLine,
    Damaged,
    EventLine,
    Manifest,
    Part,
    RowLine,
    decoded,
)
from replay.hashes import EPOCH
from replay.sources import BEGINNING, PAGE, BatchRow, Brief, Model, Stored, Table, silent

_TABLES: Final = """
CREATE TABLE events (position INTEGER PRIMARY KEY, stream TEXT, version INTEGER, type TEXT,
    recorded_at INTEGER, data BLOB, actor TEXT, on_behalf_of TEXT, command TEXT, causation INTEGER,
    proof BLOB);
CREATE TABLE batches (first INTEGER PRIMARY KEY, count INTEGER, recorded_at INTEGER, root BLOB,
    chain BLOB);
"""
_STORED: Final = (
    "SELECT position, stream, version, type, recorded_at, data, actor, on_behalf_of, command,"
    " causation FROM events"
)
_MICROSECOND: Final = timedelta(microseconds=1)
_HASH_BYTES: Final = 32

_event_line = msgspec.json.Decoder(EventLine)
_batch_line = msgspec.json.Decoder(BatchLine)
_row_line = msgspec.json.Decoder(RowLine)


@contextmanager
def opened(path: Path) -> Generator[Bundle]:
    """Give a bundle after every byte of it was checked. Raises `Damaged`, `OSError`."""
    with path.open("rb") as file, tempfile.TemporaryDirectory(prefix="counterseal-") as folder:
        reading = Reading(file)
        manifest, entries = _manifest(reading)
        with closing(sqlite3.connect(Path(folder) / "log", isolation_level=None)) as store:
            store.executescript(
                "PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF; PRAGMA cache_size = -16384;"
                + _TABLES
            )
            bundle = Bundle(manifest, reading, entries, store)
            bundle.load()
            yield bundle


def _manifest(reading: Reading) -> tuple[Manifest, Mapping[str, Entry]]:
    """Return the manifest and the entries it speaks of, compared with each other."""
    if [entry.name for entry in reading.entries[-2:]] != [MANIFEST, SEAL]:
        raise Damaged("bundle.not_one", MANIFEST)
    *others, described, seal = reading.entries
    data = reading.unpacked(described, reading.raw(described))
    told = reading.unpacked(seal, reading.raw(seal))
    if told != f"{hashlib.sha256(data).hexdigest()}\n".encode():
        raise Damaged("bundle.manifest", MANIFEST)
    manifest = decoded(data)
    entries = {entry.name: entry for entry in others}
    names = [part.name for part in manifest.parts]
    if names != list(entries) or len(names) != len(others):
        raise Damaged("bundle.structure", MANIFEST)
    return manifest, entries


class Bundle:
    """A `Source` in a bundle; lives as long as the block that opened it."""

    def __init__(
        self,
        manifest: Manifest,
        reading: Reading,
        entries: Mapping[str, Entry],
        store: sqlite3.Connection,
    ) -> None:
        self.tell: Callable[[int], None] = silent
        self.manifest = manifest
        self.tenant = manifest.tenant.row()
        self.head = manifest.head.row()
        self.reach = manifest.reach.reach()
        self._reading = reading
        self._entries = entries
        self._store = store

    def load(self) -> None:
        """Check every part and lay out events and batches. Raises `Damaged`."""
        counts: dict[str, int] = {}
        last = 0
        for part in self.manifest.parts:
            folder = part.name.rpartition("/")[0]
            if folder == "events":
                found, last = self._events(part, last)
            elif folder == "batches":
                found = self._lay_batches(part)
            elif part.name == SCHEMAS:
                found = 0
                self._json(part)
            else:
                found = self._check_rows(part, folder.removeprefix("rows/"))
            if found != part.lines:
                raise Damaged("bundle.count", f"{part.place()}: {found} lines")
            counts[folder] = counts.get(folder, 0) + found
        self._count(counts)
        self._store.execute("CREATE UNIQUE INDEX streams ON events (stream, version, position)")

    def _count(self, counts: Mapping[str, int]) -> None:
        said = {"events": self.manifest.events, "batches": self.manifest.batches}
        said |= {f"rows/{name}": number for name, number in self.manifest.rows.items()}
        for folder, number in said.items():
            if counts.get(folder, 0) != number:
                raise Damaged("bundle.count", f"{folder}: {counts.get(folder, 0)} lines")

    def _events(self, part: Part, last: int) -> tuple[int, int]:
        """Lay out the events of a part; return how many, and the last position."""
        reach = self.reach
        data = self._data(part)
        rows: list[tuple[Any, ...]] = []
        number = place = 0
        while place < len(data):
            number += 1
            where = f"{part.name}, line {number}"
            tab = data.find(b"\t", place)
            line = _decoded(_event_line, data[place : max(tab, place)], where)
            end = tab + 1 + line.length
            if tab < 0 or data[end : end + 1] != b"\n":
                raise Damaged("bundle.part", where)
            inside = reach.first <= line.position <= reach.last
            chosen = reach.streams is None or line.stream in reach.streams
            if line.position <= last or not inside or not chosen:
                raise Damaged("bundle.part", f"{where}: position {line.position}")
            last = line.position
            rows.append(_laid(line, data[tab + 1 : end]))
            place = end + 1
        self._insert("events", rows)
        return number, last

    def _lay_batches(self, part: Part) -> int:
        rows: list[tuple[Any, ...]] = []
        for number, text in enumerate(_lines(self._data(part), part), 1):
            row = _decoded(_batch_line, text, f"{part.name}, line {number}").row()
            at = (row.recorded_at - EPOCH) // _MICROSECOND
            rows.append((row.first_position, row.count_, at, row.root, row.chain))
        self._insert("batches", rows)
        return len(rows)

    def _check_rows(self, part: Part, name: str) -> int:
        if name not in TABLES:
            raise Damaged("bundle.part", part.name)
        return sum(1 for _ in self._rows_of(part))

    def _rows_of(self, part: Part) -> Iterator[RowLine]:
        for number, text in enumerate(_lines(self._data(part), part), 1):
            yield _decoded(_row_line, text, f"{part.name}, line {number}")

    def _json(self, part: Part) -> None:
        _decoded(msgspec.json.Decoder(), self._data(part), part.name)

    def _data(self, part: Part) -> bytes:
        return self._reading.part(part, self._entries[part.name])

    def _insert(self, table: str, rows: Sequence[tuple[Any, ...]]) -> None:
        if not rows:
            return
        marks = ", ".join("?" * len(rows[0]))
        try:
            self._store.execute("BEGIN")
            self._store.executemany(f"INSERT INTO {table} VALUES ({marks})", rows)
            self._store.execute("COMMIT")
        except (sqlite3.IntegrityError, OverflowError) as fault:
            raise Damaged("bundle.part", f"{table}: {type(fault).__name__}") from fault

    # --- asked ------------------------------------------------------------------------------------

    def batches(self) -> Iterator[BatchRow]:
        for first, number, at, root, chain in self._store.execute(
            "SELECT first, count, recorded_at, root, chain FROM batches ORDER BY first"
        ):
            yield BatchRow(first, number, _instant(at), root, chain)

    def events(
        self, first: int = 1, last: int | None = None, types: Collection[str] | None = None
    ) -> Iterator[Sequence[Stored]]:
        wanted = None if types is None else frozenset(types)
        asked = (first, self._last(last))
        for page in self._pages(
            _STORED + " WHERE position BETWEEN ? AND ? ORDER BY position", asked
        ):
            yield [one for one in page if wanted is None or one.type in wanted]

    def briefs(self, last: int | None = None) -> Iterator[Sequence[Brief]]:
        cursor = self._store.execute(
            "SELECT position, stream, version, type, data FROM events WHERE position <= ?"
            " ORDER BY position",
            (self._last(last),),
        )
        while page := cursor.fetchmany(PAGE):
            yield page

    def by_stream(
        self, last: int | None = None, kinds: Collection[str] | None = None
    ) -> Iterator[Sequence[Stored]]:
        statement = _STORED + " WHERE position <= ? ORDER BY stream, version, position"
        for page in self._pages(statement, (self._last(last),)):
            if kinds is None:
                yield page
            else:
                yield [one for one in page if one.type.partition(".")[0] in kinds]

    def stream(self, stream_id: str, last: int | None = None) -> Sequence[Stored]:
        statement = _STORED + " WHERE stream = ? AND position <= ? ORDER BY version, position"
        cursor = self._store.execute(statement, (stream_id, self._last(last)))
        return [_stored(row) for row in cursor]

    def proof(self, position: int) -> Sequence[bytes] | None:
        row = self._store.execute(
            "SELECT proof FROM events WHERE position = ?", (position,)
        ).fetchone()
        if row is None or row[0] is None:
            return None
        whole: bytes = row[0]
        return [whole[at : at + _HASH_BYTES] for at in range(0, len(whole), _HASH_BYTES)]

    def position_at(self, instant: datetime) -> int:
        row = self._store.execute(
            "SELECT max(first + count - 1) FROM batches WHERE recorded_at <= ?",
            ((instant - EPOCH) // _MICROSECOND,),
        ).fetchone()
        return row[0] or 0

    def recorded_at(self, position: int) -> datetime:
        row = self._store.execute(
            "SELECT recorded_at FROM batches WHERE first <= ? ORDER BY first DESC LIMIT 1",
            (position,),
        ).fetchone()
        return BEGINNING if row is None else _instant(row[0])

    def models(self) -> Mapping[str, Model]:
        return {one.name: one.model() for one in self.manifest.models}

    def quarantined(self) -> Mapping[str, int]:
        return self.manifest.quarantined

    def owned(self, table: Table) -> Iterator[tuple[UUID | None, int, str]]:
        if table.projection not in self.models():
            raise KeyError(table.projection)
        for part in self.manifest.parts:
            if part.name.startswith(f"rows/{table.name}/"):
                for line in self._rows_of(part):
                    owner = None if line.owner is None else UUID(line.owner)
                    yield owner, line.position, bytes(line.row).decode()

    def _last(self, last: int | None) -> int:
        return self.reach.last if last is None else last

    def _pages(self, statement: str, asked: tuple[int, ...]) -> Iterator[list[Stored]]:
        cursor = self._store.execute(statement, asked)
        while page := cursor.fetchmany(PAGE):
            self.tell(len(page))
            yield [_stored(row) for row in page]


def _laid(line: EventLine, data: bytes) -> tuple[Any, ...]:
    proof = None if line.proof is msgspec.UNSET else bytes.fromhex("".join(line.proof))
    at = (line.recorded_at.astimezone(UTC) - EPOCH) // _MICROSECOND
    place = (line.position, line.stream, line.version, line.type, at, data)
    return (*place, line.actor, line.on_behalf_of, line.command, line.causation, proof)


def _stored(row: tuple[Any, ...]) -> Stored:
    return Stored._make((*row[:4], _instant(row[4]), *row[5:]))


def _instant(microseconds: int) -> datetime:
    return EPOCH + timedelta(microseconds=microseconds)


def _lines(data: bytes, part: Part) -> Iterator[bytes]:
    if data and not data.endswith(b"\n"):
        raise Damaged("bundle.part", f"{part.name}, at its end")
    yield from data.split(b"\n")[:-1]


def _decoded(decoder: msgspec.json.Decoder[Any], text: bytes, where: str) -> Any:
    try:
        return decoder.decode(text)
    except (msgspec.MsgspecError, UnicodeDecodeError) as fault:
        raise Damaged("bundle.part", f"{where}: {fault}") from fault
