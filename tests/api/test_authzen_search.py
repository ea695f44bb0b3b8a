"""AuthZEN's searches: bare results, stable, complete, paged, and in step with evaluation."""

from __future__ import annotations

from functools import partial
from typing import Any

import pytest

from tests.support.doors import Caller, House
from tests.support.trade import BECAUSE, Trade, evaluation

SUBJECT, RESOURCE, ACTION = (
    f"/access/v1/search/{one}" for one in ("subject", "resource", "action")
)
POINTS = ["CN", "CN/31", "CN/31/0115", "CN/32"]
GREEN = {"product": "tea/green"}


class Dealers:
    """A firm of its own, with dealers of CN/31 and one whose grant was revoked."""

    def __init__(self, house: House) -> None:
        self.trade = Trade(house)
        self.trade.catalogue()
        self.trade.policy()
        self.asker: Caller = self.trade.service("search", "evaluate", "search")
        self.ids = sorted(self.trade.customer(f"D-{n}") for n in range(5))
        self.grants = [self.trade.active(one) for one in self.ids]
        self.gone = self.ids.pop(2)
        told = self.trade["compliance"].done(
            f"/v1/grants/{self.grants[2]['id']}/revocation", BECAUSE
        )
        self.position: int = told["position"]

    def found(self, path: str, body: dict[str, Any], **page: Any) -> dict[str, Any]:
        answer = self.asker.ask(path, body | ({"page": page} if page else {}))
        assert answer.status_code == 200, answer.text
        return answer.json()

    def walked(self, path: str, body: dict[str, Any], limit: int) -> list[dict[str, str]]:
        """All results, page by page, the token alone leading on."""
        page = self.found(path, body, limit=limit)
        found = page["results"]
        while page["page"]["next_token"]:
            page = self.found(path, body, token=page["page"]["next_token"])
            assert 1 <= len(page["results"]) <= limit
            found += page["results"]
        return found

    def allows(self, kind: str, who: str, action: str, where: str, **context: Any) -> bool:
        body = evaluation(who, where, **context)
        body |= {"subject": {"type": kind, "id": who}, "action": {"name": action}}
        answer = self.asker.ask("/access/v1/evaluation", body)
        assert answer.status_code == 200
        return answer.json()["decision"]


@pytest.fixture(scope="module")
def dealers(house: House) -> Dealers:
    return Dealers(house)


def who(where: str = "CN/31/0115", kind: str = "customer", **context: Any) -> dict[str, Any]:
    """Who may sell green tea there?"""
    body = evaluation("", where, **context)
    return body | {"subject": {"type": kind}}


def where(customer: str, **context: Any) -> dict[str, Any]:
    """Where may they sell green tea?"""
    body = evaluation(customer, **context)
    return body | {"resource": {"type": "territory", "properties": GREEN}}


def what(customer: str, place: str = "CN/31", **context: Any) -> dict[str, Any]:
    """What may they do there with green tea?"""
    body = evaluation(customer, place, **context)
    del body["action"]
    return body


def customers(*ids: str) -> list[dict[str, str]]:
    return [{"type": "customer", "id": one} for one in ids]


def points(*paths: str) -> list[dict[str, str]]:
    return [{"type": "territory", "id": one} for one in paths]


def test_results_are_bare_and_the_same_request_gives_the_same_bytes(dealers: Dealers) -> None:
    subjects = ",".join(f'{{"type":"customer","id":"{one}"}}' for one in dealers.ids)
    for path, body, expected in (
        (SUBJECT, who(), f'{{"results":[{subjects}]}}'),
        (
            RESOURCE,
            where(dealers.ids[0]),
            '{"results":[{"type":"territory","id":"CN/31"},{"type":"territory","id":"CN/31/0115"}]}',
        ),
        (ACTION, what(dealers.ids[0]), '{"results":[{"name":"sell"}]}'),
    ):
        for _ in range(2):
            answer = dealers.asker.ask(path, body)
            assert (answer.status_code, answer.text) == (200, expected)
            assert answer.headers["content-type"] == "application/json"
            assert int(answer.headers["position"]) >= dealers.position


def test_search_agrees_with_evaluation_item_by_item(dealers: Dealers) -> None:
    everyone = sorted([*dealers.ids, dealers.gone])
    members = sorted(dealers.trade.staff.values())
    cells = 0
    for kind, ids in (("customer", everyone), ("staff", members)):
        for place in POINTS:
            found = dealers.found(SUBJECT, who(place, kind))["results"]
            allowed = [one for one in ids if dealers.allows(kind, one, "sell", place)]
            assert found == [{"type": kind, "id": one} for one in allowed]
            cells += len(ids)
    for one in everyone:
        found = dealers.found(RESOURCE, where(one))["results"]
        assert found == points(
            *(at for at in POINTS if dealers.allows("customer", one, "sell", at))
        )
        for place in POINTS:
            names = [
                name for name in ("fly", "sell") if dealers.allows("customer", one, name, place)
            ]
            found = dealers.found(ACTION, what(one, place))["results"]
            assert found == [{"name": name} for name in names]
            cells += 2
    assert cells > 80


