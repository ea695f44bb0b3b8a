"""The doors really served: slow and long bodies, callers who leave, deadlines, logs, roles."""

import asyncio
import io
import json
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import psycopg
import pytest
import structlog
import uvicorn

from api import logs
from api.app import server_config
from api.layers import Limits
from api.postgres_host import StartRefused
from api.provisioning import Database
from api.settings import Settings
from api.wiring import Services, check_database, of_database
from domain.errors import Refused
from tests.support.doors import House
from tests.support.holding import Held
from tests.support.trade import Trade, evaluation

BODY_BYTES = 4096
DEADLINE_SECONDS = 1.0


@pytest.fixture(scope="module")
def port(house: House) -> Iterator[int]:
    """The application of `house` behind uvicorn, with a short deadline and small bodies."""
    limits = house.app._limits
    house.app._limits = Limits(BODY_BYTES, DEADLINE_SECONDS)
    server = uvicorn.Server(server_config(house.app, house.settings.model_copy(update={"port": 0})))
    server.config.lifespan = "off"  # the house has begun the services in its own loop
    listening = socket.create_server(("127.0.0.1", 0))

    async def serve() -> None:
        await server.serve(sockets=[listening])

    future = asyncio.run_coroutine_threadsafe(serve(), house.loop.loop)
    while not server.started:
        time.sleep(0.01)
    yield listening.getsockname()[1]
    server.should_exit = True
    future.result(20)
    house.app._limits = limits


@contextmanager
def connected(port: int) -> Iterator[socket.socket]:
    with socket.create_connection(("127.0.0.1", port), timeout=10) as connection:
        yield connection


def answer_of(connection: socket.socket) -> tuple[int, str]:
    """Read one answer to its end: status and body."""
    data = b""
    while b"\r\n\r\n" not in data:
        part = connection.recv(65536)
        if not part:
            break
        data += part
    head, _, body = data.partition(b"\r\n\r\n")
    length = next(
        (int(line.split(b":")[1]) for line in head.split(b"\r\n") if b"ontent-length" in line), 0
    )
    while len(body) < length:
        body += connection.recv(65536)
    return int(head.split()[1]), body.decode()


def request(trade: Trade, path: str, *headers: str) -> bytes:
    lines = [f"POST {path} HTTP/1.1", "Host: x", "Content-Type: application/json"]
    lines += [f"Authorization: Bearer {trade['admin'].key}", *headers]
    return "\r\n".join([*lines, "", ""]).encode()


def test_a_body_that_says_it_is_too_long_is_not_read(port: int, trade: Trade) -> None:
    with connected(port) as connection:
        connection.sendall(request(trade, "/v1/persons", "Content-Length: 100000000"))
        status, body = answer_of(connection)
    assert (status, json.loads(body)["code"]) == (413, "body.too_large")


