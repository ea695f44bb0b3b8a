"""A register needs the same memory for a large file as for a small one."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest

from api.provisioning import Database
from tests.support.import_runner import Errand
from tests.support.importing import ROOT, Bench
from tests.support.register_files import ZH, credit_code
from tests.support.register_ground import lay, today

GROWTH = 1.25
"""How much more a file ten times as long may need."""

MOST_KIB = 260 << 10
"""What a register of any length may need."""


def generated(path: Path, count: int, *, bad: bool) -> None:
    """Write a register of so many rows, one customer each; `bad`: every one with two problems."""
    import random

    drawn, day = random.Random(count), today().isoformat()
    until = today().replace(year=today().year + 1, day=1).isoformat()
    with path.open("w", encoding="utf-8") as file:
        file.write(",".join(ZH) + "\n")
        for number in range(count):
            place = "CN/99" if bad else "CN/31"
            phone = "1" if bad else ""
            code = credit_code(drawn)
            name = f"茶庄{number}"
            file.write(f"{name},{code},,{place},tea,*,{day},{until},N-{number},,{phone},\n")


def imported(place: tuple[Database, Path], path: Path) -> tuple[dict[str, int], int, float]:
    """Import in a process of its own; return the rows, its peak RSS in KiB, seconds."""
    bench = Bench(*place)
    lay(bench)
    errand = Errand(
        bench.database.service, bench.database.keys, str(bench.key_file), bench.tenant,
        str(path), "",
    )  # fmt: skip
    try:
        began = time.monotonic()
        words = [sys.executable, "-m", "tests.support.register_runner"]
        words.append(msgspec.json.encode(errand).decode())
        with subprocess.Popen(words, cwd=ROOT, stdout=subprocess.PIPE) as process:
            assert process.stdout is not None
            report = msgspec.json.decode(process.stdout.read())
            process.wait(60)
        return report["rows"], report["peak_rss_kib"], time.monotonic() - began
    finally:
        bench.close()


@pytest.mark.drill
@pytest.mark.timeout(3_600)
@pytest.mark.parametrize("bad", [False, True], ids=["sound", "all with problems"])
def test_a_million_rows_take_the_memory_of_a_tenth_of_them(
    import_place: tuple[Database, Path],
    tmp_path: Path,
    rounds: Callable[[int, int], int],
    bad: bool,
) -> None:
    size = rounds(200, 100_000)  # what the ledger remembers of streams is full by then
    generated(tmp_path / "small", size, bad=bad)
    generated(tmp_path / "large", 10 * size, bad=bad)
    _, small, _ = imported(import_place, tmp_path / "small")
    rows, large, seconds = imported(import_place, tmp_path / "large")
    assert rows["refused" if bad else "written"] == rows["total"] == 10 * size
    print(
        f"\nregister of {10 * size} rows in {seconds:.0f} s ({10 * size / seconds:.0f} rows/s),"
        f" peak RSS {large >> 10} MiB; a tenth of them {small >> 10} MiB"
    )
    assert large < MOST_KIB
    if size >= 20_000:
        assert large < GROWTH * small
