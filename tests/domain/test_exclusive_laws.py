"""The exclusion against brute force: over enumerated points and days, and over random histories.

The oracle lists every (day, point) that a grant takes; it shares no code with the domain.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from itertools import combinations, product
from typing import Any, NamedTuple

from hypothesis import given, settings
from hypothesis import strategies as st

from domain.commands.cases import ProposeAmendment, RequestRenewal
from domain.commands.supervision import RevokeGrant, SuspendGrant
from domain.errors import Refused
from domain.events.exclusion import ExclusionReserved, Reservation
from domain.exclusions import Exclusion, candidates, conflict, evolve
from domain.values import Scope, Term
from domain.view import Command
from tests.domain.grant_family import Family, asked, easy
from tests.domain.grant_world import DAY, T0, WHY, staff

LAST = 9
"""Days are enumerated up to this one."""

PLACES = ("CN", "CN/31", "CN/31/0115", "CN/44", "*")
GOODS = ("tea", "tea/green", "*")
PLACED = ("CN/31/0115/x", "CN/31/x", "CN/44/x", "CN/x", "JP")
POINTS = tuple(product(PLACED, ("tea/green", "tea/x", "x")))
PATHS: Mapping[str, int] = {"territory": 0, "product": 1}

some_places: st.SearchStrategy[tuple[str, ...]] = st.lists(
    st.sampled_from(PLACES), min_size=1, max_size=2, unique=True
).map(tuple)
some_goods: st.SearchStrategy[tuple[str, ...]] = st.lists(
    st.sampled_from(GOODS), min_size=1, max_size=2, unique=True
).map(tuple)
one_dimension: st.SearchStrategy[Scope] = st.fixed_dictionaries({"territory": some_places})
scopes: st.SearchStrategy[Scope] = st.fixed_dictionaries(
    {"product": some_goods, "territory": some_places}
)
days = st.integers(0, LAST)


def instant(day: int | None) -> Any:
    return None if day is None else T0 + day * DAY


@st.composite
def some_reservations(draw: st.DrawFn) -> Reservation:
    starts = draw(days)
    ends = draw(st.none() | st.integers(starts + 1, LAST + 1))
    return Reservation(draw(scopes | one_dimension), instant(starts), instant(ends))


def in_scope(scope: Scope, point: tuple[str, str]) -> bool:
    return all(
        any(one == "*" or (point[place] + "/").startswith(one + "/") for one in scope[name])
        for name, place in PATHS.items()
        if name in scope
    )


def cells(scope: Scope, starts: datetime, ends: datetime | None) -> set[Any]:
    """Every (day, point) of a reservation, up to the last day."""
    return {
        (day, point)
        for day in range(LAST + 1)
        for point in POINTS
        if starts <= instant(day)
        and (ends is None or instant(day) < ends)
        and in_scope(scope, point)
    }


@settings(max_examples=300, deadline=None)
@given(some_reservations(), some_reservations())
def test_a_conflict_is_exactly_what_both_take(one: Reservation, other: Reservation) -> None:
    shared = cells(one.scope, one.starts_at, one.ends_at) & cells(
        other.scope, other.starts_at, other.ends_at
    )
    found = conflict(one, other)
    assert (found is not None) == bool(shared)
    if found is not None:
        assert cells(found.overlap, found.starts_at, found.ends_at) == shared


@settings(max_examples=150, deadline=None)
@given(st.lists(some_reservations(), min_size=1, max_size=6), some_reservations())
def test_no_grant_that_overlaps_is_left_out_of_the_candidates(
    known: list[Reservation], one: Reservation
) -> None:
    state: Exclusion | None = None
    for number, taken in reversed(list(enumerate(known))):
        event = ExclusionReserved(
            at=T0, by=staff("carl"), grant=f"g{number}", reservations=(taken,)
        )
        state = evolve(state, event)
    overlapping = {f"g{number}" for number, taken in enumerate(known) if conflict(taken, one)}
    found = list(candidates(state, "another", (one,)))
    assert set(found) == overlapping
    assert found == sorted(found)
    assert "g0" not in list(candidates(state, "g0", (one,)))


# --- random histories -----------------------------------------------------------------------------

GRANTS = {"g1": "shop", "g2": "north", "g3": "south", "g4": "east"}
Cells = set[tuple[int, tuple[str, str]]]


class Told(NamedTuple):
    """What the oracle knows of a grant: (scope, from day, until day), later ones going before
    earlier ones; and the day from which it is revoked."""

    spans: tuple[tuple[Any, int, int], ...]
    revoked: int = LAST + 1

    def cells(self, today: int) -> Cells:
        found: Cells = set()
        for day in range(today, min(self.revoked, LAST + 1)):
            begun = [span for span in self.spans if span[1] <= day]
            if begun and day < begun[-1][2]:
                found |= {(day, point) for point in POINTS if in_scope(begun[-1][0], point)}
        return found


class Step(NamedTuple):
    what: str
    grant: str
    scope: Any
    begin: int
    end: int


steps = st.lists(
    st.builds(
        Step,
        st.sampled_from(["ask", "ask", "ask", "amend", "renew", "revoke", "hold", "wait"]),
        st.sampled_from(sorted(GRANTS)),
        scopes,
        days,
        st.integers(1, LAST + 1),
    ),
    min_size=4,
    max_size=20,
)


def command_of(step: Step, number: int) -> Command:
    grant, case = step.grant, f"c{number}"
    match step.what:
        case "ask":
            term = Term(instant(step.begin), instant(step.end))
            return asked(grant, GRANTS[grant], scope=step.scope, term=term)
        case "amend":
            return ProposeAmendment(
                grant_id=grant,
                case=case,
                scope=step.scope,
                effective_at=instant(step.begin),
                ends_at=instant(step.end),
            )
        case "renew":
            return RequestRenewal(grant_id=grant, case=case, term=Term(ends_at=instant(step.end)))
        case "revoke":
            return RevokeGrant(grant_id=grant, case=case, effective_at=instant(step.begin))
        case _:
            return SuspendGrant(grant_id=grant, hold=case)


def after(step: Step, known: Told | None, today: int) -> Told:
    """What the oracle knows after the step, where it goes through."""
    if known is None:
        return Told(((step.scope, max(step.begin, today), step.end),))
    scope, _, end = known.spans[-1]
    match step.what:
        case "amend":
            starts = max(step.begin, today, known.spans[0][1])
            return known._replace(spans=(*known.spans, (step.scope, starts, step.end)))
        case "renew":
            return known._replace(spans=(*known.spans, (scope, max(end, today), step.end)))
        case "revoke":
            return known._replace(revoked=min(known.revoked, max(step.begin, today)))
        case _:
            return known


@settings(max_examples=300, deadline=None)
@given(steps)
def test_exactly_what_would_overlap_is_refused_in_every_history(story: list[Step]) -> None:
    world = Family(easy(exclusive=True, backdate_days=0))
    told: dict[str, Told] = {}
    today = 0
    for number, step in enumerate(story):
        if step.what == "wait":
            today = min(today + 1, LAST)
            world.now = instant(today)
            continue
        by = "dora" if step.what in ("revoke", "hold") else "ann"
        try:
            world.run(command_of(step, number), by=by, reason=WHY)
            code = ""
        except Refused as refused:
            code = refused.code
        if code not in ("", "grant.exclusive_overlap"):
            continue
        would = after(step, told.get(step.grant), today)
        others = set[Any]().union(
            *(one.cells(today) for name, one in told.items() if name != step.grant)
        )
        assert (code != "") == (not others.isdisjoint(would.cells(today))), step
        if not code:
            told[step.grant] = would
    for one, other in combinations(told.values(), 2):
        assert one.cells(today).isdisjoint(other.cells(today))
