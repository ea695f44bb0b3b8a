"""The chapter on the command line, walked: its transcript against a really served process."""

from __future__ import annotations

from pathlib import Path

import pytest

from api.cli_acts import VERBS
from tests.support.sample_tenant import sampled
from tests.support.transcript import Shell, steps

DOCS = Path(__file__).parent.parent.parent / "docs"
CHAPTERS = (DOCS / "command-line.md", DOCS / "command-line.zh-CN.md")


def test_both_languages_carry_the_same_transcript_and_name_every_verb() -> None:
    english, chinese = ([(s.command, s.shown) for s in steps(one)] for one in CHAPTERS)
    assert english == chinese
    assert len(english) > 12
    for chapter in CHAPTERS:
        text = chapter.read_text(encoding="utf-8")
        assert [verb for verb in (*VERBS, "list", "show") if f"`{verb}`" not in text] == []


@pytest.mark.timeout(180)
def test_every_command_of_the_chapter_answers_as_it_shows(
    run_directory: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "call.txt").write_text("Called back; all as written.", encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    with sampled(run_directory) as here, here.served("demo", "--small", "--port", "0") as demo:
        given = {"KEYS": str(here.folder / "demo")}
        shell = Shell(given, here.environment | {"COUNTERSEAL_URL": demo.url})
        for step in steps(CHAPTERS[0]):
            shell.run(step)
