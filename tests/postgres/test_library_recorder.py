"""The library's own recorder tests on our recorder; one adaptation: versions begin at 0 for the
caller."""

from __future__ import annotations

from typing import ClassVar

import pytest
from eventsourcing.tests import persistence as library

from api.provisioning import Database
from domain.recorder import LedgerDatastore, LedgerRecorder
from tests.support.ledger import make_tenant


class OnOurRecorder:
    """Gives the library's cases a recorder on a tenant of its own."""

    INITIAL_VERSION = 0
    database: ClassVar[Database]

    @pytest.fixture(autouse=True)
    def _database(self, database: Database) -> None:
        type(self).database = database

    def create_recorder(self) -> LedgerRecorder:
        self.datastore = LedgerDatastore(self.database.service)
        return LedgerRecorder(self.datastore, make_tenant(self.database), version_base=0)

    def tearDown(self) -> None:
        self.datastore.close()

    def close_db_connection(self, *args: object) -> None:
        self.datastore.close()


class TestApplicationRecorder(OnOurRecorder, library.ApplicationRecorderTestCase[LedgerRecorder]):
    """Insert, select, notify, conflicts, concurrency."""

    def test_insert_subscribe(self) -> None:
        self.optional_test_insert_subscribe()


class TestNonInterleaving(OnOurRecorder, library.NonInterleavingNotificationIDsBaseCase):
    """Two large inserts at once do not interleave their positions."""
