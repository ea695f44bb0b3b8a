"""Every read model built once more beside the live one is the same, and takes its place."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from api.provisioning import Database
from replay.compare import compare
from replay.reader import opened as reading
from replay.rebuild import FOLDS, rebuild
from tests.support.doors import House, opened
from tests.support.mixed import Mixed


@pytest.fixture(scope="module")
def house(database: Database, tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    with opened(database, tmp_path_factory.mktemp("house")) as made:
        yield made


@pytest.fixture(scope="module")
def firm(house: House) -> Mixed:
    return Mixed(house)


def test_what_is_rebuilt_equals_what_is_live(firm: Mixed, database: Database) -> None:
    told = []
    done = rebuild(database.migrator, firm.tenant, told=told.append)
    print(told)
    assert done.differences == ()
    assert done.faults == ()
    assert done.position is not None
    assert set(done.generations) == set(FOLDS)


def test_compared(firm: Mixed, database: Database) -> None:
    import time

    with reading(database.auditor, firm.tenant) as source:
        t = time.monotonic()
        found, compared = compare(source)
        print(time.monotonic() - t, compared)
    for one in found:
        print(one)
    assert not found
    assert compared.rows > 100
