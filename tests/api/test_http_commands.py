"""Commands over HTTP: once and only once, on the version that was seen, and what a body may be."""

import json
from datetime import UTC, datetime
from typing import Any

import psycopg
import pytest

from tests.support.doors import Firm, House
from tests.support.trade import BECAUSE, Trade

DIMENSION = {"dimension": "colour", "names": {"zh": "颜色", "en": "Colour"}}


def logged(house: House, tenant: str) -> list[tuple[str, str, str | None, str | None]]:
    """The tenant's access log: kind, operation, code, purpose; oldest first."""
    with psycopg.connect(house.database.auditor) as conn:
        conn.execute("SELECT set_config('counterseal.tenant', %s, true)", (tenant,))
        return conn.execute(
            "SELECT kind, operation, code, purpose FROM access_log ORDER BY entry_id"
        ).fetchall()


def test_the_same_key_gives_the_first_answer_again_and_changes_nothing(trade: Trade) -> None:
    path, body = "/v1/persons", {"full_name": "Once"}
    first = trade["admin"].post(path, body, key="once")
    again = trade["admin"].post(path, body, key="once")
    quoted = trade["admin"].post(path, body, key='"once"')
    assert first.status_code == 201
    for answer in (again, quoted):
        assert answer.status_code == 201
        assert answer.json() == first.json()
        assert answer.headers["etag"] == first.headers["etag"]
        assert answer.headers["location"] == first.headers["location"]
        assert answer.headers["idempotent-replayed"] == "true"
    assert "idempotent-replayed" not in first.headers


def test_the_first_answer_comes_again_also_after_the_record_has_moved_on(trade: Trade) -> None:
    customer = trade.customer("moved-on")
    path = f"/v1/customers/{customer}/grade"
    first = trade["verifier"].post(path, {"grade": "A"}, key="grade")
    trade["verifier"].done(path, {"grade": "B"})
    again = trade["verifier"].post(path, {"grade": "A"}, key="grade", if_match='"v999"')
    assert again.json() == first.json()
    assert again.json()["state"]["grade"] == "A"


def test_a_key_used_for_another_request_is_refused(trade: Trade) -> None:
    admin = trade["admin"]
    assert admin.post("/v1/persons", {"full_name": "One"}, key="reuse").status_code == 201
    for path, body in (
        ("/v1/persons", {"full_name": "Two"}),
        ("/v1/persons?dry_run=false", {"full_name": "One"}),
        ("/v1/catalogue/dimensions", DIMENSION),
    ):
        answer = admin.post(path, body, key="reuse")
        assert (answer.status_code, answer.json()["code"]) == (422, "key.reused")


def test_two_callers_with_one_key_are_two_commands(trade: Trade) -> None:
    one = trade["admin"].post("/v1/persons", {"full_name": "X"}, key="shared")
    other = trade["root"].post("/v1/persons", {"full_name": "X"}, key="shared")
    assert (one.status_code, other.status_code) == (201, 201)
    assert one.json()["id"] != other.json()["id"]


def test_the_same_key_sent_twice_at_once_is_one_command(house: House, trade: Trade) -> None:
    headers = trade["admin"].headers | {"idempotency-key": "race"}
    request = ("POST", "/v1/persons", {"headers": headers, "json": {"full_name": "R"}})
    answers = house.together([request] * 10)
    assert {answer.status_code for answer in answers} == {201}
    assert len({answer.json()["id"] for answer in answers}) == 1


@pytest.mark.parametrize(
    ("key", "code"),
    [
        ("", "idempotency_key.missing"),
        ("  ", "idempotency_key.missing"),
        ('""', "idempotency_key.malformed"),
        ('"open', "idempotency_key.malformed"),
        ("two words", "idempotency_key.malformed"),
        ("x" * 256, "idempotency_key.malformed"),
        ('"' + "x" * 256 + '"', "idempotency_key.malformed"),
    ],
)
def test_a_command_needs_a_key_of_its_own(trade: Trade, key: str, code: str) -> None:
    headers = trade["admin"].headers | ({"idempotency-key": key} if key else {})
    answer = trade.house.send("POST", "/v1/persons", headers=headers, json={})
    assert (answer.status_code, answer.json()["code"]) == (400, code)


def test_a_refusal_stores_no_key(trade: Trade) -> None:
    customer = trade.customer("later")
    body = {"person": trade.people["requester"], "acts": ["sign"], "until": "2020-01-01T00:00:00Z"}
    path = f"/v1/customers/{customer}/members"
    assert trade["verifier"].post(path, body, key="member").status_code == 422
    good = {"person": trade.people["requester"], "acts": ["sign"]}
    assert trade["verifier"].post(path, good, key="member").status_code == 200


