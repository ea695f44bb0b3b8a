"""The sample tenant: made by the real commands alone, whole, the same each time, never twice."""

from __future__ import annotations

import re
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from api.sample import goods, hours, names, people, places, policies, story
from domain import numbers
from domain.policy_bodies import body_fault
from replay.verify import verify
from tests.support.commands import Installation, installed
from tests.support.sample_tenant import STATES, Held, held, last_instant, position, prepare

ROOT = Path(__file__).parent.parent.parent
PATIENCE_S = 120.0


@pytest.fixture(scope="module")
def here(run_directory: Path) -> Iterator[Installation]:
    """An installation with the small sample in it."""
    with installed(run_directory) as made:
        prepare(made)
        yield made


@pytest.fixture(scope="module")
def small(here: Installation) -> Held:
    """What is in it."""
    return held(here, prepare(here).made.tenant)


def test_every_state_of_a_grant_is_there_at_the_end(small: Held) -> None:
    assert set(small.grants) == set(STATES)
    assert {"confirmed", "blocked", "merged", "registered"} <= set(small.customers)
    assert {"renewal", "amendment", "revocation"} <= set(small.cases)
    assert {"check", "answer", "approve", "sign", "confirm_revocation"} <= set(small.tasks)
    assert {"confirm_suspension", "confirm_error", "decide_merge", "identify"} <= set(small.tasks)


def test_every_event_of_the_domain_but_imports_has_its_place(small: Held) -> None:
    kinds = Counter(one.type.partition(".")[0] for one in small.events)
    assert {"catalogue", "person", "staff", "customer", "policy", "grant"} <= set(kinds)
    assert len({one.type for one in small.events}) > 70


def test_nobody_had_two_hands_in_one_case(here: Installation) -> None:
    assert here.say("compliance", "duties", "--json").json()["items"] == []
    unchecked = here.say("compliance", "unchecked", "--json").json()["items"]
    assert [one for one in unchecked if one["demanded"]] == []


def test_the_log_is_whole_and_the_read_models_are_at_its_end(
    here: Installation, small: Held
) -> None:
    assert here.database is not None
    verdict = verify(here.database.auditor, small.tenant)
    assert (verdict.findings, verdict.events) == ((), len(small.events))
    rows = here.say("projections", "list", "--json").json()
    assert {one["behind"] for one in rows} == {0}


def test_the_doctor_counts_as_waiting_what_the_list_of_work_has(here: Installation) -> None:
    items = here.say("worklist", "--json").json()["items"]
    listed = Counter(one["kind"] for one in items if one["kind"] != "sign")
    (counts,) = here.say("doctor", "--json").json()["counts"]
    assert counts["tasks"] == dict(listed)
    assert {"check", "approve", "identify"} <= set(listed)


def test_it_ends_on_its_last_day_whenever_it_is_made(here: Installation, small: Held) -> None:
    assert last_instant(here) == hours.LAST == datetime(2026, 10, 31, 10, tzinfo=UTC)
    assert small.events[0].at.startswith("2024-11-01T")
    assert here.say("tick", "--json").json()[0]["written"] == 0


def test_a_second_start_loads_nothing_again(here: Installation, small: Held) -> None:
    before = position(here)
    begun = time.monotonic()
    tried = prepare(here)
    assert time.monotonic() - begun < 10
    assert tried.made.tenant == small.tenant
    (here.folder / "demo" / "tenant.json").unlink()  # as if it had been killed right before
    assert prepare(here).made == tried.made
    assert position(here) == before == len(small.events)


