"""Rows and states of the customer's matrix."""

from __future__ import annotations

from domain import customers
from domain.commands.customer_records import (
    AddMember,
    ChangeCustomerProfile,
    ChangeSharedProfile,
    DecideCorrection,
    DecideCustomerMerge,
    EndMember,
    GradeCustomer,
    LinkCustomer,
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
from domain.events.common import Event
from domain.events.customer import (
    CustomerBlocked,
    CustomerCorrectionProposed,
    CustomerLapsed,
    CustomerMerged,
    CustomerMergeProposed,
)
from domain.events.grant import GrantActivated, GrantRequested
from domain.events.policy import ActionRule, Identification, ShareTemplate
from domain.values import TIMEKEEPER, Imported, Names, PolicyRef, Term, Terms
from domain.view import Command
from tests.support.given import (
    BECAUSE,
    NOW,
    RECORDING,
    Fact,
    World,
    checked,
    confirmed,
    customer,
    days,
    member_added,
    person,
    policy,
    policy_body,
    registered,
    secret,
    staff,
    staff_party,
)
from tests.support.matrix import Matrix, Row

TEMPLATE = ShareTemplate("t", Names("售后", "after-sales"), {"address": "edit", "grade": "read"})
SHARING = policy_body(
    kind="share",
    dimensions=("customer",),
    actions=(ActionRule("edit", Names("变更", "edit")),),
    templates=(TEMPLATE,),
)
SHARED = Terms("share", ("edit",), {"customer": ("acme",)}, Term(), template="t", purpose="repair")
OF_OLD = {"at": NOW - days(30), "by": staff_party("ann"), "imported": Imported("old.csv", 1)}


def share(word: str, *, days_left: float) -> Fact:
    """A share of the customer with bob, in force since thirty days."""
    ref = PolicyRef("sharing", 1)
    asked = GrantRequested(
        **OF_OLD, number=word, case=word, grantee="staff:bob", terms=SHARED, policy=ref
    )
    begun = GrantActivated(**OF_OLD, starts_at=NOW - days(30), ends_at=NOW + days(days_left))
    return Fact("grant", word, (asked, begun))


AROUND: tuple[Fact, ...] = (
    policy("sharing", body=SHARING),
    share("lent", days_left=5),
    share("over", days_left=-5),
    staff("ann", "requester", "verifier", "compliance"),
    staff("bob", "requester", "verifier", "compliance"),
    person("mia"),
    person("max"),
    policy("dealership"),
    policy("strict", body=policy_body(identification=Identification(checks=9, channels=2))),
    customer("other", registered(by="bob")),
)

SEEN_TWICE = (checked(by="ann"), checked(by="ann", kind="interview", channel="phone"))

BEGUN: tuple[Event, ...] = (
    registered(by="ann"),
    member_added("mia", "request", "sign"),
    CustomerCorrectionProposed(
        at=NOW - days(20), by=staff_party("ann"), correction="c1", title="乙公司"
    ),
)
CONFIRMED = (*BEGUN, *SEEN_TWICE, confirmed(by="bob"))
OVER = (
    *BEGUN,
    confirmed(by="bob", at=NOW - days(200), until=NOW - days(2)),
    *SEEN_TWICE,
)
LAPSED = (*OVER, CustomerLapsed(at=NOW - days(1), by=TIMEKEEPER))
BLOCK = CustomerBlocked(at=NOW - days(5), by=staff_party("ann"), reason=BECAUSE)
MERGE = CustomerMergeProposed(at=NOW - days(4), by=staff_party("ann"), into="other")
MERGED = CustomerMerged(at=NOW - days(3), by=staff_party("bob"), into="other")


def _state(*events: Event) -> tuple[Fact, ...]:
    return (*AROUND, customer("acme", *events))


STATES = {
    "none": AROUND,
    "registered": _state(*BEGUN, *SEEN_TWICE),
    "confirmed": _state(*CONFIRMED),
    "over": _state(*OVER),
    "lapsed": _state(*LAPSED),
    "blocked": _state(*CONFIRMED, BLOCK),
    "blocked_over": _state(*OVER, BLOCK),
    "merged": _state(*CONFIRMED, MERGE, MERGED),
}


def _check(channel: str) -> RecordIdentityCheck:
    return RecordIdentityCheck(
        customer="acme",
        check_kind="interview",
        channel=channel,
        passed=True,
        document="business_licence",
    )


ROWS = {
    "register": Row(
        RegisterCustomer(
            customer="acme", number="C9", number_claim=b"n", form="organization", title="丙公司"
        ),
        "ann",
    ),
    "record a check": Row(_check("phone"), "ann", evidence=(RECORDING,)),
    "record a spoken check without its record": Row(_check("phone"), "ann"),
    "confirm": Row(ConfirmCustomer(customer="acme", policy="dealership"), "bob"),
    "confirm by the one who registered": Row(
        ConfirmCustomer(customer="acme", policy="dealership"), "ann"
    ),
    "confirm with too few checks": Row(ConfirmCustomer(customer="acme", policy="strict"), "bob"),
    "confirm as a member": Row(
        ConfirmCustomer(customer="acme", policy="dealership"),
        "bob",
        before=(member_added("bob"),),
    ),
    "record the lapse": Row(RecordCustomerLapse(customer="acme"), TIMEKEEPER),
    "change the profile": Row(ChangeCustomerProfile(customer="acme", contact=secret()), "ann"),
    "change the profile through a share": Row(
        ChangeSharedProfile(customer="acme", grant="lent", fields=("address",), address=secret()),
        "bob",
    ),
    "change what the share does not let": Row(
        ChangeSharedProfile(
            customer="acme", grant="lent", fields=("contact.phone",), contact=secret()
        ),
        "bob",
    ),
    "change the profile through another's share": Row(
        ChangeSharedProfile(customer="acme", grant="lent", fields=("address",), address=secret()),
        "ann",
    ),
    "change the profile through a share that is over": Row(
        ChangeSharedProfile(customer="acme", grant="over", fields=("address",), address=secret()),
        "bob",
    ),
    "propose a correction": Row(
        ProposeCorrection(customer="acme", correction="c2", title="丁公司"), "ann"
    ),
    "accept the correction": Row(
        DecideCorrection(customer="acme", correction="c1", accept=True), "bob"
    ),
    "accept one's own correction": Row(
        DecideCorrection(customer="acme", correction="c1", accept=True), "ann"
    ),
    "reject the correction": Row(
        DecideCorrection(customer="acme", correction="c1", accept=False), "bob"
    ),
    "grade": Row(GradeCustomer(customer="acme", grade="A"), "ann"),
    "link to another system": Row(
        LinkCustomer(customer="acme", system="crm", external_id="4711"), "ann"
    ),
    "add a member": Row(
        AddMember(customer="acme", member="m2", person="person-max", acts=("sign",)), "ann"
    ),
    "end a member": Row(EndMember(customer="acme", member="mia"), "ann"),
    "block": Row(BlockCustomer(customer="acme"), "ann", reason=BECAUSE),
    "block without a reason": Row(BlockCustomer(customer="acme"), "ann"),
    "unblock": Row(UnblockCustomer(customer="acme"), "ann", reason=BECAUSE),
    "propose a merge": Row(ProposeCustomerMerge(customer="acme", into="other"), "ann"),
    "propose a merge into itself": Row(ProposeCustomerMerge(customer="acme", into="acme"), "ann"),
    "accept the merge": Row(
        DecideCustomerMerge(customer="acme", accept=True), "bob", before=(MERGE,)
    ),
    "accept one's own merge": Row(
        DecideCustomerMerge(customer="acme", accept=True), "ann", before=(MERGE,)
    ),
    "accept a merge nobody proposed": Row(DecideCustomerMerge(customer="acme", accept=True), "bob"),
    "reject the merge": Row(
        DecideCustomerMerge(customer="acme", accept=False), "bob", before=(MERGE,)
    ),
}


def _state_of(world: World, _command: Command) -> str:
    return customers.status_at(world.state("acme"), NOW)


CUSTOMER = Matrix(
    "customer", "customer", "acme", STATES, ROWS, _state_of, frozenset({"none", "merged"})
)