def test_a_dry_run_says_what_would_happen_and_writes_nothing(trade: Trade) -> None:
    admin = trade["admin"]
    would = admin.post("/v1/catalogue/dimensions?dry_run=true", DIMENSION, key="dry")
    assert would.status_code == 200
    assert would.json()["result"] == "would"
    assert [one["position"] for one in would.json()["events"]] == [0]
    done = admin.post("/v1/catalogue/dimensions", DIMENSION, key="dry")
    assert (done.status_code, done.json()["result"]) == (201, "done")
    again = admin.post("/v1/catalogue/dimensions", DIMENSION)
    assert (again.status_code, again.json()["result"]) == (200, "no_op")
    refused = trade["requester"].post("/v1/catalogue/dimensions?dry_run=true", DIMENSION)
    assert (refused.status_code, refused.json()["code"]) == (403, "role.missing")


def test_who_decides_must_say_what_they_saw(trade: Trade) -> None:
    pending = trade.pending(trade.customer("seen"))
    path = f"/v1/grants/{pending['id']}/approvals"
    approver = trade["approver"]
    blind = approver.post(path, {"stage": "first"})
    assert (blind.status_code, blind.json()["code"]) == (428, "version.missing")
    stale = approver.post(path, {"stage": "first"}, if_match='"v1"')
    assert (stale.status_code, stale.json()["code"]) == (412, "version.moved")
    assert stale.json()["state"]["status"] == "pending_approval"
    assert stale.json()["version"] == pending["version"]
    assert stale.headers["etag"] == f'"v{pending["version"]}"'
    for wrong in ("v3", '"3"', "*", 'W/"v3"', '"v3", "v4"', '"v03"'):
        answer = approver.post(path, {"stage": "first"}, if_match=wrong)
        assert (answer.status_code, answer.json()["code"]) == (400, "header.if_match")
    seen = approver.post(path, {"stage": "first"}, if_match=stale.headers["etag"])
    assert seen.status_code == 200


def test_no_one_approves_what_they_checked_and_the_refusal_is_logged(trade: Trade) -> None:
    customer = trade.customer("hands")
    both = trade.appoint("both-hands", "verifier", "approver")
    grant = trade.request(customer)["id"]
    check = {"kind": "documents", "channel": "online"}
    version = both.done(f"/v1/grants/{grant}/checks", check)["version"]
    answer = both.post(
        f"/v1/grants/{grant}/approvals", {"stage": "first"}, if_match=f'"v{version}"'
    )
    assert (answer.status_code, answer.json()["code"]) == (403, "duties.not_separate")
    assert answer.json()["type"] == "urn:counterseal:problem:duties.not_separate"
    assert logged(trade.house, trade.tenant)[-1][:3] == (
        "refused",
        "grant.approve",
        "duties.not_separate",
    )


def test_a_command_beyond_the_scope_of_a_key_is_logged_too(trade: Trade) -> None:
    reader = trade.service("only-reads", "grants:read")
    answer = reader.post("/v1/persons", {})
    assert answer.status_code == 403
    newest = logged(trade.house, trade.tenant)[-1]
    assert newest[:3] == ("refused", "person.register", "scope_of_key.missing")


def test_texts_about_people_come_back_masked(trade: Trade) -> None:
    body = {"number": "P-1", "form": "person", "full_name": "Li Example", "contact": {"name": "L"}}
    answer = trade["requester"].post("/v1/customers", body)
    assert answer.status_code == 201
    assert "Li Example" not in answer.text
    assert answer.json()["state"]["full_name"] == {"sealed": True}
    assert answer.json()["state"]["contact"] == {"sealed": True}


def test_identifiers_are_checked_and_belong_to_one_customer(trade: Trade) -> None:
    def register(number: str, **fields: Any) -> tuple[int, str]:
        body = {"number": number, "form": "organization", "title": "茶"} | fields
        answer = trade["requester"].post("/v1/customers", body)
        return answer.status_code, answer.json().get("code", "")

    assert register("U-1", uscc="91110000600037341X") == (422, "uscc.malformed")
    assert register("U-2", uscc="91110000600037341L") == (201, "")
    assert register("U-3", uscc="9111 0000 6000 3734 1l") == (409, "claim.taken")
    assert register("U-2") == (409, "claim.taken")
    person = {"form": "person", "title": None, "full_name": "Example"}
    wrong = register("U-4", **person, identity_number="110105194912311091")
    assert wrong == (422, "identity_number.malformed")
    assert register("U-5", **person, identity_number="11010519491231109X") == (201, "")
    assert register("U-6", **person, identity_number="11010519491231109x") == (409, "claim.taken")
    assert register("U-7", contact={"phone": "12"}) == (422, "phone.malformed")
    assert register("U-8", contact={"phone": "021-62345678"}) == (201, "")


