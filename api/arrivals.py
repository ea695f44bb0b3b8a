"""Between the event loop that answers and the threads that write: commands go together, and their
outcomes come back together."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import suppress

from domain.ledger import Outcome, Submission, Waiting

HandOver = Callable[[Sequence[tuple[Submission, Waiting]]], None]
"""What is needed of `domain.ledger.Ledgers`."""


class Awaited:
    """A command's outcome, awaited in the event loop and given by whichever thread has it.

    A `concurrent.futures.Future` has a lock and a condition of its own for each command; here
    nobody blocks, so none is needed.
    """

    __slots__ = ("_arrivals", "_is_done", "fault", "outcome", "waiting")

    def __init__(self, arrivals: Arrivals, waiting: asyncio.Future[Outcome]) -> None:
        self._arrivals = arrivals
        self._is_done = False
        self.waiting = waiting
        self.outcome: Outcome | None = None
        self.fault: BaseException | None = None

    def done(self) -> bool:
        """Return whether it was given."""
        return self._is_done

    def set_result(self, result: Outcome, /) -> None:
        """Give the outcome."""
        self.outcome, self._is_done = result, True
        self._arrivals.put(self)

    def set_exception(self, exception: BaseException | None, /) -> None:
        """Give the refusal, or the fault."""
        self.fault, self._is_done = exception, True
        self._arrivals.put(self)


class Arrivals:
    """Hands commands over and brings their outcomes to those who wait; one an event loop.

    Every call of the system lets another thread in, which then keeps the event loop waiting. The
    commands of one turn of the loop are handed over by one call, so that a writer that sleeps is
    woken once, by all of them; those of one batch are answered together, so the first wakes the
    loop and the others are found there.
    """

    def __init__(self, hand_over: HandOver) -> None:
        self._hand_over = hand_over
        self._leaving: list[tuple[Submission, Awaited]] = []
        self._arrived: deque[Awaited] = deque()
        self._woken = False

    async def outcome(self, submission: Submission) -> Outcome:
        """Return what becomes of a command, or raise it. Giving up waiting does not call it back,
        once it was handed over.
        """
        loop = asyncio.get_running_loop()
        waiting: asyncio.Future[Outcome] = loop.create_future()
        if not self._leaving:
            loop.call_soon(self._leave)
        self._leaving.append((submission, Awaited(self, waiting)))
        try:
            return await waiting
        finally:
            del waiting  # it holds the fault, whose frames hold it

    def _leave(self) -> None:
        """Hand over all that came in this turn of the loop; not what was given up meanwhile."""
        leaving, self._leaving = self._leaving, []
        together = [one for one in leaving if not one[1].waiting.done()]
        try:
            self._hand_over(together)
        except Exception as fault:  # noqa: BLE001 - whoever waits gets an answer
            for _, awaited in together:
                if not awaited.done():
                    awaited.set_exception(fault)

    def put(self, awaited: Awaited) -> None:
        """Take what was given; called by whichever thread gave it."""
        self._arrived.append(awaited)
        if not self._woken:
            self._woken = True
            # A loop that is closed raises: the service has ended, and nobody waits any more. Whose
            # commands were in the same batch must not hear of it.
            with suppress(RuntimeError):
                awaited.waiting.get_loop().call_soon_threadsafe(self._hand_out)

    def _hand_out(self) -> None:
        # First, so that who comes while this runs wakes the loop again rather than being left.
        self._woken = False
        while self._arrived:
            awaited = self._arrived.popleft()
            waiting = awaited.waiting
            if waiting.done():  # given up: the deadline, or the caller has gone
                continue
            if awaited.outcome is not None:
                waiting.set_result(awaited.outcome)
            elif awaited.fault is None or isinstance(awaited.fault, StopIteration):
                # A StopIteration is no answer to asyncio: it would end this turn for all behind it.
                waiting.set_exception(RuntimeError(f"no outcome: {awaited.fault!r}"))
            else:
                waiting.set_exception(awaited.fault)
