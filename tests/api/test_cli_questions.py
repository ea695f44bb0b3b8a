"""check, grant show, compliance duties, tick and projections, over the sample tenant."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from api.provisioning import Database
from tests.support.commands import Installation
from tests.support.owner import superuser
from tests.support.sample_tenant import sampled, until_up_to_date

SHANGHAI = ("territory:CN/31/0115", "--with", "product:tea/green/longjing", "--with",
            "channel:store")  # fmt: skip


@pytest.fixture(scope="module")
def here(run_directory: Path) -> Iterator[Installation]:
    """The sample tenant, with its read models up to date."""
    with sampled(run_directory) as made:
        with made.served("serve", "--only", "runner", "--json") as runner:
            assert json.loads(runner.text)["parts"] == ["runner"]
            until_up_to_date(made)
            assert runner.end() == 0
        yield made


@pytest.fixture(scope="module")
def grants(here: Installation) -> dict[str, str]:
    """The sample's grants: what they are there for -> number."""
    return json.loads((here.folder / "demo" / "tenant.json").read_text())["grants"]


def test_a_check_says_allow_with_the_grant_it_rests_on(
    here: Installation, grants: dict[str, str]
) -> None:
    said = here.say("check", "customer:D-0001", "sell", *SHANGHAI, "--lang", "en")
    assert said.code == 0
    assert re.search(r"^Answer +ALLOW$", said.out, re.MULTILINE)
    assert re.search(rf"^Grant +{grants['active']}, terms 1$", said.out, re.MULTILINE)


@pytest.mark.parametrize(
    ("subject", "place", "code"),
    [
        ("customer:D-0001", "CN/33/01", "scope.not_covered"),
        ("customer:D-0002", "CN/33/01", "check.suspended"),
        ("customer:D-0003", "CN/32/05", "check.revoked"),
        ("staff:S-0001", "CN/31", "check.no_grant"),
    ],
)
def test_a_check_says_deny_and_why_with_exit_code_1(
    here: Installation, subject: str, place: str, code: str
) -> None:
    with_ = ("--with", "product:tea/green", "--with", "channel:store")
    said = here.say("check", subject, "sell", f"territory:{place}", *with_, "--json")
    assert said.code == 1
    assert said.json()["decision"] is False
    assert said.json()["explanation"]["code"] == code
    chinese = here.say("check", subject, "sell", f"territory:{place}", *with_, "--lang", "zh")
    assert chinese.code == 1
    assert re.search(r"^答复 +拒绝$", chinese.out, re.MULTILINE)


def test_a_check_of_another_time_or_by_earlier_knowledge(here: Installation) -> None:
    words = ("check", "customer:D-0001", "sell", *SHANGHAI, "--json")
    now = here.say(*words).json()
    later = here.say(*words, "--at", "2099-01-01T00:00:00Z")
    assert later.json()["explanation"]["code"] == "check.ended"
    rests_on = now["explanation"]["rests_on"]
    assert here.say(*words, "--as-of", str(rests_on)).code == 0
    assert here.say(*words, "--as-of", str(rests_on - 1)).code == 1
    assert here.say(*words, "--as-of", "2020-01-01T00:00:00Z").json()["position"] == 0
    assert here.say(*words, "--as-of", "999999").code == 2


def test_a_subject_nobody_knows_and_an_id_that_names_no_single_thing(here: Installation) -> None:
    assert "party.unknown" in here.say("check", "customer:D-9999", "sell", *SHANGHAI).err
    said = here.say("check", "customer:D-0001", "sell", "territory:CN/*")
    assert (said.code, "check.bad_id" in said.err) == (2, True)


def test_a_grant_shows_its_state_and_every_event_in_both_languages(
    here: Installation, grants: dict[str, str]
) -> None:
    english = here.say("grant", "show", grants["suspended"], "--lang", "en")
    assert english.code == 0
    assert re.search(r"^State +suspended$", english.out, re.MULTILINE)
    assert re.search(r"^Holds +[0-9a-f-]{36} since ", english.out, re.MULTILINE)
    chinese = here.say("grant", "show", grants["suspended"], "--lang", "zh")
    assert re.search(r"^状态 +暂停$", chinese.out, re.MULTILINE)
    assert "经销授权（dealership）" in chinese.out
    for said, words in (
        (english, ("requested", "checked", "verified", "stage approved", "signed", "took effect")),
        (chinese, ("申请", "核查", "核查通过", "阶段审批通过", "签署", "生效", "暂停")),
    ):
        history = said.out.partition("\n\n")[2]
        assert all(word in history for word in words)
        assert len(history.splitlines()) == 10
    as_json = here.say("grant", "show", grants["suspended"], "--json").json()
    assert as_json["state"]["status"] == "suspended"
    assert [one["version"] for one in as_json["history"]] == list(range(1, 10))
    assert here.say("grant", "show", as_json["id"], "--lang", "en").out == english.out


