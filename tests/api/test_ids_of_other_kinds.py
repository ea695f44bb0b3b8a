"""An id of another kind of thing is no such thing: refused, whatever was looked at before it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from tests.support.doors import House
from tests.support.trade import BECAUSE, Trade

Ids = dict[str, str]
Send = Callable[[Trade, Ids, str], Any]

KINDS = ("tenant", "person", "staff", "own person", "own staff", "customer", "policy", "grant")


def asked(trade: Trade, ids: Ids, **more: Any) -> Any:
    body: dict[str, Any] = {
        "grantee": f"customer:{ids['customer']}",
        "kind": "dealership",
        "actions": ["sell"],
        "scope": {"territory": ["CN/31"], "product": ["tea"]},
        "term": {"days": 365},
    }
    return trade["requester"].post("/v1/grants", body | more)


FIELDS: dict[str, tuple[frozenset[str], Send]] = {
    "merge of persons": (
        frozenset({"person", "own person"}),
        lambda trade, ids, other: trade["admin"].post(
            f"/v1/persons/{trade.people['requester']}/merge", {"into": other} | BECAUSE
        ),
    ),
    "merge of customers": (
        frozenset({"customer"}),
        lambda trade, ids, other: trade["verifier"].post(
            f"/v1/customers/{ids['customer']}/merge", {"into": other} | BECAUSE
        ),
    ),
    "member": (
        frozenset({"person", "own person"}),
        lambda trade, ids, other: trade["verifier"].post(
            f"/v1/customers/{ids['customer']}/members", {"person": other, "acts": ["request"]}
        ),
    ),
    "appointment": (
        frozenset({"person", "own person"}),
        lambda trade, ids, other: trade["admin"].post(
            "/v1/staff",
            {"person": other, "number": "n-1", "level": "senior", "roles": ["approver"]},
        ),
    ),
    "assignment": (
        frozenset({"customer"}),
        lambda trade, ids, other: trade["admin"].post(
            f"/v1/staff/{trade['verifier'].party.id}/assignments", {"customers": [other]}
        ),
    ),
    "handover": (
        frozenset({"staff", "own staff"}),
        lambda trade, ids, other: trade["admin"].post(
            f"/v1/staff/{trade['verifier'].party.id}/handover", {"to": other} | BECAUSE
        ),
    ),
    "deputy": (
        frozenset({"staff", "own staff"}),
        lambda trade, ids, other: trade["admin"].post(
            f"/v1/staff/{trade['approver'].party.id}/deputy", {"deputy": other} | BECAUSE
        ),
    ),
    "grantee, customer": (
        frozenset({"customer"}),
        lambda trade, ids, other: asked(trade, ids, grantee=f"customer:{other}"),
    ),
    "grantee, staff": (
        frozenset({"staff", "own staff"}),
        lambda trade, ids, other: asked(trade, ids, grantee=f"staff:{other}"),
    ),
    "parent": (
        frozenset({"grant"}),
        lambda trade, ids, other: asked(trade, ids, parent=other),
    ),
    "successor": (
        frozenset({"grant"}),
        lambda trade, ids, other: trade["compliance"].post(
            f"/v1/grants/{ids['grant']}/supersession", {"successor": other} | BECAUSE
        ),
    ),
}
"""Field -> the kinds that it may name, and the command that names one."""


@pytest.fixture(scope="module")
def firm(house: House) -> tuple[Trade, Ids]:
    trade = Trade(house)
    trade.catalogue()
    policy, customer = trade.policy(), trade.customer()
    grant = trade.active(customer)["id"]
    who = trade["second"]
    return trade, {
        "tenant": trade.tenant,
        "person": trade.people["second"],
        "staff": who.party.id,
        "customer": customer,
        "policy": policy,
        "grant": grant,
    }


@pytest.mark.parametrize("field", FIELDS)
def test_an_id_of_another_kind_is_refused_and_nothing_is_written(
    firm: tuple[Trade, Ids], field: str
) -> None:
    trade, ids = firm
    fits, send = FIELDS[field]
    for kind in KINDS:
        if kind in fits:
            continue
        for who in ("admin", "requester", "verifier", "compliance"):
            mine = {"own person": trade.people[who], "own staff": trade[who].party.id}
            answer = send(trade, ids, mine.get(kind) or ids[kind])
            assert 400 <= answer.status_code < 500, (field, kind, who, answer.text)
    assert trade.policy(kind=f"after-{list(FIELDS).index(field)}"), "persons can still be compared"
