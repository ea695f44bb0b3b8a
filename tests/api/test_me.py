"""The own view of whoever calls: a customer's member, a staff member, a service."""

from __future__ import annotations

from typing import Any

import httpx
import psycopg
import pytest

from tests.support.doors import ALL, Caller, House
from tests.support.ledger import new_id
from tests.support.trade import BECAUSE, SHA256, Trade

AGREEMENT = {"template": "standard", "version": "1", "sha256": SHA256, "signers": ["grantee"]}
SCOPE = {"territory": ["CN/31"], "product": ["tea"]}


@pytest.fixture(scope="module")
def firm(house: House) -> Trade:
    """A firm whose dealers sign, with a second kind for customers of grade A."""
    made = Trade(house)
    made.catalogue()
    made.policy(agreement=AGREEMENT, evidence=["lease"])
    made.policy(kind="trademark", names={"zh": "商标", "en": "Trademark"}, grades=["A"])
    return made


class Dealer:
    """A customer with one member, and the member's key."""

    def __init__(self, firm: Trade, number: str, *acts: str) -> None:
        self.firm = firm
        self.customer = firm.customer(number)
        self.person: str = firm["root"].done("/v1/persons", {"full_name": "Zhou"})["id"]
        path = f"/v1/customers/{self.customer}/members"
        body = {"person": self.person, "acts": acts or ("request", "provide", "sign", "revoke")}
        added = firm["requester"].done(path, body)
        self.member: str = added["events"][0]["fields"]["member"]
        self.caller = firm.member(number, self.customer, self.person)

    def request(self) -> str:
        body = {
            "grantee": f"customer:{self.customer}",
            "kind": "dealership",
            "actions": ["sell"],
            "scope": SCOPE,
            "term": {"days": 90},
            "evidence": [{"kind": "lease", "place": "folder 1"}],
        }
        return self.caller.done("/v1/grants", body)["id"]

    def approved(self) -> str:
        """A grant that waits for the member's signature."""
        grant = self.request()
        path = f"/v1/grants/{grant}"
        body = {"kind": "documents", "channel": "online"}
        checked = self.firm["verifier"].post(f"{path}/checks", body)
        seen = checked.headers["etag"]
        self.firm["approver"].done(f"{path}/approvals", {"stage": "first"}, if_match=seen)
        return grant

    def active(self) -> str:
        grant = self.approved()
        (task,) = [one for one in self.items("asked") if one["grant"] == grant]
        body = {"party": "grantee", "digest": task["agreement"]["digest"]}
        seen = self.caller.get(f"/v1/me/grants/{grant}").headers["etag"]
        self.caller.done(f"/v1/grants/{grant}/signatures", body, if_match=seen)
        return grant

    def items(self, what: str, query: str = "") -> list[dict[str, Any]]:
        self.firm.house.follow()
        answer = self.caller.get(f"/v1/me/{what}{query}")
        assert answer.status_code == 200, answer.text
        return answer.json()["items"]


def code(answer: httpx.Response) -> tuple[int, str]:
    return answer.status_code, answer.json()["code"]


def test_a_member_is_shown_who_they_are_and_for_whom_they_act(firm: Trade) -> None:
    dealer = Dealer(firm, "M-1", "request", "sign")
    shown = dealer.caller.get("/v1/me").json()
    assert (shown["party"], shown["person"]) == (f"customer:{dealer.customer}", dealer.person)
    assert shown["customer"]["number"] == "M-1"
    assert shown["customer"]["status"] == "confirmed"
    (membership,) = shown["memberships"]
    assert membership["member"] == dealer.member
    assert (membership["acts"], membership["now"]) == (["request", "sign"], True)


def test_staff_are_shown_their_roles_and_customers(firm: Trade) -> None:
    customer = firm.customer("M-2")
    firm.appoint("seller", "requester")
    path = f"/v1/staff/{firm.staff['seller']}/assignments"
    firm["root"].done(path, {"customers": [customer]})
    shown = firm["seller"].get("/v1/me").json()
    assert shown["staff"]["roles"] == ["requester"]
    assert shown["staff"]["customers"] == [customer]
    assert firm["seller"].get("/v1/me/grants").json() == {"items": [], "next_cursor": None}


