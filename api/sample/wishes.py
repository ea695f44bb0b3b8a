"""The four kinds of requests of the sample: who asks for what, and what becomes of it."""

from __future__ import annotations

import random
from datetime import timedelta
from typing import Final

from api.sample import goods, lives
from api.sample.agenda import Script
from api.sample.asking import Wish, ask_for, fate_of
from api.sample.course import Course, Doing, Hand, guarded
from api.sample.hours import after
from api.sample.world import Dealer, World
from domain.commands import cases
from domain.grant_states import ends_of
from domain.values import Instant, Scope, Term

LONG_DAYS: Final = (180, 270, 365, 365, 540)
SHORT_DAYS: Final = (90, 120, 150)
CHANNELS: Final = (
    ("store",),
    ("store",),
    ("store/mall",),
    ("store", "wholesale"),
    ("online/market",),
    ("online/live", "online/social"),
    ("catering", "wholesale"),
)
MARGIN_DAYS: Final = 80
"""What is passed on ends so long before what it is passed on from."""


def _territory(draw: random.Random, dealer: Dealer) -> tuple[str, ...]:
    cities = [one.path for one in dealer.province.cities]
    if not cities or draw.random() < 0.3:
        return (dealer.province.place.path,)
    return tuple(draw.sample(cities, min(len(cities), draw.choice((1, 1, 2, 3)))))


def _products(draw: random.Random) -> tuple[str, ...]:
    if draw.random() < 0.3:
        return ("tea",)
    families = draw.sample(goods.families(), draw.choice((1, 1, 2)))
    return tuple(draw.choice((one, draw.choice(goods.below(one)))) for one in families)


def _asker(course: Course, dealer: Dealer) -> Hand:
    """Whoever looks after the dealer asks, or one of the dealer's own people."""
    if course.chance(0.3) and dealer.members:
        return course.member()
    return Hand(dealer.manager, course.world.crew.party(dealer.manager))


def dealership(
    world: World,
    name: str,
    dealer: Dealer,
    at: Instant,
    *,
    fate: str | None = None,
    halt: str | None = None,
    ending: str | None = None,
    parent: Course | None = None,
) -> Script:
    """A dealer asks to sell; `ending` says how it ends once it took effect."""
    course = Course(world, name, "dealership", at, dealer.id)
    course.dealer = dealer
    return guarded(_dealership(course, dealer, fate, halt, ending, parent))


def _dealership(
    course: Course,
    dealer: Dealer,
    fate: str | None,
    halt: str | None,
    ending: str | None,
    parent: Course | None,
) -> Doing:
    draw, world = course.draw, course.world
    yield from course.comes()
    days = draw.choice(SHORT_DAYS if ending else LONG_DAYS)
    subs = [] if parent or ending or halt else world.subs.get(dealer.number, [])
    wish = Wish(
        dealer.ref,
        draw.choice((("sell",), ("sell",), ("promote", "sell"))),
        {
            "territory": _territory(draw, dealer),
            "product": _products(draw),
            "channel": draw.choice(CHANNELS),
        },
        Term(days=400 if subs else days),
        pass_on=1 if subs else 0,
    )
    if parent is not None:
        less = _passed_on(course, parent, dealer)
        if less is None:
            return
        wish = less
    hand = _asker(course, dealer)
    fate = fate or fate_of(course)
    took_effect = yield from ask_for(course, wish, hand, fate=fate, halt=halt)
    if not took_effect:
        return
    for number, sub in enumerate(subs, 1):
        soon = after(draw, max(course.at, sub.registered_at + timedelta(days=20)), 2, 30)
        world.begin(dealership(world, f"{course.name}/{number}", sub, soon, parent=course))
    if ending is not None:
        yield from _end(course, dealer, wish, ending)
    else:
        yield from lives.live(course)


def _passed_on(course: Course, parent: Course, dealer: Dealer) -> Wish | None:
    """Return what a sub-dealer asks for: a part of what its chief may do."""
    state, draw = parent.state, course.draw
    ends_at = ends_of(state)
    if state.status != "active" or ends_at is None:
        return None
    days = (ends_at - course.at).days - MARGIN_DAYS
    if days < 30:
        return None
    scope: Scope = {
        dimension: (draw.choice(patterns),) for dimension, patterns in state.terms.scope.items()
    }
    return Wish(
        dealer.ref,
        state.terms.actions[:1],
        scope,
        Term(days=min(days, 365)),
        parent=parent.grant_id,
    )


