"""AuthZEN's evaluations: defaults, semantics, items that lack something, all decided together."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest

from api.documents import FOLDER
from api.routes.authzen_items import MAX_EVALUATIONS
from tests.support.doors import Caller, House
from tests.support.ledger import new_id
from tests.support.trade import BECAUSE, Trade, evaluation

EVALUATIONS = "/access/v1/evaluations"
YES, NO = b'{"decision":true}', b'{"decision":false}'

HERE = evaluation("")["resource"]
ELSEWHERE = HERE | {"id": "CN/32"}


@pytest.fixture(scope="module")
def dealer(trade: Trade) -> str:
    """A customer with a grant in force in CN/31, known to every check from now on."""
    customer = trade.customer("batch")
    signed = trade.active(customer)
    assert trade.may(customer, since=signed["position"])
    return customer


@pytest.fixture
def asker(trade: Trade) -> Caller:
    return trade.checker


def body_of(*decisions: bytes) -> bytes:
    """An answer of bare decisions, to the byte."""
    return b'{"evaluations":[' + b",".join(decisions) + b"]}"


def asked(asker: Caller, body: dict[str, Any], **headers: str) -> bytes:
    answer = asker.ask(EVALUATIONS, body, **headers)
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"] == "application/json"
    return answer.content


def test_decisions_come_in_their_order_and_to_the_byte(asker: Caller, dealer: str) -> None:
    yes, no = evaluation(dealer), evaluation(dealer, "CN/32")
    for _ in range(3):
        assert asked(asker, {"evaluations": [yes, no, yes]}) == body_of(YES, NO, YES)
        assert asked(asker, {"evaluations": [no]}) == body_of(NO)


def test_what_stands_beside_the_items_is_their_default(asker: Caller, dealer: str) -> None:
    nobody = {"type": "customer", "id": new_id()}
    body = evaluation(dealer) | {
        "evaluations": [
            {},
            {"resource": ELSEWHERE},
            {"action": {"name": "fly"}},
            {"subject": nobody},
            {"resource": HERE, "action": {"name": "sell"}, "more": [1]},
        ]
    }
    assert asked(asker, body) == body_of(YES, NO, NO, NO, YES)


def test_a_required_key_is_filled_from_the_default_and_properties_never(
    asker: Caller, dealer: str
) -> None:
    given = {"product": "tea/green"}
    body: dict[str, Any] = {
        "subject": {"type": "customer"},
        "action": {"name": "sell", "properties": {"soft": True}},
        "resource": {"type": "territory", "id": "CN/31/0115", "properties": given},
        "evaluations": [
            {"subject": {"id": dealer}},
            {"subject": {"id": dealer}, "resource": {"id": "CN/31"}},
            {"subject": {"id": dealer}, "resource": {"id": "CN/31", "properties": given}},
            {"subject": {"id": dealer}, "resource": {"properties": given}},
            {"subject": {"id": dealer}, "resource": {}},
            {"subject": {"id": dealer}, "action": {}},
            {"subject": {"id": dealer}, "action": {"properties": {}}},
        ],
    }
    # Without properties nothing says which product, and the territory's own attributes say nothing.
    assert asked(asker, body) == body_of(YES, NO, YES, YES, NO, YES, YES)


def test_an_items_context_takes_the_place_of_the_whole_default(asker: Caller, dealer: str) -> None:
    long_ago = {"at": "2001-01-01T00:00:00Z"}
    body = evaluation(dealer) | {
        "context": long_ago,
        "evaluations": [{}, {"context": {}}, {"context": {"time": "now"}}, {"context": None}],
    }
    assert asked(asker, body) == body_of(NO, YES, YES, NO)
    body = evaluation(dealer) | {"evaluations": [{}, {"context": long_ago}]}
    assert asked(asker, body) == body_of(YES, NO)


@pytest.mark.parametrize("more", [{}, {"evaluations": []}, {"evaluations": None}])
def test_without_evaluations_it_is_the_single_form(
    asker: Caller, dealer: str, more: dict[str, Any]
) -> None:
    assert asked(asker, evaluation(dealer) | more) == YES
    assert asked(asker, evaluation(dealer, "CN/32") | more) == NO
    assert asker.ask(EVALUATIONS, {"action": {"name": "sell"}} | more).status_code == 400
    explained = asker.ask(EVALUATIONS, evaluation(dealer, explain=True) | more).json()
    assert explained["context"]["code"] == "check.allowed"


@pytest.mark.parametrize(
    ("semantic", "items", "expected"),
    [
        ("execute_all", "ynyn", "ynyn"),
        ("deny_on_first_deny", "yyny", "yyn"),
        ("deny_on_first_deny", "nyy", "n"),
        ("deny_on_first_deny", "yy", "yy"),
        ("permit_on_first_permit", "nnyn", "nny"),
        ("permit_on_first_permit", "ynn", "y"),
        ("permit_on_first_permit", "nn", "nn"),
    ],
)
def test_each_semantic_cuts_the_answer_behind_the_item_that_stopped_it(
    asker: Caller, dealer: str, semantic: str, items: str, expected: str
) -> None:
    body = evaluation(dealer) | {
        "evaluations": [{"resource": HERE if one == "y" else ELSEWHERE} for one in items],
        "options": {"evaluations_semantic": semantic, "another": {"option": 1}},
    }
    assert asked(asker, body) == body_of(*(YES if one == "y" else NO for one in expected))


def test_an_item_that_lacks_something_counts_as_a_denial(asker: Caller, dealer: str) -> None:
    body = {
        "subject": {"type": "customer", "id": dealer},
        "action": {"name": "sell"},
        "evaluations": [{"resource": HERE}, {}, {"resource": HERE}],
    }
    first, second, third = asker.ask(EVALUATIONS, body).json()["evaluations"]
    assert (first, third) == ({"decision": True}, {"decision": True})
    assert second == {
        "decision": False,
        "context": {
            "error": {
                "status": 400,
                "code": "field.missing",
                "pointer": "/resource",
                "message": "This field is missing.",
            }
        },
    }
    chinese = asker.ask(EVALUATIONS, body, accept_language="zh").json()["evaluations"]
    assert chinese[1]["context"]["error"]["message"] == "缺少此字段。"
    stopped = asker.ask(
        EVALUATIONS, body | {"options": {"evaluations_semantic": "deny_on_first_deny"}}
    ).json()["evaluations"]
    assert stopped == [first, second]
    permitted = {"evaluations": [{}, {"resource": HERE}, {"resource": HERE}]}
    option = {"options": {"evaluations_semantic": "permit_on_first_permit"}}
    found = asker.ask(EVALUATIONS, body | permitted | option).json()["evaluations"]
    assert [one["decision"] for one in found] == [False, True]


@pytest.mark.parametrize(
    ("item", "pointer"),
    [
        ({"subject": "alice"}, "/subject"),
        ({"subject": None}, "/subject"),
        ({"subject": {"id": 7}}, "/subject/id"),
        ({"subject": {"id": None}}, "/subject/id"),
        ({"action": {"name": ""}}, "/action/name"),
        ({"action": []}, "/action"),
        ({"resource": {"type": ["x"]}}, "/resource/type"),
        ({"resource": {"properties": 3}}, "/resource/properties"),
        ({"context": 3}, "/context"),
        ({"context": {"as_of": "soon"}}, "/context/as_of"),
    ],
)
def test_an_item_that_is_mistyped_is_denied_in_its_place(
    asker: Caller, dealer: str, item: dict[str, Any], pointer: str
) -> None:
    body = evaluation(dealer) | {"evaluations": [{}, item, {}]}
    first, second, third = asker.ask(EVALUATIONS, body).json()["evaluations"]
    assert first == third == {"decision": True}
    assert second["decision"] is False
    assert second["context"]["error"]["pointer"] == pointer


def test_an_id_that_names_no_single_thing_denies_its_item(asker: Caller, dealer: str) -> None:
    body = evaluation(dealer) | {
        "evaluations": [
            {},
            {"resource": {"id": "CN/*"}},
            {"subject": {"id": "x" * 300}},
            {"subject": {"id": "/x"}},
        ]
    }
    first, *wrong = asker.ask(EVALUATIONS, body).json()["evaluations"]
    assert first == {"decision": True}
    for one in wrong:
        assert one["decision"] is False
        assert one["context"]["error"]["code"] == "check.bad_id"


@pytest.mark.parametrize(
    "more",
    [
        {"evaluations": {}},
        {"evaluations": "all"},
        {"evaluations": [7]},
        {"evaluations": [{}, []]},
        {"options": []},
        {"options": {"evaluations_semantic": "execute_some"}},
        {"options": {"evaluations_semantic": None}},
        {"options": {"evaluations_semantic": ["execute_all"]}},
        {"subject": "alice"},
        {"action": 3},
        {"resource": []},
        {"context": "now"},
        {"evaluations": [{}] * (MAX_EVALUATIONS + 1)},
    ],
    ids=lambda more: repr(more)[:40],
)
def test_what_is_wrong_with_the_whole_request_is_400(
    asker: Caller, dealer: str, more: dict[str, Any]
) -> None:
    answer = asker.ask(EVALUATIONS, evaluation(dealer) | {"evaluations": [{}]} | more)
    assert answer.status_code == 400
    assert answer.headers["content-type"] == "application/problem+json"


def test_reasons_are_given_to_the_items_that_ask(asker: Caller, dealer: str) -> None:
    why = {"context": {"explain": True}}
    body = evaluation(dealer) | {"evaluations": [{}, why, why | {"resource": ELSEWHERE}]}
    bare, allowed, denied = asker.ask(EVALUATIONS, body).json()["evaluations"]
    assert bare == {"decision": True}
    assert allowed["context"]["code"] == "check.allowed"
    told = {
        "detail",
        "grant",
        "number",
        "terms",
        "policy",
        "policy_version",
        "rests_on",
        "position",
    }
    assert told <= allowed["context"].keys()
    assert denied["decision"] is False
    assert denied["context"]["code"] == "scope.not_covered"


def test_each_item_has_its_own_times(trade: Trade, asker: Caller) -> None:
    customer = trade.customer("batch-times")
    signed = trade.active(customer)
    grant, since = signed["id"], signed["position"]
    began = signed["events"][-1]
    trade["compliance"].done(f"/v1/grants/{grant}/revocation", BECAUSE)
    times = [
        {},
        {"at": began["fields"]["starts_at"]},
        {"as_of": since},
        {"as_of": began["recorded_at"], "at": began["fields"]["starts_at"]},
        {"as_of": since - 1},
        {"consistency": "full"},
        {"consistency": {"at_least": since}},
    ]
    body = evaluation(customer) | {"evaluations": [{"context": one} for one in times]}
    assert asked(asker, body) == body_of(NO, YES, YES, YES, NO, NO, NO)


def test_a_position_that_is_not_reached_fails_the_whole_request(asker: Caller, dealer: str) -> None:
    for context in ({"as_of": 10**9}, {"consistency": {"at_least": 10**9}}):
        body = evaluation(dealer) | {"evaluations": [{}, {"context": context}]}
        answer = asker.ask(EVALUATIONS, body)
        assert (answer.status_code, answer.json()["code"]) == (503, "position.not_reached")


def test_a_batch_is_decided_in_one_gathering(
    house: House, asker: Caller, dealer: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    reader = house.services._reader  # pyright: ignore[reportPrivateUsage]
    load, reads = reader.load, list[int]()

    async def counted(tenant: str, subjects: Any, points: Any, as_of: int | None) -> Any:
        reads.append(len(subjects))
        return await load(tenant, subjects, points, as_of)

    monkeypatch.setattr(reader, "load", counted)
    strangers = [{"subject": {"type": "customer", "id": new_id()}} for _ in range(200)]
    body = evaluation(dealer) | {"evaluations": [{}, *strangers, {}]}
    assert asked(asker, body) == body_of(YES, *[NO] * 200, YES)
    assert len(reads) <= 3
    assert sum(reads) >= 200


def test_as_many_items_as_one_request_may_have_are_answered(asker: Caller, dealer: str) -> None:
    body = evaluation(dealer) | {"evaluations": [{}] * MAX_EVALUATIONS}
    assert asked(asker, body) == body_of(*[YES] * MAX_EVALUATIONS)


@pytest.mark.parametrize("name", ["api.md", "api.zh-CN.md"])
def test_the_documents_example_is_answered_as_the_document_says(
    asker: Caller, dealer: str, name: str
) -> None:
    text = (FOLDER / name).read_text(encoding="utf-8")
    (example,) = re.findall(r'```json\n(\{"subject".*?"evaluations".*?)```', text, re.DOTALL)
    body = json.loads(example)
    body["subject"]["id"] = dealer
    first, second = asker.ask(EVALUATIONS, body).json()["evaluations"]
    assert first["decision"] is False
    assert first["context"]["error"].keys() == {"status", "code", "pointer", "message"}
    assert first["context"]["error"]["pointer"] == "/resource/id"
    assert second == {"decision": True}
