"""Everything that is to come about in the sample's two years: how many of what, and when."""

from __future__ import annotations

import random
from datetime import timedelta
from typing import Final

from api.sample import dealers, goods, people, wishes
from api.sample.chance import draws
from api.sample.hours import LAST, some_time
from api.sample.people import STAFF, day
from api.sample.places import BUSY, provinces
from api.sample.world import Dealer, World
from domain.values import Instant

DEALERS: Final = 200
SUB_DEALERS: Final = 120
REQUESTS: Final = 1_180
LICENCES: Final = 110
SHARES: Final = 380
MANAGING: Final = 60

FATES: Final = ("failed", "rejected", "declined", "withdrawn", "lapsed")
ENDINGS: Final = (
    "expired",
    "revoked_by_staff",
    "revoked_by_customer",
    "revoked_by_rule",
    "superseded",
    "entered_in_error",
)
HALTS: Final = ("submitted", "information_requested", "verifying", "pending_approval", "approved")

STORY: Final = 3
"""The first dealers are those of `story`; nothing else happens to them."""

UNGIVEN: Final = ("S-0002", "S-0003", "S-0016", "S-0021")
"""Nobody gives these anything: who leaves, and of whom the documents speak."""

YEARS: Final = (day("2024-11-25"), day("2026-10-28"))
EARLY: Final = (day("2025-01-06"), day("2026-02-27"))


def take_up(world: World) -> None:
    """Take up all scripts of dealers and grants."""
    known = _dealers(world)
    subs = _sub_dealers(world, known)
    world.begin(dealers.assigned_weekly(world))
    _requests(world, known)
    _licences(world, known)
    _internal(world)
    _blocks(world, known, subs)
    _doubles(world, known)


def _between(draw: random.Random, first: Instant, last: Instant) -> Instant:
    """Draw a working hour between two days; half of them in the seasons of tea and of contracts."""
    days = (last - first).days
    at = first + timedelta(days=draw.uniform(0, days))
    if at.month not in (3, 4, 9, 10, 11):
        at = first + timedelta(days=draw.uniform(0, days))
    return some_time(draw, at)


def _dealers(world: World) -> list[Dealer]:
    draw = draws("dealers")
    found: list[Dealer] = []
    for number in range(STORY + 1, max(20, world.count(DEALERS)) + 1):
        late = draw.random() ** 2.2 * 500
        at = some_time(draw, dealers.OPENING + timedelta(days=late))
        found.append(dealers.new_dealer(f"D-{number:04d}", at))
        world.begin(dealers.known(world, found[-1]))
    return found


def _sub_dealers(world: World, known: list[Dealer]) -> list[Dealer]:
    draw = draws("sub-dealers")
    found: list[Dealer] = []
    first = max(20, world.count(DEALERS)) + 1
    for number in range(first, first + max(6, world.count(SUB_DEALERS))):
        chief = draw.choice(known[: len(known) // 3])
        at = some_time(draw, chief.registered_at + timedelta(days=draw.uniform(20, 200)))
        found.append(dealers.new_dealer(f"D-{number:04d}", at, chief))
        world.subs.setdefault(chief.number, []).append(found[-1])
        world.begin(dealers.known(world, found[-1]))
    return found


def _requests(world: World, known: list[Dealer]) -> None:
    """Requests to sell: some of each way to end, many more, and those that wait at the end."""
    draw = draws("requests")
    number = 0

    def ask(
        first: Instant,
        last: Instant,
        fate: str | None = None,
        halt: str | None = None,
        ending: str | None = None,
    ) -> None:
        nonlocal number
        number += 1
        dealer = draw.choice(known)
        at = dealers.wait_for(dealer, _between(draw, first, last))
        script = wishes.dealership(
            world, f"dealership/{number}", dealer, at, fate=fate, halt=halt, ending=ending
        )
        world.begin(script)

    for _ in range(world.quota()):
        for fate in FATES:
            ask(*EARLY, fate=fate)
        for ending in ENDINGS:
            ask(*EARLY, fate="agreed", ending=ending)
    for _ in range(world.count(REQUESTS)):
        ask(*YEARS)
    for _ in range(world.quota(26)):
        for halt in HALTS:
            days = {"approved": 24, "pending_approval": 14, "verifying": 15}.get(halt, 8)
            last = LAST - timedelta(days=days)
            ask(last - timedelta(days=4), last, fate="agreed", halt=halt)


def _licences(world: World, known: list[Dealer]) -> None:
    """Licences: each mark on each family of products in each province once at the most."""
    draw = draws("licences")
    places = [(mark, one, code) for mark in goods.points("mark") for one in goods.families()
              for code in BUSY]  # fmt: skip
    draw.shuffle(places)
    graded = [one for one in known if one.grade in ("A", "B")]
    coming = day("2026-12-31").replace(hour=16)
    wanted = world.quota(28)
    for number in range(wanted + max(6, world.count(LICENCES))):
        mark, family, code = places[number]
        scope = {
            "mark": (mark,),
            "product": (family,),
            "territory": (provinces()[code].place.path,),
        }
        dealer, name = draw.choice(graded), f"trademark/{number + 1}"
        if number < wanted:
            at = some_time(draw, LAST - timedelta(days=draw.uniform(56, 66)))
            at = dealers.wait_for(dealer, at)
            script = wishes.trademark(world, name, dealer, at, scope, starts_at=coming, agreed=True)
        else:
            at = dealers.wait_for(dealer, _between(draw, *YEARS))
            script = wishes.trademark(world, name, dealer, at, scope)
        world.begin(script)


def _internal(world: World) -> None:
    """Shares of customers, and what colleagues may see."""
    draw = draws("internal")
    for number in range(max(12, world.count(SHARES))):
        at = _between(draw, day("2025-01-06"), YEARS[1])
        manager = draw.choice([one for one in people.MANAGERS if one != people.HANDED_OVER[0]])
        world.begin(wishes.share(world, f"share/{number + 1}", manager, at))
    others = [one.number for one in STAFF if "requester" in one.roles or "verifier" in one.roles]
    for number in range(max(4, world.count(MANAGING))):
        at = _between(draw, *YEARS)
        colleague = draw.choice([one for one in others if one not in UNGIVEN])
        manager = draw.choice([one for one in ("S-0007", "S-0009") if one != colleague])
        world.begin(wishes.managing(world, f"staff/{number + 1}", manager, colleague, at))


def _blocks(world: World, known: list[Dealer], subs: list[Dealer]) -> None:
    draw = draws("blocks")
    some = draw.sample([*known, *subs], min(len(known), world.quota(50)))
    left = world.quota(25)
    for number, dealer in enumerate(some):
        if number < left:
            at = LAST - timedelta(days=draw.uniform(3, 50))
            until = None
        else:
            at = _between(draw, EARLY[0], day("2026-08-31"))
            until = at + timedelta(days=draw.uniform(5, 40))
        at = dealers.wait_for(dealer, at)
        if until is None or until > at:
            world.begin(dealers.blocked(world, dealer, at, until))


def _doubles(world: World, known: list[Dealer]) -> None:
    """Dealers that were registered twice; of three nobody has decided yet."""
    draw = draws("doubles")
    merged = world.quota(26)
    for number in range(merged + 3):
        into = draw.choice(known)
        decided = number < merged
        first, last = (EARLY[0], day("2026-07-31")) if decided else (day("2026-09-01"), LAST)
        at = dealers.wait_for(into, _between(draw, first, last - timedelta(days=14)))
        script = dealers.twice(world, f"D-{number + 401:04d}", into, at, decided=decided)
        world.begin(script)
