"""A transaction that reads one tenant's rows and nobody else's."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager
from typing import Any

import psycopg


@contextmanager
def reading(conn: psycopg.Connection[Any], tenant: str) -> Generator[None]:
    """Begin a transaction in which row-level security lets this tenant's rows through; it ends with
    the block.

    `conn` is in autocommit: the setting goes with the transaction and never stays in a pool.
    """
    with conn.transaction():
        conn.execute("SELECT set_config('counterseal.tenant', %s, true)", (tenant,))
        yield
