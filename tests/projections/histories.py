"""Random histories: a small world of customers, staff, grants and a catalogue, as commands in
order.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any

from msgspec.structs import replace

from domain.events import Event
from domain.events.catalogue import PointEnded
from domain.events.customer import (
    CustomerBlocked,
    CustomerConfirmed,
    CustomerLapsed,
    CustomerMerged,
    CustomerMergeProposed,
    CustomerRegistered,
    CustomerUnblocked,
)
from domain.events.grant import (
    GrantExpired,
    GrantNoted,
    GrantResumed,
    GrantRevoked,
    GrantSuspended,
    GrantSuspensionConfirmed,
)
from domain.events.staff import (
    StaffAppointed,
    StaffDeactivated,
    StaffLevelChanged,
    StaffTeamChanged,
)
from tests.projections import facts
from tests.projections.facts import BY, FACT, START
from tests.support.ledger import new_id

TERRITORIES = ["CN/11", "CN/31", "CN/31/0101", "CN/31/0115", "CN/44"]
PRODUCTS = ["tea", "tea/green", "tea/black", "cup"]
TEAMS = ["sales", "sales/east", "sales/east/shanghai", "service"]
PATTERNS = {
    "territory": ["CN", "CN/31", "CN/31/0115", "CN/44", "*"],
    "product": ["tea", "tea/green", "*"],
}

One = tuple[str, str, Event]


class World:
    """Makes facts by the clock of its own days; `moments` are the instants at which anything
    happened.
    """

    def __init__(self, random_: random.Random, policy_id: str, tenant: str) -> None:
        self._random = random_
        self._policy = policy_id
        self._tenant = tenant
        self._now = START
        self.moments: list[datetime] = [START]
        self.customers: dict[str, dict[str, Any]] = {}
        self.staff: dict[str, bool] = {}
        self.grants: dict[str, dict[str, Any]] = {}
        self._wide: list[str] = []
        self._teams = list(TEAMS)
        self._promised = [new_id() for _ in range(2)]
        """Ids of grants that others name as their parent before they exist."""

    def commands(self, number: int) -> Iterator[list[One]]:
        """Yield so many commands, each of one to three facts."""
        yield [
            ("catalogue", self._tenant, facts.dimension(name))
            for name in ("territory", "product", "team")
        ]
        yield [("catalogue", self._tenant, facts.point("team", path)) for path in TEAMS]
        yield [
            (
                "catalogue",
                self._tenant,
                facts.point("territory", path, product=self._random.choice(PRODUCTS)),
            )
            for path in TERRITORIES
        ]
        for _ in range(number):
            command: list[One] = []
            for _ in range(self._random.randint(1, 3)):
                command += self._step()
            if command:
                yield command

    def _step(self) -> list[One]:
        self._now += timedelta(hours=self._random.randint(1, 72))
        self.moments.append(self._now)
        what = self._random.choices(
            [self._customer, self._stand, self._staff, self._team, self._grant, self._supervise],
            [2, 3, 1, 2, 4, 6],
        )[0]
        return what()

    def _known(self) -> dict[str, Any]:
        return {"at": self._now, "by": BY, "imported": FACT}

    def _later(self, days: int) -> datetime:
        moment = self._now + timedelta(days=self._random.randint(1, days))
        self.moments.append(moment)
        return moment

    def _customer(self) -> list[One]:
        ref = new_id()
        self.customers[ref] = {"merged": False, "blocked": False}
        return [
            ("customer", ref, CustomerRegistered(number="C", form="organization", **self._known())),
            ("customer", ref, CustomerConfirmed(until=self._later(90), **self._known())),
        ]

    def _stand(self) -> list[One]:
        free = [ref for ref, one in self.customers.items() if not one["merged"]]
        if not free:
            return []
        ref = self._random.choice(free)
        known = self._known()
        match self._random.choice(["confirm", "block", "lapse", "merge"]):
            case "confirm":
                return [("customer", ref, CustomerConfirmed(until=self._later(90), **known))]
            case "block" if not self.customers[ref]["blocked"]:
                self.customers[ref]["blocked"] = True
                return [("customer", ref, CustomerBlocked(**known))]
            case "block":
                self.customers[ref]["blocked"] = False
                return [("customer", ref, CustomerUnblocked(**known))]
            case "lapse":
                return [("customer", ref, CustomerLapsed(**known))]
            case _ if len(free) > 3:
                into = self._random.choice([one for one in free if one != ref])
                self.customers[ref]["merged"] = True
                return [
                    ("customer", ref, CustomerMergeProposed(into=into, **known)),
                    ("customer", ref, CustomerMerged(into=into, **known)),
                ]
            case _:
                return []

    def _staff(self) -> list[One]:
        known = self._known()
        if not self.staff or self._random.random() < 0.4:
            ref = new_id()
            self.staff[ref] = True
            appointed = StaffAppointed(
                person=new_id(), number="S", level="a", roles=("verifier",), **known
            )
            return [("staff", ref, appointed)]
        ref = self._random.choice(list(self.staff))
        if not self.staff[ref]:
            self.staff[ref] = True
            appointed = StaffAppointed(person=new_id(), number="S", level="a", roles=(), **known)
            return [("staff", ref, appointed)]
        if self._random.random() < 0.5:
            return [("staff", ref, StaffLevelChanged(level="b", **known))]
        self.staff[ref] = False
        return [("staff", ref, StaffDeactivated(**known))]

    def _team(self) -> list[One]:
        known = self._known()
        working = [ref for ref, works in self.staff.items() if works]
        if self._random.random() < 0.1 and self._teams:
            path = self._teams.pop(self._random.randrange(len(self._teams)))
            ended = PointEnded(dimension="team", path=path, ends_at=self._later(20), **known)
            return [("catalogue", self._tenant, ended)]
        if not working:
            return []
        team = self._random.choice([*TEAMS, *TEAMS, None])
        changed = StaffTeamChanged(team=team, **known)
        return [("staff", self._random.choice(working), changed)]

    def _parent(self) -> str | None:
        """A grant to rest on, of whatever state and scope; seldom one that is not there yet."""
        if not self._wide or self._random.random() < 0.4:
            return None
        if self._promised and self._random.random() < 0.1:
            return self._random.choice(self._promised)
        return self._random.choice(self._wide if self._random.random() < 0.8 else list(self.grants))

    def _grant(self) -> list[One]:
        grantees = (
            [f"customer:{ref}" for ref in self.customers]
            + [f"staff:{ref}" for ref in self.staff]
            + [f"team:{path}" for path in TEAMS]
        )
        parent = self._parent()
        promised = bool(self._promised) and self._random.random() < 0.1
        grant_id = self._promised.pop() if promised else new_id()
        scope = {name: (self._random.choice(patterns),) for name, patterns in PATTERNS.items()}
        if self._random.random() < 0.3:
            del scope["product"]
        actions = self._random.sample(["sell", "show"], self._random.randint(1, 2))
        wide = not self._wide or self._random.random() < 0.3
        if wide:  # something that much can rest on
            grantees = grantees[-len(TEAMS) - 1 :]
            scope, actions = {"territory": ("*",)}, ["sell", "show"]
            self._wide.append(grant_id)
            parent = parent if self._random.random() < 0.3 else None
        events = facts.granted(
            self._random.choice(grantees), self._policy, scope, actions=actions, parent=parent
        )
        starts = self._now if self._random.random() < 0.6 else self._later(20)
        ends = (
            None
            if wide or self._random.random() < 0.2
            else starts + timedelta(days=self._random.randint(1, 60))
        )
        self.moments += [starts, *([] if ends is None else [ends])]
        self.grants[grant_id] = {"ends": ends, "open": {}, "over": False, "holds": 0}
        made: list[One] = []
        for event in events:
            changes: dict[str, Any] = {"at": self._now}
            if hasattr(event, "starts_at"):
                changes |= {"starts_at": starts, "ends_at": ends}
            made.append(("grant", grant_id, _with(event, **changes)))
        return made

    def _supervise(self) -> list[One]:
        free = [ref for ref, one in self.grants.items() if not one["over"]]
        if not free:
            return []
        ref = self._random.choice(free)
        one = self.grants[ref]
        known = self._known()
        match self._random.choice(
            ["hold", "hold", "resume", "resume", "confirm", "revoke", "end", "note"]
        ):
            case "hold":
                one["holds"] += 1
                hold = f"h{one['holds']}"
                by = self._later(10) if self._random.random() < 0.4 else None
                one["open"][hold] = by
                return [("grant", ref, GrantSuspended(hold=hold, confirm_by=by, **known))]
            case "resume" if one["open"]:
                hold = self._random.choice(list(one["open"]))
                by = one["open"].pop(hold)
                lapsed = by if by is not None and by <= self._now else None
                return [("grant", ref, GrantResumed(hold=hold, lapsed_at=lapsed, **known))]
            case "confirm" if one["open"]:
                hold = self._random.choice(list(one["open"]))
                one["open"][hold] = None
                return [("grant", ref, GrantSuspensionConfirmed(hold=hold, **known))]
            case "revoke":
                one["over"] = True
                at = (
                    self._now
                    if self._random.random() < 0.5
                    else self._now + timedelta(days=self._random.randint(-5, 20))
                )
                self.moments.append(at)
                return [("grant", ref, GrantRevoked(origin="staff", effective_at=at, **known))]
            case "end" if one["ends"] is not None and one["ends"] <= self._now:
                one["over"] = True
                return [("grant", ref, GrantExpired(expired_at=one["ends"], **known))]
            case _:
                return [("grant", ref, GrantNoted(label="n", **known))]


def _with(event: Event, **changes: Any) -> Event:
    return replace(event, **changes)
