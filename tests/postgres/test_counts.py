"""What a command, a page and a check cost that can be counted: round trips, transactions,
statements, blocks; times cannot be asserted, what usually decides them can."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import psycopg
import pytest
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from api.provisioning import Database
from domain.ledger import Ledgers
from projections.check_rows import CHECK, check_parameters
from projections.inline import InlineTables
from projections.models import FOLDS
from projections.runner import Runner
from tests.projections import facts
from tests.projections.conftest import FOLDS as ALL
from tests.support.drill_proxy import Messages
from tests.support.holding import Held
from tests.support.ledger import make_ledgers, make_tenant, new_id, submission
from tests.support.owner import superuser
from tests.support.toys import Link, Register

TOGETHER = 64


class Counting:
    """Stands before PostgreSQL and counts the times a client says all it has to say and waits:
    `Sync`, and `Query`, which stands for one."""

    def __init__(self, url: str) -> None:
        self._url, self._upstream = url, conninfo_to_dict(url)
        self.trips = 0
        self._listening = socket.create_server(("127.0.0.1", 0))
        threading.Thread(target=self._accept, daemon=True).start()

    def before(self, database: Database) -> Database:
        """Return the database as its service finds it through here."""
        port = self._listening.getsockname()[1]
        through = make_conninfo(
            self._url, host="127.0.0.1", port=port, sslmode="disable", gssencmode="disable"
        )
        return replace(database, service=through)

    def close(self) -> None:
        """Take no more connections; the open ones end with their clients."""
        self._listening.close()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listening.accept()
            except OSError:
                return
            server = self._connect()
            threading.Thread(target=self._ask, args=(client, server), daemon=True).start()
            threading.Thread(target=_pass, args=(server, client), daemon=True).start()

    def _connect(self) -> socket.socket:
        host, port = str(self._upstream["host"]), str(self._upstream.get("port") or 5432)
        if not host.startswith("/"):
            return socket.create_connection((host, int(port)))
        server = socket.socket(socket.AF_UNIX)
        server.connect(f"{host}/.s.PGSQL.{port}")
        return server

    def _ask(self, client: socket.socket, server: socket.socket) -> None:
        messages = Messages(starts_untyped=True)
        with client, server:
            while data := client.recv(65536):
                self.trips += sum(kind in (b"S", b"Q") for kind, _ in messages.fed(data))
                server.sendall(data)


def _pass(server: socket.socket, client: socket.socket) -> None:
    try:
        while data := server.recv(65536):
            client.sendall(data)
    except OSError:
        return


@pytest.fixture
def counting(database: Database) -> Iterator[Counting]:
    made = Counting(database.service)
    yield made
    made.close()


def test_commands_that_meet_share_a_round_trip_and_a_transaction(
    database: Database, counting: Counting
) -> None:
    """What they look at is remembered, so that nothing is asked but that it be written."""
    tenant = make_tenant(database)
    ledgers: Ledgers = make_ledgers(counting.before(database), pool_size=1)
    people = [new_id() for _ in range(TOGETHER)]
    trips = after = 0
    try:
        for number in range(3):  # at last the connection has prepared what it asks
            with Held(database, tenant) as held:
                first = ledgers.submit(submission(tenant, Register(person=new_id())))
                held.until(1)
                before = counting.trips
                rest = [
                    ledgers.submit(submission(tenant, Link(person=person, account=f"a{number}")))
                    for person in people
                ]
                held.let_go()
                for future in (first, *rest):
                    assert future.result().status == "done"
                trips, after = counting.trips - before, first.result().position
    finally:
        ledgers.close()
    with superuser(database) as conn:
        rows = conn.execute(
            "SELECT b.xmin::text, b.count, (SELECT array_agg(DISTINCT e.xmin::text) FROM events e"
            " WHERE e.tenant_id = b.tenant_id AND e.position >= b.first_position"
            " AND e.position < b.first_position + b.count),"
            " (SELECT array_agg(DISTINCT c.xmin::text) FROM commands c"
            " WHERE c.tenant_id = b.tenant_id AND c.first_position >= b.first_position"
            " AND c.first_position < b.first_position + b.count)"
            " FROM batches b WHERE tenant_id = %s AND first_position > %s",
            (tenant, after),
        ).fetchall()
    assert all([written] == events == commands for written, _, events, commands in rows)
    assert sum(row[1] for row in rows) == TOGETHER
    assert trips == len(rows) <= 3  # some may have been sent while others were still being decided


def test_a_page_of_the_read_models_takes_as_many_statements_for_many_events_as_for_few(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    said: list[str] = []
    execute = psycopg.Cursor[Any].execute

    def noted(cursor: Any, query: Any, *given: Any, **more: Any) -> Any:
        said.append(str(query))
        return execute(cursor, query, *given, **more)

    tenant = make_tenant(database, ALL)
    ledgers: Ledgers = make_ledgers(database, InlineTables(), pool_size=1)
    runner = Runner(database.projector, folds=FOLDS)
    counts: list[int] = []
    try:
        policy = facts.policy(ledgers, tenant)
        for number in (3, 60):
            for _ in range(number):
                grantee = facts.customer(ledgers, tenant)
                facts.grant(ledgers, tenant, grantee, policy, {"territory": ("CN",)})
            monkeypatch.setattr(psycopg.Cursor, "execute", noted)
            said.clear()
            conn = runner._connection()  # pyright: ignore[reportPrivateUsage]
            done = runner._turn(conn, tenant)  # pyright: ignore[reportPrivateUsage]
            monkeypatch.undo()
            assert done >= 2 * number
            counts.append(len(said))
    finally:
        ledgers.close()
        runner.close()
    assert counts[1] <= counts[0]
    assert counts[1] <= 40


def blocks(conn: psycopg.Connection[Any], parameters: tuple[Any, ...]) -> int:
    """Blocks that one check asks the buffers for, those of what it calls among them."""
    explain: Any = "EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON) " + CHECK
    conn.execute(explain, parameters)  # the first one also reads the catalogue
    row = conn.execute(explain, parameters).fetchone()
    assert row is not None
    plan = row[0][0]["Plan"]
    return plan["Shared Hit Blocks"] + plan["Shared Read Blocks"]


def test_a_check_asks_for_as_many_blocks_however_many_grants_others_have(
    fresh_database: Callable[[], Database],
) -> None:
    made = fresh_database()
    tenant = make_tenant(made, ALL)
    ledgers: Ledgers = make_ledgers(made, InlineTables(), pool_size=1)
    try:
        policy, grantee = facts.policy(ledgers, tenant), facts.customer(ledgers, tenant)
        facts.grant(ledgers, tenant, grantee, policy, {"territory": ("CN",)})
    finally:
        ledgers.close()
    parameters = check_parameters(tenant, [f"customer:{grantee}"], ["territory/CN"], None)
    with psycopg.connect(made.service, autocommit=True) as conn, superuser(made) as owner:
        few = blocks(conn, parameters)
        owner.execute(
            "INSERT INTO permissions SELECT p.tenant_id, p.generation, gen_random_uuid(), 1,"
            " p.valid_from, p.valid_to, p.known_from, NULL, 'customer:' || gen_random_uuid(), 'x',"
            " p.kind, p.actions, p.scope, p.policy_id, 1, NULL, '[]'"
            " FROM permissions p, generate_series(1, 20000) WHERE p.known_to IS NULL"
        )
        many = blocks(conn, parameters)
    assert few <= 60
    assert many <= few + 4  # the index is a level or two higher
