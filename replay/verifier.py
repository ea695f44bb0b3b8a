"""Compares the live tables with the log all the time: what was just written as the log grows, and
every stream again and again, so that a row changed behind the service's back is found.

A turn is one snapshot: some streams are folded from their first event and held against their rows
in every live read model, with the code that `counterseal-audit compare` runs. Between two turns it
sleeps, so that it never works more than its share of the time. Any number of workers do no
harm: a tenant's turn is a row lock.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Mapping, Sequence
from typing import Any, Final, NamedTuple

import psycopg
from psycopg.rows import tuple_row

from projections import history, inline
from projections.folding import NewerEvent
from projections.recent import Recent
from projections.tables import TABLES
from replay import verifier_statements as statements
from replay.findings import COUNT, findings, write, write_strays
from replay.quarantine import DIFFERS
from replay.rebuild_plan import FOLDS, Conn
from replay.sources import TenantRow
from replay.strays import NAMES, strays
from replay.stream_rows import Live, differing, events_of, folded, live_models

SHARE: Final = 0.1
"""Of its time that it works at the most, waiting for the database included: a tenth of one
processor, whatever the processor does in it.
"""

TURN_EVENTS: Final = 100
"""Events of one turn, one stream's at least: for so long others may wait for the interpreter."""

PAGE: Final = 2_000
"""Positions that one turn may advance by."""

SWEEP_EVERY: Final = 4
"""Of so many turns one goes on with the sweep, however much is to be followed."""

SWEEP_REST_S: Final = 60.0
"""Between two sweeps of a tenant."""

REMEMBERED: Final = 50_000
"""Streams of which is remembered as of which position they were compared."""

TENANTS: Final = 100
POLL_S: Final = 1.0
RETRY_S: Final = 5.0
FAULT_S: Final = 30.0
CONNECT_TIMEOUT_S: Final = 5
STATEMENT_TIMEOUT_MS: Final = 60_000

log = logging.getLogger("counterseal.verifier")

_AGAIN: Final = (psycopg.errors.SerializationFailure, psycopg.errors.DeadlockDetected)


class Done(NamedTuple):
    """Events folded in a turn, and whether the turn did anything."""

    events: int
    worked: bool


NOTHING: Final = Done(0, worked=False)


class _Seen(NamedTuple):
    """A stream was compared as of a position, with these generations."""

    position: int
    generations: tuple[tuple[str, int], ...]


