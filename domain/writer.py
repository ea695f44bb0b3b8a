"""Group commit: commands of a tenant meet in a queue, and a few threads take them off in
batches."""

from __future__ import annotations

import logging
import select
import threading
import time
from collections import deque
from collections.abc import Sequence
from multiprocessing import Pipe
from typing import TYPE_CHECKING

from domain.errors import Refused
from domain.flight import DEADLINE_S, Flight
from domain.ledger import Submission, Waiting
from domain.pending import Pending

if TYPE_CHECKING:
    from domain.ledger import Ledgers

MAX_BATCH = 128
"""Commands written together at the most."""

FEW = 16
"""A batch waits to have so many commands, or all that are queued, even where the server is ready
for it: a commit costs about as much as deciding them."""

MAX_QUEUE = 4096
"""Commands of one tenant that may wait; past it a command is refused with `ledger.busy`."""

log = logging.getLogger("counterseal.ledger")


class Bell:
    """Wakes a thread that waits for a server: a command came in meanwhile."""

    def __init__(self) -> None:
        self.ear, self._rope = Pipe(duplex=False)

    def ring(self) -> None:
        """Wake whoever polls `ear`."""
        self._rope.send_bytes(b"!")

    def still(self) -> None:
        """End the ringing."""
        while self.ear.poll():
            self.ear.recv_bytes()

    def close(self) -> None:
        """Close both ends."""
        self.ear.close()
        self._rope.close()


