"""The Postgres recorder: one tenant's log, appended in ordered batches by one function, read in one
round trip."""

from __future__ import annotations

import select
from collections.abc import Generator, Sequence
from datetime import UTC
from threading import Event as Flag
from typing import Any, LiteralString, cast
from uuid import UUID

from eventsourcing.persistence import (
    IntegrityError,
    InterfaceError,
    Notification,
    OperationalError,
    PersistenceError,
    StoredEvent,
    Subscription,
)
from eventsourcing.postgres import PostgresApplicationRecorder, PostgresDatastore
from psycopg.conninfo import conninfo_to_dict
from psycopg.rows import tuple_row

from domain.batches import Answer, Batch, StoredRow, StreamRow, Tail
from domain.errors import Refused
from domain.sending import exchange
from domain.wire import Sent

CONNECT_TIMEOUT_S = 5
STATEMENT_TIMEOUT_MS = 20_000
LOCK_TIMEOUT_MS = 15_000
POOL_TIMEOUT_S = 5.0
POLL_INTERVAL_S = 0.05
PAGE_LIMIT = 10_000

UNKNOWN_TENANT = "CS001"
OTHER_FOLD = "CS002"
GAP_IN_VERSIONS = "CS003"

_UNASKED = bytes(16)
"""The command id of events stored through the library's own interface, without a command."""


_APPEND = b"SELECT * FROM append(%s, true, %s)" % tuple(
    b", ".join(b"$%d" % place for place in places) for places in (range(1, 32), range(32, 50))
)


class LedgerDatastore(PostgresDatastore):
    """The one pool of a process, shared by all tenants; connections in autocommit with every
    timeout set."""

    def __init__(self, url: str, *, pool_size: int = 4, max_overflow: int = 12) -> None:
        parts = conninfo_to_dict(url)
        super().__init__(
            dbname=str(parts.get("dbname", "")),
            host=str(parts.get("host", "")),
            port=str(parts.get("port", "5432")),
            user=str(parts.get("user", "")),
            password=str(parts.get("password", "")),
            connect_timeout=POOL_TIMEOUT_S,
            pool_size=pool_size,
            max_overflow=max_overflow,
        )
        self.pool.kwargs = (
            parts
            | cast(dict[str, Any], self.pool.kwargs)
            | {
                "connect_timeout": CONNECT_TIMEOUT_S,
                "keepalives": 1,
                "keepalives_idle": 5,
                "keepalives_interval": 2,
                "keepalives_count": 3,
                "tcp_user_timeout": STATEMENT_TIMEOUT_MS + 5_000,
                "options": f"-c statement_timeout={STATEMENT_TIMEOUT_MS}"
                f" -c lock_timeout={LOCK_TIMEOUT_MS}",
                "prepare_threshold": 0,
            }
        )
        # For as long as anyone waits for a connection the server is asked again: who asked while
        # it was down is served when it is back, not after a whole timeout.
        self.pool.reconnect_timeout = POOL_TIMEOUT_S

    def register_type_adapters(self) -> None:
        """Do nothing: the library's composite type is for functions that are never turned on, and
        making a tenant's ledger must not need a server that answers."""


