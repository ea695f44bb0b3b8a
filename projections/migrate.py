"""Brings a database to the version of this code: numbered SQL files, each applied once, for good.

A folder holds `NNNN_name.sql`, applied in the order of the numbers, each in one transaction
together with the row that says so: a crash leaves both or neither. Files that were applied are
never edited; their checksums are compared on every start.
"""

import hashlib
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg
from psycopg import sql

FOLDER = Path(__file__).parent / "sql"  # the main database's
OWNER = "counterseal_owner"
LOCK_KEY = 0x636F756E74657273  # any number, the same in every process
LOCK_SECONDS = 60  # for another migrator to end
TABLE_LOCK_SECONDS = 10  # for a table in use: a migration that waits blocks all who come after it
CONNECT_SECONDS = 10
FILE_NAME = re.compile(r"(?P<number>[0-9]{4})_[a-z0-9_]+\.sql")

CREATE_TABLE = """
CREATE TABLE IF NOT EXISTS public.schema_migrations (
    number     integer     PRIMARY KEY CHECK (number > 0),
    name       text        NOT NULL,
    checksum   bytea       NOT NULL CHECK (length(checksum) = 32),
    applied_at timestamptz NOT NULL DEFAULT clock_timestamp()
);
GRANT SELECT ON public.schema_migrations TO PUBLIC;
"""

Conn = psycopg.Connection[tuple[Any, ...]]


class MigrationRefused(Exception):
    """The database cannot be brought to this code's version: a stable code, and a sentence."""

    def __init__(self, code: str, sentence: str) -> None:
        super().__init__(f"{code}: {sentence}")
        self.code = code
        self.sentence = sentence


@dataclass(frozen=True)
class Migration:
    """One numbered file, as it lies in the folder; `checksum` is the SHA-256 of its bytes."""

    number: int
    name: str
    body: bytes
    checksum: bytes


def migrations(folder: Path) -> list[Migration]:
    """Read the folder's migrations in their order.

    Raises `MigrationRefused` (`migration.numbers`) on a name that does not fit, or a number twice.
    """
    found: dict[int, Migration] = {}
    for path in sorted(folder.glob("*.sql")):
        match = FILE_NAME.fullmatch(path.name)
        if match is None or int(match["number"]) in found:
            raise MigrationRefused(
                "migration.numbers",
                f"{path.name} is not named NNNN_name.sql with a number of its own.",
            )
        body, number = path.read_bytes(), int(match["number"])
        found[number] = Migration(number, path.name, body, hashlib.sha256(body).digest())
    return list(found.values())


def pending(conn: Conn, folder: Path) -> list[Migration]:
    """The migrations that this database still lacks, in their order; empty when it is up to date.

    Reads only. Raises `MigrationRefused`: `migration.newer` when the database knows later files
    than this code, `migration.missing` when the folder lacks an applied file, `migration.late`
    when a file stands before one that was applied, `migration.changed` when an applied file is
    not what it was.
    """
    known = {migration.number: migration for migration in migrations(folder)}
    applied = _applied(conn)
    for number, (name, checksum) in applied.items():
        if number > max(known, default=0):
            raise MigrationRefused(
                "migration.newer",
                f"The database has migration {name}, which this program does not know."
                " Start the newer program, or restore a backup made before it.",
            )
        if number not in known:
            raise MigrationRefused(
                "migration.missing", f"{name} was applied, and the folder does not have it."
            )
        if (known[number].name, known[number].checksum) != (name, checksum):
            raise MigrationRefused(
                "migration.changed",
                f"{name} was applied with another content than {known[number].name} has now."
                " Applied files are never edited.",
            )
    left = [migration for number, migration in known.items() if number not in applied]
    if left and left[0].number < max(applied, default=0):
        raise MigrationRefused(
            "migration.late", f"{left[0].name} stands before migrations that were applied."
        )
    return left


def migrate(url: str, folder: Path = FOLDER) -> list[Migration]:
    """Apply what is pending, one transaction a file; returns what was applied by this call.

    Two at once: the second waits for the first, then finds nothing to do. The lock belongs to
    the session, so it goes with a process that dies. Raises `MigrationRefused` as `pending` does,
    also `migration.transaction` for a file that commits by itself, and `migration.busy` when
    another migrator does not end; whatever PostgreSQL raises about a file comes through as it is.
    """
    done: list[Migration] = []
    with psycopg.connect(url, autocommit=True, connect_timeout=CONNECT_SECONDS) as conn:
        _lock(conn)
        _become_owner(conn)
        conn.execute(sql.SQL("SET lock_timeout = {}").format(f"{TABLE_LOCK_SECONDS}s"))
        if _table(conn) is None:
            conn.execute(CREATE_TABLE)
        for migration in pending(conn, folder):
            with conn.transaction():
                _apply(conn, migration)
                # A crash up to here leaves nothing of this file; from the commit on, all of it.
            done.append(migration)
    return done


def _apply(conn: Conn, migration: Migration) -> None:
    """Run one file and write its row, inside the caller's transaction."""
    before = _transaction_id(conn)
    conn.execute(migration.body)  # without parameters, so many statements may stand in one file
    if _transaction_id(conn) != before:
        raise MigrationRefused(
            "migration.transaction",
            f"{migration.name} ends its own transaction; the migrator commits, not the file.",
        )
    conn.execute(
        "INSERT INTO public.schema_migrations (number, name, checksum) VALUES (%s, %s, %s)",
        (migration.number, migration.name, migration.checksum),
    )


def _transaction_id(conn: Conn) -> str | None:
    row = conn.execute("SELECT pg_current_xact_id()::text").fetchone()
    return None if row is None else row[0]


def _lock(conn: Conn) -> None:
    conn.execute(sql.SQL("SET lock_timeout = {}").format(f"{LOCK_SECONDS}s"))
    try:
        conn.execute("SELECT pg_advisory_lock(%s)", (LOCK_KEY,))
    except psycopg.errors.LockNotAvailable:
        raise MigrationRefused(
            "migration.busy", f"Another migrator has held the database for {LOCK_SECONDS} s."
        ) from None


def _become_owner(conn: Conn) -> None:
    """Everything a migration makes belongs to the owner, whom nobody can log in as."""
    row = conn.execute(
        "SELECT 1 FROM pg_roles WHERE rolname = %s AND pg_has_role(current_user, oid, 'MEMBER')",
        (OWNER,),
    ).fetchone()
    if row is None:
        raise MigrationRefused(
            "migration.role", f"The role that migrates must be a member of {OWNER}."
        )
    conn.execute(sql.SQL("SET ROLE {}").format(sql.Identifier(OWNER)))


def _table(conn: Conn) -> str | None:
    row = conn.execute("SELECT to_regclass('public.schema_migrations')::text").fetchone()
    return None if row is None else row[0]


def _applied(conn: Conn) -> dict[int, tuple[str, bytes]]:
    if _table(conn) is None:
        return {}
    rows = conn.execute(
        "SELECT number, name, checksum FROM public.schema_migrations ORDER BY number"
    ).fetchall()
    return {number: (name, bytes(checksum)) for number, name, checksum in rows}
