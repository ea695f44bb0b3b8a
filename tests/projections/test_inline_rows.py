"""What a step does to the inline tables, and how a batch of steps is applied."""

from __future__ import annotations

from typing import Any

import msgspec
import psycopg
import pytest
from msgspec.structs import replace

from api.provisioning import Database
from domain.events import Event
from domain.events.catalogue import PointEnded, PointRenamed
from domain.events.customer import (
    CustomerBlocked,
    CustomerConfirmed,
    CustomerGraded,
    CustomerMerged,
    CustomerMergeProposed,
    CustomerRegistered,
    CustomerUnblocked,
)
from domain.events.grant import GrantNoted, GrantSuspensionConfirmed
from domain.events.staff import (
    StaffAppointed,
    StaffAssignmentsChanged,
    StaffDeactivated,
    StaffTeamChanged,
)
from domain.ledger import InlineRows, Ledgers
from domain.streams import evolve
from domain.values import Names
from domain.view import NewEvent
from projections.inline import NOTHING, InlineTables
from tests.projections import facts
from tests.projections.conftest import Asker, apply_objects
from tests.projections.facts import BY, FACT, NAMES, START, Record, day
from tests.support.ledger import new_id, submission
from tests.support.owner import superuser

GRANTEE = f"customer:{new_id()}"
SCOPE = {"territory": ("CN/31",)}


def steps(kind: str, stream_id: str, *events: Event) -> list[NewEvent]:
    """The events of a stream from its beginning, with the states around each."""
    state: Any = None
    found: list[NewEvent] = []
    for version, event in enumerate(events, 1):
        after = evolve(kind, state, event)
        found.append(NewEvent(kind, stream_id, version, event, state, after))
        state = after
    return found


def last(kind: str, *events: Event, stream_id: str | None = None) -> Any:
    """What the last of these events does."""
    return InlineTables().rows(steps(kind, stream_id or new_id(), *events)[-1:])


def told(rows: InlineRows) -> list[str]:
    """Which tables' rows are closed and opened, closes of grants first."""
    return [
        *("gc" for _ in rows.closed),
        *("go" for _ in rows.opened),
        *(f"{row['t']}{row['o']}" for row in rows.rows),
    ]


ACTIVE = facts.granted(GRANTEE, new_id(), SCOPE)


def test_a_request_under_way_writes_no_row() -> None:
    for count in (1, 2, 3):
        assert last("grant", *ACTIVE[:count]) is NOTHING


def test_taking_effect_opens_a_row_and_narrows_nothing() -> None:
    rows = last("grant", *ACTIVE[:4])
    assert told(rows) == ["go"]
    assert rows.touched == [f"g:{GRANTEE}"]
    assert not rows.narrowing


def test_what_changes_nothing_in_force_writes_no_row() -> None:
    note = GrantNoted(at=day(1), by=BY, imported=FACT)
    assert last("grant", *ACTIVE) is NOTHING
    assert last("grant", *ACTIVE, note) is NOTHING


def test_a_suspension_narrows_and_its_end_does_not() -> None:
    held = facts.suspended(5)
    suspension = last("grant", *ACTIVE, held)
    assert told(suspension) == ["gc", "go"]
    assert suspension.narrowing
    resumption = last("grant", *ACTIVE, held, facts.resumed(7))
    assert not resumption.narrowing


def test_a_revocation_narrows() -> None:
    assert last("grant", *ACTIVE, facts.revoked(5)).narrowing
    assert last("grant", *ACTIVE, facts.revoked(5, effective=20)).narrowing


def test_a_provisional_hold_confirmed_narrows_and_one_that_fell_does_not() -> None:
    held = facts.suspended(5, confirm_by=8)
    confirmed = GrantSuspensionConfirmed(at=day(6), by=BY, hold="h1", imported=FACT)
    assert last("grant", *ACTIVE, held, confirmed).narrowing
    fell = msgspec.structs.replace(facts.resumed(9), lapsed_at=day(8))
    assert not last("grant", *ACTIVE, held, fell).narrowing


def test_a_revocation_under_a_hold_changes_only_the_reason_and_narrows_nothing() -> None:
    rows = last("grant", *ACTIVE, facts.suspended(5), facts.revoked(6))
    assert told(rows) == ["gc", "go"]
    assert [stop.why for stop in rows.opened[0][1].stops] == ["suspended", "revoked", "ended"]
    assert not rows.narrowing


CUSTOMER = (
    CustomerRegistered(at=START, by=BY, number="C", form="organization", imported=FACT),
    CustomerConfirmed(at=START, by=BY, until=day(100), imported=FACT),
)


