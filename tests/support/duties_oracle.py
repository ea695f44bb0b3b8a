"""A second program: it finds broken duties in the permit log by itself, with nothing of ours in it.

Standard library alone, the file alone, no mapping: it knows the four steps by name. Run it as
`python tests/support/duties_oracle.py FILE`.
"""

import csv
import sys
from collections import defaultdict
from pathlib import Path

STEPS = {
    "Confirmation of receipt": "requested",
    "T02 Check confirmation of receipt": "checked",
    "T04 Determine confirmation of receipt": "approved",
}
PAIRS = (("requested", "checked"), ("requested", "approved"), ("checked", "approved"))


def broken_duties(path: Path) -> dict[str, dict[tuple[str, str], set[str]]]:
    """Case -> pair of hands -> the people who had both; cases without any are left out."""
    hands: dict[str, dict[str, set[str]]] = defaultdict(lambda: defaultdict(set))
    with path.open(encoding="utf-8-sig", newline="") as file:
        for row in csv.DictReader(file):
            hand = STEPS.get(row["concept:name"])
            if hand is not None:
                hands[row["case:concept:name"]][hand].add(row["org:resource"])
    found: dict[str, dict[tuple[str, str], set[str]]] = {}
    for case, by_hand in hands.items():
        both = {pair: by_hand[pair[0]] & by_hand[pair[1]] for pair in PAIRS}
        broken = {pair: people for pair, people in both.items() if people}
        if broken:
            found[case] = broken
    return found


def rows_of_hands(path: Path) -> dict[str, dict[str, set[int]]]:
    """Case -> hand -> the rows (from 1, header not counted) of its steps."""
    rows: dict[str, dict[str, set[int]]] = defaultdict(lambda: defaultdict(set))
    with path.open(encoding="utf-8-sig", newline="") as file:
        for number, row in enumerate(csv.DictReader(file), 1):
            hand = STEPS.get(row["concept:name"])
            if hand is not None:
                rows[row["case:concept:name"]][hand].add(number)
    return rows


def totals(found: dict[str, dict[tuple[str, str], set[str]]]) -> dict[str, int]:
    """How many cases each pair of hands has, and how many have any."""
    counts = {"_".join(pair): sum(pair in one for one in found.values()) for pair in PAIRS}
    return counts | {"any": len(found)}


if __name__ == "__main__":
    for name, count in totals(broken_duties(Path(sys.argv[1]))).items():
        sys.stdout.write(f"{name}\t{count}\n")
