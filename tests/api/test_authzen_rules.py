"""What AuthZEN asks of each of its endpoints: methods, media types, members, request ids."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.support.doors import Caller, House
from tests.support.trade import Trade, evaluation

NOBODY = "01900000-0000-7000-8000-000000000000"

ENDPOINTS: dict[str, dict[str, Any]] = {
    "evaluation": evaluation(NOBODY),
    "evaluations": {
        "evaluations": [evaluation(NOBODY), evaluation(NOBODY)],
    },
    "search/subject": evaluation(NOBODY) | {"subject": {"type": "customer"}},
    "search/resource": evaluation(NOBODY) | {"resource": {"type": "territory"}},
    "search/action": {
        name: value for name, value in evaluation(NOBODY).items() if name != "action"
    },
}
"""Endpoint -> a request it answers."""

ANSWERS = {
    "evaluation": {"decision": False},
    "evaluations": {"evaluations": [{"decision": False}, {"decision": False}]},
    "search/resource": {"results": []},
    "search/action": {"results": []},
}
"""What is said of somebody who is not there."""

REQUIRED: dict[str, list[str]] = {
    "evaluation": [
        "subject", "subject/type", "subject/id", "action", "action/name", "resource",
        "resource/type", "resource/id",
    ],
    "search/subject": [
        "subject", "subject/type", "action", "action/name", "resource", "resource/type",
        "resource/id",
    ],
    "search/resource": [
        "subject", "subject/type", "subject/id", "action", "action/name", "resource",
        "resource/type",
    ],
    "search/action": [
        "subject", "subject/type", "subject/id", "resource", "resource/type", "resource/id",
    ],
}  # fmt: skip

NEEDED = [(name, member) for name, members in REQUIRED.items() for member in members]


def url(name: str) -> str:
    return f"/access/v1/{name}"


@pytest.fixture(scope="module")
def asker(trade: Trade) -> Caller:
    """A policy enforcement point."""
    return trade.service("enforcement", "evaluate", "search")


def changed(body: dict[str, Any], member: str, value: Any) -> dict[str, Any]:
    """The request with another value at a place; without it where the value is Ellipsis."""
    copy = json.loads(json.dumps(body))
    *above, last = member.split("/")
    place = copy
    for step in above:
        place = place[step]
    if value is ...:
        del place[last]
    else:
        place[last] = value
    return copy


@pytest.mark.parametrize("name", ENDPOINTS)
def test_whoever_and_whatever_is_not_there_is_no_error(asker: Caller, name: str) -> None:
    answer = asker.ask(url(name), ENDPOINTS[name])
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "application/json"
    if name in ANSWERS:
        assert answer.content == json.dumps(ANSWERS[name], separators=(",", ":")).encode()


@pytest.mark.parametrize("name", ENDPOINTS)
def test_unknown_members_are_ignored_everywhere(asker: Caller, name: str) -> None:
    plain = asker.ask(url(name), ENDPOINTS[name])
    body = json.loads(json.dumps(ENDPOINTS[name]))
    for place in (body, *(one for one in body.values() if isinstance(one, dict))):
        place |= {"foo": "bar", "future": {"nested": [1, None, True]}, "page_size": 3}
    for member in ("subject", "action", "resource"):
        if member in body:
            body[member]["properties"] = {"product": "tea/green", "role": "admin", "n": [1]}
    body["context"] = {"time": "1985-10-26T01:22-07:00", "ip": "192.168.1.1", "more": {}}
    answer = asker.ask(url(name), body)
    assert (answer.status_code, answer.content) == (200, plain.content)


@pytest.mark.parametrize(("name", "member"), NEEDED)
@pytest.mark.parametrize("value", [..., None, 7, [], ""], ids=repr)
def test_a_required_member_that_is_missing_or_mistyped_is_400(
    asker: Caller, name: str, member: str, value: Any
) -> None:
    answer = asker.ask(url(name), changed(ENDPOINTS[name], member, value))
    assert answer.status_code == 400
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json()["errors"][0]["pointer"] == f"/{member}"


@pytest.mark.parametrize("name", ENDPOINTS)
@pytest.mark.parametrize("value", [[], "now", 3, True])
def test_a_context_that_is_no_object_is_400(asker: Caller, name: str, value: Any) -> None:
    assert asker.ask(url(name), ENDPOINTS[name] | {"context": value}).status_code == 400


@pytest.mark.parametrize("name", ENDPOINTS)
@pytest.mark.parametrize(
    "raw", [b"", b" \n", b"[]", b"null", b"7", b'"x"', b"{", b'{"subject":', b"\xff{}", b"{}{}"]
)
def test_what_is_no_json_object_is_400(house: House, asker: Caller, name: str, raw: bytes) -> None:
    headers = asker.headers | {"content-type": "application/json"}
    assert house.send("POST", url(name), headers=headers, content=raw).status_code == 400


@pytest.mark.parametrize("name", ENDPOINTS)
def test_json_is_the_only_media_type(house: House, asker: Caller, name: str) -> None:
    content = json.dumps(ENDPOINTS[name]).encode()
    for kind, status in (
        ("application/json", 200),
        ("application/json; charset=utf-8", 200),
        ("Application/JSON;charset=UTF-8", 200),
        ("application/json; charset=latin-1", 415),
        ("text/plain", 415),
        ("application/x-www-form-urlencoded", 415),
        ("", 415),
    ):
        headers = asker.headers | ({"content-type": kind} if kind else {})
        answer = house.send("POST", url(name), headers=headers, content=content)
        assert answer.status_code == status, kind


@pytest.mark.parametrize("name", ENDPOINTS)
def test_another_method_is_405(house: House, asker: Caller, name: str) -> None:
    for method in ("GET", "PUT", "PATCH", "DELETE"):
        answer = house.send(method, url(name), headers=asker.headers)
        assert (answer.status_code, answer.headers["allow"]) == (405, "POST")


@pytest.mark.parametrize("name", ENDPOINTS)
def test_nobody_is_answered_without_a_key_and_its_scope(
    house: House, trade: Trade, name: str
) -> None:
    for headers in ({}, {"authorization": "Bearer nothing"}, {"authorization": "Basic eDp5"}):
        answer = house.send("POST", url(name), headers=headers, json=ENDPOINTS[name])
        assert answer.status_code == 401
        assert answer.headers["www-authenticate"].startswith("Bearer")
    other = "evaluate" if name.startswith("search") else "search"
    stranger = trade.service(f"other {name}", other)
    assert stranger.ask(url(name), ENDPOINTS[name]).status_code == 403


@pytest.mark.parametrize("name", ENDPOINTS)
@pytest.mark.parametrize("sent", ["abc", "not a uuid; 7", "0" * 300, "ünï"])
def test_the_request_id_comes_back_on_every_answer(
    house: House, asker: Caller, name: str, sent: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def status(*, method: str = "POST", **more: Any) -> int:
        headers = {"x-request-id": sent.encode()} | more.pop("headers", asker.headers)
        answer = house.send(method, url(name), headers=headers, **more)
        assert (b"x-request-id", sent.encode()) in answer.headers.raw
        return answer.status_code

    body = ENDPOINTS[name]
    assert status(json=body) == 200
    assert status(json={}) == 400
    assert status(json=body, headers={}) == 401
    assert status(method="GET") == 405
    assert status(content=b"{}") == 415
    assert status(json=body | {"more": "x" * 600_000}) == 413
    monkeypatch.setattr(house.services.gate, "slot", None)  # a fault of ours
    assert status(json=body) == 500


def test_an_answer_without_a_request_id_has_none(asker: Caller) -> None:
    answer = asker.ask(url("evaluation"), ENDPOINTS["evaluation"])
    assert "x-request-id" not in answer.headers


BAD_IDS = ["CN/*", "*", "CN//31", "/CN", "CN/", "e\u0301tage", "a\u0000b", "x" * 513]


@pytest.mark.parametrize("wrong", BAD_IDS)
@pytest.mark.parametrize(
    ("name", "member"),
    [
        (name, member)
        for name, member in NEEDED
        if member in ("subject/id", "resource/id", "resource/type")
    ],
)
def test_an_id_that_names_no_single_thing_is_400(
    asker: Caller, name: str, member: str, wrong: str
) -> None:
    body = changed(ENDPOINTS[name], member, wrong)
    assert asker.ask(url(name), body).status_code == 400


@pytest.mark.parametrize("name", ENDPOINTS)
@pytest.mark.parametrize(
    "context",
    [
        {"explain": "yes"},
        {"at": "yesterday"},
        {"at": "2026-01-01T00:00:00"},
        {"as_of": -1},
        {"as_of": 2**63},
        {"consistency": "strong"},
        {"consistency": {"at_least": 2**70}},
        {"consistency": {"at_least": 1, "more": 2}},
    ],
    ids=repr,
)
def test_what_context_says_of_times_is_checked(
    asker: Caller, name: str, context: dict[str, Any]
) -> None:
    answer = asker.ask(url(name), ENDPOINTS[name] | {"context": context})
    if name == "evaluations":
        assert answer.status_code == 200
        for item in answer.json()["evaluations"]:
            assert item["decision"] is False
            assert item["context"]["error"]["pointer"].startswith("/context/")
    else:
        assert answer.status_code == 400
        assert answer.json()["errors"][0]["pointer"].startswith("/context/")


@pytest.mark.parametrize("name", ENDPOINTS)
def test_the_farthest_instants_are_answered(asker: Caller, name: str) -> None:
    for instant in ("0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-14:00"):
        for member in ("at", "as_of"):
            body = ENDPOINTS[name] | {"context": {member: instant, "explain": True}}
            assert asker.ask(url(name), body).status_code == 200, (instant, member)
