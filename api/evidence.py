"""Evidence as stored files: sealed under the subject's key, named by the hash of what is stored.

The format is STREAM (Hoang, Reyhanitabar, Rogaway, Vizár, "Online Authenticated-Encryption and its
Nonce-Reuse Misuse-Resistance", 2015) as Tink's AES-GCM-HKDF streaming lays it out and age uses it
(c2sp.org/age, Payload): a key of the file's own by HKDF-SHA256 (RFC 5869) from the subject's key
and a random salt; chunks of 64 KiB under AES-256-GCM; nonce = random prefix (7 bytes), counter (4
bytes, big-endian), 1 on the last chunk and else 0. The derivation covers tenant, subject, header.
"""

from __future__ import annotations

import contextlib
import hashlib
import io
import os
import re
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Final, NamedTuple, Protocol, Self
from uuid import UUID, uuid4

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from api.key_cache import SubjectKey
from api.media import look_for, media_type_of
from api.vault import make_folder, sync_folder
from domain.errors import Refused
from domain.sealing import Unopenable, framed

EVIDENCE_LIMIT_BYTES: Final = 64 * 1024 * 1024
"""Largest file that is taken, before sealing."""

CHUNK_BYTES: Final = 64 * 1024
PARTIAL_LIFE_SECONDS: Final = 24 * 60 * 60
"""An upload that was not touched for so long was left by a crash, and is removed."""

_MAGIC: Final = b"CSEVID\x01"
_SALT_BYTES: Final = 32
_PREFIX_BYTES: Final = 7
_TAG_BYTES: Final = 16
_FIXED_BYTES: Final = len(_MAGIC) + 16 + _SALT_BYTES + _PREFIX_BYTES + 1
_SEALED_CHUNK_BYTES: Final = CHUNK_BYTES + _TAG_BYTES
_ID = re.compile(r"[0-9a-f]{64}")
_SUBJECT = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")


class SubjectKeys(Protocol):
    """What is needed of `api.keys.KeyStore`."""

    def subject_key(self, tenant: str, subject: str) -> SubjectKey:
        """Return the key to seal with. Raises `Refused`: `subject.erased`."""
        ...

    def known_key(self, tenant: str, subject: str, key_id: str) -> bytes:
        """Return the key a file names. Raises `Unopenable`."""
        ...


class StoredFile(NamedTuple):
    """What an event says of a file.

    `id` is the SHA-256, in hex, of the sealed bytes on the disk, and so is `hash`: an auditor can
    compare it without any key. `size` is the length in bytes of what was handed in.
    """

    id: str
    size: int
    hash: str
    media_type: str


class _Header(NamedTuple):
    """What lies in front of the chunks, behind magic and version."""

    key_id: str
    salt: bytes
    prefix: bytes
    media_type: str

    @property
    def stored(self) -> bytes:
        name = self.media_type.encode()
        return b"".join(
            (_MAGIC, UUID(self.key_id).bytes, self.salt, self.prefix, bytes((len(name),)), name)
        )


class _Chunks:
    """Seals and opens the chunks of one file."""

    def __init__(self, key: bytes, tenant: str, subject: str, header: _Header) -> None:
        info = framed(b"counterseal evidence", tenant.encode(), subject.encode(), header.stored)
        derived = HKDF(SHA256(), length=32, salt=header.salt, info=info).derive(key)
        self._cipher = AESGCM(derived)
        self._prefix = header.prefix

    def seal(self, chunk: bytes | bytearray, index: int, *, last: bool) -> bytes:
        """Return ciphertext and tag."""
        return self._cipher.encrypt(self._nonce(index, last), chunk, None)

    def open(self, sealed: bytes, index: int, *, last: bool) -> bytes:
        """Return the chunk. Raises `Unopenable`: a chunk changed, moved, cut off or put behind."""
        try:
            return self._cipher.decrypt(self._nonce(index, last), sealed, None)
        except (InvalidTag, ValueError):
            raise Unopenable("sealed.forged") from None

    def _nonce(self, index: int, last: bool) -> bytes:
        return self._prefix + index.to_bytes(4, "big") + bytes((last,))


