"""Commands of one turn of the event loop go together; what another thread answers reaches whoever
waits there, all with one wake-up."""

from __future__ import annotations

import asyncio
import sys
import threading
from collections.abc import Callable, Coroutine, Sequence
from typing import Any, cast

import pytest

from api.arrivals import Arrivals
from api.threads import TURN_SECONDS
from domain.errors import Refused
from domain.ledger import Outcome, Submission, Waiting
from tests.support.trade import Trade


def command(number: int) -> Submission:
    """Stand for a command; nobody here looks into it."""
    return cast(Submission, number)


def outcome(number: int) -> Outcome:
    """Return an outcome at this position."""
    return Outcome("done", (), number, 1, None, False, 0.0)


class Writer:
    """Takes what is handed over, and answers when it is told to."""

    def __init__(self) -> None:
        self.turns: list[list[tuple[Submission, Waiting]]] = []

    def hand_over(self, together: Sequence[tuple[Submission, Waiting]]) -> None:
        self.turns.append(list(together))

    def answer(self, turn: int, refused: Refused | None = None) -> None:
        """Answer a turn's commands in another thread; the event loop stands still for so long."""

        def work() -> None:
            for number, waiting in self.turns[turn]:
                if refused is None:
                    waiting.set_result(outcome(cast(int, number)))
                else:
                    waiting.set_exception(refused)

        thread = threading.Thread(target=work)
        thread.start()
        thread.join()


def run(work: Callable[[Arrivals, Writer], Coroutine[Any, Any, None]]) -> None:
    writer = Writer()
    asyncio.run(work(Arrivals(writer.hand_over), writer))


async def sent(
    arrivals: Arrivals, writer: Writer, *numbers: int
) -> Sequence[asyncio.Task[Outcome]]:
    """Begin to wait for some commands, and return once they were handed over."""
    turns = len(writer.turns)
    waiting = [asyncio.create_task(arrivals.outcome(command(one))) for one in numbers]
    await asyncio.sleep(0)  # all have asked
    await asyncio.sleep(0)  # and were handed over at the turn's end
    assert len(writer.turns) == turns + 1
    return waiting


def test_a_batch_goes_together_and_wakes_the_loop_once(monkeypatch: pytest.MonkeyPatch) -> None:
    async def work(arrivals: Arrivals, writer: Writer) -> None:
        loop = asyncio.get_running_loop()
        woken: list[object] = []
        wake = loop.call_soon_threadsafe

        def counted(*given: Any, **more: Any) -> asyncio.Handle:
            woken.append(given)
            return wake(*given, **more)

        monkeypatch.setattr(loop, "call_soon_threadsafe", counted)
        for turn in range(2):  # a second batch finds the loop asleep again
            waiting = await sent(arrivals, writer, *range(64))
            writer.answer(turn)
            assert [one.position for one in await asyncio.gather(*waiting)] == list(range(64))
        assert [len(turn) for turn in writer.turns] == [64, 64]
        assert len(woken) == 2

    run(work)


def test_what_is_answered_while_it_is_handed_over_is_found_and_a_refusal_is_raised() -> None:
    def hand_over(together: Sequence[tuple[Submission, Waiting]]) -> None:
        (_, first), (_, second) = together
        first.set_result(outcome(7))
        assert first.done()
        assert not second.done()
        second.set_exception(Refused("ledger.busy"))

    async def work() -> None:
        arrivals = Arrivals(hand_over)
        first, second = await asyncio.gather(
            *(arrivals.outcome(command(one)) for one in range(2)), return_exceptions=True
        )
        assert first == outcome(7)
        assert isinstance(second, Refused)
        assert second.code == "ledger.busy"

    asyncio.run(work())


def test_a_fault_that_asyncio_refuses_is_told_and_those_behind_it_are_answered() -> None:
    def hand_over(together: Sequence[tuple[Submission, Waiting]]) -> None:
        (_, first), (_, second) = together
        first.set_exception(StopIteration())
        second.set_result(outcome(2))

    async def work() -> None:
        arrivals = Arrivals(hand_over)
        first, second = await asyncio.gather(
            *(arrivals.outcome(command(one)) for one in range(2)), return_exceptions=True
        )
        assert isinstance(first, RuntimeError)
        assert second == outcome(2)

    asyncio.run(work())


def test_where_nothing_can_be_handed_over_everyone_is_told() -> None:
    def hand_over(_: Sequence[tuple[Submission, Waiting]]) -> None:
        raise ValueError("a defect")

    async def work() -> None:
        arrivals = Arrivals(hand_over)
        found = await asyncio.gather(
            *(arrivals.outcome(command(one)) for one in range(3)), return_exceptions=True
        )
        assert [str(one) for one in found] == ["a defect"] * 3

    asyncio.run(work())


def test_who_gives_up_waiting_leaves_the_work_and_the_others_alone() -> None:
    async def work(arrivals: Arrivals, writer: Writer) -> None:
        first, second = await sent(arrivals, writer, 1, 2)
        first.cancel()
        await asyncio.sleep(0)
        assert first.cancelled()
        writer.answer(0)
        assert (await second).position == 2

    run(work)


def test_who_gives_up_before_the_turn_is_over_sends_nothing() -> None:
    async def work(arrivals: Arrivals, writer: Writer) -> None:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0):
                await arrivals.outcome(command(1))
        (second,) = await sent(arrivals, writer, 2)
        writer.answer(-1)
        assert (await second).position == 2
        assert [number for turn in writer.turns for number, _ in turn][-1] == 2

    run(work)


def test_an_answer_after_the_loop_has_ended_troubles_nobody(
    caplog: pytest.LogCaptureFixture,
) -> None:
    late = Writer()

    async def work() -> None:
        (waiting,) = await sent(Arrivals(late.hand_over), late, 1)
        waiting.cancel()

    asyncio.run(work())
    ((_, waiting),) = late.turns[0]
    waiting.set_result(outcome(1))  # nor does the thread that answers, and with it others' commands
    assert caplog.records == []


def test_where_the_doors_are_open_threads_wait_for_each_other_less(trade: Trade) -> None:
    assert trade.checker.get("/livez").status_code == 200
    assert sys.getswitchinterval() == pytest.approx(TURN_SECONDS)
