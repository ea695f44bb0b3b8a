"""What the service's role may not be, asked of the database itself before the doors open."""

from typing import Any, LiteralString

import psycopg

from api.postgres_host import StartRefused

Conn = psycopg.Connection[tuple[Any, ...]]

# Each finds a reason to refuse and names it. `session_user` cannot be hidden by SET ROLE, and a
# role that may become another one counts as that one.
POWERFUL: LiteralString = """
    SELECT rolname FROM pg_roles
    WHERE pg_has_role(session_user, oid, 'MEMBER')
      AND (rolsuper OR rolbypassrls OR rolcreaterole OR rolreplication OR rolname IN
           ('pg_write_all_data', 'pg_write_server_files', 'pg_execute_server_program'))
    ORDER BY rolname <> session_user, rolname LIMIT 1"""
OWNED: LiteralString = """
    SELECT name FROM (
        SELECT format('%I.%I', nspname, relname) AS name, relowner AS owner, nspname
        FROM pg_class JOIN pg_namespace n ON n.oid = relnamespace
        UNION ALL
        SELECT format('%I.%I()', nspname, proname), proowner, nspname
        FROM pg_proc JOIN pg_namespace n ON n.oid = pronamespace
        UNION ALL
        SELECT format('schema %I', nspname), nspowner, nspname FROM pg_namespace
        UNION ALL
        SELECT format('database %I', datname), datdba, ''
        FROM pg_database WHERE datname = current_database()
    ) AS objects
    WHERE nspname !~ '^pg_' AND nspname <> 'information_schema'
      AND pg_has_role(session_user, owner, 'MEMBER')
    ORDER BY name LIMIT 1"""
CREATES: LiteralString = """
    SELECT format('schema %I', nspname) FROM pg_namespace
    WHERE nspname !~ '^pg_' AND has_schema_privilege(session_user, oid, 'CREATE')
    ORDER BY 1 LIMIT 1"""
WRITES: LiteralString = """
    SELECT relname FROM pg_class JOIN pg_namespace n ON n.oid = relnamespace
    WHERE nspname !~ '^pg_' AND nspname <> 'information_schema' AND relkind IN ('r', 'p', 'v')
      AND relname <> ALL (%s)
      AND (has_table_privilege(session_user, pg_class.oid, 'INSERT, UPDATE, DELETE, TRUNCATE')
           OR has_any_column_privilege(session_user, pg_class.oid, 'INSERT, UPDATE'))
    ORDER BY relname LIMIT 1"""
LOSES: LiteralString = """
    SELECT name FROM pg_settings
    WHERE name IN ('fsync', 'full_page_writes', 'synchronous_commit') AND setting = 'off'
    ORDER BY name LIMIT 1"""

# The doors' own tables; none of them is the ledger's or a read model, so none decides a right.
WRITABLE = frozenset({"access_log", "api_keys", "sessions", "sign_in_links"})


def check_service_role(conn: Conn) -> None:
    """Refuse a role that could change history, and a server that could lose what it acknowledged.

    Raises `StartRefused`: `database.role_powerful` (superuser, BYPASSRLS and the like, itself or
    through a role it may become), `.role_owner` (owns a table, function, schema or the database),
    `.role_creates`, `.role_writes` (any table but `WRITABLE`), `.not_durable` (fsync,
    full_page_writes or synchronous_commit is off). Without migrations it passes: whether they
    are there is another question.
    """
    role = conn.info.user
    if found := _first(conn, POWERFUL):
        power = "is" if found == role else f"may become {found}, which is"
        raise StartRefused(
            "database.role_powerful",
            f"The service does not start as {role}: it {power} a superuser or above the walls"
            " between tenants. Start it as counterseal_service.",
        )
    if found := _first(conn, OWNED):
        raise StartRefused(
            "database.role_owner",
            f"The service does not start as {role}: it owns {found}, so it could change history."
            " Start it as counterseal_service.",
        )
    if found := _first(conn, CREATES):
        raise StartRefused(
            "database.role_creates",
            f"The service does not start as {role}: it may create objects in {found}."
            " Revoke that, or provision the database again.",
        )
    if found := _first(conn, WRITES, (sorted(WRITABLE),)):
        raise StartRefused(
            "database.role_writes",
            f"The service does not start as {role}: it may write the table {found} past the"
            " ledger's own function. Revoke that, or start it as counterseal_service.",
        )
    if found := _first(conn, LOSES):
        raise StartRefused(
            "database.not_durable",
            f"The service does not start on a server with {found} = off: what it acknowledges"
            " could be lost. Turn it on.",
        )


def _first(conn: Conn, query: LiteralString, parameters: tuple[object, ...] = ()) -> str | None:
    row = conn.execute(query, parameters or None).fetchone()
    return None if row is None else str(row[0])
