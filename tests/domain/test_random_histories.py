"""Whatever is asked in whatever order: folds never break, and standing agrees with the status."""

from datetime import timedelta
from itertools import pairwise

from hypothesis import given as forall
from hypothesis import settings
from hypothesis import strategies as st

from domain import customers, intervals, policies
from domain import staff as members
from domain.commands.catalogue import AddPoint, DeclareDimension, EndPoint, RenamePoint
from domain.commands.customer_records import (
    AddMember,
    DecideCorrection,
    DecideCustomerMerge,
    EndMember,
    GradeCustomer,
    ProposeCorrection,
    ProposeCustomerMerge,
)
from domain.commands.customers import (
    BlockCustomer,
    ConfirmCustomer,
    RecordCustomerLapse,
    RecordIdentityCheck,
    RegisterCustomer,
    UnblockCustomer,
)
from domain.commands.persons import LinkAccount, MergePerson, RegisterPerson, UnlinkAccount
from domain.commands.policies import (
    ApprovePolicy,
    DraftPolicy,
    EditPolicy,
    PublishPolicy,
    RetirePolicy,
    SendBackPolicy,
    SubmitPolicy,
)
from domain.commands.staff import (
    AppointStaff,
    AssignCustomers,
    ChangeStaffLevel,
    DeactivateStaff,
    EndDeputy,
    HandOver,
    SetDeputy,
)
from domain.events.common import Event
from domain.events.customer import CustomerBlocked, CustomerMergeProposed
from domain.events.policy import Identification
from domain.intervals import Intervals
from domain.values import TIMEKEEPER, Instant, Names
from domain.view import Command
from tests.support.given import (
    BECAUSE,
    NAMES,
    NOW,
    RECORDING,
    TENANT,
    World,
    catalogue,
    checked,
    confirmed,
    customer,
    days,
    given,
    person,
    policy,
    policy_body,
    registered,
    secret,
    staff,
    staff_party,
)

Step = tuple[int, str, float]

ALL_ROLES = ("administrator", "compliance", "requester", "verifier", "approver")


def steps(commands: list[Command], least: float = 0) -> st.SearchStrategy[list[Step]]:
    """Which command, by whom, how many days after the one before (`least` may be below 0)."""
    return st.lists(
        st.tuples(
            st.integers(0, len(commands) - 1),
            st.sampled_from(["ann", "bob"]),
            st.integers(int(least * 24), 72).map(lambda hours: hours / 24),
        ),
        max_size=25,
    )


def ask(world: World, command: Command, by: str, at: Instant) -> World:
    """Ask one. A refusal changes nothing; `Impossible` would fail the test."""
    party = TIMEKEEPER if isinstance(command, RecordCustomerLapse) else by
    outcome = world.when(command, party, at=at, reason=BECAUSE, evidence=(RECORDING,))
    return world if outcome.refused is not None else outcome.world


def play(world: World, commands: list[Command], taken: list[Step]) -> tuple[World, Instant]:
    """Ask one after the other; return the world and the instant after the last."""
    at = NOW
    for number, by, later in taken:
        at += days(later)
        world = ask(world, commands[number], by, at)
    return world, at


def assert_sorted_and_apart(found: Intervals) -> None:
    for begin, end in found:
        assert end is None or begin < end
    for (_, end), (begin, _) in pairwise(found):
        assert end is not None
        assert end < begin


SHORT = policy_body(identification=Identification(checks=1, channels=1, days=4))
AROUND = (
    staff("ann", *ALL_ROLES),
    staff("bob", *ALL_ROLES),
    person("ann"),
    person("bob"),
    person("zoe"),
    policy("dealership", body=SHORT),
    catalogue("territory"),
    customer("other"),
)

