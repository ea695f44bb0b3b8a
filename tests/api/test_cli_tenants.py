"""Tenants, first administrators and API keys from the command line."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from tests.support.commands import Installation, installed

UUID = r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}"
KEY = re.compile(r"ak_[\w-]{43}\.[\w-]{43}")


@pytest.fixture(scope="module")
def here(run_directory: Path) -> Iterator[Installation]:
    with installed(run_directory) as made:
        yield made


@pytest.fixture(scope="module")
def tea(here: Installation) -> str:
    """A tenant with its first administrator, S-0001."""
    made = here.say(
        *("tenant", "create", "tea", "--first-number", "S-0001", "--first-name", "张三", "--json")
    )
    assert made.code == 0, made.err
    return made.json()["tenant"]


def test_a_tenant_is_made_once_and_listed(here: Installation, tea: str) -> None:
    again = here.say("tenant", "create", "tea")
    assert again.code == 2
    assert "tenant.taken" in again.err
    listed = here.say("tenant", "list", "--json").json()
    found = [one for one in listed if one["name"] == "tea"]
    assert [one["id"] for one in found] == [tea]
    assert found[0]["clock"] == "system"
    assert re.search(
        rf"^{tea}  tea +系统 ", here.say("tenant", "list", "--lang", "zh").out, re.MULTILINE
    )


@pytest.mark.parametrize("name", ["", "  ", "a\nb", "x" * 201])
def test_a_name_that_is_no_name_is_refused(here: Installation, name: str) -> None:
    refused = here.say("tenant", "create", name)
    assert refused.code == 2
    assert "tenant.name" in refused.err


def test_a_tenant_with_a_given_clock_says_so_everywhere(here: Installation, tea: str) -> None:
    made = here.say("tenant", "create", "old", "--given-clock", "--lang", "en")
    assert re.search(r"^CLOCK +given$", made.out, re.MULTILINE)
    assert "appoint-first" in made.err
    at = "2012-03-01T09:00:00+08:00"
    words = ("--tenant", "old", "--number", "S-0001", "--name", "李四")
    assert here.say("staff", "appoint-first", *words, "--at", at).code == 0
    listed = {one["name"]: one for one in here.say("tenant", "list", "--json").json()}
    assert listed["old"]["clock"] == "given"
    assert listed["old"]["recorded_at"].startswith("2012-03-01T01:00:00")
    other = ("--tenant", tea, *words[2:4], "--name", "x", "--at", at)
    refused = here.say("staff", "appoint-first", *other)
    assert refused.code != 0
    assert "clock.not_given" in refused.err


def test_the_first_administrator_said_again_changes_nothing(here: Installation, tea: str) -> None:
    words = ("staff", "appoint-first", "--tenant", "tea", "--number", "S-0001", "--name", "张三")
    first, again = here.say(*words, "--json"), here.say(*words, "--json")
    assert first.json() == again.json()
    assert first.json()["tenant"] == tea
    assert "nothing has changed" in here.say(*words, "--lang", "en").err


def test_the_name_of_a_person_is_nowhere_in_the_clear(here: Installation, tea: str) -> None:
    assert here.database is not None
    with psycopg.connect(here.database.service) as conn:
        conn.execute("SELECT set_config('counterseal.tenant', %s, false)", (tea,))
        rows = conn.execute("SELECT data FROM events WHERE tenant_id = %s", (tea,)).fetchall()
    assert rows
    assert all("张三".encode() not in bytes(row[0]) for row in rows)


def test_a_command_that_needs_a_tenant_names_those_there_are(here: Installation, tea: str) -> None:
    here.say("tenant", "create", "another")
    refused = here.say("key", "list", "--lang", "en")
    assert refused.code == 2
    assert "tenant.which" in refused.err
    assert "another" in refused.err
    unknown = here.say("key", "list", "--tenant", "nobody", "--lang", "en")
    assert unknown.code == 2
    assert "There is no tenant nobody" in unknown.err


def test_a_key_is_shown_once_listed_without_its_secret_and_ended(
    here: Installation, tea: str
) -> None:
    made = here.say("key", "create", "--tenant", tea, "--party", "staff:S-0001",
                    "--scope", "admin,staff", "--ends-at", "2099-01-01T00:00:00Z")  # fmt: skip
    assert made.code == 0
    key = made.out.strip()
    assert KEY.fullmatch(key)
    assert "once" in made.err
    listed = here.say("key", "list", "--tenant", "tea", "--json").json()
    assert [one["scopes"] for one in listed] == [["admin", "staff"]]
    assert listed[0]["party"].startswith("staff:")
    assert listed[0]["ends"] == "2099-01-01T00:00:00Z"
    secret = key.partition(".")[2]
    assert secret not in here.say("key", "list", "--tenant", "tea").out
    ended = here.say("key", "end", "--tenant", "tea", listed[0]["key_id"])
    assert ended.code == 0
    again = here.say("key", "end", key)  # a key names its tenant
    assert (again.code, "There is no key" in again.out) == (1, True)
    assert here.say("key", "list", "--tenant", "tea", "--json").json()[0]["withdrawn"] is not None


def test_a_key_is_given_a_new_secret_and_stays_the_key_it_is(here: Installation, tea: str) -> None:
    words = ("--tenant", tea, "--party", "service:shop", "--scope", "evaluate", "--json")
    made = here.say("key", "create", *words).json()
    rotated = here.say("key", "rotate", "--tenant", tea, made["key_id"])
    assert rotated.code == 0, rotated.err
    new = rotated.out.strip()
    assert KEY.fullmatch(new)
    assert new.partition(".")[0] == made["key"].partition(".")[0]
    assert new != made["key"]
    assert "good until" in rotated.err
    document = here.say("key", "rotate", new, "--overlap", "0", "--json").json()
    assert (document["key_id"], document["party"]) == (made["key_id"], "service:shop")
    refused = here.say("key", "rotate", "--tenant", tea, "01900000-0000-7000-8000-00000000dead")
    assert (refused.code, refused.out) == (1, "")
    assert "key.not_good" in refused.err
    assert here.say("key", "end", new).code == 0


@pytest.mark.parametrize(
    ("words", "code", "sentence"),
    [
        (("--party", "service:shop", "--scope", "everything"), 2, "key.scope"),
        (("--party", "shop", "--scope", "evaluate"), 2, "party.malformed"),
        (("--party", "staff:S-9999", "--scope", "evaluate"), 2, "party.unknown"),
        (("--party", f"staff:{'0' * 8}-0000-7000-8000-{'0' * 12}", "--scope", "admin"), 2,
         "party.unknown"),
        (("--party", "service:shop", "--scope", "evaluate", "--ends-at", "tomorrow"), 2,
         "instant.malformed"),
        (("--party", "service:operator", "--scope", "admin"), 1, "key.party_reserved"),
        (("--party", "service:timekeeper", "--scope", "admin"), 1, "key.party_reserved"),
    ],
)  # fmt: skip
def test_a_key_nobody_can_have_is_refused(
    here: Installation, tea: str, words: tuple[str, ...], code: int, sentence: str
) -> None:
    refused = here.say("key", "create", "--tenant", "tea", *words)
    assert (refused.code, refused.out) == (code, "")
    assert sentence in refused.err
