"""What everybody in the sample stands on: the people, the dealers, the policies, the grants."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from api.sample.agenda import Agenda, Script
from api.sample.clockwork import Clockwork
from api.sample.desk import Desk, Seal, Shown, Step, given
from api.sample.hours import LAST
from api.sample.people import ADMINISTRATOR, Crew
from api.sample.places import Province
from domain.customers import Customer
from domain.customers import status_at as customer_status_at
from domain.grant_states import Grant
from domain.values import Instant, Party
from domain.view import Command

OF_EACH = 24
"""Of each state so many are seen to, at full size."""


@dataclass
class Dealer:
    """A customer of the sample; `members` are who acts for it."""

    number: str
    id: str
    title: str
    province: Province
    manager: str
    grade: str
    registered_at: Instant
    members: list[Party] = field(default_factory=list[Party])
    chief: Dealer | None = None

    @property
    def ref(self) -> str:
        """The customer as a party's ref."""
        return f"customer:{self.id}"


class World:
    """One sample under way; `scale` 1.0 is the full one."""

    def __init__(self, desk: Desk, tenant: str, scale: float) -> None:
        self.desk = desk
        self.tenant = tenant
        self.scale = scale
        self.agenda = Agenda(desk, LAST - timedelta(minutes=1))
        self.clock = Clockwork()
        self.crew = Crew()
        self.policies: dict[str, str] = {}
        self.dealers: dict[str, Dealer] = {}
        self.subs: dict[str, list[Dealer]] = {}
        self.assigned: dict[str, list[str]] = {}

    def quota(self, full: int = OF_EACH) -> int:
        """Return how many there are of what there are `full` of at full size; three at least."""
        return max(3, round(full * self.scale))

    def count(self, full: int) -> int:
        """Return how many there are of what there are `full` of at full size."""
        return round(full * self.scale)

    def begin(self, script: Script) -> None:
        """Take up a script."""
        self.agenda.begin(script)

    def grant(self, grant_id: str) -> Grant:
        """Return a grant's newest state."""
        return self.clock.states[grant_id]

    def grants(self) -> list[tuple[str, Grant]]:
        """Return every grant there is, the oldest first."""
        states = self.clock.states.items()
        return [(one, state) for one, state in states if isinstance(state, Grant)]

    def stands(self, dealer: Dealer, at: Instant) -> bool:
        """Tell whether a dealer is confirmed at that instant, and neither blocked nor merged."""
        state: Any = self.clock.states.get(dealer.id)
        return isinstance(state, Customer) and customer_status_at(state, at) == "confirmed"

    def step(
        self,
        number: str,
        at: Instant,
        command: Command | Callable[[Seal], Command],
        stream: str,
        *,
        subject: str | None = None,
        why: tuple[str, str | None] | None = None,
        shown: tuple[Shown, ...] = (),
    ) -> Step:
        """Return a step of a colleague."""
        make = given(command) if isinstance(command, Command) else command
        party = self.crew.party(number)
        return Step(at, party, stream, subject or stream, make, why, shown)

    def signed(self, who: Party, at: Instant, command: Command, stream: str, subject: str) -> Step:
        """Return a step of somebody who acts for a customer."""
        return Step(at, who, stream, subject, given(command))

    def administrator(
        self,
        at: Instant,
        command: Command | Callable[[Seal], Command],
        stream: str,
        **more: Any,
    ) -> Step:
        """Return a step of the administrator."""
        return self.step(ADMINISTRATOR, at, command, stream, **more)
