"""What the tests of the doors may ask for beside the database: a key database to spoil."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from api.provisioning import Database
from tests.support import cluster
from tests.support.keys import emptied


@pytest.fixture(scope="session")
def spoiled_database(run_directory: Path) -> Iterator[Database]:
    """A database of its own, because tests of keys begin without any, rotate and lose them."""
    made = cluster.new_database(run_directory)
    yield made
    cluster.drop(made.admin or "", made.name)


@pytest.fixture
def key_database(spoiled_database: Database) -> Database:
    """A database whose key database is empty, as after its first migration."""
    return emptied(spoiled_database)
