"""What changes on a customer's record: two people, members, limits, and whose role it is."""

import pytest

from domain import customer_changes, customer_identity, customers
from domain.commands.customer_records import (
    AddMember,
    ChangeCustomerProfile,
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
from domain.values import Party
from domain.view import Claim, Command
from tests.support.given import (
    BECAUSE,
    NOW,
    OPERATOR,
    checked,
    customer,
    given,
    person,
    policy,
    registered,
    secret,
    staff,
)

TEAM = (
    staff("ann", "requester"),
    staff("bob", "verifier"),
    staff("cho", "compliance"),
    staff("app", "approver"),
    policy("dealership"),
)
# --- two people -----------------------------------------------------------------------------------

PROPOSE = ProposeCorrection(
    customer="acme", correction="c1", title="乙公司", uscc="9131", uscc_claim=b"uscc"
)
ACCEPT = DecideCorrection(customer="acme", correction="c1", accept=True, uscc_claim=b"uscc")
REJECT = DecideCorrection(customer="acme", correction="c1", accept=False)
ACME = given(*TEAM, customer("acme", registered()), customer("human", registered(form="person")))


def test_a_correction_changes_nothing_until_another_person_accepts_it() -> None:
    outcome = ACME.when(PROPOSE, "bob")
    world = outcome.then("customer.correction_proposed.1")
    assert outcome.view.claims == [Claim("uscc", b"uscc", "acme", "look")]
    assert world.state("acme").title == "甲公司"
    world.when(ACCEPT, "bob").then_refused("duties.not_separate")
    accepted = world.when(ACCEPT, "cho")
    corrected = accepted.then("customer.corrected.1")
    assert accepted.view.claims == [Claim("uscc", b"uscc", "acme", "replace")]
    assert (corrected.state("acme").title, corrected.state("acme").uscc) == ("乙公司", "9131")
    corrected.when(ACCEPT, "cho").then_nothing()
    corrected.when(REJECT, "cho").then_refused("correction.decided", outcome="corrected")


def test_a_rejected_correction_changes_nothing_and_its_author_may_take_it_back() -> None:
    rejected = ACME.when(PROPOSE, "bob").world.when(REJECT, "bob")
    world = rejected.then("customer.correction_rejected.1")
    assert rejected.view.claims == []
    assert world.state("acme").title == "甲公司"
    world.when(REJECT, "cho").then_nothing()
    unhashed = DecideCorrection(customer="acme", correction="c1", accept=True)
    ACME.when(PROPOSE, "bob").world.when(unhashed, "cho").then_refused("claim.missing")
    world.when(ACCEPT, "cho").then_refused("correction.decided", outcome="rejected")


def test_a_correction_that_corrects_nothing_is_no_news() -> None:
    same = ProposeCorrection(customer="acme", correction="c1", title="甲公司")
    ACME.when(same, "ann").then_nothing()
    ACME.when(ProposeCorrection(customer="acme", correction="c1"), "ann").then_nothing()


def test_a_persons_fields_are_corrected_sealed_and_never_in_the_clear() -> None:
    sealed = ProposeCorrection(customer="human", correction="c1", full_name=secret("human"))
    world = ACME.when(sealed, "ann").then("customer.correction_proposed.1")
    accept = DecideCorrection(customer="human", correction="c1", accept=True)
    world = world.when(accept, "bob").then("customer.corrected.1")
    assert world.state("human").full_name == secret("human")
    clear = ProposeCorrection(customer="human", correction="c2", title="李四")
    ACME.when(clear, "ann").then_refused("customer.form")
    number = ProposeCorrection(customer="human", correction="c2", identity_number=secret())
    ACME.when(number, "ann").then_refused("claim.missing")


def test_an_unknown_or_repeated_correction_is_refused() -> None:
    ACME.when(ACCEPT, "cho").then_refused("correction.unknown")
    ACME.when(PROPOSE, "ann").world.when(PROPOSE, "ann").then_refused("correction.taken")


def test_a_merge_is_proposed_by_one_and_accepted_by_compliance() -> None:
    world = given(*TEAM, staff("cee", "compliance"), customer("acme"), customer("b"), customer("c"))
    propose = ProposeCustomerMerge(customer="acme", into="b")
    world = world.when(propose, "cho").then("customer.merge_proposed.1")
    world.when(propose, "ann").then_nothing()
    other = ProposeCustomerMerge(customer="acme", into="c")
    world.when(other, "ann").then_refused("customer.merge_open", into="b")
    accept = DecideCustomerMerge(customer="acme", accept=True)
    world.when(accept, "bob").then_refused("role.missing")
    world.when(accept, "cho").then_refused("duties.not_separate")
    reject = DecideCustomerMerge(customer="acme", accept=False)
    world.when(reject, "cho").then("customer.merge_rejected.1")
    assert world.when(accept, "cee").then("customer.merged.1").state("acme").merged_into == "b"


def test_nothing_is_merged_into_what_is_gone_unknown_or_of_another_form() -> None:
    world = given(*TEAM, customer("acme"), customer("b"), customer("h", registered(form="person")))
    for into, code in (("nowhere", "customer.unknown"), ("h", "customer.form")):
        propose = ProposeCustomerMerge(customer="acme", into=into)
        world.when(propose, "ann").then_refused(code)
    world = world.when(ProposeCustomerMerge(customer="b", into="acme"), "ann").world
    towards_b = world.when(ProposeCustomerMerge(customer="acme", into="b"), "ann").world
    gone = towards_b.when(DecideCustomerMerge(customer="b", accept=True), "cho").world
    crossed = DecideCustomerMerge(customer="acme", accept=True)
    gone.when(crossed, "cho").then_refused("customer.merge_target", into="acme")


# --- members, grade, links ------------------------------------------------------------------------


def add(**changes: object) -> AddMember:
    plain = {"customer": "acme", "member": "m", "person": "person-zoe", "acts": ("sign", "request")}
    return AddMember(**{**plain, **changes})  # pyright: ignore[reportArgumentType]


WITH_ZOE = given(*TEAM, customer("acme"), person("zoe"), person("zed", merged_into="zoe"))


def test_a_member_is_added_once_and_ended_once() -> None:
    world = WITH_ZOE.when(add(), "ann").then("customer.member_added.1")
    world.when(add(acts=("request", "sign", "sign")), "ann").then_nothing()
    world.when(add(acts=("sign",)), "ann").then_refused("member.taken")
    end = EndMember(customer="acme", member="m")
    ended = world.when(end, "ann").then("customer.member_ended.1")
    ended.when(end, "ann").then_nothing()
    WITH_ZOE.when(end, "ann").then_refused("member.unknown")
    member = ended.state("acme").members["m"]
    assert not customers.is_member(member, NOW)


@pytest.mark.parametrize(
    ("command", "code"),
    [
        (add(person="person-nobody"), "person.unknown"),
        (add(person="person-zed"), "person.state"),
        (add(acts=()), "member.act_unknown"),
        (add(acts=("sign", "approve")), "member.act_unknown"),
        (add(until=NOW), "member.term_empty"),
    ],
)
def test_a_member_is_a_person_with_acts_for_a_time(command: AddMember, code: str) -> None:
    WITH_ZOE.when(command, "ann").then_refused(code)


def test_what_is_already_so_is_no_news() -> None:
    grade = GradeCustomer(customer="acme", grade="A")
    link = LinkCustomer(customer="acme", system="crm", external_id="1")
    world = ACME.when(grade, "ann").world.when(link, "ann").world
    world.when(grade, "bob").then_nothing()
    world.when(link, "bob").then_nothing()
    world.when(ChangeCustomerProfile(customer="acme"), "bob").then_nothing()
    renamed = LinkCustomer(customer="acme", system="crm", external_id="2")
    assert world.when(renamed, "bob").world.state("acme").links == {"crm": "2"}


def test_a_profile_keeps_what_a_change_does_not_name() -> None:
    world = ACME.when(ChangeCustomerProfile(customer="acme", contact=secret("a")), "ann").world
    world = world.when(ChangeCustomerProfile(customer="acme", address=secret("b")), "ann").world
    assert (world.state("acme").contact, world.state("acme").address) == (secret("a"), secret("b"))


REGISTER = RegisterCustomer(
    customer="new", number="C7", number_claim=b"number", form="organization", title="甲公司"
)
CHECK = RecordIdentityCheck(
    customer="acme", check_kind="card", channel="online", passed=True, document="identity_card"
)


@pytest.mark.parametrize(
    ("module", "limit", "most", "command", "code"),
    [
        (
            customer_identity,
            "MAX_CHECKS",
            1,
            CHECK,
            "customer.too_many_checks",
        ),
        (customer_changes, "MAX_MEMBERS", 0, add(), "member.too_many"),
        (customer_changes, "MAX_CORRECTIONS", 0, PROPOSE, "correction.too_many"),
        (
            customer_changes,
            "MAX_LINKS",
            0,
            LinkCustomer(customer="acme", system="crm", external_id="1"),
            "customer.too_many_links",
        ),
    ],
)
def test_there_is_a_limit_to_everything_that_grows(
    monkeypatch: pytest.MonkeyPatch,
    module: object,
    limit: str,
    most: int,
    command: Command,
    code: str,
) -> None:
    monkeypatch.setattr(module, limit, most)
    world = given(*TEAM, customer("acme", registered(), checked()), person("zoe"))
    world.when(command, "ann").then_refused(code, limit=most)


@pytest.mark.parametrize(
    ("command", "by"),
    [
        (ConfirmCustomer(customer="acme", policy="dealership"), "cho"),
        (REGISTER, "cho"),
        (REGISTER, OPERATOR),
        (CHECK, "cho"),
        (RecordCustomerLapse(customer="acme"), "cho"),
        (BlockCustomer(customer="acme"), "bob"),
        (UnblockCustomer(customer="acme"), "bob"),
        (ACCEPT, "ann"),
        (DecideCustomerMerge(customer="acme", accept=True), "ann"),
        (GradeCustomer(customer="acme", grade="A"), "app"),
        (LinkCustomer(customer="acme", system="crm", external_id="1"), "app"),
        (ChangeCustomerProfile(customer="acme", contact=secret()), "app"),
        (PROPOSE, "app"),
        (ProposeCustomerMerge(customer="acme", into="human"), "app"),
        (add(), "app"),
        (EndMember(customer="acme", member="m"), "app"),
    ],
)
def test_only_whose_role_it_is_may_do_it(command: Command, by: str | Party) -> None:
    ACME.when(command, by, reason=BECAUSE).then_refused("role.missing")
