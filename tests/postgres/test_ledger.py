"""The ledger by itself: idempotency, reads compared under the lock, claims, batches, clocks, lost
servers."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg
import pytest

from api.provisioning import Database
from domain import landing
from domain.errors import Refused
from domain.ledger import MEMORY_BOUND_S, InlineRows, Ledgers
from domain.view import NewEvent
from domain.writer import FEW
from tests.support.holding import Held
from tests.support.ledger import clock, make_ledgers, make_tenant, new_id, say, submission
from tests.support.toys import Link, Register


@pytest.fixture
def ledgers(database: Database) -> Iterator[Ledgers]:
    made = make_ledgers(database)
    yield made
    made.close()


@pytest.fixture
def other(database: Database) -> Iterator[Ledgers]:
    """A second process, as far as the ledger can tell."""
    made = make_ledgers(database)
    yield made
    made.close()


@pytest.fixture
def tenant(database: Database) -> str:
    return make_tenant(database)


def refused(code: str) -> Any:
    return pytest.raises(Refused, match=f"^{code}")


def test_the_same_key_answers_the_same_and_writes_nothing(ledgers: Ledgers, tenant: str) -> None:
    person = new_id()
    first = say(ledgers, tenant, Link(person=person, account="a"), key="k")
    again = say(ledgers, tenant, Link(person=person, account="a"), key="k")
    assert (first.status, again.status) == ("done", "repeated")
    assert again.events == first.events
    assert (again.version, again.state, again.position) == (1, first.state, first.position)
    assert ledgers.tail(tenant, 0).position == 1


def test_a_repeated_answer_shows_the_state_as_of_then(ledgers: Ledgers, tenant: str) -> None:
    person = new_id()
    first = say(ledgers, tenant, Register(person=person), key="k")
    say(ledgers, tenant, Link(person=person, account="later"))
    assert say(ledgers, tenant, Register(person=person), key="k").state == first.state


def test_the_same_key_with_another_request_is_refused(ledgers: Ledgers, tenant: str) -> None:
    say(ledgers, tenant, Register(person=new_id()), key="k", fingerprint=b"one")
    with refused("key.reused"):
        say(ledgers, tenant, Register(person=new_id()), key="k", fingerprint=b"two")


def test_keys_of_different_callers_do_not_meet(ledgers: Ledgers, tenant: str) -> None:
    say(ledgers, tenant, Register(person=new_id()), key="k", caller="one")
    second = say(ledgers, tenant, Register(person=new_id()), key="k", caller="two")
    assert second.status == "done"


def test_no_news_keeps_its_key_too(ledgers: Ledgers, tenant: str) -> None:
    person = new_id()
    say(ledgers, tenant, Register(person=person))
    assert say(ledgers, tenant, Register(person=person), key="k").status == "no_op"
    repeated = say(ledgers, tenant, Register(person=person), key="k")
    assert (repeated.status, repeated.events, repeated.position) == ("repeated", (), 1)


def test_a_dry_run_writes_nothing_and_keeps_no_key(ledgers: Ledgers, tenant: str) -> None:
    person = new_id()
    would = say(ledgers, tenant, Register(person=person), key="k", dry_run=True)
    assert would.status == "would"
    assert [(e.position, e.type) for e in would.events] == [(0, "person.registered.1")]
    assert ledgers.tail(tenant, 0).position == 0
    assert say(ledgers, tenant, Register(person=person), key="k").status == "done"


def test_a_state_that_moved_in_another_process_is_decided_again(
    ledgers: Ledgers, other: Ledgers, tenant: str
) -> None:
    person = new_id()
    say(ledgers, tenant, Register(person=person))
    say(other, tenant, Link(person=person, account="a"))
    outcome = say(ledgers, tenant, Link(person=person, account="b"))
    assert outcome.version == 3
    assert ledgers.load(tenant, "person", person).version == 3


def test_if_match_is_compared_with_what_is_committed(
    ledgers: Ledgers, other: Ledgers, tenant: str
) -> None:
    person = new_id()
    say(ledgers, tenant, Register(person=person))
    say(other, tenant, Link(person=person, account="a"))
    assert say(ledgers, tenant, Link(person=person, account="b"), expected_version=2).version == 3
    with refused("version.moved"):
        say(other, tenant, Link(person=person, account="c"), expected_version=2)


def test_a_claim_is_given_once(ledgers: Ledgers, other: Ledgers, tenant: str) -> None:
    first, second = new_id(), new_id()
    claim = (("uscc", b"\x01" * 32),)
    say(ledgers, tenant, Register(person=first, claims=claim))
    with refused("claim.taken"):
        say(other, tenant, Register(person=second, claims=claim))
    with refused("claim.taken"):
        say(other, tenant, Register(person=second, claims=claim), dry_run=True)
    assert say(other, tenant, Register(person=first, claims=claim), dry_run=True).status == "would"
    assert other.claim(tenant, "uscc", b"\x01" * 32) == first
    assert ledgers.load(tenant, "person", second).version == 0


def test_in_one_batch_too_a_claim_and_a_key_are_given_once(
    database: Database, ledgers: Ledgers, tenant: str
) -> None:
    ledgers.tail(tenant, 0)
    held = Held(database, tenant)
    first = ledgers.submit(submission(tenant, Register(person=new_id())))
    held.until(1)
    claim = (("uscc", b"\x02" * 32),)
    same = new_id()
    batch = [
        ledgers.submit(submission(tenant, Register(person=new_id(), claims=claim))),
        ledgers.submit(submission(tenant, Register(person=new_id(), claims=claim))),
        ledgers.submit(submission(tenant, Link(person=same, account="a"), key="k")),
        ledgers.submit(submission(tenant, Link(person=same, account="a"), key="k")),
        ledgers.submit(submission(tenant, Link(person=same, account="b"))),
    ]
    held.let_go()
    assert first.result().position == 1
    assert batch[0].result().status == "done"
    with refused("claim.taken"):
        batch[1].result()
    assert [batch[2].result().status, batch[3].result().status] == ["done", "repeated"]
    assert batch[3].result().events == batch[2].result().events
    assert batch[4].result().version == 2
    assert ledgers.tail(tenant, 0).position == 4


def test_a_command_falls_with_the_one_it_was_decided_on_and_is_decided_again(
    database: Database, ledgers: Ledgers, other: Ledgers, tenant: str
) -> None:
    person, stranger = new_id(), new_id()
    say(ledgers, tenant, Register(person=person))
    held = Held(database, tenant)
    gather = ledgers.submit(submission(tenant, Register(person=stranger)))
    held.until(1)
    theirs = other.submit(submission(tenant, Link(person=person, account="theirs")))
    held.until(2)
    ours = [ledgers.submit(submission(tenant, Link(person=person, account=name))) for name in "abc"]
    held.let_go()
    gather.result()
    theirs.result()
    assert sorted(one.result().version for one in ours) == [3, 4, 5]
    versions = [row.version for row in ledgers.history(tenant, person)]
    assert versions == [1, 2, 3, 4, 5]


def test_reads_of_other_streams_count(ledgers: Ledgers, other: Ledgers, tenant: str) -> None:
    watched, person = new_id(), new_id()
    say(ledgers, tenant, Register(person=watched))
    say(other, tenant, Link(person=watched, account="x"))
    outcome = say(ledgers, tenant, Register(person=person, looks_at=(watched,)))
    assert outcome.status == "done"
    assert ledgers.ledger(tenant).recall("person", watched).version == 2  # type: ignore[union-attr]


def test_a_clock_too_far_ahead_or_back_is_refused(database: Database, tenant: str) -> None:
    for off in (timedelta(seconds=5), timedelta(seconds=-5)):
        wrong = Ledgers(database.service, None, lambda off=off: clock() + off)
        try:
            with refused("clock.skew"):
                say(wrong, tenant, Register(person=new_id()))
        finally:
            wrong.close()


def test_instants_never_run_back_behind_the_log(database: Database, tenant: str) -> None:
    ahead = Ledgers(database.service, None, lambda: clock() + timedelta(seconds=1.5))
    behind = Ledgers(database.service, None, lambda: clock() - timedelta(seconds=1.5))
    try:
        first = say(ahead, tenant, Register(person=new_id())).events[0]
        second = say(behind, tenant, Register(person=new_id())).events[0]
        assert second.recorded_at > first.recorded_at
        third = say(behind, tenant, Register(person=new_id())).events[0]
        assert third.event.at >= second.recorded_at - timedelta(microseconds=1)
    finally:
        ahead.close()
        behind.close()


def test_a_tenant_with_a_given_clock_takes_instants_from_the_caller(
    database: Database, ledgers: Ledgers
) -> None:
    tenant = make_tenant(database, given_clock=True)
    at = datetime(2024, 5, 1, tzinfo=UTC)
    first = say(ledgers, tenant, Register(person=new_id()), at=at).events[0]
    assert (first.event.at, first.recorded_at) == (at, at)
    second = say(ledgers, tenant, Register(person=new_id()), at=at).events[0]
    assert second.recorded_at == at + timedelta(microseconds=1)


def test_an_instant_of_the_caller_s_is_refused_elsewhere(ledgers: Ledgers, tenant: str) -> None:
    with refused("clock.not_given"):
        say(ledgers, tenant, Register(person=new_id()), at=datetime(2024, 5, 1, tzinfo=UTC))


def test_an_unknown_tenant_is_refused(ledgers: Ledgers) -> None:
    with refused("tenant.unknown"):
        say(ledgers, new_id(), Register(person=new_id()))


def test_a_queue_that_is_full_refuses(
    database: Database, ledgers: Ledgers, tenant: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("domain.writer.MAX_QUEUE", 3)
    held = Held(database, tenant)
    first = ledgers.submit(submission(tenant, Register(person=new_id())))
    held.until(1)
    waiting = [ledgers.submit(submission(tenant, Register(person=new_id()))) for _ in range(3)]
    with refused("ledger.busy"):
        ledgers.submit(submission(tenant, Register(person=new_id()))).result()
    held.let_go()
    assert {first.result().status, *(one.result().status for one in waiting)} == {"done"}


def test_a_held_tenant_delays_no_other(database: Database, ledgers: Ledgers, tenant: str) -> None:
    free = make_tenant(database)
    held = Held(database, tenant)
    stuck = ledgers.submit(submission(tenant, Register(person=new_id())))
    held.until(1)
    assert say(ledgers, free, Register(person=new_id())).status == "done"
    assert not stuck.done()
    held.let_go()
    assert stuck.result().status == "done"


def test_commands_that_meet_are_written_in_few_commits(
    database: Database, ledgers: Ledgers, tenant: str
) -> None:
    held = Held(database, tenant)
    first = ledgers.submit(submission(tenant, Register(person=new_id())))
    held.until(1)
    rest = [ledgers.submit(submission(tenant, Register(person=new_id()))) for _ in range(64)]
    held.let_go()
    for future in [first, *rest]:
        future.result()
    with psycopg.connect(database.service) as conn:
        conn.execute("SELECT set_config('counterseal.tenant', %s, true)", (tenant,))
        counts = conn.execute("SELECT count FROM batches ORDER BY first_position").fetchall()
    assert counts[0] == (1,)
    assert sum(count for (count,) in counts) == 65
    assert len(counts) <= 1 + 64 // FEW


@pytest.mark.parametrize(
    ("seconds", "refusals"), [(100.0, set[str]()), (0.0, {"ledger.contended"})]
)
def test_threads_that_contend_for_one_stream_lose_nothing(
    ledgers: Ledgers,
    other: Ledgers,
    tenant: str,
    monkeypatch: pytest.MonkeyPatch,
    seconds: float,
    refusals: set[str],
) -> None:
    """None is refused while it may be decided again; without that time some may be."""
    monkeypatch.setattr(landing, "CONTENDED_S", seconds)
    person = new_id()
    say(ledgers, tenant, Register(person=person))
    done: list[int] = []
    codes: set[str] = set()

    def work(mine: Ledgers, name: str) -> None:
        for number in range(20):
            while True:
                try:
                    done.append(
                        say(mine, tenant, Link(person=person, account=f"{name}{number}")).version
                    )
                    break
                except Refused as refusal:
                    codes.add(refusal.code)

    threads = [
        threading.Thread(target=work, args=(mine, f"{n}-{k}-"))
        for n, mine in enumerate((ledgers, other))
        for k in range(3)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(done) == list(range(2, 122))
    assert codes <= refusals


def test_a_defect_in_one_command_fails_that_one_alone(
    database: Database, ledgers: Ledgers, tenant: str
) -> None:
    held = Held(database, tenant)
    first = ledgers.submit(submission(tenant, Register(person=new_id())))
    held.until(1)
    bad = ledgers.submit(submission(tenant, Register(person=new_id()), key="\x00"))
    good = ledgers.submit(submission(tenant, Register(person=new_id())))
    held.let_go()
    assert first.result().status == "done"
    assert good.result().status == "done"
    with pytest.raises(Refused):
        bad.result()


def test_the_durable_settings_are_on(database: Database) -> None:
    with psycopg.connect(database.service) as conn:
        for setting in ("fsync", "synchronous_commit", "full_page_writes"):
            row = conn.execute("SELECT current_setting(%s)", (setting,)).fetchone()
            assert row == ("on",), setting


def test_no_news_is_acknowledged_no_sooner_than_what_made_it_none(
    ledgers: Ledgers, tenant: str
) -> None:
    """Who is told "revoked already" may believe it as much as who revoked it a moment ago."""
    person = new_id()
    say(ledgers, tenant, Register(person=person))
    for status in ("no_op", "repeated"):
        begun = time.monotonic()
        outcome = ledgers.submit(submission(tenant, Register(person=person), key="k")).result()
        assert outcome.status == status
        assert outcome.acknowledge_at >= begun + MEMORY_BOUND_S
    dry = ledgers.submit(submission(tenant, Register(person=person), dry_run=True)).result()
    assert dry.acknowledge_at <= time.monotonic()


@pytest.mark.parametrize("bad", ["not an id", "", "00000000-0000-7000-8000-00000000000g"])
def test_a_command_on_what_is_no_id_fails_alone(
    database: Database, ledgers: Ledgers, tenant: str, bad: str
) -> None:
    held = Held(database, tenant)
    first = ledgers.submit(submission(tenant, Register(person=new_id())))
    held.until(1)
    wrong = ledgers.submit(submission(tenant, Register(person=bad)))
    good = ledgers.submit(submission(tenant, Register(person=new_id())))
    held.let_go()
    assert first.result().status == "done"
    assert good.result().status == "done"
    assert isinstance(wrong.exception(), ValueError)


def test_an_inline_row_that_cannot_be_made_fails_its_own_command(
    database: Database, tenant: str
) -> None:
    bad, calls = new_id(), 0

    class Rows:
        folds: Mapping[str, int] = {}

        def rows(self, events: Sequence[NewEvent]) -> InlineRows:
            nonlocal calls
            calls += 1
            if any(new.stream_id == bad for new in events):
                raise ArithmeticError
            return InlineRows([], [], [], [], narrowing=False)

    made = make_ledgers(database, Rows())
    try:
        held = Held(database, tenant)
        first = made.submit(submission(tenant, Register(person=new_id())))
        held.until(1)
        wrong = made.submit(submission(tenant, Register(person=bad)))
        good = made.submit(submission(tenant, Register(person=new_id())))
        held.let_go()
        assert (first.result().status, good.result().status) == ("done", "done")
        with pytest.raises(ArithmeticError):
            wrong.result()
        assert calls >= 3
    finally:
        made.close()
