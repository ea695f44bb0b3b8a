"""What may exist once: held, looked at, and given back when something else takes its place."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from api.provisioning import Database
from domain.errors import Refused
from domain.ledger import Ledgers
from domain.view import How
from tests.support.holding import Held
from tests.support.ledger import make_ledgers, make_tenant, new_id, say, submission
from tests.support.toys import Link

X, Y, Z = (bytes([number]) * 32 for number in range(3))


@pytest.fixture
def ledgers(database: Database) -> Iterator[Ledgers]:
    made = make_ledgers(database)
    yield made
    made.close()


@pytest.fixture
def tenant(database: Database) -> str:
    return make_tenant(database)


def link(person: str, *claims: tuple[bytes, How]) -> Link:
    """Write an event of a person, on claims of the kind `uscc`."""
    return Link(person=person, account=new_id(), claims=tuple(("uscc", *one) for one in claims))


def taken() -> Any:
    return pytest.raises(Refused, match=r"^claim\.taken")


def test_who_only_looks_takes_nothing_and_is_refused_what_is_anothers(
    ledgers: Ledgers, tenant: str
) -> None:
    first, second = new_id(), new_id()
    say(ledgers, tenant, link(first, (X, "look")))
    assert ledgers.claim(tenant, "uscc", X) is None
    say(ledgers, tenant, link(second, (X, "hold")))
    with taken():
        say(ledgers, tenant, link(first, (X, "look")))
    assert say(ledgers, tenant, link(second, (X, "look"))).status == "done"
    assert ledgers.claim(tenant, "uscc", X) == second


def test_what_is_replaced_is_free_and_nothing_else_is(ledgers: Ledgers, tenant: str) -> None:
    first, second = new_id(), new_id()
    say(ledgers, tenant, link(first, (X, "hold")))
    say(ledgers, tenant, link(second, (Z, "hold")))
    other_kind = Link(person=first, account="a", claims=(("identity_number", X, "hold"),))
    say(ledgers, tenant, other_kind)
    with taken():
        say(ledgers, tenant, link(first, (Z, "replace")))
    assert ledgers.claim(tenant, "uscc", X) == first
    say(ledgers, tenant, link(first, (Y, "replace")))
    found = {one: ledgers.claim(tenant, "uscc", one) for one in (X, Y, Z)}
    assert found == {X: None, Y: first, Z: second}
    assert ledgers.claim(tenant, "identity_number", X) == first
    say(ledgers, tenant, link(second, (X, "replace")))
    assert ledgers.claim(tenant, "uscc", X) == second
    assert ledgers.claim(tenant, "uscc", Z) is None


def test_the_same_again_is_kept(ledgers: Ledgers, tenant: str) -> None:
    person = new_id()
    say(ledgers, tenant, link(person, (X, "hold")))
    say(ledgers, tenant, link(person, (X, "replace")))
    assert ledgers.claim(tenant, "uscc", X) == person


def test_in_one_batch_the_last_replacement_stands_and_who_comes_too_early_is_refused(
    database: Database, ledgers: Ledgers, tenant: str
) -> None:
    first, second, third = new_id(), new_id(), new_id()
    say(ledgers, tenant, link(first, (X, "hold")))
    held = Held(database, tenant)
    away = ledgers.submit(submission(tenant, link(new_id())))
    held.until(1)
    batch = [
        ledgers.submit(submission(tenant, command))
        for command in (
            link(second, (Y, "look")),
            link(first, (Y, "replace")),
            link(third, (X, "hold")),
            link(second, (Y, "hold")),
            link(first, (Z, "replace")),
        )
    ]
    held.let_go()
    assert away.result().status == "done"
    for one in (batch[0], batch[1], batch[4]):
        assert one.result().status == "done"
    for one in (batch[2], batch[3]):
        with taken():
            one.result()
    found = {one: ledgers.claim(tenant, "uscc", one) for one in (X, Y, Z)}
    assert found == {X: None, Y: None, Z: first}
    assert say(ledgers, tenant, link(third, (X, "hold"))).status == "done"


def test_a_command_left_out_gives_nothing_back(ledgers: Ledgers, tenant: str) -> None:
    first, second = new_id(), new_id()
    say(ledgers, tenant, link(first, (X, "hold")))
    say(ledgers, tenant, link(second, (Z, "hold")))
    both = Link(
        person=first,
        account="a",
        claims=(("uscc", Y, "replace"), ("identity_number", X, "hold"), ("uscc", Z, "look")),
    )
    with taken():
        say(ledgers, tenant, both)
    assert ledgers.claim(tenant, "uscc", X) == first
    assert ledgers.claim(tenant, "uscc", Y) is None
    assert ledgers.claim(tenant, "identity_number", X) is None
