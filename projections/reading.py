"""Transactions that read one tenant's rows and nobody else's."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager
from typing import Any, Final

import psycopg


@contextmanager
def reading(conn: psycopg.Connection[Any], tenant: str) -> Generator[None]:
    """Begin a transaction in which row-level security lets this tenant's rows through; it ends with
    the block.

    `conn` is in autocommit: the setting goes with the transaction and never stays in a pool.
    """
    with conn.transaction():
        conn.execute(_TENANT, (tenant,))
        yield


@contextmanager
def walking(conn: psycopg.Connection[Any], tenant: str) -> Generator[None]:
    """Begin a transaction as `reading` does, that reads along indexes alone.

    Every list has an index in its order. A planner that knows nothing of the rows yet would rather
    read all of them and sort, and that plan is kept when they have become many; so it is told not
    to, in this transaction only.
    """
    with conn.transaction():
        conn.execute(_WALK, (tenant,))
        yield


_TENANT: Final = "SELECT set_config('counterseal.tenant', %s, true)"
_WALK: Final = (
    "SELECT set_config('counterseal.tenant', %s, true), set_config('enable_seqscan', 'off', true),"
    " set_config('enable_bitmapscan', 'off', true), set_config('enable_sort', 'off', true),"
    " set_config('enable_incremental_sort', 'off', true),"
    " set_config('enable_hashjoin', 'off', true), set_config('enable_mergejoin', 'off', true)"
)
