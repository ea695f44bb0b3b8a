"""The permit log comes in whole: 1,434 cases, 8,577 steps, what people really did."""

from __future__ import annotations

import asyncio
import csv
import time
from collections import Counter, defaultdict
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
import psycopg
import pytest

from api.importing.report import Report, lines
from api.provisioning import Database
from domain.commands.imports import IMPORTER
from domain.events import Event
from domain.events.customer import CustomerRegistered
from domain.events.grant import (
    GrantActivated,
    GrantApproved,
    GrantChecked,
    GrantNoted,
    GrantRequested,
    GrantStageApproved,
    GrantSuspended,
    GrantVerified,
)
from domain.events.staff import StaffAppointed
from domain.grant_states import Grant
from domain.grants import evolve
from projections import approvers, compliance, duty_breaches, queries
from projections.check_reader import CheckReader
from projections.checks import Question
from projections.memory import Memory
from projections.runner import Runner
from replay.verify import verify
from tests.support.duties_oracle import PAIRS, STEPS, broken_duties, rows_of_hands, totals
from tests.support.importing import Bench, Fact, permits, permits_mapping
from tests.support.ledger import clock

TYPED: dict[str, type[Event]] = {
    "Confirmation of receipt": GrantRequested,
    "T02 Check confirmation of receipt": GrantChecked,
    "T04 Determine confirmation of receipt": GrantStageApproved,
    "T05 Print and send confirmation of receipt": GrantActivated,
    "T19 Determine report Y to stop indication": GrantSuspended,
}


class Permits(NamedTuple):
    """The imported log, and the file it came from as the csv module reads it."""

    bench: Bench
    report: Report
    facts: list[Fact]
    rows: list[dict[str, str]]
    grants: dict[str, list[Fact]]
    """Case -> the events of its grant."""
    states: dict[str, Grant]


def follow(database: Database) -> None:
    """Let the read models catch up."""
    runner = Runner(database.projector)
    while runner.step():
        pass
    runner.close()


@pytest.fixture(scope="module")
def log(import_place: tuple[Database, Path]) -> Iterator[Permits]:
    """The permit log, imported once for all tests of this file."""
    path = permits()
    bench = Bench(*import_place)
    report = bench.run(path, permits_mapping())
    follow(bench.database)
    facts = list(bench.facts())
    with path.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    numbers = {
        f"customer:{fact.stream_id}": fact.event.number
        for fact in facts
        if isinstance(fact.event, CustomerRegistered)
    }
    case_of = {
        fact.stream_id: numbers[fact.event.grantee]
        for fact in facts
        if isinstance(fact.event, GrantRequested)
    }
    grants: dict[str, list[Fact]] = defaultdict(list)
    states: dict[str, Grant] = {}
    for fact in facts:
        if (case := case_of.get(fact.stream_id)) is not None:
            grants[case].append(fact)
            states[case] = evolve(states.get(case), fact.event)  # pyright: ignore[reportArgumentType]
    yield Permits(bench, report, facts, rows, grants, states)
    bench.close()


def test_every_case_and_every_step_comes_in(log: Permits) -> None:
    steps = Counter(row["concept:name"] for row in log.rows)
    assert (log.report.cases.total, log.report.cases.written) == (1434, 1434)
    assert (log.report.rows.total, log.report.rows.written) == (8577, 8577)
    assert log.report.typed == {one.name: steps[step] for step, one in sorted(TYPED.items(),
        key=lambda pair: pair[1].name)}  # fmt: skip
    assert log.report.notes == 8577 - sum(steps[step] for step in TYPED)
    assert log.report.refused == 0


def test_each_step_is_exactly_one_event_that_says_what_its_row_says(log: Permits) -> None:
    number_of = {
        f"staff:{fact.stream_id}": (fact.event.number, fact.event.person)
        for fact in log.facts
        if isinstance(fact.event, StaffAppointed)
    }
    met: set[int] = set()
    for case, facts in log.grants.items():
        for _, _, event in facts:
            assert event.imported is not None
            if event.imported.inferred:
                continue
            row = log.rows[event.imported.row - 1]
            met.add(event.imported.row)
            assert row["case:concept:name"] == case
            assert type(event) is TYPED.get(row["concept:name"], GrantNoted)
            assert event.at == datetime.fromisoformat(row["time:timestamp"])
            assert number_of[event.by.ref] == (row["org:resource"], event.by.person)
            if isinstance(event, GrantNoted):
                assert event.label == row["concept:name"]
                assert event.text is None
    assert met == set(range(1, 8578))


def test_its_people_become_staff_each_a_person_of_their_own(log: Permits) -> None:
    staff = [fact.event for fact in log.facts if isinstance(fact.event, StaffAppointed)]
    assert {one.number for one in staff} == {row["org:resource"] for row in log.rows}
    assert len(staff) == len({one.person for one in staff}) == 48
    assert {"TEST", "test"} <= {one.number for one in staff}
    approvers = {row["org:resource"] for row in log.rows if row["concept:name"].startswith("T04")}
    assert {one.number for one in staff if "approver" in one.roles} == approvers


