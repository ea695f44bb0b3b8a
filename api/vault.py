"""Key-encryption keys, one an epoch, outside every database: a file for one machine, or a KMS.

They wrap the keys of data subjects (api/keys.py). Destroying an epoch's key is what makes a
forgotten subject unreadable in every backup, so nothing but this interface ever holds one.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import hmac
import os
import stat
from collections.abc import Collection, Generator
from pathlib import Path
from typing import Final, Protocol

import msgspec
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from domain.errors import Refused
from domain.sealing import Unopenable, framed

KEY_BYTES: Final = 32
NONCE_BYTES: Final = 12
KEY_FILE_LIMIT_BYTES: Final = 1024 * 1024
_READ_TRIES: Final = 3
_Stamp = tuple[int, int, int, int]


class EpochGone(Refused):
    """`keys.epoch_gone`: the key of an epoch was destroyed, or never existed here."""

    def __init__(self, epoch: int) -> None:
        super().__init__("keys.epoch_gone", epoch=epoch)


class KeyEncryptionKeys(Protocol):
    """Wraps and unwraps under the key of an epoch (year and month, 202611) without giving it out.

    A KMS stands here with one of its keys an epoch: `wrap` and `unwrap` are its encrypt and decrypt
    with encryption context, `pepper` its MAC.
    """

    def epochs(self) -> frozenset[int]:
        """Return the epochs whose key exists."""
        ...

    def create(self, epoch: int) -> None:
        """Make the key of `epoch` unless it exists; stored for good before this returns."""
        ...

    def destroy(self, epochs: Collection[int]) -> None:
        """Destroy the keys of `epochs`, for good; those that do not exist are no matter."""
        ...

    def wrap(self, epoch: int, key: bytes, bound: bytes) -> bytes:
        """Return `key` wrapped, bound to `bound`. Raises `EpochGone`."""
        ...

    def unwrap(self, epoch: int, wrapped: bytes, bound: bytes) -> bytes:
        """Return the key. Raises `EpochGone`; `Unopenable`: `sealed.forged`."""
        ...

    def pepper(self, purpose: str, data: bytes) -> bytes:
        """Return 32 bytes, HMAC-SHA256 of `data` for `purpose` under a key that no epoch ends."""
        ...


class _Contents(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What the key file holds: JSON, keys in base64, epochs as text because JSON asks for it."""

    pepper: bytes
    epochs: dict[str, bytes]
    format: int = 1

    def __repr__(self) -> str:
        return f"_Contents(epochs={sorted(self.epochs)})"

    def __rich_repr__(self) -> list[tuple[str, object]]:
        return [("epochs", sorted(self.epochs))]


def box(key: bytes, data: bytes, bound: bytes) -> bytes:
    """Return nonce (96 bits, random), ciphertext and tag of AES-256-GCM (NIST SP 800-38D) as one.

    Random nonces bear 2**32 boxes a key; a subject's texts, or an epoch's keys, stay far below.
    """
    nonce = os.urandom(NONCE_BYTES)
    return nonce + AESGCM(key).encrypt(nonce, data, bound)


def unbox(key: bytes, boxed: bytes, bound: bytes) -> bytes:
    """Return what `box` was given. Raises `Unopenable`: `sealed.forged`."""
    try:
        return AESGCM(key).decrypt(boxed[:NONCE_BYTES], boxed[NONCE_BYTES:], bound)
    except (InvalidTag, ValueError):  # ValueError: cut so short that no nonce or tag is left
        raise Unopenable("sealed.forged") from None


