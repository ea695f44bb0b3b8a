"""The guard of an exclusive kind: what it is told, what it forgets, and what is taken over."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from msgspec.structs import replace

from domain.commands.grants import (
    ApproveStage,
)
from domain.commands.imports import IMPORTER, Facts, RecordImported
from domain.commands.supervision import ResumeGrant
from domain.events.exclusion import ExclusionReserved, Reservation
from domain.events.grant import GrantActivated, GrantRequested
from domain.exclusions import evolve, taken
from domain.values import Imported, PolicyRef, Term, Terms
from tests.domain.exclusive_story import (
    GUARD,
    approving,
    both_asked,
    exclusive,
    one_taken,
    refused,
)
from tests.domain.grant_family import (
    Family,
    asked,
    somewhere,
    staged,
)
from tests.domain.grant_world import DAY, ENDS, T0, WHY, member, staff


def test_what_is_given_is_written_down_where_everyone_who_gives_more_reads() -> None:
    world = both_asked()
    (*_, event) = world.run(ApproveStage(grant_id="one", stage="only"), by="carl", reason=WHY)
    assert isinstance(event, ExclusionReserved)
    assert event.grant == "one"
    assert event.reservations == (Reservation(somewhere("CN/31"), world.now, ENDS),)
    assert (event.by, event.reason, event.evidence) == (staff("carl"), None, ())
    assert world.reads[GUARD] == 0
    assert world.streams[GUARD].version == 1
    world.no(**approving("other"))


def test_a_stage_before_the_last_takes_nothing() -> None:
    (stage,) = staged().stages
    world = both_asked(exclusive(stages=(stage, replace(stage, id="last"))))
    assert world.approve("one")
    assert world.approve("other")
    assert GUARD not in world.streams


def test_what_is_only_proposed_is_looked_at_and_not_written_down() -> None:
    world = one_taken()
    world.amend("one", scope=somewhere("CN"))
    assert world.reads[GUARD] == 1
    assert world.streams[GUARD].version == 1


def test_what_is_over_leaves_the_guard_in_time() -> None:
    state = evolve(None, reserved("g-1-aa", T0 + DAY))
    state = evolve(state, reserved("g-2-aa", T0 + 9 * DAY, at=T0 + DAY - timedelta(microseconds=1)))
    assert taken(state).keys() == {"g-1-aa", "g-2-aa"}
    state = evolve(state, reserved("g-3-aa", None, at=T0 + DAY))
    assert taken(state).keys() == {"g-2-aa", "g-3-aa"}
    state = evolve(
        state, ExclusionReserved(at=T0 + DAY, by=staff("x"), grant="g-2-aa", reservations=())
    )
    assert taken(state).keys() == {"g-3-aa"}


def reserved(grant: str, ends_at: Any, at: Any = T0) -> ExclusionReserved:
    some = (Reservation(somewhere(), T0, ends_at),)
    return ExclusionReserved(at=at, by=staff("carl"), grant=grant, reservations=some)


def imported(number: str, customer: str, policy: str = "dealership") -> Facts:
    """A grant from before the ledger, in effect."""
    known: dict[str, Any] = {"at": T0 - 9 * DAY, "by": staff("ann")}
    terms = Terms("dealership", ("sell",), somewhere(), Term(T0 - 9 * DAY, ENDS))
    request = GrantRequested(
        **known,
        number=number,
        case="c",
        grantee=f"customer:{customer}",
        terms=terms,
        policy=PolicyRef(policy, 1),
        imported=Imported("old.csv", 1),
    )
    active = GrantActivated(
        **known, starts_at=T0 - 9 * DAY, ends_at=ENDS, imported=Imported("old.csv", 1)
    )
    return Facts("grant", number, (request, active))


def test_what_is_taken_over_from_before_counts_and_is_never_refused() -> None:
    world = Family(exclusive())
    world.run(RecordImported(facts=(imported("old-1", "shop"),)), by=IMPORTER)
    world.run(RecordImported(facts=(imported("old-2", "north"),)), by=IMPORTER)
    assert taken(world.streams[GUARD].state).keys() == {"old-1", "old-2"}
    assert refused(world, asked("other", "south"), "ann")["grant"] == "old-1"
    world.suspend("old-1")
    assert world.run(ResumeGrant(grant_id="old-1", hold="h1"), by="dora", reason=WHY)


@pytest.mark.parametrize("policy", ["", "dealership"])
def test_what_is_taken_over_under_no_exclusive_policy_has_no_guard(policy: str) -> None:
    world = Family(staged())
    world.run(RecordImported(facts=(imported("old-1", "shop", policy),)), by=IMPORTER)
    assert GUARD not in world.streams


def test_a_member_is_told_as_staff_are() -> None:
    world = one_taken()
    nora = member("nora", "customer:north")
    assert refused(world, asked("other", "north"), nora)["number"] == "G-one"
