"""What every test may ask for: a migrated database, a server to kill, the number of rounds."""

import logging
import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import hypothesis
import pytest
import structlog

from api.provisioning import Database
from tests.support import cluster

RUN = pytest.StashKey[Path]()

collect_ignore = ["browser"]
"""Playwright is not installed where `make test` runs; `make browser` names the folder itself."""


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--full", action="store_true", help="run drills with their full number")


def pytest_configure(config: pytest.Config) -> None:
    if not config.getoption("--full"):
        hypothesis.settings.register_profile("same", derandomize=True)
        hypothesis.settings.load_profile("same")
    given = getattr(config, "workerinput", None)
    config.stash[RUN] = cluster.open_run() if given is None else Path(given["counterseal_run"])


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_auto_num_workers() -> int:
    """Half as many again as processors: a third of its time a test waits for its servers."""
    usable = len(os.sched_getaffinity(0)) if sys.platform == "linux" else os.cpu_count() or 1
    return usable + usable // 2


@pytest.hookimpl(optionalhook=True)
def pytest_configure_node(node) -> None:
    node.workerinput["counterseal_run"] = str(node.config.stash[RUN])


def pytest_unconfigure(config: pytest.Config) -> None:
    if not hasattr(config, "workerinput") and RUN in config.stash:
        cluster.close_run(config.stash[RUN])


@pytest.fixture(autouse=True)
def _own_logs() -> Iterator[None]:
    """A test that configures the log leaves it as it was: what it wrote to is closed after it."""
    root = logging.getLogger()
    before, handlers, level = structlog.get_config(), list(root.handlers), root.level
    yield
    structlog.configure(**before)
    for handler in [one for one in root.handlers if one not in handlers]:
        root.removeHandler(handler)
    root.setLevel(level)


@pytest.fixture(scope="session")
def run_directory(request: pytest.FixtureRequest) -> Path:
    """The run's own directory: all workers see the same, and it goes with the run."""
    return request.config.stash[RUN]


@pytest.fixture(scope="session")
def database(run_directory: Path) -> Iterator[Database]:
    """A migrated database, one a worker: leave its structure as it is; tenants keep tests apart."""
    made = cluster.new_database(run_directory)
    yield made
    assert made.admin is not None
    cluster.drop(made.admin, made.name)


@pytest.fixture
def fresh_database(run_directory: Path) -> Iterator[Callable[[], Database]]:
    """Makes migrated databases of the test's own, on the shared server; dropped after the test."""
    made: list[Database] = []

    def make() -> Database:
        made.append(cluster.new_database(run_directory))
        return made[-1]

    yield make
    for one in made:
        assert one.admin is not None
        cluster.drop(one.admin, one.name)


@pytest.fixture
def fresh_cluster(run_directory: Path) -> Iterator[Callable[[], cluster.Cluster]]:
    """Makes servers of the test's own, which it may kill; ended after the test."""
    made: list[cluster.Cluster] = []

    def make() -> cluster.Cluster:
        made.append(cluster.new_cluster(run_directory))
        return made[-1]

    yield make
    for one in made:
        cluster.end_server(one.server.data_dir)


@pytest.fixture(scope="session")
def rounds(request: pytest.FixtureRequest) -> Callable[[int, int], int]:
    """`rounds(small, full)`: how often a drill goes round, in `make test` and in `make drill`."""
    full = bool(request.config.getoption("--full"))
    return lambda small, large: large if full else small
