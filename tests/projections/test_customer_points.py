"""Where customers lie by random histories of people and their customers, against the events."""

from __future__ import annotations

import random
from datetime import timedelta
from typing import Any

import psycopg
import pytest

from domain.events import Event
from domain.events.customer import CustomerGraded, CustomerRegistered
from domain.events.staff import (
    StaffAppointed,
    StaffAssignmentsChanged,
    StaffDeactivated,
    StaffHandedOver,
    StaffLevelChanged,
    StaffTeamChanged,
)
from domain.ledger import Ledgers
from domain.streams import evolve
from projections.check_rows import CHECK, check_parameters, loaded
from projections.customer_points import of_customer
from tests.projections.facts import BY, FACT, START, Record
from tests.projections.oracle import Fact, read
from tests.support.ledger import new_id, submission

TEAMS = ["sales", "sales/east", "service", None]
GRADES = ["A", "B"]


class Story:
    """Tells random facts of a few staff and customers, several in one command."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)
        self.customers = [new_id() for _ in range(4)]
        self.staff = [new_id() for _ in range(3)]
        self._now = START
        self._appointed: set[str] = set()

    def known(self) -> dict[str, Any]:
        self._now += timedelta(minutes=1)
        return {"at": self._now, "by": BY, "imported": FACT}

    def some(self) -> tuple[str, ...]:
        return tuple(sorted(self.random.sample(self.customers, self.random.randint(0, 3))))

    def one(self) -> tuple[str, str, Event]:
        """The next fact; a customer's first one, or a staff member's, may be any."""
        if self.random.random() < 0.25:
            customer = self.random.choice(self.customers)
            grade = self.random.choice(GRADES)
            return "customer", customer, CustomerGraded(grade=grade, **self.known())
        staff = self.random.choice(self.staff)
        if staff not in self._appointed:
            self._appointed.add(staff)
            more: dict[str, Any] = {"person": new_id(), "number": "S", "level": "a", "roles": ()}
            event: Event = StaffAppointed(customers=self.some(), **more, **self.known())
            return "staff", staff, event
        match self.random.randrange(6):
            case 0:
                self._appointed.discard(staff)
                return "staff", staff, StaffDeactivated(**self.known())
            case 1:
                to = self.random.choice(self.staff)
                handed = StaffHandedOver(to=to, customers=self.some(), **self.known())
                return "staff", staff, handed
            case 2:
                team = StaffTeamChanged(team=self.random.choice(TEAMS), **self.known())
                return "staff", staff, team
            case 3:
                return "staff", staff, StaffLevelChanged(level="b", **self.known())
            case _:
                changed = StaffAssignmentsChanged(customers=self.some(), **self.known())
                return "staff", staff, changed


def expected(log: list[Fact], customer: str, known: int) -> dict[str, set[str]]:
    """Return what the events up to a position say of a customer: dimension -> paths."""
    grade: set[str] = set()
    looked_after: dict[str, set[str]] = {}
    team: dict[str, str | None] = {}
    for fact in log:
        if fact.position > known:
            break
        data = fact.data
        match fact.kind, fact.happened:
            case "customer", "graded" if fact.stream == customer:
                grade = {data["grade"]}
            case "staff", "appointed":
                looked_after[fact.stream] = set(data.get("customers", ()))
                team[fact.stream] = None
            case "staff", "assignments_changed":
                looked_after[fact.stream] = set(data["customers"])
            case "staff", "handed_over":
                looked_after[fact.stream] -= set(data["customers"])
            case "staff", "team_changed":
                team[fact.stream] = data.get("team")
            case "staff", "deactivated":
                team[fact.stream] = None
            case _:
                pass
    managers = {staff for staff, customers in looked_after.items() if customer in customers}
    paths = managers | {path for staff in managers if (path := team.get(staff)) is not None}
    return {name: found for name, found in (("grade", grade), ("manager", paths)) if found}


def stored(conn: psycopg.Connection[Any], tenant: str, customer: str, known: int | None) -> Any:
    """Return what a check would be decided on: dimension -> paths."""
    points = [f"customer/{customer}"]
    row = conn.cursor(binary=True).execute(CHECK, check_parameters(tenant, (), points, known))
    found = loaded(row.fetchone(), (), points).points[points[0]]
    return {name: {one} if isinstance(one, str) else set(one) for name, one in found.items()}


@pytest.mark.parametrize("seed", range(6))
def test_customers_lie_where_the_events_say_at_every_position(
    ledgers: Ledgers, tenant: str, service: psycopg.Connection[Any], seed: int
) -> None:
    story = Story(seed)
    begun = [
        ("customer", one, CustomerRegistered(number="C", form="organization", **story.known()))
        for one in story.customers
    ]
    commands = [tuple(begun)] + [
        tuple(story.one() for _ in range(story.random.randint(1, 4))) for _ in range(40)
    ]
    waiting = [ledgers.submit(submission(tenant, Record(facts=one))) for one in commands]
    for one in waiting:
        one.result()
    log = read(service, tenant)
    seen: set[int] = set()
    for known in [None, *range(1, len(log) + 1)]:
        for customer in story.customers:
            told = expected(log, customer, known or len(log))
            assert stored(service, tenant, customer, known) == told, (seed, known, customer)
            seen.add(len(told.get("manager", ())))
    assert {0, 1, 2, 3} <= seen


def test_a_grade_given_narrows_too_because_it_goes_before_what_a_context_says() -> None:
    known: dict[str, Any] = {"at": START, "by": BY, "imported": FACT}
    before = evolve("customer", None, CustomerRegistered(number="C", form="organization", **known))
    graded = CustomerGraded(grade="B", **known)
    after = evolve("customer", before, graded)
    changes = of_customer("00000000-0000-7000-8000-000000000001", before, graded, after)
    assert any(change.narrows for change in changes)