@pytest.mark.parametrize("share", [0.02, 0.3, 0.8])
@pytest.mark.timeout(300)
def test_killed_anywhere_the_next_start_goes_on_to_the_same_end(
    share: float, small: Held, fresh_database: Callable[[], object], tmp_path: Path
) -> None:
    other = Installation(tmp_path, fresh_database())  # pyright: ignore[reportArgumentType]
    process = subprocess.Popen(
        [sys.executable, "-m", "api.cli", "demo", "--small", "--port", "0"],
        env=other.environment,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    deadline = time.monotonic() + PATIENCE_S
    try:
        while position(other) < share * len(small.events):
            assert process.poll() is None
            assert time.monotonic() < deadline
            time.sleep(0.01)
    finally:
        process.kill()
    assert process.wait(PATIENCE_S) == -signal.SIGKILL
    cut = position(other)
    assert cut < len(small.events)
    after = held(other, prepare(other).made.tenant)
    assert after.events == small.events
    assert (after.grants, after.customers, after.tasks) == (
        small.grants,
        small.customers,
        small.tasks,
    )


def test_the_documents_grants_are_where_they_say(here: Installation) -> None:
    made = prepare(here).made
    assert list(made.grants) == [one.name for one in story.GRANTS]
    for number in made.grants.values():
        assert numbers.parse(number) == number
    said = here.say("grant", "show", made.grants["suspended"], "--json").json()
    assert (said["state"]["number"], said["state"]["status"]) == (
        made.grants["suspended"],
        "suspended",
    )


def test_places_are_those_of_the_standard() -> None:
    found = {one.path: one.names for one in places.places()}
    assert len(places.provinces()) == 34
    assert len(found) == len(places.places()) > 400
    assert (found["CN/31/0115"].zh, found["CN/31/0115"].en) == ("浦东新区", "Pudong")
    assert found["CN/33/01"].en == "Hangzhou"
    assert all(re.fullmatch(r"CN(/\d\d(/\d\d(\d\d)?)?)?", path) for path in found)
    assert all(one.zh and one.en for one in found.values())


def test_what_is_sold_has_what_lies_above_it() -> None:
    for dimension in ("product", "channel", "mark", "team"):
        paths = list(goods.points(dimension))
        for place, path in enumerate(paths):
            above = path.rpartition("/")[0]
            assert not above or above in paths[:place], path


def test_every_policy_is_complete_and_thirty_people_have_every_role() -> None:
    for versions in policies.VERSIONS.values():
        assert [body_fault(one.body) for one in versions] == [None] * len(versions)
    assert len(people.STAFF) == 30
    assert len({role for one in people.STAFF for role in one.roles}) == 8


def test_codes_of_organizations_are_well_formed_and_of_no_real_region() -> None:
    from stdnum.cn import uscc

    codes = {names.uscc(f"D-{number:04d}") for number in range(1, 330)}
    assert len(codes) == 329
    assert {code[2:8] for code in codes} == {"910000"}
    assert all(uscc.calc_check_digit(code[:-1]) == code[-1] for code in codes)


def test_no_event_is_constructed_but_in_the_domain_and_by_import() -> None:
    """Shown by the names: whoever constructs an event has to name its class."""
    from domain.events import EVENTS

    classes = {one.__name__ for one in EVENTS.values()}
    assert len(classes) > 90
    made = re.compile(rf"\b(?:{'|'.join(sorted(classes))})\(")
    found = [
        f"{path.relative_to(ROOT)}:{number}"
        for floor in ("api", "projections", "replay")
        for path in sorted((ROOT / floor).rglob("*.py"))
        if "importing" not in path.parts
        for number, text in enumerate(path.read_text(encoding="utf-8").splitlines(), 1)
        if made.search(text) and not text.lstrip().startswith(("case ", "class "))
    ]
    assert found == []


@pytest.mark.drill
@pytest.mark.timeout(1200)
def test_the_full_sample_is_there_in_two_minutes(
    rounds: Callable[[int, int], int],
    fresh_database: Callable[[], object],
    tmp_path: Path,
) -> None:
    if not rounds(0, 1):
        pytest.skip("only with --full")
    other = Installation(tmp_path, fresh_database())  # pyright: ignore[reportArgumentType]
    begun = time.monotonic()
    tried = prepare(other, small=False)
    seconds = time.monotonic() - begun
    found = held(other, tried.made.tenant)
    print(f"\nthe full sample: {len(found.events)} events in {seconds:.1f} s; {found.grants}")
    assert len(found.events) >= 30_000
    assert {state: found.grants[state] for state in STATES if found.grants[state] < 20} == {}
    for kind in ("renewal", "amendment", "revocation"):
        assert found.cases[kind] >= 20
    for kind in ("confirm_suspension", "confirm_revocation"):
        assert found.tasks[kind] >= 20
    assert found.customers["blocked"] >= 20
    assert found.customers["merged"] >= 20
    assert sum(found.customers.values()) > 320
    assert other.database is not None
    assert verify(other.database.auditor, tried.made.tenant).findings == ()
    assert other.say("compliance", "duties", "--json").json()["items"] == []
    assert other.say("tick", "--json").json()[0]["written"] == 0
    assert seconds < 120
