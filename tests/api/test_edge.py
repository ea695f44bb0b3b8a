"""The edge of a command: what it makes, and that an impatient one never asks a database."""

from collections.abc import Callable
from typing import Any, get_args

import msgspec
import pytest

from api.edge import REASON, Blocks, Edge
from api.ids import is_id, new_id
from api.rendering import TEXTLESS, opened, shown
from api.shapes import Deed, EvidenceGiven, ReasonGiven
from domain.commands.customers import BlockCustomer
from domain.customers import Customer
from domain.errors import Refused
from domain.grants import Grant
from domain.ledger import Ledgers
from domain.persons import Person
from domain.policies import Policy
from domain.sealing import Sealed
from domain.staff import Staff
from domain.values import Party
from tests.support.doors import House
from tests.support.trade import Trade


@pytest.fixture
def impatient(trade: Trade, monkeypatch: pytest.MonkeyPatch) -> Edge:
    """An edge in a process that remembers nothing; asking a database fails the test."""
    services = trade.house.services

    def asked(*_: object) -> Any:
        raise AssertionError("a database was asked")

    class Forgetful:
        recall = staticmethod(lambda *_: None)

    monkeypatch.setattr(services.keys, "_read", asked)
    monkeypatch.setattr(services.keys, "at_hand", lambda *_: False)
    monkeypatch.setattr(services.ledgers, "load", asked)
    monkeypatch.setattr(services.ledgers, "claim", asked)
    monkeypatch.setattr(services.ledgers, "ledger", lambda _: Forgetful())
    return services.edge(trade.tenant, trade["admin"].party, patient=False)


@pytest.mark.parametrize(
    "ask",
    [
        lambda edge: edge.sealed("text", "note", new_id(), new_id()),
        lambda edge: edge.hash("uscc", "x"),
        lambda edge: edge.fingerprint(b"x"),
        lambda edge: edge.claimed("uscc", "x"),
        lambda edge: edge.state("customer", new_id()),
        lambda edge: edge.subject("grant", new_id()),
        lambda edge: edge.principal(f"staff:{new_id()}"),
        lambda edge: edge.submission(
            BlockCustomer(customer=new_id()),
            Deed(evidence=(EvidenceGiven(kind="photo", file="0" * 64),)),
            caller="c",
            key="k",
            fingerprint=b"",
            subject=new_id(),
        ),
    ],
)
def test_an_impatient_edge_says_that_it_would_block(
    impatient: Edge, ask: Callable[[Edge], object]
) -> None:
    with pytest.raises(Blocks):
        ask(impatient)


def test_what_is_in_memory_needs_no_database(trade: Trade, monkeypatch: pytest.MonkeyPatch) -> None:
    services = trade.house.services
    customer = trade.customer("in-memory")
    services.edge(trade.tenant, trade["admin"].party).sealed("x", "note", customer, customer)

    def asked(*_: object) -> Any:
        raise AssertionError("a database was asked")

    monkeypatch.setattr(services.keys, "_read", asked)
    monkeypatch.setattr(Ledgers, "load", asked)
    edge = services.edge(trade.tenant, trade["admin"].party, patient=False)
    assert edge.subject("customer", customer) == customer
    assert edge.sealed("text", "note", customer, customer).subject == customer


def test_texts_open_only_as_the_field_they_were_sealed_for(trade: Trade) -> None:
    services = trade.house.services
    customer = trade.customer("fields")
    edge = services.edge(trade.tenant, trade["admin"].party)
    deed = Deed(reason=ReasonGiven(code="c", text="why"))
    submission = edge.submission(
        BlockCustomer(customer=customer), deed, caller="c", key=None, fingerprint=b""
    )
    show = opened(services.sealer, trade.tenant, customer, edge.command_id)
    assert shown(submission.reason, REASON, show) == {"code": "c", "text": "why"}
    assert shown(submission.reason, "note", show)["text"] == {"sealed": True, "forged": True}


def test_no_key_is_made_for_someone_who_is_not_there(house: House, trade: Trade) -> None:
    edge = house.services.edge(trade.tenant, Party("service:x"))
    for kind in ("customer", "person", "staff", "grant"):
        with pytest.raises(Refused) as refused:
            edge.subject(kind, new_id())
        assert refused.value.code == f"{kind}.unknown"
    assert edge.subject("catalogue", trade.tenant) == trade.tenant


def test_ids_rise_and_look_like_ids() -> None:
    made = [new_id() for _ in range(10_000)]
    assert made == sorted(made)
    assert len(set(made)) == len(made)
    assert all(is_id(one) and one[14] == "7" and one[19] in "89ab" for one in made)
    for wrong in (made[0].upper(), made[0][:-1], made[0] + "0", made[0].replace("-", ""), ""):
        assert not is_id(wrong)


def test_states_without_texts_hold_none() -> None:
    def mentions(kind: Any, seen: set[Any]) -> bool:
        if kind is Sealed:
            return True
        if kind in seen:
            return False
        seen.add(kind)
        if isinstance(kind, type) and issubclass(kind, msgspec.Struct):
            fields = msgspec.structs.fields(kind)
            return any(mentions(field.type, seen) for field in fields)
        return any(mentions(one, seen) for one in get_args(kind) if one is not Ellipsis)

    states = {"grant": Grant, "staff": Staff, "policy": Policy}
    assert states.keys() == TEXTLESS
    assert not any(mentions(state, set()) for state in states.values())
    assert mentions(Customer, set())
    assert mentions(Person, set())
