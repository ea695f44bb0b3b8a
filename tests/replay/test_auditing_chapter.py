"""The chapter on auditing, walked on the permit log; its figures counted again from the file."""

from __future__ import annotations

import csv
import re
import shlex
import subprocess
import sys
from collections import Counter, defaultdict
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from projections.runner import Runner
from replay.diff import asked, differences
from replay.diff_records import CaseChange
from tests.projections.facts import DAY, START, granted, revoked, suspended
from tests.replay.diff_story import POLICY, Story, agreed, customer, one_id
from tests.support.commands import FOREIGN, Installation, installed
from tests.support.importing import PERMITS_MAPPING, permits
from tests.support.transcript import Step, steps

DOCS = Path(__file__).parent.parent.parent / "docs"
CHAPTERS = (DOCS / "auditing.md", DOCS / "auditing.zh-CN.md")
SECONDS = 120

JULY, JANUARY = "2011-07-01T00:00:00+02:00", "2012-01-01T00:00:00+01:00"

PROGRAMS = {"counterseal": "api.cli", "counterseal-audit": "replay.cli"}

OWN = (
    (r"CS-\d{8}-[0-9A-Z]{6}-[0-9A-Z]", "NUMBER"),
    (r"\b[0-9a-f]{64}\b", "HASH"),
    (r"\b[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}\b", "ID"),
    (r"\b\d+ (bytes|batches|rows)\b", r"N \1"),
    (r"(recorded |记录于 |\()20[2-9]\d-\d\d-\d\d( \d\d:\d\d UTC| \d\d:\d\d:\d\dZ)?", r"\1THEN"),
)
"""What is another one in every run."""


class Walk:
    """Runs the commands of a chapter, one after another, in a directory with the file in it."""

    def __init__(self, here: Installation, folder: Path) -> None:
        self.folder = folder
        self._here = here
        self._variables: dict[str, str] = {}
        self.alone = False
        """Whether there is no database any more."""

    def say(self, command: str) -> tuple[int, str]:
        """Run a command; return its exit code, and what it said on both ways."""
        named = re.fullmatch(r"export ([A-Z_]+)=\$\((.*)\)", command)
        if named is not None:
            code, said = self.say(named[2])
            assert code == 0, said
            self._variables[named[1]] = said.strip()
            return 0, ""
        if command.startswith("unset "):
            self._variables.clear()
            self.alone = True
            return 0, ""
        program, *words = shlex.split(command)
        known = self._here.environment
        if self.alone:
            known = {name: one for name, one in known.items() if not FOREIGN.match(name)}
        found = subprocess.run(
            [sys.executable, "-m", PROGRAMS[program], *words],
            env=known | self._variables | {"PYTHONPATH": str(DOCS.parent)},
            cwd=self.folder,
            capture_output=True,
            text=True,
            timeout=SECONDS,
            check=False,
        )
        if program == "counterseal" and words[0] == "import":
            self._follow()
        return found.returncode, found.stdout + found.stderr

    def _follow(self) -> None:
        """What `counterseal serve` does all the while."""
        assert self._here.database is not None
        runner = Runner(self._here.database.projector)
        while runner.step():
            pass
        runner.close()


@pytest.fixture(scope="module")
def walk(run_directory: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Walk]:
    path = permits()
    folder = tmp_path_factory.mktemp("auditing")
    (folder / "permit-receipts.csv").symlink_to(path)
    (folder / "permit-receipts.toml").symlink_to(PERMITS_MAPPING)
    with installed(run_directory) as here:
        yield Walk(here, folder)


def normal(line: str) -> str:
    for pattern, word in OWN:
        line = re.sub(pattern, word, line)
    return " ".join(line.split())


def lines(text: str) -> list[str]:
    return [normal(line) for line in text.splitlines() if line.strip()]


