"""`check_many`: decisions a second in batches of a hundred, against single evaluations of the same
questions."""

from __future__ import annotations

from tests.bench.check import PATH, Asked
from tests.bench.house import evaluation, evaluations, house
from tests.bench.measure import Plan, Result, Side, compare, in_turn

BATCH = 100
MANY_PATH = "/access/v1/evaluations"


def run(plan: Plan) -> Result:
    """Measure with 100,000 grants of 10,000 customers; what is the same for all of a batch stands
    beside its items.
    """
    with house(max(10 * BATCH, int(100_000 * plan.scale)), 10) as stage:
        port, key = stage.ports[0], stage.key
        singles = [evaluation(customer) for customer in stage.customers]
        whole = len(singles) // BATCH * BATCH
        batches = [evaluations(stage.customers[at : at + BATCH]) for at in range(0, whole, BATCH)]
        single = Asked(port, singles, PATH, key)
        many = Asked(port, batches, MANY_PATH, key, connections=8)
        warm = Asked(port, singles, PATH, key)
        warm.run(max(plan.warm_up, len(singles) / 2000))
        sides = [
            Side("counterseal", "decisions/s", lambda seconds: BATCH * many.run(seconds)),
            Side("single evaluations", "decisions/s", single.run),
        ]
        figures = in_turn(sides, plan)
    return compare(sides[0], [(sides[1], 10.0, "higher")], figures, name="check_many")
