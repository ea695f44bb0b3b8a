"""`make bench`: run benchmarks and print what was measured; `run.py NAME --json` for one."""

from __future__ import annotations

import argparse
import importlib
import sys

import msgspec
import orjson

from tests.bench.measure import FULL, QUICK, TINY, Result, lines

NAMES = ("append", "recorder", "commands", "check", "check_db", "propagation", "rebuild", "replay")


def measure(name: str, plan: str = "full") -> Result:
    """Run one benchmark by name. Raises `KeyError` for an unknown one."""
    if name not in NAMES:
        raise KeyError(name)
    chosen = {"full": FULL, "quick": QUICK, "tiny": TINY}[plan]
    return importlib.import_module(f"tests.bench.{name}").run(chosen)


def main(arguments: list[str]) -> int:
    """Run what was asked for; 0 always, for a figure that fell short is told, not failed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*", help=f"of {', '.join(NAMES)}; all without")
    parser.add_argument("--json", action="store_true", help="print one JSON object a benchmark")
    parser.add_argument("--quick", action="store_true", help="under a minute each")
    given = parser.parse_args(arguments)
    unknown = [name for name in given.names if name not in NAMES]
    if unknown:
        parser.error(f"no such benchmark: {', '.join(unknown)}")
    for name in given.names or NAMES:
        result = measure(name, "quick" if given.quick else "full")
        for line in lines(result):
            print(line, file=sys.stderr if given.json else sys.stdout, flush=True)
        if given.json:
            print(orjson.dumps(msgspec.to_builtins(result)).decode(), flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
