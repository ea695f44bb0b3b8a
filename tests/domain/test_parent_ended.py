"""When a grant is over for good, and what then becomes of what was passed on from it."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from domain.commands.below import RevokePassedOn
from domain.events.grant import GrantRevoked
from domain.parent_ended import over_for_good
from tests.domain.grant_family import Family, passing_on, staged
from tests.domain.grant_world import DAY, ENDS, HOUR

HAIR = timedelta(microseconds=1)
GRACE = 10 * DAY
CHILD: dict[str, Any] = {"grantee": "north", "parent": "top"}
BELOW = RevokePassedOn(grant_id="child")


def is_over(world: Family, at: Any) -> bool:
    return over_for_good(world.state("top"), world.streams["dealership"].state, at)


def with_child() -> Family:
    world = passing_on()
    world.request("child", **CHILD)
    return world


def test_what_expired_is_over_for_good_when_its_grace_is_over() -> None:
    world = passing_on()
    for at, over in ((ENDS - HAIR, False), (ENDS, False), (ENDS + GRACE - HAIR, False)):
        assert is_over(world, at) is over
    assert is_over(world, ENDS + GRACE)
    assert over_for_good(world.state("top"), None, ENDS)


def test_an_open_renewal_may_bring_it_back() -> None:
    world = passing_on(staged())
    world.now = ENDS + GRACE - HOUR
    world.renew("top", ENDS + 50 * DAY)
    assert world.state("top").open_case is not None
    assert not is_over(world, ENDS + GRACE - HAIR)


def test_what_was_renewed_is_not_over() -> None:
    world = passing_on()
    world.now = ENDS + DAY
    world.renew("top", ENDS + 50 * DAY)
    assert not is_over(world, ENDS + GRACE)


def test_what_is_revoked_from_a_later_instant_is_over_from_then_on() -> None:
    world = with_child()
    later = world.now + 5 * DAY
    world.revoke("top", later)
    assert not is_over(world, later - HAIR)
    assert is_over(world, later)


def test_what_was_passed_on_is_revoked_once_by_the_timekeeper_and_names_its_parent() -> None:
    world = with_child()
    world.revoke("top")
    (event,) = world.run(BELOW, by="timekeeper")
    assert isinstance(event, GrantRevoked)
    assert (event.origin, event.cause, event.parent) == ("automatic", "parent_ended", "top")
    assert event.effective_at == world.now
    assert world.status_of("child") == "revoked"
    assert world.run(BELOW, by="timekeeper") == []


def test_the_parent_and_its_policy_are_among_the_reads() -> None:
    world = with_child()
    world.revoke("top")
    world.run(BELOW, by="timekeeper")
    assert {"child", "top", "dealership"} <= set(world.reads)


@pytest.mark.parametrize("what", ["nothing", "suspended", "no parent"])
def test_nothing_is_revoked_below_what_may_come_back(what: str) -> None:
    world = with_child()
    command = BELOW
    if what == "suspended":
        world.suspend("top")
    elif what == "no parent":
        world.request("alone", grantee="south")
        command = RevokePassedOn(grant_id="alone")
    assert world.no(command, by="timekeeper").code == "grant.parent_not_over"


def test_what_is_over_by_itself_is_not_revoked_as_well() -> None:
    world = with_child()
    world.now = ENDS + GRACE
    assert world.no(BELOW, by="timekeeper").code == "grant.state"


def test_no_person_ends_it_by_this_rule() -> None:
    world = with_child()
    world.revoke("top")
    assert world.no(BELOW, by="dora").code == "role.missing"
