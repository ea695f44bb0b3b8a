"""Blocking work beside the event loop: so many threads, and a bounded queue before them."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Final, ParamSpec, TypeVar

from domain.errors import Refused

WAITING_A_THREAD: Final = 64
"""Calls that may wait for each thread; the next one is refused rather than queued."""

TURN_SECONDS: Final = 0.0005
"""How long a thread goes on while another waits for the interpreter. By itself that is 5 ms: the
writer of commands waited so long for the event loop each time the database had answered it, about
as long as a whole batch takes.
"""

P = ParamSpec("P")
T = TypeVar("T")


def take_short_turns() -> None:
    """Let threads of this process wait for each other less."""
    sys.setswitchinterval(TURN_SECONDS)


class Threads:
    """Runs what reads the databases, so that a slow one never holds the event loop."""

    def __init__(self, number: int) -> None:
        self._pool = ThreadPoolExecutor(number, thread_name_prefix="doors")
        self._bound = number * (WAITING_A_THREAD + 1)
        self._under_way = 0

    async def run(self, call: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Return what `call` returns. Raises what it raises, and `Refused` `request.busy`.

        Cancelled while it waits, the call is not made; cancelled while it runs, it runs to its end.
        """
        if self._under_way >= self._bound:
            raise Refused("request.busy")
        self._under_way += 1
        try:
            future = self._pool.submit(call, *args, **kwargs)
            return await asyncio.wrap_future(future)
        finally:
            self._under_way -= 1

    def close(self) -> None:
        """Wait for what runs; what waits is not begun."""
        self._pool.shutdown(wait=True, cancel_futures=True)
