"""How customers are identified: what carries a confirmation, what a check needs, what is once."""

import pytest

from domain.commands.customers import (
    ConfirmCustomer,
    RecordIdentityCheck,
    RegisterCustomer,
)
from domain.customer_identity import good_until
from domain.customers import Check
from domain.events.customer import (
    CustomerConfirmed,
)
from domain.events.policy import Identification, PolicyRetired
from domain.sealing import Sealed
from domain.values import Evidence, Instant, Party
from domain.view import Claim
from tests.support.given import (
    NOW,
    RECORDING,
    checked,
    confirmed,
    customer,
    days,
    deputy_set,
    given,
    member_added,
    member_party,
    person,
    policy,
    registered,
    secret,
    staff,
    staff_party,
)

TEAM = (
    staff("ann", "requester"),
    staff("bob", "verifier"),
    staff("cho", "compliance"),
    staff("app", "approver"),
    policy("dealership"),
)
CONFIRM = ConfirmCustomer(customer="acme", policy="dealership")
NEED = Identification(checks=2, channels=2, days=100)


def check(
    kind: str = "licence",
    channel: str = "online",
    *,
    passed: bool = True,
    ago: int = 1,
    ends_at: Instant | None = None,
) -> Check:
    return Check(kind, channel, passed, NOW - days(ago), ends_at, frozenset())


# --- what carries a confirmation ------------------------------------------------------------------


@pytest.mark.parametrize(
    ("checks", "carried"),
    [
        ((), False),
        ((check(),), False),
        ((check(), check()), False),
        ((check(), check(channel="phone")), True),
        ((check(), check(channel="phone", passed=False)), False),
        ((check(ago=100), check(channel="phone")), True),
        ((check(ago=101), check(channel="phone")), False),
        ((check(ends_at=NOW), check(channel="phone")), False),
        ((check(ends_at=NOW + days(1)), check(channel="phone")), True),
        ((check(), check(channel="phone"), check(passed=False)), False),
        ((check(passed=False), check(), check(channel="phone")), True),
        ((check(), check(channel="phone"), check("visit", passed=False)), True),
    ],
)
def test_so_many_passed_checks_over_so_many_channels_carry(
    checks: tuple[Check, ...], carried: bool
) -> None:
    assert (good_until(checks, NEED, NOW) is not None) == carried


def test_a_confirmation_ends_with_the_documents_it_rests_on_or_when_the_policy_says() -> None:
    online, phone = check(ends_at=NOW + days(30)), check(channel="phone")
    assert good_until((online, phone), NEED, NOW) == NOW + days(30)
    far = check(ends_at=NOW + days(900))
    assert good_until((far, phone), NEED, NOW) == NOW + days(100)


def test_of_more_checks_than_needed_those_that_last_longest_are_taken() -> None:
    soon = check("card", "online", ends_at=NOW + days(5))
    later = check("passport", "online", ends_at=NOW + days(50))
    phone = check("call", "phone")
    assert good_until((soon, later, phone), NEED, NOW) == NOW + days(50)


def test_a_policy_may_ask_for_no_check_at_all() -> None:
    nothing = Identification(checks=0, channels=0, days=7)
    assert good_until((), nothing, NOW) == NOW + days(7)
    ended = check(ends_at=NOW - days(1))
    assert good_until((ended,), nothing, NOW) == NOW + days(7)


def test_checks_that_carried_one_confirmation_do_not_carry_the_next() -> None:
    twice = (checked(), checked(kind="interview", channel="phone"))
    over = confirmed(by="bob", until=NOW - days(1))
    world = given(*TEAM, customer("acme", registered("ann"), *twice, over))
    world.when(CONFIRM, "bob").then_refused("customer.not_identified", checks=2, channels=2)


def test_a_confirmation_names_the_policy_version_that_asked() -> None:
    twice = (checked(), checked(kind="interview", channel="phone"))
    outcome = given(*TEAM, customer("acme", registered("ann"), *twice)).when(CONFIRM, "bob")
    outcome.then("customer.confirmed.1")
    event = outcome.events[0]
    assert isinstance(event, CustomerConfirmed)
    assert (event.policy, event.policy_version) == ("dealership", 1)
    assert event.until == NOW + days(365)


def test_without_a_policy_in_force_nobody_is_confirmed() -> None:
    world = given(*TEAM, customer("acme", registered("ann")))
    retired = PolicyRetired(at=NOW, by=staff_party("cho"), version=1)
    world.happened("policy", "dealership", [retired])
    world.when(CONFIRM, "bob").then_refused("policy.not_in_force")
    nowhere = ConfirmCustomer(customer="acme", policy="nowhere")
    world.when(nowhere, "bob").then_refused("policy.unknown")


def test_a_deputy_does_not_confirm_what_the_principal_registered() -> None:
    world = given(
        staff("ann", "verifier", then=[deputy_set("bob")]),
        staff("bob", "verifier"),
        policy("dealership"),
        customer("acme", registered("ann"), checked(), checked(kind="call", channel="phone")),
    )
    world.when(CONFIRM, "bob", on_behalf_of="ann").then_refused("duties.not_separate")
    world.when(CONFIRM, "bob").then("customer.confirmed.1")


