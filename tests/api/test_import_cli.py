"""The command `counterseal import`: what it says, in both languages, and its exit codes."""

from __future__ import annotations

import csv
import json
import re
import stat
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from api.cli import main
from api.importing import intake, running, words
from api.importing.faults import Unusable
from api.importing.mapping import parse_mapping
from api.provisioning import Database
from api.settings import DATABASE_URLS
from tests.support.importing import ROOT, WHOLE, Bench, rows, small_text, table

Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def run(
    fresh_database: Callable[[], Database],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> Run:
    """Runs the command on a database of its own; returns exit code, output, and what went aside."""
    database = fresh_database()
    roles = {
        "database_url": database.service,
        "keys_database_url": database.keys,
        "projector_database_url": database.projector,
        "migrator_database_url": database.migrator,
        "keys_migrator_database_url": database.keys_migrator,
        "auditor_database_url": database.auditor,
    }
    for field, variable in DATABASE_URLS.items():
        monkeypatch.setenv(variable, roles[field])
    monkeypatch.setenv("COUNTERSEAL_DATA_DIR", str(tmp_path / "data"))
    monkeypatch.setenv("COUNTERSEAL_LANG", "en")
    key_file = tmp_path / "data" / "keys" / "epochs.json"
    key_file.parent.mkdir(parents=True)
    Bench(database, key_file).close()  # makes the only tenant
    (tmp_path / "mapping.toml").write_text(small_text(), encoding="utf-8")

    def called(data: str | bytes | None, *more: str, lang: str = "en") -> tuple[int, str, str]:
        path = tmp_path / "file.csv"
        if data is not None:
            path.write_bytes(data.encode() if isinstance(data, str) else data)
        given = ["import", str(path), "--mapping", str(tmp_path / "mapping.toml"), "--lang", lang]
        code = main([*given, *more])
        said = capsys.readouterr()
        return code, said.out, said.err

    return called


def test_it_tells_what_became_of_the_file_and_run_again_that_it_is_there(run: Run) -> None:
    data = table(rows("a", *WHOLE), rows("b", "ask", "look", day=2))
    code, said, aside = run(data, "--dry-run")
    assert (code, aside) == (0, "")
    assert said.startswith("Dry run: nothing was written\n")
    code, said, _ = run(data)
    assert code == 0
    assert said.startswith("Imported\n")
    told = dict(line.strip().rsplit(None, 1) for line in said.splitlines()[1:])
    assert (told["Cases"], told["Steps (rows)"], told["Notes"]) == ("2", "6", "0")
    code, said, _ = run(data, lang="zh")
    assert code == 0
    told = dict(line.strip().rsplit(None, 1) for line in said.splitlines()[1:])
    assert (told["案件"], told["本次运行的事件"]) == ("2", "0")


def test_refused_rows_are_told_with_line_column_and_reason_and_listed_in_a_file(
    run: Run, tmp_path: Path
) -> None:
    bad = rows("a", *WHOLE)
    bad[1] = bad[1].replace("2011-05-01T09", "2011-02-30T09")
    listed = tmp_path / "refused.csv"
    code, said, _ = run(table(bad, rows("b", *WHOLE, day=2)), "--refused", str(listed))
    assert code == 1
    assert "line 3, column when: There is no such instant" in said
    assert stat.filemode(listed.stat().st_mode) == "-rw-------"
    with listed.open(encoding="utf-8-sig", newline="") as file:
        found = list(csv.DictReader(file))
    assert [(one["line"], one["column"], one["code"], one["case"]) for one in found] == [
        ("3", "when", "import.instant_impossible", "a")
    ]
    code, said, _ = run(None, lang="zh")
    assert code == 1
    assert "第 3 行，“when”列：不存在这样的时刻" in said


def test_the_report_is_json_where_json_is_asked_for(run: Run) -> None:
    code, said, aside = run(table(rows("a", *WHOLE)), "--json")
    report: dict[str, Any] = json.loads(said)
    assert (code, aside) == (0, "")
    assert report["cases"] == {"total": 1, "written": 1, "present": 0, "refused": 0, "left_out": 0}
    assert report["duties"]["any"] == 0
    assert report["refused_rows"] == []


def test_progress_is_shown_on_a_terminal_alone(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    data = table(rows("a", *WHOLE))
    assert run(data)[2] == ""
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    code, said, aside = run(data, lang="zh")
    assert code == 0
    assert said.startswith("已导入\n")
    assert "读取" in aside
    assert "写入" in aside


def test_whoever_interrupts_it_is_told_that_nothing_is_lost(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(running, "run_import", interrupted)
    code, said, aside = run(table(rows("a", *WHOLE)))
    assert (code, said) == (130, "")
    assert "run the same command again" in aside


@pytest.mark.parametrize(
    ("data", "code", "told"),
    [
        (b"", "import.file_empty", "The file has no rows."),
        (b"a,b\n1,2\n", "import.column_missing", "Line 1: there is no column case. Found: a, b."),
        (None, "import.file_unreadable", "No such file or directory"),
    ],
)
def test_a_file_that_cannot_be_used_is_told_in_one_line(
    run: Run, data: bytes | None, code: str, told: str
) -> None:
    exit_code, said, aside = run(data)
    assert (exit_code, said) == (2, "")
    assert aside.count("\n") == 1
    assert aside.startswith(f"counterseal: {code}: ")
    assert told in aside
    exit_code, said, aside = run(data, "--json", lang="zh")
    assert (exit_code, said) == (2, "")
    assert json.loads(aside)["code"] == code


@pytest.mark.parametrize(
    ("spoiled", "told"),
    [
        (("format = 1", "format = 2"), "$.format"),
        (('source = "small"', 'source = "two words"'), "source"),
        (("[columns]", '[columns]\nfoo = "x"'), "foo"),
        (('"send" = "effect"', '"send" = "arrive"'), "$.steps"),
        (('"agree" = "approve"', '"agree" = { event = "approve", stage = "two" }'), "agree.stage"),
        (('actions = ["sell"]', 'actions = ["buy"]'), "constants.actions"),
        (('grantee = "customer:{case}"', 'grantee = "staff:{case}"'), "constants.grantee"),
        (('channel = "post"', 'channel = "pigeon"'), "constants.channel"),
        (("[file]", '[file]\nencoding = "utf-16"'), "file.encoding"),
        (("[people]", '[people]\nroles = ["king"]'), "people.roles"),
        (("[file]", '[instants]\nzone = "Mars/Base"\n[file]'), "instants.zone"),
        (('place = "{where}"', 'other = "{where}"'), "constants.scope"),
        (('id = "one"', 'id = "o n e"'), "policy/stages"),
        (("[steps]", "[steps"), "line"),
    ],
)
def test_a_mapping_that_is_not_right_is_told_with_the_place(
    spoiled: tuple[str, str], told: str
) -> None:
    text = small_text()
    assert spoiled[0] in text
    with pytest.raises(Unusable) as found:
        parse_mapping(text.replace(*spoiled).encode())
    assert found.value.code == "import.mapping_malformed"
    assert told in found.value.params["fault"]


def test_a_mapping_is_refused_before_the_file_is_read(run: Run, tmp_path: Path) -> None:
    (tmp_path / "mapping.toml").write_text("format = 2", encoding="utf-8")
    exit_code, said, aside = run(None)
    assert (exit_code, said) == (2, "")
    assert aside.startswith("counterseal: import.mapping_malformed: ")


def test_every_word_is_there_in_both_languages_with_the_same_facts() -> None:
    for code, found in words.words().items():
        assert set(found) == {"zh", "en"}, code
        facts = {
            language: {part.split("}")[0] for part in text.split("{")[1:]}
            for language, text in found.items()
        }
        assert facts["zh"] == facts["en"], code
        assert not found["zh"].isascii(), code


def test_every_reason_that_an_import_gives_has_a_text() -> None:
    sources = [*(ROOT / "api" / "importing").glob("*.py"), ROOT / "domain/commands/imports.py"]
    sources.append(ROOT / "api" / "cli_import.py")
    given = {
        code
        for path in sources
        for code in re.findall(r"\"(import\.[a-z_]+)\"|'(import\.[a-z_]+)'", path.read_text())
        for code in code
        if code
    }
    assert len(given) > 30
    assert given - words.words().keys() == set()


@pytest.mark.parametrize("name", ["importing.md", "importing.zh-CN.md"])
def test_the_mapping_in_the_manual_is_one(name: str) -> None:
    text = (ROOT / "docs" / name).read_text(encoding="utf-8")
    example = text.split("```toml\n")[1].split("```")[0]
    assert parse_mapping(example.encode()).source == "old-system"
    for limit in (intake.MAX_CASE_STEPS, intake.MAX_STEP_NAMES, intake.MAX_SCOPES):
        assert f"| {limit:,} |" in text
