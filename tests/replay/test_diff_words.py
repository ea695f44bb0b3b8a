"""Differences in words, in both languages, as JSON, and on the command line."""

from __future__ import annotations

import contextlib
import io
import json
import os
from pathlib import Path
from typing import Any, NamedTuple
from unittest import mock

import pytest

from domain.events.grant import GrantRevoked, GrantSuspended
from domain.events.staff import StaffAppointed
from domain.sealing import Sealed
from domain.values import Party, Reason
from replay import cli
from replay.diff import asked
from replay.diff_words import TEXTS, Row, Teller
from replay.reader import opened
from tests.projections.facts import FACT, day, dimension, granted, point, resumed, suspended
from tests.replay.diff_story import POLICY, TENANT, Story, agreed, customer, one_id
from tests.replay.test_diff_stories import amendment
from tests.support.commands import FOREIGN
from tests.support.mixed import Mixed

ACME, GRANT, ANN, BOB = (one_id(number) for number in range(1, 5))
SCOPE = {"territory": ("CN/31", "CN/33")}


@pytest.fixture
def story() -> Story:
    """A grant that Ann, for Bob, revokes for a reason with a code and a sealed text."""
    made = Story()
    made.told(POLICY, agreed())
    made.told(TENANT, dimension("territory"), point("territory", "CN/31"))
    made.told(ACME, *customer())
    for number, staff in (("S-1", ANN), ("S-2", BOB)):
        appointed = StaffAppointed(
            person=one_id(50), number=number, level="senior", roles=(), at=day(0),
            by=Party("service:operator"), imported=FACT,
        )  # fmt: skip
        made.told(staff, appointed)
    made.told(GRANT, *granted(f"customer:{ACME}", POLICY, SCOPE, since=10, until=1000))
    return made


def revoke(story: Story) -> tuple[int, int]:
    first = len(story.stored)
    revoked = GrantRevoked(
        at=day(371),
        by=Party(f"staff:{ANN}", one_id(50)),
        on_behalf_of=Party(f"staff:{BOB}", one_id(51)),
        reason=Reason("unpaid", Sealed(one_id(60), "k1", b"box")),
        origin="staff",
        effective_at=day(368),
    )
    return first, story.told(GRANT, revoked)


ACT_EN = (
    "2027-01-07, recorded 2027-01-08: Staff S-1 (for staff S-2) revoked grant G1 from 2027-01-04"
    " on (by staff) (reason: unpaid). (A sealed text is left out.)"
)
ACT_ZH = (
    "2027-01-07，记录于 2027-01-08：员工 S-1（代员工 S-2）撤销了授权 G1，自 2027-01-04 起"
    "（员工决定）（理由：unpaid）。（密封文本略去。）"
)


def test_a_permission_that_ended_is_told_with_who_for_whom_and_why(story: Story) -> None:
    (one,) = story.by_known(*revoke(story))
    assert Teller(story, "en", len(story.stored)).words(one) == [
        "grant G1 (name) for customer C1: in force no longer",
        "  before: sell in name, CN/33, 2026-01-11 until 2028-09-27 (terms 1)",
        "  after:  sell in name, CN/33, 2026-01-11 until 2027-01-04 (terms 1)",
        f"    13  {ACT_EN}",
    ]
    assert Teller(story, "zh", len(story.stored)).words(one) == [
        "授权 G1（名），被授权方客户 C1：不再有效",
        "  此前：sell（名、CN/33），2026-01-11 至 2028-09-27（条款 1）",
        "  此后：sell（名、CN/33），2026-01-11 至 2027-01-04（条款 1）",
        f"    13  {ACT_ZH}",
    ]


def test_as_json_a_difference_has_ids_codes_and_instants_and_nothing_sealed(story: Story) -> None:
    (one,) = story.by_known(*revoke(story))
    document = json.loads(json.dumps(Teller(story, "en", len(story.stored)).document(one)))
    assert list(document) == [
        "difference", "grant", "number", "grantee", "grantee_called", "kind", "change", "in_force",
        "before", "after", "gained", "lost", "acts", "words",
    ]  # fmt: skip
    assert (document["difference"], document["change"]) == ("permission", "ended")
    assert document["after"] == [
        {
            "terms": 1, "valid_from": "2026-01-11T00:00:00Z", "valid_to": "2027-01-04T00:00:00Z",
            "actions": ["sell"], "scope": {"territory": ["CN/31", "CN/33"]}, "policy": POLICY,
            "policy_version": 1, "parent": None,
        }
    ]  # fmt: skip
    (act,) = document["acts"]
    assert act == {
        "position": 13, "at": "2027-01-07T00:00:00Z", "recorded_at": "2027-01-08T00:00:00Z",
        "type": "grant.revoked", "stream": GRANT, "by": f"staff:{ANN}", "by_called": "staff S-1",
        "on_behalf_of": f"staff:{BOB}", "on_behalf_of_called": "staff S-2", "reason": "unpaid",
        "reason_sealed": True, "imported": None,
    }  # fmt: skip


