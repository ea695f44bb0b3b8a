"""Every benchmark runs once with tiny sizes, so that it stays alive; no time is asserted."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from replay.verify import verify
from tests.bench.logs import family, lengthen
from tests.bench.run import NAMES, measure
from tests.bench.stage import database
from tests.support.world import World

SCRIPT = Path(__file__).with_name("run.py")


@pytest.mark.parametrize("name", NAMES)
def test_a_benchmark_runs_and_tells_what_it_compared(name: str) -> None:
    result = measure(name, "tiny")
    assert result.name == name
    assert result.against
    assert all(one.value > 0 and one.ratio > 0 for one in result.against)


def test_the_script_runs_from_anywhere_and_prints_one_json_object_last(tmp_path: Path) -> None:
    words = [sys.executable, str(SCRIPT), "replay", "--tiny", "--json"]
    done = subprocess.run(words, cwd=tmp_path, capture_output=True, check=True)
    document = json.loads(done.stdout.splitlines()[-1])
    assert {"name", "value", "unit", "rounds", "against"} <= document.keys()
    assert {"name", "value", "unit", "ratio", "target", "better", "reached"} == document["against"][
        0
    ].keys()


def test_a_log_that_was_lengthened_is_whole_and_its_copies_are_their_own() -> None:
    with database() as made:
        world = World(made)
        tenant, streams = world.tenant, family(world, 2, 1)
        world.close()
        copied = lengthen(made, tenant, streams, 400)
        verdict = verify(made.auditor, tenant)
    assert verdict.findings == ()
    assert verdict.position == copied.base + copied.events
    assert 300 < verdict.position <= 400
    ids = {copied.stream(stream, copy) for stream in streams for copy in range(copied.copies)}
    assert len(ids) == len(streams) * copied.copies
