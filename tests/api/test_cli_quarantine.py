"""`counterseal quarantine`: what stands there is listed and shown, and ends with the repair."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from projections.runner import Runner
from tests.support.commands import Installation, installed
from tests.support.owner import superuser


class Spoiled:
    """A tenant whose first staff member's appointment cannot be read."""

    def __init__(self, here: Installation) -> None:
        assert here.database is not None
        self.here = here
        self.database = here.database
        with superuser(self.database) as conn:
            row = conn.execute(
                "SELECT stream_id::text, position, data FROM events"
                " WHERE type = 'staff.appointed.1'"
            ).fetchone()
        assert row is not None
        self.stream, self.position, self._data = row
        self._write(b'{"at": 1}')
        runner = Runner(self.database.projector)
        while runner.step():
            pass
        runner.close()

    def repair(self) -> None:
        self._write(self._data)

    def _write(self, data: bytes) -> None:
        with superuser(self.database) as conn:
            conn.execute("UPDATE events SET data = %s WHERE position = %s", (data, self.position))

    def say(self, *words: str) -> Any:
        return self.here.say("quarantine", *words, "--lang", "en")


@pytest.fixture
def spoiled(run_directory: Path) -> Iterator[Spoiled]:
    with installed(run_directory) as made:
        words = ("tenant", "create", "tea", "--first-number", "S-0001", "--first-name", "张三")
        assert made.say(*words).code == 0
        assert "No stream" in made.say("quarantine", "list", "--lang", "en").err
        yield Spoiled(made)


def test_a_stream_in_quarantine_is_listed_shown_and_healed_once_it_is_repaired(
    spoiled: Spoiled,
) -> None:
    listed = spoiled.say("list")
    assert listed.code == 0
    row = listed.out.splitlines()[1]
    for word in ("tea", spoiled.stream, "staff member", "an event cannot be read", "all given"):
        assert word in row
    (found,) = spoiled.say("list", "--json").json()
    assert (found["stream_id"], found["position"]) == (spoiled.stream, spoiled.position)
    assert found["code"] == "event.undecodable"

    shown = spoiled.say("show", spoiled.stream)
    assert shown.code == 0
    assert '{"at": 1}' in shown.out
    assert "staff.appointed.1" in shown.out
    events = spoiled.say("show", spoiled.stream, "--json").json()["events"]
    assert [one["fault"] for one in events] == ["event.undecodable"]

    still = spoiled.say("heal", spoiled.stream)
    assert still.code == 1
    assert "nothing was changed" in still.out
    assert len(spoiled.say("list", "--json").json()) == 1
    assert spoiled.say("heal", "--all").code == 1

    spoiled.repair()
    healed = spoiled.say("heal", "--all", "--json")
    assert healed.code == 0
    (one,) = healed.json()
    assert (one["healed"], one["rows"]["staff"]) == (True, 1)
    assert spoiled.say("list", "--json").json() == []
    assert spoiled.here.say("doctor", "--json").json()["ok"]
    assert spoiled.say("heal", spoiled.stream).code == 0


def test_what_is_not_there_or_no_id_is_said_so(spoiled: Spoiled) -> None:
    other = "00000000-0000-7000-8000-0000000000ff"
    for words in (
        ("show", other),
        ("show", "S-0001"),
        ("heal", other),
        ("heal", "S-0001"),
        ("heal",),
        ("heal", other, "--all"),
    ):
        assert spoiled.say(*words).code == 2, words
