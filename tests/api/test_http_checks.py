"""Access checks over HTTP: AuthZEN's single evaluation to the letter, and our own form."""

import json
from typing import Any

import pytest

from tests.support.doors import Firm, House
from tests.support.trade import BECAUSE, Trade, evaluation

EVALUATION = "/access/v1/evaluation"


@pytest.fixture(scope="module")
def dealer(trade: Trade) -> str:
    """A customer with a grant in force, known to every check from now on."""
    customer = trade.customer("dealer")
    signed = trade.active(customer)
    assert trade.may(customer, since=signed["position"])
    return customer


def ask(trade: Trade, body: Any) -> tuple[int, str]:
    answer = trade.checker.ask(EVALUATION, body)
    return answer.status_code, answer.text


def test_an_allow_and_a_deny_are_these_very_bytes(trade: Trade, dealer: str) -> None:
    for _ in range(3):
        assert ask(trade, evaluation(dealer)) == (200, '{"decision":true}')
        assert ask(trade, evaluation(dealer, "CN/32")) == (200, '{"decision":false}')
    answer = trade.checker.ask(EVALUATION, evaluation(dealer))
    assert answer.headers["content-type"] == "application/json"


def test_unknown_members_change_nothing(trade: Trade, dealer: str) -> None:
    body = evaluation(dealer) | {"more": {"a": [1, 2]}, "options": {}}
    body["subject"] = body["subject"] | {"properties": {"x": 1}, "extra": None}
    body["action"] = body["action"] | {"properties": {"method": "GET"}}
    body["context"] = {"time": "whenever", "nested": {"deep": [True]}}
    assert ask(trade, body) == (200, '{"decision":true}')


@pytest.mark.parametrize(
    "change",
    [
        {"subject": None},
        {"subject": "customer:1"},
        {"subject": {"type": "customer"}},
        {"subject": {"id": "x"}},
        {"subject": {"type": 1, "id": "x"}},
        {"subject": {"type": "customer", "id": 7}},
        {"subject": {"type": "customer", "id": "x", "properties": []}},
        {"action": {}},
        {"action": {"name": None}},
        {"action": "sell"},
        {"resource": {"type": "territory"}},
        {"resource": {"type": "territory", "id": ["CN"]}},
        {"resource": {"type": "territory", "id": ""}},
        {"context": []},
        {"context": "now"},
    ],
)
def test_a_required_member_missing_or_mistyped_is_400(
    trade: Trade, dealer: str, change: dict[str, Any]
) -> None:
    answer = trade.checker.ask(EVALUATION, evaluation(dealer) | change)
    assert answer.status_code == 400
    assert answer.headers["content-type"] == "application/problem+json"


@pytest.mark.parametrize("name", ["subject", "action", "resource"])
def test_a_required_member_left_out_is_400(trade: Trade, dealer: str, name: str) -> None:
    body = evaluation(dealer)
    del body[name]
    answer = trade.checker.ask(EVALUATION, body)
    assert answer.status_code == 400
    assert answer.json()["errors"][0]["pointer"] == f"/{name}"


@pytest.mark.parametrize(
    "raw", [b"", b"  ", b"[]", b"null", b'"x"', b"{", b'{"subject":', b"\xff\xfe{}"]
)
def test_what_is_no_json_object_is_400(trade: Trade, raw: bytes) -> None:
    headers = trade.checker.headers | {"content-type": "application/json"}
    answer = trade.house.send("POST", EVALUATION, headers=headers, content=raw)
    assert answer.status_code == 400


def test_other_content_types_are_415_and_utf8_is_json(trade: Trade, dealer: str) -> None:
    content = json.dumps(evaluation(dealer)).encode()
    for kind, status in (
        ("text/plain", 415),
        ("application/x-www-form-urlencoded", 415),
        ("application/json", 200),
        ("application/json; charset=utf-8", 200),
        ("application/json;charset=UTF-8", 200),
    ):
        headers = trade.checker.headers | {"content-type": kind}
        answer = trade.house.send("POST", EVALUATION, headers=headers, content=content)
        assert answer.status_code == status, kind


@pytest.mark.parametrize(
    "resource", ["CN/*", "*", "CN//31", "/CN", "CN/", "e\u0301tage", "a\u0000b", "x" * 513]
)
def test_an_id_that_names_no_single_thing_is_400(trade: Trade, dealer: str, resource: str) -> None:
    answer = trade.checker.ask(EVALUATION, evaluation(dealer, resource))
    assert answer.status_code == 400


def test_unknown_subjects_actions_and_resources_are_denied(trade: Trade, dealer: str) -> None:
    nobody = evaluation("01900000-0000-7000-8000-000000000000")
    assert ask(trade, nobody) == (200, '{"decision":false}')
    for change in (
        {"subject": {"type": "robot", "id": "r2"}},
        {"action": {"name": "fly"}},
        {"resource": {"type": "planet", "id": "mars"}},
        {"resource": {"type": "territory", "id": "CN/31"}},  # nothing says which product
    ):
        assert ask(trade, evaluation(dealer) | change) == (200, '{"decision":false}')


