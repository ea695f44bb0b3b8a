"""How the sample's firm is set up and changes: people, catalogue, policies, deputies, leavers."""

from __future__ import annotations

from datetime import timedelta
from typing import Final

from api.sample import goods, people
from api.sample.agenda import Script, once
from api.sample.chance import draws, id_of
from api.sample.desk import Seal, Step, given
from api.sample.hours import FIRST, at_work, at_work_before
from api.sample.names import person as name_of
from api.sample.people import ADMINISTRATOR, COMPLIANCE, STAFF, Colleague
from api.sample.places import places
from api.sample.policies import VERSIONS, Written
from api.sample.world import World
from domain.commands import catalogue, persons, policies, staff
from domain.duties import OPERATOR
from domain.values import Instant, Names, Party
from domain.view import Command

ISSUER: Final = "https://login.example.com"


def set_up(world: World) -> None:
    """Take up all that the firm does by itself in these two years."""
    _catalogue(world)
    world.begin(_administrator(world))
    for one in STAFF[1:]:
        world.begin(_colleague(world, one))
    for kind, versions in VERSIONS.items():
        world.begin(_policy(world, kind, versions))
    for deputy in people.DEPUTIES:
        world.begin(_deputy(world, deputy))
    world.begin(_promotion(world))
    world.begin(_accounts(world))
    world.begin(_ending_points(world))


def _operator(at: Instant, command: Command, stream: str) -> Step:
    return Step(at, OPERATOR, stream, stream, given(command))


def _catalogue(world: World) -> None:
    """Declare dimensions and add points, as the operator: nobody works here yet."""
    tenant, at = world.tenant, FIRST
    commands: list[Command] = [
        catalogue.DeclareDimension(tenant=tenant, dimension=dimension, names=names)
        for dimension, names in goods.dimensions().items()
    ]
    points: list[tuple[str, str, Names]] = [("territory", one.path, one.names) for one in places()]
    for dimension in goods.dimensions():
        points += [(dimension, path, names) for path, names in goods.points(dimension).items()]
    commands += [
        catalogue.AddPoint(tenant=tenant, dimension=dimension, path=path, names=names)
        for dimension, path, names in points
    ]
    for number, command in enumerate(commands):
        step_at = at + timedelta(seconds=number)
        world.begin(once(_operator(step_at, command, tenant)))


def _person(by: Party, at: Instant, person: str, name: str) -> Step:
    def make(seal: Seal) -> Command:
        return persons.RegisterPerson(person=person, full_name=seal(name, "full_name"))

    return Step(at, by, person, person, make)


def register(world: World, at: Instant, person: str, name: str) -> Step:
    """Return the step in which the administrator registers a person."""
    return _person(world.crew.party(ADMINISTRATOR), at, person, name)


def _appointment(world: World, one: Colleague, person: str, staff_id: str) -> Command:
    return staff.AppointStaff(
        staff=staff_id,
        person=person,
        number=one.number,
        number_claim=world.desk.hash(staff.NUMBER_CLAIM, one.number),
        level=one.level,
        roles=one.roles,
        team=one.team,
    )


def _known(world: World, one: Colleague, at: Instant) -> tuple[str, str]:
    """Return the ids of the person and of the staff member; from now on their party is known."""
    person, staff_id = id_of(f"person/{one.number}", at), id_of(f"staff/{one.number}", at)
    world.crew.parties[one.number] = Party(f"staff:{staff_id}", person)
    return person, staff_id


def _administrator(world: World) -> Script:
    """The first administrator, appointed by the operator."""
    one, at = STAFF[0], FIRST + timedelta(minutes=30)
    person, staff_id = _known(world, one, at)
    yield _person(OPERATOR, at, person, one.name)
    yield _operator(at + timedelta(hours=6), _appointment(world, one, person, staff_id), staff_id)


def _colleague(world: World, one: Colleague) -> Script:
    """One of the staff: registered, appointed; some leave, and one comes back."""
    minutes = int(one.number[2:]) * 3
    at = FIRST + timedelta(days=3, hours=1, minutes=minutes)
    person, staff_id = _known(world, one, at)
    yield register(world, at, person, one.name)
    appointed = _appointment(world, one, person, staff_id)
    yield world.administrator(at + timedelta(hours=5), appointed, staff_id)
    if one.left is None:
        return
    if one.number == people.HANDED_OVER[0]:
        to = world.crew.party(people.HANDED_OVER[1]).id
        over = staff.HandOver(staff=staff_id, to=to)
        yield world.administrator(one.left - timedelta(days=1), over, staff_id)
        mine = world.assigned.pop(one.number, [])
        world.assigned.setdefault(people.HANDED_OVER[1], []).extend(mine)
        for dealer in world.dealers.values():
            if dealer.manager == one.number:
                dealer.manager = people.HANDED_OVER[1]
    left = staff.DeactivateStaff(staff=staff_id)
    yield world.administrator(one.left, left, staff_id, why=("left", None))
    if one.back is not None:
        yield world.administrator(one.back, appointed, staff_id)


