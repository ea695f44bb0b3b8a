"""The past over HTTP: what was answered once is answered again as of then, for every list and
record.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import Any

import psycopg
import pytest

from projections import moments
from projections.moments import Maker
from tests.support.doors import Caller, House
from tests.support.past import DAY, Story, Told, whole, working
from tests.support.trade import BECAUSE

BEGINS = datetime(2025, 3, 1, 9, tzinfo=UTC)


@pytest.fixture(scope="module")
def story(house: House) -> Story:
    """The story, told; other tests may add to it what comes after."""
    made = Story(Told(house, BEGINS))
    made.tell()
    return made


@pytest.fixture
def worked(house: House) -> Iterator[None]:
    """A runner at work."""
    with working(house):
        yield


def again(story: Story, question: str, **asked: Any) -> dict[str, Any]:
    """Return the answer to a question of the past, without what says that it is one."""
    who, _, path = question.partition(" ")
    found = story.ask(who, path, **asked)
    told = found.pop("as_of", None)
    assert told is None or told["position"] == int(found["read to"])
    return found


@pytest.mark.usefixtures("worked")
def test_as_of_every_position_every_question_is_answered_as_it_was_then(
    story: Story, rounds: Callable[[int, int], int]
) -> None:
    asked = list(story.answers.items())[:: rounds(4, 1)]
    for position, answers in asked:
        for question, answer in answers.items():
            assert again(story, question, as_of=position) == answer, (position, question)
    first, *_, last = story.answers.values()
    changed = [one for one, answer in first.items() if answer != last[one]]
    assert len(changed) > len(first) / 2, "a story that changes nothing shows nothing"
    print(f"\nas of then = then: {sum(len(answers) for _, answers in asked)} answers, 0 wrong")


@pytest.mark.usefixtures("worked")
def test_as_of_an_instant_is_as_of_the_last_position_by_then(story: Story) -> None:
    for position, at in list(story.recorded.items())[3:12:8]:
        for question, answer in story.answers[position].items():
            assert again(story, question, as_of=at) == answer, (position, question)


@pytest.mark.usefixtures("worked")
def test_one_position_further_the_answer_is_another(story: Story) -> None:
    for position in list(story.answers)[2:-1:4]:
        for path in ("/v1/history?limit=40", "/v1/history.csv"):
            here = again(story, f"compliance {path}", as_of=position)
            assert again(story, f"compliance {path}", as_of=position + 1) != here


@pytest.mark.usefixtures("worked")
def test_an_answer_of_the_past_names_position_and_generation(story: Story) -> None:
    position = sorted(story.answers)[3]
    answer = story.firm["compliance"].get(f"/v1/grants?as_of={position}")
    told = answer.json()["as_of"]
    assert told["position"] == position == int(answer.headers["position"])
    assert told["generation"] == int(answer.headers["generation"]) < 0
    assert datetime.fromisoformat(told["at"]) == datetime.fromisoformat(story.recorded[position])
    one = story.firm["compliance"].get(f"/v1/grants/{story.grants[0]}?as_of={position}")
    assert one.json()["as_of"] == told | {"generation": 0}
    assert "etag" not in one.headers
    story.firm.house.follow()
    head = story.firm.house.services.ledgers.tail(story.firm.tenant, 2**62).position
    now = story.firm["compliance"].get(f"/v1/grants?as_of={head}")
    assert now.json()["as_of"]["generation"] == 1, "nothing came since: the live rows will do"


def test_before_the_first_event_there_is_nothing(story: Story) -> None:
    for path in ("/v1/grants", "/v1/worklist", "/v1/history", "/v1/compliance/open"):
        found = whole(story.firm["compliance"], path, as_of="2000-01-01T00:00:00Z")
        assert (found["items"], found["read to"]) == ([], "0"), path
        assert whole(story.firm["compliance"], path, as_of=0)["items"] == []
    gone = story.firm["compliance"].get(f"/v1/grants/{story.grants[0]}?as_of=0")
    assert (gone.status_code, gone.json()["code"]) == (404, "grant.unknown")


def test_a_position_that_is_not_reached_is_refused(story: Story) -> None:
    for path in ("/v1/grants", "/v1/worklist", f"/v1/grants/{story.grants[0]}", "/v1/history/1"):
        answer = story.firm["compliance"].get(f"{path}?as_of={10**9}")
        assert (answer.status_code, answer.json()["code"]) == (503, "position.not_reached")


@pytest.mark.parametrize("query", ["as_of=soon", "as_of=-1", "as_of=1.5", "at=5", "at=today"])
def test_what_names_no_moment_is_malformed(story: Story, query: str) -> None:
    answer = story.firm["compliance"].get(f"/v1/grants?{query}")
    assert (answer.status_code, answer.json()["code"]) == (400, "query.invalid")


@pytest.mark.parametrize("at", ["0001-01-01T00:00:00Z", "9999-12-31T23:59:59Z"])
@pytest.mark.usefixtures("worked")
def test_the_ends_of_the_calendar_are_instants_too(story: Story, at: str) -> None:
    for path in ("/v1/grants?", "/v1/worklist?overdue=9&", "/v1/compliance/open?", "/v1/history?"):
        for way in ("as_of", "at", "happened"):
            if way != "at" or "history" not in path:
                answer = story.firm["compliance"].get(f"{path}{way}={at}")
                assert answer.status_code == 200, (path, way, answer.text)
    answer = story.firm["compliance"].get("/v1/grants?at=0001-01-01T00:00:00%2B14:00")
    assert (answer.status_code, answer.json()["code"]) == (400, "query.invalid")


@pytest.mark.usefixtures("worked")
def test_statuses_are_told_by_the_clock_that_was_named(story: Story) -> None:
    grant, reader = story.grants[1], story.firm["compliance"]
    granted = sorted(story.answers)[4]
    revoked = (BEGINS + 60 * DAY).isoformat()
    for path in ("/v1/grants?", f"/v1/grants/{grant}?"):

        def status(path: str = path, **asked: Any) -> str:
            found = whole(reader, path, **asked)
            rows = found.get("items") or [{"grant_id": grant, **found["state"]}]
            (row,) = (one for one in rows if one["grant_id"] == grant)
            return row["status"]

        assert status(as_of=granted) == "active"
        assert status(as_of=granted, at=revoked) == "active"  # nobody knew of a revocation then
        assert status(as_of=granted, at=(BEGINS + 369 * DAY).isoformat()) == "expired"
        before = (BEGINS + 59 * DAY).isoformat()
        ((known, _),) = [
            one for one in story.recorded.items() if one[0] == sorted(story.answers)[9]
        ]
        assert status(as_of=known, at=before) == "active"
        assert status(as_of=known, at=revoked) == "revoked"


@pytest.mark.usefixtures("worked")
def test_pages_of_the_past_hold_while_new_events_arrive(story: Story) -> None:
    reader = story.firm["compliance"]
    for asked in ("as_of=2999-01-01T00:00:00Z", "happened=2999-01-01T00:00:00Z"):
        story.firm.house.follow()
        whole_list = whole(reader, f"/v1/customers?limit=100&{asked}")
        answer = reader.get(f"/v1/customers?limit=1&{asked}")
        items, place = answer.json()["items"], answer.json()["as_of"]
        while answer.json()["next_cursor"] is not None:
            number = f"A-{len(items)}-{asked[:2]}"
            body = {"number": number, "form": "organization", "title": "新客户"}
            story.firm["requester"].done("/v1/customers", body)
            answer = reader.get(answer.headers["link"].split(">")[0].removeprefix("<"))
            assert answer.json()["as_of"]["position"] == place["position"]
            assert answer.json()["as_of"]["at"] == place["at"]
            items += answer.json()["items"]
        assert items == whole_list["items"]
    elsewhere = reader.get("/v1/customers?limit=1&as_of=30").json()["next_cursor"]
    for other in ("", "&as_of=31", "&as_of=30&at=2025-01-01T00:00:00Z"):
        answer = reader.get(f"/v1/customers?limit=1&cursor={elsewhere}{other}")
        assert (answer.status_code, answer.json()["code"]) == (400, "cursor.malformed")


@pytest.mark.usefixtures("worked")
def test_today_s_rights_decide_who_sees_the_past(house: House) -> None:
    firm = Told(house, BEGINS)
    mine, other = firm.customer("M-1"), firm.customer("M-2")
    person = firm["admin"].done("/v1/persons", {"full_name": "Someone"})["id"]
    path = f"/v1/customers/{mine}/members"
    made = firm["verifier"].done(path, {"person": person, "acts": ["request"]})
    member = firm.member("member", mine, person)
    given, theirs = firm.active(mine)["id"], firm.active(other)
    house.follow()
    then = theirs["position"]
    assert whole(member, "/v1/me/grants", as_of=then)["items"][0]["grant"] == given
    assert member.get(f"/v1/me/grants/{theirs['id']}?as_of={then}").status_code == 404
    for closed in ("/v1/grants", f"/v1/grants/{given}", "/v1/worklist", "/v1/history"):
        answer = member.get(f"{closed}?as_of={then}")
        assert (answer.status_code, answer.json()["code"]) == (403, "actor.own_view_only"), closed
    poor = Caller(house, firm.tenant, firm["compliance"].party, {"evaluate"})
    assert poor.get(f"/v1/grants?as_of={then}").json()["code"] == "scope_of_key.missing"
    named = next(one["fields"]["member"] for one in made["events"])
    firm["verifier"].done(f"{path}/{named}/end", BECAUSE)
    for path in ("/v1/me/grants", f"/v1/me/grants/{given}"):
        answer = member.get(f"{path}?as_of={then}")
        assert (answer.status_code, answer.json()["code"]) == (403, "member.none"), path


# --- moments --------------------------------------------------------------------------------------


def rows(house: House, tenant: str, query: str) -> list[Any]:
    """Return rows of a tenant as an auditor sees them."""
    with psycopg.connect(house.database.auditor) as conn:
        conn.execute("SELECT set_config('counterseal.tenant', %s, true)", (tenant,))
        return conn.execute(query.encode()).fetchall()


def kept(house: House, tenant: str) -> list[Any]:
    """Return the moments of a tenant: position, state, how far."""
    query = (
        f"SELECT position, state, done FROM moments WHERE tenant_id = '{tenant}' ORDER BY moment"
    )
    return rows(house, tenant, query)


@pytest.fixture
def small(quick_house: House) -> Story:
    """A story on a database of its own, so that no other worker and no other tenant is there."""
    made = Story(Told(quick_house, BEGINS))
    made.customers = [made.firm.customer(f"P-{n}") for n in range(2)]
    made.grants = [made.firm.active(made.customers[0])["id"]]
    made.step()
    made.firm["compliance"].done(f"/v1/grants/{made.grants[0]}/suspension", BECAUSE)
    made.step()
    return made


def impatient(house: House, monkeypatch: pytest.MonkeyPatch, seconds: float) -> None:
    short = house.settings.model_copy(update={"wait_seconds": seconds})
    monkeypatch.setattr(house.services, "settings", short)


def test_what_is_not_ready_in_time_says_how_far_it_is_and_when_to_ask(
    small: Story, monkeypatch: pytest.MonkeyPatch
) -> None:
    house, position = small.firm.house, min(small.answers)
    impatient(house, monkeypatch, 0.05)
    path = f"/v1/grants?as_of={position}"
    for _ in range(2):
        answer = small.firm["compliance"].get(path)
        assert (answer.status_code, answer.json()["code"]) == (503, "moment.preparing")
        assert answer.headers["retry-after"] == "1"
        assert answer.json()["params"] == {"position": position, "done": 0}
    assert kept(house, small.firm.tenant) == [(position, "asked", 0)]
    house.follow()
    assert kept(house, small.firm.tenant) == [(position, "ready", position)]
    assert small.firm["compliance"].get(path).status_code == 200


def test_one_s_own_past_waits_for_no_moment_and_takes_none_of_their_places(small: Story) -> None:
    house, firm = small.firm.house, small.firm
    person = firm["admin"].done("/v1/persons", {"full_name": "Someone"})["id"]
    path = f"/v1/customers/{small.customers[0]}/members"
    firm["verifier"].done(path, {"person": person, "acts": ["request"]})
    member = firm.member("member", small.customers[0], person)
    house.follow()
    given = firm.active(small.customers[0])["id"]
    house.follow()
    first, last = sorted(small.answers)
    for position, status in ((first, "active"), (last, "suspended")):
        answer = member.get(f"/v1/me/grants?as_of={position}")
        assert [(one["grant"], one["status"]) for one in answer.json()["items"]] == [
            (small.grants[0], status)
        ]
        assert answer.json()["as_of"]["position"] == int(answer.headers["position"]) == position
        assert answer.json()["as_of"]["generation"] == 0, "folded from the log itself"
        requests = member.get(f"/v1/me/requests?as_of={position}").json()["items"]
        assert [one["grant"] for one in requests] == [small.grants[0]]
    before = member.get("/v1/me/grants?happened=2000-01-01T00:00:00Z")
    assert before.json()["items"] == []
    assert given in [one["grant"] for one in member.get("/v1/me/grants").json()["items"]]
    assert kept(house, firm.tenant) == []


def test_who_asks_at_once_is_given_one_moment(small: Story) -> None:
    house, position = small.firm.house, min(small.answers)
    headers = small.firm["compliance"].headers
    path = f"/v1/grants?as_of={position}"
    with working(house):
        found = house.together([("GET", path, {"headers": headers})] * 8)
    assert {one.status_code for one in found} == {200}
    assert len({one.text for one in found}) == 1
    assert kept(house, small.firm.tenant) == [(position, "ready", position)]


def ask(house: House, tenant: str, position: int, happened: datetime | None = None) -> Any:
    with psycopg.connect(house.database.service, autocommit=True) as conn:
        return moments.ask(conn, tenant, position, happened)


def test_a_killed_worker_leaves_nothing_half_and_the_next_one_goes_on(
    small: Story, monkeypatch: pytest.MonkeyPatch
) -> None:
    house, tenant, position = small.firm.house, small.firm.tenant, min(small.answers)
    ask(house, tenant, position)
    apply = moments.apply

    def killed(conn: Any, *rest: Any) -> None:
        apply(conn, *rest)
        raise KeyboardInterrupt

    count = f"SELECT count(*) FROM history WHERE generation < 0 AND tenant_id = '{tenant}'"
    done = 0
    while kept(house, tenant) != [(position, "ready", position)]:
        with psycopg.connect(house.database.projector, autocommit=True) as conn:
            monkeypatch.setattr(moments, "apply", killed)
            with pytest.raises(KeyboardInterrupt):
                Maker(page=7).step(conn)
            assert rows(house, tenant, count) == [(done,)]
            monkeypatch.setattr(moments, "apply", apply)
            done += Maker(page=7).step(conn)
            assert rows(house, tenant, count) == [(done,)]
    assert done == position
    for question, answer in small.answers[position].items():
        assert again(small, question, as_of=position) == answer, question


def test_moments_are_limited_and_what_nobody_asks_for_goes_with_its_rows(
    small: Story, monkeypatch: pytest.MonkeyPatch
) -> None:
    house, tenant = small.firm.house, small.firm.tenant
    monkeypatch.setattr(moments, "MOMENTS", 3)
    for position in range(1, 7):
        ask(house, tenant, position)
        house.follow()
    assert [one[0] for one in kept(house, tenant)] == [4, 5, 6]
    left = rows(house, tenant, "SELECT DISTINCT generation FROM history WHERE generation < 0")
    assert len(left) == 3
    monkeypatch.setattr(moments, "UNASKED_HOURS", 0)
    house.follow()
    assert kept(house, tenant) == []
    for table in ("grants", "customers", "staff", "policies", "tasks", "cases", "effects", "hands",
                  "history", "history_keys", "policy_versions", "person_merges"):  # fmt: skip
        assert rows(house, tenant, f"SELECT * FROM {table} WHERE generation < 0") == [], table


def test_more_than_so_many_do_not_wait_to_be_filled(small: Story) -> None:
    house, tenant = small.firm.house, small.firm.tenant
    found = [ask(house, tenant, position) for position in range(1, moments.BEING_MADE + 3)]
    assert [one.moment is None for one in found] == [False] * moments.BEING_MADE + [True] * 2
    assert len(kept(house, tenant)) == moments.BEING_MADE
    house.follow()
    assert ask(house, tenant, moments.BEING_MADE + 1).moment is not None
    assert ask(house, tenant, 10**9).moment is None, "the log does not reach so far"


def test_what_is_being_read_is_not_dropped(small: Story, monkeypatch: pytest.MonkeyPatch) -> None:
    house, tenant, position = small.firm.house, small.firm.tenant, min(small.answers)
    moment = ask(house, tenant, position).moment
    house.follow()
    monkeypatch.setattr(moments, "UNASKED_HOURS", 0)
    with psycopg.connect(house.database.service, autocommit=True) as conn:
        with conn.transaction():
            assert moments.choose(conn, tenant, moment)
            house.follow()
            assert kept(house, tenant) == [(position, "ready", position)]
        house.follow()
        assert kept(house, tenant) == []
        with conn.transaction():
            assert not moments.choose(conn, tenant, moment)


def test_the_setting_of_the_past_does_not_outlive_its_transaction(small: Story) -> None:
    house, tenant, position = small.firm.house, small.firm.tenant, min(small.answers)
    moment = ask(house, tenant, position).moment
    house.follow()
    with psycopg.connect(house.database.service, autocommit=True) as conn:
        with conn.transaction():
            assert moments.choose(conn, tenant, moment)
            assert moments.generation(conn, tenant, "grants") == -moment
        assert moments.generation(conn, tenant, "grants") == 1


def test_a_stream_in_quarantine_is_shown_in_the_past_as_it_was_shown_live(
    small: Story, monkeypatch: pytest.MonkeyPatch
) -> None:
    house, firm, grant = small.firm.house, small.firm, small.grants[0]
    position = max(small.answers)
    with psycopg.connect(house.database.projector) as conn:
        conn.execute("SELECT set_config('counterseal.tenant', %s, true)", (firm.tenant,))
        conn.execute(
            "INSERT INTO quarantined (tenant_id, stream_id, position, projection, code)"
            " VALUES (%s, %s, %s, 'grants', 'event.impossible')",
            (firm.tenant, grant, position),
        )
    firm["requester"].done("/v1/customers", {"number": "Q", "form": "organization", "title": "Q"})
    house.follow()
    with working(house):
        (row,) = whole(firm["compliance"], "/v1/grants", as_of=position)["items"]
    assert row["status"] == "active", "the hold is the event that could not be applied"
    assert len(rows(house, firm.tenant, "SELECT * FROM quarantined")) == 1
