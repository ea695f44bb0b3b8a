"""`make mutants`: how many small faults, planted at random in the domain, its tests find.

mutmut plants them in a copy of the tree and runs for each one the tests of `tests/domain` that
reach it. There are some fifteen thousand; a sample, drawn by a seed, tells the score. The edge of
the domain, which is tested on a server, is left out (`do_not_mutate` in `pyproject.toml`).
"""

from __future__ import annotations

import argparse
import json
import random
import shutil
import subprocess
import sys
import tempfile
import tomllib
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parent.parent
REASONS = Path(__file__).with_suffix(".toml")
"""Why those that survived may."""

SAMPLE = 1_000
SEED = 20261122
LEFT_OUT = shutil.ignore_patterns(
    ".git", ".venv", "mutants", "__pycache__", ".*_cache", ".hypothesis"
)
PROBE = "domain.narrowing.x__shorter__mutmut_1"
"""Any one: the first run plants all of them and learns which tests reach what."""

NO_TEST = frozenset({5, 33})
FOUND = frozenset({1, 3})
SURVIVED = 0


def mutmut(tree: Path, names: list[str], children: int) -> None:
    """Run the tests for these mutants."""
    program = Path(sys.executable).parent / "mutmut"
    words = [str(program), "run", "--max-children", str(children), *names]
    subprocess.run(words, cwd=tree, check=True, stdout=subprocess.DEVNULL)


def verdicts(tree: Path) -> Iterator[tuple[str, int | None]]:
    """Yield each mutant and the exit code of its tests, None where they were not run."""
    for path in sorted((tree / "mutants").rglob("*.meta")):
        yield from json.loads(path.read_text(encoding="utf-8"))["exit_code_by_key"].items()


def main() -> int:
    """Print the score, and what survived where; return 1 below 85 %."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sample", type=int, default=SAMPLE)
    parser.add_argument("--seed", type=int, default=SEED)
    parser.add_argument("--children", type=int, default=2)
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="counterseal-mutants-") as folder:
        tree = Path(folder) / "tree"
        shutil.copytree(ROOT, tree, ignore=LEFT_OUT)
        mutmut(tree, [PROBE], asked.children)
        known = [name for name, _ in verdicts(tree)]
        drawn = set(random.Random(asked.seed).sample(known, min(asked.sample, len(known))))
        mutmut(tree, sorted(drawn), asked.children)
        codes = {name: code for name, code in verdicts(tree) if name in drawn}
    return told(codes, len(known), asked.seed)


def told(codes: dict[str, int | None], known: int, seed: int) -> int:
    """Print what became of the mutants; a timeout counts as found, no test as survived."""
    survived = sorted(name for name, code in codes.items() if code == SURVIVED or code in NO_TEST)
    unclear = sum(code is None for code in codes.values())
    score = 100 * (len(codes) - len(survived) - unclear) / max(1, len(codes))
    reasons: dict[str, str] = tomllib.loads(REASONS.read_text(encoding="utf-8"))
    for name in survived:
        print(f"survived: {name}: {reasons.get(name, 'nobody has looked at it')}")
    for module, number in Counter(name.rpartition(".x")[0] for name in survived).most_common():
        print(f"{number:5} {module}")
    print(
        f"{len(codes)} of {known} mutants, seed {seed}: {len(survived)} survived,"
        f" {unclear} not run, score {score:.1f} %"
    )
    return 0 if score >= 85 else 1


if __name__ == "__main__":
    sys.exit(main())
