"""What changed between two moments, on a page: what it tells, to whom, and how much of it."""

from __future__ import annotations

import asyncio

import pytest

from api.identity import SCOPES
from api.layers import Limits
from api.screens import changes_found
from api.screens import doors as screens
from tests.api.test_screens_pages import require_good
from tests.support.doors import Caller, House
from tests.support.screens import Page, Person
from tests.support.trade import BECAUSE, Trade


@pytest.fixture
def trade(house: House) -> Trade:
    made = Trade(house)
    made.catalogue()
    made.policy()
    return made


def reader(trade: Trade, *scopes: str) -> Caller:
    """An administrator whose key has these scopes."""
    return Caller(trade.house, trade.tenant, trade["root"].party, scopes or SCOPES)


def head(trade: Trade) -> int:
    return trade.house.services.ledgers.tail(trade.tenant, 2**62).position


def opened(person: Person, path: str) -> Page:
    page = person.open(path)
    require_good(page, path)
    return page


def test_a_grant_that_came_into_force_is_told_with_its_terms_side_by_side(trade: Trade) -> None:
    customer = trade.customer("CH-1")
    before = head(trade)
    grant = trade.active(customer)["id"]
    number = trade["admin"].get(f"/v1/grants/{grant}").json()["state"]["number"]
    for language, words in (
        ("en", ("in force now, not before", "took effect", "side by side", "Territory differs")),
        ("zh", ("新生效", "生效，至", "授权内容对照", "地域 不同")),
    ):
        person = Person(trade.house, language).sign_in(reader(trade))
        page = opened(person, f"/changes?grant={grant}&from={before}")
        assert page.status == 200
        for word in (number, *words):
            assert word in page.said, word
        assert f"/grants/{grant}" in page.links


def test_kinds_and_dimensions_are_called_what_the_tenant_calls_them(house: House) -> None:
    trade = Trade(house)
    trade.catalogue({"territory": {"en": "Sales area", "zh": "销售区域"}})
    trade.policy(names={"en": "Tea dealership", "zh": "茶叶经销"})
    before = head(trade)
    grant = trade.active(trade.customer("CH-20"))["id"]
    for language, kind, area in (
        ("en", "(Tea dealership)", "Sales area"),
        ("zh", "（茶叶经销）", "销售区域"),
    ):
        person = Person(house, language).sign_in(reader(trade))
        page = opened(person, f"/changes?grant={grant}&from={before}")
        assert kind in page.said
        assert area in page.said
        assert "dealership)" not in page.said.replace("(Tea dealership)", "")
        assert area in opened(person, f"/grants/{grant}").said


def test_the_same_moments_have_no_difference(trade: Trade) -> None:
    grant = trade.active(trade.customer("CH-2"))["id"]
    person = Person(trade.house).sign_in(reader(trade))
    page = opened(person, f"/changes?grant={grant}&from={head(trade)}")
    assert "Nothing differs." in page.said
    assert "Nothing was recorded here between them." in page.said


def test_a_customers_changes_are_those_of_its_grants(trade: Trade) -> None:
    customer, other = trade.customer("CH-3"), trade.customer("CH-4")
    before = head(trade)
    own, foreign = trade.active(customer)["id"], trade.active(other)["id"]
    trade.house.follow()
    person = Person(trade.house).sign_in(reader(trade))
    page = opened(person, f"/changes?customer={customer}&from={before}")
    assert f"/grants/{own}" in page.links
    assert f"/grants/{foreign}" not in page.links
    page = opened(person, f"/changes?from={before}")
    assert {f"/grants/{own}", f"/grants/{foreign}"} <= set(page.links)


def test_a_blocked_customer_touches_its_grants(trade: Trade) -> None:
    customer = trade.customer("CH-5")
    grant = trade.active(customer)["id"]
    trade.house.follow()
    before = head(trade)
    trade["compliance"].done(f"/v1/customers/{customer}/block", BECAUSE)
    person = Person(trade.house).sign_in(reader(trade))
    page = opened(person, f"/changes?from={before}")
    assert "in force no longer" in page.said
    assert f"/grants/{grant}" in page.links
    narrow = Person(trade.house).sign_in(reader(trade, "grants:read"))
    page = opened(narrow, f"/changes?grant={grant}&from={before}")
    assert "in force no longer" in page.said
    assert "blocked" not in page.said, "acts on a customer are for who may read them"


@pytest.mark.parametrize("by", ["valid", "happened"])
def test_what_was_in_force_and_what_had_happened_are_compared_too(trade: Trade, by: str) -> None:
    grant = trade.active(trade.customer(f"CH-{by}"))["id"]
    trade.house.follow()
    person = Person(trade.house).sign_in(reader(trade))
    for path in (f"/changes?grant={grant}&from=0&by={by}", f"/changes?from=0&by={by}"):
        page = opened(person, path)
        assert page.status == 200
        assert f"/grants/{grant}" in page.links, page.said
    words = "came into force" if by == "valid" else "nothing yet → active"
    assert words in page.said