def test_standing_narrows_with_a_block_and_not_with_its_end_or_a_confirmation() -> None:
    blocked = CustomerBlocked(at=day(3), by=BY, imported=FACT)
    unblocked = CustomerUnblocked(at=day(4), by=BY, imported=FACT)
    stream_id = new_id()
    assert told(last("customer", *CUSTOMER[:1])) == ["po"]
    confirmed = last("customer", *CUSTOMER, stream_id=stream_id)
    assert (told(confirmed), confirmed.touched) == (["so"], [f"s:customer:{stream_id}"])
    assert not confirmed.narrowing
    assert last("customer", *CUSTOMER, blocked).narrowing
    assert not last("customer", *CUSTOMER, blocked, unblocked).narrowing


def test_a_merge_cuts_the_standing_opens_an_alias_and_touches_both() -> None:
    one, other = new_id(), new_id()
    proposed = CustomerMergeProposed(at=day(5), by=BY, into=other, imported=FACT)
    merged = CustomerMerged(at=day(5), by=BY, into=other, imported=FACT)
    rows = last("customer", *CUSTOMER, proposed, merged, stream_id=one)
    assert told(rows) == ["sc", "so", "ao"]
    assert set(rows.touched) == {f"s:customer:{one}", f"s:customer:{other}"}
    assert rows.narrowing


def test_a_customer_is_a_point_whose_other_grade_narrows() -> None:
    one = new_id()
    graded = CustomerGraded(at=day(2), by=BY, grade="A", imported=FACT)
    rows = last("customer", *CUSTOMER, graded, stream_id=one)
    assert told(rows) == ["pc", "po"]
    assert (rows.rows[1]["path"], rows.rows[1]["attributes"]) == (one, {"grade": "A"})
    assert rows.touched == [f"p:customer/{one}"]
    assert last("customer", *CUSTOMER, graded, replace(graded, grade="B")).narrowing


def test_whoever_looks_after_a_customer_is_a_row_of_its_own_and_taking_them_off_narrows() -> None:
    staff, one, other = new_id(), new_id(), new_id()
    appointed = StaffAppointed(
        at=START, by=BY, person=new_id(), number="S-1", level="junior", roles=(), imported=FACT
    )

    def assigned(*customers: str) -> StaffAssignmentsChanged:
        return StaffAssignmentsChanged(at=day(1), by=BY, customers=customers, imported=FACT)

    rows = last("staff", appointed, assigned(one, other), stream_id=staff)
    assert (told(rows), rows.narrowing) == (["po", "po"], False)
    assert rows.touched == [f"p:customer/{one}", f"p:customer/{other}"]
    assert rows.rows[0]["path"] == staff
    assert rows.rows[0]["attributes"] == {"manager": (staff,)}
    rows = last("staff", appointed, assigned(one, other), assigned(other), stream_id=staff)
    assert (told(rows), rows.narrowing) == (["pc"], True)
    assert rows.touched == [f"p:customer/{one}"]
    joined = StaffTeamChanged(at=day(2), by=BY, team="sales", imported=FACT)
    rows = last("staff", appointed, assigned(one), joined, stream_id=staff)
    assert [row["attributes"] for row in rows.rows if row["t"] == "p" and row["o"] == "o"] == [
        {"manager": (staff, "sales")}
    ]
    assert not rows.narrowing
    apart = replace(joined, at=day(3), team="service")
    assert last("staff", appointed, assigned(one), joined, apart).narrowing
    left = StaffDeactivated(at=day(2), by=BY, imported=FACT)
    assert "p" not in "".join(told(last("staff", appointed, assigned(one), left)))


def test_a_point_narrows_only_where_its_place_is_another() -> None:
    declared = (facts.dimension("territory"), facts.dimension("product"))
    added = facts.point("territory", "CN/31", product="tea")
    renamed = PointRenamed(
        at=day(1),
        by=BY,
        dimension="territory",
        path="CN/31",
        names=Names("沪", "SH"),
        imported=FACT,
    )
    ended = PointEnded(
        at=day(1), by=BY, dimension="territory", path="CN/31", ends_at=day(2), imported=FACT
    )
    assert last("catalogue", *declared) is NOTHING
    first = last("catalogue", *declared, added)
    assert (told(first), first.touched) == (["po"], ["p:territory/CN/31"])
    for event in (renamed, ended):
        rows = last("catalogue", *declared, added, event)
        assert told(rows) == ["pc", "po"]
        assert not rows.narrowing
    moved = facts.point("territory", "CN/31", product="cup")
    assert last("catalogue", *declared, added, moved).narrowing


