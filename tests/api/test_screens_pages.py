"""Every page in every state: well formed, in both languages, every link of it answers."""

from __future__ import annotations

import re
from collections import Counter, deque
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from string import Formatter

import psycopg
import pytest

from api.identity import SCOPES, create_key
from api.screens import drawing
from api.screens.acts import Act
from api.screens.clock import given, local, zone_of
from api.screens.customer_acts import ACTS as CUSTOMER_ACTS
from api.screens.grant_acts import ACTS as GRANT_ACTS
from api.screens.words import texts
from domain.errors import Refused
from domain.values import Party
from tests.api import test_reference_walk as reference_walk
from tests.api.test_reference_walk import EVERY_STATE, Walk
from tests.support.doors import ALL, Caller, House
from tests.support.firm import START, found
from tests.support.screens import Page, Person
from tests.support.timekeeping import Timekeeper
from tests.support.trade import Trade

SCRIPT = "<script>alert(1)</script>"
HOSTILE = f"{SCRIPT}\"'><img src=x onerror=alert(2)>&amp;"
HAN = re.compile(r"[\u4e00-\u9fff]")


def whole(trade: Trade) -> Caller:
    """An administrator whose key has every scope."""
    return Caller(trade.house, trade.tenant, trade["root"].party, SCOPES)


def require_good(page: Page, path: str) -> None:
    """What holds for every page: a language, headings in order, labels, one place to skip to."""
    assert page.status < 500, (path, page.source)
    language = page.answer.headers["content-language"]
    assert f'<html lang="{"zh-CN" if language == "zh" else "en"}">' in page.source
    assert page.headings[0] == 1, path
    assert page.headings.count(1) == 1, path
    for above, below in zip(page.headings, page.headings[1:], strict=False):
        assert below <= above + 1, (path, page.headings)
    assert set(page.named) <= set(page.labels), (path, set(page.named) - set(page.labels))
    assert set(page.labels) <= set(page.ids), path
    assert page.ids.count("main") == 1
    assert "#main" in page.links
    assert "<script" not in page.source
    assert "Undefined" not in page.source


NAMED = re.compile(r"[0-9a-f-]{36}|(?<==)\d[^&]*")
"""What stands in a path for one of many: an id, a position, a day."""


@pytest.mark.usefixtures("runner")
def test_every_link_of_every_page_answers(trade: Trade) -> None:
    customer = trade.customer("SP-1")
    trade.active(customer)
    trade.pending(customer)
    trade.house.follow()
    person = Person(trade.house).sign_in(whole(trade))
    waiting, seen = deque(["/", f"/customers/{customer}"]), set[str]()
    kinds = Counter[str]()
    while waiting:
        path = waiting.popleft()
        kind = NAMED.sub("…", path.partition("#")[0])
        if path in seen or kinds[kind] > 2:  # three of a kind: not each position of the past
            continue
        seen.add(path)
        kinds[kind] += 1
        answer = person.send("GET", path)
        assert answer.status_code in (200, 303), path
        if answer.status_code == 303:
            waiting.append(answer.headers["location"])
        elif answer.headers["content-type"].startswith("text/html") and path != "/docs":
            page = Page(answer)
            require_good(page, path)
            waiting += [one for one in page.links if one.startswith("/")]
            for one in page.links:
                if one.startswith("#"):
                    assert one[1:] in page.ids, (path, one)
    assert len(seen) > 12, seen


class Looking(Walk):
    """Opens a grant's page whenever its state or version is another one."""

    def __init__(self, house: House, keeper: Timekeeper) -> None:
        self.opened: set[str] = set()
        super().__init__(found(house), keeper)
        holder = Party(f"staff:{self.mirror.ids['staff', 'all']}")
        with psycopg.connect(house.database.migrator) as conn:
            key = create_key(conn, house.services.keys, self.mirror.tenant, holder, sorted(ALL))
        self.people = [Person(house, "en"), Person(house, "zh")]
        for person in self.people:
            fields = {"key": key, "next": "/work"}
            assert person.send("POST", "/sign-in", fields).status_code == 303

    def look(self, grant: str) -> None:
        super().look(grant)
        if grant not in self.mirror.world.grants:
            return
        stream = self.mirror.ids["grant", grant]
        person = self.people[len(self.opened) % 2]
        status = self.mirror.world.grants[grant].status(self.mirror.seen)
        version = self.mirror.versions.get(stream, 0)
        if (mark := f"{grant} {status} {version}") in self.opened:
            return
        self.opened.add(mark)
        page = person.open(f"/grants/{stream}")
        assert page.status == 200, (mark, page.source)
        require_good(page, mark)
        assert f'class="status status-{status}"' in page.source, mark