def differs(step: Step, came: str) -> str | None:
    """What came that is not shown, or is shown and did not come; `...` is any number of lines."""
    shown, found = lines(step.shown), lines(came)
    place = 0
    skipping = False
    for line in shown:
        if line == "...":
            skipping = True
            continue
        if skipping and line in found[place:]:
            place = found.index(line, place)
        if place >= len(found) or found[place] != line:
            return f"line {step.line}: {step.command}\nshown: {line}\ncame:\n{came}"
        place, skipping = place + 1, False
    if place < len(found) and not skipping:
        return f"line {step.line}: {step.command}\nnot shown: {found[place]}"
    return None


def test_both_languages_carry_the_same_transcript_and_the_same_examples() -> None:
    english, chinese = ([(s.command, s.shown) for s in steps(one)] for one in CHAPTERS)
    assert english == chinese
    assert len(english) > 15
    first, second = ([one[:2] for one in examples(chapter)] for chapter in CHAPTERS)
    assert first == second
    assert len(first) == 8


@pytest.mark.timeout(600)
def test_every_command_of_the_chapter_answers_as_it_shows(walk: Walk) -> None:
    wrong: list[str] = []
    for step in steps(CHAPTERS[0]):
        _, came = walk.say(step.command)
        fault = differs(step, came)
        if fault is not None:
            wrong.append(fault)
    assert not wrong, "\n\n".join(wrong)


# --- the figures, by a second program that knows the file alone -----------------------------------

Steps = list[tuple[datetime, str, str]]
"""When, what, who."""

SEEN = {
    "T19": "suspended",
    "T05": "active",
    "T04": "approved, not yet in effect",
    "T02": "verifying",
}
"""What a step makes of its case; the first one here goes before the others."""

DONE = {
    "Confirmation": "grant.requested",
    "T02": "grant.checked",
    "T04": "grant.stage_approved",
    "T05": "grant.activated",
    "T19": "grant.suspended",
}


@pytest.fixture(scope="module")
def cases() -> dict[str, Steps]:
    found: dict[str, Steps] = defaultdict(list)
    with permits().open(encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file):
            at = datetime.fromisoformat(row["time:timestamp"])
            step = at, row["concept:name"].split()[0], row["org:resource"]
            found[row["case:concept:name"]].append(step)
    return found


def state(told: Steps, at: datetime) -> str | None:
    done = {step for when, step, _ in told if when <= at}
    return next((SEEN[one] for one in SEEN if one in done), "submitted") if done else None


def figures(heading: str) -> dict[str, list[int]]:
    """A table of the chapter: its rows by their first cell, down to the sum."""
    text = CHAPTERS[0].read_text(encoding="utf-8").partition(f"\n{heading} ")[2]
    found: dict[str, list[int]] = {}
    for line in text.splitlines()[1:]:
        name, *numbers = re.split(r"  +", line.strip())
        if not numbers:
            break
        found[name] = [int(one) for one in numbers]
    return found


def test_the_states_are_those_that_the_file_tells(cases: dict[str, Steps]) -> None:
    first, last = (datetime.fromisoformat(one) for one in (JULY, JANUARY))
    counted = [Counter(state(told, at) for told in cases.values()) for at in (first, last)]
    shown = figures("STATE")
    total = shown.pop("all")
    assert {name: [one[name] for one in counted] for name in shown} == shown
    assert [sum(one.values()) - one[None] for one in counted] == total
    text = CHAPTERS[0].read_text(encoding="utf-8")
    assert f"1 of {total[0]}, as known" in text
    assert f"1 of {counted[0]['suspended']}, as known" in text


def test_the_acts_are_those_that_the_file_tells(cases: dict[str, Steps]) -> None:
    first, last = (datetime.fromisoformat(one) for one in (JULY, JANUARY))
    between = {
        case: [step for at, step, _ in told if first < at <= last] for case, told in cases.items()
    }
    counted = Counter(DONE.get(one, "grant.noted") for told in between.values() for one in told)
    shown = {name: number for name, (number,) in figures("ACT").items()}
    inferred = {name: shown.pop(name) for name in ("grant.approved", "grant.verified")}
    assert shown.pop("all") == counted.total() + sum(inferred.values())
    assert shown == counted
    touched = sum(bool(told) for told in between.values())
    assert f"50 of {touched} grants" in CHAPTERS[0].read_text(encoding="utf-8")


