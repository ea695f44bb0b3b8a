"""The ledger: load, decide, append, decide again when someone was first; hosted on eventsourcing's
Application."""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import Future
from contextlib import suppress
from datetime import UTC, datetime
from operator import attrgetter
from typing import Any, Literal, NamedTuple, Protocol, cast
from uuid import UUID

import msgspec
from eventsourcing.application import Application
from eventsourcing.persistence import (
    Mapper,
    Transcoder,
)
from eventsourcing.utils import Environment, EnvType

from domain.batches import StoredRow, Tail
from domain.codec import decode
from domain.errors import Impossible, Refused
from domain.events import Event, stream_kind
from domain.hosting import LedgerFactory, LedgerMapper
from domain.permission_rows import Placed
from domain.recorder import LedgerDatastore, LedgerRecorder
from domain.streams import evolve
from domain.values import Evidence, Instant, Party, Reason
from domain.view import Circumstances, Command, Loaded, NewEvent

MEMORY_BOUND_S = 0.25
"""For how long a process may answer a check from memory; a narrowing command is acknowledged no
sooner than this after its commit is known, and so acknowledged is denied everywhere."""

MAX_CACHED_STREAMS = 50_000
"""Folded streams kept a tenant; the least recently used go first."""

NOTHING = Loaded(0, None)


class Submission(msgspec.Struct, frozen=True, gc=False, kw_only=True):
    """A command with everything the edge knows of it.

    `caller` and `key` make it idempotent; `fingerprint` tells the same request from another under
    the same key. `expected_version` is If-Match. `at` only for a tenant with a given clock."""

    tenant: str
    caller: str
    key: str | None
    fingerprint: bytes
    command: Command
    by: Party
    command_id: str
    on_behalf_of: Party | None = None
    reason: Reason | None = None
    evidence: tuple[Evidence, ...] = ()
    expected_version: int | None = None
    dry_run: bool = False
    at: Instant | None = None
    causation: int | None = None

    def circumstances(self, at: Instant) -> Circumstances:
        """Return what a view needs to know of it, decided at `at`."""
        return Circumstances(
            self.tenant,
            at,
            self.command_id,
            self.by,
            self.on_behalf_of,
            self.reason,
            self.evidence,
        )


class Recorded(NamedTuple):
    """An event with its place in the log; position 0 in a dry run."""

    position: int
    kind: str
    stream_id: str
    version: int
    type: str
    recorded_at: Instant
    event: Event


class Outcome(msgspec.Struct, frozen=True, gc=False):
    """What became of a command: its events, and the main stream's version and state as of them.

    `acknowledge_at` is the `time.monotonic()` before which no answer may be sent.
    """

    status: Literal["done", "no_op", "repeated", "would"]
    events: tuple[Recorded, ...]
    position: int
    version: int
    state: Any
    narrowing: bool
    acknowledge_at: float


class Waiting(Protocol):
    """Whoever waits for a command's outcome: a `Future`, or what stands for one."""

    def done(self) -> bool: ...

    def set_result(self, result: Outcome, /) -> None: ...

    def set_exception(self, exception: BaseException | None, /) -> None: ...


class Kept(msgspec.Struct, frozen=True, gc=False):
    """The `outcome` column of `commands`: enough to give the first answer again."""

    kind: str
    stream_id: str
    version: int
    narrowing: bool


class InlineRows(NamedTuple):
    """Rows of the inline tables: of `permissions` those closed and opened, each with the place of
    its event among those given, from 0; of the others `rows`, each with that place as `e`.
    """

    rows: list[dict[str, Any]]
    closed: list[Placed]
    opened: list[Placed]
    touched: list[str]
    narrowing: bool


class Inline(Protocol):
    """What is written in the append's own transaction; the ledger knows no more of it."""

    @property
    def folds(self) -> Mapping[str, int]: ...

    def rows(self, events: Sequence[NewEvent]) -> InlineRows: ...