class KeyFile:
    """`KeyEncryptionKeys` in one file, mode 0600, for a service on one machine.

    Made with its first epoch; refused when anyone but its owner may touch it. Every process looks
    at the file's stamp at each use, so a key made or destroyed by another one is known at once.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._seen: tuple[_Stamp, _Contents] | None = None

    def epochs(self) -> frozenset[int]:
        """Return the epochs in the file; none when there is no file yet."""
        contents = self._load()
        return frozenset(int(epoch) for epoch in contents.epochs) if contents else frozenset()

    def create(self, epoch: int) -> None:
        """Make the key of `epoch`, and the file with its pepper when there is none."""
        with self._alone():
            contents = self._load() or _Contents(os.urandom(KEY_BYTES), {})
            if str(epoch) in contents.epochs:
                return
            # A crash before the rename inside leaves a temporary file and the old keys; after it a
            # key that wraps nothing yet.
            self._replace(
                _Contents(contents.pepper, contents.epochs | {str(epoch): os.urandom(KEY_BYTES)})
            )

    def destroy(self, epochs: Collection[int]) -> None:
        """Write the file without the keys of `epochs`, then overwrite the old file's bytes.

        Overwriting is done as well as a file system lets one: a journal, a snapshot or a
        wear-levelled disk may keep a copy. Where that matters, a KMS belongs here.
        """
        with self._alone():
            contents = self._load()
            if contents is None or not contents.epochs.keys() & {str(epoch) for epoch in epochs}:
                return
            kept = {name: key for name, key in contents.epochs.items() if int(name) not in epochs}
            with self._path.open("r+b") as old:
                # A crash in here leaves the old file whole, or the new one with the old bytes still
                # on the disk: the keys are out of use, and unlinked bytes go with the next writes.
                self._replace(_Contents(contents.pepper, kept))
                old.write(b"\0" * os.fstat(old.fileno()).st_size)
                old.flush()
                os.fsync(old.fileno())

    def wrap(self, epoch: int, key: bytes, bound: bytes) -> bytes:
        """Return `key` in AES-256-GCM. Raises `EpochGone`."""
        return box(self._key(epoch), key, bound)

    def unwrap(self, epoch: int, wrapped: bytes, bound: bytes) -> bytes:
        """Return the key. Raises `EpochGone`; `Unopenable`: `sealed.forged`."""
        return unbox(self._key(epoch), wrapped, bound)

    def pepper(self, purpose: str, data: bytes) -> bytes:
        """Return the keyed hash. Raises `Refused`: `keys.file_missing`."""
        contents = self._load()
        if contents is None:
            raise Refused("keys.file_missing", path=str(self._path))
        return hmac.digest(contents.pepper, framed(purpose.encode(), data), hashlib.sha256)

    def _key(self, epoch: int) -> bytes:
        contents = self._load()
        key = contents.epochs.get(str(epoch)) if contents else None
        if key is None:
            raise EpochGone(epoch)
        return key

    def _load(self) -> _Contents | None:
        """Return what the file holds now, None without a file.

        Raises `Refused`: `keys.file_open_to_others`, `keys.file_damaged`.
        """
        for _ in range(_READ_TRIES):
            try:
                with self._path.open("rb") as file:
                    status = os.fstat(file.fileno())
                    self._check(status)
                    stamp = (status.st_ino, status.st_ctime_ns, status.st_mtime_ns, status.st_size)
                    if (seen := self._seen) is not None and seen[0] == stamp:
                        return seen[1]
                    data = file.read(KEY_FILE_LIMIT_BYTES)
            except FileNotFoundError:
                self._seen = None
                return None
            # A file that another process replaces and overwrites while it is read here: read again.
            with contextlib.suppress(msgspec.DecodeError, ValueError):
                contents = msgspec.json.decode(data, type=_Contents)
                _check_keys(contents)
                self._seen = (stamp, contents)
                return contents
        raise Refused("keys.file_damaged", path=str(self._path))

    def _check(self, status: os.stat_result) -> None:
        mode = stat.S_IMODE(status.st_mode)
        mine = status.st_uid == os.geteuid() or os.geteuid() == 0
        if mode & 0o077 or not mine or not stat.S_ISREG(status.st_mode):
            raise Refused("keys.file_open_to_others", path=str(self._path), mode=f"{mode:04o}")

    def _replace(self, contents: _Contents) -> None:
        """Put `contents` in the file's place, whole or not at all; on the disk on return."""
        temporary = self._path.with_name(f".{self._path.name}.new")
        temporary.unlink(missing_ok=True)  # left by a crash; we hold the lock
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            file.write(msgspec.json.encode(contents))
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(self._path)
        sync_folder(self._path.parent)

    @contextlib.contextmanager
    def _alone(self) -> Generator[None]:
        """Keep other processes and threads from changing the file; reading needs no lock."""
        make_folder(self._path.parent)
        lock = self._path.with_name(f".{self._path.name}.lock")
        descriptor = os.open(lock, os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            yield
        finally:
            os.close(descriptor)  # the lock goes with it, also when the process dies


def _check_keys(contents: _Contents) -> None:
    keys = [contents.pepper, *contents.epochs.values()]
    if contents.format != 1 or any(len(key) != KEY_BYTES for key in keys):
        raise ValueError("not a key file of this version")
    for epoch in contents.epochs:
        int(epoch)


def make_folder(folder: Path) -> None:
    """Make `folder` and what is missing above it, mode 0700; on the disk when this returns."""
    if folder.is_dir():
        return
    make_folder(folder.parent)
    with contextlib.suppress(FileExistsError):  # another process was first
        folder.mkdir(mode=0o700)
    sync_folder(folder.parent)


def sync_folder(folder: Path) -> None:
    """Put the names in `folder` on the disk; without it a loss of power may undo a rename."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
