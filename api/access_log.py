"""Who looked, and who was turned away: refused commands, failed logins, exports, unmasked reads,
reads through a share.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Mapping
from typing import Any, Final, LiteralString

import msgspec
import structlog
from psycopg import Error
from psycopg_pool import ConnectionPool, PoolTimeout

from api.ids import new_id
from api.threads import Threads
from domain.errors import Refused
from domain.values import Party

FAILED_LOGINS_A_MINUTE: Final = 600
"""Rows a process writes for failed logins; what comes on top is counted in the log only, so that
nobody fills the table without a key.
"""

ROW: LiteralString = "SELECT log_access(%s::uuid, %s::uuid, %s, %s::uuid, %s, %s, %s::uuid, %s, %s)"
SHARED: LiteralString = (
    "SELECT log_shared_read(%s::uuid, %s::uuid, %s::uuid, %s, %s, %s::uuid, %s::uuid, %s,"
    " %s::jsonb)"
)

log: Any = structlog.get_logger("counterseal.access")


class AccessLog:
    """Writes rows of `access_log` under the service's role, which can only add to it."""

    def __init__(self, pool: ConnectionPool[Any], threads: Threads) -> None:
        self._pool = pool
        self._threads = threads
        self._failed: deque[float] = deque()

    async def unmasked_read(
        self, tenant: str, key: str, party: Party, operation: str, stream: str | None, purpose: str
    ) -> None:
        """Record an unmasked read that is about to happen.

        Raises `Refused` `access_log.unreachable`: then the read must not happen. A crash right
        after it leaves a row for a read that nobody got, never the other way round.
        """
        await self._must(
            (tenant, new_id(), "unmasked_read", key, party.ref, operation, stream, None, purpose)
        )

    async def shared_read(
        self,
        tenant: str,
        key: str,
        party: Party,
        operation: str,
        *,
        customer: str,
        grant: str,
        purpose: str,
        fields: Mapping[str, str],
    ) -> None:
        """Record that a customer is about to be read through a share; `fields`: each with its
        level.

        Raises `Refused` `access_log.unreachable`: then the read must not happen. A crash right
        after it leaves a row for a read that nobody got, never the other way round.
        """
        row = (tenant, new_id(), key, party.ref, operation, customer, grant, purpose)
        await self._must((*row, msgspec.json.encode(fields).decode()), SHARED)

    async def export(self, tenant: str, key: str, party: Party, operation: str) -> None:
        """Record an export that is about to begin. Raises `Refused` `access_log.unreachable`."""
        await self._must((tenant, new_id(), "export", key, party.ref, operation, None, None, None))

    async def refused(
        self, tenant: str, key: str, party: Party, operation: str, stream: str | None, code: str
    ) -> None:
        """Record a command that was refused; where that fails the refusal stands all the same."""
        row = (tenant, new_id(), "refused", key, party.ref, operation, stream, code, None)
        await self._try(row)

    async def login_failed(self, tenant: str, key: str | None, operation: str) -> None:
        """Record a key that was not accepted; `tenant` is what it claimed, known or not."""
        now = time.monotonic()
        while self._failed and self._failed[0] < now - 60:
            self._failed.popleft()
        log.warning("login failed", tenant=tenant, key=key, operation=operation)
        if len(self._failed) < FAILED_LOGINS_A_MINUTE:
            self._failed.append(now)
            await self._try(
                (tenant, new_id(), "login_failed", key, None, operation, None, None, None)
            )

    async def _must(self, row: tuple[str | None, ...], statement: LiteralString = ROW) -> None:
        try:
            await self._threads.run(self._write, row, statement)
        except (Error, PoolTimeout, Refused) as fault:
            raise Refused("access_log.unreachable") from fault

    async def _try(self, row: tuple[str | None, ...]) -> None:
        try:
            await self._threads.run(self._write, row)
        except (Error, PoolTimeout, Refused) as fault:
            log.error("access log out of reach", kind=row[2], fault=type(fault).__name__)

    def _write(self, row: tuple[str | None, ...], statement: LiteralString = ROW) -> None:
        with self._pool.connection() as connection:
            connection.execute(statement, row)