def test_rows_name_the_place_of_their_event_in_the_command() -> None:
    rows = InlineTables().rows(steps("grant", new_id(), *ACTIVE, facts.suspended(5)))
    assert [place for place, _ in rows.closed] == [5]
    assert [place for place, _ in rows.opened] == [3, 5]


# --- applied by the database ----------------------------------------------------------------------


def apply(
    database: Database, tenant: str, positions: list[int | None], rows: list[dict[str, Any]]
) -> None:
    """Call the function as `append` does, past every guard."""
    with superuser(database) as conn, conn.transaction():
        conn.execute("SELECT set_config('counterseal.tenant', %s, true)", (tenant,))
        apply_objects(conn, tenant, positions, rows)


def standing(place: int, act: str, begin: float, until: float = 100) -> dict[str, Any]:
    row: dict[str, Any] = {"e": place, "t": "s", "o": act, "party": "service:x"}
    row["valid_from"] = day(begin)
    return row if act == "c" else row | {"valid_to": day(until)}


def intervals(database: Database, tenant: str) -> list[tuple[Any, ...]]:
    """(from day, until day, known from, known to), in the order they became known."""
    with superuser(database) as conn:
        found = conn.execute(
            "SELECT valid_from, valid_to, known_from, known_to FROM standings"
            " WHERE tenant_id = %s ORDER BY known_from, valid_from",
            (tenant,),
        ).fetchall()
    return [((a - START).days, (b - START).days, known, gone) for a, b, known, gone in found]


def test_one_key_opened_and_closed_several_times_in_one_batch_keeps_each_version(
    database: Database, tenant: str
) -> None:
    apply(database, tenant, [1], [standing(0, "o", 0)])
    rows = [
        standing(0, "c", 0),  # ends the row that is there
        standing(0, "o", 0, 50),
        standing(1, "c", 0),
        standing(1, "o", 0, 60),
        standing(2, "c", 0),
        standing(3, "o", 0, 70),
    ]
    apply(database, tenant, [2, 3, 4, 5], rows)
    assert intervals(database, tenant) == [
        (0, 100, 1, 2),
        (0, 50, 2, 3),
        (0, 60, 3, 4),
        (0, 70, 5, None),
    ]


def test_rows_of_a_command_left_out_are_left_out(database: Database, tenant: str) -> None:
    apply(database, tenant, [1], [standing(0, "o", 0)])
    rows = [standing(0, "c", 0), standing(0, "o", 0, 50), standing(1, "o", 200, 300)]
    apply(database, tenant, [None, 2], rows)
    assert intervals(database, tenant) == [(0, 100, 1, None), (200, 300, 2, None)]


def test_a_row_to_be_closed_that_is_not_there_stops_the_append(
    database: Database, tenant: str
) -> None:
    with pytest.raises(psycopg.Error) as caught:
        apply(database, tenant, [1], [standing(0, "c", 0)])
    assert caught.value.sqlstate == "CS004"
    assert intervals(database, tenant) == []


def test_the_same_grant_suspended_resumed_and_revoked_in_one_batch_ends_denied(
    ledgers: Ledgers, tenant: str, ask: Asker
) -> None:
    grantee = facts.customer(ledgers, tenant)
    grant_id = facts.grant(ledgers, tenant, grantee, facts.policy(ledgers, tenant), SCOPE)
    events = [
        facts.suspended(2),
        facts.resumed(3),
        facts.suspended(4, "h2"),
        facts.resumed(5, "h2"),
    ]
    waiting = [
        ledgers.submit(submission(tenant, Record(facts=(("grant", grant_id, event),))))
        for event in events
    ]
    positions = [one.result().position for one in waiting]
    assert ask.allowed(grantee)
    for position, allowed in zip(positions, [False, True, False, True], strict=True):
        assert ask.allowed(grantee, as_of=position) == allowed
    facts.put(ledgers, tenant, "grant", grant_id, facts.revoked(6))
    assert ask.code(grantee) == "check.revoked"


def test_the_service_may_not_write_rows_itself(service: psycopg.Connection[Any]) -> None:
    for statement in (
        "SELECT inline_apply(NULL, NULL, NULL, NULL)",
        "UPDATE permissions SET known_to = NULL",
        "DELETE FROM standings",
        "INSERT INTO quarantined SELECT * FROM quarantined",
    ):
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            service.execute(statement)  # pyright: ignore[reportArgumentType]


def test_names_in_rows_are_clear_names_of_things() -> None:
    added = last("catalogue", facts.dimension("territory"), facts.point("territory", "CN"))
    assert added.rows[0]["names"] == {"zh": NAMES.zh, "en": NAMES.en}
