"""Many evaluations are read in one pass where they can be; item by item they get the same
answer."""

from __future__ import annotations

from typing import Any

import pytest

from api.routes import authzen_items
from tests.support.ledger import new_id
from tests.support.trade import Trade, evaluation

EVALUATIONS = "/access/v1/evaluations"


@pytest.fixture(scope="module")
def dealer(trade: Trade) -> str:
    customer = trade.customer("ways")
    assert trade.may(customer, since=trade.active(customer)["position"])
    return customer


def bodies(dealer: str) -> dict[str, dict[str, Any]]:
    """Return requests that are whole, that lack something, and that say nothing of it."""
    whole = evaluation(dealer)
    beside = {"action": whole["action"], "resource": whole["resource"]}
    subject, nobody = whole["subject"], {"type": "customer", "id": new_id()}
    told = whole | {"context": {"explain": True}}
    many = [whole, evaluation(dealer, "CN/32"), told, evaluation(nobody["id"])]
    return {
        "whole": {"evaluations": many},
        "defaults": beside | {"evaluations": [{"subject": subject}, {"subject": nobody}]},
        "nothing in an item": whole | {"evaluations": [{}, {"resource": whole["resource"]}]},
        "null is not filled in": whole | {"evaluations": [{"subject": None}, {}]},
        "no default": {"evaluations": [{"subject": subject}, whole]},
        "half an object": whole | {"evaluations": [{"subject": {"id": nobody["id"]}}]},
        "half a default": whole | {"subject": {"type": "customer"}, "evaluations": [{}, whole]},
        "wrong type": {"evaluations": [whole, whole | {"action": {"name": 7}}]},
        "bad id": {"evaluations": [whole, evaluation(dealer, "CN//32"), told]},
        "bad context": {"evaluations": [whole | {"context": {"at": "soon"}}, whole]},
        "context beside": whole | {"context": {"explain": True}, "evaluations": [{}, whole]},
        "own context": told | {"evaluations": [{"context": {"hue": "red"}}, {"context": None}]},
        "position": {"evaluations": [told, whole | {"context": {"as_of": 1}}]},
        "unknown members": {"evaluations": [whole | {"more": [1]}], "less": {}},
        "stops": {"evaluations": many, "options": {"evaluations_semantic": "deny_on_first_deny"}},
        "wrong option": {"evaluations": many, "options": {"evaluations_semantic": "some"}},
        "single": whole,
        "no items": told | {"evaluations": []},
        "item is no object": {"evaluations": [whole, 1]},
    }


def test_both_ways_give_the_same_answer(
    trade: Trade, dealer: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = bodies(dealer)
    quick = {name: trade.checker.ask(EVALUATIONS, body) for name, body in asked.items()}
    monkeypatch.setattr(authzen_items, "_whole", lambda *_: None)
    for name, body in asked.items():
        slow = trade.checker.ask(EVALUATIONS, body)
        assert (name, slow.status_code, slow.content) == (
            name,
            quick[name].status_code,
            quick[name].content,
        )


def test_what_is_whole_is_read_in_one_pass(
    trade: Trade, dealer: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(authzen_items, "Evaluations", None)  # whoever goes item by item fails
    asked = bodies(dealer)
    for name in ("whole", "defaults", "nothing in an item", "context beside", "stops"):
        assert trade.checker.ask(EVALUATIONS, asked[name]).status_code == 200, name
