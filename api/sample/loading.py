"""Brings a sample into a tenant with a given clock; stopped anywhere, the next call goes on."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import Final, NamedTuple

from api.sample import closing, firm, seasons, story
from api.sample.desk import Desk
from api.sample.hours import FIRST, LAST
from api.sample.world import World
from api.wiring import Services
from domain.values import Instant, Party

FULL: Final = 1.0
SMALL: Final = 0.05
"""Every state is in it, and it is made in seconds."""

Tell = Callable[[float], None]
"""Told how much of the two years is over, from 0 to 1."""


class Loaded(NamedTuple):
    """What a load did: commands written now, commands found written, refusals by command and code.

    `staff` are the parties by staff number, `member` acts for D-0001.
    """

    written: int
    known: int
    refusals: Counter[tuple[str, str]]
    staff: dict[str, Party]
    member: Party


def load(services: Services, tenant: str, scale: float, tell: Tell) -> Loaded:
    """Let the two years happen in `tenant`, whose clock is given; what is in its log stays.

    Raises `desk.OtherEdition` where another edition of the sample was begun there, `Refused` where
    the ledger cannot go on.
    """
    desk = Desk(services, tenant)
    world = World(desk, tenant, scale)
    firm.set_up(world)
    seasons.take_up(world)
    story.tell(world)
    world.begin(closing.close(world))
    span = LAST - FIRST

    def told(at: Instant) -> None:
        tell(min(1.0, max(0.0, (at - FIRST) / span)))

    world.agenda.run(world.clock, told)
    desk.put(story.last_note(world))()
    tell(1.0)
    desk.finish()
    return Loaded(desk.written, desk.known, desk.refusals, world.crew.parties, story.member(world))
