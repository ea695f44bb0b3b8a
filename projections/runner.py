"""Follows the log: claims read models of a tenant, folds a page of events once for all of them,
writes rows and checkpoint together.

Catching up and keeping up are one loop. Any number of workers do no harm: a claim is a row lock,
gone with its worker. The poll is the truth; a wake-up only makes it sooner.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Mapping
from typing import LiteralString
from uuid import UUID

import psycopg
from psycopg.rows import TupleRow, tuple_row

from projections.folding import EVENTS, Fold, Folded, NewerEvent, Stored
from projections.models import FOLDS
from projections.moments import Maker
from projections.recent import Recent
from projections.store import Held, apply

__all__ = ["FOLDS", "NewerEvent", "Runner"]

PAGE = 1_000
"""Events of one transaction at the most."""

STATES = 50_000
"""Folded streams a worker remembers; others are folded again from their events."""

TENANTS = 100
"""Tenants a worker looks at between two polls."""

POLL_S = 0.05
RETRY_S = 1.0
CONNECT_TIMEOUT_S = 5
STATEMENT_TIMEOUT_MS = 60_000

Conn = psycopg.Connection[TupleRow]

log = logging.getLogger("counterseal.runner")

_BEHIND: LiteralString = (
    "SELECT c.tenant_id::text FROM checkpoints c"
    " JOIN generations g USING (tenant_id, projection, generation)"
    " JOIN ledgers l USING (tenant_id)"
    " JOIN unnest(%s::text[], %s::integer[]) AS f(projection, fold)"
    " ON f.projection = c.projection AND f.fold = g.fold"
    " WHERE g.live AND c.position < l.position"
    " GROUP BY c.tenant_id ORDER BY max(l.position - c.position) DESC LIMIT %s"
)
_CLAIM: LiteralString = (
    "SELECT c.projection, c.generation, c.position, l.position FROM checkpoints c"
    " JOIN generations g USING (tenant_id, projection, generation)"
    " JOIN ledgers l USING (tenant_id)"
    " JOIN unnest(%s::text[], %s::integer[]) AS f(projection, fold)"
    " ON f.projection = c.projection AND f.fold = g.fold"
    " WHERE c.tenant_id = %s AND g.live AND c.position < l.position"
    " ORDER BY c.projection FOR UPDATE OF c SKIP LOCKED"
)


class Runner:
    """One worker. `step` does a page, `run` goes on until it is told to stop; each on one thread
    only.
    """

    def __init__(
        self, url: str, *, folds: Mapping[str, int] = FOLDS, page: int = PAGE, states: int = STATES
    ) -> None:
        self._url = url
        self._folds = (list(folds), list(folds.values()))
        self._page = page
        self._states: Recent[Folded] = Recent(states)
        self._maker = Maker(states=states)
        self._every = dict(folds) == dict(FOLDS)
        self._conn: Conn | None = None
        self._woken = threading.Event()
        self._ready: list[str] = []
        self._most: dict[str, int] = {}

    def wake(self) -> None:
        """Hint, from any thread, that there is something to do."""
        self._woken.set()

    def run(self, stop: threading.Event) -> None:
        """Follow all tenants until `stop` is set (and `wake` called, to be quick about it).

        A lost database is tried again. Raises `NewerEvent`.
        """
        while not stop.is_set():
            try:
                while not stop.is_set() and self.step():
                    pass
                self._woken.wait(POLL_S)
            except psycopg.OperationalError as fault:
                log.warning("the read models wait for the database: %s", type(fault).__name__)
                self.close()
                stop.wait(RETRY_S)
            self._woken.clear()
        self.close()

    def step(self) -> int:
        """Apply one page for one tenant that is behind; where none is, do a page of what was asked
        of the past. Return the number of its events, 0 where there is nothing to do for this
        worker.

        Raises `NewerEvent`, `psycopg.Error`.
        """
        conn = self._connection()
        if not self._ready:
            cursor = conn.execute(_BEHIND, (*self._folds, TENANTS))
            self._ready = [row[0] for row in cursor.fetchall()]
        while self._ready:  # a page each in turn: who is far behind does not keep others waiting
            done = self._turn(conn, self._ready.pop(0))
            if done:
                return done
        return self._maker.step(conn) if self._every else 0

    def close(self) -> None:
        """Close the connection; claims end with it."""
        if self._conn is not None:
            self._conn.close()
            self._conn = None

    def _connection(self) -> Conn:
        if self._conn is None or self._conn.closed:
            self._conn = psycopg.connect(
                self._url,
                autocommit=True,
                row_factory=tuple_row,
                prepare_threshold=0,
                connect_timeout=CONNECT_TIMEOUT_S,
                # A plan is kept as it was made while the tables were small.
                options=f"-c statement_timeout={STATEMENT_TIMEOUT_MS} -c enable_seqscan=off",
            )
        return self._conn

    def _turn(self, conn: Conn, tenant: str) -> int:
        """Apply a page; where the database takes a value of it for none, half of it, until the
        event is found.
        """
        most = self._most.pop(tenant, self._page)
        while True:
            try:
                done = self._advance(conn, tenant, most)
            except (psycopg.DataError, psycopg.IntegrityError) as fault:
                if most == 1:
                    return self._advance(conn, tenant, 1, unwritable=fault)
                most = max(1, most // 2)
            else:
                if most < self._page:
                    self._most[tenant] = most * 2
                return done

    def _advance(
        self, conn: Conn, tenant: str, most: int, unwritable: psycopg.Error | None = None
    ) -> int:
        """Claim what is behind, apply the next page of those that are furthest behind.

        `unwritable`: the one event of the page cannot be written; its stream goes into quarantine.
        """
        with conn.transaction():
            claimed = conn.execute(_CLAIM, (*self._folds, UUID(tenant))).fetchall()
            if not claimed:
                return 0  # another worker has it, or it is done
            conn.execute("SELECT set_config('counterseal.tenant', %s, true)", (tenant,))
            start = min(row[2] for row in claimed)
            held = [Held(*row[:3]) for row in claimed if row[2] == start]
            stop = min([row[2] for row in claimed if row[2] > start] + [row[3] for row in claimed])
            parameters = (UUID(tenant), start + 1, stop, min(most, stop - start))
            cursor = conn.cursor(binary=True).execute(EVENTS, parameters)
            events = [Stored(*row) for row in cursor.fetchall()]
            fold = Fold(conn, tenant, start, self._states)
            page = fold.page(events) if unwritable is None else fold.refused(events[0], unwritable)
            apply(conn, tenant, held, page)
        # Remembered only now: had the commit failed, these states would be ahead of the checkpoint.
        fold.remember()
        return page.position - start
