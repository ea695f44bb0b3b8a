"""The walk-through on the sample tenant, walked; its totals counted by the stored events."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from tests.api.test_walkthrough import CHAPTERS, LOCALES, Tour, last_number, parts
from tests.support import events_oracle
from tests.support.commands import Installation
from tests.support.events_oracle import Event
from tests.support.sample_tenant import last_instant, sampled
from tests.support.transcript import Differs, Step

GRANT = re.compile(r"CS-\d{8}-[0-9A-Z]{6}-[0-9A-Z]")


@pytest.fixture(scope="module")
def firm(run_directory: Path) -> Iterator[Installation]:
    """The small sample tenant, served."""
    with sampled(run_directory) as here, here.served("demo", "--small", "--port", "0"):
        yield here


@pytest.fixture(scope="module")
def events(firm: Installation) -> list[Event]:
    """Its log as it is stored, in order."""
    assert firm.database is not None
    with psycopg.connect(firm.database.auditor) as conn:
        row = conn.execute("SELECT tenant_id FROM tenants WHERE name = 'demo'").fetchone()
        assert row is not None
        conn.execute("SELECT set_config('counterseal.tenant', %s, true)", (str(row[0]),))
        rows = conn.execute(
            "SELECT stream_id::text, type, data FROM events ORDER BY position"
        ).fetchall()
    return [
        Event(stream, name.rpartition(".")[0], json.loads(bytes(data)))
        for stream, name, data in rows
    ]


@pytest.mark.timeout(300)
@pytest.mark.parametrize("language", CHAPTERS)
def test_every_command_on_the_sample_tenant_answers_as_it_shows(
    language: str, firm: Installation
) -> None:
    """Its numbers too: they are the same each time."""
    shell = Tour({}, firm.environment | {"LANG": LOCALES[language]})
    wrong: list[str] = []
    for step in parts(language).sample:
        try:
            came = shell.run(step)
        except Differs as fault:
            wrong.append(str(fault))
        else:
            assert set(GRANT.findall(step.shown)) <= set(GRANT.findall(came))
    assert not wrong, "\n\n".join(wrong)


def asked(language: str, words: str) -> Step:
    """Return the step of the second part whose command is this, but for the tenant."""
    wanted = f"counterseal compliance {words} --tenant demo"
    (found,) = [one for one in parts(language).sample if one.command == wanted]
    return found


def rows(step: Step) -> list[list[str]]:
    """Return the words of the rows that are shown, without heading and total."""
    return [one.split() for one in step.shown.splitlines()[1:-1] if one != "..."]


@pytest.mark.parametrize("language", CHAPTERS)
def test_nobody_had_two_hands_by_the_stored_events(language: str, events: list[Event]) -> None:
    cases, broken = events_oracle.two_hands(events)
    told = [last_number(one) for one in asked(language, "duties").shown.splitlines()]
    assert told == [broken] * 4
    assert cases > 100
    assert broken == 0


@pytest.mark.parametrize("language", CHAPTERS)
def test_approvals_without_a_check_are_those_of_the_stored_events(
    language: str, events: list[Event]
) -> None:
    step, found = asked(language, "unchecked"), events_oracle.unchecked(events)
    assert last_number(step.shown) == len(found)
    assert {row[0] for row in rows(step)} <= found
    kinds = [
        one.data["terms"]["kind"]
        for one in events_oracle.of_type(events, "grant.requested")
        if one.data["number"] in found
    ]
    text = CHAPTERS[language].read_text(encoding="utf-8")
    shares, staff = kinds.count("share"), kinds.count("staff")
    assert shares + staff == len(found)
    said = {"en": f"{shares} shares of", "zh": f"{shares} 件是与同事或团队共享客户，"}
    also = {"en": f"\n{staff} rights of staff", "zh": f"，{staff} 件是员工权限"}
    assert said[language] in text
    assert also[language] in text


@pytest.mark.parametrize("language", CHAPTERS)
def test_cases_open_for_long_are_those_of_the_stored_events(
    language: str, events: list[Event], firm: Installation
) -> None:
    found = events_oracle.open_for(events, 20, last_instant(firm))
    step = asked(language, "open --days 20")
    assert {row[0]: int(row[4]) for row in rows(step)} == found
    assert last_number(step.shown) == len(found)


@pytest.mark.parametrize("language", CHAPTERS)
def test_who_approved_how_much_is_as_the_stored_events_say(
    language: str, events: list[Event]
) -> None:
    step = asked(language, "approvers")
    assert {row[0]: int(row[1]) for row in rows(step)} == events_oracle.approvals(events)
