"""Quarantine because of rows that differ: what it leaves as it was, and what ends it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from api.provisioning import Database
from projections import inline
from replay.rebuild import rebuild
from replay.rebuild_plan import connect, drop
from tests.replay.watching import PLANTS, Watch, watched
from tests.support.mixed import Mixed


@pytest.fixture
def watch(firm: Mixed, replay_database: Database) -> Iterator[Watch]:
    yield from watched(replay_database, firm.tenant)


def test_a_row_that_differs_does_not_cover_an_event_that_cannot_be_applied(watch: Watch) -> None:
    watch.work()
    watch.plant(PLANTS["permissions"])
    watch.sweep()
    ((stream, (_, code)),) = watch.quarantined().items()
    assert code == "table.differs"
    at = watch.head()
    watch.plant(
        "UPDATE quarantined SET position = %s, code = 'event.not_applied' WHERE tenant_id = %s", at
    )
    watch.sweep()
    assert "permissions" in watch.found()
    assert watch.quarantined() == {stream: (at, "event.not_applied")}
    watch.heal_all()
    assert watch.differs() == []


def test_rows_rebuilt_from_the_log_end_the_quarantine_of_those_that_differed(watch: Watch) -> None:
    watch.work()
    watch.plant(PLANTS["permissions"])
    watch.plant(PLANTS["grants"])
    watch.sweep()
    (differed,) = watch.quarantined()
    watch.owner.execute(
        "INSERT INTO quarantined (tenant_id, stream_id, position, projection, code)"
        " SELECT tenant_id, stream_id, %s, 'history', 'event.not_applied' FROM events"
        " WHERE tenant_id = %s AND stream_id <> %s ORDER BY position DESC LIMIT 1",
        (watch.head(), watch.tenant, differed),
    )
    (graver,) = watch.quarantined().keys() - {differed}
    some = rebuild(watch.database.migrator, watch.tenant, ["permissions"], accept=True)
    assert some.position is not None
    assert set(watch.quarantined()) == {differed, graver}, "other rows of it may still differ"
    assert set(watch.found()) == {"grants"}
    done = rebuild(watch.database.migrator, watch.tenant, inline.FOLDS, accept=True)
    assert done.position is not None
    assert watch.quarantined() == {graver: (watch.head(), "event.not_applied")}
    watch.sweep()
    assert set(watch.quarantined()) == {graver}
    watch.heal_all()
    rebuild(watch.database.migrator, watch.tenant, accept=True)
    assert (watch.found(), watch.differs()) == ({}, [])
    with connect(watch.database.migrator) as conn:
        drop(conn, watch.tenant)
