"""The auditor's command line: without the web, in two languages, its exit codes kept."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import typer.main

from api.cli import main as operator
from replay import cli
from replay.cli_places import OWN
from replay.cli_shown import width
from replay.reader import opened
from tests.replay.auditing import Audit
from tests.support.ledger import make_tenant
from tests.support.mixed import Mixed
from tests.support.owner import superuser

REPLAY = Path(cli.__file__).parent
COLUMNS = 110
GROUP: Any = typer.main.get_command(cli.command_line())
ALL: dict[str, Any] = {"": GROUP, **GROUP.commands}
WEB = {"fastapi", "starlette", "uvicorn", "pydantic_settings", "api"}


@pytest.fixture
def audit(firm: Mixed, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> Audit:
    return Audit(firm, capsys, tmp_path)


# --- what it is -----------------------------------------------------------------------------------


def loaded_after(code: str) -> set[str]:
    """The packages that a program has loaded at its end."""
    listing = f"{code}\nimport sys, json\nprint(json.dumps(sorted(sys.modules)))"
    found = subprocess.run(
        [sys.executable, "-c", listing], capture_output=True, text=True, check=True
    )
    return {name.partition(".")[0] for name in json.loads(found.stdout.splitlines()[-1])}


def test_no_module_of_the_floor_loads_the_web_or_the_doors() -> None:
    names = [path.stem for path in REPLAY.glob("*.py") if path.stem != "__init__"]
    loaded = loaded_after(f"import {', '.join(f'replay.{name}' for name in names)}")
    assert "replay" in loaded
    assert loaded & {*WEB, "pydantic"} == set()


def test_no_command_loads_the_web_or_the_doors(audit: Audit) -> None:
    """The library that reads the words brings pydantic for itself."""
    file = str(audit.bundle())
    for command in ("verify", "as-of", "history", "compare"):
        loaded = loaded_after(
            f"from replay.cli import main; main([{command!r}, '--bundle', {file!r}])"
        )
        assert loaded & WEB == set(), command


@pytest.mark.parametrize("language", ["zh", "en"])
@pytest.mark.parametrize("path", sorted(ALL))
def test_every_command_has_a_help_page_with_an_example(
    path: str, language: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main([*path.split(), "--help", "--lang", language]) == 0
    out = capsys.readouterr().out
    example = OWN.texts()["commands"][path or OWN.program]["example"]
    assert re.search(rf"counterseal-audit {path}\b", example), example
    texts = [line for line in out.splitlines() if example not in line]
    assert f"  {example}" in out.splitlines()
    assert [line for line in texts if width(line) > COLUMNS] == []
    assert bool(re.search(r"[\u4e00-\u9fff]", "\n".join(texts))) == (language == "zh")


def test_every_option_has_a_text() -> None:
    silent = [
        f"{path} {param.name}"
        for path, command in ALL.items()
        for param in command.params
        if not OWN.has("params", f"{path}.{param.name}") and not OWN.has("params", param.name)
    ]
    assert silent == []


def test_every_text_is_there_in_both_languages_with_the_same_parameters() -> None:
    def fields(text: str) -> set[str]:
        return set(re.findall(r"{(\w+)", text))

    apart = [
        f"{section} {key}"
        for section, texts in OWN.texts().items()
        for key, text in texts.items()
        if not {"zh", "en"} <= set(text) or fields(text["zh"]) != fields(text["en"])
    ]
    assert apart == []


def test_every_line_that_the_code_says_and_every_code_it_gives_has_a_text() -> None:
    missing: list[str] = []
    for path in REPLAY.glob("*.py"):
        text = path.read_text(encoding="utf-8")
        for section, pattern in (
            ("said", r'\bsay\(\s*"([\w.]+)"'),
            ("usage", r'(?:Usage|OutOfReach)\(\s*"([\w.]+)"'),
            ("findings", r'Finding\(\s*"((?:log|stream|event)\.\w+)"'),
            ("damages", r'Damaged\(\s*"([\w.]+)"'),
        ):
            missing += [
                f"{path.name}: {key}"
                for key in re.findall(pattern, text)
                if not OWN.has(section, key)
            ]
    assert missing == []


# --- verify ---------------------------------------------------------------------------------------


def test_verify_says_that_a_log_is_whole(audit: Audit) -> None:
    code, out, _ = audit.database("verify", "--lang", "en")
    assert code == 0
    assert "whole up to position" in out
    code, out, _ = audit.database("verify", "--lang", "zh")
    assert "完整" in out
    found = audit.document("verify")
    assert found["findings"] == []
    assert found["position"] == found["events"] > 0


def test_verify_names_each_finding_on_a_line_and_ends_with_1(audit: Audit) -> None:
    change = "UPDATE events SET causation = %s WHERE tenant_id = %s AND position = 5"
    with superuser(audit.firm.house.database) as conn:
        kept = conn.execute(
            "SELECT causation FROM events WHERE tenant_id = %s AND position = 5",
            (audit.firm.tenant,),
        ).fetchone()
        assert kept is not None
        conn.execute(change, (77, audit.firm.tenant))
        try:
            code, out, _ = audit.database("verify", "--lang", "en")
            told, document, _ = audit.database("verify", "--json")
        finally:
            conn.execute(change, (kept[0], audit.firm.tenant))
    assert (code, told) == (1, 1)
    first, last = out.splitlines()
    assert re.match(r"position \d+: log\.hash: an event is not as written \(events \d+ to", first)
    assert "1 findings" in last
    assert [one["code"] for one in json.loads(document)["findings"]] == ["log.hash"]


def test_verify_against_an_earlier_bundle_finds_nothing_in_a_log_that_went_on(
    audit: Audit,
) -> None:
    earlier = audit.bundle("--to", "30")
    code, out, _ = audit.database("verify", "--against", str(earlier))
    assert code == 0, out


# --- as of ----------------------------------------------------------------------------------------


def test_as_of_names_its_position_and_what_it_is_of(audit: Audit) -> None:
    found = audit.document("as-of", "--limit", "0")
    assert found["model"] == "grants"
    assert found["total"] == len(found["items"]) == len(audit.firm.grants) > 3
    assert found["position"] > 0
    earlier = audit.document("as-of", "--known", str(found["position"] // 2), "--limit", "0")
    assert earlier["position"] == found["position"] // 2
    assert 0 < earlier["total"] < found["total"]


def test_a_record_is_found_by_its_number(audit: Audit) -> None:
    for kind, model in (("grant", "grants"), ("customer", "customers"), ("staff", "staff")):
        one = audit.document("as-of", "--model", model, "--limit", "1")["items"][0]
        found = audit.document("as-of", f"--{kind}", one["number"])
        assert found["items"] == [one]
        stream = one[f"{kind}_id"]
        assert audit.document("as-of", "--model", model, "--stream", stream)["items"] == [one]


def test_an_instant_is_the_position_it_was_recorded_at(audit: Audit) -> None:
    with opened(audit.firm.house.database.auditor, audit.firm.tenant) as source:
        at = source.recorded_at(20).isoformat()
        position = source.position_at(source.recorded_at(20))
    assert audit.document("as-of", "--known", at)["position"] == position


def test_rows_are_shown_as_a_table_in_both_languages(audit: Audit) -> None:
    for model in ("grants", "customers", "staff", "policies", "permissions", "tasks", "history"):
        code, out, err = audit.database("as-of", "--model", model, "--limit", "2", "--lang", "zh")
        assert code == 0, err
        assert re.search(r"[\u4e00-\u9fff]", out.splitlines()[0]), out
        assert "位置" in err


def test_parties_and_kinds_stand_in_a_table_by_their_names(audit: Audit) -> None:
    [grant] = audit.document("as-of", "--limit", "1")["items"]
    [number] = [
        one["number"]
        for one in audit.document("as-of", "--model", "customers", "--limit", "0")["items"]
        if f"customer:{one['customer_id']}" == grant["grantee"]
    ]
    for model, names in (
        ("grants", (f"客户 {number}", "经销授权")),
        ("permissions", (f"客户 {number}",)),
    ):
        code, out, err = audit.database(
            "as-of", "--model", model, "--grant", grant["number"], "--lang", "zh"
        )
        assert code == 0, err
        assert grant["grantee"] not in out
        assert all(one in out for one in names), out


# --- history --------------------------------------------------------------------------------------


def test_history_tells_what_the_service_tells(audit: Audit) -> None:
    for language in ("en", "zh"):
        mine = audit.document("history", "--limit", "0", "--lang", language)["items"]
        told = {
            item["position"]: item["line"] for item in _told_by_the_service(audit.firm, language)
        }
        assert len(mine) == len(told)
        assert {one["position"]: one["line"] for one in mine} == told


def _told_by_the_service(firm: Mixed, language: str) -> list[dict[str, Any]]:
    caller = firm["compliance"]
    found: list[dict[str, Any]] = []
    path = "/v1/history?order=oldest&limit=200"
    while True:
        answer = caller.get(path, accept_language=language).json()
        found += answer["items"]
        if not answer.get("next"):
            return found
        path = f"/v1/history?order=oldest&limit=200&cursor={answer['next']}"


def test_history_of_one_record_and_of_one_type(audit: Audit) -> None:
    grant = audit.document("as-of", "--limit", "1")["items"][0]
    found = audit.document("history", "--grant", grant["number"], "--limit", "0")["items"]
    assert {one["stream_id"] for one in found} == {grant["grant_id"]}
    typed = audit.document("history", "--type", "grant.requested", "--limit", "0")["items"]
    assert {one["type"] for one in typed} == {"grant.requested.1"}
    part = audit.document("history", "--from", "5", "--to", "9")["items"]
    assert [one["position"] for one in part] == [5, 6, 7, 8, 9]


# --- what goes wrong ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("words", "exit_code", "code"),
    [
        (("verify", "--bundle", "/nowhere/at/all"), 2, "file.unusable"),
        (("verify", "--database-url", "postgresql://x@127.0.0.1:1/x"), 3, "database.unreachable"),
        (("verify", "--database-url", "not an address"), 3, "database"),
        (("verify", "--nonsense"), 2, "usage"),
        (("nonsense",), 2, "usage"),
        (("verify", "--lang", "fr"), 2, "usage.lang"),
    ],
)
def test_a_misuse_is_told_in_one_line(
    audit: Audit, words: tuple[str, ...], exit_code: int, code: str
) -> None:
    found, out, err = audit(*words)
    assert (found, out, err.count("\n")) == (exit_code, "", 1), err
    assert code in err


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (("as-of", "--known", "yesterday"), "place.malformed"),
        (("as-of", "--known", "2026-01-01T00:00:00"), "place.malformed"),
        (("as-of", "--valid", "12"), "instant.malformed"),
        (("as-of", "--known", "999999"), "position.beyond"),
        (("as-of", "--known", "0"), "position.before"),
        (("as-of", "--model", "claims"), "model.unknown"),
        (("as-of", "--grant", "CS-NONE"), "record.unknown"),
        (("as-of", "--grant", "a", "--staff", "b"), "record.one"),
        (("as-of", "--stream", "x"), "model.needed"),
        (("history", "--stream", "no-id"), "record.unknown"),
        (("compare", "--model", "nonsense"), "model.unknown"),
        (("bundle", "x.bundle", "--from", "9", "--to", "3"), "bundle.empty"),
        (("bundle", "x.bundle", "--to", "999999"), "position.beyond"),
        (("bundle", "x.bundle", "--to", "9", "--grant", "x"), "bundle.period_or_records"),
        (("verify", "--tenant", "nobody"), "tenant.unknown"),
    ],
)
def test_a_question_that_cannot_be_answered_is_told_with_its_code(
    audit: Audit, words: tuple[str, ...], code: str
) -> None:
    found, out, err = audit.database(*words)
    assert (found, out) == (2, "")
    assert f"counterseal-audit: {code}: " in err


def test_without_a_place_it_says_where_to_get_one(
    audit: Audit, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("COUNTERSEAL_AUDIT_DATABASE_URL", "AUDITOR_DATABASE_URL"):
        monkeypatch.delenv(name, raising=False)
    code, _, err = audit("verify", "--lang", "en")
    assert code == 2
    assert "counterseal database url" in err
    monkeypatch.setenv("AUDITOR_DATABASE_URL", audit.firm.house.database.auditor)
    assert audit("verify", "--tenant", audit.firm.tenant)[0] == 0


def test_with_several_tenants_it_asks_which(audit: Audit) -> None:
    make_tenant(audit.firm.house.database)
    code, _, err = audit("verify", "--database-url", audit.firm.house.database.auditor)
    assert (code, "tenant.which" in err) == (2, True)


def test_nothing_it_does_could_change_the_database(audit: Audit) -> None:
    with opened(audit.firm.house.database.auditor, audit.firm.tenant) as source:
        state = source._conn.execute(  # pyright: ignore[reportPrivateUsage]
            "SELECT current_user, current_setting('transaction_read_only'),"
            " current_setting('transaction_isolation')"
        ).fetchone()
    assert state == ("counterseal_auditor", "on", "repeatable read")


def test_an_operator_prints_the_address_that_an_auditor_needs(
    audit: Audit, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    database = audit.firm.house.database
    monkeypatch.setenv("DATABASE_URL", database.service)
    monkeypatch.setenv("AUDITOR_DATABASE_URL", database.auditor)
    capsys.readouterr()
    assert operator(["database", "url"]) == 0
    url = capsys.readouterr().out.strip()
    assert url == database.auditor
    monkeypatch.delenv("AUDITOR_DATABASE_URL")
    monkeypatch.setenv("COUNTERSEAL_AUDIT_DATABASE_URL", url)
    assert audit("verify", "--tenant", audit.firm.tenant)[0] == 0
