"""The README's way, walked: every command of its transcript against a really served process."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.support.commands import installed
from tests.support.transcript import Differs, Shell, Step, steps

ROOT = Path(__file__).parent.parent.parent
READMES = (ROOT / "README.md", ROOT / "README.zh-CN.md")


def test_both_languages_carry_the_same_transcript() -> None:
    english, chinese = ([(s.command, s.shown) for s in steps(one)] for one in READMES)
    assert english == chinese
    assert len(english) > 30


@pytest.mark.timeout(180)
def test_every_command_of_the_readme_answers_as_it_shows(run_directory: Path) -> None:
    with installed(run_directory) as here, here.served("demo", "--small", "--port", "0") as demo:
        given = {"API": demo.url, "KEYS": str(here.folder / "demo")}
        shell = Shell(given, here.environment)
        for step in steps(READMES[0]):
            shell.run(step)


def test_a_transcript_that_shows_something_else_is_found() -> None:
    """The comparison itself: what may differ, and what may not."""
    one, other = "01a2035e-0dd3-70a6-90b7-29e97f781a9f", "01b2035e-0dd3-70a6-90b7-29e97f781a9f"
    shell = Shell({}, {})
    shell.compare(f'{{"id": "{one}", "state": {{"status": "active", ...}}, ...}}', body(other))
    shell.compare(f'{{"id": "{one}", "at": "2026-01-01T00:00:00Z", ...}}', body(other))
    for shown in (
        f'{{"id": "{other}", ...}}',
        f'{{"id": "{one}"}}',
        '{"state": {"status": "revoked", ...}, ...}',
        '{"state": {"status": "active"}, ...}',
        '{"none": 1, ...}',
        '{"list": [1, 2], ...}',
        '{"list": [..., 1], ...}',
        "text",
    ):
        with pytest.raises(Differs):
            shell.compare(shown, body(other))
    shell.compare('{"list": [1, ...], ...}', body(other))
    shell.compare('{"list": [..., 3], "position": 7, ...}', body(other))


def body(stream: str) -> str:
    return (
        f'{{"id": "{stream}", "state": {{"status": "active", "holds": []}}, "list": [1, 2, 3],'
        ' "position": 12, "at": "2026-11-22T13:07:34.824167Z"}'
    )


def test_quotes_and_variables_are_read_as_a_shell_reads_them() -> None:
    shell = Shell({"API": "http://here"}, {})
    for line in ("API=http://there", "ID=7", 'BODY=\'{"id": "\'$ID\'", "cost": "$5"}\''):
        shell.run(Step(line, "", 1))
    assert shell.words('curl -s $API/v1 -H "Key: $ID" --json "$BODY"') == [
        "curl", "-s", "http://here/v1", "-H", "Key: 7", "--json", '{"id": "7", "cost": "$5"}',
    ]  # fmt: skip


@pytest.mark.parametrize("readme", READMES, ids=lambda path: path.name)
def test_every_file_that_a_readme_names_is_there(readme: Path) -> None:
    named = re.findall(r"\]\((?!https?:)([^)#]+)", readme.read_text(encoding="utf-8"))
    assert len(named) > 8
    assert [name for name in named if not (ROOT / name).exists()] == []