@pytest.fixture
def looking(quick_house: House, keeper: Timekeeper) -> Iterator[Looking]:
    walk = Looking(quick_house, keeper)
    yield walk
    walk.mirror.close()


def test_a_grants_page_is_drawn_in_every_state_there_is(looking: Looking) -> None:
    reference_walk.the_house(looking)
    reference_walk.the_main_way(looking)
    reference_walk.the_other_ways(looking)
    reference_walk.supervision(looking)
    reference_walk.cases(looking)
    assert looking.states == EVERY_STATE
    assert len(looking.opened) > 60
    looking.keeper.tick(looking.mirror)
    for person in looking.people:
        for path in ("/work", "/work?of=all", "/grants"):
            page = person.open(path)
            require_good(page, path)
            assert page.status == 200
        for (kind, _), stream in looking.mirror.ids.items():
            if kind == "customer":
                page = person.open(f"/customers/{stream}")
                assert page.status == 200, page.source
                require_good(page, stream)
    clock = local(looking.mirror.seen, zone_of("Asia/Shanghai"))
    assert f"The clock of this tenant is given. It says {clock}" in looking.people[0].open("/").said


def test_names_that_are_markup_are_shown_as_they_are_written(trade: Trade) -> None:
    customer = trade.customer("SP-2", title=HOSTILE)
    grant = trade.pending(customer)
    question = {"question": HOSTILE}
    trade["verifier"].done(f"/v1/grants/{grant['id']}/information-requests", question)
    trade["requester"].done(f"/v1/grants/{grant['id']}/notes", {"label": "<i>", "text": HOSTILE})
    trade.house.follow()
    person = Person(trade.house).sign_in(whole(trade))
    for path in (
        f"/grants/{grant['id']}",
        f"/grants/{grant['id']}?purpose=audit",
        f"/customers/{customer}",
        f"/grants?grantee={SCRIPT}",
        f"/grants?grantee=customer:{customer}",
        f"/grants?number={SCRIPT}",
        f"/grants/{grant['id']}?action={SCRIPT}&on.territory={SCRIPT}&when={SCRIPT}",
        "/work?of=all",
        f"/sign-in?next={SCRIPT}&link={SCRIPT}",
        f"/nothing-{SCRIPT}",
    ):
        page = person.open(path)
        assert page.status < 500, path
        for piece in (SCRIPT, "<img src=x", "<i>"):
            assert piece not in page.source, (path, piece)
    assert HOSTILE in person.open(f"/customers/{customer}").said


def test_sealed_texts_are_opened_for_a_purpose_and_that_is_logged(trade: Trade) -> None:
    number = "11010519491231002X"
    body = {"number": "SP-3", "form": "person", "full_name": "王小明", "identity_number": number}
    customer = trade["requester"].done("/v1/customers", body)["id"]
    grant = trade.request(trade.customer("SP-4"))["id"]
    note = {"text": "The caller was Ms Li."}
    trade["requester"].done(f"/v1/grants/{grant}/notes", note)

    def reads(stream: str) -> list[tuple[str, ...]]:
        with psycopg.connect(trade.house.database.auditor) as conn:
            conn.execute("SELECT set_config('counterseal.tenant', %s, true)", (trade.tenant,))
            return conn.execute(
                "SELECT kind, purpose FROM access_log WHERE stream_id = %s", (stream,)
            ).fetchall()

    plain = Person(trade.house).sign_in(trade["verifier"])
    full = Person(trade.house).sign_in(whole(trade))
    for path, stream, secret in (
        (f"/customers/{customer}", customer, "王小明"),
        (f"/grants/{grant}", grant, "The caller was Ms Li."),
    ):
        for person in (plain, full):
            page = person.open(path)
            assert page.status == 200
            assert secret not in page.said
        assert plain.open(f"{path}?purpose=audit").status == 403
        assert reads(stream) == []
        opened = full.open(f"{path}?purpose=audit")
        assert secret in opened.said, opened.said
        assert reads(stream) == [("unmasked_read", "audit")]
    assert number in full.open(f"/customers/{customer}?purpose=audit").said


