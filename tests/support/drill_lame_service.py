"""`counterseal serve` with something wrong: its reads for checks are held back while a file lies in
a folder, and its memory may be told to believe itself for longer.

    python -m tests.support.drill_lame_service FOLDER BOUND_S serve --only doors ...
"""

from __future__ import annotations

import asyncio
import random
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from api import cli
from projections import memory
from projections.check_reader import CheckReader
from projections.check_rows import CheckTail, Loaded

HOLD_TAIL = "hold-tail"
"""While it lies there, what a look at the log's head brought is kept back."""

LATE_LOADS = "late-loads"
"""While it lies there, what was read for checks comes up to `LATEST_S` late."""

LATEST_S = 0.4
PAUSE_S = 0.005


def lame(folder: Path, bound_s: float | None) -> None:
    """Make this process so."""
    if bound_s is not None:
        memory.MEMORY_BOUND_S = bound_s
    tail, load = CheckReader.tail, CheckReader.load

    async def held_tail(self: CheckReader, tenant: str, after: int) -> CheckTail:
        found = await tail(self, tenant, after)
        while (folder / HOLD_TAIL).exists():  # noqa: ASYNC110 - another process takes it away
            await asyncio.sleep(PAUSE_S)
        return found

    async def late_load(
        self: CheckReader,
        tenant: str,
        subjects: Sequence[str],
        points: Sequence[str],
        as_of: int | None,
    ) -> Loaded:
        found = await load(self, tenant, subjects, points, as_of)
        if (folder / LATE_LOADS).exists():
            await asyncio.sleep(random.uniform(0, LATEST_S))
        return found

    replaced: dict[str, Any] = {"tail": held_tail, "load": late_load}
    for name, function in replaced.items():
        setattr(CheckReader, name, function)


if __name__ == "__main__":
    given_folder, given_bound, *words = sys.argv[1:]
    lame(Path(given_folder), float(given_bound) if given_bound != "-" else None)
    sys.exit(cli.main(words))