@pytest.mark.parametrize(
    ("query", "sentence"),
    [
        ("from=9&to=1", "The second moment lies before the first one."),
        ("from=2027-99-99", "“2027-99-99” is no day, time or position."),
        ("from=1&to=999999999", "The log has no position 999999999 yet"),
        ("from=0001-01-01T00:00:00%2B14:00", "is no day, time or position."),
        ("from=1&by=wish", "There is no comparison “wish”."),
        ("from=1&behind=wish", "“wish” is no day, time or position."),
    ],
)
def test_what_cannot_be_asked_is_said_above_the_form(
    trade: Trade, query: str, sentence: str
) -> None:
    page = opened(Person(trade.house).sign_in(reader(trade)), f"/changes?{query}")
    assert page.status == 422
    assert sentence in page.alert


def test_without_a_first_moment_there_is_only_the_form(trade: Trade) -> None:
    page = opened(Person(trade.house).sign_in(reader(trade)), "/changes")
    assert page.status == 200
    (form,) = [one for one in page.forms if one.action == "/changes"]
    assert form.fields == {"from": "", "to": "", "by": "known"}


def test_what_is_too_much_for_a_page_is_for_the_auditor(
    trade: Trade, monkeypatch: pytest.MonkeyPatch
) -> None:
    person = Person(trade.house).sign_in(reader(trade))
    trade.active(trade.customer("CH-6"))
    trade.active(trade.customer("CH-7"))
    trade.house.follow()
    monkeypatch.setattr(changes_found, "MAX_BETWEEN", 3)
    page = opened(person, "/changes?from=0")
    assert page.status == 422
    assert "a page looks through 3." in page.alert
    assert "counterseal-audit diff" in page.alert
    monkeypatch.setattr(changes_found, "MAX_BETWEEN", 10_000)
    monkeypatch.setattr(changes_found, "MAX_GRANTS", 1)
    for query in ("from=0", "from=0&by=valid"):
        page = opened(person, f"/changes?{query}")
        assert page.status == 422
        assert "More than 1 grants would have to be looked at." in page.alert


@pytest.mark.parametrize("limit", ["SHOWN", "LOOKED_AT"])
def test_page_by_page_all_is_found_once(
    trade: Trade, monkeypatch: pytest.MonkeyPatch, limit: str
) -> None:
    before = head(trade)
    grants = {trade.active(trade.customer(f"CH-{limit}-{one}"))["id"] for one in range(3)}
    trade.house.follow()
    monkeypatch.setattr(changes_found, limit, 1)
    person = Person(trade.house).sign_in(reader(trade))
    path: str | None = f"/changes?from={before}"
    found: list[str] = []
    while path is not None:
        page = opened(person, path)
        found += [one[8:] for one in page.links if one.startswith("/grants/")]
        path = next((one for one in page.links if "behind=" in one and "/changes" in one), None)
    assert sorted(found) == sorted(grants)


def test_whoever_may_not_read_what_happened_does_not_see_what_changed(trade: Trade) -> None:
    customer = trade.customer("CH-8")
    grant = trade.active(customer)["id"]
    reads = Person(trade.house).sign_in(reader(trade, "grants:read"))
    assert reads.open(f"/changes?grant={grant}&from=0").status == 200
    assert reads.open(f"/changes?customer={customer}&from=0").status == 403
    assert reads.open("/changes?from=0").status == 403
    knows = Person(trade.house).sign_in(reader(trade, "customers"))
    assert knows.open(f"/changes?grant={grant}&from=0").status == 403
    assert knows.open(f"/changes?customer={customer}&from=0").status == 403


def test_members_of_a_customer_do_not_see_it(trade: Trade) -> None:
    customer = trade.customer("CH-9")
    grant = trade.active(customer)["id"]
    made = trade["admin"].done("/v1/persons", {"full_name": "Dealer"})["id"]
    body = {"person": made, "acts": ["request"]}
    trade["verifier"].done(f"/v1/customers/{customer}/members", body)
    member = trade.member("dealer", customer, made)
    person = Person(trade.house).sign_in(member)
    for query in (f"grant={grant}&", f"customer={customer}&", ""):
        assert person.open(f"/changes?{query}from=0").status == 403


def test_another_tenants_records_are_none(trade: Trade, house: House) -> None:
    customer = trade.customer("CH-10")
    grant = trade.active(customer)["id"]
    other = Trade(house)
    person = Person(house).sign_in(reader(other))
    assert person.open(f"/changes?grant={grant}&from=0").status == 404
    assert person.open(f"/changes?customer={customer}&from=0").status == 404
    assert person.open("/changes?grant=nonsense&from=0").status == 404
    assert grant not in opened(person, "/changes?from=0").source


