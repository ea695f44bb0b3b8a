"""Three dealers with a grant in each state that people meet first; the documents speak of them."""

from __future__ import annotations

from datetime import timedelta
from typing import Final, NamedTuple

from api.sample import dealers
from api.sample.agenda import Script
from api.sample.asking import Wish
from api.sample.chance import draws, id_of, number_of
from api.sample.desk import Shown, Step
from api.sample.firm import register
from api.sample.hours import LAST
from api.sample.people import day
from api.sample.places import provinces
from api.sample.policies import DEALERSHIP_2
from api.sample.world import Dealer, World
from domain.commands import customer_records, customers, grants, supervision
from domain.terms import agreement_digest
from domain.values import Instant, Party, Scope, Term
from domain.view import Command

MANAGER: Final = "S-0002"
VERIFIER: Final = "S-0003"
STAGES: Final = (("sales", "S-0004"), ("brand", "S-0005"))
COMPLIANCE: Final = "S-0006"

CUSTOMERS: Final = (
    ("D-0001", "示例茶行（上海）有限公司", "周九", "31"),
    ("D-0002", "示例茶叶（杭州）有限公司", "吴十", "33"),
    ("D-0003", "示例茶庄（苏州）有限公司", "郑一", "32"),
)
REGISTERED: Final = day("2026-03-09")

SHANGHAI: Final[Scope] = {"territory": ("CN/31",), "product": ("tea",), "channel": ("store",)}
HANGZHOU: Final[Scope] = {
    "territory": ("CN/33/01",), "product": ("tea/green",), "channel": ("*",),
}  # fmt: skip
SUZHOU: Final[Scope] = {"territory": ("CN/32/05",), "product": ("tea",), "channel": ("store",)}
ONLINE: Final[Scope] = {"territory": ("CN",), "product": ("tea",), "channel": ("online",)}


class Told(NamedTuple):
    """A grant of the story: whose, what is asked for, when, how far it comes."""

    name: str
    dealer: int
    scope: Scope
    at: Instant
    goes: str


GRANTS: Final = (
    Told("active", 0, SHANGHAI, day("2026-04-07"), "active"),
    Told("suspended", 1, HANGZHOU, day("2026-05-11"), "suspended"),
    Told("revoked", 2, SUZHOU, day("2026-04-20"), "revoked"),
    Told("to_sign", 2, SUZHOU, day("2026-10-19"), "approved"),
    Told("to_approve", 1, ONLINE, day("2026-10-26"), "checked"),
    Told("to_check", 0, ONLINE, day("2026-10-29"), "requested"),
)
ORDER: Final = ("requested", "checked", "approved", "active", "suspended", "revoked")


def numbers() -> dict[str, str]:
    """Return the numbers of the story's grants: what they are there for -> number."""
    return {one.name: number_of(f"story/{one.name}", one.at) for one in GRANTS}


def customer_ids() -> dict[str, str]:
    """Return the ids of the story's customers by number."""
    return {number: _id(place) for place, (number, *_) in enumerate(CUSTOMERS)}


def _id(place: int) -> str:
    return id_of(f"customer/{CUSTOMERS[place][0]}", REGISTERED + timedelta(hours=place))


def tell(world: World) -> None:
    """Take up the story."""
    parties: list[Party] = []
    for place in range(len(CUSTOMERS)):
        person = id_of(f"person/{CUSTOMERS[place][0]}", REGISTERED)
        parties.append(Party(f"customer:{_id(place)}", person))
        world.begin(_dealer(world, place, person))
    for one in GRANTS:
        world.begin(_grant(world, one, parties[one.dealer]))


def member(world: World) -> Party:
    """Return who acts for the first of the three."""
    return world.dealers[CUSTOMERS[0][0]].members[0]