@pytest.mark.parametrize("which", ["active", "revoked", "to_sign", "to_approve", "to_check"])
def test_a_grant_in_any_state_can_be_shown(
    here: Installation, grants: dict[str, str], which: str
) -> None:
    said = here.say("grant", "show", grants[which], "--lang", "en")
    states = {"active": "active", "revoked": "revoked", "to_sign": "approved, not yet in effect",
              "to_approve": "pending approval", "to_check": "submitted"}  # fmt: skip
    assert re.search(rf"^State +{states[which]}$", said.out, re.MULTILINE)


def test_a_number_with_a_typing_error_is_told_from_an_unknown_one(
    here: Installation, grants: dict[str, str]
) -> None:
    number = grants["active"]
    mistyped = number[:-1] + ("X" if number[-1] != "X" else "Y")
    assert "grant.mistyped" in here.say("grant", "show", mistyped).err
    assert "grant.unknown" in here.say("grant", "show", "CS-20261122-QY84J8-9").err
    assert here.say("grant", "show", number.lower().replace("-", " ")).code == 0


def test_duties_finds_nothing_where_every_hand_was_another(here: Installation) -> None:
    said = here.say("compliance", "duties", "--lang", "en")
    assert said.code == 0
    assert "Cases in which one person had two hands: 0" in said.out
    assert here.say("compliance", "duties", "--json").json()["items"] == []


def test_duties_names_the_case_the_person_and_the_positions(
    here: Installation, grants: dict[str, str]
) -> None:
    """A second hand put into the read model: no command would have let it happen."""
    assert here.database is not None
    with superuser(here.database) as conn:
        conn.execute(
            'INSERT INTO hands SELECT (jsonb_populate_record(h, \'{"act": "checked",'
            " \"position\": 999}')).* FROM hands h WHERE act = 'requested' AND grant_id ="
            " (SELECT grant_id FROM grants WHERE number = %s)",
            (grants["to_check"],),
        )
        try:
            said = here.say("compliance", "duties", "--lang", "en")
            chinese = here.say("compliance", "duties", "--lang", "zh")
            other = here.say("compliance", "duties", "--pair", "checked_approved", "--json")
            found = here.say("compliance", "duties", "--json")
        finally:
            conn.execute("DELETE FROM hands WHERE position = 999")
    assert (said.code, found.code) == (1, 1)
    assert re.search(rf"^{grants['to_check']}  S-0002 +\d+ +999$", said.out, re.MULTILINE)
    assert "Cases in which one person had two hands: 1" in said.out
    assert "申请且核查：1 件" in chinese.out
    assert found.json()["pairs"]["requested_checked"] == 1
    assert found.json()["items"][0]["checked"] == [999]
    assert (other.code, other.json()["items"]) == (0, [])


def test_tick_tells_what_it_wrote_for_each_tenant(here: Installation) -> None:
    assert here.say("tick", "--json").json()[0]["written"] == 0
    assert re.search(r"^demo +\d+ +0 +0$", here.say("tick", "--lang", "en").out, re.MULTILINE)


def test_tick_takes_an_instant_only_where_the_clock_is_given(
    fresh_database: Callable[[], Database], tmp_path: Path
) -> None:
    other = Installation(tmp_path, fresh_database())
    other.say("tenant", "create", "firm")
    refused = other.say("tick", "--tenant", "firm", "--at", "2026-01-01T00:00:00Z")
    assert (refused.code, "tick.at" in refused.err) == (2, True)


def test_projections_list_says_how_far_each_read_model_is(here: Installation) -> None:
    rows = here.say("projections", "list", "--tenant", "demo", "--json").json()
    assert {one["projection"] for one in rows} >= {"permissions", "standings", "grants", "hands"}
    assert {one["behind"] for one in rows} == {0}
    assert len({one["position"] for one in rows}) == 1
