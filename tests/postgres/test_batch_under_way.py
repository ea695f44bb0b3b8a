"""The next batch is decided while one is under way: what it rests on may yet not be written."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from datetime import timedelta
from itertools import pairwise
from typing import Any, Literal

import pytest

from api.provisioning import Database
from domain.batches import Batch
from domain.errors import Refused
from domain.events.person import AccountLinked
from domain.flight import Flight
from domain.ledger import Ledgers, Outcome
from domain.recorder import LedgerRecorder
from domain.sealing import Sealed
from domain.values import stamp
from domain.view import Command, View
from tests.support.holding import Held
from tests.support.ledger import clock, make_ledgers, make_tenant, new_id, say, submission
from tests.support.owner import superuser
from tests.support.toys import Link, Register

PATIENCE_S = 10.0

Word = Literal["refused", "broken", "no news"]


class Unless(Command, frozen=True, kw_only=True):
    """Links an account unless another one is linked; `told` hears each time it is decided."""

    person: str
    other: str
    word: Word = "refused"
    told: Callable[[], None]

    @property
    def kind(self) -> str:
        return "person"

    @property
    def stream_id(self) -> str:
        return self.person

    def decide(self, view: View) -> None:
        person = view.person(self.person)
        self.told()
        if person is not None and self.other in person.accounts:
            if self.word == "refused":
                raise Refused("person.unknown")
            if self.word == "broken":
                raise RuntimeError("cannot be")
            return
        login = Sealed(self.person, "k", b"box")
        event = AccountLinked(**stamp(view.act), account="mine", issuer="test", login=login)
        view.record("person", self.person, [event])


class Scene:
    """A person whom one process has at hand, and a head row that is held."""

    def __init__(self, database: Database, given_clock: bool = False) -> None:
        self.database = database
        self.tenant = make_tenant(database, given_clock=given_clock)
        self.ours, self.theirs = make_ledgers(database), make_ledgers(database)
        self.person = new_id()
        at = clock() if given_clock else None
        say(self.ours, self.tenant, Register(person=self.person), at=at)
        self.decided = threading.Event()

    def submit(self, ledgers: Ledgers, command: Command, **more: Any) -> Future[Outcome]:
        return ledgers.submit(submission(self.tenant, command, **more))

    def link(self, account: str) -> Link:
        return Link(person=self.person, account=account)

    def unless(self, other: str, word: Word = "refused") -> Unless:
        return Unless(person=self.person, other=other, word=word, told=self.decided.set)

    def accounts(self) -> list[str]:
        """The accounts linked, in the order of the log."""
        events = self.theirs.history(self.tenant, self.person)
        return [one.event.account for one in events if isinstance(one.event, AccountLinked)]

    def batches(self) -> int:
        """How many batches the log has."""
        with superuser(self.database) as conn:
            row = conn.execute(
                "SELECT count(*) FROM batches WHERE tenant_id = %s", (self.tenant,)
            ).fetchone()
        assert row is not None
        return row[0]

    def close(self) -> None:
        self.ours.close()
        self.theirs.close()


@pytest.fixture
def scene(database: Database) -> Iterator[Scene]:
    made = Scene(database)
    yield made
    made.close()


def test_a_command_decided_on_a_batch_under_way_is_answered_after_both_are_committed(
    scene: Scene,
) -> None:
    with Held(scene.database, scene.tenant) as held:
        first = scene.submit(scene.ours, scene.link("first"))
        held.until(1)
        second = scene.submit(scene.ours, scene.unless("none"))
        assert scene.decided.wait(PATIENCE_S), "it waited for the batch under way"
        assert not first.done()
        assert not second.done()
    assert (first.result(PATIENCE_S).version, second.result(PATIENCE_S).version) == (2, 3)
    assert scene.accounts() == ["first", "mine"]
    assert scene.batches() == 3, "they were written together"


def meet(scene: Scene, word: Word) -> tuple[Future[Outcome], Future[Outcome]]:
    """Another process is first with the version that our first command wants, and our second one
    was decided on what our first would have left."""
    with Held(scene.database, scene.tenant) as held:
        scene.submit(scene.theirs, scene.link("theirs"))
        held.until(1)
        first = scene.submit(scene.ours, scene.link("first"), expected_version=1)
        held.until(2)
        second = scene.submit(scene.ours, scene.unless("first", word))
        assert scene.decided.wait(PATIENCE_S)
    return first, second


@pytest.mark.parametrize("word", ["refused", "broken", "no news"])
def test_what_was_said_on_the_word_of_a_command_that_was_not_written_is_decided_again(
    scene: Scene, word: Word
) -> None:
    first, second = meet(scene, word)
    with pytest.raises(Refused, match=r"^version\.moved"):
        first.result(PATIENCE_S)
    assert second.result(PATIENCE_S).status == "done"
    assert scene.accounts() == ["theirs", "mine"]


def test_control_sent_all_the_same_it_is_refused_for_what_never_was(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Flight, "stands", lambda *_: True)
    first, second = meet(scene, "refused")
    with pytest.raises(Refused, match=r"^version\.moved"):
        first.result(PATIENCE_S)
    with pytest.raises(Refused, match=r"^person\.unknown"):
        second.result(PATIENCE_S)


def test_a_batch_whose_answer_is_lost_takes_what_was_decided_on_it_along(scene: Scene) -> None:
    with Held(scene.database, scene.tenant) as held:
        first = scene.submit(scene.ours, scene.link("first"))
        held.until(1)
        second = scene.submit(scene.ours, scene.unless("none"))
        assert scene.decided.wait(PATIENCE_S)
        with superuser(scene.database) as conn:
            conn.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE"
                " datname = current_database() AND wait_event_type = 'Lock'"
            )
        held.until(1)  # asked again over another connection
        assert not first.done()
        assert not second.done()
    assert (first.result(PATIENCE_S).version, second.result(PATIENCE_S).version) == (2, 3)
    assert scene.accounts() == ["first", "mine"]


def test_a_batch_held_up_for_long_does_not_make_the_next_one_stale(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("domain.flight.MAX_WAIT_S", 0.0)
    times: list[None] = []
    with Held(scene.database, scene.tenant) as held:
        first = scene.submit(scene.ours, scene.link("first"))
        held.until(1)
        command = Unless(person=scene.person, other="none", told=lambda: times.append(None))
        second = scene.submit(scene.ours, command)
        while not times:
            pass
    assert (first.result(PATIENCE_S).version, second.result(PATIENCE_S).version) == (2, 3)
    assert len(times) == 2, "it was sent with an instant of long ago"


def test_where_the_clock_is_given_now_is_the_instant_of_the_batch_before(
    database: Database,
) -> None:
    scene = Scene(database, given_clock=True)
    later = clock() + timedelta(days=1)
    try:
        with Held(database, scene.tenant) as held:
            first = scene.submit(scene.ours, scene.link("first"), at=later)
            held.until(1)
            second = scene.submit(scene.ours, scene.unless("none"))
            assert not scene.decided.wait(0.1), "decided before the clock was known"
        first.result(PATIENCE_S)
        assert second.result(PATIENCE_S).events[0].event.at == later
    finally:
        scene.close()


def test_a_connection_on_which_something_was_rolled_back_appends_as_before(
    database: Database,
) -> None:
    """psycopg then gives up all it had prepared on that connection."""
    ledgers, tenant = make_ledgers(database), make_tenant(database)
    try:
        for _ in range(8):  # more than the pool has connections: each is used, each is rolled back
            say(ledgers, tenant, Register(person=new_id()))
            with ledgers.pool.connection() as conn, conn.transaction(force_rollback=True):
                conn.execute("SELECT 1")
        for _ in range(8):
            assert say(ledgers, tenant, Register(person=new_id())).status == "done"
    finally:
        ledgers.close()


def test_an_answer_that_cannot_be_read_is_told_and_the_next_command_is_written(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It was written: nothing is sent again behind the caller's back."""
    with monkeypatch.context() as broken:
        broken.setattr(Batch, "answered", lambda *_: 1 // 0)
        with pytest.raises(ZeroDivisionError):
            scene.submit(scene.ours, scene.link("first")).result(PATIENCE_S)
    assert scene.submit(scene.ours, scene.link("second")).result(PATIENCE_S).version == 3
    assert scene.accounts() == ["first", "second"]


class Unhinted(Register, frozen=True, kw_only=True):
    """Cannot say what it will look at."""

    def hints(self) -> tuple[tuple[str, str], ...]:
        raise ValueError("no hint")


def test_a_command_that_cannot_say_what_it_looks_at_keeps_nobody_waiting(scene: Scene) -> None:
    with Held(scene.database, scene.tenant) as held:
        first = scene.submit(scene.ours, scene.link("first"))
        held.until(1)
        waiting = [
            scene.submit(scene.ours, Unhinted(person=new_id())),
            scene.submit(scene.ours, Register(person=new_id())),
        ]
    assert [one.result(PATIENCE_S).status for one in (first, *waiting)] == ["done"] * 3


def test_a_defect_of_the_writer_is_told_to_whoever_waits_and_the_next_command_is_written(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: Any) -> None:
        raise ValueError("a defect")

    with monkeypatch.context() as patched:
        patched.setattr(Flight, "__init__", broken)
        with pytest.raises(ValueError, match="a defect"):
            scene.submit(scene.ours, scene.link("first")).result(PATIENCE_S)
    assert scene.submit(scene.ours, scene.link("second")).result(PATIENCE_S).status == "done"


def test_a_batch_that_grows_while_the_server_is_slow_is_packed_as_often_as_it_doubles(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    packed: list[int] = []
    pack = LedgerRecorder.packed
    ahead_of_time = threading.Event()

    def counted(self: LedgerRecorder, batch: Batch) -> Any:
        packed.append(len(batch.command_ids))
        if len(packed) > 1:
            ahead_of_time.set()
        return pack(self, batch)

    monkeypatch.setattr(LedgerRecorder, "packed", counted)
    with Held(scene.database, scene.tenant) as held:
        first = scene.submit(scene.ours, scene.link("first"))
        held.until(1)
        waiting: list[Future[Outcome]] = []
        for _ in range(40):
            scene.decided.clear()
            waiting.append(scene.submit(scene.ours, scene.unless("first", "no news")))
            assert scene.decided.wait(PATIENCE_S)
        assert ahead_of_time.wait(PATIENCE_S), "with nothing more to decide it was not packed"
        ahead = list(packed)
    assert first.result(PATIENCE_S).status == "done"
    assert {one.result(PATIENCE_S).status for one in waiting} == {"no_op"}
    assert len(ahead) <= 8
    assert all(other >= 2 * one for one, other in pairwise(ahead[1:]))


def test_what_was_done_already_is_answered_with_one_position_however_often(
    scene: Scene,
) -> None:
    ledgers, tenant, person = scene.ours, scene.tenant, scene.person
    first, beside = Future[Outcome](), Future[Outcome]()
    again = submission(tenant, Register(person=person), key="again")
    ledgers.hand_over([(again, first), (submission(tenant, Register(person=new_id())), beside)])
    assert (first.result().status, beside.result().position) == ("no_op", 2)
    repeated = say(ledgers, tenant, Register(person=person), key="again")
    assert repeated.position == first.result().position == 1
