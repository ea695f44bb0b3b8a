"""worklist and compliance on the command line, over the sample tenant; and their chapter."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.commands import Installation
from tests.support.sample_tenant import sampled
from tests.support.transcript import Shell, steps

DOCS = Path(__file__).parent.parent.parent / "docs"
CHAPTERS = (DOCS / "compliance.md", DOCS / "compliance.zh-CN.md")


@pytest.fixture(scope="module")
def here(run_directory: Path) -> Iterator[Installation]:
    """The sample tenant, with its read models up to date."""
    with sampled(run_directory) as made:
        yield made


@pytest.fixture(scope="module")
def grants(here: Installation) -> dict[str, str]:
    """The sample's grants: what they are there for -> number."""
    return json.loads((here.folder / "demo" / "tenant.json").read_text())["grants"]


def test_the_worklist_says_what_waits_and_who_could(
    here: Installation, grants: dict[str, str]
) -> None:
    said = here.say("worklist", "--lang", "en")
    assert said.code == 0
    about = rf"Dealership {grants['to_check']} +D-0001 +verifier \(call back\) × 1 +S-0003, "
    assert re.search(rf"check the request +{about}", said.out)
    items = here.say("worklist", "--json").json()["items"]
    assert said.out.endswith(f"Waiting: {len(items)}.\n")
    about = rf"经销授权 {grants['to_check']} +D-0001 +核查人 \(回访\) × 1 +S-0003, "
    assert re.search(rf"核查申请 +{about}", here.say("worklist", "--lang", "zh").out)
    assert {"sign", "approve", "check"} <= {one["kind"] for one in items}
    assert [one["since"] for one in items] == sorted(one["since"] for one in items)


def test_the_worklist_is_filtered(here: Installation, grants: dict[str, str]) -> None:
    def numbers(*words: str) -> list[str]:
        return [one["number"] for one in here.say("worklist", "--json", *words).json()["items"]]

    mine = numbers("--for", "S-0003")
    assert grants["to_check"] in mine
    assert mine == numbers("--for", "staff:S-0003")
    assert set(mine) < set(numbers())
    assert numbers("--kind", "check")[-1] == grants["to_check"]
    assert numbers("--customer", "D-0001") == [grants["to_check"]]
    assert grants["to_check"] in numbers("--overdue", "1")
    assert numbers("--overdue", "400") == []
    assert len(numbers("--unassigned")) < len(mine)
    said = here.say("worklist", "--kind", "sleep")
    assert (said.code, "worklist.kind" in said.err) == (2, True)
    assert here.say("worklist", "--for", "S-9999").code == 2


def test_queries_of_compliance_tell_by_their_code_whether_they_found_something(
    here: Installation, grants: dict[str, str]
) -> None:
    codes = {
        name: here.say("compliance", name, "--json").code
        for name in ("duties", "beyond-evidence", "retired-policies", "approvers", "unchecked")
    }
    assert {codes[name] for name in ("duties", "beyond-evidence")} == {0}
    assert codes["unchecked"] == 1
    said = here.say("compliance", "open", "--days", "0", "--lang", "en")
    assert said.code == 1
    assert re.search(rf"^{grants['to_check']} +request ", said.out, re.MULTILINE)
    ending = here.say("compliance", "ending", "--days", "300", "--json")
    assert ending.code == 0
    assert grants["active"] in [one["number"] for one in ending.json()["items"]]
    table = here.say("compliance", "ending", "--days", "300", "--lang", "zh").out
    assert re.search(rf"^{grants['active']} +经销授权 ", table, re.MULTILINE), table
    counted = here.say("compliance", "approvers", "--lang", "en").out
    assert re.search(r" Dealership \d+ ", counted), counted
    past = here.say("compliance", "open", "--days", "0", "--instant", "2020-01-01T00:00:00Z")
    assert past.code == 0
    assert here.say("compliance", "open", "--instant", "yesterday").code == 2


def test_both_languages_carry_the_same_transcript() -> None:
    english, chinese = ([(s.command, s.shown) for s in steps(one)] for one in CHAPTERS)
    assert english == chinese
    assert len(english) > 12


@pytest.mark.timeout(120)
def test_every_request_of_the_chapter_answers_as_it_shows(run_directory: Path) -> None:
    with sampled(run_directory) as new, new.served("demo", "--small", "--port", "0") as demo:
        shell = Shell({"API": demo.url, "KEYS": str(new.folder / "demo")}, new.environment)
        for step in steps(CHAPTERS[0]):
            shell.run(step)