CUSTOMER: list[Command] = [
    RegisterCustomer(
        customer="acme", number="C1", number_claim=b"n", form="organization", title="甲公司"
    ),
    RecordIdentityCheck(
        customer="acme", check_kind="licence", channel="online", passed=True, document="licence"
    ),
    RecordIdentityCheck(
        customer="acme", check_kind="licence", channel="phone", passed=False, document="licence"
    ),
    ConfirmCustomer(customer="acme", policy="dealership"),
    RecordCustomerLapse(customer="acme"),
    BlockCustomer(customer="acme"),
    UnblockCustomer(customer="acme"),
    GradeCustomer(customer="acme", grade="A"),
    AddMember(customer="acme", member="m1", person="person-zoe", acts=("sign",)),
    EndMember(customer="acme", member="m1"),
    ProposeCorrection(customer="acme", correction="c1", title="乙公司"),
    DecideCorrection(customer="acme", correction="c1", accept=True),
    DecideCorrection(customer="acme", correction="c1", accept=False),
    ProposeCustomerMerge(customer="acme", into="other"),
    DecideCustomerMerge(customer="acme", accept=False),
    DecideCustomerMerge(customer="acme", accept=True),
]
CONFIRMED = (registered(by="zed"), checked(by="zed"), confirmed(by="bob", until=NOW + days(5)))
BLOCK = CustomerBlocked(at=NOW - days(2), by=staff_party("ann"), reason=BECAUSE)
MERGE = CustomerMergeProposed(at=NOW - days(1), by=staff_party("ann"), into="other")
STARTS = [CONFIRMED[:1], CONFIRMED, (*CONFIRMED, MERGE), (*CONFIRMED, BLOCK, MERGE)]
"""Where histories begin, so that many of them come to blocks, lapses and merges."""

CONFIRMING = [*CUSTOMER[1:7], CUSTOMER[1], CUSTOMER[3], *CUSTOMER[13:]]

STAFF: list[Command] = [
    AppointStaff(
        staff="eve",
        person="person-zoe",
        number="eve",
        number_claim=b"n",
        level="junior",
        roles=("verifier",),
        customers=("other",),
    ),
    DeactivateStaff(staff="eve"),
    ChangeStaffLevel(staff="eve", level="senior"),
    AssignCustomers(staff="eve", customers=("other",)),
    SetDeputy(staff="eve", deputy="bob", until=NOW + days(30)),
    SetDeputy(staff="bob", deputy="eve", until=NOW + days(30)),
    EndDeputy(staff="eve"),
    HandOver(staff="eve", to="bob"),
    HandOver(staff="bob", to="eve"),
]

POLICY: list[Command] = [
    DraftPolicy(policy="dealership", body=policy_body(depth=1), kind_claim=b"k"),
    EditPolicy(policy="dealership", version=2, body=policy_body(depth=2)),
    *(
        of(policy="dealership", version=version)
        for version in (2, 3)
        for of in (SubmitPolicy, SendBackPolicy, ApprovePolicy, PublishPolicy, RetirePolicy)
    ),
    PublishPolicy(policy="dealership", version=2, from_=NOW + days(12)),
    PublishPolicy(policy="dealership", version=3, from_=NOW + days(10)),
    RetirePolicy(policy="dealership", version=1),
]

CATALOGUE: list[Command] = [
    DeclareDimension(tenant=TENANT, dimension="product", names=NAMES),
    AddPoint(tenant=TENANT, dimension="product", path="tea", names=NAMES),
    AddPoint(tenant=TENANT, dimension="product", path="tea", names=NAMES, from_=NOW + days(9)),
    RenamePoint(tenant=TENANT, dimension="product", path="tea", names=Names("茶", "tea")),
    EndPoint(tenant=TENANT, dimension="product", path="tea"),
    EndPoint(tenant=TENANT, dimension="product", path="tea", ends_at=NOW + days(8)),
    AddPoint(
        tenant=TENANT, dimension="territory", path="CN", names=NAMES, attributes={"product": "tea"}
    ),
]

PERSON: list[Command] = [
    RegisterPerson(person="new"),
    LinkAccount(person="new", account="a", issuer="idp", login=secret(), claim=b"a"),
    UnlinkAccount(person="new", account="a"),
    MergePerson(person="new", into="person-zoe"),
    MergePerson(person="person-zoe", into="new"),
    LinkAccount(person="person-zoe", account="b", issuer="idp", login=secret(), claim=b"b"),
]

EVERYTHING = [*CUSTOMER, *STAFF, *POLICY, *CATALOGUE, *PERSON]


