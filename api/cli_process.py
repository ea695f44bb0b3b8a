"""A serving process: doors, runner, verifier and timekeeper, begun and ended in order."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import threading
import time
from collections.abc import Callable, Generator
from contextlib import ExitStack, contextmanager
from types import FrameType
from typing import Any, Final, Literal

import structlog
import uvicorn

from api import app, garbage, logs
from api.settings import IncompleteSettings, Settings
from api.timekeeper import Timekeeper
from api.wiring import Addresses, Services
from domain.errors import Refused
from projections.runner import NewerEvent, Runner
from replay.verifier import Verifier

Part = Literal["doors", "runner", "verifier", "timekeeper"]

PARTS: Final[tuple[Part, ...]] = ("doors", "runner", "verifier", "timekeeper")
JOIN_SECONDS: Final = 30.0
IDLE_SECONDS: Final = 0.1
BACKLOG: Final = 2048

log: Any = structlog.get_logger("counterseal.process")


class _Server(uvicorn.Server):
    """The HTTP server, whose signals are ours: after it has ended there is more to end."""

    def __init__(self, config: uvicorn.Config, started: Callable[[], None]) -> None:
        super().__init__(config)
        self._told = started

    @contextmanager
    def capture_signals(self) -> Generator[None]:
        """Leave the signals alone."""
        yield

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        if self.started:
            self._told()


class _Worker:
    """The runner or the verifier in a thread of its own."""

    def __init__(
        self, part: Part, run: Callable[[threading.Event], None], failed: Callable[[], None]
    ) -> None:
        self._part = part
        self._work = run
        self._stopped = threading.Event()
        self._failed = failed
        self._thread = threading.Thread(target=self._run, name=part, daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        """End after the page under way; a page cut off would be read again."""
        self._stopped.set()
        self._thread.join(JOIN_SECONDS)

    def _run(self) -> None:
        try:
            self._work(self._stopped)
        except NewerEvent as newer:
            log.error("the log has an event of a newer release", position=newer.position)
            self._failed()
        except Exception as fault:  # noqa: BLE001  (else it would be gone and nobody would know)
            log.error("a part stopped", part=self._part, fault=type(fault).__name__)
            self._failed()


class Process:
    """Some or all parts in this process, until SIGTERM, SIGINT or `end`."""

    def __init__(self, settings: Settings, where: Addresses, parts: tuple[Part, ...]) -> None:
        self._settings = settings
        self._where = where
        self._parts = parts
        # A plain flag: a signal comes in the middle of anything, also of taking an Event's lock.
        self._ending = False
        self._server: _Server | None = None
        self.failed = False

    def run(self, ready: Callable[[str | None], None]) -> None:
        """Serve until told to end; `ready` is called once, with the doors' address if any.

        Begun: read models, verifier, timekeeper, doors; ended the other way round, so that the last
        request still finds everything. A second signal does not wait for requests under way. Raises
        `StartRefused`, `MigrationRefused`, `IncompleteSettings`, `Refused` (`serve.port_taken`).
        """
        logs.configure(self._settings.log_level)
        with ExitStack() as stack:
            listening = None
            if "doors" in self._parts:
                listening = stack.enter_context(_listening(self._settings))
            services = Services(self._settings, self._where)
            stack.callback(services.close)
            if "runner" in self._parts:
                self._begin(stack, "runner", Runner(self._projector()).run)
            if "verifier" in self._parts:
                self._begin(stack, "verifier", Verifier(self._projector()).run)
            if "timekeeper" in self._parts:
                timekeeper = Timekeeper(services.ledgers)
                timekeeper.start()
                stack.callback(timekeeper.stop)
            stack.enter_context(self._signals())
            garbage.collect_seldom()
            if listening is None:
                ready(None)
                while not self._ending:
                    time.sleep(IDLE_SECONDS)
            else:
                self._serve(services, listening, ready)

    def end(self) -> None:
        """Begin to end, from any thread; again: do not wait for requests under way."""
        if self._server is not None:
            self._server.force_exit = self._server.should_exit
            self._server.should_exit = True
        self._ending = True

    def _begin(self, stack: ExitStack, part: Part, run: Callable[[threading.Event], None]) -> None:
        worker = _Worker(part, run, self._fail)
        worker.start()
        stack.callback(worker.stop)

    def _projector(self) -> str:
        if self._where.projector is None:
            raise IncompleteSettings(["PROJECTOR_DATABASE_URL"])
        return self._where.projector

    def _fail(self) -> None:
        """A part cannot go on: the process ends rather than serve half."""
        self.failed = True
        self.end()

    def _serve(
        self,
        services: Services,
        listening: socket.socket,
        ready: Callable[[str | None], None],
    ) -> None:
        config = app.server_config(app.create_app(services), self._settings)
        url = url_of(listening)
        server = self._server = _Server(config, lambda: ready(url))
        if not self._ending:
            with asyncio.Runner(loop_factory=config.get_loop_factory()) as loop:
                loop.run(server.serve(sockets=[listening]))

    @contextmanager
    def _signals(self) -> Generator[None]:
        """Let SIGTERM and SIGINT end this process in order, as long as it serves."""

        def ended(_number: int, _frame: FrameType | None) -> None:
            self.end()

        before = {one: signal.signal(one, ended) for one in (signal.SIGTERM, signal.SIGINT)}
        try:
            yield
        finally:
            for one, handler in before.items():
                signal.signal(one, handler)


def require_port(settings: Settings) -> None:
    """Refuse at once what `Process.run` would refuse. Raises `Refused` `serve.port_taken`."""
    with _listening(settings):
        pass


@contextmanager
def _listening(settings: Settings) -> Generator[socket.socket]:
    """Take the port before anything else is opened. Raises `Refused` `serve.port_taken`."""
    try:
        family, *_, address = socket.getaddrinfo(
            settings.host, settings.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        taken = socket.create_server(address[:2], family=family, backlog=BACKLOG)
    except OSError as fault:
        why = fault.strerror
        if fault.errno is not None and not isinstance(fault, socket.gaierror):
            why = os.strerror(fault.errno)  # asyncio and socket add to it what we say ourselves
        raise Refused("serve.port_taken", host=settings.host, port=settings.port, why=why) from None
    with taken:
        yield taken


def url_of(listening: socket.socket) -> str:
    """Return where a socket listens, as a browser takes it."""
    host, port = listening.getsockname()[:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"