@pytest.mark.parametrize(
    ("raw", "code"),
    [
        (b"", "body.content_type"),
        (b"[]", "body.invalid"),
        (b'"text"', "body.invalid"),
        (b"{", "body.not_json"),
        (b"{} {}", "body.not_json"),
        (b"\xef\xbb\xbf{}", "body.not_json"),
        (b'{"dimension":"a","dimension":"b"}', "body.duplicate_key"),
        (b'{"names":{"zh":"a","zh":"b"}}', "body.duplicate_key"),
        (b'{"dimension":NaN}', "body.not_json"),
        (b'{"dimension":Infinity}', "body.not_json"),
        (b'{"dimension":"\xff"}', "body.not_utf8"),
        (b'{"dimension":"\xed\xa0\x80"}', "body.not_utf8"),
        ('{"dimension":"a"}'.encode("utf-16"), "body.not_utf8"),
        (b'{"dimension":"\\ud800"}', "body.not_json"),
        (b'{"x":' + b"[" * 30 + b"]" * 30 + b"}", "body.too_deep"),
        (b'{"dimension":' + b"9" * 5000 + b"}", "body.not_json"),
    ],
)
def test_only_strict_json_is_a_body(trade: Trade, raw: bytes, code: str) -> None:
    headers = trade["admin"].headers | {"idempotency-key": "strict"}
    if raw:
        headers["content-type"] = "application/json"
    answer = trade.house.send("POST", "/v1/catalogue/dimensions", headers=headers, content=raw)
    assert answer.json()["code"] == code
    assert answer.status_code == (415 if code == "body.content_type" else 400)


@pytest.mark.parametrize(
    ("change", "pointer", "code"),
    [
        ({"colour": "red"}, "/colour", "field.unknown"),
        ({"names": {"zh": "a", "en": "b", "fr": "c"}}, "/names/fr", "field.unknown"),
        ({"names": {"zh": "a"}}, "/names/en", "field.missing"),
        ({"names": {"zh": "a", "en": 7}}, "/names/en", "field.type"),
        ({"names": {"zh": "a", "en": ""}}, "/names/en", "field.bound"),
        ({"names": {"zh": "a", "en": " "}}, "/names/en", "field.text"),
        ({"names": {"zh": "a", "en": "b\u0000"}}, "/names/en", "field.text"),
        ({"names": {"zh": "a", "en": "b\n"}}, "/names/en", "field.text"),
        ({"names": {"zh": "a", "en": "b\u202e"}}, "/names/en", "field.text"),
        ({"names": {"zh": "a", "en": "x" * 201}}, "/names/en", "field.bound"),
        ({"dimension": "with space"}, "/dimension", "field.text"),
        ({"evidence": [{"kind": "photo", "file": "no"}]}, "/evidence/0/file", "field.text"),
        ({"reason": {"code": 1}}, "/reason/code", "field.type"),
    ],
)
def test_a_fault_in_a_body_is_pointed_at(
    trade: Trade, change: dict[str, Any], pointer: str, code: str
) -> None:
    answer = trade["admin"].post("/v1/catalogue/dimensions", DIMENSION | change)
    assert (answer.status_code, answer.json()["code"]) == (400, "body.invalid")
    (error,) = answer.json()["errors"]
    assert (error["pointer"], error["code"]) == (pointer, code)
    assert error["detail"] != code


def test_other_content_types_and_compressed_bodies_are_refused(trade: Trade) -> None:
    content = json.dumps(DIMENSION).encode()

    def status(kind: str, **more: str) -> int:
        headers = trade["admin"].headers | {"idempotency-key": "kind", "content-type": kind} | more
        answer = trade.house.send(
            "POST", "/v1/catalogue/dimensions?dry_run=true", headers=headers, content=content
        )
        return answer.status_code

    assert status("text/plain") == 415
    assert status("application/json; charset=gbk") == 415
    assert status("application/json", **{"content-encoding": "gzip"}) == 415
    assert status("application/json; charset=utf-8") == 200
    assert status('Application/JSON; Charset="UTF-8"') == 200


def test_a_command_that_needs_nothing_may_come_without_a_body(trade: Trade) -> None:
    grant = trade.request(trade.customer("bodiless"))["id"]
    headers = trade["requester"].headers | {"idempotency-key": "bodiless"}
    answer = trade.house.send("POST", f"/v1/grants/{grant}/withdrawal", headers=headers)
    assert answer.status_code == 200
    assert answer.json()["state"]["status"] == "withdrawn"