def test_a_body_that_becomes_too_long_is_cut_off(port: int, trade: Trade) -> None:
    with connected(port) as connection:
        head = request(trade, "/v1/persons", "Transfer-Encoding: chunked", "Idempotency-Key: c")
        connection.sendall(head)
        for _ in range(BODY_BYTES // 1000 + 1):
            connection.sendall(b"3e8\r\n" + b" " * 1000 + b"\r\n")
        status, body = answer_of(connection)
    assert (status, json.loads(body)["code"]) == (413, "body.too_large")


def test_a_body_that_does_not_come_ends_with_the_deadline(port: int, trade: Trade) -> None:
    with connected(port) as connection:
        head = request(trade, "/v1/persons", "Content-Length: 10", "Idempotency-Key: slow")
        before = time.monotonic()
        connection.sendall(head + b"{")
        status, body = answer_of(connection)
    assert (status, json.loads(body)["code"]) == (503, "request.deadline")
    assert DEADLINE_SECONDS <= time.monotonic() - before < DEADLINE_SECONDS + 3


def test_a_command_whose_caller_left_is_there_or_not_never_twice(port: int, trade: Trade) -> None:
    body = b'{"full_name":"Gone"}'
    head = request(trade, "/v1/persons", f"Content-Length: {len(body)}", "Idempotency-Key: left")
    with Held(trade.house.database, trade.tenant) as held:
        with connected(port) as connection:
            connection.sendall(head + body)
            held.until(1)
        time.sleep(0.05)  # the caller is gone, the command waits for the head row
    again = trade["admin"].post("/v1/persons", {"full_name": "Gone"}, key="left")
    events = trade["admin"].get(f"/v1/persons/{again.json()['id']}/events").json()["items"]
    assert again.status_code == 201
    assert again.headers["idempotent-replayed"] == "true"
    assert len(events) == 1


def test_a_command_past_its_deadline_is_found_by_its_key(port: int, trade: Trade) -> None:
    body = b'{"full_name":"Late"}'
    head = request(trade, "/v1/persons", f"Content-Length: {len(body)}", "Idempotency-Key: late")
    with Held(trade.house.database, trade.tenant) as held, connected(port) as connection:
        connection.sendall(head + body)
        held.until(1)
        status, answer = answer_of(connection)
        assert (status, json.loads(answer)["code"]) == (503, "request.deadline")
    again = trade["admin"].post("/v1/persons", {"full_name": "Late"}, key="late")
    assert again.status_code == 201
    assert again.headers["idempotent-replayed"] == "true"


def test_a_check_is_answered_over_a_kept_connection(port: int, trade: Trade) -> None:
    body = json.dumps(evaluation("01900000-0000-7000-8000-000000000000")).encode()
    head = request(trade, "/access/v1/evaluation", f"Content-Length: {len(body)}")
    with connected(port) as connection:
        for _ in range(3):
            connection.sendall(head + body)
            assert answer_of(connection) == (200, '{"decision":false}')


def test_logs_say_nothing_of_what_people_wrote(
    trade: Trade, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = io.StringIO()
    before = structlog.get_config()
    logs.configure("debug", out)
    try:
        monkeypatch.setattr("api.layers.log", structlog.get_logger("counterseal.http"))
        marked = "Marked-7f3a Person"
        trade["admin"].done("/v1/persons", {"full_name": marked})
        trade["requester"].post("/v1/persons", {"full_name": marked})
        trade["admin"].post("/v1/persons", {"nickname": marked})

        def broken(*_: object) -> None:
            raise psycopg.errors.RaiseException(marked)

        monkeypatch.setattr(trade.house.services.ledgers, "load", broken)
        assert trade["admin"].get(f"/v1/persons/{trade.people['admin']}").status_code == 500
        structlog.get_logger("x").info("line", body=marked, operation="y")
    finally:
        structlog.configure(**before)
    lines = [json.loads(line) for line in out.getvalue().splitlines()]
    assert "Marked" not in out.getvalue()
    assert "Bearer" not in out.getvalue()
    assert {line["event"] for line in lines} >= {"answered", "fault", "line"}
    assert all(line.keys() <= logs.ALLOWED for line in lines)
    assert next(line for line in lines if line["event"] == "line")["operation"] == "y"


def test_the_service_does_not_start_under_a_role_that_could_change_history(
    database: Database, tmp_path: Path
) -> None:
    wrong = of_database(replace(database, service=database.migrator))
    with pytest.raises(StartRefused) as refused:
        Services(Settings(data_dir=tmp_path), wrong)
    assert refused.value.code.startswith("database.role_")
    check_database(database.service)


def threads() -> set[int]:
    return {thread.ident or 0 for thread in threading.enumerate()}


def test_services_end_with_all_their_threads(house: House, database: Database) -> None:
    before = threads()
    Services(house.settings, of_database(database)).close()
    end = time.monotonic() + 5
    while threads() - before and time.monotonic() < end:
        time.sleep(0.05)
    assert not threads() - before


def test_services_that_cannot_begin_leave_nothing_open(
    database: Database, house: House, tmp_path: Path
) -> None:
    before = threads()
    with pytest.raises(Refused) as refused:  # another machine's key file
        Services(Settings(data_dir=tmp_path), of_database(database))
    assert refused.value.code == "keys.epoch_unreadable"
    end = time.monotonic() + 5
    while threads() - before and time.monotonic() < end:
        time.sleep(0.05)
    assert not threads() - before
