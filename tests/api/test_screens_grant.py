"""A grant's page: read, asked and decided on, under the very rules of the API."""

from __future__ import annotations

from typing import Any

import pytest

from api.texts import text
from tests.support.doors import Caller, Firm
from tests.support.screens import Page, Person
from tests.support.trade import BECAUSE, Trade


@pytest.fixture
def customer(trade: Trade, request: pytest.FixtureRequest) -> str:
    return trade.customer(f"SG-{abs(hash(request.node.name)) % 10**9}")


def state(trade: Trade, grant: str) -> dict[str, Any]:
    return trade["admin"].get(f"/v1/grants/{grant}").json()["state"]


def types(trade: Trade, grant: str) -> list[str]:
    items = trade["admin"].get(f"/v1/grants/{grant}/events").json()["items"]
    return [one["type"].split(".")[1] for one in items]


def at(trade: Trade, name: str, grant: str, language: str = "en") -> tuple[Person, Page]:
    """Someone at a grant's page."""
    person = Person(trade.house, language).sign_in(trade[name])
    page = person.open(f"/grants/{grant}")
    assert page.status == 200, page.source
    return person, page


def everyone(trade: Trade) -> Caller:
    """One who has every role, and so may decide on what they had no hand in."""
    if "every" not in trade.callers:
        trade.appoint("every", "requester", "verifier", "approver", "compliance")
    return trade["every"]


def test_an_approver_finds_the_work_and_approves_from_the_page(trade: Trade, customer: str) -> None:
    grant = trade.pending(customer)["id"]
    trade.house.follow()
    person = Person(trade.house).sign_in(trade["approver"])
    assert f"/grants/{grant}" in person.open("/work").links
    page = person.open(f"/grants/{grant}")
    done = person.submit(page.form("approve"), reason_code="fine")
    assert done.status == 200, done.source
    assert "Done. This happened" in done.said
    assert state(trade, grant)["status"] == "approved"
    trade.house.follow()
    assert f"/grants/{grant}" in person.open("/work").links, "what they may sign waits now"
    assert person.open(f"/grants/{grant}").acts() >= {"sign", "decline"}


def test_a_request_goes_all_its_way_from_pages_alone(trade: Trade, customer: str) -> None:
    grant = trade.request(customer)["id"]
    verifier, page = at(trade, "verifier", grant)
    assert page.acts() >= {"record_check", "ask_information", "fail_verification", "note"}
    assert "approve" not in page.acts()
    page = verifier.submit(page.form("ask_information"), question="Which shops?")
    assert "information requested" in page.said
    requester, page = at(trade, "requester", grant)
    page = requester.submit(page.form("provide_information"), answer="All of them.")
    assert "Done." in page.said
    page = verifier.open(f"/grants/{grant}")
    page = verifier.submit(page.form("record_check"), note="All there.")
    assert "record_check" not in page.acts(), "what was checked is not asked for again"
    approver, page = at(trade, "approver", grant)
    approver.submit(page.form("approve"))
    compliance, page = at(trade, "compliance", grant)
    page = compliance.submit(page.form("sign"))
    assert state(trade, grant)["status"] == "active"
    page = compliance.submit(page.form("suspend"), reason_code="complaint", provisional="on")
    assert state(trade, grant)["status"] == "suspended"
    every = Person(trade.house).sign_in(everyone(trade))
    page = every.open(f"/grants/{grant}")
    every.submit(page.form("confirm_suspension"), reason_code="confirmed")
    page = every.open(f"/grants/{grant}")
    page = every.submit(page.form("resume"), reason_code="cleared")
    assert state(trade, grant)["status"] == "active"
    page = every.submit(page.form("revoke"), reason_code="breach")
    assert state(trade, grant)["status"] == "revoked"
    assert page.acts() == {"note"}
    assert types(trade, grant) == [
        "requested", "information_requested", "information_provided", "checked", "verified",
        "stage_approved", "approved", "signed", "activated", "suspended", "suspension_confirmed",
        "resumed", "revoked",
    ]  # fmt: skip


@pytest.mark.parametrize(("act", "ended"), [("reject", "rejected"), ("withdraw", "withdrawn")])
def test_a_request_is_turned_down_or_taken_back(
    trade: Trade, customer: str, act: str, ended: str
) -> None:
    grant = trade.pending(customer)["id"]
    person, page = at(trade, {"reject": "approver"}.get(act, "requester"), grant)
    page = person.submit(page.form(act), reason_code="no", reason_text="Not now.")
    assert state(trade, grant)["status"] == ended
    assert "stopped here" in page.said


def test_an_approval_is_taken_back_from_the_page(trade: Trade, customer: str) -> None:
    groups = [{"role": "approver", "number": 2}]
    stage = {"id": "first", "names": {"zh": "审批", "en": "Approval"}, "groups": groups}
    firm = Trade(trade.house)
    firm.catalogue()
    firm.appoint("third", "approver")
    firm.policy(stages=[stage])
    grant = firm.pending(firm.customer("T-1"))["id"]
    person, page = at(firm, "approver", grant)
    page = person.submit(page.form("approve"))
    assert "approve" not in page.acts(), "nobody approves twice"
    page = person.submit(page.form("retract_approval"), reason_code="oops")
    assert types(firm, grant)[-1] == "approval_retracted"
    assert "approve" in page.acts()