def test_the_request_id_comes_back_from_a_check(trade: Trade, dealer: str) -> None:
    for sent in ("abc", "not a uuid", "0" * 200):
        answer = trade.checker.ask(EVALUATION, evaluation(dealer), x_request_id=sent)
        assert answer.headers["x-request-id"] == sent
        broken = trade.checker.ask(EVALUATION, {}, x_request_id=sent)
        assert (broken.status_code, broken.headers["x-request-id"]) == (400, sent)


def test_a_reason_is_given_only_when_asked_for(trade: Trade, dealer: str) -> None:
    allowed = trade.checker.ask(EVALUATION, evaluation(dealer, explain=True)).json()
    assert allowed["decision"] is True
    why = allowed["context"]
    assert why["code"] == "check.allowed"
    assert why["number"] in why["detail"]
    assert why["position"] >= why["rests_on"]
    denied = trade.checker.ask(
        EVALUATION, evaluation(dealer, "CN/32", explain=True), accept_language="zh"
    ).json()
    assert denied["decision"] is False
    assert denied["context"]["code"] == "scope.not_covered"
    assert "不在范围内" in denied["context"]["detail"]
    quiet = evaluation(dealer, explain=False)
    assert ask(trade, quiet) == (200, '{"decision":true}')


@pytest.mark.parametrize(
    "context",
    [
        {"explain": "yes"},
        {"at": "yesterday"},
        {"at": "2026-01-01T00:00:00"},
        {"as_of": -1},
        {"as_of": "position 3"},
        {"consistency": "strong"},
        {"consistency": {"at_least": "3"}},
        {"consistency": {"at_least": -1}},
        {"consistency": {"at_least": 1, "more": 2}},
    ],
)
def test_what_context_says_of_times_is_checked(
    trade: Trade, dealer: str, context: dict[str, Any]
) -> None:
    answer = trade.checker.ask(EVALUATION, evaluation(dealer, **context))
    assert answer.status_code == 400
    assert answer.json()["errors"][0]["pointer"].startswith("/context/")


def test_yesterday_and_what_we_knew_are_two_questions(trade: Trade) -> None:
    customer = trade.customer("times")
    signed = trade.active(customer)
    grant, since = signed["id"], signed["position"]
    at = signed["events"][-1]["fields"]["starts_at"]
    revoked = trade["compliance"].done(f"/v1/grants/{grant}/revocation", BECAUSE)
    assert not trade.may(customer)

    def decision(**context: Any) -> bool:
        body = evaluation(customer, **context)
        return trade.checker.ask(EVALUATION, body).json()["decision"]

    assert decision(at=at)
    assert decision(as_of=since)
    assert not decision(as_of=since - 1, at=at)
    assert not decision(as_of=revoked["position"])
    assert not decision(at="2020-01-01T00:00:00Z")
    assert decision(as_of=signed["events"][-1]["recorded_at"], at=at)


def test_a_check_of_ours_says_when_on_what_and_why(trade: Trade, dealer: str) -> None:
    body = {
        "subject": f"customer:{dealer}",
        "action": "sell",
        "resource": {"type": "territory", "id": "CN/31", "properties": {"product": "tea"}},
    }
    answer = trade.checker.ask("/v1/checks", body)
    assert answer.status_code == 200
    found = answer.json()
    assert found["decision"] is True
    assert found["explanation"]["code"] == "check.allowed"
    assert answer.headers["position"] == str(found["position"])
    assert "explanation" not in trade.checker.ask("/v1/checks", body | {"explain": False}).json()
    fresh = trade.checker.ask("/v1/checks", body | {"consistency": "full"})
    assert fresh.json()["decision"] is True
    unknown = trade.checker.ask("/v1/checks", body | {"colour": "red"})
    assert (unknown.status_code, unknown.json()["code"]) == (400, "body.invalid")
    late = trade.checker.ask("/v1/checks", body | {"at_least": 10**9})
    assert (late.status_code, late.json()["code"]) == (503, "position.not_reached")


def test_the_metadata_names_the_endpoints(house: House, trade: Trade) -> None:
    base = house.settings.base_url
    for path, identifier in (
        ("/.well-known/authzen-configuration", base),
        (f"/.well-known/authzen-configuration/{trade.tenant}", f"{base}/{trade.tenant}"),
    ):
        answer = house.send("GET", path)
        assert answer.status_code == 200
        assert answer.json() == {
            "policy_decision_point": identifier,
            "access_evaluation_endpoint": f"{base}/access/v1/evaluation",
            "access_evaluations_endpoint": f"{base}/access/v1/evaluations",
            "search_subject_endpoint": f"{base}/access/v1/search/subject",
            "search_resource_endpoint": f"{base}/access/v1/search/resource",
            "search_action_endpoint": f"{base}/access/v1/search/action",
        }
    assert house.send("GET", "/.well-known/authzen-configuration/nothing").status_code == 404


def test_a_tenant_is_asked_only_through_its_own_keys(house: House, trade: Trade) -> None:
    other = Firm(house)
    other.first_administrator()
    stranger = other.service("stranger", "evaluate")
    customer = trade.customer("walls")
    signed = trade.active(customer)
    assert trade.may(customer, since=signed["position"])
    answer = stranger.ask(EVALUATION, evaluation(customer, explain=True))
    assert answer.json()["decision"] is False
    assert answer.json()["context"]["code"] == "check.subject_unknown"
