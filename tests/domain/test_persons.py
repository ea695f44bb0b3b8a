"""Persons: their accounts, and whom they turned out to be."""

import pytest
from msgspec.structs import replace

from domain import persons
from domain.commands.persons import LinkAccount, MergePerson, RegisterPerson, UnlinkAccount
from domain.errors import Impossible
from domain.events.person import AccountLinked, AccountUnlinked, PersonMerged, PersonRegistered
from domain.values import Imported
from domain.view import Claim
from tests.support.given import NOW, OPERATOR, Fact, given, person, secret, staff

OFFICE = (staff("ada", "administrator"), staff("ann", "requester"), person("zoe"), person("zed"))
LOGIN = secret("person-zoe")


def link(account: str = "a1", issuer: str = "idp") -> LinkAccount:
    return LinkAccount(
        person="person-zoe", account=account, issuer=issuer, login=LOGIN, claim=b"hash"
    )


def unlink(account: str = "a1") -> UnlinkAccount:
    return UnlinkAccount(person="person-zoe", account=account)


def merge(one: str, into: str) -> MergePerson:
    return MergePerson(person=f"person-{one}", into=f"person-{into}")


def test_a_person_is_registered_once() -> None:
    world = given(*OFFICE)
    world = world.when(RegisterPerson(person="new", full_name=secret("new")), "ada").then(
        "person.registered.1"
    )
    world.when(RegisterPerson(person="new"), "ada").then_refused("person.state")


def test_an_account_is_linked_with_a_claim_so_that_it_is_one_persons() -> None:
    outcome = given(*OFFICE).when(link(), "ada")
    world = outcome.then("person.account_linked.1")
    assert outcome.view.claims == [Claim("account", b"hash", "person-zoe")]
    again = world.when(link(), "ada")
    again.then_nothing()
    assert again.view.claims == []
    world.when(link(issuer="other"), "ada").then_refused("person.account_taken")


def test_an_account_is_unlinked_once() -> None:
    world = given(*OFFICE).when(link(), "ada").then("person.account_linked.1")
    world = world.when(unlink(), "ada").then("person.account_unlinked.1")
    assert world.state("person-zoe").accounts == {}
    world.when(unlink(), "ada").then_nothing()


def test_a_person_has_so_many_accounts_and_no_more(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(persons, "MAX_ACCOUNTS", 1)
    world = given(*OFFICE).when(link(), "ada").then("person.account_linked.1")
    world.when(link("a2"), "ada").then_refused("person.too_many_accounts", limit=1)


def test_who_was_merged_is_changed_no_more() -> None:
    world = given(*OFFICE).when(merge("zoe", "zed"), "ada").then("person.merged.1")
    world.when(merge("zoe", "zed"), "ada").then_nothing()
    world.when(merge("zoe", "ada"), "ada").then_refused("person.state", into="person-zed")
    world.when(link(), "ada").then_refused("person.state", into="person-zed")
    world.when(unlink(), "ada").then_refused("person.state", into="person-zed")


def test_merges_make_no_circle() -> None:
    world = given(*OFFICE)
    world.when(merge("zoe", "zoe"), "ada").then_refused("person.merge_self")
    world.when(merge("zoe", "nobody"), "ada").then_refused("person.unknown")
    merged = world.when(merge("zoe", "zed"), "ada").then("person.merged.1")
    merged.when(merge("zed", "zoe"), "ada").then_refused("person.merge_target", into="person-zed")


@pytest.mark.parametrize("command", [link(), unlink(), merge("zoe", "zed")])
def test_who_was_never_registered_is_unknown(
    command: LinkAccount | UnlinkAccount | MergePerson,
) -> None:
    given(OFFICE[0], person("zed")).when(command, "ada").then_refused("person.unknown")


@pytest.mark.parametrize(
    "command", [RegisterPerson(person="new"), link(), unlink(), merge("zoe", "zed")]
)
def test_only_administrators_keep_persons(command: RegisterPerson) -> None:
    given(*OFFICE).when(command, "ann").then_refused("role.missing")


def test_the_operator_registers_and_links_and_does_no_more() -> None:
    world = given(*OFFICE)
    world.when(RegisterPerson(person="new"), OPERATOR).then("person.registered.1")
    world = world.when(link(), OPERATOR).then("person.account_linked.1")
    world.when(unlink(), OPERATOR).then_refused("role.missing")
    world.when(merge("zoe", "zed"), OPERATOR).then_refused("role.missing")


LINKED = AccountLinked(at=NOW, by=OPERATOR, account="a", issuer="i", login=LOGIN)
OUT_OF_ORDER = [
    LINKED,
    AccountUnlinked(at=NOW, by=OPERATOR, account="a"),
    PersonMerged(at=NOW, by=OPERATOR, into="other"),
]


@pytest.mark.parametrize("event", OUT_OF_ORDER)
def test_events_of_nobody_are_impossible_and_irregular_when_imported(
    event: AccountLinked | AccountUnlinked | PersonMerged,
) -> None:
    with pytest.raises(Impossible):
        persons.evolve(None, event)
    state = persons.evolve(None, replace(event, imported=Imported("old.csv", 1)))
    assert state.irregular
    registered = PersonRegistered(at=NOW, by=OPERATOR, imported=Imported("old.csv", 2))
    assert persons.evolve(state, registered).irregular


def test_no_verb_links_an_account_twice_or_registers_twice() -> None:
    state = given(Fact("person", "p", (PersonRegistered(at=NOW, by=OPERATOR), LINKED))).state("p")
    for event in (LINKED, PersonRegistered(at=NOW, by=OPERATOR)):
        with pytest.raises(Impossible):
            persons.evolve(state, event)
