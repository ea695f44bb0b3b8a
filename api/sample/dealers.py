"""The sample's customers: registered, identified, confirmed, kept, blocked, merged."""

from __future__ import annotations

import random
from datetime import timedelta
from typing import Final

from api.sample import names
from api.sample.agenda import Script, once
from api.sample.chance import draws, id_of
from api.sample.desk import Step, idle
from api.sample.firm import register
from api.sample.hours import LAST, after, some_time
from api.sample.people import COMPLIANCE, HANDED_OVER, MANAGERS, STAFF, day
from api.sample.places import BUSY, Province, provinces
from api.sample.reasons import REASONS
from api.sample.world import Dealer, World
from domain.commands import customer_records, customers
from domain.commands.staff import AssignCustomers
from domain.customers import Customer
from domain.values import Instant, Party

OPENING: Final = day("2024-11-11")
"""The first dealer is registered."""

ACTS: Final = ("request", "provide", "sign", "revoke")
GRADES: Final = ("A", "B", "B", "C", "C")

REGIONS: Final = {
    "sales/north": ("11", "12", "13", "14", "15", "21", "22", "23", "37", "41"),
    "sales/east": ("31", "32", "33", "34", "35", "36"),
    "sales/south": ("42", "43", "44", "45", "46"),
    "sales/west": ("50", "51", "52", "53", "54", "61", "62", "63", "64", "65"),
}
"""Team -> the provinces whose dealers it looks after."""


def manager_of(draw: random.Random, code: str, at: Instant) -> str:
    """Draw who looks after a dealer of a province."""
    team = next((one for one, codes in REGIONS.items() if code in codes), "sales/east")
    here = [one for one in STAFF if one.number in MANAGERS and one.here(at + timedelta(days=30))]
    mine = [one.number for one in here if one.team == team]
    return draw.choice(mine or [one.number for one in here])


def manager_at(manager: str, at: Instant) -> str:
    """Return a manager, or whom they handed their dealers over to by then."""
    here = next(one for one in STAFF if one.number == manager).here(at + timedelta(days=2))
    return manager if here else HANDED_OVER[1]


def new_dealer(number: str, registered_at: Instant, chief: Dealer | None = None) -> Dealer:
    """Return a dealer of this number; whose grants it is passed on, it lies where that one lies."""
    draw = draws(f"dealer/{number}")
    code = draw.choice(BUSY) if draw.random() < 0.8 else draw.choice(list(provinces()))
    province: Province = provinces()[code] if chief is None else chief.province
    manager = manager_of(draw, code, registered_at)
    if chief is not None:
        manager = manager_at(chief.manager, registered_at)
    return Dealer(
        number=number,
        id=id_of(f"customer/{number}", registered_at),
        title=names.firm(number, province),
        province=province,
        manager=manager,
        grade=draw.choice(GRADES),
        registered_at=registered_at,
        chief=chief,
    )


def known(world: World, dealer: Dealer) -> Script:
    """A dealer from registration to confirmation, and each time it lapses to the next one."""
    world.dealers[dealer.number] = dealer
    draw = draws(f"known/{dealer.number}")
    uscc = names.uscc(dealer.number)
    desk, at = world.desk, dealer.registered_at

    yield world.step(
        dealer.manager,
        at,
        lambda seal: customers.RegisterCustomer(
            customer=dealer.id,
            number=dealer.number,
            number_claim=desk.hash(customers.NUMBER_CLAIM, dealer.number),
            form="organization",
            title=dealer.title,
            uscc=uscc,
            uscc_claim=desk.hash(customers.USCC_CLAIM, uscc),
            contact=seal(names.contact(dealer.number), "contact"),
        ),
        dealer.id,
    )
    world.assigned.setdefault(dealer.manager, []).append(dealer.id)
    at = yield from _checked(world, dealer, draw, at, first=True)
    at = yield from _confirmed(world, dealer, draw, at)
    at = yield from add_member(world, dealer, at, f"{dealer.number}/1")
    if draw.random() < 0.2:
        at = yield from add_member(world, dealer, at, f"{dealer.number}/2")
    graded = customer_records.GradeCustomer(customer=dealer.id, grade=dealer.grade)
    yield world.step(dealer.manager, after(draw, at, 0.3, 2), graded, dealer.id)
    link = customer_records.LinkCustomer(
        customer=dealer.id, system="erp", external_id=f"K{draw.randrange(10**6):06d}"
    )
    came = yield world.step(dealer.manager, after(draw, at, 1, 6), link, dealer.id)
    at = came.at
    world.begin(_kept(world, dealer, at))
    while True:
        state = world.clock.states.get(dealer.id)
        until = state.confirmed_until if isinstance(state, Customer) else None
        if until is None or until > LAST or draw.random() < 0.06:
            return  # some are never looked at again
        at = until + timedelta(days=draw.uniform(0.2, 4))
        at = yield from _checked(world, dealer, draw, at, first=False)
        at = yield from _confirmed(world, dealer, draw, at)


