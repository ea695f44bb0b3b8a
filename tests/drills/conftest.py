"""What every drill may ask for: doors, a seed that can be given again, a line for its figures."""

import os
import random
import secrets
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from api.provisioning import Database
from tests.support import cluster
from tests.support.drill_doors import Doors, Service
from tests.support.drill_report import line
from tests.support.drill_worker import Worker


@pytest.fixture(scope="session")
def doors(run_directory: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Doors]:
    """Where services stand: a database of the drills' own, because one key file belongs to it."""
    made = Doors(cluster.new_database(run_directory), tmp_path_factory.mktemp("doors"))
    yield made
    made.close()
    assert made.database.admin is not None
    cluster.drop(made.database.admin, made.database.name)


@pytest.fixture(scope="session")
def database(doors: Doors) -> Database:
    """The database on which the services stand; tenants keep drills apart."""
    return doors.database


@pytest.fixture(scope="module")
def services(doors: Doors) -> Iterator[tuple[Service, Service]]:
    """Two processes of the service on one database."""
    with doors.open() as one, doors.open() as other:
        yield one.ready(), other.ready()


@pytest.fixture(scope="module")
def worker(database: Database) -> Iterator[Worker]:
    """A process with a bare ledger: what the timekeeper's commands and batches of two need."""
    with Worker(database, at_once=True) as one:
        yield one.ready()


@pytest.fixture
def seed(rounds: Callable[[int, int], int]) -> int:
    """The seed of this drill: DRILL_SEED, else a new one; it is printed with the figures. With the
    small number of rounds it is the same each time, as everything in `make test`.
    """
    return int(os.environ.get("DRILL_SEED") or rounds(1, secrets.randbelow(1_000_000)))


@pytest.fixture
def chance(seed: int) -> random.Random:
    """Random numbers of this seed."""
    return random.Random(seed)


@pytest.fixture
def tell(seed: int, request: pytest.FixtureRequest) -> Callable[..., None]:
    """`tell(name, n, bad, **more)` prints a drill's figures."""

    def say(name: str, n: int, bad: int, **more: Any) -> None:
        print(f"\n{line(name, n, bad, seed=seed, **more)}")

    return say
