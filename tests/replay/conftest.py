"""What tests of the auditor's floor share: tenants with every kind of row."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from api.provisioning import Database
from tests.support import cluster
from tests.support.doors import House, opened
from tests.support.mirror import Mirror
from tests.support.mixed import Mixed
from tests.support.trade import BECAUSE
from tests.support.wandering import wander


@pytest.fixture(scope="session")
def replay_database(run_directory: Path) -> Iterator[Database]:
    """A database of these tests' own: its keys go with one key file, and rows are changed in it."""
    made = cluster.new_database(run_directory)
    yield made
    assert made.admin is not None
    cluster.drop(made.admin, made.name)


@pytest.fixture(scope="session")
def house(replay_database: Database, tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    with opened(replay_database, tmp_path_factory.mktemp("replay")) as made:
        yield made


@pytest.fixture(scope="session")
def firm(house: House) -> Mixed:
    """A small firm with everything at once; its read models are up to date."""
    made = Mixed(house)
    one, two = (made.customer(f"merged-{number}") for number in (1, 2))
    asked = made["verifier"].done(f"/v1/customers/{two}/merge", {"into": one, **BECAUSE})
    seen = f'"v{asked["version"]}"'
    made["compliance"].done(f"/v1/customers/{two}/merge/acceptance", BECAUSE, if_match=seen)
    house.follow()
    return made


@pytest.fixture(scope="session")
def history(house: House) -> Iterator[Mirror]:
    """A made-up history, with approvals retracted and persons merged; read models up to date."""
    made = wander(house, 5, 400)
    house.follow()
    yield made
    made.close()
