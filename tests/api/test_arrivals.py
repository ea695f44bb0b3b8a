"""What another thread answers reaches whoever waits in the event loop: all with one wake-up."""

from __future__ import annotations

import asyncio
import sys
import threading
from collections.abc import Callable, Coroutine
from concurrent.futures import Future
from typing import Any

import pytest

from api.arrivals import Arrivals
from api.threads import TURN_SECONDS
from domain.errors import Refused
from tests.support.trade import Trade


def elsewhere(*answered: tuple[Future[int], int | Refused]) -> None:
    """Answer in another thread, to its end; the event loop stands still for so long."""

    def work() -> None:
        for future, answer in answered:
            if isinstance(answer, Refused):
                future.set_exception(answer)
            else:
                future.set_result(answer)

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()


def run(work: Callable[[Arrivals], Coroutine[Any, Any, None]]) -> None:
    asyncio.run(work(Arrivals()))


def test_a_batch_that_is_answered_together_wakes_the_loop_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def work(arrivals: Arrivals) -> None:
        loop = asyncio.get_running_loop()
        woken: list[object] = []
        wake = loop.call_soon_threadsafe

        def counted(*given: Any, **more: Any) -> asyncio.Handle:
            woken.append(given)
            return wake(*given, **more)

        monkeypatch.setattr(loop, "call_soon_threadsafe", counted)
        for _ in range(2):  # a second batch finds the loop asleep again
            futures: list[Future[int]] = [Future() for _ in range(64)]
            waiting = [asyncio.create_task(arrivals.outcome(one)) for one in futures]
            await asyncio.sleep(0)
            elsewhere(*((one, at) for at, one in enumerate(futures)))
            assert await asyncio.gather(*waiting) == list(range(64))
        assert len(woken) == 2

    run(work)


def test_what_is_answered_already_is_found_and_a_refusal_is_raised() -> None:
    async def work(arrivals: Arrivals) -> None:
        done: Future[int] = Future()
        done.set_result(7)
        assert await arrivals.outcome(done) == 7
        refused: Future[int] = Future()
        elsewhere((refused, Refused("ledger.busy")))
        with pytest.raises(Refused, match=r"ledger\.busy"):
            await arrivals.outcome(refused)

    run(work)


def test_who_gives_up_waiting_leaves_the_work_and_the_others_alone() -> None:
    async def work(arrivals: Arrivals) -> None:
        first: Future[int] = Future()
        second: Future[int] = Future()
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0):
                await arrivals.outcome(first)
        assert not first.cancelled()
        waiting = asyncio.create_task(arrivals.outcome(second))
        await asyncio.sleep(0)
        elsewhere((first, 1), (second, 2))
        assert await waiting == 2

    run(work)


def test_an_answer_after_the_loop_has_ended_troubles_nobody(
    caplog: pytest.LogCaptureFixture,
) -> None:
    late: Future[int] = Future()

    async def work(arrivals: Arrivals) -> None:
        waiting = asyncio.create_task(arrivals.outcome(late))
        await asyncio.sleep(0)
        waiting.cancel()

    run(work)
    late.set_result(1)
    assert caplog.records == []


def test_where_the_doors_are_open_threads_wait_for_each_other_less(trade: Trade) -> None:
    assert trade.checker.get("/livez").status_code == 200
    assert sys.getswitchinterval() == pytest.approx(TURN_SECONDS)
