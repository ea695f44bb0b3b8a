"""Every event has a line in both languages; a line never shows what is sealed."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import Any

import pytest
from msgspec.structs import replace

from domain.events import EVENTS, Event, stream_kind
from domain.events.customer import CustomerProfileChanged
from domain.events.grant import GrantNoted, GrantRequested, GrantRevoked
from domain.policies import Policy, PolicyVersion
from domain.sealing import Sealed
from domain.values import Imported, Names, Party, PolicyRef, Reason, Term, Terms
from projections.history_lines import Told, line, named_in, told
from projections.history_lines_names import LONGEST, Book, fill, texts
from projections.history_names import Customer, Grant
from projections.history_names import Names as Known
from projections.unseen import masked
from tests.support.samples import INSTANT, full, least

ID = "01900000-0000-7000-8000-00000000000{}"
GRANT, CUSTOMER, STAFF, POLICY = (ID.format(number) for number in range(4))
NAMED = {"actor", "subject", "point"}
"""What a template may name beside the event's own fields."""

KNOWN = Known(
    staff={STAFF: "S-7"},
    persons={},
    customers={CUSTOMER: Customer("D-1", "示例茶行")},
    grants={GRANT: Grant("CS-1", POLICY, 1)},
    points={("territory", "CN/31"): {"zh": "上海市", "en": "Shanghai"}},
)
TERMS = Terms("dealership", ("sell",), {"territory": ("CN/31",)}, Term(days=30))
REQUESTED = GrantRequested(
    at=INSTANT,
    by=Party(f"staff:{STAFF}", ID.format(9)),
    number="CS-1",
    case=ID.format(8),
    grantee=f"customer:{CUSTOMER}",
    terms=TERMS,
    policy=PolicyRef(POLICY, 1),
)


def policy(stream: str) -> Policy | None:
    """A policy with one version whose action and stage have names."""
    drafted: Any = full(EVENTS["policy.drafted.1"])
    body = replace(
        drafted.body,
        names=Names("经销授权", "Dealership"),
        actions=(replace(drafted.body.actions[0], action="sell", names=Names("销售", "Sell")),),
        stages=(replace(drafted.body.stages[0], id="first", names=Names("初审", "First")),),
    )
    return Policy("dealership", {1: PolicyVersion(1, body)}) if stream == POLICY else None


ENGLISH, CHINESE = Book("en", KNOWN, policy), Book("zh", KNOWN, policy)


def said(event: Event, book: Book = ENGLISH, stream: str = GRANT, **more: Any) -> str:
    kind = stream_kind(event.name)
    return line(Told(kind, stream, event.name, event.by, event.on_behalf_of, event), book, **more)


def opened(_sealed: Sealed, field: str) -> Any:
    return f"open {field}"


@pytest.mark.parametrize("name", EVENTS)
@pytest.mark.parametrize("make", [full, least])
def test_every_event_has_a_sentence_in_both_languages(name: str, make: Any) -> None:
    event = make(EVENTS[name])
    for book, stop in ((ENGLISH, "."), (CHINESE, "。")):
        for show in (masked, opened):
            text = said(event, book, show=show)
            assert text.endswith(stop)
            assert not re.search(r"[{}\[\]\n…]|None|Sealed|sealed\b", text), text
            assert text[0] == text[0].upper()
            assert bool(re.search(r"[\u4e00-\u9fff]", text.replace("例", ""))) == (stop == "。")


@pytest.mark.parametrize("name", EVENTS)
def test_a_sentence_names_only_what_its_event_has(name: str) -> None:
    known = set(EVENTS[name].__struct_fields__) | NAMED
    both = [set(re.findall(r"\{(\w+)\}", texts()["lines"][name][one])) for one in ("en", "zh")]
    assert both[0] | both[1] <= known
    assert both[0] == both[1]
    parts = re.findall(r"\[[^\]]*\]", "".join(texts()["lines"][name].values()))
    assert all("{" in one for one in parts)


def test_no_line_is_left_over_from_an_event_that_is_none() -> None:
    assert texts()["lines"].keys() - EVENTS.keys() == set()


@pytest.mark.parametrize("section", ["called", "words", "suffixes"])
def test_every_word_is_there_in_both_languages(section: str) -> None:
    found = texts()[section]
    entries = (
        found if section != "words" else {k: v for one in found.values() for k, v in one.items()}
    )
    for key, entry in entries.items():
        assert {"en", "zh"} == entry.keys(), key
        names = [set(re.findall(r"\{(\w+)\}", entry[one])) for one in ("en", "zh")]
        assert names[0] == names[1], key


def test_things_are_called_by_their_names_where_the_tables_know_them() -> None:
    assert said(REQUESTED) == (
        "Staff S-7 asked for grant CS-1 for customer D-1 (示例茶行): Sell in Shanghai, for 30 days;"
        " under the policy Dealership, version 1."
    )
    assert said(REQUESTED, CHINESE) == (
        "员工 S-7 为客户 D-1（示例茶行）申请授权 CS-1：销售（上海市），为期 30 天；"
        "依据政策“经销授权”第 1 版。"
    )
    approved: Any = full(EVENTS["grant.stage_approved.1"])
    approved = replace(approved, stage="first", role="approver", terms=None, reason=None)
    approved = replace(approved, imported=None, by=REQUESTED.by, on_behalf_of=None)
    assert said(approved, CHINESE) == "员工 S-7 以审批人身份批准了授权 CS-1 的“初审”阶段。"


