"""`commands`: HTTP commands a second, 64 clients, one process, against the same route doing
nothing."""

from __future__ import annotations

from itertools import cycle

from tests.bench.client import Load, load, request
from tests.bench.house import house, unique
from tests.bench.measure import Plan, Result, Side, compare, in_turn

BODY = b'{"label":"seen"}'


def _rate(found: Load) -> float:
    if set(found.statuses) - {200, 201}:
        raise RuntimeError(f"not every command was answered: {found.statuses}")
    return found.rate


def run(plan: Plan) -> Result:
    """Measure: notes on 500 grants, each its own event, key and commit."""
    with house(max(20, int(500 * plan.scale)), 5) as stage:
        port, key = stage.ports[0], stage.compliance_key
        grants = cycle(stage.grants)

        def note() -> bytes:
            return request(f"/v1/grants/{next(grants)}/notes", key, BODY, unique())

        def nothing() -> bytes:
            return request(f"/bench/grants/{next(grants)}/nothing", key, BODY, unique())

        sides = [
            Side("counterseal", "commands/s", lambda s: _rate(load(port, note, s))),
            Side("the route doing nothing", "requests/s", lambda s: _rate(load(port, nothing, s))),
        ]
        figures = in_turn(sides, plan)
    return compare(
        sides[0],
        [(sides[1], 0.5, "higher")],
        figures,
        name="commands",
        note="the client shares the two cores with the server and the database",
    )
