"""Moments: the read models as they stood at a position, asked for by the doors, filled by the same
fold as the live ones, kept for whoever pages through them, dropped when nobody asks any more.

The rows of moment m lie in the read models' own tables under generation -m, so the queries of now
answer for then once `choose` was called in their transaction.
"""

from __future__ import annotations

import logging
import time
from datetime import datetime
from typing import Any, Final, LiteralString, NamedTuple
from uuid import UUID

import msgspec
import psycopg
from psycopg import sql
from psycopg.rows import TupleRow, tuple_row

from projections import duties, history
from projections.folding import EVENTS, Fold, Folded, Horizon, Stored
from projections.models import FOLDS, SERIES_MODELS, STREAM_MODELS
from projections.reading import reading
from projections.recent import Recent
from projections.store import Held, apply

MOMENTS: Final = 16
"""Moments of a tenant that are kept; beyond them those nobody has asked for the longest go."""

BEING_MADE: Final = 4
"""Moments of a tenant that may wait to be filled; who asks for another has to ask again."""

UNASKED_HOURS: Final = 24
"""For so long a moment is kept that nobody asks for."""

PAGE: Final = 250
"""Events of one transaction at the most; so long what is live may have to wait."""

STATES: Final = 50_000
"""Folded streams remembered while a moment is filled; others are folded again."""

DROPPED_ROWS: Final = 5_000
"""Rows of a table that are deleted in one transaction."""

TIDY_S: Final = 30.0
"""Between two looks for what nobody asks for any more."""

Conn = psycopg.Connection[TupleRow]

log = logging.getLogger("counterseal.runner")

_TABLES: Final = (
    *(model.name for model in (*STREAM_MODELS, *SERIES_MODELS)),
    duties.NAME,
    "person_merges",
    history.NAME,
    "history_keys",
)

_FOLDS: Final = msgspec.json.encode(dict(FOLDS), order="deterministic").decode()

# --- the doors ------------------------------------------------------------------------------------


class Asked(NamedTuple):
    """A moment that was asked for: its number (None: too many wait, ask again), whether it is
    ready, and the position up to which it is filled.
    """

    moment: int | None
    ready: bool
    done: int


def ask(
    conn: psycopg.Connection[Any], tenant: str, position: int, happened: datetime | None
) -> Asked:
    """Return the moment of a position that the log has reached; it is made where there is none.

    `happened`: only acts at or before that instant.
    """
    row = (
        conn.cursor(row_factory=tuple_row)
        .execute(_ASK, (UUID(tenant), position, happened, _FOLDS, BEING_MADE))
        .fetchone()
    )
    if row is None or row[0] is None:
        return Asked(None, ready=False, done=0)
    return Asked(row[0], ready=row[1], done=row[2])


def choose(conn: psycopg.Connection[Any], tenant: str, moment: int) -> bool:
    """Let the transaction that `conn` is in read as of a moment; False where it is there no more.

    It stays as long as the transaction does.
    """
    row = conn.cursor(row_factory=tuple_row).execute(_CHOOSE, (UUID(tenant), moment)).fetchone()
    return row is not None and row[0]


def standing(conn: psycopg.Connection[Any], tenant: str) -> tuple[int, int]:
    """Return the head, and the position that all live read models have got to."""
    row = (
        conn.cursor(row_factory=tuple_row)
        .execute(_STANDING, (list(FOLDS), UUID(tenant)))
        .fetchone()
    )
    return (0, 0) if row is None else (row[0], row[1])


def generation(conn: psycopg.Connection[Any], tenant: str, projection: str) -> int:
    """Return the generation of a read model that is read: in a transaction that reads a moment the
    moment's.
    """
    with reading(conn, tenant):
        row = conn.cursor(row_factory=tuple_row).execute(_CHOSEN, (projection,)).fetchone()
    return 0 if row is None else row[0] or 0


def settle(conn: psycopg.Connection[Any], tenant: str, position: int) -> bool:
    """Let the transaction that `conn` is in, one that sees a single snapshot, read the live rows as
    of a position; False where they are not those of this position.
    """
    if standing(conn, tenant) != (position, position):
        return False
    conn.execute("SELECT set_config('counterseal.known', %s, true)", (str(position),))
    return True


