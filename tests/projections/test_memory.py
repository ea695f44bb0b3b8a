"""Memory by itself: the 250 ms, what is forgotten, and loads and touches that race."""

from __future__ import annotations

import asyncio

import msgspec
import pytest

from projections.memory import Memory
from tests.projections.facts import day
from tests.projections.fake_log import LIMITS, Clock, Log
from tests.projections.materials import ANN, BEN, question, row


async def let_run() -> None:
    for _ in range(10):
        await asyncio.sleep(0)


def test_what_is_remembered_answers_within_250_ms_of_sending_the_query_that_confirmed_it(
    memory: Memory, log: Log, clock: Clock
) -> None:
    async def scenario() -> None:
        assert memory.recall(question()) is None
        assert (await memory.check(question())).allowed
        log.revoke()
        clock.time += 0.25
        remembered = memory.recall(question())
        assert remembered is not None
        assert remembered.allowed
        clock.time += 0.001
        assert memory.recall(question()) is None
        assert not (await memory.check(question())).allowed

    asyncio.run(scenario())


def test_the_250_ms_count_from_sending_and_not_from_the_answer(
    memory: Memory, log: Log, clock: Clock
) -> None:
    async def slow() -> None:
        clock.time += 0.2

    async def scenario() -> None:
        log.after_tail = slow
        await memory.check(question())
        log.after_tail = None
        clock.time += 0.06
        assert memory.recall(question()) is None

    asyncio.run(scenario())


def test_an_answer_that_took_longer_than_the_bound_is_asked_for_again(
    memory: Memory, log: Log, clock: Clock
) -> None:
    """A query sent long before the question was read confirms nothing for it."""

    async def scenario() -> None:
        await memory.check(question())
        clock.time += 1
        gate = asyncio.Event()

        async def wait() -> None:
            await gate.wait()

        log.after_tail = wait
        first = asyncio.create_task(memory.check(question()))
        await let_run()
        log.revoke()  # after the first tail looked, before the second question is read
        clock.time += 0.3
        log.after_tail = None
        second = asyncio.create_task(memory.check(question()))
        await let_run()
        gate.set()
        await first
        assert not (await second).allowed

    asyncio.run(scenario())


def test_many_who_wait_share_one_query(memory: Memory, log: Log, clock: Clock) -> None:
    async def scenario() -> None:
        await memory.check(question())
        clock.time += 1
        before = log.tails
        await asyncio.gather(*(memory.check(question()) for _ in range(50)))
        assert log.tails == before + 1

    asyncio.run(scenario())


def test_who_misses_at_once_is_read_at_once(memory: Memory, log: Log, clock: Clock) -> None:
    async def scenario() -> None:
        await memory.check(question())
        log.rows |= {f"service:{n}": [row(f"service:{n}")] for n in range(100)}
        log.loads.clear()
        asked = [memory.check(question(f"service:{n}")) for n in range(100)]
        assert all(decision.allowed for decision in await asyncio.gather(*asked))
        assert sum(map(len, log.loads)) == 100
        assert len(log.loads) <= 3

    asyncio.run(scenario())


def test_only_what_was_touched_is_forgotten(memory: Memory, log: Log, clock: Clock) -> None:
    async def scenario() -> None:
        log.rows[BEN] = [row(BEN)]
        await memory.check(question())
        await memory.check(question(BEN))
        log.loads.clear()
        log.revoke()
        clock.time += 1
        assert (await memory.check(question(BEN))).allowed
        assert log.loads == []
        assert not (await memory.check(question())).allowed
        assert log.loads == [[ANN]]

    asyncio.run(scenario())


def test_a_touched_point_is_read_again(memory: Memory, log: Log, clock: Clock) -> None:
    asked = question(properties={})

    async def scenario() -> None:
        log.points["territory/CN/31/0115"] = {"product": "tea"}
        assert (await memory.check(asked)).allowed
        assert memory.recall(asked) is not None
        log.points["territory/CN/31/0115"] = {"product": "cup"}
        log.write("p:territory/CN/31/0115")
        clock.time += 1
        assert not (await memory.check(asked)).allowed

    asyncio.run(scenario())


