"""The kind `staff`: whose customers a manager sees and changes, by the ordinary check."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from tests.support.doors import House
from tests.support.ledger import new_id
from tests.support.trade import BECAUSE, Trade

STAFF: dict[str, Any] = {
    "kind": "staff",
    "names": {"zh": "客户管理", "en": "Managing customers"},
    "dimensions": ["customer", "manager"],
    "actions": [
        {"action": "view", "names": {"zh": "查看", "en": "View"}, "free": True},
        {"action": "edit", "names": {"zh": "变更", "en": "Edit"}},
        {"action": "reassign", "names": {"zh": "转交", "en": "Reassign"}},
    ],
    "verification": None,
    "agreement": None,
    "longest_days": 400,
    "starts": "on_approval",
}


@pytest.fixture(scope="module")
def firm(house: House) -> Trade:
    """A firm with two teams: a senior of `sales`, a junior of `sales/east`, one of `service`."""
    made = Trade(house)
    made.catalogue()
    made.policy()
    made.policy(**STAFF)
    teams = {"dimension": "team", "names": {"zh": "团队", "en": "Team"}}
    made["admin"].done("/v1/catalogue/dimensions", teams)
    for path in ("sales", "sales/east", "service"):
        made["admin"].done("/v1/catalogue/points", teams | {"path": path})
    for name, team in (("senior", "sales"), ("junior", "sales/east"), ("fitter", "service")):
        made.appoint(name, "requester")
        made["root"].done(f"/v1/staff/{made.staff[name]}/team", {"team": team})
    return made


def assign(firm: Trade, name: str, *customers: str) -> dict[str, Any]:
    path = f"/v1/staff/{firm.staff[name]}/assignments"
    return firm["root"].done(path, {"customers": customers})


def ask(firm: Trade, name: str, managers: list[str], actions: list[str]) -> httpx.Response:
    """Ask that someone may do this with the customers of these managers."""
    body = {
        "grantee": f"staff:{firm.staff[name]}",
        "kind": "staff",
        "actions": actions,
        "scope": {"customer": ["*"], "manager": managers},
        "term": {"days": 365},
    }
    return firm["requester"].post("/v1/grants", body)


def grant(firm: Trade, name: str, managers: list[str], actions: list[str]) -> None:
    asked = ask(firm, name, managers, actions)
    assert asked.status_code == 201, asked.text
    if asked.json()["state"]["status"] != "active":
        path = f"/v1/grants/{asked.json()['id']}/approvals"
        seen = asked.headers["etag"]
        firm["approver"].done(path, {"stage": "first"}, if_match=seen)


def may(firm: Trade, name: str, action: str, customer: str, **more: Any) -> bool:
    body = {
        "subject": f"staff:{firm.staff[name]}",
        "action": action,
        "resource": {"type": "customer", "id": customer},
        "consistency": "full",
    }
    answer = firm.checker.ask("/v1/checks", body | more)
    assert answer.status_code == 200, answer.text
    return answer.json()["decision"]


def test_a_junior_sees_their_own_customers_a_senior_the_team_s_and_more_of_them(
    firm: Trade,
) -> None:
    one, other = firm.customer("K-1"), firm.customer("K-2")
    assign(firm, "junior", one)
    assign(firm, "fitter", other)
    grant(firm, "junior", [firm.staff["junior"]], ["view"])
    grant(firm, "senior", ["sales"], ["view", "edit", "reassign"])
    allowed = {
        (name, action, customer): may(firm, name, action, customer)
        for name in ("junior", "senior")
        for action in ("view", "edit", "reassign")
        for customer in (one, other)
    }
    assert {asked for asked, yes in allowed.items() if yes} == {
        ("junior", "view", one),
        ("senior", "view", one),
        ("senior", "edit", one),
        ("senior", "reassign", one),
    }


def test_the_rights_go_with_the_customer_when_it_is_handed_over(firm: Trade) -> None:
    customer = firm.customer("K-3")
    assign(firm, "junior", customer)
    firm.appoint("west", "requester")
    firm.appoint("lead", "requester")
    grant(firm, "lead", [firm.staff["junior"]], ["view"])
    assert may(firm, "lead", "view", customer)
    path = f"/v1/staff/{firm.staff['junior']}/handover"
    firm["root"].done(path, {"to": firm.staff["west"], "customers": [customer]})
    assert not may(firm, "lead", "view", customer)
    why = firm.checker.ask(
        "/v1/checks",
        {
            "subject": f"staff:{firm.staff['lead']}",
            "action": "view",
            "resource": {"type": "customer", "id": customer},
        },
    ).json()["explanation"]
    assert (why["code"], why["dimension"]) == ("scope.not_covered", "manager")


def test_a_denial_after_a_handover_is_acknowledged_before_anyone_is_allowed_again(
    firm: Trade,
) -> None:
    """From memory, without asking for a position: what was taken away is taken away at once."""
    customer = firm.customer("K-4")
    firm.appoint("boss", "requester")
    grant(firm, "boss", [firm.staff["fitter"]], ["view"])
    for _ in range(5):
        assign(firm, "fitter", customer)
        assert may(firm, "boss", "view", customer)
        assert may(firm, "boss", "view", customer, consistency="default")
        assign(firm, "fitter")
        assert not may(firm, "boss", "view", customer, consistency="default")


def test_two_who_look_after_one_customer_each_open_it_and_whoever_left_still_does(
    firm: Trade,
) -> None:
    customer = firm.customer("K-5")
    for name in ("first", "other", "head"):
        firm.appoint(name, "requester")
    assign(firm, "first", customer)
    assign(firm, "other", customer)
    grant(firm, "head", [firm.staff["other"]], ["view"])
    assert may(firm, "head", "view", customer)
    firm["root"].done(f"/v1/staff/{firm.staff['other']}/deactivation", BECAUSE)
    assert may(firm, "head", "view", customer), "until it is handed over"
    nobody = firm.customer("K-6")
    assert not may(firm, "head", "view", nobody)
    assert not may(firm, "head", "view", new_id())


@pytest.mark.parametrize(
    ("managers", "code"),
    [([new_id()], "scope.point_unknown"), (["marketing"], "scope.point_unknown")],
)
def test_a_scope_names_managers_and_teams_there_are(
    firm: Trade, managers: list[str], code: str
) -> None:
    assert ask(firm, "senior", managers, ["view"]).json()["code"] == code


def test_every_manager_s_customers_are_a_star(firm: Trade) -> None:
    customer = firm.customer("K-7")
    firm.appoint("chief", "requester")
    grant(firm, "chief", ["*"], ["view"])
    assert not may(firm, "chief", "view", customer), "nobody looks after it"
    assign(firm, "west" if "west" in firm.staff else "senior", customer)
    assert may(firm, "chief", "view", customer)


def test_a_customer_is_given_no_grant_of_this_kind(firm: Trade) -> None:
    customer = firm.customer("K-8")
    body = {
        "grantee": f"customer:{customer}",
        "kind": "staff",
        "actions": ["view"],
        "scope": {"customer": ["*"], "manager": ["*"]},
        "term": {"days": 30},
    }
    assert firm["requester"].post("/v1/grants", body).json()["code"] == "grantee.not_staff"


def test_no_catalogue_declares_what_customers_lie_on(firm: Trade) -> None:
    for dimension in ("customer", "manager", "grade"):
        body = {"dimension": dimension, "names": {"zh": "某", "en": "Some"}}
        refused = firm["admin"].post("/v1/catalogue/dimensions", body)
        assert refused.json()["code"] == "catalogue.dimension_reserved"
