"""The test database itself: migrated, durable, with the roles as they will be in service."""

import psycopg

from api.provisioning import Database
from api.service_role import check_service_role
from projections import migrate


def test_the_shared_database_is_migrated_and_durable(database: Database) -> None:
    with psycopg.connect(database.service) as conn:
        assert migrate.pending(conn, migrate.FOLDER) == []
        for name in ("fsync", "full_page_writes", "synchronous_commit"):
            row = conn.execute("SELECT current_setting(%s)", (name,)).fetchone()
            assert row == ("on",)


def test_the_service_role_of_a_migrated_database_may_start(database: Database) -> None:
    with psycopg.connect(database.service) as conn:
        check_service_role(conn)