class LedgerRecorder(PostgresApplicationRecorder):
    """Records one tenant's events. Every inherited method that reads or writes is replaced: the
    library's run in autocommit, where a tenant's setting would not hold, and take a table lock over
    several round trips.

    `version_base` is the number of a stream's first version as callers count; the log counts from
    1."""

    def __init__(self, datastore: PostgresDatastore, tenant: str, *, version_base: int = 1) -> None:
        super().__init__(datastore, events_table_name="events")
        self.tenant = UUID(tenant)
        self._shift = 1 - version_base

    def create_table(self) -> None:
        """Do nothing: tables come from migrations, under another role."""

    def append(self, batch: Batch) -> Answer:
        """Write a batch and wait; return what became of each command. Raises as `sending` does."""
        waiting = self.sending(batch, self.packed(batch))
        poll = select.poll()
        try:
            while True:
                socket, mask = next(waiting)
                poll.register(socket, mask)
                poll.poll()
        except StopIteration as over:
            return over.value

    def packed(self, batch: Batch) -> tuple[Sent, ...]:
        """Return a batch as it goes over the wire."""
        return batch.sent(self.tenant.bytes)

    def sending(
        self, batch: Batch, packed: Sequence[Sent]
    ) -> Generator[tuple[int, int], None, Answer]:
        """Write a batch; yield (socket, poll mask) as often as it waits for the server, return what
        became of each command.

        Raises `OperationalError` where the outcome is not known: the commands' keys tell at the
        next try."""
        with self.datastore.get_connection() as conn:
            # The function is the transaction: a crash of this process before the server's commit
            # leaves nothing,
            # after it everything; either way nobody has been answered yet.
            socket, waiting = conn.fileno(), exchange(conn, _APPEND, packed)
            try:
                while True:
                    yield socket, next(waiting)
            except StopIteration as over:
                answer = batch.answered(over.value)
        return answer._replace(recorded_at=answer.recorded_at.astimezone(UTC))

    def insert_events(
        self, stored_events: Sequence[StoredEvent], **kwargs: Any
    ) -> Sequence[int] | None:
        """Store events as one command, as the library asks for it.

        Returns the positions. Raises `IntegrityError` where someone else was first."""
        del kwargs
        if not stored_events:
            return None
        answer = self.append(self._single(stored_events))
        first = answer.first[0]
        if answer.status != "o" or first is None:
            raise IntegrityError("another command was first")
        return list(range(first, first + answer.counts[0]))

    def _single(self, stored_events: Sequence[StoredEvent]) -> Batch:
        batch = Batch()
        for event in stored_events:
            stream_id = str(event.originator_id)
            version = event.originator_version + self._shift
            known = stream_id in batch.places
            place = batch.place(stream_id)
            if not known:
                batch.read_streams.append(place)
                batch.read_versions.append(version - 1)
                batch.read_by.append(0)
            batch.event_commands.append(1)
            batch.event_streams.append(place)
            batch.event_versions.append(version)
            batch.types.append(event.topic)
            batch.data.append(event.state)
            batch.actors.append("")
            batch.on_behalf_of.append(None)
        batch.command_ids.append(_UNASKED)
        batch.callers.append("")
        batch.keys.append(None)
        batch.fingerprints.append(b"")
        batch.outcomes.append(b"")
        batch.keep.append(False)
        batch.causations.append(None)
        batch.reads_end.append(len(batch.read_streams))
        batch.claims_end.append(0)
        batch.events_end.append(len(stored_events))
        return batch

    def _query(self, statement: LiteralString, params: Sequence[Any]) -> list[tuple[Any, ...]]:
        with self.datastore.get_connection() as conn:
            cursor = conn.cursor(row_factory=tuple_row, binary=True)
            return cursor.execute(statement, params, prepare=True).fetchall()

    def read_streams(self, wanted: Sequence[tuple[str, int]]) -> list[StreamRow]:
        """Return the events of the streams after the given versions, stream by stream, oldest
        first."""
        ids = [UUID(stream_id) for stream_id, _ in wanted]
        after = [version for _, version in wanted]
        rows = self._query(
            "SELECT * FROM read_streams(%b, %b::uuid[], %b::integer[])", (self.tenant, ids, after)
        )
        return [StreamRow(*row) for row in rows]

    def read_events(self, start: int, stop: int, limit: int) -> list[StoredRow]:
        """Return at most `limit` events of positions `start` to `stop`, both included."""
        rows = self._query(
            "SELECT * FROM read_events(%b, %b::bigint, %b::bigint, %b::integer)",
            (self.tenant, start, stop, min(limit, PAGE_LIMIT)),
        )
        return [StoredRow(*row) for row in rows]

    def tail(self, after: int) -> Tail:
        """Return the head of the log and what was touched after a position. Raises `LookupError`
        without a log."""
        rows = self._query("SELECT * FROM read_tail(%b, %b::bigint)", (self.tenant, after))
        if not rows or rows[0][0] is None:
            raise LookupError("unknown tenant")
        return Tail(*rows[0])

    def claimed_by(self, kind: str, keyed_hash: bytes) -> str | None:
        """Return the stream that holds a claim, or None."""
        rows = self._query("SELECT read_claim(%b, %s, %b)", (self.tenant, kind, keyed_hash))
        return None if rows[0][0] is None else str(rows[0][0])

    def staff_ids(self) -> list[str]:
        """Return the streams of all staff ever appointed."""
        rows = self._query("SELECT read_staff_ids(%b)", (self.tenant,))
        return [str(row[0]) for row in rows]

    def select_events(
        self,
        originator_id: UUID | str,
        *,
        gt: int | None = None,
        lte: int | None = None,
        desc: bool = False,
        limit: int | None = None,
    ) -> Sequence[StoredEvent]:
        """Return a stream's events, as the library asks for them."""
        after = 0 if gt is None else gt + self._shift
        rows = self.read_streams([(str(originator_id), max(after, 0))])
        if lte is not None:
            rows = [row for row in rows if row.version <= lte + self._shift]
        if desc:
            rows.reverse()
        return [
            StoredEvent(row.stream_id, row.version - self._shift, row.type, row.data)
            for row in rows[:limit]
        ]

    def select_notifications(
        self,
        start: int | None,
        limit: int,
        stop: int | None = None,
        topics: Sequence[str] = (),
        *,
        inclusive_of_start: bool = True,
    ) -> Sequence[Notification]:
        """Return events by position, as the library asks for them; `topics` are stored names."""
        position = (start or 0) + (0 if inclusive_of_start and start is not None else 1)
        found: list[Notification] = []
        end = 2**62 if stop is None else stop
        while len(found) < limit:
            rows = self.read_events(position, end, PAGE_LIMIT if topics else limit)
            found += [
                Notification(
                    row.stream_id, row.version - self._shift, row.type, row.data, row.position
                )
                for row in rows
                if not topics or row.type in topics
            ]
            if not topics or len(rows) < PAGE_LIMIT:
                break
            position = rows[-1].position + 1
        return found[:limit]

    def max_notification_id(self) -> int | None:
        """Return the last position, or None while there is none."""
        return self.tail(2**62).position or None

    def subscribe(
        self, gt: int | None = None, topics: Sequence[str] = ()
    ) -> Subscription[LedgerRecorder]:
        """Return an iterator that follows the log by polling its position."""
        return PollingSubscription(self, gt, topics)


