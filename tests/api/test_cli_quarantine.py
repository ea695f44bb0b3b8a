"""`counterseal quarantine`: what stands there is listed and shown, and ends with the repair."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from projections.runner import Runner
from replay.verifier import Verifier
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


def test_what_the_verifier_found_is_shown_by_the_list_and_the_doctor(spoiled: Spoiled) -> None:
    spoiled.repair()
    assert spoiled.say("heal", "--all").code == 0
    verifier = Verifier(spoiled.database.projector, rest=0)
    with superuser(spoiled.database) as conn:
        conn.execute("UPDATE standings SET valid_to = '2030-01-01'")
        conn.execute("UPDATE staff SET level = 'planted'")
    for _ in range(100):
        verifier.step()
    verifier.close()
    here = spoiled.here
    rows = here.say("projections", "list", "--json").json()
    assert {one["projection"]: one["differences"] for one in rows if one["differences"]} == {
        "standings": 1,
        "staff": 1,
    }
    assert {one["verified"] for one in rows} == {2}
    looked = here.say("doctor", "--json")
    assert looked.code == 1
    found = [one["code"] for one in looked.json()["looked"] if not one["ok"]]
    assert sorted(found) == ["quarantine", "rows", "rows"]
    (held,) = spoiled.say("list", "--json").json()
    assert held["code"] == "table.differs"
    assert set(held["columns"]) == {"staff.level", "standings.valid_to"}
    assert "DIFFERS" in spoiled.say("show", spoiled.stream).out
    assert spoiled.say("heal", spoiled.stream).code == 0
    assert here.say("doctor", "--json").code == 0
