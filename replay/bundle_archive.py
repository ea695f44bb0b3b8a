"""The archive of a bundle: a ZIP file of which every byte is laid down, and looked at when read.

An ordinary ZIP (APPNOTE 6.3, no ZIP64, deflate), so that any program can unpack it. There is only
one way to write the headers, the directory and the end, so a byte changed in any of them is found.
"""

from __future__ import annotations

import hashlib
import re
import struct
import zlib
from collections.abc import Sequence
from typing import IO, Any, Final, NamedTuple, Protocol

from replay.bundle_format import (
    MANIFEST,
    MAX_FILE_BYTES,
    MAX_MANIFEST_BYTES,
    MAX_PART_BYTES,
    MAX_PARTS,
    MAX_RATIO,
    SEAL,
    Damaged,
    Part,
)

_LOCAL: Final = struct.Struct("<4sHHHHHIIIHH")
_CENTRAL: Final = struct.Struct("<4sHHHHHHIIIHHHHHII")
_END: Final = struct.Struct("<4sHHHHIIH")
_LOCAL_MARK: Final = b"PK\x03\x04"
_CENTRAL_MARK: Final = b"PK\x01\x02"
_END_MARK: Final = b"PK\x05\x06"
_VERSION: Final = 20
_DATE: Final = 0x21
"""The first of January 1980: an archive tells no time, the manifest does."""
_STORED: Final = 0
_DEFLATED: Final = 8
_LEVEL: Final = 6
_RAW: Final = -15
_NAME: Final = re.compile(r"[a-z0-9_]{1,40}(/[a-z0-9_]{1,40})*\.(jsonl|json|sha256)")
_MAX_NAME: Final = 120


class Entry(NamedTuple):
    """An entry of the directory: where its packed bytes lie, and how long they are both ways."""

    name: str
    crc: int
    packed: int
    size: int
    offset: int

    @property
    def method(self) -> int:
        """What the manifest cannot speak of lies unpacked: a packed byte may have bits to spare."""
        return _STORED if self.name in (MANIFEST, SEAL) else _DEFLATED

    @property
    def data(self) -> int:
        return self.offset + _LOCAL.size + len(self.name)

    @property
    def end(self) -> int:
        return self.data + self.packed

    def local(self) -> bytes:
        """Return the header before the packed bytes."""
        fixed = (_VERSION, 0, self.method, 0, _DATE, self.crc, self.packed, self.size)
        return _LOCAL.pack(_LOCAL_MARK, *fixed, len(self.name), 0) + self.name.encode()

    def central(self) -> bytes:
        """Return its line in the directory."""
        fixed = (_VERSION, _VERSION, 0, self.method, 0, _DATE, self.crc, self.packed, self.size)
        rest = (len(self.name), 0, 0, 0, 0, 0, self.offset)
        return _CENTRAL.pack(_CENTRAL_MARK, *fixed, *rest) + self.name.encode()


def _end(count: int, size: int, offset: int) -> bytes:
    return _END.pack(_END_MARK, 0, 0, count, count, size, offset, 0)


class TooLarge(Exception):
    """The archive would be longer than a ZIP file without extensions can be."""


class Sink(Protocol):
    """What an archive is written to, from its beginning to its end."""

    def write(self, data: bytes, /) -> Any: ...


class Writing:
    """An archive being written; `sha256` is that of the file."""

    def __init__(self, sink: Sink, limit: int = MAX_FILE_BYTES) -> None:
        self.length = 0
        self._limit = limit
        self._sink = sink
        self._sha256 = hashlib.sha256()
        self._entries: list[Entry] = []

    @property
    def sha256(self) -> str:
        return self._sha256.hexdigest()

    def add(self, name: str, data: bytes, lines: int = 0, first: int = 0, last: int = 0) -> Part:
        """Write one part; return how the manifest names it. Raises `TooLarge`."""
        packed = data
        if name not in (MANIFEST, SEAL):
            deflate = zlib.compressobj(_LEVEL, zlib.DEFLATED, _RAW)
            packed = deflate.compress(data) + deflate.flush()
        entry = Entry(name, zlib.crc32(data), len(packed), len(data), self.length)
        parts = len(self._entries)
        if entry.end + _room(parts) > self._limit or parts >= MAX_PARTS:
            raise TooLarge
        self._write(entry.local())
        self._write(packed)
        self._entries.append(entry)
        own, packed_own = hashlib.sha256(data), hashlib.sha256(packed)
        sums = own.hexdigest(), len(packed), packed_own.hexdigest()
        return Part(name, len(data), *sums, lines, first, last)

    def close(self) -> None:
        """Write the directory and the end."""
        begin = self.length
        for entry in self._entries:
            self._write(entry.central())
        self._write(_end(len(self._entries), self.length - begin, begin))

    def _write(self, data: bytes) -> None:
        self._sink.write(data)
        self._sha256.update(data)
        self.length += len(data)


