"""Holding a tenant's head row from outside, so that whatever comes meanwhile waits for it."""

from __future__ import annotations

import time
from types import TracebackType

import psycopg

from api.provisioning import Database
from tests.support.owner import superuser

PATIENCE_S = 10.0


class Held:
    """Takes the head row's lock at once; `let_go` (or leaving the `with`) gives it back."""

    def __init__(self, database: Database, tenant: str) -> None:
        self._watch = superuser(database)  # activity is seen once a transaction, so apart
        self._conn = superuser(database)
        self._conn.autocommit = False
        try:
            self._conn.execute("SELECT 1 FROM ledgers WHERE tenant_id = %s FOR UPDATE", (tenant,))
        except psycopg.Error:
            self._conn.close()
            raise

    def __enter__(self) -> Held:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        fault: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.let_go()

    def waiting(self) -> int:
        """How many sessions of this database wait for a lock."""
        row = self._watch.execute(
            "SELECT count(*) FROM pg_locks l JOIN pg_stat_activity a USING (pid)"
            " WHERE NOT l.granted AND a.datname = current_database()"
        ).fetchone()
        return 0 if row is None else int(row[0])

    def until(self, number: int) -> None:
        """Return once so many wait."""
        end = time.monotonic() + PATIENCE_S
        while self.waiting() < number:
            if time.monotonic() > end:
                self.let_go()
                raise TimeoutError(f"{number} never came to wait")
            time.sleep(0.002)

    def let_go(self) -> None:
        """Let those who wait go on, in the order the server wakes them."""
        if not self._conn.closed:
            self._conn.rollback()
            self._conn.close()
            self._watch.close()