def test_what_nobody_knows_is_called_by_its_id_or_code() -> None:
    bare = Book("en")
    assert said(REQUESTED, bare) == (
        f"Staff {STAFF[-12:]} asked for grant {GRANT[-12:]} for customer {CUSTOMER[-12:]}:"
        f" sell in CN/31, for 30 days; under the policy {POLICY[-12:]}, version 1."
    )


def test_who_stands_in_for_another_is_told_with_them() -> None:
    deputised = replace(REQUESTED, on_behalf_of=Party(f"customer:{CUSTOMER}", ID.format(5)))
    assert said(deputised).startswith("Staff S-7 (for a member of customer D-1 (示例茶行)) asked")
    clock = replace(REQUESTED, by=Party("service:timekeeper"))
    assert said(clock).startswith("The timekeeper asked")
    assert said(clock, CHINESE).startswith("计时器为")
    shop = replace(REQUESTED, by=Party("service:shop"), grantee="team:sales/east")
    assert said(shop).startswith("Service shop asked for grant CS-1 for team sales/east")


def test_an_imported_fact_says_where_it_was_taken_from_and_why_it_was_decided() -> None:
    fact = replace(
        REQUESTED, imported=Imported("permits.csv", 4), reason=Reason(code="old_contract")
    )
    assert said(fact).endswith("version 1 (reason: old_contract) (taken over from permits.csv).")
    guessed = replace(fact, imported=Imported("permits.csv", 4, inferred=True))
    assert said(guessed, CHINESE).endswith("（理由：old_contract）（据 permits.csv 推定）。")


def test_a_sealed_text_is_there_only_for_who_opens_it() -> None:
    sealed = Sealed(CUSTOMER, ID.format(7), b"box")
    noted = GrantNoted(at=INSTANT, by=REQUESTED.by, label="call", text=sealed)
    assert said(noted) == "Staff S-7 left a note on grant CS-1 (call)."
    assert said(noted, show=opened) == "Staff S-7 left a note on grant CS-1 (call): “open text”."
    erased = said(noted, show=lambda _sealed, _field: {"sealed": True, "erased": True})
    assert erased == "Staff S-7 left a note on grant CS-1 (call): “(erased)”."
    changed = CustomerProfileChanged(at=INSTANT, by=REQUESTED.by, contact=sealed)
    shown = said(changed, stream=CUSTOMER, show=lambda *_: '{"phone":"+86 21","email":"a@b"}')
    assert shown.endswith("(示例茶行): +86 21, a@b.")


def test_what_stands_in_a_field_is_never_read_as_a_template_and_stays_on_its_line() -> None:
    wicked = GrantNoted(at=INSTANT, by=REQUESTED.by, label="{actor}[x]\n\u202e" + "y" * 500)
    text = said(wicked)
    assert "({actor}[x] yyy" in text
    assert "\n" not in text
    assert "\u202e" not in text
    assert len(text) < LONGEST + 100


def test_a_long_list_is_cut_and_counted() -> None:
    paths = tuple(f"CN/{number}" for number in range(10, 30))
    wide = replace(REQUESTED, terms=replace(TERMS, scope={"territory": paths}))
    assert "in CN/10, CN/11, CN/12, CN/13, CN/14 and 15 more, for" in said(wide)
    assert "CN/13、CN/14 等 20 项）" in said(wide, CHINESE)
    _, points = named_in([Told("grant", GRANT, wide.name, wide.by, None, wide)])
    assert len(points) == 5


def test_instants_and_terms_are_told_in_utc_days_where_they_are_days() -> None:
    day = datetime(2026, 1, 1, tzinfo=UTC)
    revoked = GrantRevoked(at=day, by=REQUESTED.by, origin="automatic", effective_at=day)
    assert said(revoked) == "Staff S-7 revoked grant CS-1 from 2026-01-01 on (automatic)."
    later = replace(revoked, effective_at=INSTANT, cause=GRANT)
    assert "from 2026-11-22 08:30 UTC on (automatic: grant CS-1)" in said(later)
    for term, words in (
        (Term(day, INSTANT), "2026-01-01 until 2026-11-22 08:30 UTC"),
        (Term(ends_at=day), "until 2026-01-01"),
        (Term(starts_at=day), "from 2026-01-01"),
        (Term(), ""),
    ):
        assert ENGLISH.term(term) == words


def test_an_event_whose_bytes_cannot_be_read_has_a_line_all_the_same() -> None:
    row = {
        "stream_kind": "grant", "stream_id": GRANT, "type": "grant.noted.1", "data": b"{",
        "actor": f"staff:{STAFF}", "on_behalf_of": None,
    }  # fmt: skip
    assert line(told(row), ENGLISH) == (
        "Staff S-7: grant.noted.1 on grant CS-1; its content cannot be read."
    )
    newer = row | {"type": "grant.painted.1"}
    assert "grant.painted.1" in line(told(newer), CHINESE)


def test_a_part_of_a_template_goes_where_a_name_in_it_is_empty() -> None:
    values = {"a": "1", "b": ""}
    assert fill("{a}[ and {b}][ or {a}].", values.__getitem__) == "1 or 1."
    assert fill("{b}[, {a}{b}]", values.__getitem__) == "…"
