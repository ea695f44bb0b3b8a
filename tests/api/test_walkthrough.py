"""The walk-through of the compliance queries on the permit log, walked; its totals counted anew."""

from __future__ import annotations

import csv
import re
from collections import Counter, defaultdict
from collections.abc import Iterator
from contextlib import ExitStack
from datetime import datetime, timedelta
from itertools import combinations
from pathlib import Path
from typing import NamedTuple

import pytest

from tests.replay.test_auditing_chapter import differs
from tests.support import transcript
from tests.support.commands import Installation, installed
from tests.support.importing import PERMITS_MAPPING, permits
from tests.support.sample_tenant import until_up_to_date
from tests.support.transcript import Differs, Shell, Step, steps

DOCS = Path(__file__).parent.parent.parent / "docs"
CHAPTERS = {"en": DOCS / "walkthrough.md", "zh": DOCS / "walkthrough.zh-CN.md"}
LOCALES = {"en": "en_GB.UTF-8", "zh": "zh_CN.UTF-8"}


class Parts(NamedTuple):
    """The steps of a chapter: those on the permit log, and those on the sample tenant."""

    permits: list[Step]
    sample: list[Step]


def parts(language: str) -> Parts:
    """Split a chapter at its second part."""
    text = CHAPTERS[language].read_text(encoding="utf-8").splitlines()
    _, second = [number for number, line in enumerate(text, 1) if line.startswith("## ")]
    found = list(steps(CHAPTERS[language]))
    return Parts(
        [one for one in found if one.line < second], [one for one in found if one.line > second]
    )


class Tour(Shell):
    """Compares lines as they are, instants too; `...` is any number of lines."""

    def compare(self, shown: str, came: str) -> None:
        """Compare an answer with what is shown of it. Raises `Differs`."""
        if shown.startswith("{"):
            super().compare(shown, came)
        elif fault := differs(Step("", shown, 0), came):
            raise Differs(fault)


def wrong_of(shell: Tour, step: Step) -> list[str]:
    """Run a step; return what is wrong with what is shown, nothing where it is right."""
    try:
        shell.run(step)
    except Differs as fault:
        return [str(fault)]
    return []


def test_both_languages_ask_the_same_under_as_many_headings() -> None:
    english, chinese = ([one.command for one in steps(chapter)] for chapter in CHAPTERS.values())
    assert english == chinese
    first, second = (
        re.findall(r"^#+ ", chapter.read_text(encoding="utf-8"), re.MULTILINE)
        for chapter in CHAPTERS.values()
    )
    assert first == second


def test_both_parts_ask_every_query_of_compliance() -> None:
    asked = {"duties", "unchecked", "open", "beyond-evidence", "ending", "retired-policies"}
    asked |= {"approvers"}
    for part in parts("en"):
        words = [one.command.split() for one in part if " compliance " in one.command]
        assert {one[2] for one in words} == asked


# --- the permit log -------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def office(
    run_directory: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[Installation, Path]]:
    """An installation, and a folder with the log in it."""
    log = permits()
    folder = tmp_path_factory.mktemp("walkthrough")
    (folder / "permit-receipts.csv").symlink_to(log)
    (folder / "permit-receipts.toml").symlink_to(PERMITS_MAPPING)
    with installed(run_directory) as here:
        yield here, folder


