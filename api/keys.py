"""Subject keys in the key database, and the Sealer and Opener that stand on them.

Every data subject has a key of their own; destroying it is forgetting them. Why it is built so, and
what it does not do, stands in docs/adr/0002-sealed-fields.md.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final, Literal, NamedTuple
from uuid import UUID, uuid4

import psycopg
from psycopg import Connection, Cursor, errors
from psycopg_pool import ConnectionPool

from api import rotation
from api.key_cache import KeyCache, SubjectKey
from api.normal_forms import normal_form
from api.vault import KEY_BYTES, EpochGone, KeyEncryptionKeys, KeyFile, box, unbox
from domain.errors import Refused
from domain.sealing import (
    FORMAT_VERSION,
    TEXT_LIMIT_BYTES,
    Context,
    Sealed,
    Unopenable,
    bound_to,
    framed,
)

KEY_LIFE_SECONDS: Final = 2.0
"""How long a process uses a key without asking the database again; `destroy` waits it out."""

POOL_CONNECTIONS: Final = 4
POOL_WAIT_SECONDS: Final = 5.0
"""How long a caller waits for a connection; then nothing is sealed and nothing opened."""

EPOCH_TRIES: Final = 5

Purpose = Literal["seal", "hash"]

_CONNECTION: Final[dict[str, Any]] = {
    "application_name": "counterseal keys",
    "connect_timeout": 5,
    "keepalives_idle": 10,
    "keepalives_interval": 5,
    "keepalives_count": 3,
    "tcp_user_timeout": 15_000,
    "options": "-c statement_timeout=10s -c lock_timeout=5s -c synchronous_commit=on"
    " -c idle_in_transaction_session_timeout=30s",
}


class _Row(NamedTuple):
    """A row of `subject_keys`; `epoch` and `wrapped` are None once the subject was forgotten."""

    key_id: UUID | None
    epoch: int | None
    wrapped: bytes | None


class _Forgotten(Exception):
    """The subject was forgotten; `key_id` is the key they had."""

    def __init__(self, key_id: str | None) -> None:
        super().__init__()
        self.key_id = key_id


class KeyStore:
    """The subject keys of all tenants, wrapped, in the key database; safe to share among threads.

    `url` is the key database under the role `counterseal_keys`, `keks` the key-encryption keys or
    the path of their file. All processes of one key database use one `life_seconds`. Faults of the
    connection come out as psycopg's own errors: without keys nothing is sealed and nothing opened.
    """

    def __init__(
        self,
        url: str,
        keks: KeyEncryptionKeys | Path,
        *,
        life_seconds: float = KEY_LIFE_SECONDS,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._url = url
        self._keks = KeyFile(keks) if isinstance(keks, Path) else keks
        self._life_seconds = life_seconds
        self._clock = clock
        self._cache = KeyCache(life_seconds)
        self._checked = False
        self._pool: ConnectionPool[Connection] = ConnectionPool(
            url,
            kwargs=_CONNECTION,
            min_size=1,
            max_size=POOL_CONNECTIONS,
            timeout=POOL_WAIT_SECONDS,
            reconnect_timeout=POOL_WAIT_SECONDS,
            open=True,
        )

    def __enter__(self) -> KeyStore:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the connections; the store cannot be used afterwards."""
        self._pool.close()

    def check(self) -> None:
        """Open the first epoch of an empty key database, else prove that these keys are its keys.

        Done before anything else: a lost or exchanged key file is found here, not after a second
        set of keys was begun beside the first. Raises `Refused`: `keys.epoch_unreadable`,
        `keys.file_damaged`, `keys.file_open_to_others`.
        """
        fault: Refused | None = None
        for _ in range(EPOCH_TRIES):
            with self._pooled() as connection:
                epochs = connection.execute("SELECT epoch, proof FROM epochs").fetchall()
            if not epochs:
                with self._connection() as connection:
                    rotation.open_epoch(connection, self._keks, rotation.epoch_of(self._clock()))
                continue  # another process may have been first: prove what was stored
            try:
                for epoch, proof in epochs:
                    rotation.prove(self._keks, epoch, proof)
            except (EpochGone, Unopenable) as found:
                fault = found  # once more: a rotation may have ended since the query
                continue
            self._checked = True
            return
        raise Refused("keys.epoch_unreadable") from fault

    def subject_key(self, tenant: str, subject: str) -> SubjectKey:
        """Return the key of a data subject, made if they have none; committed before this returns.

        Two processes that ask at once get the same key. Raises `Refused`: `subject.erased`;
        `Unopenable`: `sealed.forged`, a wrapped key that is not of this subject.
        """
        return self._make(tenant, "seal", subject)

    def known_key(self, tenant: str, subject: str, key_id: str) -> bytes:
        """Return the key that a stored value names. Raises `Unopenable`.

        `sealed.key_gone` only where an erasure left its mark for this very key; a key that was
        never there is `sealed.forged`, and so is every key after a loss of the key database.
        """
        if not (_is_id(tenant) and _is_id(subject) and _is_id(key_id)):
            raise Unopenable("sealed.forged")
        try:
            key = self._find(tenant, "seal", subject)
        except _Forgotten as forgotten:
            raise Unopenable(
                "sealed.key_gone" if forgotten.key_id == key_id else "sealed.forged"
            ) from None
        if key is None or key.id != key_id:
            raise Unopenable("sealed.forged")
        return key.key

    def destroy(self, tenant: str, subject: str) -> bool:
        """Forget a data subject: destroy their key, for ever. Return whether there was one.

        Returns `KEY_LIFE_SECONDS` after the commit, when no process holds the key in memory any
        more. Unreadable from then on; irrecoverable from any copy once the epoch's key is gone.
        """
        self._ready()
        _demand_ids(tenant, subject)
        with self._transaction(tenant) as cursor:
            cursor.execute("INSERT INTO tenants VALUES (%s) ON CONFLICT DO NOTHING", (tenant,))
            cursor.execute(
                "INSERT INTO subject_keys (tenant_id, purpose, subject_id, destroyed_at)"
                " VALUES (%s, 'seal', %s, clock_timestamp()) ON CONFLICT DO NOTHING",
                (tenant, subject),
            )
            cursor.execute(
                "UPDATE subject_keys"
                " SET epoch = NULL, wrapped = NULL, destroyed_at = clock_timestamp()"
                " WHERE tenant_id = %s AND purpose = 'seal' AND subject_id = %s"
                " AND wrapped IS NOT NULL",
                (tenant, subject),
            )
            destroyed = cursor.rowcount > 0
        # Committed. A crash here leaves the key destroyed and the caller without an answer; asked
        # again there is nothing to destroy, and the wait is the same for whoever lost the answer.
        self._cache.drop((tenant, "seal", subject))
        time.sleep(self._life_seconds)
        return destroyed

    def rotate(self, now: datetime) -> rotation.Rotation:
        """Wrap every living key under the epoch of `now` and destroy the keys of older epochs.

        Beside running services, and again after a crash at any point: see `api.rotation.steps`.
        """
        self._ready()
        with self._connection() as connection:
            return rotation.rotate(connection, self._keks, rotation.epoch_of(now))

    def at_hand(self, tenant: str, subject: str | None = None) -> bool:
        """Return whether a subject's key (without one: the tenant's hash key) is held in memory.

        Then sealing or hashing now asks no database, but for the rare moment at which its life
        ends in between.
        """
        purpose, name = ("hash", tenant) if subject is None else ("seal", subject)
        return self._cache.get((tenant, purpose, name)) is not None

    def keyed_hash(self, tenant: str, kind: str, value: str) -> bytes:
        """Return 32 bytes, equal for values of a kind that are the same to a person.

        HMAC-SHA256 under the tenant's hash key of the value's normal form; for claims and search.
        """
        normal = normal_form(kind, value)
        return self._hash(tenant, b"value", kind.encode(), normal.encode())

    def fingerprint(self, tenant: str, data: bytes) -> bytes:
        """Return 32 bytes that tell a repeated request from another one under the same key."""
        return self._hash(tenant, b"fingerprint", data)

    def api_key_hash(self, secret: str) -> bytes:
        """Return the 32 bytes stored for an API key; the pepper lies with the key-encryption keys.

        Compare with `hmac.compare_digest`.
        """
        self._ready()
        return self._keks.pepper("api key", secret.encode())

    def _hash(self, tenant: str, *parts: bytes) -> bytes:
        return self._make(tenant, "hash", tenant).hash(framed(*parts))

    def _ready(self) -> None:
        if not self._checked:
            self.check()

    def _make(self, tenant: str, purpose: Purpose, subject: str) -> SubjectKey:
        """Return the key, made where there is none. Raises `Refused`: `subject.erased`."""
        try:
            for _ in range(EPOCH_TRIES):
                key = self._find(tenant, purpose, subject) or self._insert(tenant, purpose, subject)
                if key is not None:
                    return key
        except _Forgotten:
            raise Refused("subject.erased", subject=subject) from None
        raise Refused("keys.busy")

    def _find(self, tenant: str, purpose: Purpose, subject: str) -> SubjectKey | None:
        """Return the key there is, or None. Raises `_Forgotten`, `Refused`."""
        name = (tenant, purpose, subject)
        if (held := self._cache.get(name)) is not None:
            return held
        self._ready()
        _demand_ids(tenant, subject)
        fault: EpochGone | None = None
        for _ in range(EPOCH_TRIES):
            sent_at = time.monotonic()
            row = self._read(tenant, purpose, subject)
            if row is None:
                return None
            key_id = str(row.key_id) if row.key_id else None
            if key_id is None or row.epoch is None or row.wrapped is None:
                raise _Forgotten(key_id)
            bound = rotation.key_bound(tenant, purpose, subject, key_id)
            try:
                key = SubjectKey(key_id, self._keks.unwrap(row.epoch, row.wrapped, bound))
            except EpochGone as gone:
                fault = gone  # a rotation has ended since the query: its row is wrapped anew
                continue
            self._cache.put(name, key, sent_at)
            return key
        raise Refused("keys.epoch_unreadable") from fault

    def _read(self, tenant: str, purpose: Purpose, subject: str) -> _Row | None:
        with self._transaction(tenant) as cursor:
            row = cursor.execute(
                "SELECT key_id, epoch, wrapped FROM subject_keys"
                " WHERE tenant_id = %s AND purpose = %s AND subject_id = %s",
                (tenant, purpose, subject),
            ).fetchone()
        return _Row(*row) if row else None

    def _insert(self, tenant: str, purpose: Purpose, subject: str) -> SubjectKey | None:
        """Return a new key, committed; None when another process was first, or an epoch ended."""
        new = SubjectKey(str(uuid4()), os.urandom(KEY_BYTES))
        bound = rotation.key_bound(tenant, purpose, subject, new.id)
        sent_at = time.monotonic()
        try:
            with self._transaction(tenant) as cursor:
                # Without lock: should the epoch end before our commit, its foreign key refuses us.
                row = cursor.execute("SELECT max(epoch) FROM epochs").fetchone()
                epoch: int = row[0] if row else 0
                wrapped = self._keks.wrap(epoch, new.key, bound)
                cursor.execute("INSERT INTO tenants VALUES (%s) ON CONFLICT DO NOTHING", (tenant,))
                # A transaction that inserts the same subject is waited for; the first one stays.
                cursor.execute(
                    "INSERT INTO subject_keys"
                    " (tenant_id, purpose, subject_id, key_id, epoch, wrapped)"
                    " VALUES (%s, %s, %s, %s, %s, %s) ON CONFLICT DO NOTHING",
                    (tenant, purpose, subject, new.id, epoch, wrapped),
                )
                first = cursor.rowcount > 0
            # Committed. A crash here leaves a key that nothing was sealed with yet.
        except (EpochGone, errors.ForeignKeyViolation):
            return None
        if not first:
            return None
        self._cache.put((tenant, purpose, subject), new, sent_at)
        return new

    def _connection(self) -> Connection:
        """Return a connection of its own, in autocommit; it ends with the block it is used in."""
        return psycopg.connect(self._url, autocommit=True, **_CONNECTION)

    @contextmanager
    def _transaction(self, tenant: str) -> Generator[Cursor[Any]]:
        """Run a transaction in which row-level security shows this tenant's rows alone."""
        with (
            self._pooled() as connection,
            connection.transaction(),
            connection.cursor() as cursor,
        ):
            cursor.execute("SELECT set_config('counterseal.tenant', %s, true)", (tenant,))
            yield cursor

    @contextmanager
    def _pooled(self) -> Generator[Connection]:
        """Lend a connection of the pool, for a transaction."""
        connection = self._answering()
        try:
            with connection:
                yield connection
        finally:
            self._pool.putconn(connection)

    def _answering(self) -> Connection:
        """Return a connection of the pool that answers.

        After the server was restarted none that lie in the pool do. The pool's own check would
        wait a second after the first it finds, two after the next, four, ...; each is asked at once
        here."""
        for _ in range(POOL_CONNECTIONS):
            connection = self._pool.getconn()
            try:
                ConnectionPool.check_connection(connection)
            except psycopg.Error:
                self._pool.putconn(connection)
            else:
                return connection
        return self._pool.getconn()


