"""How events make a grant: only in the orders that verbs emit, and in any order when imported."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from itertools import pairwise
from typing import Any

import hypothesis.strategies as st
import pytest
from hypothesis import given, settings
from msgspec.structs import replace

from domain.case_events import events_of
from domain.case_steps import ANY_STEP
from domain.commands.grants import NoteGrant
from domain.effect import in_force
from domain.errors import Impossible
from domain.events import EVENTS
from domain.events.common import Event
from domain.events.grant import (
    GrantActivated,
    GrantApprovalRetracted,
    GrantApproved,
    GrantChecked,
    GrantExpired,
    GrantLapsed,
    GrantRejected,
    GrantRequested,
    GrantResumed,
    GrantRevocationCancelled,
    GrantRevocationProposed,
    GrantRevoked,
    GrantSigned,
    GrantSuspended,
    GrantSuspensionConfirmed,
    GrantVerified,
)
from domain.events.grant_cases import (
    CaseEvent,
    GrantAmended,
    GrantAmendmentSigned,
    GrantErrorDismissed,
    GrantErrorMarked,
    GrantErrorProposed,
    GrantRenewalApprovalRetracted,
    GrantRenewalChecked,
    GrantRenewalWithdrawn,
    GrantRenewed,
)
from domain.grant_cases import ERROR_EVENTS
from domain.grant_states import EFFECTIVE, OPEN, CaseKind
from domain.grants import Grant, GrantEvent, evolve, status_at
from domain.values import Imported
from tests.domain.case_story import ALL_REACH, any_world_in
from tests.domain.grant_world import CASE, DAY, ENDS, GRANT, T0, WHY, World, staff, terms
from tests.domain.test_grant_matrix import EXPECTED, ROWS

LATE = T0 + 400 * DAY
WRITTEN = sorted(set(ALL_REACH) - {"none"})


def imported(events: Iterable[Event]) -> list[Any]:
    return [
        replace(event, imported=Imported("permits.csv", row)) for row, event in enumerate(events, 1)
    ]


def folded(events: Iterable[Any]) -> Grant:
    grant = None
    for event in events:
        grant = evolve(grant, event)
    assert grant is not None
    return grant


def fact(event: type[GrantEvent], at: datetime, /, **fields: Any) -> Any:
    source = Imported("permits.csv", 1)
    return event(at=at, by=staff("root"), imported=source, **fields)


def asked(at: datetime = T0) -> GrantRequested:
    ref = {"number": "N-1", "case": CASE, "grantee": "customer:shop", "terms": terms()}
    policy = any_world_in("submitted").grant.policy
    return fact(GrantRequested, at, policy=policy, **ref)


def took_effect(at: datetime, ends_at: datetime | None = None) -> GrantActivated:
    return fact(GrantActivated, at, starts_at=at, ends_at=ends_at)


# --- what the ledger wrote itself -----------------------------------------------------------------


Place = tuple[str, str, str]
"""The recorded state of a grant, kind and state of its open case; for what only moves the main
state the last two are empty.
"""


def place(grant: Grant | None, event: type[Event] | Event) -> Place:
    """Return where in the tables a grant is, as far as this event is concerned."""
    if grant is None:
        return ("none", "", "")
    case, kind = grant.open_case, event if isinstance(event, type) else type(event)
    if case is None or not issubclass(kind, CaseEvent) or issubclass(kind, ERROR_EVENTS):
        return (grant.status, "", "")
    return (grant.status, case.kind, case.status)


def emitted() -> tuple[set[tuple[Place, str]], dict[str, Event]]:
    """Run every cell of the matrix; return (place, event name) pairs, and an event a name."""
    seen: set[tuple[Place, str]] = set()
    samples: dict[str, Event] = {}
    for row, state in EXPECTED:
        world = any_world_in(state)
        command, by, before = ROWS[row]
        if before is not None:
            before(world)
        world.refusal(command(world), by=by, reason=WHY)
        grant: Grant | None = None
        for event in world.grant_events:
            seen.add((place(grant, event), event.name))
            samples[event.name] = event
            grant = evolve(grant, event)  # type: ignore[arg-type]
    return seen, samples


def emitted_elsewhere() -> set[tuple[Place, str]]:
    """What is emitted under other policies than the matrix's, and where the clock came first."""
    seen: set[tuple[Place, str]] = {
        (("submitted", "", ""), GrantVerified.name),
        (("pending_approval", "", ""), GrantApproved.name),
    }
    late = (GrantExpired.name, GrantRevocationProposed.name)
    seen |= {((state, "", ""), name) for state in EFFECTIVE for name in late}
    seen |= {((state, "", ""), GrantLapsed.name) for state in OPEN}
    cases: tuple[tuple[CaseKind, type[Event]], ...] = (
        ("renewal", GrantRenewed),
        ("amendment", GrantAmended),
    )
    for kind, _ in cases:
        for status in (*EFFECTIVE, "expired"):
            events = events_of(kind)
            seen |= {((status, kind, step), events.lapsed.name) for step in ANY_STEP}
            seen.add(((status, kind, "submitted"), events.verified.name))
            seen.add(((status, kind, "pending_approval"), events.approved.name))
    return seen