@pytest.mark.timeout(400)
@pytest.mark.parametrize("language", CHAPTERS)
def test_every_command_on_the_permit_log_answers_as_it_shows(
    language: str, office: tuple[Installation, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The second language imports again, which writes nothing and tells the same."""
    here, folder = office
    monkeypatch.chdir(folder)
    monkeypatch.setattr(transcript, "SECONDS", 120)
    given: dict[str, str] = {"API": ""}
    shell = Tour(given, here.environment | {"LANG": LOCALES[language]})
    wrong: list[str] = []
    with ExitStack() as stack:
        for step in parts(language).permits:
            wrong += wrong_of(shell, step)
            if step.command.startswith("counterseal import"):
                given["API"] = stack.enter_context(here.served("serve", "--port", "0")).url
                until_up_to_date(here)
    assert not wrong, "\n\n".join(wrong)


Steps = list[tuple[datetime, str, str]]
"""When, which step, who."""

REQUEST, CHECK, APPROVAL, EFFECT = "Confirmation", "T02", "T04", "T05"


@pytest.fixture(scope="module")
def cases() -> dict[str, Steps]:
    """The log as the csv module reads it."""
    found: dict[str, Steps] = defaultdict(list)
    with permits().open(encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file):
            at = datetime.fromisoformat(row["time:timestamp"])
            step = row["concept:name"].split()[0]
            found[row["case:concept:name"]].append((at, step, row["org:resource"]))
    return found


def who(told: Steps, wanted: str) -> set[str]:
    """Return who did a step in a case."""
    return {person for _, step, person in told if step == wanted}


def shown(part: list[Step], *words: str) -> str:
    """Return what the chapter shows below the one command with these words."""
    (found,) = [one.shown for one in part if set(words) <= set(one.command.split())]
    return found


def last_number(text: str) -> int:
    """Return the number in the last line."""
    return int(re.findall(r"\d+", text.splitlines()[-1])[0])


@pytest.mark.parametrize("language", CHAPTERS)
def test_cases_with_two_hands_are_those_of_the_file(language: str, cases: dict[str, Steps]) -> None:
    pairs = list(combinations((REQUEST, CHECK, APPROVAL), 2))
    met = [
        {pair for pair in pairs if who(told, pair[0]) & who(told, pair[1])}
        for told in cases.values()
    ]
    counted = [sum(map(bool, met)), *(sum(pair in one for one in met) for pair in pairs)]
    lines = shown(parts(language).permits, "duties").splitlines()[-4:]
    assert [int(re.findall(r"\d+", line)[0]) for line in lines] == counted
    assert all(f"{number:,}" in text_of(language) for number in counted)


def text_of(language: str) -> str:
    """Return a chapter."""
    return CHAPTERS[language].read_text(encoding="utf-8")


@pytest.mark.parametrize("language", CHAPTERS)
def test_approvals_without_a_check_are_those_of_the_file(
    language: str, cases: dict[str, Steps]
) -> None:
    approved = [told for told in cases.values() if who(told, APPROVAL)]
    unchecked = [told for told in approved if not who(told, CHECK)]
    assert last_number(shown(parts(language).permits, "unchecked")) == len(unchecked)
    assert f"{len(approved):,}" in text_of(language)
    effective = [case for case, told in cases.items() if who(told, EFFECT)]
    (bare,) = [case for case in effective if not who(cases[case], APPROVAL)]
    assert who(cases[bare], CHECK)
    assert f"`{bare}`" in text_of(language)


@pytest.mark.parametrize("language", CHAPTERS)
def test_cases_open_for_long_are_those_of_the_file(language: str, cases: dict[str, Steps]) -> None:
    asked = [one for one in parts(language).permits if " compliance open " in one.command]
    assert len(asked) == 2
    for step in asked:
        words = step.command.split()
        instant = datetime.fromisoformat(words[words.index("--instant") + 1])
        days = timedelta(days=int(words[words.index("--days") + 1]))
        waits: list[int] = []
        for told in cases.values():
            begun = min(at for at, one, _ in told if one == REQUEST)
            done = min((at for at, one, _ in told if one == EFFECT), default=None)
            if begun <= instant - days and (done is None or done > instant):
                waits.append((instant - begun).days)
        assert last_number(step.shown) == len(waits)
        longest = step.shown.splitlines()[1].split()[-1]
        assert int(longest) == max(waits)


@pytest.mark.parametrize("language", CHAPTERS)
def test_who_approved_how_much_is_as_the_file_says(language: str, cases: dict[str, Steps]) -> None:
    asked = [one for one in parts(language).permits if " compliance approvers " in one.command]
    assert len(asked) == 2
    for step in asked:
        words = step.command.split()
        since, until = (
            datetime.fromisoformat(words[words.index(name) + 1]) if name in words else None
            for name in ("--since", "--until")
        )
        acts, held = Counter[str](), Counter[str]()
        for told in cases.values():
            mine = [
                person
                for at, one, person in told
                if one == APPROVAL
                and (since is None or since <= at)
                and (until is None or at < until)
            ]
            acts.update(mine)
            held.update(set(mine))
        rows = [one.split() for one in step.shown.splitlines()[1:-1] if one != "..."]
        assert len(rows) >= 3
        for name, approvals, in_cases, *_ in rows:
            assert (int(approvals), int(in_cases)) == (acts[name], held[name])
        most = [int(row[1]) for row in rows[:3]]
        assert most == [number for _, number in acts.most_common(3)]
        assert last_number(step.shown) == len(acts)
        if since is None:
            assert f"{acts.total():,}" in text_of(language)
            assert f" {sum(most[:2])}" in text_of(language)


@pytest.mark.parametrize("language", CHAPTERS)
def test_permits_in_force_under_the_retired_policy_are_those_of_the_file(
    language: str, cases: dict[str, Steps]
) -> None:
    sent = [told for told in cases.values() if who(told, EFFECT)]
    standing = [told for told in sent if not who(told, "T19")]
    told = [one for one in parts(language).permits if " retired-policies " in one.command]
    assert [last_number(one.shown) for one in told] == [0, len(standing)]
