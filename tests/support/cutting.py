"""A door in front of a service that loses answers: the service did it, and nobody is told."""

from __future__ import annotations

import http.client
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from urllib.parse import urlsplit


class CuttingDoor:
    """Hands every request on; of answers to a POST it loses the next `lose`."""

    def __init__(self, upstream: str) -> None:
        self.upstream = urlsplit(upstream)
        self.lose = 0
        self.asked: list[str] = []
        door = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                door.answer(self)

            def do_POST(self) -> None:
                door.answer(self)

            def log_message(self, format: str, *args: object) -> None:  # noqa: A002
                """Nothing: a test shows what it needs."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)
        self._thread.start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_port}"

    def answer(self, request: BaseHTTPRequestHandler) -> None:
        """Hand one request on; give its answer back unless it is to be lost."""
        self.asked.append(f"{request.command} {request.path}")
        body = request.rfile.read(int(request.headers.get("content-length", 0)))
        host, port = self.upstream.hostname or "", self.upstream.port
        onward = http.client.HTTPConnection(host, port, timeout=30)
        onward.request(request.command, request.path, body, dict(request.headers))
        answer = onward.getresponse()
        data = answer.read()
        onward.close()
        if request.command == "POST" and self.lose:
            self.lose -= 1
            request.close_connection = True
            return
        request.send_response(answer.status)
        for name, value in answer.getheaders():
            if name.lower() not in ("transfer-encoding", "connection", "date", "server"):
                request.send_header(name, value)
        request.end_headers()
        request.wfile.write(data)

    def __enter__(self) -> CuttingDoor:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        fault: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join(5)