def test_sealed_texts_stay_sealed(trade: Trade) -> None:
    customer = trade.customer("CH-11")
    grant = trade.active(customer)["id"]
    body = {"reason": {"code": "test", "text": "秘密的理由"}}
    trade["compliance"].done(f"/v1/grants/{grant}/suspension", body)
    page = opened(Person(trade.house).sign_in(reader(trade)), f"/changes?grant={grant}&from=1")
    assert "秘密的理由" not in page.source
    assert "suspended" in page.said


@pytest.mark.usefixtures("runner")
@pytest.mark.parametrize("kind", ["grant", "customer"])
def test_the_slider_leads_to_each_of_a_records_own_moments(trade: Trade, kind: str) -> None:
    customer = trade.customer(f"CH-slide-{kind}")
    stream = trade.active(customer)["id"] if kind == "grant" else customer
    path = f"/{kind}s/{stream}"
    events = trade["admin"].get(f"/v1{path}/events").json()["items"]
    assert len(events) > 2
    person = Person(trade.house).sign_in(reader(trade))
    page = opened(person, path)
    form = next(one for one in page.forms if "step" in one.fields)
    assert form.fields["step"] == str(len(events)), "a page of now stands at the last moment"
    for number, event in enumerate(events, 1):
        answer = person.send("GET", f"{form.action}?step={number}")
        assert answer.headers["location"] == f"{path}?as_of={event['position']}"
        then = opened(person, answer.headers["location"])
        assert f"Step {number} of {len(events)}:" in then.said
        assert next(one for one in then.forms if "step" in one.fields).fields["step"] == str(number)
        since = person.send("GET", f"{form.action}?step={number}&then=changes")
        assert since.headers["location"] == f"/changes?{kind}={stream}&from={event['position']}"
        assert opened(person, since.headers["location"]).status == 200
    last = f"{path}?as_of={events[-1]['position']}"
    for typed, place in (("0", events[0]), ("wish", events[0]), ("999", events[-1])):
        answer = person.send("GET", f"{form.action}?step={typed}")
        assert answer.headers["location"] == f"{path}?as_of={place['position']}"
    assert f"/changes?{kind}={stream}&from={events[-1]['position']}" in opened(person, last).links


def test_a_person_gets_a_page_for_what_is_refused_before_any_screen(
    trade: Trade, monkeypatch: pytest.MonkeyPatch
) -> None:
    person = Person(trade.house).sign_in(reader(trade))
    answer = person.send("POST", "/work", {"note": "x" * (1 << 20)})
    assert answer.status_code == 413
    require_good(Page(answer), "/work")

    async def slow(_: object, visit: object) -> None:
        await asyncio.sleep(30)
        raise AssertionError("the deadline was before")

    monkeypatch.setattr(screens.Page, "_handled", slow)
    monkeypatch.setattr(trade.house.app, "_limits", Limits(1 << 20, 0.05))
    answer = person.send("GET", "/work")
    assert answer.status_code == 503
    assert "request.deadline" in Page(answer).said
    answer = person.send("GET", "/work", accept="application/json")
    assert answer.json()["code"] == "request.deadline"


@pytest.mark.parametrize("language", ["zh", "en"])
def test_a_person_gets_a_page_for_a_method_that_a_path_does_not_take(
    house: House, language: str
) -> None:
    person = Person(house, language)
    for method, path, allowed in (
        ("POST", "/work", "GET, HEAD"),
        ("DELETE", "/grants/anything", "GET, HEAD, POST"),
        ("GET", "/sign-out", "POST"),
    ):
        page = Page(person.send(method, path))
        assert (page.status, page.answer.headers["allow"]) == (405, allowed)
        assert page.answer.headers["content-language"] == language
        assert "method.not_allowed" in page.said
        require_good(page, path)
        bare = person.send(method, path, accept="application/json")
        assert (bare.status_code, bare.json()["code"]) == (405, "method.not_allowed")
        assert bare.headers["allow"] == allowed
    doors = person.send("DELETE", "/v1/grants")
    assert doors.headers["content-type"] == "application/problem+json"


def test_the_slider_is_for_whoever_may_read_what_happened(trade: Trade, house: House) -> None:
    customer = trade.customer("CH-12")
    grant = trade.active(customer)["id"]
    knows = Person(house).sign_in(reader(trade, "customers"))
    assert knows.open(f"/grants/{grant}?step=1").status == 403
    foreign = Person(house).sign_in(reader(Trade(house)))
    for path in (f"/grants/{grant}", f"/customers/{customer}"):
        assert foreign.open(f"{path}?step=1").status == 404
