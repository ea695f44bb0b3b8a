"""`check`: evaluations a second and p99 from memory, against the same route answering a
constant."""

from __future__ import annotations

import statistics
from itertools import cycle

from tests.bench.client import Load, load, request
from tests.bench.house import evaluation, house
from tests.bench.measure import Plan, Result, Side, compare, in_turn, ratio

PATH = "/access/v1/evaluation"


class Asked:
    """A load whose p99s are kept beside its rates."""

    def __init__(
        self, port: int, bodies: list[bytes], path: str, key: str, connections: int = 64
    ) -> None:
        self._port = port
        self._connections = connections
        self._requests = cycle([request(path, key, body) for body in bodies])
        self.p99s: list[float] = []

    def run(self, seconds: float) -> float:
        """Return answers a second."""
        found: Load = load(self._port, lambda: next(self._requests), seconds, self._connections)
        if set(found.statuses) != {200}:
            raise RuntimeError(f"not every question was answered: {found.statuses}")
        self.p99s.append(found.p99_ms)
        return found.rate


def run(plan: Plan) -> Result:
    """Measure with 100,000 grants of 10,000 customers."""
    with house(max(100, int(100_000 * plan.scale)), 10) as stage:
        port, key = stage.ports[0], stage.key
        bodies = [evaluation(customer) for customer in stage.customers]
        ours = Asked(port, bodies, PATH, key)
        constant = Asked(port, bodies, "/bench/constant", key)
        warm = Asked(port, bodies, PATH, key)
        warm.run(max(plan.warm_up, len(bodies) / 2000))
        sides = [
            Side("counterseal", "evaluations/s", ours.run),
            Side("a constant", "answers/s", constant.run),
        ]
        figures = in_turn(sides, plan)
    rounds = plan.rounds
    result = compare(sides[0], [(sides[1], 0.8, "higher")], figures, name="check")
    result.against.append(
        ratio(
            statistics.median(ours.p99s[-rounds:]),
            "p99 of the constant",
            statistics.median(constant.p99s[-rounds:]),
            "ms",
            1.5,
            "lower",
        )
    )
    return result
