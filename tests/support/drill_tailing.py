"""Readers that tail a log in three ways, and a command whose every happening shows."""

from __future__ import annotations

import threading
import time
import uuid
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple, cast

import psycopg
from eventsourcing.persistence import Notification

from api.provisioning import Database
from domain.batches import StoredRow
from domain.errors import Refused
from domain.events.person import AccountLinked, PersonRegistered
from domain.ledger import Ledgers
from domain.sealing import Sealed
from domain.values import stamp
from domain.view import Command, View
from tests.support.drill_worker import Host
from tests.support.ledger import submission
from tests.support.owner import superuser

PAUSE_S = 0.005
PAGE = 500


class Mark(Command, frozen=True, kw_only=True):
    """Leaves one more event with this name, whatever is there: doing it twice shows."""

    person: str
    name: str

    @property
    def kind(self) -> str:
        return "person"

    @property
    def stream_id(self) -> str:
        return self.person

    def decide(self, view: View) -> None:
        known = view.person(self.person)
        if known is None:
            known = view.record("person", self.person, [PersonRegistered(**stamp(view.act))])
        login = Sealed(self.person, "k", b"box")
        account = f"{self.name}/{len(known.accounts)}"
        event = AccountLinked(**stamp(view.act), account=account, issuer="drill", login=login)
        view.record("person", self.person, [event])


class Marked(NamedTuple):
    """A writer was told that its mark number `number` lies at `position`."""

    writer: str
    number: int
    position: int


MARKS_A_STREAM = 20


def write(host: Host, tenant: str, writer: str, first: int, last: int) -> int:
    """Leave marks `first` to `last`, one after another, each under its own key; tell of each."""
    for number in range(first, last + 1):
        stream = uuid.uuid5(uuid.UUID(tenant), f"{writer}/{number // MARKS_A_STREAM}")
        name = f"{writer}/{number}"
        command = submission(tenant, Mark(person=str(stream), name=name), key=name, caller="drill")
        while True:
            try:
                outcome = host.ledgers.submit(command).result()
                break
            except Refused as refused:
                if refused.code not in ("ledger.contended", "ledger.unreachable", "ledger.busy"):
                    raise
        host.send((None, True, Marked(writer, number, outcome.position)))
    return last


class Seen(NamedTuple):
    """An event as a reader met it."""

    position: int
    stream: str
    version: int


class Reader:
    """Follows a log in a thread of its own, by one of the ways there are."""

    def __init__(self, name: str, read: Callable[[threading.Event], Iterator[Seen]]) -> None:
        self.name = name
        self.seen: list[Seen] = []
        self.fault: BaseException | None = None
        self._stop = threading.Event()
        self._read = read
        self._thread = threading.Thread(target=self._run, name=f"reader {name}", daemon=True)
        self._thread.start()

    @property
    def position(self) -> int:
        return self.seen[-1].position if self.seen else 0

    def _run(self) -> None:
        try:
            for event in self._read(self._stop):
                self.seen.append(event)
        except BaseException as fault:
            self.fault = fault
            raise

    def until(self, position: int, seconds: float = 30) -> None:
        """Return once it has come so far; raise `TimeoutError` when it does not."""
        end = time.monotonic() + seconds
        while self.position < position:
            assert self.fault is None, self.fault
            if time.monotonic() > end:
                raise TimeoutError(f"{self.name} stays at {self.position} of {position}")
            time.sleep(PAUSE_S)

    def stop(self) -> list[Seen]:
        """End it and return what it saw."""
        self._stop.set()
        self._thread.join(10)
        assert self.fault is None, self.fault
        return self.seen


def by_subscription(ledgers: Ledgers, tenant: str) -> Reader:
    """The library's way: the recorder's subscription."""
    subscription = ledgers.ledger(tenant).records.subscribe(gt=0)

    def read(stop: threading.Event) -> Iterator[Seen]:
        threading.Thread(target=lambda: (stop.wait(), subscription.stop()), daemon=True).start()
        for each in subscription:
            event = cast(Notification, each)
            yield Seen(event.id, str(event.originator_id), event.originator_version)

    return Reader("subscription", read)


def by_pages(database: Database, tenant: str) -> Reader:
    """The runner's way: pages after a checkpoint, as the projector."""

    def read(stop: threading.Event) -> Iterator[Seen]:
        checkpoint = 0
        with psycopg.connect(database.projector, autocommit=True) as conn:
            while not stop.is_set():
                rows = conn.execute(
                    "SELECT * FROM read_events(%s, %s, %s, %s)",
                    (tenant, checkpoint + 1, 2**62, PAGE),
                ).fetchall()
                for row in map(StoredRow._make, rows):
                    checkpoint = row.position
                    yield Seen(row.position, str(row.stream_id), row.version)
                if not rows:
                    stop.wait(PAUSE_S)

    return Reader("pages", read)


def by_sql(database: Database, tenant: str) -> Reader:
    """Anybody's way: whatever lies beyond the last position seen."""

    def read(stop: threading.Event) -> Iterator[Seen]:
        last = 0
        with superuser(database) as conn:
            while not stop.is_set():
                rows = conn.execute(
                    "SELECT position, stream_id::text, version FROM events"
                    " WHERE tenant_id = %s AND position > %s ORDER BY position",
                    (tenant, last),
                ).fetchall()
                for row in rows:
                    last = row[0]
                    yield Seen(*row)
                stop.wait(PAUSE_S)

    return Reader("sql", read)


def readers(database: Database, ledgers: Ledgers, tenant: str) -> list[Reader]:
    """One of each."""
    return [by_subscription(ledgers, tenant), by_pages(database, tenant), by_sql(database, tenant)]


def whole(database: Database, tenant: str) -> list[tuple[int, str, int, str, bytes]]:
    """Return the whole log: position, stream, version, type, data."""
    with superuser(database) as conn:
        return cast(
            list[Any],
            conn.execute(
                "SELECT position, stream_id::text, version, type, data FROM events"
                " WHERE tenant_id = %s ORDER BY position",
                (tenant,),
            ).fetchall(),
        )


def missed(log: Sequence[tuple[Any, ...]], seen: Sequence[Seen]) -> list[int]:
    """Return the positions of the log that a reader did not see as they lie there."""
    met = set(seen)
    return [row[0] for row in log if Seen(row[0], row[1], row[2]) not in met]