def _end(course: Course, dealer: Dealer, wish: Wish, ending: str) -> Doing:
    """Let it end as was said."""
    if ending == "expired":
        return
    yield from course.rest(course.draw.uniform(8, 45))
    if ending != "superseded":
        for _ in range(3):
            if not (yield from lives.DOINGS[ending](course)):
                return
        return
    wider = Course(course.world, f"{course.name}/wider", "dealership", course.at, dealer.id)
    wider.dealer = dealer
    more = wish._replace(scope={**wish.scope, "product": ("tea", "gift")}, term=Term(days=365))
    took_effect = yield from ask_for(wider, more, wider.carer(), fate="agreed")
    if not took_effect:
        return
    course.at = wider.at
    course.hands.clear()
    command = cases.SupersedeGrant(grant_id=course.grant_id, successor=wider.grant_id)
    yield from course.do(course.pick("approver"), command, 0.1, 2.0, why=("replaced", None))
    wider.at = course.at
    yield from lives.live(wider)


def trademark(
    world: World,
    name: str,
    dealer: Dealer,
    at: Instant,
    scope: Scope,
    *,
    starts_at: Instant | None = None,
    halt: str | None = None,
    agreed: bool = False,
) -> Script:
    """A licensee asks to print a mark on a product in a province, alone."""
    course = Course(world, name, "trademark", at, dealer.id)
    course.dealer = dealer
    return guarded(_trademark(course, dealer, scope, starts_at, halt, agreed=agreed))


def _trademark(
    course: Course,
    dealer: Dealer,
    scope: Scope,
    starts_at: Instant | None,
    halt: str | None,
    *,
    agreed: bool,
) -> Doing:
    yield from course.comes()
    draw = course.draw
    soon = course.at + timedelta(days=draw.randrange(40, 75))
    begin = starts_at or soon.replace(hour=16, minute=0, second=0, microsecond=0)
    term = Term(begin, begin + timedelta(days=draw.choice((184, 365, 365, 730))))
    actions = draw.choice((("print",), ("label", "print"), ("label",)))
    wish = Wish(dealer.ref, actions, scope, term)
    fate = "agreed" if agreed else fate_of(course)
    hand = _asker(course, dealer)
    if (yield from ask_for(course, wish, hand, fate=fate, halt=halt)):
        yield from lives.live(course)


def share(world: World, name: str, manager: str, at: Instant) -> Script:
    """A manager shares some customers with a team or a colleague."""
    course = Course(world, name, "share", at, world.tenant)
    return guarded(_share(course, manager))


def _share(course: Course, manager: str) -> Doing:
    yield from course.comes()
    world, draw = course.world, course.draw
    mine = [
        one.id
        for one in world.dealers.values()
        if one.manager == manager and one.registered_at < course.at - timedelta(days=21)
    ]
    if not mine:
        return
    customers = tuple(draw.sample(mine, min(len(mine), draw.choice((1, 1, 2, 3)))))
    colleague = draw.choice([one for one in ("S-0008", "S-0009", "S-0010") if one != manager])
    template, purpose, grantee, days = draw.choice(
        (
            ("after-sales", "repair", "team:after-sales", 30),
            ("delivery", "delivery", "team:delivery", 60),
            ("contact", "visit", world.crew.party(colleague).ref, 45),
            ("contact", "event", "team:sales", 21),
        )
    )
    actions = ("edit", "read") if template == "after-sales" and course.chance(0.4) else ("read",)
    wish = Wish(
        grantee,
        actions,
        {"customer": customers},
        Term(days=days),
        template=template,
        purpose=purpose,
    )
    hand = Hand(manager, world.crew.party(manager))
    course.subject, course.asker = customers[0], manager
    if (yield from ask_for(course, wish, hand, fate=fate_of(course))) and course.chance(0.3):
        yield from course.rest(draw.uniform(1, days - 10))
        yield from lives.DOINGS[draw.choice(("held", "revoked_by_staff", "noted"))](course)


def managing(world: World, name: str, manager: str, colleague: str, at: Instant) -> Script:
    """A colleague is let see, or change, the customers of a team."""
    course = Course(world, name, "staff", at, world.tenant)
    return guarded(_managing(course, manager, colleague))


def _managing(course: Course, manager: str, colleague: str) -> Doing:
    yield from course.comes()
    world, draw = course.world, course.draw
    actions = draw.choice((("view",), ("view",), ("edit", "view"), ("edit", "reassign", "view")))
    team = draw.choice(("sales", "sales/north", "sales/east", "sales/south", "sales/west"))
    party = world.crew.party(colleague)
    course.subject, course.asker = party.person or world.tenant, manager
    wish = Wish(party.ref, actions, {"customer": ("*",), "manager": (team,)}, Term(days=365))
    hand = Hand(manager, world.crew.party(manager))
    if (yield from ask_for(course, wish, hand, fate=fate_of(course))) and course.chance(0.2):
        yield from course.rest(draw.uniform(20, 200))
        yield from lives.revoked_by_staff(course)
