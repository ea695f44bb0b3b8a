"""Memory by itself: a fake database whose answers can be held back, and a clock that is set by
hand.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import datetime
from typing import Any

import psycopg
import pytest

from domain.errors import Refused
from domain.values import Instant
from projections.check_rows import CheckTail, Loaded
from projections.checks import Decision
from projections.material import PermissionRow, Right, Rows, subject
from projections.memory import Memory
from projections.remembered import Limits
from tests.projections.facts import day
from tests.projections.materials import ANN, BEN, question, row, stands

LIMITS = Limits(wait_s=0.5, reach_s=0.3, refresh_every_s=0.005, refresh_after_s=0.1)
Gate = Callable[[], Awaitable[None]]


class Log:
    """A database of one tenant: rows by party, attributes by point, keys touched by position."""

    def __init__(self) -> None:
        self.position = 10
        self.generations: tuple[int | None, ...] = (1, 1, 1)
        self.clock = "system"
        self.recorded_at = day(10)
        self.rows: dict[str, list[PermissionRow]] = {ANN: [row()]}
        self.merges: list[Any] = []
        self.points: dict[str, dict[str, str]] = {}
        self.quarantined: dict[str, int] = {}
        self.touched: dict[int, list[str]] = {}
        self.too_many = False
        self.tails = 0
        self.loads: list[list[str]] = []
        self.before_tail: Gate | None = None
        self.after_tail: Gate | None = None
        self.after_load: Gate | None = None
        self.down = False

    def write(self, *touched: str) -> None:
        """One event more, which touched these keys."""
        self.position += 1
        self.touched[self.position] = list(touched)

    def revoke(self) -> None:
        """Ann's grant ends at once."""
        self.rows[ANN] = [row(until=5)]
        self.write(f"g:{ANN}")

    async def tail(self, tenant: str, after: int) -> CheckTail:
        if tenant != "t":
            raise Refused("tenant.unknown")
        self.tails += 1
        if self.before_tail is not None:
            await self.before_tail()
        if self.down:
            raise psycopg.OperationalError("down")
        seen = [key for at, keys in self.touched.items() if at > after for key in keys]
        found = CheckTail(
            self.position,
            self.recorded_at,
            self.clock,
            self.generations,
            None if self.too_many else seen,
            dict(self.quarantined),
        )
        if self.after_tail is not None:
            await self.after_tail()
        return found

    async def load(
        self, tenant: str, subjects: Sequence[str], points: Sequence[str], as_of: int | None
    ) -> Loaded:
        self.loads.append(list(subjects))
        if self.down:
            raise psycopg.OperationalError("down")
        rows = Rows(
            [one for rows in self.rows.values() for one in rows],
            [stands(party) for party in self.rows],
            list(self.merges),
        )
        attributes: Mapping[str, Mapping[str, str]] = {
            key: self.points.get(key, {}) for key in points
        }
        found = Loaded(
            self.position,
            self.recorded_at,
            self.clock,
            self.generations,
            {ref: subject(ref, self.position, rows, exists=ref in self.rows) for ref in subjects},
            attributes,
            dict(self.quarantined),
        )
        if self.after_load is not None:
            await self.after_load()
        return found

    async def gone(self, decision: Decision) -> tuple[Right, ...]:
        return ()

    async def position_at(self, tenant: str, at: Instant) -> int:
        return self.position


class Clock:
    """Two clocks set by hand: the process's own, and the wall's."""

    def __init__(self) -> None:
        self.time = 100.0
        self.wall: datetime = day(20)

    def monotonic(self) -> float:
        return self.time

    def now(self) -> datetime:
        return self.wall


@pytest.fixture
def log() -> Log:
    return Log()


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def memory(log: Log, clock: Clock) -> Memory:
    return Memory(log, now=clock.now, monotonic=clock.monotonic, limits=LIMITS)


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