@pytest.mark.parametrize("language", ["en", "zh"])
def test_a_refused_self_approval_says_what_the_api_says_and_keeps_what_was_typed(
    trade: Trade, customer: str, language: str
) -> None:
    every = everyone(trade)
    grant = trade.request(customer)["id"]
    check = {"kind": "documents", "channel": "online"}
    version = every.done(f"/v1/grants/{grant}/checks", check)["version"]
    path = f"/v1/grants/{grant}/approvals"
    headers = {"if_match": f'"v{version}"', "accept_language": language}
    problem = every.post(path, {"stage": "first"}, **headers).json()
    assert problem["code"] == "duties.not_separate"
    person, page = at(trade, "every", grant, language)
    assert problem["detail"] in page.said, "it is told before it is tried"
    refused = person.submit(page.form("approve"), reason_text="<b>My own</b> & good")
    assert refused.status == 403
    assert problem["detail"] in refused.alert
    assert refused.form("approve").fields["reason_text"] == "<b>My own</b> & good"
    assert refused.form("approve").fields["key"] == page.form("approve").fields["key"]
    assert state(trade, grant)["status"] == "pending_approval"


def test_a_refused_decision_stands_in_the_access_log_and_a_look_does_not(
    trade: Trade, customer: str
) -> None:
    import psycopg

    grant = trade.request(customer)["id"]
    everyone(trade).done(f"/v1/grants/{grant}/checks", {"kind": "documents", "channel": "online"})

    def refused() -> list[tuple[Any, ...]]:
        with psycopg.connect(trade.house.database.auditor) as conn:
            conn.execute("SELECT set_config('counterseal.tenant', %s, true)", (trade.tenant,))
            return conn.execute(
                "SELECT operation, code FROM access_log WHERE stream_id = %s", (grant,)
            ).fetchall()

    person, page = at(trade, "every", grant)
    assert refused() == []
    person.submit(page.form("approve"))
    assert refused() == [("grant.approve", "duties.not_separate")]


def test_a_decision_on_what_changed_meanwhile_is_refused_and_shows_the_new_state(
    trade: Trade, customer: str
) -> None:
    grant = trade.pending(customer)["id"]
    person, page = at(trade, "approver", grant)
    trade["requester"].done(f"/v1/grants/{grant}/notes", {"label": "call"})
    trade["verifier"].done(f"/v1/grants/{grant}/information-requests", {"question": "Why?"})
    moved = person.submit(page.form("approve"), reason_code="fine")
    assert moved.status == 412
    assert "Someone changed it meanwhile" in moved.alert
    assert "information requested" in moved.said
    trade["requester"].done(f"/v1/grants/{grant}/information", {"answer": "So."})
    again = person.open(f"/grants/{grant}")
    assert person.submit(again.form("approve")).status == 200
    assert state(trade, grant)["status"] == "approved"


def test_the_same_form_sent_twice_decides_once(trade: Trade, customer: str) -> None:
    grant = trade.pending(customer)["id"]
    person, page = at(trade, "approver", grant)
    form = page.form("note")
    fields = form.fields | {"text": "Called back."}
    first, second = (person.send("POST", form.action, fields) for _ in range(2))
    assert (first.status_code, second.status_code) == (303, 303)
    assert first.headers["location"] == second.headers["location"]
    approve = page.form("approve")
    answers = [person.send("POST", approve.action, approve.fields) for _ in range(2)]
    assert [one.status_code for one in answers] == [412, 412], "the note came in between"
    approve = person.open(f"/grants/{grant}").form("approve")
    answers = [person.send("POST", approve.action, approve.fields) for _ in range(2)]
    assert [one.status_code for one in answers] == [303, 303]
    assert types(trade, grant)[-3:] == ["noted", "stage_approved", "approved"]
    other = person.send("POST", form.action, fields | {"text": "Something else."})
    assert other.status_code == 422
    assert Page(other).form("note").fields["key"] != form.fields["key"]


def test_may_they_is_answered_with_its_reason(trade: Trade, customer: str) -> None:
    grant = trade.active(customer)["id"]
    person, page = at(trade, "approver", grant)
    (form,) = [one for one in page.forms if "action" in one.fields]
    yes = person.submit_get(form)
    assert "Yes." in yes.said
    assert f"Allowed by grant {state(trade, grant)['number']}" in yes.said
    no = person.submit_get(form, **{"on.territory": "CN/32"})
    assert "No." in no.said
    later = person.submit_get(form, when="2199-01-01")
    assert "No." in later.said
    wrong = person.submit_get(form, when="<soon>")
    assert "That cannot be asked." in wrong.said
    chinese = Person(trade.house, "zh").sign_in(trade["approver"])
    assert "可以。" in chinese.submit_get(form).said