class PollingSubscription(Subscription[LedgerRecorder]):
    """Follows the log by its positions. No NOTIFY: inside an append it would serialise the commits
    of the server."""

    def __init__(
        self, recorder: LedgerRecorder, gt: int | None = None, topics: Sequence[str] = ()
    ) -> None:
        super().__init__(recorder, gt, topics)
        self._stopped = Flag()
        self._page: list[Notification] = []

    def stop(self) -> None:
        """Make the iterator end."""
        super().stop()
        self._stopped.set()

    def __next__(self) -> Notification:
        while not self._page and not self._stopped.is_set():
            self._page = list(
                self._recorder.select_notifications(
                    self._last_notification_id,
                    limit=500,
                    topics=self._topics,
                    inclusive_of_start=False,
                )
            )
            if self._page:
                self._last_notification_id = self._page[-1].id
                self._page.reverse()
            else:
                self._stopped.wait(POLL_INTERVAL_S)
        if self._stopped.is_set():
            raise StopIteration
        return self._page.pop()


def sqlstate_of(fault: BaseException) -> str | None:
    """Return the five-letter code of the database error behind one of the library's errors, or
    None."""
    cause: BaseException | None = fault
    while cause is not None:
        state = getattr(cause, "sqlstate", None)
        if isinstance(state, str):
            return state
        cause = cause.__cause__
    return None


def refusal_of(fault: PersistenceError) -> Refused | None:
    """Return what a failed append means; None where the same may go well later: the server is away
    or busy, or its answer was lost.

    Without a code of the server it is what the driver says, of the connection or of a value.
    """
    state = sqlstate_of(fault)
    if state == UNKNOWN_TENANT:
        return Refused("tenant.unknown")
    if state == OTHER_FOLD:
        return Refused("ledger.other_release")
    if state is None:
        passes = isinstance(fault, OperationalError | InterfaceError)
    else:
        passes = state.startswith(("08", "53", "57", "40", "55", "25"))
    return None if passes else Refused("ledger.failed", sqlstate=state or "none")
