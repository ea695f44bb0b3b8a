"""`memory`: the most memory that a rebuild and the export of a bundle need, for a log and for one
five times as long.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Final, NamedTuple

import msgspec

from api.provisioning import Database
from tests.bench.logs import family, lengthen
from tests.bench.measure import FULL, LONG, QUICK, TINY, Plan, Result, ratio
from tests.bench.memory_child import Errand
from tests.bench.stage import database
from tests.support.world import World

ROOT: Final = Path(__file__).parents[2]
SIZES: Final[Mapping[Plan, tuple[int, int]]] = MappingProxyType(
    {
        TINY: (500, 2_500),
        QUICK: (50_000, 250_000),
        FULL: (200_000, 1_000_000),
        LONG: (1_000_000, 5_000_000),
    }
)
"""Events of the shorter log and of the longer one."""

GROWTH: Final = 1.10
MOST_MIB: Final = 400.0
GRANTS: Final = 3
HOLDS: Final = 2


class Peaks(NamedTuple):
    """MiB of both, at one length of the log."""

    rebuild: float
    bundle: float


def measured(made: Database, events: int, folder: Path) -> Peaks:
    """Make a tenant with so long a log, rebuild all its read models, write its bundle."""
    world = World(made)
    tenant, streams = world.tenant, family(world, GRANTS, HOLDS)
    world.close()
    lengthen(made, tenant, streams, events)
    return Peaks(
        _peak(Errand("rebuild", made.migrator, tenant)),
        _peak(Errand("bundle", made.auditor, tenant, str(folder / tenant))),
    )


def _peak(errand: Errand) -> float:
    words = [sys.executable, "-m", "tests.bench.memory_child", msgspec.json.encode(errand).decode()]
    done = subprocess.run(words, cwd=ROOT, stdout=subprocess.PIPE, check=True)
    return int(done.stdout) / 1024


def run(plan: Plan) -> Result:
    """Measure; the shorter log first."""
    shorter, longer = SIZES[plan]
    with database() as made, tempfile.TemporaryDirectory(prefix="cs-memory-") as folder:
        small = measured(made, shorter, Path(folder))
        large = measured(made, longer, Path(folder))
    against = [
        found
        for name, much, little in (
            ("rebuild", large.rebuild, small.rebuild),
            ("bundle", large.bundle, small.bundle),
        )
        for found in (
            ratio(much, f"{name}, {shorter:,} events", little, "MiB", GROWTH, "lower"),
            ratio(much, f"{name}, the bound", MOST_MIB, "MiB", 1.0, "lower"),
        )
    ]
    return Result(
        "memory", large.rebuild, "MiB", [large.rebuild], against,
        f"{longer:,} events: rebuild {large.rebuild:.0f} MiB, bundle {large.bundle:.0f} MiB; of the"
        " process alone, the database's memory is its own",
    )  # fmt: skip
