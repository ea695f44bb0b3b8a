"""PostgreSQL for the tests: one server a run, a migrated template, a database for each who asks.

A run's directory holds everything it starts. It is ended with the run; what a killed run left
behind is ended by the next one.
"""

import contextlib
import json
import os
import secrets
import shutil
import signal
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import psycopg
from psycopg import sql

from api.postgres import Server, ensure_server
from api.postgres_host import alive, locked, postmaster, serves
from api.postgres_layout import Layout
from api.provisioning import Database, migrate_both, provision

RUNS = "counterseal-tests-"


@dataclass(frozen=True)
class Cluster:
    """A server of a test's own, which it may kill, and a migrated database on it."""

    server: Server
    database: Database

    def again(self) -> Server:
        """Start the server after it was killed or stopped; the addresses stay as they were."""
        return ensure_server(self.server.data_dir)


def open_run() -> Path:
    """Make the directory of this run, after ending what dead runs left."""
    folder = Path(tempfile.gettempdir())
    for path in folder.glob(f"{RUNS}*"):
        with contextlib.suppress(OSError, ValueError):
            if path.stat().st_uid == os.geteuid() and not alive(int((path / "pid").read_text())):
                close_run(path)
    run = Path(tempfile.mkdtemp(prefix=RUNS))
    run.chmod(0o711)  # as root, the account that runs the server must pass through
    (run / "pid").write_text(str(os.getpid()))
    return run


def close_run(run: Path) -> None:
    """End every server below the run's directory, and remove it."""
    for home in {version.parents[2] for version in run.rglob("PG_VERSION") if _is_cluster(version)}:
        end_server(home)
    if url := os.environ.get("TEST_DATABASE_URL"):
        for made in ("template.json", "sample.json"):
            with contextlib.suppress(FileNotFoundError):
                drop(url, json.loads((run / made).read_text())["name"])
    shutil.rmtree(run, ignore_errors=True)


def _is_cluster(version: Path) -> bool:
    return version.parent.name == "data" and version.parents[2].name == "postgres"


def end_server(home: Path) -> None:
    """End the embedded server of this directory at once; its data is of no more use."""
    data = Layout.of(home).data
    found = postmaster(data)
    if found is not None and serves(found.pid, data):
        with contextlib.suppress(ProcessLookupError):
            os.kill(found.pid, signal.SIGQUIT)  # what pg_ctl calls an immediate shutdown
        deadline = time.monotonic() + 20
        while alive(found.pid) and time.monotonic() < deadline:
            time.sleep(0.02)


def server_url(run: Path) -> str:
    """The address of the run's superuser: TEST_DATABASE_URL, else the run's own embedded server."""
    return os.environ.get("TEST_DATABASE_URL") or ensure_server(run / "postgres").admin_url


def bare_database(run: Path) -> Database:
    """A database of one's own on the run's server, with its roles and nothing in it."""
    admin = server_url(run)
    name = f"counterseal_test_{secrets.token_hex(4)}"
    with locked(run / "secrets.lock"):
        # The roles of a server of one's own may have passwords of an earlier run: set anew, once.
        first = not (run / "secrets" / "roles.json").exists()
        return provision(admin, name, run / "secrets", reset=first)


def new_database(run: Path) -> Database:
    """A migrated database of one's own on the run's server; its name does not matter."""
    with locked(run / "template.lock"):
        made = run / "template.json"
        if not made.exists():
            template = bare_database(run)
            migrate_both(template)
            made.write_text(json.dumps({"name": template.name}))
        name = json.loads(made.read_text())["name"]
    return copied(run, name)


def copied(run: Path, name: str) -> Database:
    """A copy of a database of the run's server, and of its keys' database."""
    copy = f"{name}_{secrets.token_hex(4)}"
    return provision(server_url(run), copy, run / "secrets", template=name)


def new_cluster(run: Path) -> Cluster:
    """A server of one's own with a migrated database on it."""
    server = ensure_server(run / "clusters" / secrets.token_hex(4) / "postgres")
    database = provision(server.admin_url, "counterseal", server.data_dir)
    migrate_both(database)
    return Cluster(server, database)


def drop(admin_url: str, name: str) -> None:
    """Remove a database and its keys' database, whoever is connected."""
    with psycopg.connect(admin_url, autocommit=True) as conn:
        for database in (name, f"{name}_keys"):
            conn.execute(
                sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(database))
            )
