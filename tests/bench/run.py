"""`make bench`: run benchmarks and print what was measured; `run.py NAME --json` for one."""

from __future__ import annotations

import argparse
import importlib
import sys
from pathlib import Path

import msgspec
import orjson

from tests.bench.measure import FULL, LONG, QUICK, TINY, Result, lines

NAMES = (
    "append",
    "recorder",
    "commands",
    "check",
    "check_db",
    "check_many",
    "check_core",
    "propagation",
    "as_of",
    "follow",
    "rebuild",
    "replay",
    "memory",
    "growth",
)
PLANS = {"full": LONG, "usual": FULL, "quick": QUICK, "tiny": TINY}


def measure(name: str, plan: str = "usual") -> Result:
    """Run one benchmark by name. Raises `KeyError` for an unknown one."""
    if name not in NAMES:
        raise KeyError(name)
    return importlib.import_module(f"tests.bench.{name}").run(PLANS[plan])


def main(arguments: list[str]) -> int:
    """Run what was asked for; 0 always, for a figure that fell short is told, not failed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*", help=f"of {', '.join(NAMES)}; all without")
    parser.add_argument("--json", action="store_true", help="print one JSON object a benchmark")
    size = parser.add_mutually_exclusive_group()
    size.add_argument("--quick", action="store_const", dest="plan", const="quick",
                      help="under a minute each, memory and growth two")  # fmt: skip
    size.add_argument("--full", action="store_const", dest="plan", const="full",
                      help="also the longest logs, of five million events")  # fmt: skip
    size.add_argument("--tiny", action="store_const", dest="plan", const="tiny",
                      help="only to see that it runs: its figures mean nothing")  # fmt: skip
    given = parser.parse_args(arguments)
    unknown = [name for name in given.names if name not in NAMES]
    if unknown:
        parser.error(f"no such benchmark: {', '.join(unknown)}")
    for name in given.names or NAMES:
        result = measure(name, given.plan or "usual")
        for line in lines(result):
            print(line, file=sys.stderr if given.json else sys.stdout, flush=True)
        if given.json:
            print(orjson.dumps(msgspec.to_builtins(result)).decode(), flush=True)
    return 0


if __name__ == "__main__":
    here = str(Path(__file__).parent)
    if sys.path[0] == here:  # run as a script: a benchmark has the name of the package it measures
        del sys.path[0]
    sys.exit(main(sys.argv[1:]))