def _checked(
    world: World, dealer: Dealer, draw: random.Random, at: Instant, *, first: bool
) -> Script:
    """Look at the register; now and then the first look fails."""
    failed = first and draw.random() < 0.08
    for passed in (False, True) if failed else (True,):
        verifier = draw.choice(world.crew.holding("verifier", at))
        check = customers.RecordIdentityCheck(
            customer=dealer.id,
            check_kind="register_extract",
            channel="register",
            passed=passed,
            document="business_licence",
        )
        came = yield world.step(verifier, after(draw, at, 0.3, 2.5), check, dealer.id)
        at = came.at
    return at


def _confirmed(world: World, dealer: Dealer, draw: random.Random, at: Instant) -> Script:
    verifier = draw.choice(world.crew.holding("verifier", at))
    command = customers.ConfirmCustomer(customer=dealer.id, policy=world.policies["dealership"])
    came = yield world.step(verifier, after(draw, at, 0.3, 1.5), command, dealer.id)
    return came.at


def add_member(world: World, dealer: Dealer, at: Instant, name: str) -> Script:
    """Register a person and let them act for the dealer; return when."""
    draw = draws(f"member/{name}")
    person = id_of(f"person/{name}", at)
    came = yield register(world, after(draw, at, 0.3, 1.0), person, names.person(name))
    command = customer_records.AddMember(
        customer=dealer.id, member=id_of(f"member/{name}", at), person=person, acts=ACTS
    )
    came = yield world.step(dealer.manager, after(draw, came.at, 0.3, 1.0), command, dealer.id)
    if came.state is not None:
        dealer.members.append(Party(dealer.ref, person))
    return came.at


def _kept(world: World, dealer: Dealer, at: Instant) -> Script:
    """What changes on a dealer's record over the time."""
    draw = draws(f"kept/{dealer.number}")
    for what in draw.sample(("profile", "address", "grade", "title", "member"), 3):
        came = yield idle(at + timedelta(days=draw.uniform(30, 260)))
        at = after(draw, came.at, 0.1, 1)
        match what:
            case "profile":
                made = names.contact(f"{dealer.number}/new")
                came = yield _profile(world, dealer, at, "contact", made)
            case "address":
                made = names.address(dealer.number, dealer.province)
                came = yield _profile(world, dealer, at, "address", made)
            case "grade":
                better = "A" if dealer.grade == "B" else "B"
                graded = customer_records.GradeCustomer(customer=dealer.id, grade=better)
                came = yield world.step(dealer.manager, at, graded, dealer.id)
            case "title":
                at = yield from _corrected(world, dealer, draw, at)
                continue
            case _:
                at = yield from add_member(world, dealer, at, f"{dealer.number}/3")
                if len(dealer.members) > 1 and draw.random() < 0.5:
                    at = yield from _ended(world, dealer, draw, at)
                continue
        at = came.at


def _profile(world: World, dealer: Dealer, at: Instant, field: str, text: str) -> Step:
    return world.step(
        dealer.manager,
        at,
        lambda seal: customer_records.ChangeCustomerProfile(
            customer=dealer.id, **{field: seal(text, field)}
        ),
        dealer.id,
    )


