"""The queries of compliance say what a second program finds in the events, page after page."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any, NamedTuple

import psycopg
import pytest

from api.provisioning import Database
from domain.ledger import Ledgers
from projections import approvers, compliance, scanning
from projections.queries import Page
from projections.runner import Runner
from tests.projections import oracle
from tests.projections.compliance_oracle import FAR, Answers
from tests.projections.compliance_story import Story
from tests.projections.conftest import FOLDS
from tests.projections.facts import START, Record, day
from tests.projections.runner.following import follow
from tests.support.ledger import make_tenant, submission

Conn = psycopg.Connection[Any]
SEEDS = (1, 2, 3)
INSTANTS = (5, 20, 33.3, 61, 100)


def whole(ask: Callable[..., Page], **more: Any) -> list[dict[str, Any]]:
    """All rows, page after page; the pages are of three rows, and of very many."""
    found: list[list[dict[str, Any]]] = []
    for limit in (1000, 3):
        rows, after = list[dict[str, Any]](), None
        while True:
            page = ask(after=after, limit=limit, **more)
            rows += page.items
            after = page.last
            if after is None:
                break
        found.append(rows)
    assert found[0] == found[1]
    return found[0]


class Told(NamedTuple):
    """A tenant with a random history, and what the second program makes of it."""

    tenant: str
    answers: Answers


@pytest.fixture(scope="module", params=SEEDS)
def told(database: Database, ledgers: Ledgers, request: pytest.FixtureRequest) -> Told:
    tenant = make_tenant(database, FOLDS)
    waiting = [
        ledgers.submit(submission(tenant, Record(facts=tuple(stream))))
        for stream in Story(request.param).streams(80)
    ]
    for one in waiting:
        one.result()
    runner = Runner(database.projector)
    try:
        follow(runner, database, tenant)
    finally:
        runner.close()
    with psycopg.connect(database.service, autocommit=True) as conn:
        return Told(tenant, Answers(oracle.read(conn, tenant)))


@pytest.fixture(autouse=True)
def small_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    """Lists look at few rows at a time, so that pages end in the middle of things."""
    monkeypatch.setattr(scanning, "CHUNK", 7)


def test_approvals_without_a_check_are_all_found(told: Told, service: Conn) -> None:
    def ask(**more: Any) -> set[tuple[str, str, int, bool]]:
        rows = whole(lambda **page: compliance.unchecked(service, told.tenant, **page), **more)
        return {
            (row["grant_id"], row["case_id"], row["approvals"], row["demanded"]) for row in rows
        }

    expected = told.answers.unchecked()
    assert len(expected) > 5
    assert ask() == expected
    for demanded in (True, False):
        assert ask(demanded=demanded) == {one for one in expected if one[3] is demanded}


@pytest.mark.parametrize("days", [0, 4, 15])
def test_cases_open_for_long_are_found_at_any_instant(told: Told, service: Conn, days: int) -> None:
    seen = 0
    for at in map(day, INSTANTS):
        rows = whole(
            lambda **page: compliance.open_longer(service, told.tenant, **page),
            days=days,
            instant=at,
        )
        found = {(row["grant_id"], row["case_id"], row["open_days"]) for row in rows}
        assert found == told.answers.open(at, days), at
        assert len(found) == len(rows)
        seen += len(rows)
    assert seen > 5


def test_what_is_in_force_beyond_its_evidence_or_identity_is_found(
    told: Told, service: Conn
) -> None:
    why: set[str] = set()
    for at in map(day, INSTANTS):
        rows = whole(
            lambda **page: compliance.beyond_evidence(service, told.tenant, **page), instant=at
        )
        found = {(row["grant_id"], row["terms"], tuple(row["beyond"])) for row in rows}
        assert found == told.answers.beyond(at), at
        why |= {one for row in rows for one in row["beyond"]}
    assert why == {"evidence", "identity"}


@pytest.mark.parametrize("days", [3, 30])
def test_what_is_about_to_end_comes_the_soonest_first(told: Told, service: Conn, days: int) -> None:
    seen = 0
    for at in map(day, INSTANTS):
        rows = whole(
            lambda **page: compliance.ending(service, told.tenant, **page), days=days, instant=at
        )
        found = [(row["ends_at"], row["grant_id"], row["terms"]) for row in rows]
        assert found == told.answers.ending(at, days), at
        seen += len(rows)
    assert seen > 1


def test_what_rests_on_versions_that_are_no_more_is_found(told: Told, service: Conn) -> None:
    seen = 0
    for at in map(day, INSTANTS):
        rows = whole(
            lambda **page: compliance.retired_policies(service, told.tenant, **page), instant=at
        )
        found = {
            (row["grant_id"], row["terms"], (row["policy_id"], row["policy_version"]))
            for row in rows
        }
        assert found == told.answers.retired(at), at
        seen += len(rows)
    assert seen > 1


@pytest.mark.parametrize("period", [(None, None), (10, 30), (None, 20), (25, None)])
def test_who_approved_how_much_is_counted_by_person(
    told: Told, service: Conn, period: tuple[float | None, float | None]
) -> None:
    since, until = (None if one is None else day(one) for one in period)
    rows = whole(
        lambda **page: approvers.approvers(service, told.tenant, **page), since=since, until=until
    )
    found = {row["person"]: (row["approvals"], row["first"], row["last"]) for row in rows}
    assert found == told.answers.approvers(since or START - timedelta(days=1), until or FAR)
    assert all(sum(row["kinds"].values()) == row["approvals"] for row in rows)
    assert all(row["imported"] == row["approvals"] for row in rows)
    assert len(found) >= 5


def test_the_ends_of_the_calendar_are_no_fault(service: Conn, tenant: str) -> None:
    for at in (
        datetime.min.replace(tzinfo=START.tzinfo),
        datetime.max.replace(tzinfo=START.tzinfo),
    ):
        assert compliance.open_longer(service, tenant, days=36_500, instant=at).items == []
        assert compliance.ending(service, tenant, days=36_500, instant=at).items == []
