"""What surrounds every request: its id, deadline, byte counter, headers, log line, the last resort.

Pure ASGI, outside of everything else, so that also a fault in the framework is answered here.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any, Final

import structlog

from api.measures import Measures
from api.problems import Answered, language_of, problem
from domain.errors import Refused

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]
Page = Callable[[Scope, Receive, Refused], Answered | None]
"""Makes the page for what is refused where a person asked, None where a program did."""

STREAM_SECONDS: Final = 600.0
"""How long an answer may take once it has begun: a long list as CSV, a stored file."""

SECURITY_HEADERS: Final = [
    (b"cache-control", b"no-store"),
    (b"content-security-policy", b"default-src 'none'; frame-ancestors 'none'"),
    (b"referrer-policy", b"no-referrer"),
    (b"x-content-type-options", b"nosniff"),
]
"""Sent unless the answer has its own of that name."""

log: Any = structlog.get_logger("counterseal.http")


class Limits:
    """Bytes of a body, by path, and seconds until an answer begins."""

    def __init__(
        self,
        body_bytes: int,
        deadline_seconds: float,
        own: dict[str, tuple[int, float]] | None = None,
    ) -> None:
        self._usual = (body_bytes, deadline_seconds)
        self._own = own or {}

    def of(self, path: str) -> tuple[int, float]:
        """Return how many bytes a body sent to this path may have, and how many seconds it has."""
        return self._own.get(path, self._usual)


class Exchange:
    """One request on its way through: what has been sent, how many bytes have come."""

    def __init__(self, scope: Scope, receive: Receive, send: Send, limit_bytes: int) -> None:
        self._receive = receive
        self._send = send
        self._limit_bytes = limit_bytes
        self._bytes = 0
        self._request_id = header(scope, b"x-request-id")
        self.begun = False
        self.status = 0
        self.timeout: asyncio.Timeout | None = None

    async def receive(self) -> Message:
        """Pass on what comes. Raises `Refused` `body.too_large`."""
        message = await self._receive()
        if message["type"] == "http.request":
            self._bytes += len(message.get("body", b""))
            if self._bytes > self._limit_bytes:
                raise Refused("body.too_large", limit_bytes=self._limit_bytes)
        return message

    async def send(self, message: Message) -> None:
        """Pass on what is answered; the first part gets the headers that every answer has."""
        if message["type"] == "http.response.start":
            self.begun = True
            self.status = message["status"]
            headers = list(message.get("headers", ()))
            own = {name.lower() for name, _ in headers}
            headers.extend(one for one in SECURITY_HEADERS if one[0] not in own)
            if self._request_id is not None:
                headers.append((b"x-request-id", self._request_id))
            message["headers"] = headers
        elif message.get("more_body", False) and self.timeout is not None:
            self.timeout.reschedule(asyncio.get_running_loop().time() + STREAM_SECONDS)
        await self._send(message)


class Doors:
    """The outermost application; `api` is the framework's inside."""

    def __init__(
        self, app: App, limits: Limits, measures: Measures, page: Page | None = None
    ) -> None:
        self._app = app
        self._limits = limits
        self._measures = measures
        self._page = page

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
            return
        if scope["type"] != "http":
            await receive()
            await send({"type": "websocket.close", "code": 1008})
            return
        started = time.perf_counter()
        limit_bytes, seconds = self._limits.of(scope["path"])
        exchange = Exchange(scope, receive, send, limit_bytes)
        self._measures.under_way.inc()
        try:
            await self._within(scope, exchange, limit_bytes, seconds)
        finally:
            self._measures.under_way.dec()
            took = time.perf_counter() - started
            operation = scope.get("counterseal.operation", "none")
            self._measures.answered(operation, exchange.status, took)
            # What went well is counted, and the log tells of commands; a line each costs more than
            # a check. Who wants them all asks for the level `debug`.
            tell = log.info if exchange.status >= 400 else log.debug
            tell(
                "answered",
                operation=operation,
                method=scope["method"],
                status=exchange.status,
                seconds=round(took, 6),
                key=scope.get("counterseal.key"),
            )

    async def _within(
        self, scope: Scope, exchange: Exchange, limit_bytes: int, seconds: float
    ) -> None:
        try:
            declared = header(scope, b"content-length")
            if declared is not None and declared.isdigit() and int(declared[:20]) > limit_bytes:
                raise Refused("body.too_large", limit_bytes=limit_bytes)
            async with asyncio.timeout(seconds) as exchange.timeout:
                await self._app(scope, exchange.receive, exchange.send)
        except TimeoutError:
            await self._last(scope, exchange, Refused("request.deadline"))
        except Refused as refused:
            await self._last(scope, exchange, refused)
        except Exception as fault:  # noqa: BLE001 - whatever it is, the caller gets an answer
            # Its type and place only: a message may carry what a person wrote.
            log.error("fault", fault=type(fault).__name__, at=place_of(fault))
            await self._last(scope, exchange, Refused("server.fault"))

    async def _last(self, scope: Scope, exchange: Exchange, refused: Refused) -> None:
        if exchange.begun:
            return  # half an answer is out; closing the connection is all that is left
        page = None if self._page is None else self._page(scope, exchange.receive, refused)
        language = language_of(header(scope, b"accept-language"))
        await answer(exchange.send, page or problem(refused, language))


async def answer(send: Send, answered: Answered) -> None:
    """Send a whole answer."""
    headers = [*answered.headers, (b"content-length", str(len(answered.body)).encode())]
    await send({"type": "http.response.start", "status": answered.status, "headers": headers})
    await send({"type": "http.response.body", "body": answered.body})


def header(scope: Scope, name: bytes) -> bytes | None:
    """Return the first header of this name, as it was sent; `name` in lower case."""
    for key, value in scope["headers"]:
        if key == name:
            return value
    return None


def place_of(fault: BaseException) -> str:
    """Return where a fault came up, as `module:line`; nothing of what it says."""
    trace = fault.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    if trace is None:
        return ""
    return f"{trace.tb_frame.f_globals.get('__name__', '')}:{trace.tb_lineno}"
