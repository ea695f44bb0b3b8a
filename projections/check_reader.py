"""What memory reads through: asynchronous connections of the service's role, every wait bounded."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, LiteralString
from uuid import UUID

import psycopg
from psycopg.rows import TupleRow, tuple_row
from psycopg_pool import AsyncConnectionPool

from domain.values import Instant
from projections import check_rows
from projections.check_rows import CheckTail, Loaded
from projections.checks import Decision
from projections.material import Right

MAX_TOUCHED = 20_000
"""Positions since the last look beyond which a process forgets everything instead of reading what
was touched.
"""

POOL_SIZE = 4
CONNECT_TIMEOUT_S = 2
STATEMENT_TIMEOUT_MS = 5_000
POOL_TIMEOUT_S = 2.0

Conn = psycopg.AsyncConnection[TupleRow]


class CheckReader:
    """Reads from the database at `url`; `open` it in the event loop it is used from."""

    def __init__(self, url: str, *, pool_size: int = POOL_SIZE) -> None:
        self._tries = pool_size + 1
        self._pool: AsyncConnectionPool[Conn] = AsyncConnectionPool(
            url,
            min_size=1,
            max_size=pool_size,
            open=False,
            timeout=POOL_TIMEOUT_S,
            reconnect_timeout=0.0,
            kwargs={
                "autocommit": True,
                "prepare_threshold": 0,
                "row_factory": tuple_row,
                "connect_timeout": CONNECT_TIMEOUT_S,
                "keepalives_idle": 5,
                "keepalives_interval": 2,
                "keepalives_count": 3,
                "tcp_user_timeout": STATEMENT_TIMEOUT_MS,
                "options": f"-c statement_timeout={STATEMENT_TIMEOUT_MS}",
            },
        )

    async def open(self) -> None:
        """Begin to connect; does not wait for the database."""
        await self._pool.open()

    async def close(self) -> None:
        """Close the connections."""
        await self._pool.close()

    async def tail(self, tenant: str, after: int) -> CheckTail:
        """Return the head and what was touched after a position. Raises `Refused`:
        `tenant.unknown`.
        """
        return check_rows.tail(await self._row(check_rows.TAIL, (UUID(tenant), after, MAX_TOUCHED)))

    async def load(
        self, tenant: str, subjects: Sequence[str], points: Sequence[str], as_of: int | None
    ) -> Loaded:
        """Return what checks of these subjects on these points rest on. Raises `Refused`:
        `tenant.unknown`.
        """
        parameters = check_rows.check_parameters(tenant, subjects, points, as_of)
        return check_rows.loaded(await self._row(check_rows.CHECK, parameters), subjects, points)

    async def gone(self, decision: Decision) -> tuple[Right, ...]:
        """Return the subject's grants of which no row is left."""
        return check_rows.gone(
            await self._row(check_rows.GONE, check_rows.gone_parameters(decision))
        )

    async def position_at(self, tenant: str, at: Instant) -> int:
        """Return the last position recorded at or before an instant; 0 where there was none."""
        row = await self._row(check_rows.POSITION_AT, (UUID(tenant), at))
        return 0 if row is None else row[0]

    async def _row(self, statement: LiteralString, parameters: tuple[Any, ...]) -> TupleRow | None:
        """Ask once more on another connection where one turns out to be lost: a read does no harm
        twice.
        """
        for left in reversed(range(self._tries)):
            conn = await self._pool.getconn()
            try:
                cursor = await conn.cursor(binary=True).execute(statement, parameters, prepare=True)
                return await cursor.fetchone()
            except psycopg.OperationalError:
                if not left or not conn.closed:
                    raise
            finally:
                await self._pool.putconn(conn)
        return None
