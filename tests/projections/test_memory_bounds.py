"""Memory by itself: quarantine, consistency, the instant asked about, faults and bounds."""

from __future__ import annotations

import asyncio

import pytest

from domain.errors import Refused
from projections.memory import Memory
from projections.remembered import Limits
from tests.projections.facts import day
from tests.projections.fake_log import Clock, Log
from tests.projections.materials import ANN, question, row


async def let_run() -> None:
    for _ in range(10):
        await asyncio.sleep(0)


@pytest.mark.parametrize("how", ["too many", "generation"])
def test_everything_is_forgotten_where_too_much_changed(
    memory: Memory, log: Log, clock: Clock, how: str
) -> None:
    async def scenario() -> None:
        await memory.check(question())
        log.rows[ANN] = [row(until=5)]  # nothing says who was touched
        log.position += 1
        log.too_many = how == "too many"
        if how == "generation":
            log.generations = (2, 1, 1)
        clock.time += 1
        assert not (await memory.check(question())).allowed

    asyncio.run(scenario())


def test_a_quarantine_is_seen_with_the_next_confirmation(
    memory: Memory, log: Log, clock: Clock
) -> None:
    async def scenario() -> None:
        await memory.check(question())
        log.quarantined[ANN.partition(":")[2]] = 5
        clock.time += 1
        assert not (await memory.check(question())).allowed

    asyncio.run(scenario())


def test_full_asks_the_database_whatever_is_remembered(memory: Memory, log: Log) -> None:
    async def scenario() -> None:
        await memory.check(question())
        log.rows[ANN] = [row(until=5)]
        assert memory.recall(question(consistency="full")) is None
        assert not (await memory.check(question(consistency="full"))).allowed

    asyncio.run(scenario())


def test_at_least_waits_for_a_position_and_says_how_far_it_got(
    memory: Memory, log: Log, clock: Clock
) -> None:
    async def scenario() -> None:
        await memory.check(question())
        waiting = asyncio.create_task(memory.check(question(at_least=12)))
        await asyncio.sleep(0.02)
        assert not waiting.done()
        log.write()
        log.write()
        assert (await waiting).position == 12
        late = asyncio.create_task(memory.check(question(at_least=99)))
        await asyncio.sleep(0.02)
        clock.time += 1
        with pytest.raises(Refused, match=r"^position\.not_reached") as caught:
            await late
        assert caught.value.params == {"position": 99, "reached": 12}

    asyncio.run(scenario())


def test_the_past_is_never_remembered(memory: Memory, log: Log) -> None:
    async def scenario() -> None:
        await memory.check(question())
        log.loads.clear()
        for _ in range(3):
            await memory.check(question(as_of=5))
        assert len(log.loads) == 3
        with pytest.raises(Refused, match=r"^position\.not_reached"):
            await memory.check(question(as_of=99))

    asyncio.run(scenario())


def test_the_instant_is_never_before_what_is_recorded_and_a_given_clock_is_that(
    memory: Memory, log: Log, clock: Clock
) -> None:
    async def scenario() -> None:
        assert (await memory.check(question())).at == day(20)
        log.recorded_at = day(30)
        clock.time += 1
        assert (await memory.check(question())).at == day(30)
        log.clock, log.recorded_at = "given", day(3)
        clock.time += 1
        assert (await memory.check(question())).at == day(3)
        assert (await memory.check(question(at=day(4)))).at == day(4)

    asyncio.run(scenario())


def test_a_database_out_of_reach_is_a_refusal_and_never_an_old_answer(
    memory: Memory, log: Log, clock: Clock
) -> None:
    async def scenario() -> None:
        await memory.check(question())
        log.down = True
        clock.time += 1
        for _ in range(2):
            with pytest.raises(Refused, match=r"^ledger\.unreachable"):
                await memory.check(question())
        log.down = False
        assert (await memory.check(question())).allowed

    asyncio.run(scenario())


def test_a_database_that_does_not_answer_is_waited_for_only_so_long(
    memory: Memory, log: Log, clock: Clock
) -> None:
    async def scenario() -> None:
        await memory.check(question())
        clock.time += 1
        gate = asyncio.Event()

        async def wait() -> None:
            await gate.wait()

        log.before_tail = wait
        with pytest.raises(Refused, match=r"^ledger\.unreachable"):
            await memory.check(question())
        gate.set()
        assert (await memory.check(question())).allowed

    asyncio.run(scenario())


def test_a_caller_who_goes_away_takes_nothing_from_the_others(
    memory: Memory, log: Log, clock: Clock
) -> None:
    async def scenario() -> None:
        await memory.check(question())
        clock.time += 1
        gate = asyncio.Event()

        async def wait() -> None:
            await gate.wait()

        log.after_tail = wait
        one, other = (asyncio.create_task(memory.check(question())) for _ in range(2))
        await let_run()
        one.cancel()
        await let_run()
        gate.set()
        assert (await other).allowed
        with pytest.raises(asyncio.CancelledError):
            await one

    asyncio.run(scenario())


def test_an_unknown_tenant_is_refused_and_not_kept(memory: Memory) -> None:
    async def scenario() -> None:
        for _ in range(2):
            with pytest.raises(Refused, match=r"^tenant\.unknown"):
                await memory.check(question(tenant="other"))

    asyncio.run(scenario())


def test_who_is_unknown_is_not_remembered(memory: Memory, log: Log) -> None:
    async def scenario() -> None:
        stranger = question("service:late")
        assert not (await memory.check(stranger)).allowed
        log.rows["service:late"] = [row("service:late")]
        assert (await memory.check(stranger)).allowed

    asyncio.run(scenario())


def test_bad_ids_are_refused_before_anything_is_asked(memory: Memory, log: Log) -> None:
    async def scenario() -> None:
        with pytest.raises(Refused, match=r"^check\.bad_id"):
            await memory.check(question(resource_id="*"))
        assert (log.tails, log.loads) == (0, [])

    asyncio.run(scenario())


def test_the_head_is_confirmed_in_the_background_while_a_tenant_is_asked(
    memory: Memory, log: Log, clock: Clock
) -> None:
    async def scenario() -> None:
        await memory.check(question())
        await memory.open()
        for _ in range(20):
            clock.time += 0.11
            await asyncio.sleep(0.02)
            assert memory.recall(question()) is not None
        asked = log.tails
        clock.time += 10
        await asyncio.sleep(0.05)
        assert log.tails == asked  # nobody asks any more
        await memory.close()

    asyncio.run(scenario())


def test_memory_is_bounded_and_the_tenant_asked_last_is_kept(log: Log, clock: Clock) -> None:
    limits = Limits(tenants=2, subjects=20, points=20, batch=8)
    memory = Memory(log, now=clock.now, monotonic=clock.monotonic, limits=limits)

    async def scenario() -> None:
        for number in range(200):
            ref = f"service:{number}"
            log.rows[ref] = [row(ref)]
            asked = question(ref, resource_id=f"CN/31/{number}")
            assert (await memory.check(asked)).allowed
        last = question("service:199", resource_id="CN/31/199")
        assert memory.recall(last) is not None
        held = [n for n in range(200) if memory.recall(question(f"service:{n}")) is not None]
        assert len(held) <= 20

    asyncio.run(scenario())
