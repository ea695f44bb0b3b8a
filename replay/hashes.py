"""The hashes of the log as `append` makes them, once more in Python: leaf, tree, chain."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from uuid import UUID

from domain.batches import StoredRow

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
GENESIS = bytes(32)
"""The chain before the first batch."""


def instant_bytes(instant: datetime) -> bytes:
    """Return microseconds since 1970-01-01 UTC in eight bytes, big-endian."""
    return ((instant - EPOCH) // timedelta(microseconds=1)).to_bytes(8, "big", signed=True)


def leaf(tenant: UUID, row: StoredRow) -> bytes:
    """Return the leaf of an event: SHA-256 of 0x00 and each column behind its length (RFC 6962)."""
    columns = (
        tenant.bytes,
        row.position.to_bytes(8, "big"),
        row.stream_id.bytes,
        row.version.to_bytes(4, "big"),
        row.type.encode(),
        instant_bytes(row.recorded_at),
        row.actor.encode(),
        None if row.on_behalf_of is None else row.on_behalf_of.encode(),
        row.command_id.bytes,
        None if row.causation is None else row.causation.to_bytes(8, "big"),
        row.data,
    )
    return hashlib.sha256(b"\x00" + b"".join(map(_prefixed, columns))).digest()


def _prefixed(column: bytes | None) -> bytes:
    if column is None:
        return (-1).to_bytes(4, "big", signed=True)
    return len(column).to_bytes(4, "big") + column


def root(leaves: Sequence[bytes]) -> bytes:
    """Return the Merkle tree hash of RFC 6962, 2.1, over leaves already hashed. Raises on none."""
    level = list(leaves)
    while len(level) > 1:
        pairs = [
            hashlib.sha256(b"\x01" + level[i] + level[i + 1]).digest()
            for i in range(0, len(level) - 1, 2)
        ]
        level = pairs + level[len(pairs) * 2 :]
    return level[0]


def chain(before: bytes, tree: bytes, recorded_at: datetime) -> bytes:
    """Return the chain after a batch."""
    return hashlib.sha256(before + tree + instant_bytes(recorded_at)).digest()