def _corrected(world: World, dealer: Dealer, draw: random.Random, at: Instant) -> Script:
    """The firm gets another name: proposed by one, decided by another."""
    correction = id_of(f"correction/{dealer.number}", at)
    title = dealer.title.replace("有限", "（集团）有限", 1)
    propose = customer_records.ProposeCorrection(
        customer=dealer.id, correction=correction, title=title
    )
    came = yield world.step(dealer.manager, at, propose, dealer.id)
    decide = customer_records.DecideCorrection(
        customer=dealer.id, correction=correction, accept=draw.random() < 0.8
    )
    verifier = draw.choice(world.crew.holding("verifier", came.at))
    came = yield world.step(verifier, after(draw, came.at, 0.5, 6), decide, dealer.id)
    return came.at


def _ended(world: World, dealer: Dealer, draw: random.Random, at: Instant) -> Script:
    """Somebody acts for the dealer no longer."""
    state: Customer = world.clock.states[dealer.id]
    gone = dealer.members[0].person
    member = next(one for one, it in state.members.items() if it.person == gone)
    command = customer_records.EndMember(customer=dealer.id, member=member)
    came = yield world.step(dealer.manager, after(draw, at, 1, 20), command, dealer.id)
    if came.state is not None:
        del dealer.members[0]
    return came.at


def blocked(world: World, dealer: Dealer, at: Instant, until: Instant | None) -> Script:
    """Compliance blocks a dealer, and lets it go again unless that is still to come."""
    draw = draws(f"blocked/{dealer.number}")
    command = customers.BlockCustomer(customer=dealer.id)
    who = draw.choice(world.crew.holding("compliance", at))
    why = draw.choice(REASONS["blocked"])
    yield world.step(who, some_time(draw, at), command, dealer.id, why=why)
    if until is not None:
        free = customers.UnblockCustomer(customer=dealer.id)
        why = draw.choice(REASONS["unblocked"])
        yield world.step(COMPLIANCE, some_time(draw, until), free, dealer.id, why=why)


def twice(world: World, number: str, into: Dealer, at: Instant, *, decided: bool) -> Script:
    """A dealer registered a second time, and found out: proposed by one, decided by another."""
    double = new_dealer(number, at)
    double.manager = manager_at(into.manager, at)
    draw = draws(f"twice/{number}")
    command = customers.RegisterCustomer(
        customer=double.id,
        number=number,
        number_claim=world.desk.hash(customers.NUMBER_CLAIM, number),
        form="organization",
        title=into.title.replace("有限", "有限责任", 1),
    )
    came = yield world.step(double.manager, at, command, double.id)
    if draw.random() < 0.5:
        yield from _checked(world, double, draw, came.at, first=False)
    propose = customer_records.ProposeCustomerMerge(customer=double.id, into=into.id)
    at = after(draw, came.at, 8, 60) if decided else LAST - timedelta(days=draw.uniform(1, 6))
    came = yield world.step(double.manager, some_time(draw, at), propose, double.id)
    if not decided:
        return
    decide = customer_records.DecideCustomerMerge(customer=double.id, accept=True)
    who = draw.choice(world.crew.holding("compliance", came.at))
    yield world.step(who, after(draw, came.at, 0.5, 9), decide, double.id)


def wait_for(dealer: Dealer, at: Instant) -> Instant:
    """Return the instant, or the end of a dealer's first weeks where that is later."""
    return max(at, dealer.registered_at + timedelta(days=16))


def assigned_weekly(world: World) -> Script:
    """Each week the administrator says who looks after the dealers that are new."""
    at = OPENING + timedelta(days=7, hours=2)
    told: dict[str, tuple[str, ...]] = {}
    while at < LAST:
        yield idle(at)
        for number, mine in sorted(world.assigned.items()):
            wanted = tuple(mine)
            if told.get(number) != wanted:
                told[number] = wanted
                staff_id = world.crew.party(number).id
                command = AssignCustomers(staff=staff_id, customers=wanted)
                world.begin(once(world.administrator(at + timedelta(minutes=9), command, staff_id)))
        at += timedelta(days=7)
