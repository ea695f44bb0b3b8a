"""A tenant that is older than the read model of history gets it too, from its first event on."""

from __future__ import annotations

import shutil
from pathlib import Path

import psycopg

from domain.ledger import Ledgers
from projections import history, queries
from projections.history_asked import Filter
from projections.history_reading import find
from projections.inline import FOLDS as INLINE
from projections.inline import InlineTables
from projections.migrate import FOLDER, migrate
from projections.models import FOLDS
from projections.runner import Runner
from tests.projections import facts
from tests.support import cluster
from tests.support.ledger import make_ledgers, make_tenant

OLDER = {"permissions", "standings", "points", "grants", "customers", "policies", "staff", "hands"}
"""The read models that a tenant had before."""


def test_an_older_tenants_history_is_made_from_its_first_event_on(
    run_directory: Path, tmp_path: Path
) -> None:
    made = cluster.bare_database(run_directory)
    ledgers: Ledgers | None = None
    try:
        before = tmp_path / "sql"
        before.mkdir()
        for path in sorted(FOLDER.glob("*.sql"))[:5]:
            shutil.copy(path, before)
        migrate(made.migrator, before)
        known = {name: fold for name, fold in {**INLINE, **FOLDS}.items() if name in OLDER}
        tenant = make_tenant(made, known)
        migrate(made.migrator)
        ledgers = make_ledgers(made, InlineTables(), pool_size=1)
        facts.customer(ledgers, tenant)
        runner = Runner(made.projector, folds={history.NAME: history.FOLD})
        while runner.step():
            pass
        runner.close()
        with psycopg.connect(made.service, autocommit=True) as conn:
            assert queries.reached(conn, tenant, history.NAME) == 2
            assert len(find(conn, tenant, wanted=Filter()).items) == 2
    finally:
        if ledgers is not None:
            ledgers.close()
        assert made.admin is not None
        cluster.drop(made.admin, made.name)
