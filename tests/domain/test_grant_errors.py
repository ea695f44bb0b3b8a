"""What never should have been entered, and what another grant takes the place of."""

from __future__ import annotations

from typing import Any

import pytest

from domain.commands.cases import (
    ConfirmError,
    DismissError,
    ProposeError,
    RequestRenewal,
    SupersedeGrant,
)
from domain.commands.grants import NoteGrant
from domain.commands.supervision import RecordExpiry, RequestRevocation, RevokeGrant
from domain.effect import in_force
from domain.events.catalogue import DimensionDeclared, PointAdded
from domain.events.common import Event
from domain.events.grant import GrantExpired, GrantNoted
from domain.grant_guards import MAX_HANDED
from domain.grants import Grant, evolve
from domain.values import Term
from projections import permissions
from projections.inline_rows import Change
from tests.domain.case_story import (
    AGAIN,
    ANOTHER,
    ERROR,
    another_grant,
    any_world_in,
    case_word,
    renew,
)
from tests.domain.grant_world import DAY, ENDS, GRANT, HOUR, T0, TENANT, WHY, World, names, staff

SIGNED = T0 + 9 * DAY
PROPOSE = ProposeError(grant_id=GRANT, case=ERROR)
CONFIRM = ConfirmError(grant_id=GRANT, case=ERROR)
DISMISS = DismissError(grant_id=GRANT, case=ERROR)


def marked(state: str) -> tuple[World, list[Change]]:
    """Mark a grant in this state entered in error; return what that does to its permission rows."""
    world = any_world_in(state)
    world.run(PROPOSE, by="dora", reason=WHY)
    before = world.grant
    (event,) = world.run(CONFIRM, by="dirk")
    return world, list(permissions.changes(before, event, world.grant))  # type: ignore[arg-type]


# --- entered in error -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("state", "rows"),
    [
        ("active", 1),
        ("scheduled", 1),
        ("suspended", 2),
        ("expired", 1),
        ("expired_by_clock", 1),
        ("revoked", 1),
        ("superseded", 1),
        ("renewed", 2),
        ("amended_later", 2),
        ("submitted", 0),
        ("pending_approval", 0),
        ("rejected", 0),
        ("lapsed_by_clock", 0),
    ],
)
def test_what_was_entered_in_error_never_held_by_what_is_known_now(state: str, rows: int) -> None:
    world, changes = marked(state)
    assert world.status == "entered_in_error"
    assert in_force(world.grant) == ()
    assert [change.act for change in changes] == ["close"] * rows
    assert permissions.rows(world.grant) == ()


def test_its_history_stays() -> None:
    world, _ = marked("active")
    grant: Grant | None = None
    held = False
    for event in world.grant_events:
        grant = evolve(grant, event)  # type: ignore[arg-type]
        held = held or in_force(grant) == ((SIGNED, ENDS, 1),)
    assert held
    assert (world.grant.number, world.grant.effects[0].ends_at) == ("G-20260302-0001-X", ENDS)
    assert world.refusal(NoteGrant(grant_id=GRANT, label="found"), by="ben") == ""
    assert isinstance(world.grant_events[-1], GrantNoted)


def test_until_it_is_confirmed_a_proposal_changes_nothing() -> None:
    world = any_world_in("error_proposed")
    assert (world.status, in_force(world.grant)) == ("active", ((SIGNED, ENDS, 1),))
    renew(world)
    assert case_word(world) == "submitted"
    world.now = ENDS
    world.run(RecordExpiry(grant_id=GRANT), by="timekeeper")
    assert world.run(CONFIRM, by="dirk")
    assert world.status == "entered_in_error"
    assert world.grant.closed == {"r1": "ended"}


def test_a_proposal_called_off_is_off_and_may_be_made_anew() -> None:
    world = any_world_in("error_proposed")
    assert world.run(DISMISS, by="ann")
    assert world.refusal(CONFIRM, by="dirk") == "error.unknown"
    again = ProposeError(grant_id=GRANT, case="e2")
    assert world.refusal(again, by="dirk", reason=WHY) == ""
    assert world.refusal(CONFIRM, by="dora") == "error.unknown"
    assert world.refusal(ConfirmError(grant_id=GRANT, case="e2"), by="dora") == ""
    assert world.status == "entered_in_error"


def test_two_people_means_two_people() -> None:
    """A deputy is not another than whom they stand in for, nor is a second record of a person."""
    world = any_world_in("active")
    world.set_deputy("dora", "dirk")
    world.run(PROPOSE, by="dirk", on_behalf_of="dora", reason=WHY)
    assert world.refusal(CONFIRM, by="dora") == "duties.not_separate"
    assert world.refusal(CONFIRM, by="dirk") == "duties.not_separate"
    assert world.refusal(CONFIRM, by="zoe") == ""
    merged = any_world_in("error_proposed")
    merged.merge_persons("dora", "dirk")
    assert merged.refusal(CONFIRM, by="dirk") == "duties.not_separate"