class Writer:
    """A few threads; at most one batch under way a tenant, so a held head row delays its tenant
    only. While it is under way the next one is decided, on what it will leave."""

    def __init__(self, ledgers: Ledgers, threads: int) -> None:
        self._ledgers = ledgers
        self._queues: dict[str, deque[Pending]] = {}
        self._ready: deque[str] = deque()
        self._busy: set[str] = set()
        self._asleep: dict[str, Bell] = {}
        self._aboard: dict[str, int] = {}
        """How many commands of a tenant left the queue for a batch that is not sent yet."""
        self._wake = threading.Condition()
        self._closing = False
        self._threads = [
            threading.Thread(target=self._run, name=f"ledger-writer-{n}", daemon=True)
            for n in range(threads)
        ]
        for thread in self._threads:
            thread.start()

    def hand_over(self, together: Sequence[tuple[Submission, Waiting]]) -> None:
        """Queue commands that came together. A thread that sleeps is woken once, when all are
        queued: ringing lets it in at once, and it would decide the first one alone.
        """
        now = time.monotonic()
        bells: list[Bell] = []
        with self._wake:
            for submission, waiting in together:
                pending = Pending(submission, waiting, now)
                tenant = submission.tenant
                queue = self._queues.get(tenant)
                if queue is None:
                    queue = self._queues[tenant] = deque()
                if self._closing or len(queue) + self._aboard.get(tenant, 0) >= MAX_QUEUE:
                    pending.refuse(Refused("ledger.busy"))
                    continue
                queue.append(pending)
                if tenant not in self._busy:
                    self._schedule(tenant)
                elif self._asleep:
                    bell = self._asleep.pop(tenant, None)
                    if bell is not None:
                        bells.append(bell)
            for bell in bells:
                bell.ring()

    def _schedule(self, tenant: str) -> None:
        """Put a tenant with waiting commands in line, once. The lock is held."""
        if tenant not in self._busy and self._queues.get(tenant):
            self._busy.add(tenant)
            self._ready.append(tenant)
            self._wake.notify()

    def close(self) -> None:
        """Let what is queued be written, then end the threads."""
        with self._wake:
            self._closing = True
            self._wake.notify_all()
        for thread in self._threads:
            thread.join(DEADLINE_S)

    def _run(self) -> None:
        bell = Bell()
        try:
            while True:
                with self._wake:
                    while not self._ready:
                        if self._closing:
                            return
                        self._wake.wait()
                    tenant = self._ready.popleft()
                try:
                    self._serve(tenant, bell)
                except Exception as fault:  # must not take the thread and with it every tenant
                    log.exception("the writer failed")
                    with self._wake:
                        left = list(self._queues[tenant])
                        self._queues[tenant].clear()
                    for pending in left:  # they would meet the same, and wait for ever
                        pending.refuse(fault)
                finally:
                    with self._wake:
                        self._busy.discard(tenant)
                        self._schedule(tenant)
        finally:
            bell.close()

    def _serve(self, tenant: str, bell: Bell) -> None:
        """Write a tenant's commands, batch after batch, until none is left or another tenant
        waits."""
        under_way: Flight | None = None
        while True:
            flight = Flight(self._ledgers, tenant, under_way)
            again: list[Pending] = []
            try:
                self._gather(flight, tenant, under_way, bell)
                if under_way is None or flight.stands(under_way):
                    again = flight.set_aside()
                    flight.send()
                else:
                    # What it was decided on was not written, or it waited too long: nothing of it
                    # was sent, all of it is decided again.
                    again = flight.call_back()
            except Exception as fault:  # who is aboard must not wait for ever
                log.exception("batch failed")
                flight.refuse(fault)
            if under_way is not None:
                under_way.wait()
                again = under_way.land() + again
            under_way = flight if flight.is_sent else None
            if under_way is None:
                again = flight.land() + again
            with self._wake:
                self._aboard.pop(tenant, None)
                queue = self._queues[tenant]
                queue.extendleft(reversed(again))
                if under_way is None and (self._ready or not queue):
                    return

    def _gather(self, flight: Flight, tenant: str, under_way: Flight | None, bell: Bell) -> None:
        """Decide what is queued; while a batch is under way also what comes in until it is
        answered."""
        if under_way is None:
            coming = self._take(tenant, MAX_BATCH)
            flight.prepare(coming)
            for pending in coming:
                flight.board(pending)
            return
        while True:
            is_answered = under_way.advance()
            room = (FEW if is_answered else MAX_BATCH) - len(flight)
            goes_on = room > 0 and self._goes_on(tenant)
            coming = self._take(tenant, room) if goes_on else []
            if coming:
                flight.prepare(coming)
            elif is_answered:
                return
            else:
                flight.pack_ahead()
                self._sleep(tenant, under_way, bell if goes_on else None)
            for place, pending in enumerate(coming, 1):
                flight.board(pending)
                if len(flight) >= FEW and under_way.advance():
                    # The server waits for work: the rest is for the batch after this one.
                    self._put_back(tenant, coming[place:])
                    return

    def _goes_on(self, tenant: str) -> bool:
        """Tell whether the next batch may be decided while one is under way: not while another
        tenant waits for this thread, nor where now is the last recorded instant (given clock)."""
        return not self._ready and self._ledgers.ledger(tenant).clock != "given"

    def _take(self, tenant: str, room: int) -> list[Pending]:
        with self._wake:
            queue = self._queues[tenant]
            taken = [queue.popleft() for _ in range(min(len(queue), room))]
            self._aboard[tenant] = self._aboard.get(tenant, 0) + len(taken)
        return taken

    def _put_back(self, tenant: str, taken: list[Pending]) -> None:
        with self._wake:
            self._queues[tenant].extendleft(reversed(taken))
            self._aboard[tenant] -= len(taken)

    def _sleep(self, tenant: str, under_way: Flight, bell: Bell | None) -> None:
        """Wait until the server says something or, with a bell, a command comes in."""
        poll = select.poll()
        poll.register(*under_way.socket)
        if bell is None:
            poll.poll()
            return
        with self._wake:
            if self._queues[tenant]:
                return
            self._asleep[tenant] = bell
        poll.register(bell.ear, select.POLLIN)
        heard = poll.poll()
        with self._wake:
            self._asleep.pop(tenant, None)
        if any(descriptor == bell.ear.fileno() for descriptor, _ in heard):
            bell.still()
