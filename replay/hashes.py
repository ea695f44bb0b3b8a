"""The hashes of the log as `append` makes them, once more in Python: leaf, tree, chain."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

from replay.sources import Stored

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
GENESIS = bytes(32)
"""The chain before the first batch."""

LONGEST_PATH = 31
"""Hashes of an audit path: a batch counts its events in 32 bits."""


def instant_bytes(instant: datetime) -> bytes:
    """Return microseconds since 1970-01-01 UTC in eight bytes, big-endian."""
    return ((instant - EPOCH) // timedelta(microseconds=1)).to_bytes(8, "big", signed=True)


def leaf(tenant: bytes, row: Stored) -> bytes:
    """Return the leaf of an event: SHA-256 of 0x00 and each column behind its length (RFC 6962).

    `tenant` is the tenant's id in sixteen bytes.
    """
    columns = (
        tenant,
        row.position.to_bytes(8, "big", signed=True),
        bytes.fromhex(row.stream_id.replace("-", "")),
        row.version.to_bytes(4, "big", signed=True),
        row.type.encode(),
        instant_bytes(row.recorded_at),
        row.actor.encode(),
        None if row.on_behalf_of is None else row.on_behalf_of.encode(),
        bytes.fromhex(row.command_id.replace("-", "")),
        None if row.causation is None else row.causation.to_bytes(8, "big", signed=True),
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
        level = _joined(level)
    return level[0]


def _joined(level: list[bytes]) -> list[bytes]:
    """Join neighbours; an odd one out moves up unchanged."""
    pairs = [
        hashlib.sha256(b"\x01" + level[i] + level[i + 1]).digest()
        for i in range(0, len(level) - 1, 2)
    ]
    return pairs + level[len(pairs) * 2 :]


def path(leaves: Sequence[bytes], index: int) -> list[bytes]:
    """Return the audit path of leaf `index` (RFC 6962, 2.1.1), from the leaf up to the root."""
    found: list[bytes] = []
    level, place = list(leaves), index
    while len(level) > 1:
        beside = place ^ 1
        if beside < len(level):
            found.append(level[beside])
        level, place = _joined(level), place // 2
    return found


def climbed(own: bytes, index: int, size: int, path: Sequence[bytes]) -> bytes | None:
    """Return the root that a leaf and its audit path amount to in a tree of `size` leaves, None
    where the path has not the length that it must have.
    """
    place, width, left = index, size, list(reversed(path))
    if not 0 <= index < size:
        return None
    while width > 1:
        if place ^ 1 < width:
            if not left:
                return None
            beside = left.pop()
            pair = beside + own if place % 2 else own + beside
            own = hashlib.sha256(b"\x01" + pair).digest()
        place, width = place // 2, (width + 1) // 2
    return None if left else own


def chain(before: bytes, tree: bytes, recorded_at: datetime) -> bytes:
    """Return the chain after a batch."""
    return hashlib.sha256(before + tree + instant_bytes(recorded_at)).digest()