@settings(max_examples=150, deadline=None)
@forall(steps(EVERYTHING, least=-1))
def test_no_order_of_commands_leads_to_events_the_fold_calls_impossible(taken: list[Step]) -> None:
    world, _ = play(given(*AROUND), EVERYTHING, taken)
    assert all(not loaded.state.irregular for loaded in world.streams.values())


@settings(max_examples=150, deadline=None)
@forall(st.sampled_from(STARTS), steps(CONFIRMING, least=-1))
def test_standing_is_sorted_and_disjoint_also_when_the_clock_is_set_back(
    start: tuple[Event, ...], taken: list[Step]
) -> None:
    world, _ = play(given(*AROUND, customer("acme", *start)), CONFIRMING, taken)
    assert_sorted_and_apart(customers.standing(world.state("acme")))


@settings(max_examples=250, deadline=None)
@forall(st.sampled_from(STARTS), steps(CONFIRMING))
def test_a_customer_stands_at_exactly_the_instants_at_which_its_status_is_confirmed(
    start: tuple[Event, ...], taken: list[Step]
) -> None:
    world, at = given(*AROUND, customer("acme", *start)), NOW
    seen: list[tuple[Instant, bool]] = []
    for number, by, later in taken:
        for instant in (at, at + days(later / 2), at + days(later) - timedelta(microseconds=1)):
            if at <= instant:
                status = customers.status_at(world.state("acme"), instant)
                seen.append((instant, status == "confirmed"))
        at += days(later)
        if later == 0 and seen:  # what stood for no time at all is not asked for
            seen = [one for one in seen if one[0] < at]
        world = ask(world, CONFIRMING[number], by, at)
    found = customers.standing(world.state("acme"))
    assert_sorted_and_apart(found)
    for instant, stood in seen:
        assert intervals.contains(found, instant) == stood


@settings(max_examples=150, deadline=None)
@forall(steps(STAFF))
def test_a_staff_member_stands_while_appointed_and_nobody_stands_in_for_themselves(
    taken: list[Step],
) -> None:
    world, at = play(given(*AROUND), STAFF, taken)
    if "eve" not in world.streams:
        return
    eve = world.state("eve")
    assert_sorted_and_apart(members.standing(eve))
    assert intervals.contains(members.standing(eve), at) == eve.active
    bob = world.state("bob")
    for later in range(40):
        instant = NOW + days(later)
        deputies = members.deputy_at(eve, instant), members.deputy_at(bob, instant)
        assert None in deputies


@settings(max_examples=150, deadline=None)
@forall(steps(POLICY))
def test_at_every_instant_at_most_one_version_is_in_force(taken: list[Step]) -> None:
    world, _ = play(given(*AROUND), POLICY, taken)
    state = world.state("dealership")
    for half_day in range(60):
        instant = NOW + days(half_day / 2)
        found = policies.in_force(state, instant)
        begun = [
            number
            for number, version in state.versions.items()
            if policies.status_at(state, number, instant) == "published"
            and version.from_ is not None
            and version.from_ <= instant
        ]
        if found is None:
            assert begun == []
        elif found.status == "published":
            assert begun == [found.number]
        else:
            assert found.retired_at is not None
            assert instant < found.retired_at
            assert begun == []


def test_the_steps_reach_what_they_are_meant_to_reach() -> None:
    """Without this the tests above could pass by refusing everything."""
    order = [(n, "ann" if n == 0 else "bob", 0.0) for n in (0, 1, 3, 5, 6)]
    world, _ = play(given(*AROUND), CUSTOMER, [*order, (4, "ann", 5.0)])
    assert world.state("acme").status == "lapsed"
    order = [(0, "ann", 0.0), (2, "ann", 0.0), (4, "bob", 0.0), (5, "ann", 1.0)]
    world, _ = play(given(*AROUND), POLICY, order)
    assert world.state("dealership").versions[2].status == "published"
    world, _ = play(given(*AROUND), STAFF, [(0, "ann", 0.0), (4, "ann", 0.0), (5, "ann", 0.0)])
    assert members.deputy_at(world.state("eve"), NOW) is not None
    assert members.deputy_at(world.state("bob"), NOW) is None