def test_what_is_inferred_follows_from_what_people_did_and_is_nobodys_hand(log: Permits) -> None:
    inferred: Counter[str] = Counter()
    for facts in log.grants.values():
        for place, fact in enumerate(facts):
            event = fact.event
            assert event.imported is not None
            if not event.imported.inferred:
                assert event.by.person is not None
                continue
            inferred[event.name] += 1
            assert event.by == IMPORTER
            earlier = [type(one.event) for one in facts[:place]]
            match event:
                case GrantVerified():  # as late as can be: the next step needs it
                    following = facts[place + 1].event
                    assert GrantChecked in earlier
                    assert isinstance(following, GrantStageApproved | GrantActivated)
                    assert following.at == event.at
                case GrantApproved():
                    assert earlier[-1] is GrantStageApproved
                case _:
                    pytest.fail(f"{event.name} was inferred")
    assert dict(inferred) == log.report.inferred


def test_a_case_whose_order_the_tables_do_not_know_is_flagged_and_whole(log: Permits) -> None:
    irregular = {case for case in log.grants if log.states[case].irregular}
    assert {one.case for one in log.report.irregular_cases} == irregular
    assert len(irregular) == log.report.irregular == 11
    steps = Counter(row["case:concept:name"] for row in log.rows)
    for case in irregular:
        told = [one for one in log.grants[case] if one.event.imported and not
                one.event.imported.inferred]  # fmt: skip
        assert len(told) == steps[case]


def test_the_report_adds_up_and_is_told_in_both_languages(log: Permits) -> None:
    report = log.report
    assert report.events == len(log.facts) == len(log.bench.log())
    assert report.events == sum(
        (sum(report.typed.values()), report.notes, sum(report.inferred.values()))
    ) + sum(report.made.values())
    for language in ("zh", "en"):
        said = "\n".join(lines(report, language))
        assert "8,577" in said
        assert "1,434" in said
    assert msgspec.json.decode(msgspec.json.encode(report.document()))["rows"]["total"] == 8577


def test_a_second_run_writes_no_event_and_tells_the_same(log: Permits) -> None:
    before = log.bench.log()
    again = log.bench.run(permits(), permits_mapping())
    assert log.bench.log() == before
    assert again.events == 0
    assert (again.cases.written, again.cases.present) == (0, 1434)
    assert (again.typed, again.notes, again.inferred) == (
        log.report.typed, log.report.notes, log.report.inferred,
    )  # fmt: skip
    assert (again.irregular_cases, again.duties) == (
        log.report.irregular_cases, log.report.duties,
    )  # fmt: skip


def test_a_dry_run_tells_the_same_and_writes_nothing(
    log: Permits, import_place: tuple[Database, Path]
) -> None:
    bench = Bench(*import_place)
    try:
        report = bench.run(permits(), permits_mapping(), dry_run=True)
        assert bench.log() == []
    finally:
        bench.close()
    told = msgspec.structs.replace(report, dry_run=False)
    assert told == log.report


def test_the_report_counts_broken_duties_as_the_second_program_does(log: Permits) -> None:
    assert log.report.duties == totals(broken_duties(permits()))


def test_duties_broken_then_are_found_case_by_case_with_their_positions(log: Permits) -> None:
    """The compliance query on the log, against the second program on the file alone."""
    oracle, rows = broken_duties(permits()), rows_of_hands(permits())
    facts = {fact.position: fact for fact in log.facts}
    case_of = {facts[0].stream_id: case for case, facts in log.grants.items()}
    number_of = {
        fact.event.person: fact.event.number
        for fact in log.facts
        if isinstance(fact.event, StaffAppointed)
    }
    found: dict[str, dict[tuple[str, str], set[str]]] = defaultdict(lambda: defaultdict(set))
    with psycopg.connect(log.bench.database.service, autocommit=True) as conn:
        for row in every_breach(conn, log.bench.tenant):
            case, person = case_of[row["grant_id"]], number_of[row["person"]]
            assert row["imported"]
            assert row["number"] == log.states[case].number
            for one, other in PAIRS:
                if f"{one}_{other}" in row["pairs"]:
                    found[case][one, other].add(person)
            for act in ("requested", "checked", "approved"):
                for position in row[act]:
                    event = facts[position].event
                    assert event.imported is not None
                    assert event.imported.row in rows[case][act]
                    assert event.by.person == row["person"]
                theirs = {
                    one.position
                    for one in log.grants[case]
                    if one.event.by.person == row["person"] and act_of(one.event) == act
                }
                assert set(row[act]) == theirs
        counted = duty_breaches.totals(conn, log.bench.tenant)
    assert {case: dict(pairs) for case, pairs in found.items()} == oracle
    assert {**counted.pairs, "any": counted.cases} == totals(oracle)
    assert counted.cases == 1230


