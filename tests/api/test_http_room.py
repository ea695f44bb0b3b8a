"""Passing on, exclusive kinds and grades over HTTP: what callers send, and what they are told."""

from __future__ import annotations

from typing import Any

import pytest

from tests.support.doors import House
from tests.support.trade import BECAUSE, POLICY, Trade

SHANGHAI = {"territory": ["CN/31"], "product": ["tea"]}
PUDONG = {"territory": ["CN/31/0115"], "product": ["tea/green"]}
FREE: dict[str, Any] = {
    "verification": None,
    "agreement": None,
    "starts": "on_approval",
}


@pytest.fixture(scope="module")
def firm(house: House) -> Trade:
    """A firm with a kind that is passed on, an exclusive one, and one for golden customers."""
    made = Trade(house)
    made.catalogue()
    made.policy(depth=2, **FREE)
    made.policy(kind="exclusive", exclusive=True, **FREE)
    made.policy(kind="golden", grades=["gold"], **FREE)
    return made


def asking(customer: str, **changes: Any) -> dict[str, Any]:
    usual: dict[str, Any] = {
        "grantee": f"customer:{customer}",
        "kind": "dealership",
        "actions": ["sell"],
        "scope": SHANGHAI,
        "term": {"days": 300},
    }
    return usual | changes


def given(firm: Trade, customer: str, **changes: Any) -> dict[str, Any]:
    """Ask for a grant and approve it; return the answer."""
    asked = firm["requester"].done("/v1/grants", asking(customer, **changes))
    return approve(firm, asked)


def approve(firm: Trade, asked: dict[str, Any]) -> dict[str, Any]:
    path, seen = f"/v1/grants/{asked['id']}/approvals", f'"v{asked["version"]}"'
    return firm["approver"].done(path, {"stage": "first"}, if_match=seen)


def refused(firm: Trade, body: dict[str, Any], path: str = "/v1/grants", **headers: str) -> Any:
    answer = firm["requester"].post(path, body, **headers)
    assert answer.status_code == 422, answer.text
    return answer.json()


# --- passing on -----------------------------------------------------------------------------------


def test_a_dealer_s_right_is_passed_on_and_holds_as_long_as_the_dealer_s(firm: Trade) -> None:
    dealer, shop = firm.customer("P-1"), firm.customer("P-2")
    top = given(firm, dealer, pass_on=1)["id"]
    child = given(firm, shop, parent=top, scope=PUDONG, term={"days": 200})
    assert child["state"]["terms"]["parent"] == top
    assert firm.may(shop, since=child["position"])
    assert not firm.may(shop, "CN/31")
    held = firm["compliance"].done(f"/v1/grants/{top}/suspension", BECAUSE)
    assert not firm.may(shop)
    hold = held["events"][0]["fields"]["hold"]
    back = firm["compliance"].done(f"/v1/grants/{top}/resumption", {"hold": hold} | BECAUSE)
    assert firm.may(shop, since=back["position"])
    firm["compliance"].done(f"/v1/grants/{top}/revocation", BECAUSE)
    assert not firm.may(shop)


def test_what_goes_beyond_its_parent_is_refused_in_both_languages(firm: Trade) -> None:
    dealer, shop = firm.customer("P-3"), firm.customer("P-4")
    top = given(firm, dealer, pass_on=1, scope=PUDONG)
    wide = asking(shop, parent=top["id"], term={"days": 200})
    told = refused(firm, wide)
    assert told["code"] == "grant.beyond_parent"
    assert told["params"] == {
        "parent": top["id"],
        "number": top["state"]["number"],
        "part": "scope",
    }
    assert top["state"]["number"] in told["detail"]
    chinese = refused(firm, wide, accept_language="zh")["detail"]
    assert "上级授权" in chinese
    deeper = asking(shop, parent=top["id"], scope=PUDONG, term={"days": 200}, pass_on=2)
    assert refused(firm, deeper)["code"] == "grant.passing_on_too_deep"


@pytest.mark.parametrize("pass_on", [-1, 9, "1", 1.5])
def test_how_far_it_may_be_passed_on_is_a_small_number(firm: Trade, pass_on: Any) -> None:
    answer = firm["requester"].post("/v1/grants", asking(firm.tenant, pass_on=pass_on))
    assert answer.status_code == 400
    assert answer.json()["errors"][0]["pointer"] == "/pass_on"


# --- exclusive kinds ------------------------------------------------------------------------------


def test_an_overlap_is_told_with_the_other_s_number_before_anything_is_written(
    firm: Trade,
) -> None:
    one, other = firm.customer("X-1"), firm.customer("X-2")
    wide = asking(other, kind="exclusive", scope={"territory": ["*"], "product": ["tea/green"]})
    waiting = firm["requester"].done("/v1/grants", wide)
    taken = given(firm, one, kind="exclusive")
    assert [event["type"] for event in taken["events"]][-1] == "exclusion.reserved.1"
    told = refused(firm, wide, "/v1/grants?dry_run=true")
    assert refused(firm, wide)["code"] == told["code"]
    assert told["code"] == "grant.exclusive_overlap"
    params = told["params"]
    assert params["number"] == taken["state"]["number"]
    assert params["grant"] == taken["id"]
    assert params["overlap"] == {"territory": ["CN/31"], "product": ["tea/green"]}
    assert params["starts_at"] < params["ends_at"]
    assert params["number"] in told["detail"]
    assert "CN/31" in told["detail"]
    late = firm["approver"].post(
        f"/v1/grants/{waiting['id']}/approvals",
        {"stage": "first"},
        if_match=f'"v{waiting["version"]}"',
    )
    assert (late.status_code, late.json()["code"]) == (422, "grant.exclusive_overlap")
    firm["compliance"].done(f"/v1/grants/{taken['id']}/revocation", BECAUSE)
    assert approve(firm, waiting)["state"]["status"] == "active"


def test_a_kind_does_not_become_exclusive_once_it_was_published(firm: Trade) -> None:
    body = POLICY | FREE | {"depth": 2, "exclusive": True}
    drafted = firm["admin"].done("/v1/policies", {"body": body})
    path = f"/v1/policies/{drafted['id']}/versions/{len(drafted['state']['versions'])}"
    submitted = firm["admin"].done(f"{path}/submission")
    seen = f'"v{submitted["version"]}"'
    firm["compliance"].done(f"{path}/approval", if_match=seen)
    answer = firm["admin"].post(f"{path}/publication")
    assert (answer.status_code, answer.json()["code"]) == (422, "policy.exclusive_changed")


# --- grades ---------------------------------------------------------------------------------------


def test_a_customer_must_have_a_grade_that_the_policy_admits(firm: Trade) -> None:
    customer = firm.customer("G-1")
    told = refused(firm, asking(customer, kind="golden"))
    assert (told["code"], told["params"]["grades"]) == ("grantee.grade", ["gold"])
    firm["requester"].done(f"/v1/customers/{customer}/grade", {"grade": "gold"})
    assert given(firm, customer, kind="golden")["state"]["status"] == "active"