def test_an_event_that_no_verb_emits_in_a_state_is_impossible_there() -> None:
    seen, samples = emitted()
    by = {"at": T0 + 20 * DAY, "by": staff("dora")}
    samples[GrantRevocationProposed.name] = GrantRevocationProposed(**by, case="c5")
    names = {name for name in EVENTS if name.startswith("grant.")}
    assert set(samples) == names
    taken = {
        (place(grant, EVENTS[name]), name)
        for grant in (None, *(any_world_in(state).grant for state in WRITTEN))
        for name in names
        if not _impossible(grant, samples[name])
    }
    assert taken - seen - emitted_elsewhere() == set()
    assert len({name for _, name in taken}) == len(names)


def _impossible(grant: Grant | None, event: Any) -> bool:
    try:
        evolve(grant, event)
    except Impossible:
        return True
    return False


BY = {"at": T0 + 20 * DAY, "by": staff("dora")}


@pytest.mark.parametrize(
    ("state", "event"),
    [
        ("suspended", GrantResumed(**BY, hold="another")),
        ("suspended", GrantSuspensionConfirmed(**BY, hold="another")),
        ("suspended", GrantSuspended(**BY, hold="h1")),
        ("revocation_requested", GrantRevocationCancelled(**BY, case="another")),
        ("revocation_requested", GrantRevocationProposed(**BY, case="another")),
        (
            "revocation_requested",
            GrantRevoked(**BY, origin="customer", effective_at=T0 + 20 * DAY, case="another"),
        ),
        (
            "active",
            GrantRevoked(**BY, origin="customer", effective_at=T0 + 20 * DAY, case="c1"),
        ),
        ("pending_approval", GrantApprovalRetracted(**BY, stage="regional")),
        ("half_signed", GrantSigned(**BY, party="grantee", digest="0" * 64)),
        ("renewal_submitted", GrantRenewalChecked(**BY, case="another", kind="k", channel="post")),
        ("renewal_submitted", GrantRenewalWithdrawn(**BY, case="another")),
        ("amendment_submitted", GrantRenewalWithdrawn(**BY, case="a1")),
        ("renewal_pending", GrantRenewalApprovalRetracted(**BY, case="r1", stage="regional")),
        (
            "amendment_half_signed",
            GrantAmendmentSigned(**BY, case="a1", party="grantee", digest="0" * 64),
        ),
        ("error_proposed", GrantErrorProposed(**BY, case="another")),
        ("error_proposed", GrantErrorMarked(**BY, case="another")),
        ("error_proposed", GrantErrorDismissed(**BY, case="another")),
    ],
)
def test_an_event_about_something_else_than_there_is_is_impossible(
    state: str, event: GrantEvent
) -> None:
    with pytest.raises(Impossible):
        evolve(any_world_in(state).grant, event)


@pytest.mark.parametrize("state", WRITTEN)
def test_the_fold_of_the_written_events_is_the_state(state: str) -> None:
    world = any_world_in(state)
    assert folded(world.grant_events) == world.grant
    assert not world.grant.irregular


# --- what was imported ----------------------------------------------------------------------------


@pytest.mark.parametrize("state", WRITTEN)
def test_imported_in_its_own_order_it_is_the_same_grant(state: str) -> None:
    world = any_world_in(state)
    assert folded(imported(world.grant_events)) == world.grant


STORIES = {state: imported(any_world_in(state).grant_events) for state in WRITTEN}


