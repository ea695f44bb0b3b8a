"""Roles and databases on a PostgreSQL: who may log in, and where each may go.

Six roles, the same in the whole server; two databases, the ledger's and the keys'. The owner owns
everything and cannot log in; whoever logs in owns nothing. Works as a superuser, and as an
administrator that may create roles and databases, on PostgreSQL 15 to 18.
"""

import json
import secrets as random_secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode

import psycopg
from psycopg import sql
from psycopg.conninfo import conninfo_to_dict

from api.postgres import ensure_server
from api.postgres_host import StartRefused, locked, write_secret
from projections import migrate

OWNER = "counterseal_owner"
MIGRATOR = "counterseal_migrator"
SERVICE = "counterseal_service"
PROJECTOR = "counterseal_projector"
AUDITOR = "counterseal_auditor"
KEYS = "counterseal_keys"
LOGINS = (MIGRATOR, SERVICE, PROJECTOR, AUDITOR, KEYS)
MAIN_ROLES = (MIGRATOR, SERVICE, PROJECTOR, AUDITOR)
KEY_ROLES = (MIGRATOR, KEYS)

KEYS_FOLDER = Path(__file__).parent / "sql_keys"
PASSWORDS = "roles.json"
OLDEST, NEWEST = 15, 18
LOCK_KEY = 0x70726F766973696F  # any number, the same in every process
LOCK_SECONDS = 60
CONNECT_SECONDS = 10
PASSWORD_BYTES = 32

Conn = psycopg.Connection[tuple[Any, ...]]


@dataclass(frozen=True)
class Database:
    """The addresses of one installation, one a role, with its password; hidden from `repr`."""

    name: str
    service: str = field(repr=False)
    projector: str = field(repr=False)
    auditor: str = field(repr=False)
    migrator: str = field(repr=False)
    keys: str = field(repr=False)
    keys_migrator: str = field(repr=False)
    admin: str | None = field(default=None, repr=False)  # the server's, on its own database


def embedded_database(data_dir: Path, name: str = "counterseal") -> Database:
    """The embedded server of this directory, started if need be, with roles and databases on it.

    Raises `StartRefused` as `ensure_server` and `provision` do.
    """
    server = ensure_server(data_dir)
    return provision(server.admin_url, name, server.data_dir)


def migrate_both(database: Database) -> list[str]:
    """Bring the ledger's and the keys' database up to date; the names of what was applied."""
    done = migrate.migrate(database.keys_migrator, KEYS_FOLDER)  # keys before what they seal
    return [one.name for one in [*done, *migrate.migrate(database.migrator, migrate.FOLDER)]]


def provision(
    admin_url: str,
    name: str,
    secrets: Path | Mapping[str, str],
    *,
    template: str | None = None,
    reset: bool = False,
) -> Database:
    """Make what is missing of roles and databases, and return the addresses.

    `secrets` is the directory in which the passwords are kept (`roles.json`, readable by its owner
    only), or the passwords themselves by role. The passwords belong to the server, not to one
    database: keep one directory a server. A role that is there and whose password is not known is
    refused (`database.password_unknown`), because a new one would lock out whoever uses it;
    `reset` gives it a new one all the same. `template` names a database of ours to copy, and its
    `_keys`.

    Running it again changes nothing; two at once wait for each other. Stopped anywhere, the next
    run does the rest: every step asks first what is there. Raises `StartRefused`:
    `database.version`, `.busy`, `.password_unknown`, `.role`, `.taken`.
    """
    with psycopg.connect(admin_url, autocommit=True, connect_timeout=CONNECT_SECONDS) as conn:
        _refuse_version(conn)
        _lock(conn)
        passwords = _passwords(conn, secrets, reset)
        _make_roles(conn, passwords, reset)
        for database in (name, f"{name}_keys"):
            source = "template0" if template is None else template + database[len(name) :]
            _make_database(conn, database, source)
        _close(conn, admin_url, name, MAIN_ROLES)
        _close(conn, admin_url, f"{name}_keys", KEY_ROLES)

    def url(role: str, database: str) -> str:
        return role_url(admin_url, role, passwords[role], database)

    return Database(
        name=name,
        service=url(SERVICE, name),
        projector=url(PROJECTOR, name),
        auditor=url(AUDITOR, name),
        migrator=url(MIGRATOR, name),
        keys=url(KEYS, f"{name}_keys"),
        keys_migrator=url(MIGRATOR, f"{name}_keys"),
        admin=admin_url,
    )


def role_url(admin_url: str, role: str, password: str, database: str) -> str:
    """The administrator's address with another role, password and database."""
    parts = {key: str(value) for key, value in conninfo_to_dict(admin_url).items()}
    for key in ("user", "password", "dbname", "passfile", "service"):
        parts.pop(key, None)
    query = urlencode(parts, quote_via=quote, safe="/,")
    return f"postgresql://{quote(role)}:{quote(password, safe='')}@/{quote(database)}?{query}"


def _refuse_version(conn: Conn) -> None:
    major = conn.info.server_version // 10000
    if not OLDEST <= major <= NEWEST:
        raise StartRefused(
            "database.version",
            f"The server is PostgreSQL {major}; {OLDEST} to {NEWEST} are supported.",
        )