def test_a_service_has_nothing_of_its_own(firm: Trade) -> None:
    robot = firm.service("robot", "me")
    assert robot.get("/v1/me").json()["party"] == "service:robot"
    for what in ("grants", "requests", "asked", "offers"):
        assert robot.get(f"/v1/me/{what}").json()["items"] == []


def test_grants_are_one_s_own_current_and_ended_and_say_their_terms(firm: Trade) -> None:
    dealer, other = Dealer(firm, "M-3"), Dealer(firm, "M-4")
    kept, ended, held = dealer.active(), dealer.active(), dealer.active()
    firm["compliance"].done(f"/v1/grants/{ended}/revocation", BECAUSE)
    firm["compliance"].done(f"/v1/grants/{held}/suspension", BECAUSE)
    dealer.request()
    current = dealer.items("grants", "?state=current")
    assert [(one["grant"], one["status"]) for one in current] == [
        (kept, "active"),
        (held, "suspended"),
    ]
    assert current[0]["scope"] == SCOPE
    assert current[0]["ends_at"] > current[0]["starts_at"]
    assert [one["grant"] for one in dealer.items("grants", "?state=ended")] == [ended]
    assert len(dealer.items("grants")) == 3
    assert other.items("grants") == []


def test_requests_are_open_and_closed_ones_with_the_step_they_are_at(firm: Trade) -> None:
    dealer = Dealer(firm, "M-5")
    active, open_one, withdrawn = dealer.active(), dealer.request(), dealer.request()
    dealer.caller.done(f"/v1/grants/{withdrawn}/withdrawal")
    (still,) = dealer.items("requests", "?state=open")
    assert (still["grant"], still["what"], still["status"]) == (open_one, "request", "submitted")
    assert still["kind"] == "dealership"
    closed = dealer.items("requests", "?state=closed")
    assert [(one["grant"], one["status"]) for one in closed] == [
        (active, "agreed"),
        (withdrawn, "withdrawn"),
    ]


def test_what_is_asked_is_a_question_a_signature_or_a_confirmation(firm: Trade) -> None:
    dealer = Dealer(firm, "M-6", "request", "provide", "sign", "revoke")
    asked = dealer.request()
    path = f"/v1/grants/{asked}/information-requests"
    firm["verifier"].done(path, {"question": "Which shops?"})
    signing, ending = dealer.approved(), dealer.active()
    dealer.caller.done(f"/v1/grants/{ending}/revocation-request", BECAUSE)
    tasks = dealer.items("asked")
    assert [(one["what"], one["grant"]) for one in tasks] == [
        ("answer", asked),
        ("sign", signing),
        ("confirm_revocation", ending),
    ]
    assert tasks[0]["question"] == "Which shops?"
    assert tasks[1]["agreement"]["signers"] == ["grantee"]
    assert all(one["you_may"] for one in tasks)
    with psycopg.connect(firm.house.database.auditor) as conn:
        conn.execute("SELECT set_config('counterseal.tenant', %s, true)", (firm.tenant,))
        logged = conn.execute(
            "SELECT operation, purpose FROM access_log WHERE stream_id = %s", (asked,)
        ).fetchall()
    assert set(logged) == {("me.asked", "own_view")}
    dealer.caller.done(f"/v1/grants/{asked}/information", {"answer": "All three."})
    assert [one["what"] for one in dealer.items("asked")] == ["sign", "confirm_revocation"]


def test_what_can_be_asked_for_are_the_kinds_of_one_s_grade_with_what_they_demand(
    firm: Trade,
) -> None:
    dealer = Dealer(firm, "M-7", "sign")
    (offer,) = dealer.items("offers")
    assert (offer["kind"], offer["evidence"]) == ("dealership", ["lease"])
    assert [one["action"] for one in offer["actions"]] == ["sell"]
    assert offer["longest_days"] == 366
    assert (offer["identified"], offer["you_may"]) == (True, False)
    firm["requester"].done(f"/v1/customers/{dealer.customer}/grade", {"grade": "A"})
    assert {one["kind"] for one in dealer.items("offers")} == {"dealership", "trademark"}