def test_a_load_overtaken_by_a_touch_is_not_remembered(
    memory: Memory, log: Log, clock: Clock
) -> None:
    """The load looked before the revocation; the head passed it, touch included, before it came
    back.
    """

    async def scenario() -> None:
        await memory.check(question(BEN))  # confirms the head; Ann is not loaded yet
        gate = asyncio.Event()

        async def wait() -> None:
            await gate.wait()

        log.after_load = wait
        loading = asyncio.create_task(memory.check(question()))
        await let_run()
        log.after_load = None
        log.revoke()
        clock.time += 0.3
        await memory.check(
            question(BEN)
        )  # the tail takes the touch over: there is nothing to forget
        gate.set()
        await loading
        assert not (await memory.check(question())).allowed
        recalled = memory.recall(question())
        assert recalled is not None
        assert not recalled.allowed

    asyncio.run(scenario())


def test_a_load_ahead_of_the_head_is_used_by_others_only_when_the_head_got_there(
    memory: Memory, log: Log, clock: Clock
) -> None:
    async def scenario() -> None:
        log.rows[ANN] = [row(scope={"territory": ("CN",)})]  # its place is in no other dimension
        await memory.check(question(BEN))
        log.write()
        assert (await memory.check(question())).position == log.position
        assert memory.recall(question()) is None
        clock.time += 0.3
        await memory.check(question(BEN))
        assert memory.recall(question()) is not None

    asyncio.run(scenario())


def test_a_place_ahead_of_the_head_is_not_put_together_with_a_subject_of_before(
    memory: Memory, log: Log, clock: Clock
) -> None:
    elsewhere = question(resource_id="CN/31/0101")

    async def scenario() -> None:
        log.rows[BEN] = [row(BEN)]
        await memory.check(question())
        log.write()
        await memory.check(question(BEN, resource_id="CN/31/0101"))
        assert memory.recall(question()) is not None
        assert memory.recall(elsewhere) is None
        clock.time += 0.3
        await memory.check(question())
        assert memory.recall(elsewhere) is not None

    asyncio.run(scenario())


def test_a_merge_forgets_everyone_who_is_taken_together(
    memory: Memory, log: Log, clock: Clock
) -> None:
    async def scenario() -> None:
        log.rows[BEN] = []
        log.merges = [(ANN, BEN, day(1))]
        assert (await memory.check(question(BEN))).allowed
        log.revoke()  # touches Ann alone
        clock.time += 1
        assert not (await memory.check(question(BEN))).allowed

    asyncio.run(scenario())


def test_more_who_miss_at_once_than_one_batch_holds_are_all_answered(
    log: Log, clock: Clock
) -> None:
    """A full batch waits its turn; the next one that gathers must not take its place."""
    limits = msgspec.structs.replace(LIMITS, batch=4, flights=1)
    memory = Memory(log, now=clock.now, monotonic=clock.monotonic, limits=limits)

    async def scenario() -> None:
        await memory.check(question())
        log.rows |= {f"service:{n}": [row(f"service:{n}")] for n in range(30)}
        asked = [memory.check(question(f"service:{n}")) for n in range(30)]
        assert all(decision.allowed for decision in await asyncio.gather(*asked))

    asyncio.run(scenario())


def test_a_batch_that_fails_unforeseen_fails_alone(memory: Memory, log: Log, clock: Clock) -> None:
    async def broken() -> None:
        log.after_load = None
        raise ValueError("what nobody thought of")

    async def scenario() -> None:
        await memory.check(question())
        log.rows[BEN] = [row(BEN)]
        log.after_load = broken
        with pytest.raises(ValueError, match="nobody thought of"):
            await memory.check(question(BEN))
        assert (await memory.check(question(BEN))).allowed

    asyncio.run(scenario())


def test_a_log_that_is_shorter_than_it_was_is_remembered_by_nobody(
    memory: Memory, log: Log, clock: Clock
) -> None:
    """After a restore what was remembered may never have been."""

    async def scenario() -> None:
        log.position = 20
        assert (await memory.check(question())).allowed
        log.position, log.rows[ANN] = 15, [row(until=5)]
        clock.time += 1
        await memory.check(question(BEN))
        log.position = 25
        clock.time += 1
        assert not (await memory.check(question())).allowed

    asyncio.run(scenario())
