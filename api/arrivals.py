"""From the threads that write to the event loop that answers: many outcomes, one wake-up."""

from __future__ import annotations

import asyncio
from collections import deque
from concurrent.futures import Future
from functools import partial
from typing import Any, TypeVar

T = TypeVar("T")


class Arrivals:
    """Brings outcomes of other threads to those who wait for them; one an event loop.

    `asyncio.wrap_future` wakes the loop once a future, by a call of the system each. The futures of
    one batch of commands are answered together, so the first wakes the loop and the others are
    found there.
    """

    def __init__(self) -> None:
        self._arrived: deque[tuple[asyncio.Future[Any], Future[Any]]] = deque()
        self._woken = False

    async def outcome(self, future: Future[T]) -> T:
        """Return what the future gives, or raise it. Giving up waiting does not cancel it."""
        loop = asyncio.get_running_loop()
        waiting: asyncio.Future[T] = loop.create_future()
        future.add_done_callback(partial(self._put, loop, waiting))
        return await waiting

    def _put(
        self, loop: asyncio.AbstractEventLoop, waiting: asyncio.Future[T], future: Future[T]
    ) -> None:
        """Called by whichever thread answered."""
        if loop.is_closed():  # the service has ended; nobody waits any more
            return
        self._arrived.append((waiting, future))
        if not self._woken:
            self._woken = True
            loop.call_soon_threadsafe(self._hand_out)

    def _hand_out(self) -> None:
        # First, so that who comes while this runs wakes the loop again rather than being left.
        self._woken = False
        while self._arrived:
            waiting, future = self._arrived.popleft()
            if waiting.done():  # given up: the deadline, or the caller has gone
                continue
            fault = future.exception()
            if fault is None:
                waiting.set_result(future.result())
            else:
                waiting.set_exception(fault)
