"""History over HTTP: lines in both languages, qualifiers and words, masks, and what led to what."""

from __future__ import annotations

import csv
import io
from typing import Any

import psycopg
import pytest

from api.cursors import encode
from tests.support.doors import ALL, Caller, House
from tests.support.trade import Trade


class Story:
    """A firm in which a few things happened, told by their positions."""

    def __init__(self, house: House) -> None:
        self.trade = trade = Trade(house)
        trade.catalogue()
        self.policy = trade.policy()
        self.customer = trade.customer("H-1", title="示例茶行（上海）有限公司")
        self.other = trade.customer("H-2", title="Northern Tea House")
        self.grant = trade.active(self.customer)["id"]
        self.elsewhere = trade.request(self.other)["id"]
        because = {"reason": {"code": "complaint", "text": "Neighbour Mrs. Example called."}}
        trade["compliance"].done(f"/v1/grants/{self.grant}/suspension", because)
        house.follow()
        self.reader = Caller(house, trade.tenant, trade["compliance"].party, ALL)
        shown = self.reader.get(f"/v1/grants/{self.grant}").json()
        self.number = shown["state"]["number"]

    def items(self, q: str = "", **more: Any) -> list[dict[str, Any]]:
        """Everything found, page by page."""
        found: list[dict[str, Any]] = []
        following: str | None = "/v1/history"
        asked: dict[str, Any] = {"q": q, **more} if q else dict(more)
        while following is not None:
            answer = self.trade.house.send(
                "GET", following, headers=self.reader.headers, params=asked or None
            )
            assert answer.status_code == 200, answer.text
            found += answer.json()["items"]
            link = answer.headers.get("link")
            assert (link is None) == (answer.json()["next_cursor"] is None)
            following, asked = (None if link is None else link.split(">")[0][1:]), {}
        return found

    def types(self, q: str = "", **more: Any) -> list[str]:
        """The types found, without `.1`."""
        return [one["type"].rpartition(".")[0] for one in self.items(q, **more)]

    def refusal(self, q: str) -> tuple[int, str]:
        """The status and the code of a question that is refused."""
        answer = self.trade.house.send(
            "GET", "/v1/history", headers=self.reader.headers, params={"q": q}
        )
        return answer.status_code, answer.json()["code"]


@pytest.fixture(scope="module")
def story(house: House) -> Story:
    return Story(house)


ACTIVE = [
    "grant.requested", "grant.checked", "grant.verified", "grant.stage_approved", "grant.approved",
    "grant.signed", "grant.activated", "grant.suspended",
]  # fmt: skip


def test_everything_is_there_once_newest_first_or_oldest_first(story: Story) -> None:
    newest = [one["position"] for one in story.items()]
    assert newest == list(range(len(newest), 0, -1))
    assert [one["position"] for one in story.items(order="oldest", limit=7)] == newest[::-1]
    assert [one["position"] for one in story.items(limit=7)] == newest


def test_each_qualifier_finds_its_own(story: Story) -> None:
    assert story.types(f"grant:{story.number}", order="oldest") == ACTIVE
    assert story.types(f"grant:{story.grant}") == ACTIVE[::-1]
    assert set(story.types(f"grant:{story.grant} actor:approver")) == {
        "grant.stage_approved", "grant.approved",
    }  # fmt: skip
    assert story.types("actor:second") == []
    of_other = story.types("customer:H-2", order="oldest")
    assert of_other == [
        "customer.registered", "customer.identity_checked", "customer.confirmed", "grant.requested",
    ]  # fmt: skip
    assert story.types(f"customer:{story.other}", order="oldest") == of_other
    assert story.types("type:grant.suspended") == ["grant.suspended"]
    assert story.types("type:grant.suspended.1") == ["grant.suspended"]
    assert story.types("type:grant.sus*") == ["grant.suspended"]
    assert set(story.types("type:policy")) == {
        "policy.drafted", "policy.submitted", "policy.approved", "policy.published",
    }  # fmt: skip
    both = story.types("type:grant.suspended type:grant.signed")
    assert both == ["grant.suspended", "grant.signed"]
    assert story.types("since:2020-01-01 until:2021-01-01") == []
    assert len(story.items("since:2020-01-01")) == len(story.items())
    assert story.types(f"actor:staff:{story.trade.staff['second']}") == []


