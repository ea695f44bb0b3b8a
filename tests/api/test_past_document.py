"""The chapter on the past, walked: every row of its tables is asked, of the story that it tells."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from domain.events.grant import GrantSuspended
from tests.projections.facts import BY, FACT, Record
from tests.support.doors import House
from tests.support.ledger import say
from tests.support.past import Told, whole, working
from tests.support.trade import BECAUSE

DOCS = Path(__file__).parent.parent.parent / "docs"
CHAPTERS = (DOCS / "past.md", DOCS / "past.zh-CN.md")

ROW = re.compile(r"^\| `([^`]*)` \| `([a-z]+)` \| (.+) \|$", re.MULTILINE)
EMPTY = re.compile(r"^\| `` \| `([a-z]+)` \| (.+) \|$", re.MULTILINE)
CHECK = re.compile(r"^\| (?:`([^`]+)` )?\| `([^`]+)` \| `(true|false)` \|$", re.MULTILINE)


def on(month: int, day: int) -> datetime:
    return datetime(2026, month, day, 9, tzinfo=UTC)


class Lin(NamedTuple):
    """The teahouse of the chapter and its grant."""

    firm: Told
    customer: str
    grant: str


@pytest.fixture(scope="module")
def lin(house: House) -> Iterator[Lin]:
    firm = Told(house, on(3, 5))
    customer = firm.customer("L-1", title="林记茶行")
    firm.pass_to(on(3, 10))
    grant = firm.active(customer)["id"]
    firm.pass_to(on(7, 5))
    found = GrantSuspended(at=on(5, 15), by=BY, hold="letter", imported=FACT)
    told = Record(facts=(("grant", grant, found),))
    say(house.services.ledgers, firm.tenant, told, at=on(7, 5))
    firm.pass_to(on(8, 1))
    later = BECAUSE | {"effective_at": "2026-09-01T00:00:00Z"}
    firm["compliance"].done(f"/v1/grants/{grant}/revocation", later)
    firm.pass_to(on(10, 1))
    house.follow()
    with working(house):
        yield Lin(firm, customer, grant)


def asked(chapter: Path) -> list[tuple[str, str]]:
    """Return what is asked of the grant and the status told."""
    text = chapter.read_text(encoding="utf-8")
    plain = [("", row[0]) for row in EMPTY.findall(text)]
    return plain + [(row[0], row[1]) for row in ROW.findall(text) if "=" in row[0]]


def test_both_languages_show_the_same_tables() -> None:
    english, chinese = (
        (asked(one), CHECK.findall(one.read_text(encoding="utf-8"))) for one in CHAPTERS
    )
    assert english == chinese
    assert [len(rows) for rows in english] == [9, 5]


def status(lin: Lin, path: str, query: str) -> str:
    found = whole(lin.firm["compliance"], f"{path}?{query}" if query else path)
    if "items" in found:
        rows = [one["status"] for one in found["items"] if one["grant_id"] == lin.grant]
        return rows[0] if rows else "unknown"
    return found["state"]["status"] if found["status"] == 200 else "unknown"


@pytest.mark.parametrize(("query", "told"), asked(CHAPTERS[0]))
def test_the_grant_is_told_as_the_chapter_tells_it(lin: Lin, query: str, told: str) -> None:
    assert status(lin, f"/v1/grants/{lin.grant}", query) == told
    assert status(lin, "/v1/grants", query) == told


@pytest.mark.parametrize(
    ("as_of", "at", "told"), CHECK.findall(CHAPTERS[0].read_text(encoding="utf-8"))
)
def test_a_check_decides_as_the_chapter_tells_it(lin: Lin, as_of: str, at: str, told: str) -> None:
    times: dict[str, Any] = {"at": at} | ({"as_of": as_of} if as_of else {})
    place = {"type": "territory", "id": "CN/31/0115", "properties": {"product": "tea/green"}}
    body = {"subject": f"customer:{lin.customer}", "action": "sell", "resource": place}
    answer = lin.firm.checker.ask("/v1/checks", body | times)
    assert answer.json()["decision"] is (told == "true")
    subject = {"type": "customer", "id": lin.customer}
    request = body | {"subject": subject, "action": {"name": "sell"}, "context": times}
    answer = lin.firm.checker.ask("/access/v1/evaluation", request)
    assert answer.json() == {"decision": told == "true"}


def test_history_tells_what_was_known_and_what_had_happened(lin: Lin) -> None:
    def types(**asked: Any) -> list[str]:
        path = f"/v1/grants/{lin.grant}/history?order=oldest"
        return [one["type"] for one in whole(lin.firm["compliance"], path, **asked)["items"]]

    june, august = "2026-06-01T00:00:00Z", "2026-08-15T00:00:00Z"
    known, happened = types(as_of=june), types(happened=june)
    assert [one for one in happened if one not in known] == ["grant.suspended.1"]
    assert types(as_of=august)[-2:] == ["grant.suspended.1", "grant.revoked.1"]
    assert types(as_of=august, happened=june) == happened
    assert types(as_of=june, happened=june) == known


def test_what_waits_and_what_compliance_asks_look_at_what_had_happened(lin: Lin) -> None:
    reader, june = lin.firm["compliance"], "2026-06-01T00:00:00Z"
    path = "/v1/compliance/ending?days=300"
    assert [one["grant_id"] for one in whole(reader, path, as_of=june)["items"]] == [lin.grant]
    assert whole(reader, path, happened=june)["items"] == [], "held, it is in force no more"
    assert whole(reader, "/v1/compliance/approvers", happened=june)["items"] != []
    assert whole(reader, "/v1/compliance/approvers", as_of="2026-03-06T00:00:00Z")["items"] == []
    for asked in ({"happened": june}, {"as_of": june}, {"as_of": june, "happened": june}):
        assert whole(reader, "/v1/worklist", **asked)["status"] == 200


@pytest.mark.parametrize("index", ["index.md", "index.zh-CN.md"])
def test_the_index_leads_to_it(index: str) -> None:
    name = index.replace("index", "past")
    assert f"]({name})" in (DOCS / index).read_text(encoding="utf-8")
