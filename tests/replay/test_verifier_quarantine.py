"""Quarantine because of rows that differ: what it leaves as it was, and what ends it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from api.provisioning import Database
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
