"""A proxy before PostgreSQL that cuts a connection when the answer to an append comes back: it is
committed, and nobody is told."""

from __future__ import annotations

import contextlib
import socket
import struct
import threading
from collections.abc import Iterator
from dataclasses import replace
from types import TracebackType

from psycopg.conninfo import conninfo_to_dict, make_conninfo

from api.provisioning import Database

APPEND = b"FROM append("
CHUNK = 65536


class Messages:
    """Takes the stream of one direction apart (PostgreSQL's protocol 3: type, length, payload)."""

    def __init__(self, *, starts_untyped: bool) -> None:
        self._held = b""
        self._untyped = starts_untyped

    def fed(self, data: bytes) -> Iterator[tuple[bytes, bytes]]:
        """Yield type and payload of each message that is complete now."""
        self._held += data
        while True:
            head = 4 if self._untyped else 5
            if len(self._held) < head:
                return
            (length,) = struct.unpack("!I", self._held[head - 4 : head])
            whole = head - 4 + length
            if len(self._held) < whole:
                return
            kind = b"" if self._untyped else self._held[:1]
            payload, self._held = self._held[head:whole], self._held[whole:]
            self._untyped = False
            yield kind, payload


class CuttingProxy:
    """Listens on loopback; `cut_next(n)` cuts the next n answers to a successful append."""

    def __init__(self, url: str) -> None:
        self._upstream = conninfo_to_dict(url)
        self._url = url
        self._lock = threading.Lock()
        self._left = 0
        self.cut = 0
        self._sockets: list[socket.socket] = []
        self._listening = socket.create_server(("127.0.0.1", 0))
        threading.Thread(target=self._accept, daemon=True).start()

    def __enter__(self) -> CuttingProxy:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        fault: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._close(self._listening)
        for one in self._sockets:
            self._close(one)

    def before(self, database: Database) -> Database:
        """Return the database as its service finds it through the proxy."""
        port = self._listening.getsockname()[1]
        through = make_conninfo(
            self._url, host="127.0.0.1", port=port, sslmode="disable", gssencmode="disable"
        )
        return replace(database, service=through)

    def cut_next(self, number: int = 1) -> None:
        """Cut the next answers to an append."""
        with self._lock:
            self._left += number

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listening.accept()
            except OSError:
                return
            server = self._connect()
            self._sockets += [client, server]
            appending = threading.Event()
            for target, given in ((self._ask, appending), (self._answer, appending)):
                threading.Thread(target=target, args=(client, server, given), daemon=True).start()

    def _connect(self) -> socket.socket:
        host, port = str(self._upstream["host"]), str(self._upstream.get("port") or 5432)
        if not host.startswith("/"):
            return socket.create_connection((host, int(port)))
        server = socket.socket(socket.AF_UNIX)
        server.connect(f"{host}/.s.PGSQL.{port}")
        return server

    def _ask(
        self, client: socket.socket, server: socket.socket, appending: threading.Event
    ) -> None:
        """Pass on what the client says, and notice when it appends."""
        messages = Messages(starts_untyped=True)
        appends: set[bytes] = set()  # names of its prepared statements that are an append
        with contextlib.suppress(OSError):
            while data := client.recv(CHUNK):
                for kind, payload in messages.fed(data):
                    if kind == b"P":
                        name, statement = payload.split(b"\0")[:2]
                        (appends.add if APPEND in statement else appends.discard)(name)
                    elif kind == b"B" and payload.split(b"\0")[1] in appends:
                        appending.set()  # before it is sent on, so before any answer
                server.sendall(data)
        self._close(server)

    def _answer(
        self, client: socket.socket, server: socket.socket, appending: threading.Event
    ) -> None:
        """Pass on what the server says; of an append's answer to be cut, nothing."""
        messages = Messages(starts_untyped=False)
        kept = b""
        done = False
        with contextlib.suppress(OSError):
            while data := server.recv(CHUNK):
                kept += data
                ready = False
                for kind, _ in messages.fed(data):
                    done = done or kind == b"C"
                    ready = kind == b"Z"
                if appending.is_set():
                    if not ready:
                        continue  # until the server says that it has committed
                    appending.clear()
                    if done and self._take():
                        break
                client.sendall(kept)
                kept, done = b"", False
        self._close(client)
        self._close(server)

    def _take(self) -> bool:
        with self._lock:
            if not self._left:
                return False
            self._left -= 1
            self.cut += 1
            return True

    @staticmethod
    def _close(one: socket.socket) -> None:
        with contextlib.suppress(OSError):
            one.shutdown(socket.SHUT_RDWR)
        one.close()
