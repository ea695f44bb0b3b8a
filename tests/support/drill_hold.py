"""What makes an append stop after its inserts, and whoever ends its session there; and an appender
that takes no lock."""

from __future__ import annotations

import random
import threading
from types import TracebackType
from typing import Any

import psycopg

from api.provisioning import Database
from tests.support.owner import superuser

HELD_AT_MOST_S = 5


def hold_one_in(database: Database, number: int) -> None:
    """Let every so many-th append sleep after it inserted its events and its batch."""
    with superuser(database) as conn:
        conn.execute("CREATE SEQUENCE appends_counted")
        conn.execute("GRANT USAGE ON SEQUENCE appends_counted TO counterseal_owner")
        conn.execute(
            f"""
            CREATE FUNCTION hold_some() RETURNS trigger LANGUAGE plpgsql AS $$
            BEGIN
                IF nextval('public.appends_counted') % {number} = 0 THEN
                    PERFORM pg_sleep({HELD_AT_MOST_S});
                END IF;
                RETURN NULL;
            END $$
            """.encode()
        )
        conn.execute(
            "CREATE TRIGGER hold_some AFTER INSERT ON batches"
            " FOR EACH ROW EXECUTE FUNCTION hold_some()"
        )


class Reaper:
    """Ends the sessions that are held, from another session, each a moment after it stopped."""

    def __init__(self, database: Database, seed: int) -> None:
        self.ended = 0
        self._conn = superuser(database)
        self._chance = random.Random(seed)
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def __enter__(self) -> Reaper:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        fault: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._stop.set()
        self._thread.join(10)
        self._conn.close()

    def _run(self) -> None:
        while not self._stop.wait(0.02):
            held = self._conn.execute(
                "SELECT pid FROM pg_stat_activity"
                " WHERE datname = current_database() AND wait_event = 'PgSleep'"
            ).fetchall()
            for (pid,) in held:
                self._stop.wait(self._chance.uniform(0, 0.1))
                row = self._conn.execute("SELECT pg_terminate_backend(%s, 5000)", (pid,)).fetchone()
                self.ended += row == (True,)


def make_unlocked(database: Database) -> None:
    """Make an appender that takes its position from a sequence, and no lock."""
    with superuser(database) as conn:
        conn.execute("CREATE SEQUENCE unlocked_positions")
        conn.execute(
            """
            CREATE FUNCTION append_unlocked(p_tenant uuid) RETURNS bigint LANGUAGE plpgsql AS $$
            DECLARE v_position bigint := nextval('unlocked_positions');
            BEGIN
                INSERT INTO events (tenant_id, position, stream_id, version, type, recorded_at,
                                    actor, command_id, data)
                VALUES (p_tenant, v_position, gen_random_uuid(), 1, 'person.registered.1',
                        clock_timestamp(), 'service:drill', gen_random_uuid(), '{}');
                RETURN v_position;
            END $$
            """
        )


def append_unlocked(conn: psycopg.Connection[Any], tenant: str) -> int:
    """Append one event without the lock; return its position."""
    row = conn.execute("SELECT append_unlocked(%s)", (tenant,)).fetchone()
    assert row is not None
    return row[0]
