"""What only the owner of a machine can do to a database: a connection past every guard."""

from __future__ import annotations

from typing import Any

import psycopg
from psycopg.conninfo import make_conninfo

from api.provisioning import Database


def superuser(database: Database) -> psycopg.Connection[Any]:
    """Connect as the server's superuser to the main database, triggers off, in autocommit."""
    assert database.admin is not None
    conn = psycopg.connect(make_conninfo(database.admin, dbname=database.name), autocommit=True)
    conn.execute("SET session_replication_role = replica")
    return conn
