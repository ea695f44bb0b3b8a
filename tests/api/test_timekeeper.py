"""The timekeeper goes on: past a stream that cannot be read, a tenant too, a lost server."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any, cast

import pytest
from eventsourcing.persistence import OperationalError

from api import timekeeper
from api.timekeeper import Timekeeper, tick
from domain.customers import Customer
from domain.errors import Impossible, Refused
from domain.ledger import Ledgers, Outcome, Submission
from domain.view import Loaded
from projections.due import Due

NOW = datetime(2026, 1, 1, tzinfo=UTC)
PATIENCE_S = 10


class Fake:
    """A ledger of customers that are all due; `faults` says what reading one raises."""

    def __init__(self) -> None:
        self.faults: dict[str, Exception] = {}
        self.away: set[str] = set()
        self.answer: Callable[[str], Exception | None] = lambda _stream: None
        self.written: list[tuple[str, str]] = []
        self.enough = threading.Event()

    @property
    def pool(self) -> Fake:
        return self

    @contextmanager
    def connection(self) -> Iterator[None]:
        yield None

    def now(self, tenant: str) -> datetime:
        if tenant in self.away:
            raise OperationalError("gone")
        return NOW

    def load(self, tenant: str, kind: str, stream_id: str) -> Loaded:
        if stream_id in self.faults:
            raise self.faults[stream_id]
        return Loaded(1, Customer())

    def submit(self, given: Submission) -> Future[Outcome]:
        future: Future[Outcome] = Future()
        fault = self.answer(given.command.stream_id)
        if fault is not None:
            future.set_exception(fault)
            return future
        self.written.append((given.tenant, given.command.stream_id))
        if len(self.written) >= 2:
            self.enough.set()
        future.set_result(Outcome("done", (), 0, 0, None, narrowing=False, acknowledge_at=0.0))
        return future


@pytest.fixture
def fake(monkeypatch: pytest.MonkeyPatch) -> Fake:
    def due(_conn: Any, _tenant: str, _now: datetime) -> Iterator[Due]:
        return iter(Due("customer", name, NOW) for name in ("a", "b", "c"))

    monkeypatch.setattr(timekeeper, "due", due)
    monkeypatch.setattr(timekeeper, "below", lambda *_asked: ([], None))
    monkeypatch.setattr(timekeeper, "tenants", lambda _conn: ["first", "second"])
    return Fake()


@pytest.mark.parametrize(
    "fault", [Refused("stream.closed"), Impossible(object(), None), ValueError("a newer event")]
)
def test_a_stream_that_cannot_be_read_keeps_no_other_waiting(fake: Fake, fault: Exception) -> None:
    fake.faults["a"] = fault
    done = tick(cast(Ledgers, fake), "first")
    assert fake.written == [("first", "b"), ("first", "c")]
    assert (done.due, done.written, done.left) == (3, 2, 1)


def test_a_command_that_fails_keeps_no_other_waiting(fake: Fake) -> None:
    fake.answer = lambda stream: Impossible(object(), None) if stream == "b" else None
    done = tick(cast(Ledgers, fake), "first")
    assert (done.due, done.written, done.left) == (3, 2, 1)


def test_a_server_out_of_reach_ends_the_pass(fake: Fake) -> None:
    fake.faults["b"] = OperationalError("gone")
    with pytest.raises(OperationalError):
        tick(cast(Ledgers, fake), "first")


@pytest.mark.parametrize("what", ["its clock", "a stream"])
def test_what_is_wrong_with_one_tenant_keeps_no_other_waiting_and_ends_no_thread(
    fake: Fake, what: str
) -> None:
    if what == "its clock":
        fake.away.add("first")
    else:
        load = fake.load

        def lost(tenant: str, kind: str, stream_id: str) -> Loaded:
            if tenant == "first":
                raise OperationalError("gone")
            return load(tenant, kind, stream_id)

        fake.load = lost  # type: ignore[method-assign]
    running = Timekeeper(cast(Ledgers, fake), interval_s=0.01)
    running.start()
    try:
        assert fake.enough.wait(PATIENCE_S)
    finally:
        running.stop()
    assert {tenant for tenant, _ in fake.written} == {"second"}