def test_the_query_is_as_strict_as_the_body(trade: Trade) -> None:
    for query, code in (
        ("dry=1", "query.invalid"),
        ("dry_run=maybe", "query.invalid"),
        ("dry_run=true&dry_run=true", "query.repeated"),
        ("%ff=1", "query.invalid"),
        ("x" * 5000, "query.too_long"),
    ):
        answer = trade["admin"].post(f"/v1/catalogue/dimensions?{query}", DIMENSION)
        assert (answer.status_code, answer.json()["code"]) == (400, code)


def test_an_id_that_is_none_looks_like_an_unknown_one(trade: Trade) -> None:
    for one in ("nothing", "01900000-0000-7000-8000-000000000000", "%00"):
        answer = trade["requester"].post(f"/v1/grants/{one}/withdrawal")
        assert (answer.status_code, answer.json()["code"]) == (404, "grant.unknown"), one


def test_reasons_and_evidence_stand_in_the_event(trade: Trade) -> None:
    customer = trade.customer("why")
    paper = {"kind": "contract", "place": "archive 3"}
    body = {"reason": {"code": "fraud", "text": "Told by phone."}, "evidence": [paper]}
    blocked = trade["compliance"].done(f"/v1/customers/{customer}/block", body)
    (event,) = blocked["events"]
    assert event["reason"] == {"code": "fraud", "text": {"sealed": True}}
    assert event["evidence"] == [{"kind": "contract", "place": {"sealed": True}}]
    again = trade["compliance"].post(f"/v1/customers/{customer}/block", BECAUSE)
    assert (again.status_code, again.json()["result"]) == (200, "no_op")


def test_a_given_instant_is_only_for_a_given_clock(house: House, trade: Trade) -> None:
    answer = trade["admin"].post("/v1/persons", {}, counterseal_at="2026-01-01T00:00:00Z")
    assert (answer.status_code, answer.json()["code"]) == (400, "clock.not_given")
    answer = trade["admin"].post("/v1/persons", {}, counterseal_at="yesterday")
    assert (answer.status_code, answer.json()["code"]) == (400, "header.at")


def test_a_tenant_with_a_given_clock_takes_instants_from_the_caller(house: House) -> None:
    firm = Firm(house, given_clock=True)
    root = firm.first_administrator(at=datetime(2020, 1, 1, tzinfo=UTC))
    made = root.done("/v1/persons", {}, counterseal_at="2020-06-01T08:00:00+08:00")
    assert made["events"][0]["at"] == "2020-06-01T00:00:00Z"


def test_a_member_acts_for_their_customer_and_for_no_other(trade: Trade) -> None:
    customer, other = trade.customer("member-1"), trade.customer("member-2")
    person = trade["admin"].done("/v1/persons", {"full_name": "Dealer"})["id"]
    trade["verifier"].done(
        f"/v1/customers/{customer}/members", {"person": person, "acts": ["request"]}
    )
    dealer = trade.member("dealer", customer, person)

    def ask(grantee: str) -> tuple[int, str]:
        body = {
            "grantee": f"customer:{grantee}",
            "kind": "dealership",
            "actions": ["sell"],
            "scope": {"territory": ["CN/32"], "product": ["tea"]},
            "term": {"days": 30},
        }
        answer = dealer.post("/v1/grants", body)
        return answer.status_code, answer.json().get("code", "")

    assert ask(customer) == (201, "")
    assert ask(other) == (403, "member.missing")


def test_a_deputy_acts_on_behalf_and_the_event_says_so(trade: Trade) -> None:
    root, principal = trade["root"], trade.staff["compliance"]
    deputy = trade.appoint("deputy", "requester")
    until = "2999-01-01T00:00:00Z"
    root.done(f"/v1/staff/{principal}/deputy", {"deputy": trade.staff["deputy"], "until": until})
    customer = trade.customer("deputised")
    body = BECAUSE | {"on_behalf_of": f"staff:{principal}"}
    alone = deputy.post(f"/v1/customers/{customer}/block", BECAUSE)
    assert (alone.status_code, alone.json()["code"]) == (403, "role.missing")
    blocked = deputy.done(f"/v1/customers/{customer}/block", body)
    (event,) = blocked["events"]
    assert event["by"]["ref"] == f"staff:{trade.staff['deputy']}"
    assert event["on_behalf_of"] == {
        "ref": f"staff:{principal}",
        "person": trade.people["compliance"],
    }
    wrong = BECAUSE | {"on_behalf_of": f"staff:{trade.staff['approver']}"}
    answer = deputy.post(f"/v1/customers/{customer}/unblock", wrong)
    assert (answer.status_code, answer.json()["code"]) == (403, "actor.not_deputy")
