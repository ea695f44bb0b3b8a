"""Group commit: commands of a tenant meet in a queue, and a few threads take them off in
batches."""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from concurrent.futures import Future
from typing import TYPE_CHECKING

from domain.errors import Refused
from domain.flight import DEADLINE_S, Flight
from domain.ledger import Outcome, Submission
from domain.pending import Pending

if TYPE_CHECKING:
    from domain.ledger import Ledgers

MAX_BATCH = 128
"""Commands written together at the most."""

MAX_QUEUE = 4096
"""Commands of one tenant that may wait; past it a command is refused with `ledger.busy`."""

log = logging.getLogger("counterseal.ledger")


class Writer:
    """A few threads; at most one batch in flight a tenant, so a held head row delays its tenant
    only."""

    def __init__(self, ledgers: Ledgers, threads: int) -> None:
        self._ledgers = ledgers
        self._queues: dict[str, deque[Pending]] = {}
        self._ready: deque[str] = deque()
        self._busy: set[str] = set()
        self._wake = threading.Condition()
        self._closing = False
        self._threads = [
            threading.Thread(target=self._run, name=f"ledger-writer-{n}", daemon=True)
            for n in range(threads)
        ]
        for thread in self._threads:
            thread.start()

    def submit(self, submission: Submission) -> Future[Outcome]:
        """Queue a command."""
        pending = Pending(submission, time.monotonic())
        with self._wake:
            queue = self._queues.setdefault(submission.tenant, deque())
            if self._closing or len(queue) >= MAX_QUEUE:
                pending.refuse(Refused("ledger.busy"))
                return pending.future
            queue.append(pending)
            self._schedule(submission.tenant)
        return pending.future

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
        while True:
            with self._wake:
                while not self._ready:
                    if self._closing:
                        return
                    self._wake.wait()
                tenant = self._ready.popleft()
                queue = self._queues[tenant]
                batch = [queue.popleft() for _ in range(min(len(queue), MAX_BATCH))]
            again: list[Pending] = []
            try:
                again = Flight(self._ledgers, tenant, batch).fly()
            except Exception as fault:  # a defect must not take the thread and with it every tenant
                log.exception("batch failed")
                for pending in batch:
                    pending.refuse(fault)
            with self._wake:
                self._queues[tenant].extendleft(reversed(again))
                self._busy.discard(tenant)
                self._schedule(tenant)