def _dealer(world: World, place: int, person: str) -> Script:
    number, title, called, code = CUSTOMERS[place]
    at = REGISTERED + timedelta(hours=place)
    customer = _id(place)
    dealer = Dealer(number, customer, title, provinces()[code], MANAGER, "A", at)
    yield world.step(
        MANAGER,
        at,
        customers.RegisterCustomer(
            customer=customer,
            number=number,
            number_claim=world.desk.hash(customers.NUMBER_CLAIM, number),
            form="organization",
            title=title,
        ),
        customer,
    )
    world.dealers[number] = dealer
    world.assigned.setdefault(MANAGER, []).append(customer)
    licence = Shown("business_licence", place=f"档案柜 3，卷 {number}")
    check = customers.RecordIdentityCheck(
        customer=customer,
        check_kind="register_extract",
        channel="register",
        passed=True,
        document="business_licence",
    )
    yield world.step(VERIFIER, at + timedelta(days=1), check, customer, shown=(licence,))
    confirm = customers.ConfirmCustomer(customer=customer, policy=world.policies["dealership"])
    yield world.step(VERIFIER, at + timedelta(days=2), confirm, customer)
    yield register(world, at + timedelta(days=2), person, called)
    add = customer_records.AddMember(
        customer=customer,
        member=id_of(f"member/{number}", at),
        person=person,
        acts=dealers.ACTS,
    )
    yield world.step(MANAGER, at + timedelta(days=3), add, customer)
    dealer.members.append(Party(dealer.ref, person))


def _grant(world: World, told: Told, who: Party) -> Script:
    draw = draws(f"story/{told.name}")
    number = number_of(f"story/{told.name}", told.at)
    grant_id, customer = id_of(f"grant/story/{told.name}", told.at), who.id
    at = told.at + timedelta(minutes=draw.randrange(200))
    far = ORDER.index(told.goes)

    def later(hours: float) -> Instant:
        nonlocal at
        at += timedelta(hours=hours, minutes=draw.randrange(50))
        return at

    def step(by: str, command: Command, hours: float, why: str | None = None) -> Script:
        reason = None if why is None else (why, None)
        came = yield world.step(by, later(hours), command, grant_id, subject=customer, why=reason)
        return came.state

    wish = Wish(who.ref, ("sell",), told.scope, Term(days=365))
    request = grants.RequestGrant(
        grant_id=grant_id,
        number=number,
        number_claim=world.desk.hash("grant_number", number),
        case=id_of(f"case/story/{told.name}", told.at),
        grantee=wish.grantee,
        policy=world.policies["dealership"],
        actions=wish.actions,
        scope=wish.scope,
        term=wish.term,
    )
    yield from step(MANAGER, request, 0)
    if far < ORDER.index("checked"):
        return
    check = grants.RecordCheck(grant_id=grant_id, check="call_back", channel="post")
    yield from step(VERIFIER, check, 22)
    if far < ORDER.index("approved"):
        return
    state = None
    for stage, by in STAGES:
        state = yield from step(by, grants.ApproveStage(grant_id=grant_id, stage=stage), 23)
    if far < ORDER.index("active") or state is None or DEALERSHIP_2.agreement is None:
        return
    digest = agreement_digest(DEALERSHIP_2.agreement, state.terms)
    sign = grants.SignGrant(grant_id=grant_id, party="grantee", digest=digest)
    came = yield world.signed(who, later(26), sign, grant_id, customer)
    if came.state is None or told.goes == "active":
        return
    if told.goes == "suspended":
        hold = id_of("hold/story", told.at)
        held = supervision.SuspendGrant(grant_id=grant_id, hold=hold)
        yield from step(COMPLIANCE, held, 24 * 60, "complaint")
        return
    case = id_of("revocation/story", told.at)
    revoke = supervision.RevokeGrant(grant_id=grant_id, case=case)
    yield from step(COMPLIANCE, revoke, 24 * 80, "breach")


def last_note(world: World) -> Step:
    """Return the very last thing: with it the tenant's clock stands."""
    one = GRANTS[0]
    grant_id = id_of(f"grant/story/{one.name}", one.at)
    note = grants.NoteGrant(grant_id=grant_id, label="quarterly_review")
    return world.step(COMPLIANCE, LAST, note, grant_id, subject=_id(one.dealer))