def test_what_came_into_force_is_what_the_file_tells(cases: dict[str, Steps]) -> None:
    """In force from the effect on, until somebody decides to hold."""
    first, last = (datetime.fromisoformat(one) for one in (JULY, JANUARY))
    came, meanwhile = 0, 0
    for told in cases.values():
        begins = min((at for at, step, _ in told if step == "T05"), default=None)
        holds = min((at for at, step, _ in told if step == "T19"), default=None)
        if begins is None or not first < begins <= last or (holds is not None and holds <= begins):
            continue
        came += holds is None or holds > last
        meanwhile += holds is not None and holds <= last
    assert list(figures("CHANGE").values()) == [[came], [meanwhile]]


def test_who_checked_and_approved_is_who_the_file_names(cases: dict[str, Steps]) -> None:
    counted = 0
    for told in cases.values():
        checked, approved = (
            {who for _, one, who in told if one == step} for step in ("T02", "T04")
        )
        counted += not checked.isdisjoint(approved)
    for chapter in CHAPTERS:
        text = chapter.read_text(encoding="utf-8")
        assert f"checked and approved: {counted}\n" in text
        assert f"checked and approved                      {counted:,}\n" in text
    assert len(cases) == 1434


# --- three differences, not one -------------------------------------------------------------------


class Example(NamedTuple):
    """A row of the table: what is asked, what differs, why (in the chapter's language)."""

    asked: str
    differs: str
    because: str


def examples(chapter: Path) -> list[Example]:
    found: list[Example] = []
    for line in chapter.read_text(encoding="utf-8").splitlines():
        if line.startswith("| `--by "):
            cells = [one.strip().strip("`") for one in line.strip("|").split("|")]
            found.append(Example(*cells))
    return found


LIN, TEAHOUSE = one_id(1), one_id(2)


def on(month: int, number: int) -> datetime:
    return datetime(2026, month, number, tzinfo=UTC)


@pytest.fixture(scope="module")
def teahouse() -> Story:
    """The grant, the letter told late, the revocation to come; each recorded when it was told."""
    story = Story()
    story.told(POLICY, agreed(), recorded=on(1, 1))
    story.told(LIN, *customer(), recorded=on(1, 2))
    march, year = (on(3, 10) - START) / DAY, 365
    terms = granted(
        f"customer:{LIN}", POLICY, {"territory": ("CN/31",)},
        since=march, until=march + year, at=march,
    )  # fmt: skip
    story.told(TEAHOUSE, *terms, recorded=on(3, 10))
    story.told(TEAHOUSE, suspended((on(5, 15) - START) / DAY), recorded=on(7, 5))
    ends = revoked((on(8, 1) - START) / DAY, (on(9, 1) - START) / DAY)
    story.told(TEAHOUSE, ends, recorded=on(8, 1))
    return story


@pytest.mark.parametrize("example", examples(CHAPTERS[0]), ids=lambda one: one.asked)
def test_the_three_differences_are_as_the_chapter_tells(teahouse: Story, example: Example) -> None:
    words = shlex.split(example.asked)
    said = dict(zip(words[::2], words[1::2], strict=True))
    instants = {name: datetime.fromisoformat(one) for name, one in said.items() if name != "--by"}
    by: Any = said["--by"]
    question = asked(
        teahouse,
        by,
        instants["--from"],
        instants["--to"],
        known=instants.get("--known"),
        at=instants.get("--valid"),
    )
    found = list(differences(teahouse, question))
    told = [
        f"{one.before} → {one.after}" if isinstance(one, CaseChange) else one.change
        for one in found
    ]
    assert told == ([example.differs] if example.differs else [])


@pytest.mark.parametrize("came", ["one 1\nall 3", "one 1\nall 2\nmore 1", "one 1", ""])
def test_an_answer_that_is_not_as_shown_is_found_out(came: str) -> None:
    step = Step("counterseal-audit", "...\none 1\nall 2", 1)
    assert differs(step, "before\none 1\nall 2") is None
    assert differs(step, came) is not None