def test_the_searched_objects_id_is_ignored(dealers: Dealers) -> None:
    for sent in ("somebody", "", "CN/*", 7, None, ["x"]):
        body = who() | {"subject": {"type": "customer", "id": sent}}
        assert dealers.found(SUBJECT, body)["results"] == customers(*dealers.ids)
        body = where(dealers.ids[0])
        body["resource"] |= {"id": sent}
        assert dealers.found(RESOURCE, body)["results"] == points("CN/31", "CN/31/0115")
        body = what(dealers.ids[0]) | {"action": {"name": sent}}
        assert dealers.found(ACTION, body)["results"] == [{"name": "sell"}]


def test_unknown_ids_and_types_find_nothing(dealers: Dealers) -> None:
    nobody = "nonexistent-user"
    stranger = {"type": "spaceship", "id": "s1"}
    for path, body in (
        (SUBJECT, who(kind="spaceship")),
        (SUBJECT, who(kind="team")),
        (SUBJECT, who("nowhere")),
        (SUBJECT, who() | {"action": {"name": "fly"}}),
        (SUBJECT, who() | {"action": {"name": "a\u0000b"}}),
        (SUBJECT, who() | {"resource": stranger}),
        (RESOURCE, where(nobody)),
        (RESOURCE, where(nobody) | {"subject": stranger}),
        (RESOURCE, where(dealers.ids[0]) | {"resource": {"type": "spaceship"}}),
        (RESOURCE, where(dealers.ids[0]) | {"action": {"name": "a\u0000b"}}),
        (ACTION, what(nobody)),
        (ACTION, what(dealers.ids[0], "nowhere")),
        (ACTION, what(dealers.ids[0]) | {"subject": stranger}),
    ):
        answer = dealers.asker.ask(path, body)
        assert (answer.status_code, answer.content) == (200, b'{"results":[]}')


def test_a_page_is_told_whenever_one_was_asked_for(dealers: Dealers) -> None:
    for path, body in (
        (SUBJECT, who()),
        (RESOURCE, where(dealers.ids[0])),
        (ACTION, what(dealers.ids[0])),
    ):
        whole = dealers.found(path, body)
        assert whole.keys() == {"results"}
        for page in ({}, {"limit": 1000}, {"limit": 10**30}, {"token": ""}, {"more": 1}):
            answer = dealers.asker.ask(path, body | {"page": page})
            assert answer.json() == whole | {"page": {"next_token": ""}}, page
        assert dealers.asker.ask(path, body | {"page": None}).json() == whole


@pytest.mark.parametrize("limit", [1, 2, 3, 4])
def test_pages_are_complete_and_in_a_stable_order(dealers: Dealers, limit: int) -> None:
    assert dealers.walked(SUBJECT, who(), limit) == customers(*dealers.ids)
    assert dealers.walked(RESOURCE, where(dealers.ids[0]), limit) == points("CN/31", "CN/31/0115")
    assert dealers.walked(ACTION, what(dealers.ids[0]), limit) == [{"name": "sell"}]