def recorded_at(conn: psycopg.Connection[Any], tenant: str, position: int) -> datetime | None:
    """Return when a position was recorded; None before the first one."""
    with reading(conn, tenant):
        row = conn.cursor(row_factory=tuple_row).execute(_RECORDED, (position,)).fetchone()
    return None if row is None else row[0]


def position_at(conn: psycopg.Connection[Any], tenant: str, at: datetime) -> int:
    """Return the last position recorded at or before an instant; 0 where there was none."""
    row = conn.cursor(row_factory=tuple_row).execute(_POSITION_AT, (UUID(tenant), at)).fetchone()
    return 0 if row is None else row[0]


# --- the worker -----------------------------------------------------------------------------------


class _Work(NamedTuple):
    """A moment to be filled."""

    tenant: str
    moment: int
    position: int
    happened: datetime | None
    done: int


class Maker:
    """Fills moments and drops them, a page at a time, each page a transaction of its own."""

    def __init__(self, *, page: int = PAGE, states: int = STATES) -> None:
        self._page = page
        self._most = page
        self._limit = states
        self._of: tuple[str, int] | None = None
        self._states: Recent[Folded] = Recent(states)
        self._tidied = -TIDY_S
        self._dropping = True

    def step(self, conn: Conn) -> int:
        """Do a page of work on `conn`, in autocommit; return 0 where there is none.

        What is to be filled goes first, the one with the least left before others. Raises
        `NewerEvent`, `psycopg.Error`.
        """
        done = self._filled(conn)
        if done:
            return done
        if time.monotonic() - self._tidied >= TIDY_S:
            self._tidied = time.monotonic()
            self._dropping = self.forget(conn) > 0 or self._dropping
        if self._dropping:
            self._dropping = self._dropped(conn)
        return int(self._dropping)

    def forget(self, conn: Conn) -> int:
        """Mark what is kept beyond the limits; return how many were. Who reads one keeps it."""
        # A crash behind this commit leaves rows nobody can choose; the next worker deletes them.
        return conn.execute(_FORGET, (MOMENTS, UNASKED_HOURS)).rowcount

    def _filled(self, conn: Conn) -> int:
        """Fill a page; where the database does not take a value of it, half of it, until the event
        is found.
        """
        while True:
            try:
                return self._fill(conn)
            except (psycopg.DataError, psycopg.IntegrityError) as fault:
                if self._most == 1:
                    return self._fill(conn, unwritable=fault)
                self._most = max(1, self._most // 2)

    def _fill(self, conn: Conn, unwritable: psycopg.Error | None = None) -> int:
        with conn.transaction():
            row = conn.execute(_CLAIM, (_FOLDS,)).fetchone()
            if row is None:
                return 0
            work = _Work(*row)
            conn.execute("SELECT set_config('counterseal.tenant', %s, true)", (work.tenant,))
            if self._of != (work.tenant, work.moment):
                self._of, self._states = (work.tenant, work.moment), Recent(self._limit)
            most = min(self._most, work.position - work.done)
            asked = (UUID(work.tenant), work.done + 1, work.position, most)
            cursor = conn.cursor(binary=True).execute(EVENTS, asked)
            events = [Stored(*one) for one in cursor.fetchall()]
            horizon = Horizon(work.happened)
            fold = Fold(conn, work.tenant, work.done, self._states, horizon)
            page = fold.page(events) if unwritable is None else fold.refused(events[0], unwritable)
            # What cannot be applied here stops its stream here alone: what is live is not touched.
            page.quarantined.clear()
            apply(conn, work.tenant, [Held(name, -work.moment, work.done) for name in FOLDS], page)
            ready = page.position == work.position
            conn.execute(_DONE, (page.position, ready, UUID(work.tenant), work.moment))
        # A crash before the commit leaves the page undone, after it done; nothing is done twice.
        fold.remember()
        self._most = min(self._page, self._most * 2)
        if ready:
            self._of, self._states, self._tidied = None, Recent(self._limit), -TIDY_S
            log.info("the past of tenant %s at %d is ready", work.tenant, work.position)
        return page.position - work.done

    def _dropped(self, conn: Conn) -> bool:
        """Delete a part of one that was dropped; False where there is none."""
        with conn.transaction():
            row = conn.execute(_DROPPED).fetchone()
            if row is None:
                return False
            tenant, moment = row
            conn.execute("SELECT set_config('counterseal.tenant', %s, true)", (tenant,))
            given = {"tenant": UUID(tenant), "generation": -moment, "most": DROPPED_ROWS}
            left = False
            for table in _TABLES:
                gone = conn.execute(_DELETE.format(sql.Identifier(table)), given).rowcount
                left = left or gone == DROPPED_ROWS
            if not left:
                conn.execute(_GONE, (UUID(tenant), moment))
        return True


_ASK: Final[LiteralString] = (
    "SELECT o_moment, o_ready, o_done"
    " FROM ask_moment(%s, %s::bigint, %s::timestamptz, %s::jsonb, %s::integer)"
)
_CHOOSE: Final[LiteralString] = "SELECT choose_moment(%s, %s::integer)"
_POSITION_AT: Final[LiteralString] = "SELECT read_position_at(%s, %s::timestamptz)"
_CHOSEN: Final[LiteralString] = "SELECT chosen(%s)"
_STANDING: Final[LiteralString] = (
    "SELECT l.position, (SELECT min(c.position) FROM generations g"
    " JOIN checkpoints c USING (tenant_id, projection, generation)"
    " WHERE g.tenant_id = l.tenant_id AND g.live AND g.projection = ANY (%s))"
    " FROM ledgers l WHERE l.tenant_id = %s"
)
_RECORDED: Final[LiteralString] = (
    "SELECT recorded_at FROM batches WHERE tenant_id = current_tenant() AND first_position <= %s"
    " ORDER BY first_position DESC LIMIT 1"
)
# The live read models go first: where they have not come so far, they have yet to say which streams
# are in quarantine.
_CLAIM: Final[LiteralString] = (
    "SELECT m.tenant_id::text, m.moment, m.position, m.happened, m.done FROM moments m"
    " WHERE m.state = 'asked' AND m.folds = %s::jsonb AND NOT EXISTS ("
    "  SELECT 1 FROM generations g JOIN checkpoints c USING (tenant_id, projection, generation)"
    "  WHERE g.tenant_id = m.tenant_id AND g.live AND c.position < m.position"
    "  AND m.folds ? g.projection)"
    " ORDER BY m.position - m.done, m.moment LIMIT 1 FOR UPDATE OF m SKIP LOCKED"
)
_DONE: Final[LiteralString] = (
    "UPDATE moments SET done = %s, state = CASE WHEN %s THEN 'ready' ELSE state END,"
    " asked_at = clock_timestamp() WHERE tenant_id = %s AND moment = %s"
)
_FORGET: Final[LiteralString] = (
    "WITH old AS (SELECT tenant_id, moment FROM (SELECT tenant_id, moment, asked_at,"
    "  row_number() OVER (PARTITION BY tenant_id ORDER BY asked_at DESC, moment DESC) AS place"
    "  FROM moments WHERE state <> 'dropped') x"
    "  WHERE place > %s OR asked_at < clock_timestamp() - %s * interval '1 hour'),"
    " free AS (SELECT m.tenant_id, m.moment FROM moments m JOIN old USING (tenant_id, moment)"
    "  WHERE m.state <> 'dropped' FOR UPDATE OF m SKIP LOCKED)"
    " UPDATE moments m SET state = 'dropped' FROM free"
    " WHERE m.tenant_id = free.tenant_id AND m.moment = free.moment"
)
_DROPPED: Final[LiteralString] = (
    "SELECT tenant_id::text, moment FROM moments WHERE state = 'dropped'"
    " ORDER BY moment LIMIT 1 FOR UPDATE SKIP LOCKED"
)
_DELETE: Final = sql.SQL(
    "DELETE FROM {0} WHERE tenant_id = %(tenant)s AND generation = %(generation)s"
    " AND ctid = ANY (ARRAY(SELECT ctid FROM {0} WHERE tenant_id = %(tenant)s"
    " AND generation = %(generation)s LIMIT %(most)s))"
)
_GONE: Final[LiteralString] = "DELETE FROM moments WHERE tenant_id = %s AND moment = %s"