def test_whoever_finds_an_error_is_of_the_staff_and_a_person() -> None:
    world = any_world_in("active")
    for name, code in (
        ("idle", "role.missing"),
        ("mia", "role.missing"),
        ("rules", "role.missing"),
        ("timekeeper", "role.missing"),
        ("ben", ""),
    ):
        assert world.refusal(PROPOSE, by=name, reason=WHY) == code


def test_who_had_a_hand_in_the_grant_may_confirm_its_error() -> None:
    """Dora approved it; whoever proposed the error is another person, and that is what is asked."""
    world = any_world_in("active")
    world.run(PROPOSE, by="ann", reason=WHY)
    assert world.refusal(CONFIRM, by="dora") == ""


def test_nothing_goes_on_with_what_was_entered_in_error() -> None:
    world, _ = marked("expired")
    command = RequestRenewal(grant_id=GRANT, case="r1", term=Term(ends_at=AGAIN))
    assert world.refusal(command, by="ann") == "grant.state"
    assert world.refusal(PROPOSE, by="dora", reason=WHY) == "grant.state"


# --- superseded -----------------------------------------------------------------------------------


def supersede(world: World, successor: str = ANOTHER, by: str = "dora") -> str:
    return world.refusal(SupersedeGrant(grant_id=GRANT, successor=successor), by=by)


def test_another_grant_takes_its_place_at_once_and_is_named() -> None:
    world = any_world_in("active")
    another_grant(world)
    assert supersede(world) == ""
    assert in_force(world.grant) == ((SIGNED, world.now, 1),)
    assert (world.status, world.grant.successor) == ("superseded", ANOTHER)


def test_what_never_began_never_holds() -> None:
    world = any_world_in("scheduled")
    another_grant(world)
    assert supersede(world) == ""
    assert in_force(world.grant) == ()


def test_the_successor_is_another_grant_of_the_same_grantee_and_kind_in_effect() -> None:
    world = any_world_in("active")
    another_grant(world)
    assert supersede(world, GRANT) == "successor.same"
    assert supersede(world, "nothing") == "successor.unknown"
    assert supersede(world, by="ann") == "role.missing"
    kind = any_world_in("active")
    another_grant(kind, kind="trademark")
    assert supersede(kind) == "successor.other_kind"
    over = any_world_in("active")
    another_grant(over)
    over.given("grant", ANOTHER, _expired(over))
    assert supersede(over) == "successor.not_in_effect"


def _expired(world: World) -> Event:
    return GrantExpired(at=world.now, by=staff("root"), expired_at=world.now)


def test_the_successor_may_be_of_the_customer_that_it_was_merged_into() -> None:
    other = any_world_in("active")
    other.add_customer("store", {})
    another_grant(other, grantee="customer:store")
    assert supersede(other) == "successor.other_grantee"
    other.merge_customers("shop", "store")
    assert supersede(other) == ""


@pytest.mark.parametrize(("team", "code"), [("sales", ""), ("service", "successor.other_grantee")])
def test_a_grant_of_a_team_is_superseded_by_another_of_that_team(team: str, code: str) -> None:
    by: dict[str, Any] = {"at": T0 - DAY, "by": staff("root"), "dimension": "team"}
    world = World()
    points = [PointAdded(**by, path=path, names=names(path)) for path in ("sales", "service")]
    world.given("catalogue", TENANT, DimensionDeclared(**by, names=names("team")), *points)
    another_grant(world, grantee="team:sales")
    world.streams[GRANT] = world.streams.pop(ANOTHER)
    another_grant(world, grantee=f"team:{team}")
    assert supersede(world) == code


def test_an_open_renewal_ends_with_what_is_superseded() -> None:
    world = any_world_in("renewal_last")
    another_grant(world)
    assert supersede(world) == ""
    assert world.grant.closed == {"r1": "ended"}
    world.now += HOUR
    assert world.status == "superseded"


def test_there_is_an_end_to_proposals_and_wishes_called_off() -> None:
    """Each is kept for ever, so there are so many at the most; staff can end the grant as ever."""
    world = any_world_in("active")
    for number in range(MAX_HANDED):
        world.run(ProposeError(grant_id=GRANT, case=f"e{number}"), by="ben", reason=WHY)
        world.run(DismissError(grant_id=GRANT, case=f"e{number}"), by="ben")
    assert world.refusal(PROPOSE, by="ben", reason=WHY) == "case.too_many"
    wish = RequestRevocation(grant_id=GRANT, case="c9")
    assert world.refusal(wish, by="mia") == "case.too_many"
    world.run(RevokeGrant(grant_id=GRANT, case="c9"), by="dora", reason=WHY)
    assert world.status == "revoked"
