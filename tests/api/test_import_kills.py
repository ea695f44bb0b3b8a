"""An import may be killed at any moment and run again: the log is in the end that of one run."""

from __future__ import annotations

import random
import signal
import time
from collections.abc import Callable
from multiprocessing import get_context
from pathlib import Path

import msgspec
import pytest

from api.importing.naming import Namer
from api.importing.site import Site
from api.provisioning import Database
from domain import numbers
from domain.batches import StoredRow
from tests.support.import_runner import Errand, main
from tests.support.importing import (
    PERMITS_MAPPING,
    WHOLE,
    Bench,
    generated,
    permits,
    permits_mapping,
    rows,
    small_mapping,
    small_text,
    table,
)
from tests.support.ledger import new_id

PATIENCE_S = 60.0

PROCESSES = get_context("forkserver")
PROCESSES.set_forkserver_preload(["tests.support.import_runner"])


def told(log: list[StoredRow]) -> list[tuple[object, ...]]:
    """What two runs have in common: everything but the clock of the writing and the commands."""
    return [(row.position, row.stream_id, row.version, row.type, row.data) for row in log]


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
                process.join(PATIENCE_S)
                break
            time.sleep(0.002)
        process.join(PATIENCE_S)
        return process.exitcode == -signal.SIGKILL
    finally:
        process.kill()
        process.join()
        process.close()


def errand_of(bench: Bench, keys_of: Database, file: Path, mapping: Path) -> Errand:
    return Errand(
        bench.database.service,
        keys_of.keys,
        str(bench.key_file),
        bench.tenant,
        str(file),
        str(mapping),
    )


@pytest.mark.drill
@pytest.mark.timeout(300)
def test_killed_at_ten_random_moments_and_resumed_it_is_the_same_log(
    import_place: tuple[Database, Path],
    fresh_database: Callable[[], Database],
    rounds: Callable[[int, int], int],
) -> None:
    path = permits()
    seed = rounds(1, random.SystemRandom().randrange(2**32))
    drawn, kills = random.Random(seed), rounds(10, 40)
    whole = Bench(*import_place)
    other = fresh_database()
    torn = Bench(other, import_place[1], tenant=whole.tenant, keys_of=import_place[0])
    try:
        report = whole.run(path, permits_mapping())
        expected = told(whole.log())
        # anywhere before the last batches; besides, before anything is written and when all is
        targets = sorted(drawn.randrange(len(expected) * 8 // 10) for _ in range(kills))
        errand = errand_of(torn, import_place[0], path, PERMITS_MAPPING)
        hits, lengths = 0, list[int]()
        for target in (0, *targets, len(expected) - 1):
            hits += killed(errand, torn, target, drawn.uniform(0.0, 0.03))
            # What the killed process had sent may still be committed, so the log is read once.
            log = told(torn.log())
            lengths.append(len(log))
            assert log == expected[: len(log)]
        last = torn.run(path, permits_mapping())
        assert told(torn.log()) == expected
        assert last.cases.written + last.cases.present == 1434
        assert (last.typed, last.inferred, last.duties) == (
            report.typed,
            report.inferred,
            report.duties,
        )
        tried = kills + 2
        print(f"\nimport killed {hits} times of {tried}, log lengths then {lengths}, seed {seed}")
        assert hits >= kills + 1, "only the last one may find it over"
    finally:
        torn.close()
        whole.close()


def test_without_its_keys_a_second_run_is_refused_case_by_case(
    bench: Bench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The second wall: the streams have the same ids, and facts never go onto a history."""
    path = tmp_path / "file"
    path.write_text(table(rows("a", *WHOLE), rows("b", *WHOLE, day=2)))
    bench.run(path, small_mapping())
    once = bench.log()
    submit = Site.submit
    monkeypatch.setattr(Site, "known", lambda *_: {})
    monkeypatch.setattr(Site, "submit", lambda site, facts, **_: submit(site, facts))
    assert bench.run(path, small_mapping()).faults == {"import.stream_exists": 2}
    assert bench.log() == once


def test_with_names_that_no_second_run_gives_again_every_case_would_come_in_twice(
    bench: Bench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The control: what the tests above look for is seen where it happens."""
    path = tmp_path / "file"
    path.write_text(table(rows("a", *WHOLE), rows("b", *WHOLE, day=2)))
    bench.run(path, small_mapping())
    monkeypatch.setattr(Namer, "key", lambda *_: new_id())
    monkeypatch.setattr(Namer, "id", lambda *_: new_id())
    monkeypatch.setattr(
        Namer, "number", lambda _, at, *__: numbers.make(at.date(), random.randrange(numbers.SPAN))
    )
    assert bench.run(path, small_mapping()).cases.written == 2
    assert len(list(bench.facts("grant.requested"))) == 4


@pytest.mark.drill
@pytest.mark.timeout(300)
def test_a_generated_file_killed_while_it_is_read_and_written_is_whole_in_the_end(
    import_place: tuple[Database, Path],
    fresh_database: Callable[[], Database],
    tmp_path: Path,
    rounds: Callable[[int, int], int],
) -> None:
    """The same where the permit log is not there; kills come by the clock, also in the reading."""
    path, mapping = tmp_path / "steps.csv", tmp_path / "mapping.toml"
    generated(path, rounds(3_000, 50_000))
    mapping.write_text(small_text())
    drawn = random.Random(rounds(1, random.SystemRandom().randrange(2**32)))
    whole = Bench(*import_place)
    torn = Bench(fresh_database(), import_place[1], tenant=whole.tenant, keys_of=import_place[0])
    try:
        whole.run(path, small_mapping())
        expected = told(whole.log())
        errand = errand_of(torn, import_place[0], path, mapping)
        for _ in range(rounds(2, 20)):
            killed(errand, torn, 0, drawn.uniform(0.5, 2.5))
        torn.run(path, small_mapping())
        assert told(torn.log()) == expected
    finally:
        torn.close()
        whole.close()