class Ledger(Application[UUID]):
    """One tenant's log as an application of the library: its mapper, recorder, event store and
    repository."""

    def __init__(self, datastore: LedgerDatastore, tenant: str) -> None:
        self._datastore = datastore
        self._lock = threading.Lock()
        self._known: OrderedDict[str, tuple[str, int, Any]] = OrderedDict()
        self.tenant = tenant
        self.position = 0
        self.recorded_at = datetime.fromtimestamp(0, UTC)
        self.clock: str | None = None
        super().__init__()

    def construct_env(self, name: str, env: EnvType | None = None) -> Environment:
        """Return an empty environment: nothing of ours is configured behind the doors' back."""
        return Environment(name, env or {})

    def construct_factory(self, env: Environment) -> LedgerFactory:
        return LedgerFactory(env, self._datastore, self.tenant)

    def construct_transcoder(self) -> Transcoder:
        return self.factory.transcoder()

    def construct_mapper(self) -> Mapper[UUID]:
        return LedgerMapper(self.construct_transcoder())

    @property
    def records(self) -> LedgerRecorder:
        """The recorder with what is ours beyond the library's interface."""
        return cast(LedgerRecorder, self.recorder)

    def close(self) -> None:
        """Close nothing: the datastore belongs to the process."""
        self.closing.set()

    def saw(self, position: int, recorded_at: datetime, clock: str | None = None) -> None:
        """Remember how far the log is known to go."""
        with self._lock:
            if position >= self.position:
                self.position, self.recorded_at = position, max(recorded_at, self.recorded_at)
            if clock is not None:
                self.clock = clock

    def remember(self, kind: str, stream_id: str, loaded: Loaded) -> None:
        """Keep a stream's committed state, unless a newer one is known."""
        with self._lock:
            known = self._known.get(stream_id)
            if known is None or known[1] <= loaded.version:
                self._known[stream_id] = (kind, loaded.version, loaded.state)
                self._known.move_to_end(stream_id)
                if len(self._known) > MAX_CACHED_STREAMS:
                    self._known.popitem(last=False)

    def recall(self, kind: str, stream_id: str) -> Loaded | None:
        """Return what is remembered of a stream; a stream of another kind is nothing, at its
        version."""
        known = self._known.get(stream_id)
        if known is None:
            return None
        with suppress(KeyError):  # without the lock, for readers never wait: forgotten meanwhile
            self._known.move_to_end(stream_id)
        return Loaded(known[1], known[2] if known[0] == kind else None)

    def knows(self, stream_id: str) -> bool:
        """Tell whether a stream is remembered."""
        return stream_id in self._known

    def forget(self, stream_ids: Iterable[str]) -> None:
        """Drop streams from memory; who asks for one again reads it from the database."""
        with self._lock:
            for stream_id in stream_ids:
                self._known.pop(stream_id, None)

    def refresh(self, wanted: Iterable[str]) -> None:
        """Bring streams up to what is committed now, from where they are remembered, in one round
        trip.

        Raises `Refused` `stream.closed` where a history cannot be folded: fail closed.
        """
        start: dict[str, tuple[str, int, Any]] = {}
        with self._lock:
            for stream_id in wanted:
                start[stream_id] = self._known.get(stream_id, ("", 0, None))
        if not start:
            return
        rows = self.records.read_streams(
            [(stream_id, known[1]) for stream_id, known in start.items()]
        )
        for row in rows:
            stream_id = str(row.stream_id)
            kind, _, state = start[stream_id]
            kind = kind or stream_kind(row.type)
            try:
                state = evolve(kind, state, decode(row.type, row.data))
            except Impossible as fault:
                raise Refused("stream.closed", stream=stream_id, position=row.position) from fault
            start[stream_id] = (kind, row.version, state)
        if rows:
            newest = max(rows, key=attrgetter("position"))
            self.saw(newest.position, newest.recorded_at)
        for stream_id, (kind, version, state) in start.items():
            if version:
                self.remember(kind, stream_id, Loaded(version, state))

    def state_at(self, kind: str, stream_id: str, version: int) -> Any:
        """Return a stream's state as of a version, folded by the library's repository."""

        def fold(_: Any, envelopes: Iterable[Any]) -> Any:
            state: Any = None
            for envelope in envelopes:
                state = evolve(kind, state, envelope.event)
            return state

        return self.repository.get(UUID(stream_id), version=version, projector_func=fold)

    def recorded(self, row: StoredRow) -> Recorded:
        """Return a stored row decoded."""
        event = decode(row.type, row.data)
        kind, stream_id = stream_kind(row.type), str(row.stream_id)
        return Recorded(
            row.position, kind, stream_id, row.version, row.type, row.recorded_at, event
        )


