"""Breaches of duties, counted by person: complete, through merges, without what is no hand."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

import psycopg
import pytest

from domain.events import Event
from domain.events.grant import (
    GrantApprovalRetracted,
    GrantChecked,
    GrantInformationProvided,
    GrantNoted,
    GrantRequested,
    GrantStageApproved,
)
from domain.events.grant_cases import (
    GrantRenewalApprovalRetracted,
    GrantRenewalRequested,
    GrantRenewalStageApproved,
)
from domain.events.person import PersonMerged, PersonRegistered
from domain.ledger import Ledgers
from domain.values import Imported, Party, PolicyRef
from projections import duty_breaches
from projections.duty_breaches import PAIRS, breaches, totals
from tests.projections import facts
from tests.projections.facts import FACT, Record, day
from tests.support.ledger import new_id, submission

ANN, BEN, CAT = (new_id() for _ in range(3))
INFERRED = Imported("facts", 1, inferred=True)


def party(person: str) -> Party:
    return Party(f"staff:{person}", person)


def act(
    what: str, person: str, *, deputy: str | None = None, kind: str = "dealership", **more: Any
) -> Event:
    """One act of a person, by a deputy where one is named."""
    known: dict[str, Any] = {
        "at": day(1),
        "by": party(deputy or person),
        "on_behalf_of": party(person) if deputy else None,
        "imported": FACT,
    }
    known |= more
    match what:
        case "requested":
            terms = facts.terms({"territory": ("CN",)}, kind=kind)
            return GrantRequested(
                number="N", case="case", grantee="customer:x", terms=terms,
                policy=PolicyRef("p", 1), **known,
            )  # fmt: skip
        case "checked":
            return GrantChecked(kind="document", channel="online", **known)
        case "approved":
            return GrantStageApproved(stage="s", role="approver", **known)
        case "retracted":
            return GrantApprovalRetracted(stage="s", **known)
        case "changed":
            terms = facts.terms({"territory": ("US",)}, kind=kind)
            return GrantInformationProvided(terms=terms, **known)
        case _:
            return GrantNoted(label="n", **known)


def case(ledgers: Ledgers, tenant: str, *events: Event) -> tuple[str, list[int]]:
    """A grant with these events: its id, and their positions."""
    grant_id = new_id()
    last = facts.put(ledgers, tenant, "grant", grant_id, *events).position
    return grant_id, list(range(last - len(events) + 1, last + 1))


def pairs_of(conn: psycopg.Connection[Any], tenant: str) -> dict[tuple[str, str], list[str]]:
    return {
        (row["grant_id"], row["person"]): row["pairs"]
        for row in breaches(conn, tenant, limit=1000).items
    }


def test_each_case_in_which_one_person_had_two_hands_is_listed_with_its_positions(
    ledgers: Ledgers, tenant: str, service: psycopg.Connection[Any], follow: Callable[[], int]
) -> None:
    clean, _ = case(
        ledgers, tenant, act("requested", ANN), act("checked", BEN), act("approved", CAT)
    )
    two, places = case(
        ledgers, tenant,
        act("requested", ANN), act("checked", ANN), act("checked", ANN), act("approved", BEN),
    )  # fmt: skip
    three, _ = case(
        ledgers, tenant, act("requested", ANN), act("checked", ANN), act("approved", ANN)
    )
    head = follow()
    page = breaches(service, tenant)
    assert page.position == head
    found = {row["grant_id"]: row for row in page.items}
    assert clean not in found
    row = found[two]
    assert (row["person"], row["case_id"], row["number"]) == (ANN, "case", "N")
    assert (row["requested"], row["checked"], row["approved"]) == (places[:1], places[1:3], [])
    assert (row["pairs"], row["parties"]) == (["requested_checked"], [f"staff:{ANN}"])
    assert row["imported"]
    assert found[three]["pairs"] == list(PAIRS)
    counted = totals(service, tenant)
    assert counted.cases == 2
    assert counted.pairs == {
        "requested_checked": 2, "requested_approved": 1, "checked_approved": 1,
    }  # fmt: skip
    only = breaches(service, tenant, pair="checked_approved").items
    assert [row["grant_id"] for row in only] == [three]


def test_a_renewal_is_a_case_of_its_own_with_hands_of_its_own(
    ledgers: Ledgers, tenant: str, service: psycopg.Connection[Any], follow: Callable[[], int]
) -> None:
    known: dict[str, Any] = {"at": day(2), "by": party(BEN), "imported": FACT, "case": "again"}
    opened = GrantRenewalRequested(
        terms=facts.terms({"territory": ("CN",)}), policy=PolicyRef("p", 1), **known
    )
    given = GrantRenewalStageApproved(stage="s", role="approver", **known)
    taken = GrantRenewalApprovalRetracted(stage="s", approver=BEN, **known)
    grant_id, places = case(
        ledgers, tenant, act("requested", ANN), act("checked", BEN), act("approved", BEN),
        opened, given,
    )  # fmt: skip
    other, _ = case(
        ledgers, tenant, act("requested", ANN), act("approved", BEN), opened, given, taken
    )
    follow()
    found = {(row["grant_id"], row["case_id"]): row for row in breaches(service, tenant).items}
    assert set(found) == {(grant_id, "case"), (grant_id, "again")}, "checked and approved; renewed"
    assert found[grant_id, "again"]["requested"] == places[3:4]
    assert found[grant_id, "again"]["approved"] == places[4:]
    assert found[grant_id, "case"]["approved"] == places[2:3]
    assert other not in {one for one, _ in found}, "what was retracted is no hand"


def test_two_records_of_one_human_being_are_one_pair_of_hands(
    ledgers: Ledgers, tenant: str, service: psycopg.Connection[Any], follow: Callable[[], int]
) -> None:
    grant_id, _ = case(ledgers, tenant, act("requested", ANN), act("checked", BEN))
    follow()
    assert pairs_of(service, tenant) == {}
    for one, into in ((ANN, CAT), (BEN, ANN)):
        facts.put(
            ledgers,
            tenant,
            "person",
            one,
            PersonRegistered(at=day(2), by=party(CAT), imported=FACT),
            PersonMerged(at=day(2), by=party(CAT), into=into, imported=FACT),
        )
    follow()
    assert pairs_of(service, tenant) == {(grant_id, CAT): ["requested_checked"]}


def test_deputy_and_principal_both_had_their_hand_in_it(
    ledgers: Ledgers, tenant: str, service: psycopg.Connection[Any], follow: Callable[[], int]
) -> None:
    grant_id, _ = case(
        ledgers, tenant,
        act("requested", ANN), act("checked", BEN), act("approved", ANN, deputy=BEN),
    )  # fmt: skip
    follow()
    assert pairs_of(service, tenant) == {
        (grant_id, ANN): ["requested_approved"],
        (grant_id, BEN): ["checked_approved"],
    }


def test_what_was_retracted_made_void_inferred_or_noted_is_no_hand(
    ledgers: Ledgers, tenant: str, service: psycopg.Connection[Any], follow: Callable[[], int]
) -> None:
    case(ledgers, tenant, act("requested", ANN), act("approved", ANN), act("retracted", ANN))
    case(ledgers, tenant, act("requested", ANN), act("approved", ANN), act("changed", BEN))
    case(ledgers, tenant, act("requested", ANN), act("checked", ANN, imported=INFERRED))
    case(ledgers, tenant, act("requested", ANN), act("noted", ANN))
    other, _ = case(
        ledgers, tenant,
        act("requested", ANN), act("approved", ANN), act("approved", BEN), act("retracted", BEN),
    )  # fmt: skip
    again, _ = case(
        ledgers, tenant,
        act("requested", ANN), act("approved", ANN), act("retracted", ANN), act("approved", ANN),
    )  # fmt: skip
    follow()
    assert pairs_of(service, tenant) == {
        (other, ANN): ["requested_approved"],
        (again, ANN): ["requested_approved"],
    }


def test_the_list_is_complete_page_by_page_and_equals_what_the_events_say(
    ledgers: Ledgers,
    tenant: str,
    service: psycopg.Connection[Any],
    follow: Callable[[], int],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    chosen = random.Random(7)
    people = [new_id() for _ in range(4)]
    expected: dict[tuple[str, str], set[str]] = {}
    waiting: list[Any] = []
    for _ in range(60):
        grant_id = new_id()
        acts = [("requested", chosen.choice(people))]
        acts += [
            (chosen.choice(["checked", "approved"]), chosen.choice(people))
            for _ in range(chosen.randint(0, 4))
        ]
        events = tuple(("grant", grant_id, act(what, person)) for what, person in acts)
        waiting.append(ledgers.submit(submission(tenant, Record(facts=events))))
        for what, person in acts:
            expected.setdefault((grant_id, person), set()).add(what)
    for one in waiting:
        one.result()
    follow()
    broken = {key: acts for key, acts in expected.items() if len(acts) > 1}
    whole = breaches(service, tenant, limit=1000).items
    assert {
        (row["grant_id"], row["person"]): {
            name for name in ("requested", "checked", "approved") if row[name]
        }
        for row in whole
    } == broken
    for limit, looked_at in ((1, 2_000), (7, 2_000), (30, 2_000), (7, 20), (1, 1)):
        monkeypatch.setattr(duty_breaches, "SCAN", looked_at)
        found: list[dict[str, Any]] = []
        after: list[Any] | None = None
        while True:
            page = breaches(service, tenant, after=after, limit=limit)
            found += page.items
            if page.last is None:
                break
            after = page.last
        assert found == whole
    assert totals(service, tenant).cases == len({grant for grant, _ in broken})