class FieldSealer:
    """`Sealer` and `Opener` of `domain.sealing`: AES-256-GCM under the subject's own key."""

    def __init__(self, keys: KeyStore) -> None:
        self._keys = keys

    def seal(self, subject: str, text: str, context: Context) -> Sealed:
        """Return `text` sealed. Raises `Refused`: see `domain.sealing.Sealer`."""
        try:
            data = text.encode()
        except UnicodeEncodeError:  # it would carry the text along
            raise Refused("text.not_unicode", field=context.field) from None
        if len(data) > TEXT_LIMIT_BYTES:
            raise Refused("text.too_long", field=context.field, limit_bytes=TEXT_LIMIT_BYTES)
        key = self._keys.subject_key(context.tenant, subject)
        bound = bound_to(subject, key.id, FORMAT_VERSION, context)
        return Sealed(subject, key.id, box(key.key, data, bound), FORMAT_VERSION)

    def open(self, sealed: Sealed, context: Context) -> str:
        """Return the text. Raises `Unopenable`, also for a version that is not known here."""
        key = self._keys.known_key(context.tenant, sealed.subject, sealed.key)
        bound = bound_to(sealed.subject, sealed.key, sealed.v, context)
        return unbox(key, sealed.box, bound).decode()


def _demand_ids(*ids: str) -> None:
    """A wrapped key is bound to the ids as text: two spellings of one id would be two bindings."""
    if not all(map(_is_id, ids)):
        raise ValueError("tenants and subjects are named by canonical UUIDs")


def _is_id(text: str) -> bool:
    try:
        return str(UUID(text)) == text
    except ValueError:
        return False