def test_pages_speak_the_language_asked_for_and_the_one_chosen(trade: Trade) -> None:
    person = Person(trade.house, "zh-CN,zh;q=0.9,en;q=0.5")
    page = person.open("/")
    assert page.answer.headers["content-language"] == "zh"
    assert "谁可以做什么" in page.said
    person.open("/language?to=en&next=/sign-in")
    page = person.open("/")
    assert page.answer.headers["content-language"] == "en"
    assert HAN.sub("", page.said) != page.said, "the switch names the other language in itself"
    assert "谁可以做什么" not in page.said
    assert person.send("GET", "/language?to=xx&next=/").status_code == 303


@pytest.mark.parametrize("language", ["zh", "en"])
def test_what_goes_wrong_is_a_page_in_both_languages(trade: Trade, language: str) -> None:
    person = Person(trade.house, language).sign_in(trade["approver"])
    words = texts()["said"]
    grant = trade.request(trade.customer(f"SP-9{language}"))["id"]
    for path, status in (
        ("/grants/01900000-0000-7000-8000-00000000dead", 404),
        ("/customers/nobody", 404),
        ("/no-such-page", 404),
        ("/grants?status=nonsense", 400),
        ("/grants?cursor=x", 400),
        ("/work?cursor=x", 400),
        (f"/grants/{grant}?purpose=audit", 403),
    ):
        page = person.open(path)
        assert page.status == status, path
        assert page.answer.headers["content-type"] == "text/html; charset=utf-8"
        assert page.alert
        require_good(page, path)
        if status in (403, 404):
            assert words[f"fault.{status}"][language] in page.said
    assert person.send("GET", "/v1/nothing").headers["content-type"] == "application/problem+json"
    json = person.send("GET", "/no-such-page", accept="application/json")
    assert json.headers["content-type"] == "application/problem+json"


def test_a_fault_of_ours_is_a_page_that_tells_nothing(
    trade: Trade, monkeypatch: pytest.MonkeyPatch
) -> None:
    person = Person(trade.house).sign_in(trade["approver"])

    def broken(*_: object) -> None:
        raise ZeroDivisionError("secret of ours")

    monkeypatch.setattr(drawing, "instant", broken)
    grant = trade.request(trade.customer("SP-5"))["id"]
    page = person.open(f"/grants/{grant}")
    assert page.status == 500
    assert "Something went wrong here" in page.said
    assert "secret of ours" not in page.source
    assert "ZeroDivision" not in page.source


def test_the_list_of_grants_is_found_by_number_grantee_and_status(trade: Trade) -> None:
    one, two = (
        trade.customer("SP-6", title="龙井茶行甲"),
        trade.customer("SP-7", title="龙井茶行乙"),
    )
    first, second = trade.pending(one), trade.request(two)
    trade.house.follow()
    person = Person(trade.house).sign_in(trade["approver"])
    mine, other = f"/grants/{first['id']}", f"/grants/{second['id']}"

    def links(query: str) -> list[str]:
        page = person.open(f"/grants?{query}")
        assert page.status == 200, page.alert
        return [link for link in page.links if link.startswith(("/grants/", "/grants?grantee"))]

    assert links(f"number={first['state']['number'].lower()}") == [mine]
    assert links("grantee=SP-6") == [mine]
    assert links("grantee=龙井茶行乙") == [other]
    assert links(f"grantee=customer:{one}&status=pending_approval") == [mine]
    assert links(f"grantee=customer:{one}&status=active") == []
    assert len(links("grantee=龙井茶行")) == 2, "which of the two is asked"
    assert person.open("/grants?grantee=nobody-here").status == 422
    bare = Person(trade.house).sign_in(trade.checker)
    assert bare.open("/grants?number=CS-1").status == 403, "what was typed is not what is wrong"


def test_a_database_that_is_away_is_no_fault_of_what_was_typed(
    trade: Trade, monkeypatch: pytest.MonkeyPatch
) -> None:
    person = Person(trade.house).sign_in(trade["approver"])

    async def away(*_: object) -> None:
        raise Refused("database.unreachable")

    monkeypatch.setattr("api.screens.grants._found", away)
    assert person.open("/grants?number=CS-1").status == 503


