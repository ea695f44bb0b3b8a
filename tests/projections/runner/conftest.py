"""A database of these tests' own: workers look for whatever tenant is behind."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from api.provisioning import Database
from domain.ledger import Ledgers
from projections.inline import InlineTables
from projections.runner import Runner
from tests.support import cluster
from tests.support.ledger import make_ledgers


@pytest.fixture(scope="module")
def database(run_directory: Path) -> Iterator[Database]:
    """A database of these tests' own: workers look for whatever tenant is behind."""
    made = cluster.new_database(run_directory)
    yield made
    assert made.admin is not None
    cluster.drop(made.admin, made.name)


@pytest.fixture(scope="module")
def ledgers(database: Database) -> Iterator[Ledgers]:
    made = make_ledgers(database, InlineTables())
    yield made
    made.close()


@pytest.fixture
def runner(database: Database) -> Iterator[Callable[..., Runner]]:
    """Makes workers; closed after the test."""
    made: list[Runner] = []

    def make(**more: Any) -> Runner:
        made.append(Runner(database.projector, **more))
        return made[-1]

    yield make
    for one in made:
        one.close()