def test_words_are_found_in_either_script_and_whole_phrases_in_quotes(story: Story) -> None:
    assert story.types("茶行（上海）") == ["customer.registered"]
    assert story.types("上海") == ["customer.registered"]
    assert story.types("茶") == ["customer.registered"]
    assert story.types("海上") == []  # both characters are there, not side by side
    assert story.types("northern tea") == ["customer.registered"]
    assert story.types('"Northern Tea"') == ["customer.registered"]
    assert story.types('"Tea Northern"') == []
    full_width = "\uff2eorthern"  # as an input method types it
    assert story.types(full_width) == ["customer.registered"]
    assert story.types("North") == []
    assert set(story.types("complaint")) == {"grant.suspended"}
    assert story.types(story.number.lower(), order="oldest") == ACTIVE
    assert "grant.requested" in story.types('"CN/31"')


@pytest.mark.parametrize(
    ("q", "code"),
    [
        ("colour:red", "history.qualifier_unknown"),
        ("actor:nobody", "history.value_unknown"),
        ("customer:X-9", "history.value_unknown"),
        ("grant:CS-20200101-000000-0", "history.value_unknown"),
        ("type:grant.eaten", "history.value_unknown"),
        ("since:yesterday", "history.value_malformed"),
        ("until:2026-01-01T00:00:00", "history.value_malformed"),
        ("actor:", "history.value_malformed"),
        ('"open', "history.quote_open"),
        ("。。", "history.word_empty"),
        ("actor:a\x00b", "history.value_unknown"),
        ("since:0001-01-01T00:00:00+23:00", "history.value_malformed"),
        (" ".join("word" for _ in range(21)), "history.too_many"),
    ],
)
def test_a_question_that_is_not_understood_says_so(story: Story, q: str, code: str) -> None:
    assert story.refusal(q) == (400, code)


def test_a_line_is_a_sentence_in_the_callers_language_with_names_where_they_are_known(
    story: Story,
) -> None:
    def lines(language: str) -> dict[str, str]:
        answer = story.reader.get(
            f"/v1/grants/{story.grant}/history?limit=50", accept_language=language
        )
        return {one["type"]: one["line"] for one in answer.json()["items"]}

    english, chinese = lines("en"), lines("zh-CN")
    assert english["grant.requested.1"].startswith(
        f"Staff requester asked for grant {story.number} for customer H-1"
        " (示例茶行（上海）有限公司): Sell in product; territory, for 365 days; under the policy"
    )
    assert chinese["grant.requested.1"].startswith(
        f"员工 requester 为客户 H-1（示例茶行（上海）有限公司）申请授权 {story.number}：销售（"
    )
    assert english["grant.suspended.1"] == (
        f"Staff compliance suspended grant {story.number} (reason: complaint)."
    )
    assert chinese["grant.suspended.1"] == (
        f"员工 compliance 暂停了授权 {story.number}（理由：投诉）。"
    )


def test_sealed_texts_are_shown_for_a_purpose_only_and_logged_record_by_record(
    story: Story,
) -> None:
    path = f"/v1/history?q=grant:{story.grant}"
    assert "Mrs." not in story.reader.get(path).text
    refused = story.reader.get(path, counterseal_purpose="dispute")
    assert (refused.status_code, refused.json()["code"]) == (403, "scope_of_key.missing")
    may = Caller(story.trade.house, story.trade.tenant, story.reader.party, ALL | {"personal:read"})
    assert "Mrs." not in may.get(path).text
    found = may.get(path, counterseal_purpose="dispute")
    assert "(reason: complaint; Neighbour Mrs. Example called.)" in found.json()["items"][0]["line"]
    with psycopg.connect(story.trade.house.database.auditor) as conn:
        conn.execute("SELECT set_config('counterseal.tenant', %s, true)", (story.trade.tenant,))
        rows = conn.execute(
            "SELECT stream_id::text, purpose FROM access_log"
            " WHERE kind = 'unmasked_read' AND operation = 'history.list'"
        ).fetchall()
    assert rows == [(story.grant, "dispute")]


