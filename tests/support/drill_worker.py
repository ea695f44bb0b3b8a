"""A process of its own that hosts ledgers, for drills: commands come over a pipe, an answer goes
back when it may be acknowledged."""

from __future__ import annotations

import contextlib
import heapq
import itertools
import os
import signal
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from multiprocessing import get_context
from multiprocessing.connection import Connection
from typing import Any, NamedTuple

from api.provisioning import Database
from domain.errors import Refused
from domain.ledger import Ledgers, Outcome, Submission
from projections.inline import InlineTables
from tests.support import drill_guards
from tests.support.ledger import clock

PATIENCE_S = 60.0


class Answer(NamedTuple):
    """What a caller learns: `status` of the outcome or the code of the refusal, and where its
    events lie."""

    status: str
    events: tuple[tuple[int, str, str, int], ...] = ()  # position, type, stream, version
    position: int = 0

    @property
    def said_yes(self) -> bool:
        return self.status in ("done", "no_op", "repeated")


class WorkerGone(Exception):
    """The process ended before it answered."""


class NotThere(WorkerGone):
    """There was no process to send it to: nothing of it was sent."""


class Host:
    """What lives in the process; functions called there get it first."""

    def __init__(
        self,
        pipe: Connection[Any, Any],
        database: Database,
        guards_off: tuple[str, ...],
        at_once: bool,
    ) -> None:
        for name in guards_off:
            drill_guards.PROCESS[name]()
        self.database = database
        self.ledgers = Ledgers(database.service, InlineTables(), clock)
        self._pipe = pipe
        self._at_once = at_once
        self._sending = threading.Lock()
        self._due: list[tuple[float, int, Any]] = []
        self._order = itertools.count()
        self._wake = threading.Condition()
        threading.Thread(target=self._acknowledge, daemon=True).start()

    def send(self, message: Any) -> None:
        """Send something to the parent at once."""
        with self._sending, contextlib.suppress(OSError):
            self._pipe.send(message)

    def submit(self, number: int, submission: Submission) -> None:
        """Put a command to the ledger; answer when the outcome may be acknowledged."""

        def done(future: Future[Outcome]) -> None:
            due, answer = answer_of(future)
            if self._at_once:
                self.send((number, True, answer))
                return
            with self._wake:
                heapq.heappush(self._due, (due, next(self._order), (number, True, answer)))
                self._wake.notify()

        self.ledgers.submit(submission).add_done_callback(done)

    def call(self, number: int, what: Callable[..., Any], given: tuple[Any, ...]) -> None:
        """Run a function here and answer with what it returns, or with its fault."""
        try:
            self.send((number, True, what(self, *given)))
        except BaseException as fault:
            self.send((number, False, repr(fault)))
            raise

    def _acknowledge(self) -> None:
        while True:
            with self._wake:
                while not self._due or self._due[0][0] > time.monotonic():
                    left = self._due[0][0] - time.monotonic() if self._due else None
                    self._wake.wait(left)
                message = heapq.heappop(self._due)[2]
            self.send(message)


def answer_of(future: Future[Outcome]) -> tuple[float, Answer]:
    """Return when a finished command may be acknowledged (`time.monotonic`), and the answer."""
    fault = future.exception()
    if isinstance(fault, Refused):
        return 0.0, Answer(fault.code)
    if fault is not None:
        return 0.0, Answer(f"defect: {fault!r}")
    outcome = future.result()
    events = tuple((e.position, e.type, e.stream_id, e.version) for e in outcome.events)
    return outcome.acknowledge_at, Answer(outcome.status, events, outcome.position)


def serve(
    pipe: Connection[Any, Any], database: Database, guards_off: tuple[str, ...], at_once: bool
) -> None:
    """What the process runs: until the parent closes its end, or kills it."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    host = Host(pipe, database, guards_off, at_once)
    host.send((0, True, None))
    while True:
        try:
            message = pipe.recv()
        except (EOFError, OSError):
            break
        if message is None:
            break
        number, what, given = message
        if what is None:
            host.submit(number, given)
        else:
            threading.Thread(target=host.call, args=(number, what, given), daemon=True).start()
    host.ledgers.close()


class Worker:
    """The parent's hold on such a process. Leaving the `with` ends it.

    `at_once` answers as soon as the commit is known, where when it is told is not in question.
    """

    def __init__(
        self,
        database: Database,
        *,
        guards_off: tuple[str, ...] = (),
        at_once: bool = False,
        heard: Callable[[Any], None] | None = None,
    ) -> None:
        context = get_context("spawn")
        self._pipe, theirs = context.Pipe()
        self.process = context.Process(
            target=serve, args=(theirs, database, guards_off, at_once), daemon=True
        )
        self.process.start()
        theirs.close()
        self._heard = heard
        self._numbers = itertools.count(1)
        self._open: dict[int, Future[Any]] = {0: Future()}
        self._lock = threading.Lock()
        self._ready = self._open[0]
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def __enter__(self) -> Worker:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def pid(self) -> int:
        assert self.process.pid is not None
        return self.process.pid

    def ready(self) -> Worker:
        """Wait until it listens."""
        self._ready.result(PATIENCE_S)
        return self

    def submit(self, submission: Submission) -> Future[Answer]:
        """Put a command to the process's ledger. Raises `WorkerGone` through the future."""
        return self._post(None, submission)

    def call(self, what: Callable[..., Any], *given: Any) -> Future[Any]:
        """Run a module's function there, its `Host` first among the arguments."""
        return self._post(what, given)

    def settle(self) -> None:
        """Return once everything posted so far lies in the writer's queue."""
        self.call(_nothing).result(PATIENCE_S)

    def kill(self) -> None:
        """End it at once, in the middle of whatever it does; return when it is gone."""
        self.process.kill()
        self.process.join(PATIENCE_S)
        self._reader.join(PATIENCE_S)
        self._pipe.close()

    def freeze(self) -> None:
        """Stop it where it stands."""
        os.kill(self.pid, signal.SIGSTOP)

    def thaw(self) -> None:
        """Let it go on."""
        os.kill(self.pid, signal.SIGCONT)

    def close(self) -> None:
        """Let it finish what it has, then see it ended."""
        with contextlib.suppress(OSError), self._lock:
            self._pipe.send(None)
        self.process.join(10)
        self.kill()

    def _post(self, what: Any, given: Any) -> Future[Any]:
        future: Future[Any] = Future()
        with self._lock:
            number = next(self._numbers)
            self._open[number] = future
            try:
                self._pipe.send((number, what, given))
            except OSError:
                self._open.pop(number).set_exception(WorkerGone())
        return future

    def _read(self) -> None:
        while True:
            try:
                number, fine, what = self._pipe.recv()
            except (EOFError, OSError):
                break
            if number is None:
                if self._heard is not None:
                    self._heard(what)
                continue
            future = self._open.pop(number)
            if fine:
                future.set_result(what)
            else:
                future.set_exception(AssertionError(what))
        with self._lock:
            for future in self._open.values():
                future.set_exception(WorkerGone())
            self._open.clear()


def _nothing(host: Host) -> None:
    del host