def test_another_s_grant_looks_like_one_that_is_not_there(firm: Trade) -> None:
    dealer, other = Dealer(firm, "M-8"), Dealer(firm, "M-9")
    grant = dealer.active()
    own = dealer.caller.get(f"/v1/me/grants/{grant}")
    assert own.status_code == 200
    assert (own.json()["status"], own.json()["cases"][0]["status"]) == ("active", "agreed")
    assert "hands" not in own.text
    assert "askers" not in own.text
    foreign = other.caller.get(f"/v1/me/grants/{grant}").json()
    nothing = other.caller.get(f"/v1/me/grants/{(unknown := new_id())}").json()
    assert foreign["code"] == "grant.unknown"
    assert str(foreign).replace(grant, "") == str(nothing).replace(unknown, "")


def test_whoever_acts_for_the_customer_no_longer_sees_nothing_of_it(firm: Trade) -> None:
    dealer = Dealer(firm, "M-10")
    grant = dealer.active()
    path = f"/v1/customers/{dealer.customer}/members/{dealer.member}/end"
    firm["requester"].done(path)
    for what in ("grants", f"grants/{grant}", "requests", "asked", "offers"):
        assert code(dealer.caller.get(f"/v1/me/{what}")) == (403, "member.none")
    (membership,) = dealer.caller.get("/v1/me").json()["memberships"]
    assert membership["now"] is False


def test_what_was_given_to_a_record_merged_into_one_s_own_is_one_s_own(firm: Trade) -> None:
    dealer, old = Dealer(firm, "M-11"), Dealer(firm, "M-12")
    grant = old.active()
    path = f"/v1/customers/{old.customer}/merge"
    firm["requester"].done(path, {"into": dealer.customer})
    firm["compliance"].done(f"{path}/acceptance")
    assert [one["grant"] for one in dealer.items("grants")] == [grant]
    assert dealer.caller.get(f"/v1/me/grants/{grant}").status_code == 200


def test_pages_are_complete_and_a_made_up_cursor_is_refused(firm: Trade) -> None:
    dealer = Dealer(firm, "M-13")
    made = [dealer.approved() for _ in range(5)]
    dealer.firm.house.follow()
    for what in ("requests", "asked"):
        found: list[str] = []
        path = f"/v1/me/{what}?limit=2"
        while True:
            page = dealer.caller.get(path).json()
            found += [one["grant"] for one in page["items"]]
            if page["next_cursor"] is None:
                break
            path = f"/v1/me/{what}?limit=2&cursor={page['next_cursor']}"
        assert found == made
    assert code(dealer.caller.get("/v1/me/grants?cursor=made-up")) == (400, "cursor.malformed")


def test_the_own_view_needs_its_scope_and_what_is_asked_has_no_past(firm: Trade) -> None:
    dealer = Dealer(firm, "M-14")
    caller = Caller(firm.house, firm.tenant, dealer.caller.party, ALL - {"me"})
    assert code(caller.get("/v1/me")) == (403, "scope_of_key.missing")
    past = dealer.caller.get("/v1/me/asked?as_of=1")
    assert past.json()["code"] == "as_of.unavailable"


@pytest.mark.parametrize(
    "path",
    [
        "/v1/grants",
        "/v1/grants.csv",
        "/v1/grants/{grant}",
        "/v1/grants/{grant}/history",
        "/v1/customers",
        "/v1/staff",
        "/v1/worklist",
        "/v1/history",
        "/v1/compliance/duties",
        "/v1/projections",
    ],
)
def test_whoever_acts_for_a_customer_reads_nothing_but_their_own(firm: Trade, path: str) -> None:
    """Whatever scopes the key has: this one has all that staff have."""
    shop = Dealer(firm, f"W-{len(path)}{path[4:7]}")
    refused = shop.caller.get(path.replace("{grant}", shop.request()))
    assert code(refused) == (403, "actor.own_view_only")