def test_a_records_own_history_has_the_same_shape_and_knows_what_there_is(story: Story) -> None:
    whole = story.items(f"grant:{story.grant}")
    assert story.reader.get(f"/v1/grants/{story.grant}/history").json()["items"] == whole
    of_customer = story.reader.get(f"/v1/customers/{story.customer}/history?q=type:grant")
    assert of_customer.json()["items"] == whole
    for path in (f"grants/{story.customer}", f"customers/{story.grant}", "grants/x"):
        answer = story.reader.get(f"/v1/{path}/history")
        assert answer.status_code == 404
        assert answer.json()["code"] in ("grant.unknown", "customer.unknown")


def test_history_comes_as_csv_in_the_callers_language(story: Story) -> None:
    for path in ("history.csv?q=type:grant.*", f"grants/{story.grant}/history.csv"):
        answer = story.reader.get(f"/v1/{path}", accept_language="zh")
        assert answer.content.startswith(b"\xef\xbb\xbfposition,at,recorded_at,type,")
        rows = list(csv.DictReader(io.StringIO(answer.content.decode("utf-8-sig"))))
        assert {row["type"] for row in rows} == {f"{one}.1" for one in ACTIVE}
        assert f"暂停了授权 {story.number}" in rows[0]["line"]


def test_a_clock_is_refused_and_a_position_waited_for(story: Story) -> None:
    for path in ("/v1/history", "/v1/history.csv", "/v1/history/1"):
        answer = story.reader.get(f"{path}?at=2026-01-01T00:00:00Z")
        assert (answer.status_code, answer.json()["code"]) == (422, "as_of.unavailable")
    head = int(story.reader.get("/v1/history").headers["position"])
    assert story.reader.get(f"/v1/history?at_least={head}").status_code == 200


def test_a_cursor_belongs_to_its_question(story: Story) -> None:
    cursor = story.reader.get("/v1/history?limit=1").json()["next_cursor"]

    def forged(*after: object) -> str:
        return encode("history.list", {"q": None, "order": "newest"}, list(after))

    sound = story.reader.get(f"/v1/history?cursor={forged('2000-01-01T00:00:00Z', 1)}")
    assert sound.json()["items"] == []
    others = [f"order=oldest&cursor={cursor}", f"q=grant&cursor={cursor}", "cursor=x"]
    keys = (("soon", 1), ("2026-01-01T00:00:00", 1), ("2026-01-01T00:00:00Z", 2**63))
    for query in [*others, *(f"cursor={forged(*key)}" for key in keys)]:
        answer = story.reader.get(f"/v1/history?{query}")
        assert (answer.status_code, answer.json()["code"]) == (400, "cursor.malformed")


def near(story: Story, position: int) -> tuple[dict[str, Any], list[Any], list[Any]]:
    answer = story.reader.get(f"/v1/history/{position}")
    assert answer.status_code == 200, answer.text
    found = answer.json()

    def told(side: str) -> list[Any]:
        return [(one["relation"], one["type"].rpartition(".")[0]) for one in found[side]]

    return found, told("led_to"), told("followed")


def test_an_event_tells_what_led_to_it_and_what_followed(story: Story) -> None:
    by_type = {one["type"]: one["position"] for one in story.items(f"grant:{story.grant}")}
    item, led_to, followed = near(story, by_type["grant.approved.1"])
    assert item["event"]["fields"]["terms"]["actions"] == ["sell"]
    assert ("command", "grant.stage_approved") in led_to
    assert [("case", one) for one in ("grant.requested", "grant.checked", "grant.verified")] == [
        one for one in led_to if one[0] == "case"
    ]
    assert ("rests_on", "customer.confirmed") in led_to
    assert ("rests_on", "policy.published") in led_to
    assert followed[0][1] == "grant.signed"
    _, led_to, _ = near(story, by_type["grant.requested.1"])
    assert ("rests_on", "policy.published") in led_to
    _, _, followed = near(story, by_type["grant.signed.1"])
    assert ("command", "grant.activated") in followed


def test_what_names_a_record_follows_from_it(story: Story) -> None:
    (published,) = story.items("type:policy.published")
    _, _, followed = near(story, published["position"])
    assert followed.count(("names", "grant.requested")) == 2


@pytest.mark.parametrize("position", ["0", "999999", "x", "1" * 40, "-1"])
def test_a_position_without_an_event_is_unknown(story: Story, position: str) -> None:
    answer = story.reader.get(f"/v1/history/{position}")
    assert (answer.status_code, answer.json()["code"]) == (404, "history.unknown")