def test_a_set_that_is_cut_says_so_unasked(
    dealers: Dealers, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("api.routes.authzen_search.MAX_RESULTS", 3)
    first = dealers.found(SUBJECT, who())
    assert first["results"] == customers(*dealers.ids[:3])
    rest = dealers.found(SUBJECT, who(), token=first["page"]["next_token"])
    assert rest == {"results": customers(dealers.ids[3]), "page": {"next_token": ""}}


def test_a_token_carries_the_limit_and_goes_with_its_query_alone(dealers: Dealers) -> None:
    token = dealers.found(SUBJECT, who(), limit=2)["page"]["next_token"]

    def status(path: str, body: dict[str, Any], **page: Any) -> int:
        answer = dealers.asker.ask(path, body | {"page": page})
        if answer.status_code == 400:
            assert answer.json()["code"] == "cursor.malformed"
        return answer.status_code

    second = dealers.found(SUBJECT, who(), token=token)
    assert second["results"] == customers(*dealers.ids[2:4])
    assert status(SUBJECT, who(), token=token, limit=2) == 200
    assert status(SUBJECT, who(), token=token, limit=3) == 400
    assert status(SUBJECT, who("CN/31"), token=token) == 400
    assert status(SUBJECT, who() | {"action": {"name": "show"}}, token=token) == 400
    assert status(SUBJECT, who(kind="staff"), token=token) == 400
    assert status(SUBJECT, who(at="2026-01-01T00:00:00Z"), token=token) == 400
    assert status(SUBJECT, who() | {"context": {"n": 10**40}}, token=token) == 400
    other = who()
    other["resource"]["properties"] = {"product": "tea"}
    assert status(SUBJECT, other, token=token) == 400
    assert status(RESOURCE, where(dealers.ids[0]), token=token) == 400
    assert status(SUBJECT, who(), token=token[:-1]) == 400
    assert status(SUBJECT, who(), token="x" * 5_000) == 400
    # What is unknown is ignored, also where a token is looked at.
    assert status(SUBJECT, who() | {"more": 1}, token=token) == 200


@pytest.mark.parametrize(
    "page", [[], "next", 3, {"limit": -1}, {"limit": "2"}, {"limit": 1.5}, {"token": 7}]
)
def test_a_mistyped_page_is_400(dealers: Dealers, page: Any) -> None:
    for path, body in (
        (SUBJECT, who()),
        (RESOURCE, where(dealers.ids[0])),
        (ACTION, what(dealers.ids[0])),
    ):
        assert dealers.asker.ask(path, body | {"page": page}).status_code == 400


def test_a_page_of_no_results_says_whether_there_are_any(dealers: Dealers) -> None:
    assert dealers.found(SUBJECT, who("nowhere"), limit=0) == {
        "results": [],
        "page": {"next_token": ""},
    }
    some = dealers.found(SUBJECT, who(), limit=0)
    assert some["results"] == []
    assert some["page"]["next_token"] != ""


def test_a_search_of_the_past_finds_what_was_known_and_in_force_then(dealers: Dealers) -> None:
    before = dealers.position - 1
    everyone = sorted([*dealers.ids, dealers.gone])
    began = dealers.grants[2]["events"][-1]
    at = began["fields"]["starts_at"]
    last = dealers.grants[4]["events"][-1]
    assert dealers.found(SUBJECT, who(as_of=before))["results"] == customers(*everyone)
    in_words = who(as_of=last["recorded_at"], at=last["fields"]["starts_at"])
    assert dealers.found(SUBJECT, in_words)["results"] == customers(*everyone)
    first_two = who(as_of=dealers.grants[1]["position"])
    expected = sorted(dealers.grants[n]["state"]["grantee"][9:] for n in range(2))
    assert dealers.found(SUBJECT, first_two)["results"] == customers(*expected)
    assert dealers.found(SUBJECT, who(at="2020-01-01T00:00:00Z"))["results"] == []
    assert dealers.found(RESOURCE, where(dealers.gone))["results"] == []
    assert dealers.found(RESOURCE, where(dealers.gone, at=at))["results"] != []
    assert dealers.found(ACTION, what(dealers.gone, as_of=before))["results"] == [{"name": "sell"}]


def test_what_was_just_told_is_found_and_what_is_not_yet_there_is_waited_for(
    dealers: Dealers,
) -> None:
    for consistency in ("default", "full", {"at_least": dealers.position}):
        body = who(consistency=consistency)
        assert dealers.found(SUBJECT, body)["results"] == customers(*dealers.ids)
    never: list[dict[str, Any]] = [{"consistency": {"at_least": 10**9}}, {"as_of": 10**9}]
    for context in never:
        answer = dealers.asker.ask(SUBJECT, who(**context))
        assert (answer.status_code, answer.json()["code"]) == (503, "position.not_reached")


def test_explaining_changes_no_search(dealers: Dealers) -> None:
    assert dealers.found(SUBJECT, who(explain=True)) == {"results": customers(*dealers.ids)}


def test_a_tenant_finds_only_its_own(house: House, trade: Trade, dealers: Dealers) -> None:
    stranger = trade.service("stranger", "search")
    answer = stranger.ask(RESOURCE, where(dealers.ids[0]))
    assert answer.json() == {"results": []}
    found = stranger.ask(SUBJECT, who()).json()["results"]
    assert not {one["id"] for one in found} & {*dealers.ids, dealers.gone}


def test_places_with_long_chinese_names_are_paged(
    dealers: Dealers, monkeypatch: pytest.MonkeyPatch
) -> None:
    trade = dealers.trade
    name = {"zh": "长", "en": "long"}
    paths = ["/".join([f"茶{n}" + "龙" * 110] * depth) for n in range(3) for depth in (1, 2, 3, 4)]
    for path in paths:
        body = {"dimension": "territory", "path": path, "names": name}
        trade["admin"].done("/v1/catalogue/points", body)
    scope = {"territory": paths[::4], "product": ["tea"]}
    monkeypatch.setattr(trade, "request", partial(trade.request, scope=scope))
    customer = trade.customer("D-long")
    trade.active(customer)
    assert dealers.walked(RESOURCE, where(customer), 1) == points(*sorted(paths))
