"""When the clock will next do something to a grant that nobody has recorded yet."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import pytest
from msgspec.structs import replace

from domain.events import Event
from domain.events.grant import GrantExpired, GrantRequested, GrantVerified, GrantWithdrawn
from domain.streams import evolve
from domain.values import Term
from projections.grants import due_at
from tests.projections import facts
from tests.projections.facts import BY, FACT, day

KNOWN: dict[str, Any] = {"by": BY, "imported": FACT}
ACTIVE = facts.granted("customer:x", "p", {"territory": ("CN",)}, since=10, until=100)
REQUESTED = replace(ACTIVE[0], lapses_at=day(30))
assert isinstance(REQUESTED, GrantRequested)
SHORT = replace(REQUESTED, terms=replace(REQUESTED.terms, term=Term(day(1), day(20))))


@pytest.mark.parametrize(
    ("events", "expected"),
    [
        ([ACTIVE[0]], None),
        ([REQUESTED], day(30)),
        ([SHORT], day(20)),
        ([REQUESTED, GrantVerified(at=day(1), lapses_at=day(15), **KNOWN)], day(15)),
        ([REQUESTED, GrantWithdrawn(at=day(1), **KNOWN)], None),
        (ACTIVE[:4], day(10)),
        (ACTIVE, day(100)),
        ([*ACTIVE, facts.suspended(20)], day(100)),
        ([*ACTIVE, facts.suspended(20, confirm_by=25)], day(25)),
        ([*ACTIVE, facts.suspended(20, confirm_by=25), facts.resumed(22)], day(100)),
        ([*ACTIVE, facts.revoked(20)], None),
        ([*ACTIVE, facts.revoked(20, effective=50)], None),
        ([*ACTIVE, facts.revoked(20, effective=200)], day(100)),
        ([*ACTIVE[:4], facts.revoked(5, effective=50)], day(10)),
        ([*ACTIVE, GrantExpired(at=day(101), expired_at=day(100), **KNOWN)], None),
    ],
)
def test_a_grant_is_due_when_the_clock_will_move_it(
    events: list[Event], expected: datetime | None
) -> None:
    state: Any = None
    for event in events:
        state = evolve("grant", state, event)
    assert due_at(state) == expected
