"""From an Authorization header to a Caller: one look-up a key and moment, a bound on each key."""

from __future__ import annotations

import asyncio
import time
from datetime import UTC, datetime
from typing import Any, Final, Protocol

from psycopg.rows import tuple_row
from psycopg_pool import ConnectionPool

from api.access_log import AccessLog
from api.identity import (
    RESERVED,
    Believed,
    Caller,
    KeyMemory,
    KeyRow,
    Pepper,
    Token,
    parse,
    proved,
)
from api.threads import Threads
from domain.errors import Refused
from domain.values import Party

NO_TENANT: Final = "00000000-0000-0000-0000-000000000000"
"""Under which failed logins are written that name no tenant."""


class StaffPersons(Protocol):
    """What is needed of `domain.ledger.Ledgers`."""

    def load(self, tenant: str, kind: str, stream_id: str) -> Any:
        """Return version and state of a stream."""
        ...


class Slot:
    """One request of a key among those under way."""

    __slots__ = ("_key", "_limit", "_open")

    def __init__(self, opened: dict[str, int], key: str, limit: int) -> None:
        self._open = opened
        self._key = key
        self._limit = limit

    def __enter__(self) -> None:
        under_way = self._open.get(self._key, 0)
        if under_way >= self._limit:
            raise Refused("request.too_many", limit=self._limit)
        self._open[self._key] = under_way + 1

    def __exit__(self, *_: object) -> None:
        left = self._open[self._key] - 1
        if left:
            self._open[self._key] = left
        else:
            del self._open[self._key]


class Gate:
    """Proves keys. Of many requests with one unknown key only one asks the database."""

    def __init__(
        self,
        pool: ConnectionPool[Any],
        pepper: Pepper,
        ledgers: StaffPersons,
        threads: Threads,
        access_log: AccessLog,
        requests_a_key: int,
    ) -> None:
        self._pool = pool
        self._pepper = pepper
        self._ledgers = ledgers
        self._threads = threads
        self._access_log = access_log
        self._requests_a_key = requests_a_key
        self._memory = KeyMemory()
        self._asking: dict[str, asyncio.Future[Caller | None]] = {}
        self._open: dict[str, int] = {}

    async def enter(self, authorization: bytes | None, operation: str) -> Caller:
        """Return who calls. Raises `Refused`: `login.missing`, `login.failed`."""
        if authorization is None:
            raise Refused("login.missing")
        scheme, _, value = authorization.decode("latin-1").partition(" ")
        token = value.strip()
        if scheme.lower() != "bearer" or not token:
            raise Refused("login.missing")
        known = self._memory.get(token)
        if known is not None:
            return known
        parts = parse(token)
        caller = None if parts is None else await self._ask(token, parts)
        if caller is None:
            tenant, key = (parts.tenant, parts.key_id) if parts else (NO_TENANT, None)
            await self._access_log.login_failed(tenant, key, operation)
            raise Refused("login.failed")
        return caller

    def slot(self, caller: Caller) -> Slot:
        """Return what counts a request while it is under way; entering it raises `Refused`
        `request.too_many`.
        """
        return Slot(self._open, caller.key_id, self._requests_a_key)

    async def _ask(self, token: str, parts: Token) -> Caller | None:
        asking = self._asking.get(token)
        if asking is None:
            asking = asyncio.ensure_future(self._prove(token, parts))
            self._asking[token] = asking
            asking.add_done_callback(lambda _: self._asking.pop(token, None))
        return await asyncio.shield(asking)

    async def _prove(self, token: str, parts: Token) -> Caller | None:
        sent_at = time.monotonic()
        found = await self._threads.run(self._look, parts)
        if found is None:
            return None
        caller, ends_at = found
        self._memory.put(token, Believed(caller, ends_at, sent_at))
        return caller

    def _look(self, parts: Token) -> tuple[Caller, datetime | None] | None:
        """Return whose key it is and when it ends; None where it opens nothing."""
        hashed = self._pepper.api_key_hash(parts.secret)
        with (
            self._pool.connection() as connection,
            connection.cursor(row_factory=tuple_row) as asked,
        ):
            found = asked.execute(
                "SELECT * FROM find_key_secrets(%s::uuid, %s::uuid)", (parts.tenant, parts.key_id)
            ).fetchone()
            row = KeyRow(*found) if found else None
            proof = proved(row, hashed, datetime.now(UTC))
            if row is None or proof is None:
                return None
            if Party(row.party) in RESERVED:  # a row that no command line of ours has made
                return None
            if self._memory.untouched(parts.key_id):
                asked.execute("SELECT touch_key(%s::uuid, %s::uuid)", (parts.tenant, parts.key_id))
        return self.caller(parts.tenant, parts.key_id, row), proof.ends_at

    def caller(self, tenant: str, key_id: str, row: KeyRow) -> Caller:
        """Return whoever holds a key that was proved. Blocks."""
        party, works_here = self._party(tenant, row)
        return Caller(tenant, key_id, party, frozenset(row.scopes), works_here)

    def _party(self, tenant: str, row: KeyRow) -> tuple[Party, bool]:
        """Return who it is, and whether they work here if they are staff.

        A customer's person stands in the key, a staff member's in their own stream."""
        party = Party(row.party, str(row.person) if row.person else None)
        if party.kind != "staff":
            return party, True
        state = self._ledgers.load(tenant, "staff", party.id).state
        return (party, False) if state is None else (Party(party.ref, state.person), state.active)