@settings(max_examples=300, deadline=None)
@given(st.sampled_from(sorted(STORIES)).flatmap(lambda name: st.permutations(STORIES[name])))
def test_imported_events_fold_in_any_order(events: list[Any]) -> None:
    grant = folded(events)
    in_order = [event.imported.row for event in events] == list(range(1, len(events) + 1))
    assert grant.irregular != in_order or _commute(events)
    held = in_force(grant)
    for begin, end, _ in held:
        assert end is None or begin < end
    for (_, end, number), (begin, _, other) in pairwise(held):
        assert end is not None
        assert end < begin or (end == begin and number != other)
    assert grant.number == "G-20260302-0001-X"


def _commute(events: list[Any]) -> bool:
    """Some orders other than the written one are as good: the tables know them."""
    grant = None
    try:
        for event in events:
            grant = evolve(grant, replace(event, imported=None))
    except Impossible:
        return False
    return True


def test_what_took_effect_before_it_was_approved_stays_in_effect_and_is_irregular() -> None:
    approved = fact(GrantApproved, T0 + 3 * DAY, terms=terms())
    checked = fact(GrantChecked, T0 + 4 * DAY, kind="callback", channel="post")
    grant = folded([asked(), took_effect(T0 + 2 * DAY), approved, checked])
    assert grant.irregular
    assert status_at(grant, LATE) == "active"
    assert in_force(grant) == ((T0 + 2 * DAY, None, 1),)
    assert len(grant.checks) == 1


def test_an_imported_grant_may_have_no_end() -> None:
    grant = folded([asked(), took_effect(T0 + DAY)])
    assert in_force(grant) == ((T0 + DAY, None, 1),)
    assert status_at(grant, LATE) == "active"


def test_an_imported_request_without_a_time_does_not_lapse_before_its_term() -> None:
    grant = folded([asked()])
    assert status_at(grant, T0 + 100 * DAY) == "submitted"
    assert status_at(grant, ENDS) == "lapsed"


def test_without_a_request_nothing_is_in_force_and_no_command_passes() -> None:
    world = World()
    world.given("grant", GRANT, took_effect(T0 + DAY))
    assert world.grant.irregular
    assert in_force(world.grant) == ()
    note = NoteGrant(grant_id=GRANT, label="called")
    assert world.refusal(note, by="ann") == "grant.not_requested"


def test_a_request_found_later_tells_what_took_effect() -> None:
    grant = folded([took_effect(T0 + DAY), asked()])
    assert grant.irregular
    assert status_at(grant, LATE) == "active"
    assert (grant.grantee, grant.number) == ("customer:shop", "N-1")
    assert in_force(grant) == ((T0 + DAY, None, 1),)


def revoked(at: datetime) -> GrantRevoked:
    return fact(GrantRevoked, at, origin="staff", effective_at=at)


def test_an_effect_written_after_the_revocation_but_earlier_in_fact_revives_nothing() -> None:
    grant = folded([asked(), revoked(T0 + 9 * DAY), took_effect(T0 + 2 * DAY)])
    assert status_at(grant, LATE) == "revoked"
    assert in_force(grant) == ((T0 + 2 * DAY, T0 + 9 * DAY, 1),)


def test_an_effect_after_the_end_is_a_new_one() -> None:
    rejected = fact(GrantRejected, T0 + DAY)
    grant = folded([asked(), rejected, took_effect(T0 + 2 * DAY)])
    assert grant.irregular
    assert status_at(grant, LATE) == "active"
    for later in (T0 + DAY, T0 + 2 * DAY):
        again = folded([asked(), took_effect(T0), revoked(T0 + DAY), took_effect(later)])
        assert in_force(again) == ((later, None, 1),)


def test_a_rejection_of_what_is_in_effect_ends_it() -> None:
    rejected = fact(GrantRejected, T0 + 5 * DAY)
    grant = folded([asked(), took_effect(T0 + 2 * DAY), rejected])
    assert status_at(grant, LATE) == "rejected"
    assert in_force(grant) == ((T0 + 2 * DAY, T0 + 5 * DAY, 1),)


def test_a_check_after_the_end_reopens_nothing_and_an_approval_does() -> None:
    rejected = fact(GrantRejected, T0 + DAY)
    checked = fact(GrantChecked, T0 + 2 * DAY, kind="callback", channel="post")
    approved = fact(GrantApproved, T0 + 3 * DAY, terms=terms())
    assert folded([asked(), rejected, checked]).status == "rejected"
    assert folded([asked(), rejected, checked, approved]).status == "approved"


def test_the_hands_of_imported_events_count_like_any() -> None:
    checked = fact(GrantChecked, T0 + DAY, kind="callback", channel="post")
    grant = folded([asked(), checked])
    assert grant.hands == {CASE: frozenset({"p-root"})}
