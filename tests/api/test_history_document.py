"""The chapter on history, walked: every command of it against the sample tenant, really served."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.support.sample_tenant import sampled
from tests.support.transcript import Shell, steps

DOCS = Path(__file__).parent.parent.parent / "docs"
CHAPTERS = (DOCS / "history.md", DOCS / "history.zh-CN.md")


def test_both_languages_carry_the_same_transcript() -> None:
    english, chinese = ([(s.command, s.shown) for s in steps(one)] for one in CHAPTERS)
    assert english == chinese
    assert len(english) > 10


@pytest.mark.timeout(180)
def test_every_command_of_the_chapter_answers_as_it_shows(run_directory: Path) -> None:
    with sampled(run_directory) as here, here.served("demo", "--small", "--port", "0") as demo:
        suspended = json.loads((here.folder / "demo" / "tenant.json").read_text())["grants"]
        words = ("history", f"grant:{suspended['suspended']}", "type:grant.approved", "--json")
        (approved,) = here.say(*words).json()["items"]
        given = {
            "API": demo.url,
            "KEYS": str(here.folder / "demo"),
            "POSITION": str(approved["position"]),
        }
        shell = Shell(given, here.environment)
        for step in steps(CHAPTERS[0]):
            shell.run(step)


@pytest.mark.parametrize("index", ["index.md", "index.zh-CN.md"])
def test_the_index_leads_to_it(index: str) -> None:
    name = index.replace("index", "history")
    assert f"]({name})" in (DOCS / index).read_text(encoding="utf-8")
