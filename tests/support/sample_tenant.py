"""The sample tenant for tests: made in an installation of its own, and what was counted in it."""

from __future__ import annotations

import json
import os
import shutil
import tempfile
import time
from collections import Counter
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple
from unittest import mock

import psycopg

from api import demo
from api.cli_places import Places
from api.postgres_host import locked
from domain.values import Instant
from tests.support import cluster
from tests.support.commands import PATIENCE_S, Installation

STATES = (
    "submitted", "information_requested", "verifying", "pending_approval", "approved",
    "scheduled", "active", "suspended", "rejected", "withdrawn", "lapsed", "expired", "revoked",
    "superseded", "entered_in_error",
)  # fmt: skip
"""Every main state of a grant, as docs/kinds.md and the domain name them."""


class Event(NamedTuple):
    """What two loads have in common of an event: all but the clock's jitter, keys and ciphers."""

    stream: str
    version: int
    type: str
    at: str


class Held(NamedTuple):
    """What a tenant holds, read by plain questions."""

    tenant: str
    events: list[Event]
    grants: Counter[str]
    customers: Counter[str]
    cases: Counter[str]
    tasks: Counter[str]


@contextmanager
def sampled(run: Path) -> Generator[Installation]:
    """Give an installation of one's own with the small sample tenant, its read models up to date:
    a copy of one that is made once a run.
    """
    with locked(run / "sample.lock"):
        name, folder = run / "sample.json", run / "sample"
        if not name.exists():
            name.write_text(json.dumps({"name": _made(run, folder)}))
    made = cluster.copied(run, json.loads(name.read_text())["name"])
    try:
        with tempfile.TemporaryDirectory(prefix="cli-") as place:
            shutil.copytree(folder, place, dirs_exist_ok=True)
            yield Installation(Path(place), made)
    finally:
        cluster.drop(made.admin or "", made.name)


def _made(run: Path, folder: Path) -> str:
    """Make the sample tenant as a person does; return the name of its database."""
    database = cluster.new_database(run)
    folder.mkdir(mode=0o700, exist_ok=True)
    here = Installation(folder, database)
    with here.served("demo", "--small", "--port", "0") as served:
        until_up_to_date(here)
        assert served.end() == 0
    return database.name


def until_up_to_date(here: Installation) -> None:
    """Wait until the read models have followed the whole log."""
    end = time.monotonic() + PATIENCE_S
    while any(one["behind"] for one in here.say("projections", "list", "--json").json()):
        assert time.monotonic() < end
        time.sleep(0.1)


def prepare(here: Installation, *, small: bool = True) -> demo.Tried:
    """Make the sample tenant as `counterseal demo` does, in this process."""
    with mock.patch.dict(os.environ, here.environment, clear=True):
        return demo.prepare(Places(), small=small)


def position(here: Installation) -> int:
    """Return how long the sample's log is now, 0 while there is none."""
    assert here.database is not None
    with psycopg.connect(here.database.auditor, autocommit=True) as conn:
        found = conn.execute("SELECT coalesce(max(position), 0) FROM ledgers").fetchone()
    return found[0] if found else 0


def held(here: Installation, tenant: str) -> Held:
    """Return what the tenant's log and its read models hold."""
    assert here.database is not None
    with psycopg.connect(here.database.service, autocommit=True) as conn, conn.transaction():
        conn.execute("SELECT set_config('counterseal.tenant', %s, true)", (tenant,))
        rows = conn.execute(
            "SELECT stream_id::text, version, type, data FROM events"
            " WHERE tenant_id = %s ORDER BY position",
            (tenant,),
        ).fetchall()
        return Held(
            tenant,
            [_event(tenant, row) for row in rows],
            _counted(conn, "SELECT status FROM grants WHERE tenant_id = %s", tenant),
            _counted(conn, "SELECT status FROM customers WHERE tenant_id = %s", tenant),
            _counted(
                conn,
                "SELECT kind FROM cases WHERE tenant_id = %s AND closed_at IS NULL",
                tenant,
            ),
            _counted(conn, "SELECT kind FROM tasks WHERE tenant_id = %s", tenant),
        )


def last_instant(here: Installation) -> Instant:
    """Return when the last event was recorded."""
    assert here.database is not None
    with psycopg.connect(here.database.auditor, autocommit=True) as conn:
        found = conn.execute("SELECT max(recorded_at) FROM ledgers").fetchone()
    assert found is not None
    return found[0]


def _event(tenant: str, row: Sequence[Any]) -> Event:
    """The catalogue's stream is the tenant, whose id is another one each time."""
    stream = "tenant" if row[0] == tenant else row[0]
    return Event(stream, row[1], row[2], _at(row[3]))


def _at(data: bytes) -> str:
    return str(json.loads(bytes(data))["at"])


def _counted(conn: psycopg.Connection[Any], question: str, tenant: str) -> Counter[str]:
    statement: Any = question
    return Counter(row[0] for row in conn.execute(statement, (tenant,)).fetchall())
