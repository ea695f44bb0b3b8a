"""The command line as a whole: help in both languages, one line for what went wrong, exit codes."""

from __future__ import annotations

import json
import re
import resource
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from api import cli, cli_texts
from api.cli_shown import width
from tests.support.commands import Installation

COLUMNS = 110
"""What a line of help may take: a terminal is wide enough, and nothing has to wrap."""


def commands(command: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    """Every command and group with its words, the program itself under ''."""
    yield path, command
    for name, one in getattr(command, "commands", {}).items():
        yield from commands(one, f"{path} {name}".strip())


def built() -> Any:
    import typer

    return typer.main.get_command(cli.command_line())


ALL = dict(commands(built()))


def said(capsys: pytest.CaptureFixture[str], *words: str) -> tuple[int, str, str]:
    code = cli.main(words)
    out, err = capsys.readouterr()
    return code, out, err


@pytest.mark.parametrize("language", ["zh", "en"])
@pytest.mark.parametrize("path", sorted(ALL))
def test_every_command_has_a_help_page_with_an_example(
    path: str, language: str, capsys: pytest.CaptureFixture[str]
) -> None:
    code, out, _ = said(capsys, *path.split(), "--help", "--lang", language)
    assert code == 0
    example = cli_texts.texts()["commands"][path or "counterseal"]["example"]
    assert re.search(rf"counterseal {path}\b", example), example
    assert f"  {example}" in out.splitlines()
    texts = [line for line in out.splitlines() if example not in line]
    assert [line for line in texts if width(line) > COLUMNS] == []
    chinese = re.search(r"[\u4e00-\u9fff]", "\n".join(texts))
    assert bool(chinese) == (language == "zh")


def test_every_option_and_argument_has_a_text_in_both_languages() -> None:
    silent = [
        f"{path} {param.name}"
        for path, command in ALL.items()
        for param in command.params
        if not cli_texts.has("params", f"{path}.{param.name}")
        and not cli_texts.has("params", param.name)
    ]
    assert silent == []


def test_every_text_is_there_in_both_languages_with_the_same_parameters() -> None:
    apart = [
        f"{section} {key}"
        for section, texts in cli_texts.texts().items()
        for key, text in texts.items()
        if not {"zh", "en"} <= set(text) or fields(text["zh"]) != fields(text["en"])
    ]
    assert apart == []


def fields(text: str) -> set[str]:
    return set(re.findall(r"{(\w+)", text))


def test_every_line_that_the_code_says_is_in_the_texts() -> None:
    """`say` raises for a text that is not there: none of them may wait for a user to find out."""
    missing: list[str] = []
    for path in Path(cli.__file__).parent.glob("*.py"):
        if path.name.startswith(("cli", "demo")):
            text = path.read_text(encoding="utf-8")
            for call, section in (("say", "said"), ("Usage", "usage")):
                keys = re.findall(rf'\b{call}\(\s*"([\w.]+)"', text)
                missing += [f"{path.name}: {k}" for k in keys if not cli_texts.has(section, k)]
    assert missing == []


def test_every_reason_not_to_start_has_a_chinese_text() -> None:
    """They carry an English sentence of their own; the Chinese one says what it is about."""
    api = Path(cli.__file__).parent
    files = [*api.glob("postgres*.py"), api / "provisioning.py", api / "service_role.py",
             api / "wiring.py", api.parent / "projections" / "migrate.py"]  # fmt: skip
    codes = {
        code
        for file in files
        for code in re.findall(
            r'(?:StartRefused|MigrationRefused)\(\s*"([a-z_.]+)"', file.read_text("utf-8")
        )
    }
    assert len(codes) > 20
    assert sorted(code for code in codes if not cli_texts.has("faults", code)) == []


def loaded_after(code: str) -> list[str]:
    """Which modules a program has loaded at its end."""
    listing = f"{code}\nimport sys, json\nprint(json.dumps(sorted(sys.modules)))"
    found = subprocess.run(
        [sys.executable, "-c", listing], capture_output=True, text=True, check=True
    )
    return json.loads(found.stdout.splitlines()[-1])


def test_help_loads_neither_database_nor_web_nor_settings() -> None:
    modules = loaded_after("from api.cli import main; main(['--help'])")
    heavy = "psycopg fastapi uvicorn pydantic_settings msgspec rich cryptography structlog"
    assert [name for name in heavy.split() if name in modules] == []


def test_help_takes_less_than_half_a_second_of_the_processor() -> None:
    """Of its own time, for a busy machine's clock says nothing; the best of three."""
    took: list[float] = []
    for _ in range(3):
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        subprocess.run([sys.executable, "-m", "api.cli", "--help"], capture_output=True, check=True)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        took.append(after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime)
    assert min(took) < 0.5


def test_the_service_loads_no_command_line() -> None:
    modules = loaded_after("import api.app, api.wiring, api.routes.operations_table")
    assert [name for name in modules if name.startswith(("typer", "api.cli", "api.demo"))] == []


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (("nonsense",), "nonsense"),
        (("doctor", "--nonsense"), "There is no option --nonsense"),
        (("tenant", "create"), "NAME is missing"),
        (("key", "create", "--party", "service:x"), "--scope is missing"),
        (("serve", "--port", "many"), "--port"),
        (("serve", "--only", "half"), "doors, runner, verifier or timekeeper"),
        (("--lang", "fr", "doctor"), "'fr'"),
        (("check", "customer:x", "sell", "territory"), "DIMENSION:PATH"),
        (("tenant", "create", "x", "--first-name", "Y"), "go together"),
        (("key", "end", "nonsense"), "no key's id"),
        (("tick", "--at", "yesterday"), "no instant with a zone"),
        (("compliance", "duties", "--pair", "x"), "no pair of hands"),
    ],
)
def test_misuse_is_told_in_one_line_with_exit_code_2(
    words: tuple[str, ...],
    sentence: str,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    monkeypatch.setenv("COUNTERSEAL_LANG", "en")
    monkeypatch.setenv("DATABASE_URL", "postgresql://nobody@127.0.0.1:9/none")
    monkeypatch.setenv("COUNTERSEAL_DATA_DIR", str(tmp_path))
    code, out, err = said(capsys, *words)
    assert (code, out) == (2, "")
    assert sentence in err
    assert len(err.splitlines()) == 1
    assert err.startswith("counterseal: ")


def test_a_group_without_a_command_shows_what_there_is(capsys: pytest.CaptureFixture[str]) -> None:
    code, out, err = said(capsys, "tenant", "--lang", "en")
    assert (code, err) == (2, "")
    assert "create" in out
    assert "list" in out


@pytest.mark.parametrize(
    ("variables", "language"),
    [
        ({"LANG": "zh_CN.UTF-8"}, "zh"),
        ({"LANG": "en_GB.UTF-8"}, "en"),
        ({"LANG": "zh_CN.UTF-8", "COUNTERSEAL_LANG": "en"}, "en"),
        ({"LANG": "C", "LC_ALL": "zh_TW"}, "zh"),
        ({}, "en"),
    ],
)
def test_the_environment_names_the_language(variables: dict[str, str], language: str) -> None:
    here = Installation(Path("unused"), None, **variables)
    out = here.say("--help").out
    assert ("用法：" in out) == (language == "zh")


NOWHERE = {
    f"{name}DATABASE_URL": "postgresql://nobody@127.0.0.1:9/none"
    for name in ("", "KEYS_", "PROJECTOR_", "MIGRATOR_", "KEYS_MIGRATOR_", "AUDITOR_")
}


@pytest.mark.parametrize(
    "words",
    [
        ("tenant", "list"),
        ("key", "list"),
        ("doctor",),
        ("migrate",),
        ("tick",),
        ("projections", "list"),
        ("serve", "--port", "0"),
        ("grant", "show", "CS-20261122-QY84J8-9"),
    ],
)
def test_a_database_out_of_reach_is_told_in_one_line_with_exit_code_3(
    words: tuple[str, ...],
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    for name, value in {**NOWHERE, "COUNTERSEAL_DATA_DIR": str(tmp_path)}.items():
        monkeypatch.setenv(name, value)
    code, out, err = said(capsys, *words, "--lang", "zh")
    assert (code, out) == (3, "")
    assert (
        err == "counterseal: database.unreachable: 无法连接数据库。它是否在运行、地址是否正确？\n"
    )
    code, out, err = said(capsys, *words, *(["--json"] if words[0] != "grant" else []))
    assert code == 3
    if words[0] != "grant":
        assert json.loads(err)["code"] == "database.unreachable"


def test_half_a_configuration_names_what_is_missing(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("COUNTERSEAL_DATA_DIR", str(tmp_path))
    monkeypatch.setenv("DATABASE_URL", NOWHERE["DATABASE_URL"])
    code, _, err = said(capsys, "key", "list", "--lang", "en")
    assert code == 2
    assert err.startswith("counterseal: settings.missing: Not set: MIGRATOR_DATABASE_URL.")
    monkeypatch.delenv("DATABASE_URL")
    monkeypatch.setenv("KEYS_DATABASE_URL", NOWHERE["DATABASE_URL"])
    code, _, err = said(capsys, "key", "list", "--lang", "en")
    assert code == 2
    assert "DATABASE_URL" in err
    monkeypatch.delenv("KEYS_DATABASE_URL")
    monkeypatch.setenv("COUNTERSEAL_PORT", "many")
    code, _, err = said(capsys, "key", "list", "--lang", "en")
    assert code == 2
    assert "COUNTERSEAL_PORT" in err


def test_a_fault_of_the_program_is_one_line_and_exit_code_70(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def broken() -> None:
        raise RuntimeError("张三 13800000000")

    monkeypatch.setattr(cli, "command_line", lambda: lambda *_, **__: broken())
    code, out, err = said(capsys, "tenant", "list", "--lang", "en")
    assert (code, out) == (70, "")
    assert re.match(r"counterseal: program.fault: .*RuntimeError at tests/api/test_cli.py:\d+", err)
    assert "张三" not in err
    monkeypatch.setenv("COUNTERSEAL_LOG_LEVEL", "debug")
    with pytest.raises(RuntimeError):
        cli.main(("tenant", "list"))
