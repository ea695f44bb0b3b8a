"""`propagation`: from the commit of a suspension in one process to the denial in another, p99."""

from __future__ import annotations

import http.client
import time

import msgspec

from tests.bench.check import PATH
from tests.bench.house import House, evaluation, house, unique
from tests.bench.measure import Plan, Result, ratio

BOUND_MS = 250.0


def run(plan: Plan) -> Result:
    """Measure: suspend through one server, ask the other until it denies."""
    number = max(5, int(100 * plan.scale))
    with house(number, 1, servers=2) as stage:
        found = [_once(stage, place) for place in range(number)]
    found.sort()
    p99 = found[min(len(found) - 1, len(found) * 99 // 100)]
    against = ratio(p99, "the bound", BOUND_MS, "ms", 1.0, "lower")
    return Result(
        "propagation", p99, "ms", found, [against],
        f"median {found[len(found) // 2]:.1f} ms; counted from sending the suspension, so its own"
        " commit is in it",
    )  # fmt: skip


def _once(stage: House, place: int) -> float:
    """Return the milliseconds from sending a suspension to the first denial elsewhere."""
    customer, grant = stage.customers[place], stage.grants[place]
    body = evaluation(customer)
    asking = http.client.HTTPConnection("127.0.0.1", stage.ports[1], timeout=10)
    if not _allowed(asking, stage.key, body):
        raise RuntimeError("the grant was not in force")
    telling = http.client.HTTPConnection("127.0.0.1", stage.ports[0], timeout=10)
    name, value = unique().split(": ")
    start = time.perf_counter()
    telling.request(
        "POST",
        f"/v1/grants/{grant}/suspension",
        b'{"reason":{"code":"test"}}',
        {
            "authorization": f"Bearer {stage.compliance_key}",
            "content-type": "application/json",
            name: value,
        },
    )
    while _allowed(asking, stage.key, body):
        pass
    spent = 1000 * (time.perf_counter() - start)
    answer = telling.getresponse()
    if answer.status not in (200, 201):
        raise RuntimeError(f"the suspension was refused: {answer.read()!r}")
    telling.close()
    asking.close()
    return spent


def _allowed(conn: http.client.HTTPConnection, key: str, body: bytes) -> bool:
    headers = {"authorization": f"Bearer {key}", "content-type": "application/json"}
    conn.request("POST", PATH, body, headers)
    return bool(msgspec.json.decode(conn.getresponse().read())["decision"])