class Verifier:
    """One worker. `step` takes a turn, `run` goes on until it is told to stop; each on one thread
    only. `url` is the projector's.
    """

    def __init__(
        self,
        url: str,
        *,
        folds: Mapping[str, int] = FOLDS,
        share: float = SHARE,
        turn: int = TURN_EVENTS,
        rest: float = SWEEP_REST_S,
    ) -> None:
        self._url = url
        self._folds = dict(folds)
        self._rests = 1 / share - 1
        self._turn = turn
        self._rest = rest
        self._conn: Conn | None = None
        self._seen: Recent[_Seen] = Recent(REMEMBERED)
        self._turns = 0
        self._tables: dict[str, int] = {}
        """Tenant -> how many tables have been looked through for strays at the end of its sweep."""

    def run(self, stop: threading.Event) -> None:
        """Compare until `stop` is set. A lost database is tried again.

        An event of a newer release ends its turn: the newer release's verifier will come to it.
        """
        while not stop.is_set():
            begun = time.monotonic()
            try:
                done = self.step()
            except psycopg.OperationalError as fault:
                log.warning("the verifier waits for the database: %s", type(fault).__name__)
                self.close()
                stop.wait(RETRY_S)
            except NewerEvent as fault:
                log.warning("the verifier does not know the event at %d", fault.position)
                stop.wait(RETRY_S)
            except Exception:  # it only looks: a defect here must not end the service
                log.exception("the verifier stumbled and will look again")
                self.close()
                stop.wait(FAULT_S)
            else:
                spent = time.monotonic() - begun
                stop.wait(spent * self._rests if done.worked else POLL_S)
        self.close()

    def step(self) -> Done:
        """Take one turn. Raises `NewerEvent`, `psycopg.Error`."""
        self._turns += 1
        turns = [self._follow_any, self._sweep_any]
        if self._turns % SWEEP_EVERY == 0:
            turns.reverse()
        try:
            for one in turns:
                done = one()
                if done.worked:
                    return done
        except _AGAIN:  # someone healed between: look again
            return Done(0, worked=True)
        return NOTHING

    def close(self) -> None:
        """Close the connection; a turn under way is undone with it."""
        if self._conn is not None:
            self._conn.close()
            self._conn = None

    def _connection(self) -> Conn:
        if self._conn is None or self._conn.closed:
            self._conn = psycopg.connect(
                self._url,
                autocommit=True,
                row_factory=tuple_row,
                connect_timeout=CONNECT_TIMEOUT_S,
                options=f"-c statement_timeout={STATEMENT_TIMEOUT_MS} -c timezone=UTC -c jit=off",
            )
            # What a turn sees is one moment: rows, checkpoints, events and quarantine agree.
            self._conn.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
        return self._conn

    def _follow_any(self) -> Done:
        conn = self._connection()
        given = {"inline": list(inline.FOLDS), "tenants": TENANTS, **self._named()}
        for (tenant,) in conn.execute(statements.BEHIND, given).fetchall():
            done = self._follow(conn, tenant)
            if done.worked:
                return done
        return NOTHING

    def _sweep_any(self) -> Done:
        conn = self._connection()
        for (tenant,) in conn.execute(statements.DUE, (self._rest, TENANTS)).fetchall():
            done = self._sweep(conn, tenant)
            if done.worked:
                return done
        return NOTHING

    def _named(self) -> dict[str, Any]:
        return {"names": list(self._folds), "folds": list(self._folds.values())}

    def _follow(self, conn: Conn, tenant: str) -> Done:
        """Compare the streams of the next positions, and say how far it has come.

        A crash before the commit leaves all of it undone; after it, what was found and how far it
        has come are there together.
        """
        with conn.transaction():
            if _turn_of(conn, tenant) is None:
                return NOTHING
            models = self._models(conn, tenant)
            known = dict(conn.execute(statements.VERIFIED, (tenant,)).fetchall())
            at = {
                name: known.get(f"{name}/{live.generation}", 0)
                for name, live in models.items()
                if known.get(f"{name}/{live.generation}", 0) < live.position
            }
            if not at:
                return NOTHING
            start = min(at.values())
            held = [name for name, position in at.items() if position == start]
            stop = min(
                [models[name].position for name in held]
                + [position for position in at.values() if position > start]
            )
            rows = conn.execute(statements.PAGE, (tenant, start, stop, PAGE)).fetchall()
            end, streams = self._choose(tenant, rows, models)
            if len(rows) < PAGE and (not rows or end == rows[-1][0]):
                end = stop
            events = self._compare(conn, tenant, streams, models)[0]
            numbers = [models[name].generation for name in held]
            conn.execute(statements.ADVANCE, (tenant, end, held, numbers))
            _count(conn, tenant)
        self._remember(tenant, streams, models)
        return Done(events, worked=True)

    def _choose(
        self, tenant: str, rows: Sequence[Any], models: Mapping[str, Live]
    ) -> tuple[int, list[str]]:
        """Return how far this turn goes, and the streams that were not compared since."""
        signature = _signature(models)
        chosen: dict[str, None] = {}
        events = end = 0
        for position, stream, version in rows:
            if stream not in chosen:
                seen = self._seen.get(tenant + stream)
                new = seen is None or seen.position < position or seen.generations != signature
                if new and chosen and events + version > self._turn:
                    break
                if new:
                    chosen[stream] = None
                    events += version
            end = position
        return end, list(chosen)

    def _sweep(self, conn: Conn, tenant: str) -> Done:
        """Compare the next streams in the order of their ids; at the end look for strays.

        Where a sweep is lies in the database, so that the next process goes on there.
        """
        with conn.transaction():
            turn = _turn_of(conn, tenant)
            if turn is None:
                return NOTHING
            begun, upto, keys = turn
            models = self._models(conn, tenant)
            if begun is None:
                if history.NAME not in models:
                    return NOTHING
                begun, upto, keys = models[history.NAME].position, None, 0
                self._tables[tenant] = 0
                conn.execute(statements.BEGIN, (begun, tenant))
            streams: list[str] = []
            events = 0
            for stream, version in conn.execute(
                statements.NEXT, (tenant, upto, tenant, self._turn)
            ):
                if streams and events + version > self._turn:
                    break
                streams.append(stream)
                events += version
            if streams:
                events, found = self._compare(conn, tenant, streams, models)
                keys += sum(position <= begun for position in found)
                conn.execute(statements.SWEPT, (streams[-1], keys, tenant))
            else:
                self._look_through(conn, tenant, models, (begun, keys))
            _count(conn, tenant)
        self._remember(tenant, streams, models)
        return Done(events, worked=True)

    def _look_through(
        self, conn: Conn, tenant: str, models: Mapping[str, Live], keys: tuple[int, int]
    ) -> None:
        """Look for strays in one table more; after the last one the sweep has come to its end."""
        number = self._tables.get(tenant, 0)
        if number >= len(NAMES):
            self._tables[tenant] = 0
            conn.execute(statements.END, (tenant,))
            return
        self._tables[tenant] = number + 1
        table = TABLES[NAMES[number]]
        live = models.get(table.projection)
        if live is None:
            return
        row = TenantRow(tenant, "", "")
        found = list(strays(conn, row, table, live, keys))
        positions = dict(conn.execute(statements.OF, (tenant, _positions(found))).fetchall())
        write_strays(conn, tenant, table.name, findings(tenant, found, positions), live.position)

    def _compare(
        self, conn: Conn, tenant: str, streams: Sequence[str], models: Mapping[str, Live]
    ) -> tuple[int, list[int]]:
        """Hold the rows of some streams against their events and write down what differs; return
        how many events there were, and the positions of their rows in `history_keys`.
        """
        if not streams:
            return 0, []
        events = events_of(conn, tenant, streams)
        since = dict(conn.execute(statements.SINCE, (tenant, DIFFERS)).fetchall())
        of = folded(tenant, events, models, since)
        differences, keys = differing(conn, tenant, models, of)
        positions = {stored.position: stored.stream_id for stored in events}
        found = findings(tenant, differences, positions)
        write(conn, tenant, found, _upto(models), streams)
        return len(events), keys

    def _models(self, conn: Conn, tenant: str) -> dict[str, Live]:
        """Return the live read models that this release's folds made."""
        found = live_models(conn, tenant, inline.FOLDS)
        return {name: live for name, live in found.items() if self._folds.get(name) == live.fold}

    def _remember(self, tenant: str, streams: Sequence[str], models: Mapping[str, Live]) -> None:
        seen = _Seen(_upto(models), _signature(models))
        for stream in streams:
            self._seen.put(tenant + stream, seen)


def _turn_of(conn: Conn, tenant: str) -> tuple[int | None, Any, int] | None:
    """Take the tenant's turn and return where its sweep is; None where another verifier has it.

    The first statement of the snapshot: whoever heals after it makes this turn fail as it ends.
    """
    conn.execute("SELECT set_config('counterseal.tenant', %s, true)", (tenant,))
    row = conn.execute(statements.TURN, (tenant,)).fetchone()
    if row is None:
        conn.execute(statements.NEW, (tenant,))
        row = conn.execute(statements.TURN, (tenant,)).fetchone()
    return None if row is None else (row[0], row[1], row[2])


def _signature(models: Mapping[str, Live]) -> tuple[tuple[str, int], ...]:
    return tuple(sorted((name, live.generation) for name, live in models.items()))


def _upto(models: Mapping[str, Live]) -> int:
    return min((live.position for live in models.values()), default=0)


def _positions(found: Sequence[Any]) -> list[int]:
    return [one.key["position"] for one in found if "position" in one.key]


def _count(conn: Conn, tenant: str) -> None:
    conn.execute(COUNT, {"tenant": tenant})
