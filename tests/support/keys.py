"""A key database for one test module, emptied for each test, and what it takes to use it."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import psycopg
import pytest
from psycopg.conninfo import make_conninfo

from api.provisioning import Database
from api.vault import KeyFile
from domain.errors import Refused
from domain.sealing import Context

OCTOBER = datetime(2026, 10, 15, tzinfo=UTC)
NOVEMBER = datetime(2026, 11, 1, tzinfo=UTC)
DECEMBER = datetime(2026, 12, 1, tzinfo=UTC)
SHORT_LIFE_SECONDS = 0.05


def fresh_id() -> str:
    return str(uuid.uuid4())


def place(tenant: str, field: str = "reason") -> Context:
    """A context somewhere in the tenant."""
    return Context(tenant, fresh_id(), fresh_id(), field)


def as_superuser(database: Database) -> psycopg.Connection[Any]:
    """A connection to the key database that no role and no row-level security holds back."""
    url = make_conninfo(database.admin or "", dbname=f"{database.name}_keys")
    return psycopg.connect(url, autocommit=True)


def emptied(database: Database) -> Database:
    """The same database without a key: as after its first migration."""
    with as_superuser(database) as connection:
        connection.execute("TRUNCATE subject_keys, epochs, tenants")
    return database


def code_of(act: Callable[..., object], *args: object) -> str:
    """The code with which `act` is refused; it must be."""
    with pytest.raises(Refused) as caught:
        act(*args)
    return caught.value.code


class Interrupted(KeyFile):
    """A key file around whose next wrap, or before whose next unwrap, something happens."""

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        self.before_wrap: Callable[[], object] | None = None
        self.after_wrap: Callable[[], object] | None = None
        self.before_unwrap: Callable[[], object] | None = None

    def wrap(self, epoch: int, key: bytes, bound: bytes) -> bytes:
        self._happen("before_wrap")
        wrapped = super().wrap(epoch, key, bound)
        self._happen("after_wrap")
        return wrapped

    def unwrap(self, epoch: int, wrapped: bytes, bound: bytes) -> bytes:
        self._happen("before_unwrap")
        return super().unwrap(epoch, wrapped, bound)

    def _happen(self, moment: str) -> None:
        happen = getattr(self, moment)
        setattr(self, moment, None)  # once
        if happen:
            happen()
