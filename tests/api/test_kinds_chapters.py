"""The chapters of the kinds, walked: every request of their transcript against a served process."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.sample_tenant import sampled
from tests.support.transcript import Shell, steps

DOCS = Path(__file__).parent.parent.parent / "docs"
CHAPTERS = (DOCS / "kinds.md", DOCS / "kinds.zh-CN.md")


def test_both_languages_carry_the_same_requests_and_answers() -> None:
    english, chinese = ([(s.command, s.shown) for s in steps(one)] for one in CHAPTERS)
    assert english == chinese
    assert len(english) > 40


@pytest.mark.timeout(180)
def test_every_request_of_the_chapters_answers_as_they_show(run_directory: Path) -> None:
    with sampled(run_directory) as here, here.served("demo", "--small", "--port", "0") as demo:
        given = {"API": demo.url, "KEYS": str(here.folder / "demo")}
        shell = Shell(given, here.environment)
        for step in steps(CHAPTERS[0]):
            shell.run(step)
