"""One grant's course as its script knows it: who had a hand in it, what it is, who acts next."""

from __future__ import annotations

import random
from collections.abc import Generator
from datetime import timedelta
from typing import Any, Final, NamedTuple

from msgspec.structs import replace

from api.sample import policies, reasons
from api.sample.agenda import Came, Script
from api.sample.chance import draws, id_of
from api.sample.desk import Seal, Shown, Step, idle
from api.sample.hours import after
from api.sample.world import Dealer, World
from domain.commands.grants import GrantCommand
from domain.events.policy import PolicyBody
from domain.grant_states import Grant
from domain.values import Instant, Party

TRIES: Final = 4
"""How often something refused is tried, some days apart: a customer may stand again by then."""

CALLED_SHARE: Final = 0.05
"""How many checks are made by telephone, and leave a stored note."""

Doing = Generator[Step, Came, Any]


class GivenUp(Exception):
    """Whoever wanted something let it be: the rules said no each time."""


class Hand(NamedTuple):
    """Who acts, and for whom where it is a deputy; `number` of whose rights are used."""

    number: str
    by: Party
    on_behalf_of: Party | None = None


class Course:
    """One grant, from its request on."""

    def __init__(self, world: World, name: str, kind: str, at: Instant, subject: str) -> None:
        self.world = world
        self.name = name
        self.kind = kind
        self.at = at
        self.subject = subject
        self.draw: random.Random = draws(name)
        self.grant_id = id_of(f"grant/{name}", at)
        self.hands: set[str] = set()
        self.dealer: Dealer | None = None
        self.asker = ""
        self._ids = 0

    @property
    def state(self) -> Grant:
        """The grant's newest state."""
        return self.world.grant(self.grant_id)

    def new_id(self, what: str) -> str:
        """Return an id for a case or a hold of this grant."""
        self._ids += 1
        return id_of(f"{self.name}/{what}/{self._ids}", self.at)

    def body(self, version: int) -> PolicyBody:
        """Return what a version of its policy says."""
        return policies.VERSIONS[self.kind][version - 1].body

    def chance(self, share: float) -> bool:
        """Draw: true in so many of all cases."""
        return self.draw.random() < share

    def why(self, what: str) -> tuple[str, str | None]:
        """Draw a reason."""
        return self.draw.choice(reasons.REASONS[what])

    # --- who ------------------------------------------------------------------------------------

    def pick(self, role: str, *, levels: tuple[str, ...] = (), fresh: bool = True) -> Hand:
        """Draw a colleague in a role, who had no hand in it yet unless that does not matter."""
        at = self.at + timedelta(days=1)
        found = self.world.crew.holding(role, at, levels=levels)
        free = [one for one in found if not fresh or one not in self.hands]
        if not free:
            raise GivenUp
        return self.hand(self.draw.choice(free), at)

    def hand(self, number: str, at: Instant) -> Hand:
        """Return a colleague's hand, or that of who stands in for them where that one is fresh."""
        crew = self.world.crew
        deputy = crew.deputy(number, at)
        if deputy is None or deputy in self.hands or not self.chance(0.6):
            return Hand(number, crew.party(number))
        return Hand(deputy, crew.party(deputy), crew.party(number))

    def carer(self) -> Hand:
        """Return who looks after it now: the dealer's manager, else who asked for it."""
        number = self.asker if self.dealer is None else self.dealer.manager
        return Hand(number, self.world.crew.party(number))

    def member(self) -> Hand:
        """Draw somebody who acts for the dealer."""
        if self.dealer is None or not self.dealer.members:
            raise GivenUp
        return Hand("", self.draw.choice(self.dealer.members))

    # --- doing ----------------------------------------------------------------------------------

    def comes(self) -> Doing:
        """Wait for the day on which it begins; what is drawn after it is drawn on that day."""
        came = yield idle(self.at)
        self.at = came.at

    def rest(self, days: float) -> Doing:
        """Let time pass."""
        yield from self.until(self.at + timedelta(days=days))

    def until(self, at: Instant) -> Doing:
        """Let time pass until an instant."""
        if at > self.at:
            came = yield idle(at)
            self.at = came.at

    def do(
        self,
        hand: Hand,
        command: GrantCommand,
        least: float = 0.4,
        most: float = 3.0,
        *,
        why: tuple[str, str | None] | None = None,
        shown: tuple[Shown, ...] = (),
        text: tuple[str, str] | None = None,
    ) -> Doing:
        """Do something between so many days from now; `text` is a field and what is sealed in it.

        Raises `GivenUp` when it was refused again and again.
        """

        def make(seal: Seal) -> GrantCommand:
            if text is None:
                return command
            field, words = text
            return replace(command, **{field: seal(words, field)})

        at = after(self.draw, self.at, least, most)
        for _ in range(TRIES):
            step = Step(
                at, hand.by, self.grant_id, self.subject, make, why, shown, hand.on_behalf_of
            )
            came = yield step
            self.at = came.at
            if came.state is not None:
                if hand.number:
                    self.hands.add(hand.number)
                if hand.on_behalf_of is not None:
                    self.hands.update(
                        one
                        for one, party in self.world.crew.parties.items()
                        if party == hand.on_behalf_of
                    )
                return came.state
            at = after(self.draw, self.at, 1.0, 4.0)
        raise GivenUp

    def way(self) -> tuple[str, tuple[Shown, ...]]:
        """Draw the channel of a check, with what it has to leave behind."""
        if not self.chance(CALLED_SHARE):
            return self.draw.choice(("post", "email", "online")), ()
        words = f"{self.draw.choice(reasons.CALLS)}（{self.at:%Y-%m-%d}）"
        return "phone", (Shown("written_note", words.encode()),)


def guarded(doing: Doing) -> Script:
    """Return a script that ends where its course was given up."""
    try:
        yield from doing
    except GivenUp:
        return
