"""Registers on the command line: a template made, a register imported; words in, text out."""

from __future__ import annotations

import csv
import json
import re
import stat
import sys
import zipfile
from collections.abc import Callable, Iterator
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from python_calamine import CalamineWorkbook

from api.importing import register_running, words
from api.provisioning import Database
from tests.support import cluster
from tests.support.commands import Installation, Said
from tests.support.importing import ROOT, Bench
from tests.support.register_faults import in_the_ledger
from tests.support.register_files import EN, ZH, Made, Register, write_csv, write_xlsx
from tests.support.register_ground import POINTS, lay, today

Say = Callable[..., Said]


@pytest.fixture(scope="module")
def place(
    run_directory: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[Database, Path]]:
    """A database of these tests' own and the data directory with its keys."""
    made, folder = cluster.new_database(run_directory), tmp_path_factory.mktemp("registers")
    (folder / "keys").mkdir()
    yield made, folder
    cluster.drop(made.admin or "", made.name)


@pytest.fixture
def bench(place: tuple[Database, Path]) -> Iterator[Bench]:
    """A tenant with catalogue and policy."""
    made = Bench(place[0], place[1] / "keys" / "epochs.json")
    lay(made)
    yield made
    made.close()


@pytest.fixture
def say(
    bench: Bench, place: tuple[Database, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Say:
    """Says a command about that tenant, in English."""
    monkeypatch.chdir(tmp_path)
    installation = Installation(place[1], bench.database)

    def said(*given: str, lang: str = "en") -> Said:
        return installation.say(*given, "--tenant", bench.tenant, "--lang", lang)

    return said


IMPORT = ("import", "register.csv", "--register", "--policy", "dealership")


def rows(count: int) -> list[Made]:
    made = in_the_ledger(count, 5, today())["right"]
    return [one | {"number": ""} for one in made]


def table(said: Said) -> dict[str, str]:
    """The counts of a report by label."""
    lines = (line.strip().rsplit(None, 1) for line in said.out.splitlines()[1:])
    return {line[0]: line[1] for line in lines if len(line) == 2}


def test_it_tells_what_became_of_every_row_and_run_again_that_all_is_there(say: Say) -> None:
    write_csv(Path("register.csv"), rows(12))
    dry = say(*IMPORT, "--dry-run")
    assert (dry.code, dry.err) == (0, "")
    assert dry.out.startswith("Dry run: nothing was written\n")
    done = say(*IMPORT)
    assert done.code == 0
    assert done.out.startswith("Imported\n")
    would = {"would be written": "written now", "Events it would write": "Events of this run"}
    assert {would.get(name, name): one for name, one in table(dry).items()} == table(done)
    assert table(done)["written now"] == table(done)["in force"] == "12"
    again = say(*IMPORT, lang="zh")
    assert again.code == 0
    assert (table(again)["此前已导入"], table(again)["本次运行的事件"]) == ("12", "0")


def test_problems_are_told_at_their_cells_and_listed_in_a_file(say: Say) -> None:
    some = rows(4)
    Path("faults.csv").write_text("of an earlier run, for all to read", encoding="utf-8")
    Path("faults.csv").chmod(0o644)
    some[1]["territory"], some[3]["phone"] = "火星", "1"
    write_csv(Path("register.csv"), some, headings=EN)
    said = say(*IMPORT, "--faults", "faults.csv")
    assert said.code == 1
    assert "  D3 Territory: The catalogue has no 火星 here" in said.out
    assert stat.filemode(Path("faults.csv").stat().st_mode) == "-rw-------"
    with Path("faults.csv").open(encoding="utf-8-sig", newline="") as file:
        found = list(csv.DictReader(file))
    assert [(one["cell"], one["heading"], one["code"]) for one in found] == [
        ("D3", "Territory", "register.point_unknown"),
        ("K5", "Phone", "register.phone_malformed"),
    ]
    chinese = say(*IMPORT, lang="zh")
    assert "  K5 Phone：不是有效的电话号码。" in chinese.out
    report: dict[str, Any] = say(*IMPORT, "--json").json()
    assert report["rows"] == {
        "total": 4, "written": 0, "present": 2, "refused": 2, "left_out": 0,
    }  # fmt: skip
    assert [one["cell"] for one in report["listed"]] == ["D3", "K5"]


@pytest.mark.parametrize("named", ["register.csv", "./register.csv", "link.csv"])
def test_a_list_of_problems_is_never_written_over_the_register(say: Say, named: str) -> None:
    write_csv(Path("register.csv"), rows(1))
    Path("link.csv").symlink_to("register.csv")
    before = Path("register.csv").read_bytes()
    said = say(*IMPORT, "--faults", named)
    assert (said.code, said.out) == (2, "")
    assert said.err.startswith("counterseal: importing.refused_is_input: ")
    assert Path("register.csv").read_bytes() == before


def test_nothing_a_workbook_would_compute_is_written_into_the_list_of_problems(say: Say) -> None:
    [one] = rows(1)
    write_csv(Path("register.csv"), [one | {"contact": "=1+1"}])
    assert say(*IMPORT, "--faults", "faults.csv").code == 1
    listed = Path("faults.csv").read_text(encoding="utf-8-sig")
    assert not re.search(r"(^|,)[=+@-]", listed, re.MULTILINE)


def test_headings_that_are_none_are_told_each_and_nothing_is_read(say: Say) -> None:
    write_csv(Path("register.csv"), rows(1), headings=["名字", *ZH[1:]])
    said = say(*IMPORT)
    assert (said.code, said.out) == (2, "")
    first, *more = said.err.splitlines()
    assert first.startswith("counterseal: register.headings: ")
    assert [line.split()[0] for line in more] == ["A1", "row"]
    told = json.loads(say(*IMPORT, "--json").err)
    assert [one["code"] for one in told["listed"]] == [
        "register.column_unknown",
        "register.column_missing",
    ]


@pytest.mark.parametrize(
    ("given", "code"),
    [
        (("import", "register.csv"), "importing.which"),
        (("import", "register.csv", "--register"), "importing.policy"),
        (("import", "register.csv", "--register", "--mapping", "m.toml"), "importing.which"),
        ((*IMPORT[:-1], "nothing"), "register.policy_unknown"),
        ((*IMPORT, "--actions", "sell,fly"), "register.action_unknown"),
        ((*IMPORT, "--zone", "Mars/Base"), "register.zone_unknown"),
        ((*IMPORT, "--faults", "no/such/folder.csv"), "import.refused_unwritable"),
        (("import", "none.csv", *IMPORT[2:]), "import.file_unreadable"),
        (("template", "register", "t.xlsx", "--policy", "nothing"), "register.policy_unknown"),
        (("template", "register", "no/t.xlsx", "--policy", "dealership"), "template.unwritable"),
        (("template", "register", "register.csv", "--policy", "dealership"), "template.there"),
    ],
)
def test_what_cannot_be_done_is_told_in_one_line_with_a_code(
    say: Say, given: tuple[str, ...], code: str
) -> None:
    write_csv(Path("register.csv"), rows(1))
    said = say(*given)
    assert (said.code, said.out) == (2, "")
    assert said.err.startswith(f"counterseal: {code}: ")
    assert said.err.count("\n") == 1


def test_progress_is_shown_on_a_terminal_alone(
    say: Say,
    place: tuple[Database, Path],
    bench: Bench,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    from api import cli

    write_csv(Path("register.csv"), rows(3))
    assert say(*IMPORT).err == ""
    for name, value in Installation(place[1], bench.database, TERM="xterm").environment.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    assert cli.main([*IMPORT, "--tenant", bench.tenant, "--lang", "zh"]) == 0
    assert "与账本比对" in capsys.readouterr().err


def test_whoever_interrupts_it_is_told_that_nothing_is_lost(
    say: Say, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    write_csv(Path("register.csv"), rows(1))
    monkeypatch.setattr(register_running, "run_register", interrupted)
    said = say(*IMPORT)
    assert (said.code, said.out) == (130, "")
    assert "run the same command again" in said.err


# --- the template ---------------------------------------------------------------------------------


@pytest.mark.parametrize(("lang", "headings"), [("zh", ZH), ("en", EN)])
def test_a_template_has_the_columns_an_example_and_every_code(
    say: Say, lang: str, headings: tuple[str, ...]
) -> None:
    made = say("template", "register", "t.xlsx", "--policy", "dealership", lang=lang)
    assert (made.code, made.out, made.err) == (0, "t.xlsx\n", "")
    book = CalamineWorkbook.from_path("t.xlsx")
    register, explained = (book.get_sheet_by_name(name).to_python() for name in book.sheet_names)
    assert [str(one).removesuffix("*") for one in register[0]] == list(headings)
    assert len(register) == 2
    assert str(register[1][0]).startswith("# ")
    assert (register[1][6], register[1][7]) == (
        date(today().year, 1, 1),
        date(today().year, 12, 31),
    )
    cells = {str(cell) for line in explained for cell in line}
    standing = {path for points in POINTS.values() for path in points}
    assert standing | {"sell", "promote", "北京市/朝阳区" if lang == "zh" else "sell"} <= cells
    assert not {"CN/90", "CN/91"} & cells
    with zipfile.ZipFile("t.xlsx") as packed:
        sheet = packed.read("xl/worksheets/sheet1.xml").decode()
    assert sheet.count("<dataValidation ") == 8
    assert say("template", "register", "t.xlsx", "--policy", "dealership").code == 2
    assert say("template", "register", "t.xlsx", "--policy", "dealership", "--force").code == 0


def test_what_a_template_says_to_write_is_what_the_import_reads(say: Say) -> None:
    assert say("template", "register", "t.xlsx", "--policy", "dealership", lang="zh").code == 0
    book = CalamineWorkbook.from_path("t.xlsx")
    explained = book.get_sheet_by_name(book.sheet_names[1]).to_python()
    first = rows(1)[0] | {"from": today(), "until": today()}
    written: dict[str, list[str]] = {}
    for place, name in ((4, "territory"), (9, "product"), (14, "channel")):
        written[name] = [str(line[place]) for line in explained[2:] if line[place]]
        assert len(written[name]) == len(POINTS[name])
    one = first | {name: "；".join(some) for name, some in written.items()}
    write_xlsx(Path("register.xlsx"), Register([one]), headings=ZH)
    said = say("import", "register.xlsx", *IMPORT[2:], "--dry-run")
    assert (said.code, table(said)["would be written"]) == (0, "1"), said.out


def test_a_filled_in_template_goes_in_and_its_example_does_not(say: Say) -> None:
    assert say("template", "register", "t.xlsx", "--policy", "dealership").code == 0
    book = CalamineWorkbook.from_path("t.xlsx")
    headings, example = book.get_sheet_by_name(book.sheet_names[0]).to_python()
    one = dict(zip(("name", "uscc", "identity"), example, strict=False))
    one |= {"territory": "CN/31", "product": "tea", "channel": "*", "name": str(example[0])}
    one |= {"from": today(), "until": today()}
    filled = Register([one, rows(1)[0]])
    write_xlsx(Path("register.xlsx"), filled, headings=[str(text) for text in headings])
    said = say("import", "register.xlsx", *IMPORT[2:])
    assert said.code == 0
    told = table(said)
    assert (told["Rows"], told["written now"], told["Comments, not read"]) == ("1", "1", "1")


def test_every_reason_that_a_register_gives_has_a_text_and_the_other_way_round() -> None:
    sources = [*(ROOT / "api" / "importing").glob("register*.py"), ROOT / "api/cli_register.py"]
    text = "\n".join(path.read_text(encoding="utf-8") for path in sources)
    given = set(re.findall(r"\"(register\.[a-z_0-9]+)\"", text))
    parts = {
        "from_missing", "until_missing", "from_no_date", "until_no_date", "point_unknown",
        "pattern_malformed", "point_ended", "point_planned", "customer_registered",
        "customer_lapsed", "customer_blocked", "column_unknown", "column_twice",
    }  # fmt: skip
    given |= {f"register.{part}" for part in parts}
    known = {code for code in words.words() if code.startswith("register.")}
    assert known == given
