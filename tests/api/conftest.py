"""What the tests of the doors may ask for beside the database: a key database to spoil."""

import contextlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from api.importing.report import Report
from api.keys import FieldSealer, KeyStore
from api.provisioning import Database
from tests.support import cluster
from tests.support.doors import House, opened
from tests.support.importing import Bench, Import, small_mapping
from tests.support.keys import OCTOBER, SHORT_LIFE_SECONDS, emptied
from tests.support.past import working
from tests.support.timekeeping import Timekeeper
from tests.support.trade import Trade


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


@pytest.fixture
def key_file(tmp_path: Path) -> Path:
    """Where the key file of `open_store` will be."""
    return tmp_path / "keys.json"


@pytest.fixture
def open_store(key_database: Database, key_file: Path) -> Iterator[Callable[..., KeyStore]]:
    """Opens stores on the empty key database in October, as so many processes would."""
    with contextlib.ExitStack() as stack:

        def open_store(keks: Any = key_file, **settings: Any) -> KeyStore:
            settings = {"life_seconds": SHORT_LIFE_SECONDS, "clock": lambda: OCTOBER} | settings
            return stack.enter_context(KeyStore(key_database.keys, keks, **settings))

        yield open_store


@pytest.fixture
def key_store(open_store: Callable[..., KeyStore]) -> KeyStore:
    """One store on the empty key database."""
    return open_store()


@pytest.fixture
def sealer(key_store: KeyStore) -> FieldSealer:
    """The sealer and opener on `key_store`."""
    return FieldSealer(key_store)


@pytest.fixture(scope="session")
def house(database: Database, tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    """The doors on the worker's database, with keys and files of their own; one a worker."""
    with opened(database, tmp_path_factory.mktemp("doors")) as made:
        yield made


@pytest.fixture(scope="session")
def import_place(
    run_directory: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[Database, Path]]:
    """A database of the imports' own, because its keys go with one key file, and that file."""
    made = cluster.new_database(run_directory)
    yield made, tmp_path_factory.mktemp("imports") / "keys.json"
    cluster.drop(made.admin or "", made.name)


@pytest.fixture
def bench(import_place: tuple[Database, Path]) -> Iterator[Bench]:
    """A new tenant to import into."""
    made = Bench(*import_place)
    yield made
    made.close()


@pytest.fixture(scope="session")
def trade(house: House) -> Trade:
    """A firm with catalogue and policy, shared: each test registers customers of its own."""
    made = Trade(house)
    made.catalogue()
    made.policy()
    return made


@pytest.fixture
def runner(house: House) -> Iterator[None]:
    """A runner follows the log and fills what is asked of the past meanwhile."""
    with working(house):
        yield


@pytest.fixture
def imported(bench: Bench, tmp_path: Path) -> Import:
    """Imports a text or bytes as a file, with more lines of the small mapping."""

    def run(data: str | bytes, **parts: str) -> Report:
        path = tmp_path / "file"
        path.write_bytes(data.encode() if isinstance(data, str) else data)
        return bench.run(path, small_mapping(**parts))

    return run


@pytest.fixture
def quick_house(
    fresh_database: Callable[[], Database], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[House]:
    """Doors on a database of a test's own, which acknowledge a narrowing command at once.

    For tests whose every check asks the database; how long the doors wait is shown elsewhere.
    """
    monkeypatch.setattr("domain.landing.MEMORY_BOUND_S", 0.0)
    with opened(fresh_database(), tmp_path) as made:
        yield made


@pytest.fixture
def keeper(quick_house: House) -> Iterator[Timekeeper]:
    """The timekeeper of `quick_house`, who passes when told to."""
    made = Timekeeper(quick_house)
    yield made
    made.close()