def test_what_was_approved_and_never_checked_is_found_case_by_case(log: Permits) -> None:
    """Against the rows of the file alone."""
    steps: dict[str, Counter[str]] = defaultdict(Counter)
    for row in log.rows:
        steps[row["case:concept:name"]][row["concept:name"]] += 1
    checked, approved = (name for name, act in STEPS.items() if act in ("checked", "approved"))
    wanted = {
        case: told[approved] for case, told in steps.items() if told[approved] and not told[checked]
    }
    case_of = {facts[0].stream_id: case for case, facts in log.grants.items()}
    with psycopg.connect(log.bench.database.service, autocommit=True) as conn:
        page = compliance.unchecked(conn, log.bench.tenant, limit=1000)
    found = {case_of[row["grant_id"]]: row["approvals"] for row in page.items}
    assert page.last is None
    assert found == wanted
    assert sum(told[approved] > 0 for told in steps.values()) == 1303


def test_who_approved_how_much_then_is_counted_as_the_file_says(log: Permits) -> None:
    number_of = {
        fact.event.person: fact.event.number
        for fact in log.facts
        if isinstance(fact.event, StaffAppointed)
    }
    approved = next(name for name, act in STEPS.items() if act == "approved")
    rows = [row for row in log.rows if row["concept:name"] == approved]
    wanted = Counter(row["org:resource"] for row in rows)
    with psycopg.connect(log.bench.database.service, autocommit=True) as conn:
        page = approvers.approvers(conn, log.bench.tenant, limit=1000)
    assert page.last is None
    assert {number_of[row["person"]]: row["approvals"] for row in page.items} == wanted
    assert sum(row["imported"] for row in page.items) == len(rows)


def every_breach(conn: psycopg.Connection[Any], tenant: str) -> Iterator[dict[str, Any]]:
    """All pages of the query."""
    after: Any = None
    while True:
        page = duty_breaches.breaches(conn, tenant, after=after, limit=500)
        yield from page.items
        if page.last is None:
            return
        after = page.last


ACTS: dict[type[Event], str] = {
    GrantRequested: "requested",
    GrantChecked: "checked",
    GrantStageApproved: "approved",
}


def act_of(event: Event) -> str | None:
    """Which hand an event is, by its type."""
    return ACTS.get(type(event))


def test_checks_on_imported_permits_answer(log: Permits) -> None:
    by_state: dict[str, list[str]] = defaultdict(list)
    for case in log.grants:
        by_state[log.states[case].status].append(case)
    assert {name: len(cases) for name, cases in by_state.items()} == {
        "active": 1280, "suspended": 20, "submitted": 118, "verifying": 12, "approved": 4,
    }  # fmt: skip

    async def asked() -> None:
        reader = CheckReader(log.bench.database.service)
        await reader.open()
        memory = Memory(reader, now=clock, monotonic=time.monotonic)
        try:
            for status, cases in by_state.items():
                for case in cases[:8]:
                    await ask(memory, case, status)
        finally:
            await memory.close()
            await reader.close()

    async def ask(memory: Memory, case: str, status: str) -> None:
        state = log.states[case]
        question = Question(
            tenant=log.bench.tenant,
            subject=state.grantee,
            action="proceed",
            resource_type="department",
            resource_id=state.terms.scope["department"][0],
        )
        decision = await memory.check(question)
        assert decision.allowed is (status == "active"), (case, status)
        if status == "active":
            assert state.effects
            begin = state.effects[0].starts_at
            on = msgspec.structs.replace(question, at=begin)
            before = msgspec.structs.replace(question, at=begin - timedelta(microseconds=1))
            assert (await memory.check(on)).allowed
            assert not (await memory.check(before)).allowed
        elsewhere = msgspec.structs.replace(question, resource_id="Elsewhere")
        assert not (await memory.check(elsewhere)).allowed

    asyncio.run(asked())


def test_the_read_models_hold_every_permit_and_none_is_in_quarantine(log: Permits) -> None:
    found: list[dict[str, Any]] = []
    with psycopg.connect(log.bench.database.service, autocommit=True) as conn:
        after: Any = None
        while True:
            page = queries.grants(conn, log.bench.tenant, after=after, limit=500)
            found += page.items
            after = page.last
            if after is None:
                break
        with conn.transaction():
            conn.execute("SELECT set_config('counterseal.tenant', %s, true)", (log.bench.tenant,))
            row = conn.execute("SELECT count(*) FROM quarantined").fetchone()
    assert row == (0,)
    by_number = {state.number: state for state in log.states.values()}
    assert len(by_number) == len(found) == 1434
    for one in found:
        state = by_number[one["number"]]
        assert (one["status"], one["irregular"]) == (state.status, state.irregular)


def test_the_imported_log_is_whole(log: Permits) -> None:
    verdict = verify(log.bench.database.auditor, log.bench.tenant)
    assert (verdict.findings, verdict.events) == ((), log.report.events)


def test_nothing_was_recorded_before_it_was_imported(log: Permits) -> None:
    """`at` is when it happened, `recorded_at` when the ledger learned of it."""
    started = datetime.now(UTC) - timedelta(hours=1)
    assert all(row.recorded_at > started for row in log.bench.log())
    assert max(fact.event.at for fact in log.grants["case-10011"]).year == 2011