def _policy(world: World, kind: str, versions: tuple[Written, ...]) -> Script:
    """A policy: each version drafted, handed in, approved by compliance, published."""
    first = versions[0].from_
    policy = world.policies[kind] = id_of(f"policy/{kind}", first - timedelta(days=3))
    draw = draws(f"policy/{kind}")
    for number, written in enumerate(versions, 1):
        at = at_work(written.from_ - timedelta(days=3)) + timedelta(minutes=draw.randrange(50))
        draft = policies.DraftPolicy(
            policy=policy,
            body=written.body,
            kind_claim=world.desk.hash(policies.KIND_CLAIM, kind),
        )
        author = world.crew.party(ADMINISTRATOR).person or ""
        yield world.administrator(at, draft, policy, subject=author)
        submit = policies.SubmitPolicy(policy=policy, version=number)
        came = yield world.administrator(at + timedelta(hours=5), submit, policy, subject=author)
        if number == 2:  # compliance wants it clearer first
            back = policies.SendBackPolicy(policy=policy, version=number)
            why = ("unclear", "第二阶段由谁审批，请写清楚。")
            soon = came.at + timedelta(hours=16)
            came = yield world.step(COMPLIANCE, soon, back, policy, subject=author, why=why)
            edit = policies.EditPolicy(policy=policy, version=number, body=written.body)
            came = yield world.administrator(came.at + timedelta(hours=5), edit, policy)
            came = yield world.administrator(came.at + timedelta(hours=16), submit, policy)
        approve = policies.ApprovePolicy(policy=policy, version=number)
        came = yield world.step(COMPLIANCE, came.at + timedelta(hours=19), approve, policy)
        publish = policies.PublishPolicy(policy=policy, version=number, from_=written.from_)
        if came.at > written.from_:
            publish = policies.PublishPolicy(policy=policy, version=number)
        yield world.administrator(came.at + timedelta(hours=5), publish, policy)


def _deputy(world: World, one: people.Deputy) -> Script:
    """Somebody goes away and says who stands in."""
    staff_id = world.crew.party(one.principal).id
    command = staff.SetDeputy(
        staff=staff_id, deputy=world.crew.party(one.deputy).id, from_=one.from_, until=one.until
    )
    at = at_work_before(one.from_ - timedelta(days=4)) + timedelta(hours=1)
    yield world.step(one.principal, at, command, staff_id)


def _promotion(world: World) -> Script:
    """Levels, roles and teams that change on the way."""
    changes: tuple[tuple[str, str, Command], ...] = ()
    party = world.crew.party
    juniors = {"S-0013": "senior", "S-0018": "senior"}
    for number, level in juniors.items():
        staff_id = party(number).id
        changed = staff.ChangeStaffLevel(staff=staff_id, level=level)
        changes += ((staff_id, "2025-07-01", changed),)
    moved = party("S-0015").id
    changes += (
        (moved, "2025-09-01", staff.ChangeTeam(staff=moved, team="sales/south")),
        (
            party("S-0028").id,
            "2026-01-05",
            staff.ChangeStaffRoles(staff=party("S-0028").id, roles=("reviewer", "auditor")),
        ),
        (moved, "2026-03-02", staff.ChangeTeam(staff=moved, team="sales/east")),
    )
    for staff_id, text, command in changes:
        yield world.administrator(people.day(text) + timedelta(minutes=20), command, staff_id)


def _account(world: World, one: Colleague, at: Instant) -> Step:
    person, account = world.crew.party(one.number).person or "", _account_id(one.number)
    login = f"{one.number.lower()}@example.com"
    claim = world.desk.hash(persons.ACCOUNT_CLAIM, f"{ISSUER} {login}")

    def make(seal: Seal) -> Command:
        sealed = seal(login, "login")
        return persons.LinkAccount(
            person=person, account=account, issuer=ISSUER, login=sealed, claim=claim
        )

    return Step(at, world.crew.party(ADMINISTRATOR), person, person, make)


def _account_id(number: str) -> str:
    return id_of(f"account/{number}", FIRST)


def _accounts(world: World) -> Script:
    """Log-ins, and a person who turns out to have been registered twice."""
    at = FIRST + timedelta(days=5, hours=2)
    for one in STAFF[:8]:
        came = yield _account(world, one, at)
        at = came.at
    twice = id_of("person/twice", at)
    came = yield register(world, at + timedelta(days=90), twice, name_of("twice"))
    again = id_of("person/again", at)
    came = yield register(world, came.at + timedelta(days=20), again, name_of("twice"))
    merge = persons.MergePerson(person=again, into=twice)
    came = yield world.administrator(came.at + timedelta(days=30), merge, again)
    first = world.crew.party("S-0008").person or ""
    unlink = persons.UnlinkAccount(person=first, account=_account_id("S-0008"))
    yield world.administrator(came.at + timedelta(days=200), unlink, first)


def _ending_points(world: World) -> Script:
    """A product that is given up, and one that gets another name."""
    rename = catalogue.RenamePoint(
        tenant=world.tenant,
        dimension="product",
        path="gift/festival",
        names=Names("节庆与商务礼盒", "Festival and business box"),
    )
    yield world.administrator(people.day("2025-12-01"), rename, world.tenant)
    end = catalogue.EndPoint(tenant=world.tenant, dimension="product", path=goods.GIVEN_UP)
    yield world.administrator(people.day("2026-09-30"), end, world.tenant)
