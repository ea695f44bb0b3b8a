"""Rows of `permissions` on their way to the append: what a batch closes and opens, as arrays, one a
column.

The rows are made by the read model (`projections/permissions.py`); here is only what they look like
to `append` (`projections/sql/0018_permission_rows.sql`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from functools import lru_cache
from typing import Any, Protocol

import msgspec

from domain import wire
from domain.wire import Sent, uuid_bytes


class PermissionRow(Protocol):
    """These terms are in force during `[valid_from, valid_to)`, an open end None."""

    @property
    def terms_number(self) -> int: ...
    @property
    def valid_from(self) -> datetime: ...
    @property
    def valid_to(self) -> datetime | None: ...
    @property
    def grantee(self) -> str: ...
    @property
    def number(self) -> str: ...
    @property
    def kind(self) -> str: ...
    @property
    def actions(self) -> tuple[str, ...]: ...
    @property
    def scope(self) -> Mapping[str, tuple[str, ...]]: ...
    @property
    def policy_id(self) -> str | None: ...
    @property
    def policy_version(self) -> int: ...
    @property
    def parent(self) -> str | None: ...
    @property
    def stops(self) -> Sequence[Any]: ...


Placed = tuple[int, PermissionRow]
"""The place of the row's event in the batch, from 1, and the row."""

_encoder = msgspec.json.Encoder()
_policy = lru_cache(maxsize=4096)(uuid_bytes)


def closing(rows: Sequence[Placed]) -> tuple[Sent, ...]:
    """Return the columns that name rows to be closed: event, terms, begin, grantee."""
    return (
        wire.integers([place for place, _ in rows]),
        wire.integers([row.terms_number for _, row in rows]),
        wire.instants([row.valid_from for _, row in rows]),
        wire.words([row.grantee for _, row in rows]),
    )


def opening(rows: Sequence[Placed]) -> tuple[Sent, ...]:
    """Return the columns of rows to be opened."""
    return (
        wire.integers([place for place, _ in rows]),
        wire.integers([row.terms_number for _, row in rows]),
        wire.instants([row.valid_from for _, row in rows]),
        wire.instants([row.valid_to for _, row in rows]),
        wire.words([row.grantee for _, row in rows]),
        wire.texts([row.number for _, row in rows]),
        wire.words([row.kind for _, row in rows]),
        wire.words([_array_text(row.actions) for _, row in rows]),
        wire.jsons([_encoder.encode(row.scope) for _, row in rows]),
        wire.uuids([None if row.policy_id is None else _policy(row.policy_id) for _, row in rows]),
        wire.integers([row.policy_version for _, row in rows]),
        wire.words([row.parent for _, row in rows]),
        wire.jsons([_encoder.encode(row.stops) for _, row in rows]),
    )


@lru_cache(maxsize=4096)
def _array_text(items: tuple[str, ...]) -> str:
    """Return an array as PostgreSQL reads it from text; see "Array Input and Output Syntax"."""
    quoted = (item.replace("\\", "\\\\").replace('"', '\\"') for item in items)
    return "{" + ",".join(f'"{item}"' for item in quoted) + "}"
