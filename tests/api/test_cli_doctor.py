"""`doctor`: each thing that can be wrong is made wrong, and named."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest

from api import cli_doctor
from tests.support.commands import Installation, installed
from tests.support.owner import superuser


@pytest.fixture
def here(run_directory: Path) -> Iterator[Installation]:
    """A tenant with two events; a database of the test's own, for it is spoiled."""
    with installed(run_directory) as made:
        words = ("tenant", "create", "tea", "--first-number", "S-0001", "--first-name", "张三")
        assert made.say(*words).code == 0
        yield made


def findings(here: Installation, *words: str, **more: str) -> list[dict[str, Any]]:
    """What a doctor finds; the exit code goes with it."""
    said = here.say("doctor", *words, "--json", "--lang", "en", **more)
    document = said.json()
    found = [one for one in document["looked"] if not one["ok"]]
    assert said.code == (1 if found else 0)
    assert document["ok"] == (not found)
    return found


def spoil(here: Installation, statement: str) -> None:
    """Do what nobody may, as the superuser, past the triggers."""
    assert here.database is not None
    with superuser(here.database) as conn:
        conn.execute("SET session_replication_role = replica")
        conn.execute(statement)  # type: ignore[arg-type]


def test_a_whole_installation_has_no_finding_and_says_what_was_looked_at(
    here: Installation,
) -> None:
    assert findings(here, "--log") == []
    said = here.say("doctor", "--log", "--lang", "zh")
    assert said.code == 0
    assert "一切正常。" in said.out
    assert "tea：至位置 2 完整（2 个事件，2 批）" in said.out


@pytest.mark.parametrize(
    ("statement", "code", "position"),
    [
        ("UPDATE events SET data = set_byte(data, 12, get_byte(data, 12) # 1) WHERE position = 2",
         "log.hash", 2),
        ("DELETE FROM events WHERE position = 1", "log.position_missing", 1),
        ("UPDATE events SET recorded_at = recorded_at + interval '1 hour' WHERE position = 2",
         "log.time", 2),
        ("UPDATE ledgers SET position = 9", "log.head", 9),
    ],
)  # fmt: skip
def test_a_change_behind_the_ledgers_back_is_named_with_its_place(
    here: Installation, statement: str, code: str, position: int
) -> None:
    spoil(here, statement)
    found = findings(here, "--log")
    assert (code, position) in {(one["code"], one["position"]) for one in found}
    lines = here.say("doctor", "--log", "--lang", "en").out.splitlines()
    assert len([line for line in lines if line.startswith("FINDING")]) == len(found)
    assert any(f"tea, position {position}" in line for line in lines)


def test_a_role_that_could_change_history_is_named(here: Installation) -> None:
    assert here.database is not None
    found = findings(here, "--log", DATABASE_URL=here.database.migrator)
    assert [one["code"] for one in found] == ["database.role_owner", "log"]
    found = findings(here, "--log", DATABASE_URL=here.database.projector)
    assert [one["code"] for one in found] == ["database.role_writes", "log"]
    found = findings(here, DATABASE_URL=here.database.projector)
    assert [one["code"] for one in found] == ["database.role_writes"]


def test_a_lost_key_file_is_named_before_a_second_set_of_keys_is_begun(here: Installation) -> None:
    file = here.folder / "keys" / "epochs.json"
    file.rename(file.with_name("elsewhere.json"))
    assert [one["code"] for one in findings(here)] == ["keys.epoch_unreadable"]
    file.with_name("elsewhere.json").rename(file)
    assert findings(here) == []


def test_a_read_model_that_nobody_follows_is_named(
    here: Installation, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert findings(here) == []  # not for long yet
    monkeypatch.setattr(cli_doctor, "LAG_SECONDS", 0.0)
    found = findings(here)
    assert {one["code"] for one in found} == {"lag"}
    assert "tea/grants is 2 events behind" in " ".join(one["text"] for one in found)


def test_a_read_model_of_a_given_clock_is_named_when_it_does_not_move(here: Installation) -> None:
    here.say("tenant", "create", "old", "--given-clock", "--first-number", "S-0001",
             "--first-name", "李四", "--at", "2012-01-01T00:00:00Z")  # fmt: skip
    found = findings(here, "--tenant", "old")
    assert {one["code"] for one in found} == {"lag"}
    assert "does not move" in found[0]["text"]


def test_a_stream_in_quarantine_is_named(here: Installation) -> None:
    spoil(
        here,
        "INSERT INTO quarantined (tenant_id, stream_id, position, projection, code)"
        " SELECT tenant_id, stream_id, 1, 'staff', 'event.impossible' FROM events LIMIT 1",
    )
    found = findings(here)
    assert [(one["code"], one["position"]) for one in found] == [("quarantine", 1)]


def test_a_clock_that_is_off_is_named(here: Installation, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cli_doctor, "SKEW_SECONDS", -1.0)
    assert [one["code"] for one in findings(here)] == ["clock"]


def test_a_database_whose_migrations_are_missing_or_changed_is_named(here: Installation) -> None:
    spoil(here, "UPDATE schema_migrations SET checksum = sha256('x') WHERE number = 1")
    found = findings(here)
    assert [one["code"] for one in found] == ["migrations"]
    assert "another content" in found[0]["text"]
    spoil(here, "DELETE FROM schema_migrations")
    assert "not applied: 0001_ledger.sql" in findings(here)[0]["text"]


def test_a_doctor_changes_nothing(here: Installation) -> None:
    assert here.database is not None

    def counted() -> list[tuple[Any, ...]]:
        with psycopg.connect(here.database.auditor if here.database else "") as conn:
            return conn.execute("SELECT position, recorded_at FROM ledgers").fetchall()

    before = counted()
    here.say("doctor", "--log")
    assert counted() == before
