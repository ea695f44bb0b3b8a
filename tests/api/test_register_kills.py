"""A register may be killed at any moment and run again: in the end the log is that of one run."""

from __future__ import annotations

import random
import signal
import time
from collections.abc import Callable, Iterator
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import msgspec
import pytest

from api.provisioning import Database
from domain.codec import decode
from domain.sealing import Context, Sealed
from tests.support.import_runner import Errand
from tests.support.importing import Bench
from tests.support.register_files import made_rows, write_csv
from tests.support.register_ground import (
    CHANNELS,
    PRODUCTS,
    TERRITORIES,
    lay,
    register,
    today,
)
from tests.support.register_runner import main

PATIENCE_S = 60.0

PROCESSES = get_context("forkserver")
PROCESSES.set_forkserver_preload(["tests.support.register_runner"])


def told(bench: Bench, start: int) -> Iterator[tuple[Any, ...]]:
    """What two runs have in common: streams, versions, events with their texts opened."""
    for row in bench.log()[start:]:
        event = decode(row.type, row.data)
        fields = {name: getattr(event, name) for name in event.__struct_fields__}
        for name, value in fields.items():
            if isinstance(value, Sealed):
                place = Context(bench.tenant, str(row.stream_id), str(row.command_id), name)
                fields[name] = bench.sealer.open(value, place)
        yield row.position - start, row.stream_id, row.version, row.type, fields


def killed(errand: Errand, bench: Bench, target: int, pause_s: float) -> bool:
    """Run the import and kill it once the log is so long; return whether it was killed."""
    process = PROCESSES.Process(target=main, args=(msgspec.json.encode(errand).decode(),))
    process.start()
    try:
        deadline = time.monotonic() + PATIENCE_S
        while process.is_alive():
            assert time.monotonic() < deadline
            if bench.ledgers.tail(bench.tenant, 2**62).position >= target:
                time.sleep(pause_s)
                process.kill()
                break
            time.sleep(0.002)
        process.join(PATIENCE_S)
        return process.exitcode == -signal.SIGKILL
    finally:
        process.kill()
        process.join()
        process.close()


@pytest.mark.drill
@pytest.mark.timeout(600)
def test_killed_at_random_moments_and_resumed_it_is_the_log_of_one_run(
    import_place: tuple[Database, Path],
    fresh_database: Callable[[], Database],
    tmp_path: Path,
    rounds: Callable[[int, int], int],
) -> None:
    seed = rounds(1, random.SystemRandom().randrange(2**32))
    drawn, kills = random.Random(seed), rounds(3, 30)
    whole = Bench(*import_place)
    torn = Bench(fresh_database(), import_place[1], tenant=whole.tenant, keys_of=import_place[0])
    try:
        lay(whole)
        lay(torn)
        start = len(whole.log())
        assert len(torn.log()) == start
        path = tmp_path / "register.csv"
        rows = made_rows(
            rounds(600, 5_000), seed, today(),
            territories=TERRITORIES, products=PRODUCTS, channels=CHANNELS,
        )  # fmt: skip
        write_csv(path, rows)
        assert register(whole, path).problems == 0
        expected = list(told(whole, start))
        errand = Errand(
            torn.database.service, import_place[0].keys, str(torn.key_file), torn.tenant,
            str(path), "",
        )  # fmt: skip
        targets = sorted(drawn.randrange(len(expected) * 8 // 10) for _ in range(kills - 1))
        hits = 0
        for target in (0, *targets):
            hits += killed(errand, torn, start + target, drawn.uniform(0.0, 0.03))
            log = list(told(torn, start))
            assert without_policy(log) == without_policy(expected[: len(log)]), f"seed {seed}"
        last = register(torn, path)
        assert last.rows.written + last.rows.present == len(rows)
        assert without_policy(told(torn, start)) == without_policy(expected)
        print(f"\nregister of {len(rows)} rows killed {hits} times of {kills}, seed {seed}")
        assert hits >= 1
    finally:
        torn.close()
        whole.close()


def without_policy(log: Any) -> list[Any]:
    """The same but for the policy's stream, which each tenant made for itself."""
    return [
        (*row[:4], {name: value for name, value in row[4].items() if name != "policy"})
        for row in log
    ]
