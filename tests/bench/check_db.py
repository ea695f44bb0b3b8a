"""`check_db`: evaluations that each ask the database, against one `SELECT 1` on the same route."""

from __future__ import annotations

from tests.bench.check import PATH, Asked
from tests.bench.house import evaluation, house
from tests.bench.measure import Plan, Result, Side, compare, in_turn


def run(plan: Plan) -> Result:
    """Measure with 100,000 grants."""
    with house(max(100, int(100_000 * plan.scale)), 10) as stage:
        port, key = stage.ports[0], stage.key
        full = [evaluation(customer, consistency="full") for customer in stage.customers]
        ours = Asked(port, full, PATH, key)
        one = Asked(port, full, "/bench/select_one", key)
        sides = [
            Side("counterseal", "evaluations/s", ours.run),
            Side("SELECT 1", "answers/s", one.run),
        ]
        figures = in_turn(sides, plan)
    return compare(sides[0], [(sides[1], 0.6, "higher")], figures, name="check_db")
