"""One tenant under a verifier: what is changed behind the service's back, and what it has found."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, LiteralString

import pytest

from api.provisioning import Database
from replay.compare import compare
from replay.healing import heal
from replay.reader import opened as reading
from replay.rebuild_plan import connect, drop
from replay.verifier import Verifier
from tests.support.owner import superuser

PLANTS: dict[str, LiteralString] = {
    "permissions": "UPDATE permissions SET actions = actions || ARRAY['destroy'] WHERE ctid ="
    " (SELECT ctid FROM permissions WHERE known_to IS NULL AND tenant_id = %s LIMIT 1)",
    "standings": "UPDATE standings SET valid_from = '-infinity' WHERE ctid ="
    " (SELECT ctid FROM standings WHERE party LIKE 'customer:%%' AND tenant_id = %s LIMIT 1)",
    "aliases": "UPDATE aliases SET into_party = party WHERE tenant_id = %s",
    "memberships": "UPDATE memberships SET team = 'service/planted' WHERE ctid ="
    " (SELECT ctid FROM memberships WHERE tenant_id = %s LIMIT 1)",
    "points": """UPDATE points SET attributes = '{"territory": "CN"}' WHERE ctid ="""
    " (SELECT ctid FROM points WHERE dimension = 'product' AND tenant_id = %s LIMIT 1)",
    "points of customers": """UPDATE points SET attributes = '{"manager": ["planted"]}'"""
    " WHERE ctid = (SELECT ctid FROM points WHERE dimension LIKE 'customer/%%'"
    " AND tenant_id = %s LIMIT 1)",
    "grants": "DELETE FROM grants WHERE ctid ="
    " (SELECT ctid FROM grants WHERE status = 'active' AND tenant_id = %s LIMIT 1)",
}
"""By table: one row of it made another than the log says."""


class Watch:
    """One tenant under a verifier, and what it has found."""

    def __init__(self, database: Database, tenant: str) -> None:
        self.database = database
        self.tenant = tenant
        self.owner = superuser(database)
        self.verifier = self.another()

    def another(self, **more: Any) -> Verifier:
        return Verifier(self.database.projector, rest=3_600, **{"turn": 5_000, **more})

    def work(self, verifier: Verifier | None = None) -> None:
        """Let it work until there is nothing left to do."""
        for _ in range(5_000):
            if not (verifier or self.verifier).step().worked:
                return
        pytest.fail("it never comes to an end")

    def sweep(self) -> None:
        """Have everything compared from the first stream on."""
        self.owner.execute(
            "UPDATE sweeps SET swept_at = NULL, swept_from = NULL, swept_upto = NULL"
            " WHERE tenant_id = %s",
            (self.tenant,),
        )
        self.work()

    def found(self) -> dict[str, set[str]]:
        """Table -> columns that differ, `*` for whole rows."""
        rows = self.owner.execute(
            "SELECT relation, columns FROM differences WHERE tenant_id = %s", (self.tenant,)
        ).fetchall()
        told: dict[str, set[str]] = {}
        for relation, columns in rows:
            told.setdefault(relation, set()).update(columns or ["*"])
        return told

    def quarantined(self) -> dict[str, tuple[int, str]]:
        rows = self.owner.execute(
            "SELECT stream_id::text, position, code FROM quarantined WHERE tenant_id = %s",
            (self.tenant,),
        ).fetchall()
        return {stream: (position, code) for stream, position, code in rows}

    def verified(self) -> set[int]:
        rows = self.owner.execute(
            "SELECT v.position FROM verified v JOIN generations g"
            " USING (tenant_id, projection, generation) WHERE g.live AND tenant_id = %s",
            (self.tenant,),
        ).fetchall()
        return {row[0] for row in rows}

    def head(self) -> int:
        row = self.owner.execute(
            "SELECT position FROM ledgers WHERE tenant_id = %s", (self.tenant,)
        ).fetchone()
        assert row is not None
        return int(row[0])

    def plant(self, statement: LiteralString, *more: Any) -> None:
        assert self.owner.execute(statement, (*more, self.tenant)).rowcount > 0

    def heal_all(self) -> None:
        along: set[str] = set()
        for stream in self.quarantined():
            if stream not in along:  # else it was healed with another one
                healed = heal(self.database.migrator, self.tenant, stream)
                assert healed.faults == ()
                along.update(healed.streams)

    def differs(self) -> list[Any]:
        with reading(self.database.auditor, self.tenant) as source:
            return compare(source)[0]

    def clean(self) -> None:
        """Forget what was found; for tests that put rows right by themselves."""
        for table in ("quarantined", "differences"):
            self.owner.execute(f"DELETE FROM {table}")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]

    def close(self) -> None:
        self.verifier.close()
        self.owner.close()


def watched(database: Database, tenant: str) -> Iterator[Watch]:
    """Yield a tenant under a verifier, for a fixture; nothing is left of earlier generations, so
    that what is planted is planted in rows that somebody reads.
    """
    with connect(database.migrator) as conn:
        drop(conn, tenant)
    made = Watch(database, tenant)
    yield made
    made.clean()
    made.close()