def _lock(conn: Conn) -> None:
    """Wait for others who provision this server; the lock goes with the session."""
    conn.execute(sql.SQL("SET lock_timeout = {}").format(f"{LOCK_SECONDS}s"))
    try:
        conn.execute("SELECT pg_advisory_lock(%s)", (LOCK_KEY,))
    except psycopg.errors.LockNotAvailable:
        raise StartRefused(
            "database.busy", f"Someone else has been provisioning for {LOCK_SECONDS} s."
        ) from None


def _passwords(conn: Conn, secrets: Path | Mapping[str, str], reset: bool) -> Mapping[str, str]:
    """The roles' passwords; new ones are on disk before any role has them."""
    if not isinstance(secrets, Path):
        return secrets
    secrets.mkdir(mode=0o700, parents=True, exist_ok=True)
    with locked(secrets / "roles.lock"):
        file = secrets / PASSWORDS
        text = file.read_text(encoding="utf-8") if file.exists() else "{}"
        known: dict[str, str] = json.loads(text)
        lacking = [role for role in LOGINS if role not in known]
        there = [] if reset else [role for role in lacking if _role(conn, role) is not None]
        if there:
            raise StartRefused(
                "database.password_unknown",
                f"The server has the role {there[0]} already, and {file} does not hold its"
                " password. Copy the file from the installation that made the role, or let the"
                " passwords be set anew, which locks that installation out.",
            )
        if lacking:
            known |= {role: random_secrets.token_urlsafe(PASSWORD_BYTES) for role in lacking}
            write_secret(file, json.dumps(known, indent=1))
        return known


def _role(conn: Conn, name: str) -> tuple[bool, ...] | None:
    return conn.execute(
        "SELECT rolsuper, rolbypassrls, rolcreaterole, rolcreatedb, rolreplication, rolcanlogin"
        " FROM pg_roles WHERE rolname = %s",
        (name,),
    ).fetchone()


def _make_roles(conn: Conn, passwords: Mapping[str, str], reset: bool) -> None:
    """Make each role with its password in one statement: a crash leaves none that cannot log in."""

    def login(role: str) -> sql.Composable:
        if role == OWNER:
            return sql.SQL(" NOLOGIN")
        # Only the verifier is sent: a statement log never sees the password.
        plain, name = passwords[role].encode(), role.encode()
        verifier = conn.pgconn.encrypt_password(plain, name, b"scram-sha-256").decode()
        return sql.SQL(" LOGIN NOINHERIT PASSWORD {}").format(verifier)

    for role in (OWNER, *LOGINS):
        identifier = sql.Identifier(role)
        found = _role(conn, role)
        if found is None:
            conn.execute(sql.SQL("CREATE ROLE {}").format(identifier) + login(role))
        elif any(found[:5]) or (role == OWNER and found[5]):
            raise StartRefused(
                "database.role",
                f"The role {role} may do more than it should (superuser, BYPASSRLS, CREATEROLE,"
                " CREATEDB, REPLICATION, or log in as the owner). Take that from it first.",
            )
        elif reset and role != OWNER:
            conn.execute(sql.SQL("ALTER ROLE {}").format(identifier) + login(role))
    conn.execute(sql.SQL("GRANT {} TO {}").format(sql.Identifier(OWNER), sql.Identifier(MIGRATOR)))
    if not _is_superuser(conn):  # who makes a database for the owner must be able to act as it
        conn.execute(sql.SQL("GRANT {} TO CURRENT_USER").format(sql.Identifier(OWNER)))


def _is_superuser(conn: Conn) -> bool:
    row = conn.execute("SELECT rolsuper FROM pg_roles WHERE rolname = current_user").fetchone()
    return row is not None and bool(row[0])


def _make_database(conn: Conn, name: str, template: str) -> None:
    """Make the database unless it is there. Text sorts by code point, on every server alike."""
    row = conn.execute(
        "SELECT pg_get_userbyid(datdba) FROM pg_database WHERE datname = %s", (name,)
    ).fetchone()
    if row is None:
        locale = " LOCALE_PROVIDER libc LOCALE 'C'" if template == "template0" else ""
        conn.execute(
            sql.SQL("CREATE DATABASE {} OWNER {} TEMPLATE {} ENCODING 'UTF8'" + locale).format(
                sql.Identifier(name), sql.Identifier(OWNER), sql.Identifier(template)
            )
        )
    elif row[0] != OWNER:
        raise StartRefused(
            "database.taken",
            f"The database {name} belongs to {row[0]}, not to {OWNER}. Choose another name.",
        )


def _close(conn: Conn, admin_url: str, database: str, roles: tuple[str, ...]) -> None:
    """Let these roles connect and nobody else; what the owner makes later is closed as well."""
    names = sql.SQL(", ").join(map(sql.Identifier, roles))
    where = sql.Identifier(database)
    conn.execute(sql.SQL("REVOKE ALL ON DATABASE {} FROM PUBLIC").format(where))
    conn.execute(sql.SQL("GRANT CONNECT ON DATABASE {} TO {}").format(where, names))
    inside = psycopg.connect(
        admin_url, dbname=database, autocommit=True, connect_timeout=CONNECT_SECONDS
    )
    with inside:
        inside.execute(sql.SQL("SET ROLE {}").format(sql.Identifier(OWNER)))
        inside.execute("REVOKE ALL ON SCHEMA public FROM PUBLIC")
        inside.execute(sql.SQL("GRANT USAGE ON SCHEMA public TO {}").format(names))
        # A function may be called by everyone unless this is said: some act as the owner.
        inside.execute("ALTER DEFAULT PRIVILEGES REVOKE EXECUTE ON FUNCTIONS FROM PUBLIC")
