"""Every benchmark runs once with tiny sizes, so that it stays alive; no time is asserted."""

from __future__ import annotations

import pytest

from tests.bench.run import NAMES, measure


@pytest.mark.parametrize("name", NAMES)
def test_a_benchmark_runs_and_tells_what_it_compared(name: str) -> None:
    result = measure(name, "tiny")
    assert result.name == name
    assert result.against
    assert all(one.value > 0 and one.ratio > 0 for one in result.against)