class Ledgers:
    """All ledgers of a process: one pool, one writer, one `Ledger` a tenant."""

    def __init__(
        self,
        service_url: str,
        inline: Inline | None,
        clock: Callable[[], datetime],
        *,
        pool_size: int = 4,
        writers: int = 2,
    ) -> None:
        from domain.writer import Writer  # the writer needs the types above

        self.own_clock = clock
        self.datastore = LedgerDatastore(service_url, pool_size=pool_size)
        self.inline = inline
        self._ledgers: dict[str, Ledger] = {}
        self._lock = threading.Lock()
        self._writer = Writer(self, writers)

    @property
    def pool(self) -> Any:
        """The psycopg pool of the service role; connections are in autocommit."""
        return self.datastore.pool

    def ledger(self, tenant: str) -> Ledger:
        """Return the tenant's ledger; whether it exists shows at its first use."""
        with self._lock:
            found = self._ledgers.get(tenant)
            if found is None:
                found = self._ledgers[tenant] = Ledger(self.datastore, tenant)
            return found

    def submit(self, submission: Submission) -> Future[Outcome]:
        """Queue a command; the future gives its outcome after the commit it was decided on, or
        raises `Refused`.

        Codes of the ledger itself: `tenant.unknown`, `ledger.busy`, `ledger.contended`,
        `ledger.unreachable`, `ledger.other_release`, `version.moved`, `claim.taken`, `key.reused`,
        `clock.skew`, `clock.not_given`."""
        future: Future[Outcome] = Future()
        self.hand_over([(submission, future)])
        return future

    def hand_over(self, together: Sequence[tuple[Submission, Waiting]]) -> None:
        """Queue commands that came together; each one's outcome or refusal, as `submit` gives it,
        goes to whoever waits for it.
        """
        self._writer.hand_over(together)

    def execute(self, submission: Submission) -> Outcome:
        """Submit and wait, until the outcome may be acknowledged too."""
        outcome = self.submit(submission).result()
        time.sleep(max(0.0, outcome.acknowledge_at - time.monotonic()))
        return outcome

    def load(self, tenant: str, kind: str, stream_id: str) -> Loaded:
        """Return a stream as committed now; `Loaded(0, None)` where there is none of that kind."""
        ledger = self.ledger(tenant)
        ledger.refresh([stream_id])
        return ledger.recall(kind, stream_id) or NOTHING

    def events(
        self, tenant: str, start: int, stop: int | None = None, limit: int = 1000
    ) -> list[StoredRow]:
        """Return at most `limit` stored events from position `start` to `stop`, both included."""
        end = 2**62 if stop is None else stop
        return self.ledger(tenant).records.read_events(start, end, limit)

    def history(self, tenant: str, stream_id: str) -> list[Recorded]:
        """Return all events of a stream, oldest first."""
        return [
            Recorded(
                row.position,
                stream_kind(row.type),
                stream_id,
                row.version,
                row.type,
                row.recorded_at,
                decode(row.type, row.data),
            )
            for row in self.ledger(tenant).records.read_streams([(stream_id, 0)])
        ]

    def claim(self, tenant: str, kind: str, keyed_hash: bytes) -> str | None:
        """Return the stream that holds a claim, or None."""
        return self.ledger(tenant).records.claimed_by(kind, keyed_hash)

    def tail(self, tenant: str, after: int) -> Tail:
        """Return the head and what was touched after a position. Raises `Refused`
        `tenant.unknown`."""
        ledger = self.ledger(tenant)
        try:
            tail = ledger.records.tail(after)
        except LookupError as fault:
            raise Refused("tenant.unknown") from fault
        ledger.saw(tail.position, tail.recorded_at, tail.clock)
        return tail

    def now(self, tenant: str) -> Instant:
        """Return the instant by which commands and checks are decided: never before the last known
        `recorded_at`.

        For a tenant with a given clock it is that `recorded_at`.
        """
        ledger = self.ledger(tenant)
        if ledger.clock is None:
            self.tail(tenant, 2**62)
        if ledger.clock == "given":
            return ledger.recorded_at
        return max(self.own_clock(), ledger.recorded_at)

    def close(self) -> None:
        """Finish what is queued, then close the pool."""
        self._writer.close()
        self.datastore.close()
