"""An import needs the same memory for a large file as for a small one."""

from __future__ import annotations

import subprocess
import sys
import time
import tracemalloc
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest

from api.importing.intake import Intake
from api.importing.reading import Progress, open_table
from api.importing.spool import Spool
from api.provisioning import Database
from tests.support.import_runner import Errand
from tests.support.importing import ROOT, Bench, generated, small_mapping, small_text
from tests.support.ledger import clock

GROWTH = 1.25
"""How much more a file ten times as long may need; what is remembered of the log is bounded."""

MOST_KIB = 200 << 10
"""What an import of any length may need."""


def read(path: Path) -> tuple[int, int]:
    """Read a table into a spool and its cases out again; return rows and peak bytes of Python."""
    mapping = small_mapping()
    tracemalloc.start()
    spool = Spool({name: step.event for name, step in mapping.steps.items()})
    try:
        with path.open("rb") as file:
            intake = Intake(mapping, spool, clock())
            intake.take(
                open_table(file, path, mapping.file, mapping.codec, Progress()), lambda: None
            )
        cases = sum(1 for _ in spool.cases())
        assert cases == spool.one("SELECT count(*) FROM cases")
        return intake.rows, tracemalloc.get_traced_memory()[1]
    finally:
        spool.close()
        tracemalloc.stop()


@pytest.mark.drill
@pytest.mark.timeout(900)
def test_reading_takes_no_more_memory_for_ten_times_the_rows(
    tmp_path: Path, rounds: Callable[[int, int], int]
) -> None:
    size = rounds(2_000, 100_000)
    generated(tmp_path / "small", size)
    generated(tmp_path / "large", 10 * size)
    read(tmp_path / "small")  # what is made once is made now
    small_rows, small = read(tmp_path / "small")
    large_rows, large = read(tmp_path / "large")
    print(f"\nread {small_rows} rows: {small >> 10} KiB at most, {large_rows}: {large >> 10} KiB")
    assert large < GROWTH * small


def imported(
    place: tuple[Database, Path], path: Path, mapping: Path
) -> tuple[dict[str, int], int, float]:
    """Import in a process of its own; return the rows, its peak RSS in KiB, seconds."""
    bench = Bench(*place)
    errand = Errand(
        bench.database.service, bench.database.keys, str(bench.key_file), bench.tenant,
        str(path), str(mapping),
    )  # fmt: skip
    try:
        began = time.monotonic()
        said = msgspec.json.encode(errand).decode()
        words = [sys.executable, "-m", "tests.support.import_runner", said]
        with subprocess.Popen(words, cwd=ROOT, stdout=subprocess.PIPE) as process:
            assert process.stdout is not None
            report = msgspec.json.decode(process.stdout.read())
            process.wait(60)
        peak = report.pop("peak_rss_kib")
        return report["rows"], peak, time.monotonic() - began
    finally:
        bench.close()


@pytest.mark.drill
@pytest.mark.timeout(3_000)
def test_a_million_rows_are_imported_in_the_memory_of_a_tenth_of_them(
    import_place: tuple[Database, Path], tmp_path: Path, rounds: Callable[[int, int], int]
) -> None:
    size, mapping = rounds(1_000, 100_000), tmp_path / "mapping.toml"
    mapping.write_text(small_text())
    generated(tmp_path / "small", size)
    written = generated(tmp_path / "large", 10 * size)
    _, small, _ = imported(import_place, tmp_path / "small", mapping)
    rows, large, seconds = imported(import_place, tmp_path / "large", mapping)
    assert rows["written"] == rows["total"] == written
    print(
        f"\nimported {written} rows in {seconds:.0f} s ({written / seconds:.0f} rows/s),"
        f" peak RSS {large >> 10} MiB; a tenth of them {small >> 10} MiB"
    )
    assert large < MOST_KIB
    if size == 100_000:  # what is remembered is not full before
        assert large < GROWTH * small