def test_a_change_of_scope_is_told_in_names_of_points_in_both_directions(story: Story) -> None:
    first = len(story.stored)
    last = story.told(GRANT, *amendment(at=100, effective=100, scope={"territory": ("CN",)}))
    (one,) = story.by_known(first, last)
    words = Teller(story, "en", last).words(one)
    assert "  more:   CN, but not name, CN/33" in words
    assert not any(line.startswith("  less:") for line in words)
    back = story.told(GRANT, *amendment(at=101, effective=101, scope={"territory": ("CN/31",)}))
    (one,) = story.by_known(last, back)
    assert "  less:   CN, but not name" in Teller(story, "en", back).words(one)


def test_each_turn_says_why_and_which_event_set_it(story: Story) -> None:
    story.told(GRANT, suspended(50), resumed(60), suspended(70, hold="h2", confirm_by=73))
    (one,) = story.by_valid(day(5), day(80))
    told = {language: Teller(story, language, len(story.stored)).words(one) for language in LANGS}
    right = "sell in name, CN/33"
    fell = "a provisional suspension fell, not confirmed (h2)"
    assert [line for line in told["en"] if not line.startswith("    ")][1:] == [
        f"  2026-01-11: in force: {right}, {span(11, 51)}; its start was reached",
        "  2026-02-20: not in force; suspended (h1)",
        f"  2026-03-02: in force: {right}, {span(61, 71)}; a suspension was lifted (h1)",
        "  2026-03-12: not in force; suspended (h2)",
        f"  2026-03-15: in force: {right}, {span(74, 1001)}; {fell}",
    ]
    assert len(told["zh"]) == len(told["en"])
    assert "  2026-02-20：失效；被暂停（h1）" in told["zh"]
    document = Teller(story, "en", len(story.stored)).document(one)
    assert [turn["why"] for turn in document["turns"]] == [
        "start", "suspended", "resumed", "suspended", "hold_over",
    ]  # fmt: skip


def span(first: int, last: int) -> str:
    """From one day of the story, counted from 1, to another, by the first terms."""
    return f"{day(first - 1):%Y-%m-%d} until {day(last - 1):%Y-%m-%d} (terms 1)"


LANGS: Any = ("zh", "en")


def test_the_terms_of_one_grant_stand_side_by_side(story: Story) -> None:
    first = len(story.stored)
    last = story.told(GRANT, *amendment(at=100, effective=600, scope={"territory": ("CN/33",)}))
    (one,) = story.by_known(first, last)
    rows = Teller(story, "en", last).side_by_side(one, (day(500), day(700)))
    assert rows == [
        Row("in force", "2026-01-11 until 2028-09-27",
            "2026-01-11 until 2027-08-24; 2027-08-24 until 2028-09-27"),
        Row("terms", "1", "2"),
        Row("actions", "sell", "sell"),
        Row("name", "name, CN/33", "CN/33"),
        Row("from", "2026-01-11", "2027-08-24"),
        Row("until", "2028-09-27", "2028-09-27"),
        Row("grantee", "customer C1", "customer C1"),
        Row("policy", "the policy name, version 1", "the policy name, version 1"),
    ]  # fmt: skip


def test_cases_are_told_by_their_states_and_acts(story: Story) -> None:
    story.told(GRANT, suspended(50))
    (one,) = story.by_happened(day(40), day(50))
    assert Teller(story, "en", len(story.stored)).words(one)[0].endswith(": active → suspended")
    assert Teller(story, "zh", len(story.stored)).words(one)[0].endswith("：生效中 → 暂停")
    document = Teller(story, "en", len(story.stored)).document(one)
    assert (document["before"], document["after"]) == ("active", "suspended")


def test_every_word_of_a_difference_is_there_in_both_languages() -> None:
    for section in ("diff", "diff_why", "statuses"):
        for key, both in TEXTS.texts()[section].items():
            assert set(both) == {"zh", "en"}, key
            names = [{part.split("}")[0] for part in both[one].split("{")[1:]} for one in both]
            assert names[0] == names[1], key


# --- the command line -----------------------------------------------------------------------------


class Said(NamedTuple):
    code: int
    out: str
    err: str


