"""`counterseal history` over the sample tenant: the same qualifiers, lines in both languages."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.commands import Installation
from tests.support.sample_tenant import sampled


@pytest.fixture(scope="module")
def here(run_directory: Path) -> Iterator[Installation]:
    """The sample tenant, with its read models up to date."""
    with sampled(run_directory) as made:
        yield made


@pytest.fixture(scope="module")
def active(here: Installation) -> str:
    """The number of the sample's grant in force."""
    return json.loads((here.folder / "demo" / "tenant.json").read_text())["grants"]["active"]


def test_lines_stand_in_columns_in_the_language_asked_for(here: Installation, active: str) -> None:
    said = here.say("history", f"grant:{active}", "--order", "oldest", "--lang", "zh")
    assert said.code == 0
    heading, first, *_ = said.out.splitlines()
    assert heading.split() == ["位置", "时间", "经过"]
    assert re.search(
        rf"员工 S-\d{{4}} 为客户 D-0001（示例茶行（上海）有限公司）申请授权 {active}：销售", first
    )
    english = here.say("history", f"grant:{active}", "type:grant.activated", "--lang", "en")
    assert re.search(rf"Grant {active} took effect on \d{{4}}-", english.out)


def test_json_has_all_that_the_service_has_but_sealed_texts(
    here: Installation, active: str
) -> None:
    found = here.say("history", f"grant:{active}", "--json").json()
    assert found["more"] is False
    types = [one["type"] for one in found["items"]]
    assert types[-1] == "grant.requested.1"
    assert "data" not in found["items"][0]
    assert {"position", "at", "actor", "customers", "line", "stream_id"} <= found["items"][0].keys()


def test_words_of_one_shell_word_are_a_phrase_and_nothing_found_is_said(
    here: Installation,
) -> None:
    assert "D-0001" in here.say("history", "示例茶行（上海）", "--lang", "en").out
    assert "Longjing" in here.say("history", "龙井", "--lang", "en").out
    green = here.say("history", "Green tea", "--lang", "en")
    assert "Green tea" in green.out
    nothing = here.say("history", "tea Green", "--lang", "en")
    assert (nothing.code, nothing.out, nothing.err) == (0, "", "Nothing fits.\n")


def test_a_limit_says_that_there_is_more(here: Installation) -> None:
    said = here.say("history", "--limit", "3", "--lang", "en")
    assert len(said.out.splitlines()) == 4
    assert said.err == "These are the first 3; there are more (--limit 0 for all).\n"
    assert len(here.say("history", "--limit", "0", "--json").json()["items"]) > 50


def test_an_event_is_shown_with_what_led_to_it_and_what_followed(
    here: Installation, active: str
) -> None:
    words = (f"grant:{active}", "type:grant.approved", "--json")
    position = here.say("history", *words).json()["items"][0]["position"]
    said = here.say("history", "--around", str(position), "--lang", "en")
    assert said.code == 0
    assert re.search(r"^Led to it:$", said.out, re.MULTILINE)
    assert re.search(r" same command +Staff S-\d{4} approved the stage Brand of", said.out)
    assert re.search(r"^Followed from it:$", said.out, re.MULTILINE)
    shown = here.say("history", "--around", str(position), "--json").json()
    assert shown["position"] == position
    assert {one["relation"] for one in shown["led_to"]} >= {"command", "case", "rests_on"}


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (("colour:red",), "history.qualifier_unknown"),
        (("actor:nobody",), "history.value_unknown"),
        (("since:soon",), "history.value_malformed"),
        (("--order", "random"), "history.order"),
        (("--around", "3", "word"), "history.around"),
    ],
)
def test_what_is_not_understood_is_a_matter_of_usage(
    here: Installation, words: tuple[str, ...], code: str
) -> None:
    said = here.say("history", *words, "--json")
    assert said.code == 2
    assert json.loads(said.err)["code"] == code


def test_a_position_without_an_event_is_said_to_be_unknown(here: Installation) -> None:
    said = here.say("history", "--around", "999999", "--json")
    assert (said.code, json.loads(said.err)["code"]) == (1, "history.unknown")
