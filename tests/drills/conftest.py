"""What every drill may ask for: a seed that can be given again, and a line for its figures."""

import os
import random
import secrets
from collections.abc import Callable
from typing import Any

import pytest

from tests.support.drill_report import line


@pytest.fixture
def seed() -> int:
    """The seed of this drill: DRILL_SEED, else a new one; it is printed with the figures."""
    return int(os.environ.get("DRILL_SEED") or secrets.randbelow(1_000_000))


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
