"""A load of HTTP requests from one process: plain sockets, kept alive, one request a time each."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import NamedTuple

Make = Callable[[], bytes]


class Load(NamedTuple):
    """What came of a load: answers a second, and latencies in seconds, sorted."""

    rate: float
    latencies: list[float]
    statuses: dict[int, int]

    @property
    def p99_ms(self) -> float:
        """The 99th percentile of the latencies, in milliseconds."""
        if not self.latencies:
            return float("nan")
        return 1000 * self.latencies[min(len(self.latencies) - 1, len(self.latencies) * 99 // 100)]


def request(path: str, key: str, body: bytes, *headers: str) -> bytes:
    """Return a POST of JSON as it goes over the wire."""
    lines = [
        f"POST {path} HTTP/1.1",
        "host: localhost",
        f"authorization: Bearer {key}",
        "content-type: application/json",
        f"content-length: {len(body)}",
        *headers,
    ]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


class _Connection(asyncio.Protocol):
    """Sends a request as soon as the answer before it is whole."""

    def __init__(self, make: Make, end: float, load: tuple[list[float], dict[int, int]]) -> None:
        self._make = make
        self._end = end
        self._latencies, self._statuses = load
        self._buffer = b""
        self._sent = 0.0
        self._transport: asyncio.Transport | None = None
        self.closed = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        if not isinstance(transport, asyncio.Transport):
            raise TypeError("a stream was expected")
        self._transport = transport
        self._send()

    def _send(self) -> None:
        now = time.perf_counter()
        transport = self._transport
        if transport is None:
            return
        if now >= self._end:
            transport.close()
            return
        self._sent = now
        transport.write(self._make())

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        head, split, body = self._buffer.partition(b"\r\n\r\n")
        if not split:
            return
        lowered = head.lower()
        at = lowered.find(b"content-length:")
        length = int(lowered[at + 15 :].split(b"\r\n", 1)[0]) if at >= 0 else 0
        if len(body) < length:
            return
        self._buffer = body[length:]
        self._latencies.append(time.perf_counter() - self._sent)
        status = int(head[9:12])
        self._statuses[status] = self._statuses.get(status, 0) + 1
        self._send()

    def connection_lost(self, exc: Exception | None) -> None:
        if not self.closed.done():
            self.closed.set_result(exc)


def load(port: int, make: Make, seconds: float, connections: int = 64) -> Load:
    """Send requests over so many connections for so long."""

    async def run() -> Load:
        latencies: list[float] = []
        statuses: dict[int, int] = {}
        loop = asyncio.get_running_loop()
        start = time.perf_counter()
        end = start + seconds
        made = [
            await loop.create_connection(
                lambda: _Connection(make, end, (latencies, statuses)), "127.0.0.1", port
            )
            for _ in range(connections)
        ]
        await asyncio.wait_for(
            asyncio.gather(*(one.closed for _, one in made)), timeout=seconds + 30
        )
        spent = time.perf_counter() - start
        latencies.sort()
        return Load(len(latencies) / spent, latencies, statuses)

    return asyncio.run(run())