def test_a_second_account_is_no_second_person() -> None:
    world = given(
        staff("ann", "requester"),
        staff("ann2", "verifier"),
        person("ann2", merged_into="ann"),
        person("ann"),
        policy("dealership"),
        customer("acme", registered("ann"), checked(), checked(kind="call", channel="phone")),
    )
    world.when(CONFIRM, "ann2").then_refused("duties.not_separate")


# --- registering and checking ---------------------------------------------------------------------


def register(**changes: object) -> RegisterCustomer:
    plain = {
        "customer": "new",
        "number": "C7",
        "number_claim": b"number",
        "form": "organization",
        "title": "甲公司",
        "uscc": "91310000MA1FL0000X",
        "uscc_claim": b"uscc",
    }
    return RegisterCustomer(**{**plain, **changes})  # pyright: ignore[reportArgumentType]


HUMAN = {
    "form": "person",
    "title": None,
    "uscc": None,
    "full_name": secret("new"),
    "identity_number": secret("new"),
    "identity_claim": b"identity",
}


def test_what_identifies_a_customer_is_claimed() -> None:
    organization = given(*TEAM).when(register(), "ann")
    organization.then("customer.registered.1")
    assert organization.view.claims == [
        Claim("customer_number", b"number", "new"),
        Claim("uscc", b"uscc", "new"),
    ]
    human = given(*TEAM).when(register(**HUMAN), "bob")
    human.then("customer.registered.1")
    assert human.view.claims == [
        Claim("customer_number", b"number", "new"),
        Claim("identity_number", b"identity", "new"),
    ]


@pytest.mark.parametrize(
    ("command", "code"),
    [
        (register(uscc_claim=None), "claim.missing"),
        (register(**{**HUMAN, "identity_claim": None}), "claim.missing"),
        (register(full_name=secret()), "customer.form"),
        (register(identity_number=secret()), "customer.form"),
        (register(**{**HUMAN, "title": "张三"}), "customer.form"),
        (register(**{**HUMAN, "uscc": "9131", "uscc_claim": b"u"}), "customer.form"),
        (register(title=None), "customer.name_missing"),
        (register(**{**HUMAN, "full_name": None}), "customer.name_missing"),
        (register(title="  "), "customer.title_malformed"),
        (register(number="no number"), "code.malformed"),
    ],
)
def test_a_registration_that_lacks_or_mixes_something_is_refused(
    command: RegisterCustomer, code: str
) -> None:
    given(*TEAM).when(command, "ann").then_refused(code)


def test_a_member_who_may_request_registers_a_customer_and_others_do_not() -> None:
    known = customer("acme", registered(), member_added("mia"), member_added("max", "sign"))
    world = given(*TEAM, known)
    world.when(register(), member_party("acme", "mia")).then("customer.registered.1")
    world.when(register(), member_party("acme", "max")).then_refused("member.missing")
    world.when(register(), Party("service:crm")).then_refused("role.missing")


def seen(channel: str = "online", **changes: object) -> RecordIdentityCheck:
    plain = {
        "customer": "acme",
        "check_kind": "licence",
        "channel": channel,
        "passed": True,
        "document": "business_licence",
    }
    return RecordIdentityCheck(**{**plain, **changes})  # pyright: ignore[reportArgumentType]


PHOTO = Evidence("photo", file="f", sha256="0" * 64, size=1)
PAPER = Evidence("written_note", place=Sealed("c", "k", b"Shelf 4"))


@pytest.mark.parametrize(
    ("command", "evidence", "code"),
    [
        (seen("smoke_signal"), (), "check.channel_unknown"),
        (seen(document=None), (), "check.document_missing"),
        (seen(document="my passport"), (), "code.malformed"),
        (seen(check_kind=""), (), "code.malformed"),
        (seen(document_ends_at=NOW), (), "check.document_ended"),
        (seen("phone"), (), "evidence.record_missing"),
        (seen("phone"), (PHOTO,), "evidence.record_missing"),
        (seen("interview"), (PAPER,), "evidence.record_missing"),
        (seen("site_visit"), (), "evidence.record_missing"),
    ],
)
def test_a_check_says_what_was_shown_where_and_what_is_left_of_it(
    command: RecordIdentityCheck, evidence: tuple[Evidence, ...], code: str
) -> None:
    world = given(*TEAM, customer("acme"))
    world.when(command, "ann", evidence=evidence).then_refused(code)


@pytest.mark.parametrize(
    ("command", "evidence"),
    [
        (seen(), ()),
        (seen(document=None), (PAPER,)),
        (seen(document_ends_at=NOW + days(1)), ()),
        (seen("phone"), (RECORDING,)),
        (seen("site_visit"), (PHOTO,)),
        (seen(passed=False, document_ends_at=NOW), ()),
    ],
)
def test_a_check_with_its_record_is_kept(
    command: RecordIdentityCheck, evidence: tuple[Evidence, ...]
) -> None:
    outcome = given(*TEAM, customer("acme")).when(command, "ann", evidence=evidence)
    world = outcome.then("customer.identity_checked.1")
    assert world.state("acme").checks[-1].persons == {"person-ann"}