def test_a_long_list_goes_on_on_the_next_page(
    trade: Trade, monkeypatch: pytest.MonkeyPatch
) -> None:
    customer = trade.customer("SP-8")
    made = [trade.request(customer)["id"] for _ in range(5)]
    trade.house.follow()
    monkeypatch.setattr("api.screens.grants.ROWS", 2)
    person = Person(trade.house).sign_in(trade["approver"])
    path: str | None = f"/grants?grantee=customer:{customer}"
    seen: list[str] = []
    while path is not None:
        links = person.open(path).links
        seen += [one[8:] for one in links if re.fullmatch(r"/grants/[0-9a-f-]{36}", one)]
        path = next((one for one in links if "cursor=" in one and "/language" not in one), None)
    assert seen == made


def test_both_languages_have_every_text_with_the_same_places() -> None:
    for section, words in texts().items():
        for key, known in words.items():
            assert set(known) == {"zh", "en"}, (section, key)
            zh, en = (
                {name for _, name, _, _ in Formatter().parse(known[one]) if name is not None}
                for one in ("zh", "en")
            )
            assert zh == en, (section, key)


def test_every_text_is_used_and_every_text_used_is_there() -> None:
    folder = Path(drawing.__file__).parent
    sources = "\n".join(
        path.read_text(encoding="utf-8")
        for path in (*folder.glob("*.py"), *(folder / "templates").glob("*.html"))
    )
    said = texts()["said"]
    families = ("act.", "field.", "stage.", "mark.", "purpose.", "fault.", "identity.")
    families += ("changes.by_", "changes.differs_")
    for key in said:
        assert key.startswith(families) or f'"{key}"' in sources or f"'{key}'" in sources, key
    for key in re.findall(r"""say\(["']([\w.]+)["'][,)]""", sources):
        assert key in said, key
    acts: tuple[Act, ...] = (*GRANT_ACTS, *CUSTOMER_ACTS)
    for act in acts:
        assert f"act.{act.name}" in said
        for name in (*act.fields, *act.places):
            assert f"field.{name}" in said, name


def test_instants_are_of_the_zone_and_days_begin_in_it() -> None:
    shanghai, utc = zone_of("Asia/Shanghai"), zone_of("UTC")
    assert given("2027-01-31", shanghai) == "2027-01-30T16:00:00Z"
    assert given("2027-01-31 09:30", shanghai) == "2027-01-31T01:30:00Z"
    assert given("2027-01-31T09:30:00+01:00", shanghai) == "2027-01-31T08:30:00Z"
    assert given("soon", shanghai) == "soon"
    moment = START
    assert local(moment, utc) == "2027-03-01 09:00"
    assert local(moment, shanghai) == "2027-03-01 17:00"
    assert local(moment + timedelta(hours=7), shanghai) == "2027-03-02"
    with pytest.raises(ValueError, match="no such time zone"):
        zone_of("Mars/Olympus")


@pytest.mark.usefixtures("runner")
def test_a_page_of_the_past_shows_what_was_known_then_and_decides_nothing(trade: Trade) -> None:
    customer = trade.customer("SP-10")
    grant = trade.active(customer)["id"]
    items = trade["admin"].get(f"/v1/grants/{grant}/events").json()["items"]
    known = {one["type"].split(".")[1]: one["position"] for one in items}
    trade.house.follow()
    person = Person(trade.house).sign_in(whole(trade))
    page = person.open(f"/grants/{grant}")
    assert f"/grants/{grant}?as_of={known['checked']}" in page.links
    for what, status in (("requested", "submitted"), ("verified", "pending_approval")):
        page = person.open(f"/grants/{grant}?as_of={known[what]}")
        require_good(page, what)
        assert f'class="status status-{status}"' in page.source
        assert page.acts() == set()
        assert f"known at position {known[what]}" in page.said
        assert "signed" not in page.said.partition("Terms")[0]
    assert person.open(f"/grants/{grant}?as_of={known['requested'] - 1}").status == 404
    assert person.open(f"/grants/{grant}?as_of=2020-01-01").status == 404
    (form,) = [one for one in page.forms if "action" in one.fields]
    assert "No." in person.submit_get(form).said, "it was not in force by what was known then"
    later = person.open(f"/grants/{grant}?at=2199-01-01")
    assert 'class="status status-expired"' in later.source
    events = trade["admin"].get(f"/v1/customers/{customer}/events").json()["items"]
    page = person.open(f"/customers/{customer}?as_of={events[0]['position']}")
    require_good(page, "customer")
    assert "registered, not confirmed" in page.said
    assert page.acts() == set()