def test_what_is_offered_goes_by_what_the_key_may(trade: Trade, customer: str) -> None:
    grant = trade.pending(customer)["id"]
    reader = Caller(trade.house, trade.tenant, trade["approver"].party, ["grants:read"])
    page = Person(trade.house).sign_in(reader).open(f"/grants/{grant}")
    assert page.acts() == set()
    assert not [one for one in page.forms if "action" in one.fields], "it may not ask"
    assert not any(one.startswith("/customers/") for one in page.links)
    bare = Person(trade.house).sign_in(trade.checker)
    for path in ("/work", "/grants", f"/grants/{grant}", f"/customers/{customer}"):
        assert bare.open(path).status == 403, path


def test_another_tenants_grant_is_one_that_does_not_exist(trade: Trade, customer: str) -> None:
    grant = trade.pending(customer)["id"]
    other = Firm(trade.house)
    other.first_administrator()
    person = Person(trade.house).sign_in(other["root"])
    nothing = "01900000-0000-7000-8000-00000000dead"
    for kind, one in (("grants", grant), ("customers", customer)):
        foreign, unknown = (person.open(f"/{kind}/{name}") for name in (one, nothing))
        assert (foreign.status, unknown.status) == (404, 404)
        assert foreign.said.replace(one, "…") == unknown.said.replace(nothing, "…")
    home = person.open("/work").form
    assert home is not None
    form = Person(trade.house).sign_in(trade["approver"]).open(f"/grants/{grant}").form("approve")
    token = person.open("/").forms[0].fields["of_session"]
    answer = person.send("POST", form.action, form.fields | {"of_session": token})
    assert answer.status_code == 404
    assert state(trade, grant)["status"] == "pending_approval"


def test_a_number_leads_to_its_grant_however_it_is_typed(trade: Trade, customer: str) -> None:
    made = trade.request(customer)
    trade.house.follow()
    number = made["state"]["number"]
    person = Person(trade.house).sign_in(trade["approver"])
    for text_ in (number, number.lower(), number.replace("-", " ")):
        answer = person.send("GET", f"/grants/{text_}")
        assert answer.headers["location"] == f"/grants/{made['id']}", text_
    mistyped = number[:-1] + ("A" if number[-1] != "A" else "B")
    page = person.open(f"/grants/{mistyped}")
    assert (page.status, text("grant.mistyped", "en", {"grant": mistyped}) in page.said) == (
        422,
        True,
    )
    assert person.open("/grants/nothing").status == 404


def test_a_member_signs_what_is_theirs_and_sees_nothing_else(trade: Trade) -> None:
    firm = Trade(trade.house)
    firm.catalogue()
    agreement = {"template": "standard", "version": "1", "sha256": "0" * 64}
    firm.policy(agreement=agreement | {"signers": ["grantee"]})
    mine, other = firm.customer("M-1"), firm.customer("M-2")
    person_id = firm["root"].done("/v1/persons", {"full_name": "Ming"})["id"]
    acts = {"person": person_id, "acts": ["sign", "provide"]}
    firm["requester"].done(f"/v1/customers/{mine}/members", acts)
    member = firm.member("ming", mine, person_id)
    grant, foreign = firm.pending(mine), firm.pending(other)
    seen = f'"v{grant["version"]}"'
    firm["approver"].done(f"/v1/grants/{grant['id']}/approvals", {"stage": "first"}, if_match=seen)
    firm.house.follow()
    person = Person(firm.house).sign_in(member)
    work = person.open("/work")
    assert f"/grants/{grant['id']}" in work.links
    assert "/work?of=all" not in work.links
    page = person.open(f"/grants/{grant['id']}")
    assert page.acts() == {"sign", "decline"}
    done = person.submit(page.form("sign"))
    assert "Done." in done.said
    assert state(firm, grant["id"])["status"] == "active"
    assert f"/grants/{grant['id']}" in person.open("/grants").links
    assert person.open(f"/grants/{foreign['id']}").status == 404
    assert person.open(f"/customers/{mine}").status == 403


def test_a_deputy_decides_for_whom_they_stand_in(trade: Trade, customer: str) -> None:
    grant = trade.pending(customer)["id"]
    if "stand-in" not in trade.callers:
        trade.appoint("stand-in", "requester")
    body = {
        "deputy": trade.staff["stand-in"],
        "until": "2100-01-01T00:00:00Z",
    }
    trade["root"].done(f"/v1/staff/{trade.staff['second']}/deputy", body)
    try:
        person, page = at(trade, "stand-in", grant)
        principal = f"staff:{trade.staff['second']}"
        done = person.submit(page.form("approve"), on_behalf_of=principal)
        assert done.status == 200, done.alert
        assert "on behalf of staff second" in done.said
    finally:
        trade["root"].post(f"/v1/staff/{trade.staff['second']}/deputy/end", BECAUSE)
