"""A new epoch: living subject keys are wrapped anew, then the keys of old epochs are destroyed.

A forgotten key's row stays in the heap until VACUUM, and in the write-ahead log and backups after
it. Once the key-encryption key of its epoch is gone, no copy of it opens.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any, Final, LiteralString, NamedTuple

from psycopg import Connection, errors
from psycopg.rows import TupleRow

from api.vault import EpochGone, KeyEncryptionKeys
from domain.errors import Refused
from domain.sealing import Unopenable, framed

REWRAP_PAGE: Final = 500
"""Keys wrapped anew in one transaction; their rows are locked that long."""

STRAGGLER_TRIES: Final = 5
"""Passes over keys that another process still wrapped under the old epoch."""

LOCK_WAIT: Final = "1s"
_LOCK: Final = 0x73_65_61_6C
_PROOF: Final = b"counterseal: these are the keys"


class Rotation(NamedTuple):
    """What a rotation did: the epoch now open, keys wrapped anew, epochs destroyed for good."""

    epoch: int
    rewrapped: int
    destroyed: tuple[int, ...]


class Step(NamedTuple):
    """A commit point that rotation has passed; `leaves` says what a crash right after it leaves."""

    name: str
    leaves: str
    epoch: int
    rewrapped: int = 0
    destroyed: tuple[int, ...] = ()


def epoch_of(now: datetime) -> int:
    """Return year and month of an aware instant, in UTC: 202611."""
    month = now.astimezone(UTC)
    return month.year * 100 + month.month


def key_bound(tenant: str, purpose: str, subject: str, key_id: str) -> bytes:
    """Return what a wrapped key is bound to, so that it does not open in another's row."""
    parts = (tenant, purpose, subject, key_id)
    return framed(b"counterseal subject key", *(part.encode() for part in parts))


def open_epoch(connection: Connection[Any], keks: KeyEncryptionKeys, epoch: int) -> None:
    """Make the key of `epoch` and name it in the database; both may already be there.

    The connection is in autocommit. A crash between the two leaves a key that wraps nothing yet.
    """
    keks.create(epoch)
    proof = keks.wrap(epoch, _PROOF, _proof_bound(epoch))
    connection.execute(
        "INSERT INTO epochs (epoch, proof) VALUES (%s, %s) ON CONFLICT DO NOTHING", (epoch, proof)
    )


def prove(keks: KeyEncryptionKeys, epoch: int, proof: bytes) -> None:
    """See that `keks` holds the key `epoch` was opened with. Raises `EpochGone`, `Unopenable`."""
    keks.unwrap(epoch, proof, _proof_bound(epoch))


def _proof_bound(epoch: int) -> bytes:
    return framed(b"counterseal epoch", str(epoch).encode())


def rotate(connection: Connection[Any], keks: KeyEncryptionKeys, epoch: int) -> Rotation:
    """Take all `steps`. Raises what they raise."""
    taken = list(steps(connection, keks, epoch))
    return Rotation(taken[-1].epoch, sum(step.rewrapped for step in taken), taken[-1].destroyed)


def steps(connection: Connection[Any], keks: KeyEncryptionKeys, epoch: int) -> Iterator[Step]:
    """Rotate into `epoch`, or the newest one there is if that is later; yield after each commit.

    At each step every living key opens, because its row's epoch still has its key: the row in
    `epochs` is deleted only after the last row wrapped under it (a foreign key sees to that), the
    key itself only after that deletion is committed. Running it again finishes what a crash left.

    The connection is in autocommit and of this rotation's own: its end lets go of the lock. Raises
    `Refused`: `keys.rotating` (another process is at it), `keys.damaged` (a wrapped key does not
    open; nothing is destroyed then), `keys.busy`.
    """
    _lock(connection)
    newest: int = max(epoch, _value(connection, "SELECT max(epoch) FROM epochs") or 0)
    open_epoch(connection, keks, newest)
    yield Step("opened", "new keys go into the new epoch, old ones open under the old", newest)
    for _ in range(STRAGGLER_TRIES):
        for tenant in _tenants(connection):
            while count := _rewrap_page(connection, keks, tenant, newest):
                yield Step("rewrapped", "a page more lies in the new epoch", newest, count)
        try:
            connection.execute("DELETE FROM epochs WHERE epoch < %s", (newest,))
            break
        except errors.ForeignKeyViolation:
            continue  # a process that read `epochs` before we opened ours has inserted meanwhile
    else:
        raise Refused("keys.busy")
    yield Step("closed", "no row needs the old epochs; their keys still exist", newest)
    oldest: int = _value(connection, "SELECT min(epoch) FROM epochs")
    old = tuple(sorted(known for known in keks.epochs() if known < oldest))
    keks.destroy(old)
    yield Step("destroyed", "nothing to finish", newest, destroyed=old)


def _lock(connection: Connection[Any]) -> None:
    """Wait for a moment, because the lock of a rotation that ended goes with its server process."""
    try:
        with connection.transaction():
            connection.execute("SELECT set_config('lock_timeout', %s, true)", (LOCK_WAIT,))
            connection.execute("SELECT pg_advisory_lock(%s)", (_LOCK,))
    except errors.LockNotAvailable:
        raise Refused("keys.rotating") from None


def _tenants(connection: Connection[Any]) -> list[str]:
    rows = connection.execute("SELECT tenant_id FROM tenants ORDER BY tenant_id").fetchall()
    return [str(row[0]) for row in rows]


def _rewrap_page(
    connection: Connection[Any], keks: KeyEncryptionKeys, tenant: str, epoch: int
) -> int:
    """Wrap one page of a tenant's older keys under `epoch`; return how many, 0 at the end."""
    with connection.transaction():
        connection.execute("SELECT set_config('counterseal.tenant', %s, true)", (tenant,))
        rows = connection.execute(
            "SELECT purpose, subject_id, key_id, epoch, wrapped FROM subject_keys"
            " WHERE tenant_id = %s AND epoch < %s ORDER BY purpose, subject_id LIMIT %s FOR UPDATE",
            (tenant, epoch, REWRAP_PAGE),
        ).fetchall()
        anew = [_rewrapped(keks, tenant, row, epoch) for row in rows]
        connection.execute(
            "UPDATE subject_keys SET epoch = %s, wrapped = page.wrapped"
            " FROM unnest(%s::text[], %s::uuid[], %s::bytea[]) AS page (purpose, subject, wrapped)"
            " WHERE tenant_id = %s AND subject_keys.purpose = page.purpose"
            " AND subject_id = page.subject",
            (epoch, [row[0] for row in rows], [row[1] for row in rows], anew, tenant),
        )
        return len(rows)


def _rewrapped(keks: KeyEncryptionKeys, tenant: str, row: TupleRow, epoch: int) -> bytes:
    purpose, subject, key_id, old, wrapped = row
    bound = key_bound(tenant, purpose, str(subject), str(key_id))
    try:
        return keks.wrap(epoch, keks.unwrap(old, wrapped, bound), bound)
    except (Unopenable, EpochGone) as fault:
        raise Refused("keys.damaged", tenant=tenant, subject=str(subject), epoch=old) from fault


def _value(
    connection: Connection[Any], query: LiteralString, values: tuple[object, ...] = ()
) -> Any:
    row = connection.execute(query, values).fetchone()
    return row[0] if row else None