class Upload:
    """One file on its way in; flat in memory. Leaving the block without `finish` removes it."""

    def __init__(
        self, folder: Path, chunks: _Chunks, header: _Header, target: Path, limit_bytes: int
    ) -> None:
        self._target = target
        self._partial = folder / str(uuid4())
        self._chunks = chunks
        self._media_type = header.media_type
        self._limit_bytes = limit_bytes
        self._look = look_for(header.media_type)
        self._waiting = bytearray()
        self._index = 0
        self._size = 0
        self._hash = hashlib.sha256()
        descriptor = os.open(self._partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        self._file = os.fdopen(descriptor, "wb")
        self._store(header.stored)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        try:
            self._file.close()  # may fail where the disk is full
        finally:
            self._partial.unlink(missing_ok=True)  # gone already when it was finished

    def write(self, piece: bytes) -> None:
        """Take the next bytes, any number of them.

        Raises `Refused`: `evidence.too_large`, `evidence.type_not_allowed`.
        """
        self._size += len(piece)
        if self._size > self._limit_bytes:
            raise Refused("evidence.too_large", limit_bytes=self._limit_bytes)
        view = memoryview(piece)
        for start in range(0, len(view), CHUNK_BYTES):
            part = bytes(view[start : start + CHUNK_BYTES])
            self._look.feed(part, last=False)
            self._waiting += part
            # More than a chunk must lie here before one is written, for the last is sealed as such.
            while len(self._waiting) > CHUNK_BYTES:
                self._seal(self._waiting[:CHUNK_BYTES], last=False)
                del self._waiting[:CHUNK_BYTES]

    def finish(self) -> StoredFile:
        """Return the file, on the disk for good.

        Raises `Refused`: `evidence.empty`, `evidence.type_not_allowed`.
        """
        if self._size == 0:
            raise Refused("evidence.empty")
        self._look.feed(b"", last=True)
        self._seal(self._waiting, last=True)
        self._file.flush()
        os.fsync(self._file.fileno())
        self._file.close()
        name = self._hash.hexdigest()
        make_folder(self._target)
        # A crash before the rename leaves a partial file, which `EvidenceStore` removes after a
        # day; after it a whole file that no event names, for its sender got no answer.
        self._partial.rename(self._target / name)
        sync_folder(self._target)
        return StoredFile(name, self._size, name, self._media_type)

    def _seal(self, chunk: bytes | bytearray, *, last: bool) -> None:
        self._store(self._chunks.seal(chunk, self._index, last=last))
        self._index += 1

    def _store(self, data: bytes) -> None:
        self._hash.update(data)
        self._file.write(data)


class EvidenceStore:
    """The files of all tenants, below one folder: tenant / subject / id.

    Whoever gets at the folder reads nothing, and can neither change, shorten nor exchange a file
    without being found out; deleting one they can.
    """

    def __init__(
        self, folder: Path, keys: SubjectKeys, *, limit_bytes: int = EVIDENCE_LIMIT_BYTES
    ) -> None:
        self._folder = folder
        self._keys = keys
        self._limit_bytes = limit_bytes
        self._partials = folder / ".partial"
        make_folder(self._partials)
        self._sweep()

    def put(
        self, tenant: str, subject: str, content: Iterable[bytes], media_type: str
    ) -> StoredFile:
        """Store what `content` yields, piece by piece. Raises what `upload` and `Upload` raise."""
        with self.upload(tenant, subject, media_type) as upload:
            for piece in content:
                upload.write(piece)
            return upload.finish()

    def upload(self, tenant: str, subject: str, media_type: str) -> Upload:
        """Begin a file, for a door that is handed pieces; to be used in a `with`.

        Raises `Refused`: `evidence.type_not_allowed`, `subject.erased`.
        """
        name = media_type_of(media_type)
        key = self._keys.subject_key(tenant, subject)
        header = _Header(key.id, os.urandom(_SALT_BYTES), os.urandom(_PREFIX_BYTES), name)
        chunks = _Chunks(key.key, tenant, subject, header)
        home = self._home(tenant, subject)
        return Upload(self._partials, chunks, header, home, self._limit_bytes)

    def exists(self, tenant: str, subject: str, file_id: str) -> bool:
        """Return whether the subject has this file."""
        with contextlib.suppress(Refused):
            return self._path(tenant, subject, file_id).is_file()
        return False

    def find(self, tenant: str, subject: str, file_id: str) -> StoredFile:
        """Return what an event says of a stored file; opens its last chunk, which proves the size.

        Raises `Refused`: `evidence.unknown`; `Unopenable`.
        """
        with self._opened(tenant, subject, file_id) as file:
            header, chunks, count = self._begin(file, tenant, subject)
            file.seek(len(header.stored) + (count - 1) * _SEALED_CHUNK_BYTES)
            last = chunks.open(file.read(_SEALED_CHUNK_BYTES), count - 1, last=True)
            size = (count - 1) * CHUNK_BYTES + len(last)
        return StoredFile(file_id, size, file_id, header.media_type)

    def open(self, tenant: str, subject: str, file_id: str) -> Iterator[bytes]:
        """Return the content, chunk by chunk, each proved before it comes out.

        The whole file is hashed first, so that a file which is not the one of this name is refused
        before a byte of it goes anywhere. Raises `Refused`: `evidence.unknown`; `Unopenable`.
        """
        with self._opened(tenant, subject, file_id) as file:
            if hashlib.file_digest(file, "sha256").hexdigest() != file_id:
                raise Unopenable("sealed.forged")
            file.seek(0)
            self._begin(file, tenant, subject)
        return self._content(tenant, subject, file_id)

    def _content(self, tenant: str, subject: str, file_id: str) -> Iterator[bytes]:
        with self._opened(tenant, subject, file_id) as file:
            _, chunks, count = self._begin(file, tenant, subject)
            for index in range(count):
                sealed = file.read(_SEALED_CHUNK_BYTES)
                yield chunks.open(sealed, index, last=index == count - 1)

    def _begin(
        self, file: io.BufferedReader, tenant: str, subject: str
    ) -> tuple[_Header, _Chunks, int]:
        """Read the header; return it, its opener, and how many chunks lie behind it (1 or more)."""
        header = _read_header(file)
        stored_bytes = os.fstat(file.fileno()).st_size - len(header.stored)
        count = -(-stored_bytes // _SEALED_CHUNK_BYTES)
        if count < 1:
            raise Unopenable("sealed.forged")
        key = self._keys.known_key(tenant, subject, header.key_id)
        return header, _Chunks(key, tenant, subject, header), count

    def _opened(self, tenant: str, subject: str, file_id: str) -> io.BufferedReader:
        try:
            return self._path(tenant, subject, file_id).open("rb")
        except FileNotFoundError:
            raise Refused("evidence.unknown", file=file_id) from None

    def _path(self, tenant: str, subject: str, file_id: str) -> Path:
        """Return where the file lies or would lie; a name that is no id never becomes a path."""
        if not _ID.fullmatch(file_id):
            raise Refused("evidence.unknown")
        return self._home(tenant, subject) / file_id

    def _home(self, tenant: str, subject: str) -> Path:
        if not (_SUBJECT.fullmatch(tenant) and _SUBJECT.fullmatch(subject)):
            raise Refused("evidence.unknown")
        return self._folder / tenant / subject

    def _sweep(self) -> None:
        oldest = time.time() - PARTIAL_LIFE_SECONDS
        for partial in self._partials.iterdir():
            with contextlib.suppress(FileNotFoundError):  # another process sweeps as well
                if partial.stat().st_mtime < oldest:
                    partial.unlink()


def _read_header(file: io.BufferedReader) -> _Header:
    fixed = file.read(_FIXED_BYTES)
    if len(fixed) < _FIXED_BYTES or not fixed.startswith(_MAGIC):
        raise Unopenable("sealed.forged")
    at = len(_MAGIC)
    key_id = str(UUID(bytes=fixed[at : at + 16]))
    salt = fixed[at + 16 : at + 16 + _SALT_BYTES]
    prefix = fixed[at + 16 + _SALT_BYTES : -1]
    name = file.read(fixed[-1])
    try:
        return _Header(key_id, salt, prefix, name.decode("ascii"))
    except UnicodeDecodeError:
        raise Unopenable("sealed.forged") from None