def say(*words: str, **environment: str) -> Said:
    """Run the auditor's command line in this process."""
    out, err = io.StringIO(), io.StringIO()
    known = {name: one for name, one in os.environ.items() if not FOREIGN.match(name)}
    with (
        mock.patch.dict(os.environ, known | environment, clear=True),
        contextlib.redirect_stdout(out),
        contextlib.redirect_stderr(err),
    ):
        code = cli.main(words)
    return Said(code, out.getvalue(), err.getvalue())


def test_the_command_tells_what_differs_of_a_firm(firm: Mixed) -> None:
    place = {"COUNTERSEAL_AUDIT_DATABASE_URL": firm.house.database.auditor}
    tenant = ("--tenant", firm.tenant)
    with opened(firm.house.database.auditor, firm.tenant) as source:
        last = source.reach.last
        question = asked(source, "known", 0, last)
        assert question.at[1] == source.recorded_at(last)
    whole = say("diff", *tenant, "--from", "0", "--json", "--limit", "0", **place)
    assert whole.code == 0
    found = json.loads(whole.out)
    assert len(found["differences"]) == found["total"] > 10
    assert set(found["changes"]) <= {"appeared", "ended", "changed"}
    assert sum(found["changes"].values()) == found["total"]
    assert found["known"] == [0, last]
    number = found["differences"][0]["number"]
    one = json.loads(say("diff", *tenant, "--from", "0", "--grant", number, "--json", **place).out)
    assert one["total"] == 1
    (alone,) = one["differences"]
    assert {row["field"] for row in alone["terms"]} >= {"in force", "actions", "grantee"}
    for language, heading in (("zh", "条款"), ("en", "TERMS")):
        words = ("diff", *tenant, "--from", "0", "--grant", number, "--lang", language)
        assert heading in say(*words, **place).out
    few = say("diff", *tenant, "--from", "0", "--limit", "1", **place)
    assert f"1 of {found['total']} differences" in few.err
    nothing = json.loads(say("diff", *tenant, "--from", str(last), "--json", **place).out)
    assert (nothing["differences"], nothing["total"]) == ([], 0)
    for by in ("valid", "happened"):
        words = ("diff", *tenant, "--by", by, "--from", "2020-01-01T00:00:00Z", "--json")
        answer = say(*words, **place)
        assert answer.code == 0
        assert json.loads(answer.out)["total"] > 0


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (("--by", "guess", "--from", "0"), "diff.by"),
        (("--from", "0", "--known", "3"), "diff.known"),
        (("--by", "valid", "--from", "0", "--valid", "2026-01-01T00:00:00Z"), "diff.valid"),
        (("--from", "yesterday"), "place.malformed"),
        (("--from", "2", "--to", "1"), "diff.order"),
        (
            ("--by", "valid", "--from", "2026-02-01T00:00:00Z", "--to", "2026-01-01T00:00:00Z"),
            "diff.order",
        ),
        (("--from", "0", "--to", "99999999"), "position.beyond"),
        (("--from", "0", "--grant", "CS-none"), "record.unknown"),
        (("--from", "0", "--valid", "2026-01-01"), "instant.malformed"),
    ],
)
def test_what_makes_no_sense_is_refused_with_its_code(
    firm: Mixed, words: tuple[str, ...], code: str
) -> None:
    place = {"COUNTERSEAL_AUDIT_DATABASE_URL": firm.house.database.auditor}
    for language in ("zh", "en"):
        said = say("diff", "--tenant", firm.tenant, *words, "--lang", language, **place)
        assert said.code == 2
        assert said.err.startswith(f"counterseal-audit: {code}: ")


def test_a_bundle_gives_the_same_differences_with_no_database(firm: Mixed, tmp_path: Path) -> None:
    place = {"COUNTERSEAL_AUDIT_DATABASE_URL": firm.house.database.auditor}
    file = str(tmp_path / "firm.bundle")
    assert say("bundle", file, "--tenant", firm.tenant, **place).code == 0
    for words in (
        ("--from", "0"),
        ("--by", "valid", "--from", "2020-01-01T00:00:00Z"),
        ("--by", "happened", "--from", "2020-01-01T00:00:00Z"),
    ):
        more = ("diff", *words, "--json", "--limit", "0")
        alone = say(*more, "--bundle", file)
        assert alone.code == 0, alone.err
        live = say(*more, "--tenant", firm.tenant, **place)
        assert json.loads(alone.out) == json.loads(live.out)


def test_an_event_that_cannot_be_read_ends_a_permission_and_is_nobodys_act(story: Story) -> None:
    last = len(story.stored)
    story.told(GRANT, GrantSuspended(at=day(50), by=Party(f"staff:{ANN}"), hold="h"))
    spoiled = story.stored[-1]
    story.stored[-1] = spoiled._replace(data=b"[")
    (one,) = story.by_known(last, last + 1)
    assert (one.change, one.after, one.acts) == ("ended", (), ())