def _room(entries: int) -> int:
    """Return the bytes that the directory may take, with some parts more."""
    return (entries + 8) * (_CENTRAL.size + _MAX_NAME) + _END.size


class Reading:
    """An archive whose structure is as it must be; its parts are still to be checked."""

    def __init__(self, file: IO[bytes]) -> None:
        """Read the directory and every header. Raises `Damaged`."""
        self._file = file
        self.length = file.seek(0, 2)
        self.entries = self._directory()
        unpacked = sum(entry.size for entry in self.entries)
        if unpacked > MAX_RATIO * self.length + MAX_PART_BYTES:
            raise Damaged("bundle.size", f"{unpacked} bytes out of {self.length}")

    def raw(self, entry: Entry) -> bytes:
        """Return a part's packed bytes."""
        return self._at(entry.data, entry.packed)

    def unpacked(self, entry: Entry, packed: bytes) -> bytes:
        """Return a part as it was before it was packed. Raises `Damaged`."""
        if entry.method == _STORED:
            data, whole = packed, True
        else:
            inflate = zlib.decompressobj(_RAW)
            try:
                data = inflate.decompress(packed, entry.size + 1)
            except zlib.error as fault:
                raise Damaged("bundle.hash", _where(entry)) from fault
            whole = inflate.eof and not inflate.unused_data and not inflate.unconsumed_tail
        if len(data) != entry.size or not whole or zlib.crc32(data) != entry.crc:
            raise Damaged("bundle.hash", _where(entry))
        return data

    def part(self, part: Part, entry: Entry) -> bytes:
        """Return a part after its sums were held against the manifest. Raises `Damaged`."""
        if (part.size, part.packed) != (entry.size, entry.packed):
            raise Damaged("bundle.structure", _where(entry))
        packed = self.raw(entry)
        if hashlib.sha256(packed).hexdigest() != part.packed_sha256:
            raise Damaged("bundle.hash", f"{part.place()}, bytes {entry.data} to {entry.end - 1}")
        data = self.unpacked(entry, packed)
        if hashlib.sha256(data).hexdigest() != part.sha256:
            raise Damaged("bundle.hash", part.place())
        return data

    def _directory(self) -> Sequence[Entry]:
        if self.length < _END.size:
            raise Damaged("bundle.not_one", f"{self.length} bytes")
        at = self.length - _END.size
        mark, _, _, count, _, size, offset, _ = _END.unpack(self._at(at, _END.size))
        if mark != _END_MARK:
            begins = self._at(0, 4) == _LOCAL_MARK
            raise Damaged("bundle.cut" if begins else "bundle.not_one", f"byte {at}")
        if count > MAX_PARTS or offset + size != at:
            raise Damaged("bundle.structure", f"byte {at}")
        if self._at(at, _END.size) != _end(count, size, offset):
            raise Damaged("bundle.structure", f"byte {at}")
        directory = self._at(offset, size)
        entries: list[Entry] = []
        place = end = 0
        for _ in range(count):
            entry = _entry(directory, place, offset)
            if entry.offset != end or entry.end > offset:
                raise Damaged("bundle.structure", f"byte {offset + place} ({entry.name})")
            if self._at(entry.offset, entry.data - entry.offset) != entry.local():
                raise Damaged("bundle.structure", f"byte {entry.offset} ({entry.name})")
            entries.append(entry)
            place += len(entry.central())
            end = entry.end
        if place != size or end != offset:
            raise Damaged("bundle.structure", f"byte {end if end != offset else offset + place}")
        return entries

    def _at(self, offset: int, length: int) -> bytes:
        self._file.seek(offset)
        data = self._file.read(length)
        if len(data) != length:
            raise Damaged("bundle.cut", f"byte {offset + len(data)}")
        return data


def _entry(directory: bytes, place: int, offset: int) -> Entry:
    """Return the entry of the directory at a place. Raises `Damaged`."""
    where = f"byte {offset + place}"
    if place + _CENTRAL.size > len(directory):
        raise Damaged("bundle.structure", where)
    found = _CENTRAL.unpack_from(directory, place)
    length = found[10]
    raw = directory[place + _CENTRAL.size : place + _CENTRAL.size + length]
    name = raw.decode("ascii", "replace")
    if length > _MAX_NAME or _NAME.fullmatch(name) is None:
        raise Damaged("bundle.structure", where)
    entry = Entry(name, found[7], found[8], found[9], found[16])
    if directory[place : place + _CENTRAL.size + length] != entry.central():
        raise Damaged("bundle.structure", f"{where} ({name})")
    if entry.size > max(MAX_PART_BYTES, MAX_MANIFEST_BYTES):
        raise Damaged("bundle.size", f"{name}: {entry.size} bytes")
    return entry


def _where(entry: Entry) -> str:
    return f"{entry.name}, bytes {entry.data} to {entry.end - 1}"
