"""What the timekeeper would write down of a grant and its cases, without a database."""

from __future__ import annotations

import pytest

from api.timekeeper import NOT_NOW, commands_for
from domain.commands.cases import RecordCaseLapse
from domain.effect import in_force
from domain.errors import Refused
from domain.grant_states import case_lapse_of
from projections.grants import due_at
from tests.domain.case_story import (
    ALL_REACH,
    RENEWAL,
    any_world_in,
    case_word,
    to_renewal_over_end,
)
from tests.domain.grant_world import DAY, ENDS, GRANT, World

WRITTEN = sorted(set(ALL_REACH) - {"none"})
LATER = (0, 1, 8, 31, 60, 190, 200, 211, 400)
"""So many days after a state was reached."""


def one_pass(world: World) -> int:
    """Write down what is due, as one pass does; return how much that was."""
    written = 0
    for command in commands_for(GRANT, world.grant, world.now):
        try:
            written += len(world.run(command, by="timekeeper"))
        except Refused as refused:
            if refused.code not in NOT_NOW:
                raise
    return written


@pytest.mark.parametrize("state", WRITTEN)
def test_what_is_due_is_written_once_and_changes_no_answer(state: str) -> None:
    for days in LATER:
        world = any_world_in(state)
        world.now += days * DAY
        due = due_at(world.grant)
        before = (world.status, in_force(world.grant))
        stood = case_word(world)
        written = one_pass(world)
        assert bool(written) == (due is not None and due <= world.now), (state, days, due)
        assert (world.status, in_force(world.grant)) == before
        stands = case_word(world)
        assert stands == stood or (stood, stands) == ("lapsed", "ended")
        assert one_pass(world) == 0
        again = due_at(world.grant)
        assert again is None or again > world.now


def test_an_open_case_is_due_when_its_step_or_grace_is_over() -> None:
    world = any_world_in("renewal_submitted")
    lapses_at = case_lapse_of(world.grant)
    assert due_at(world.grant) == lapses_at
    world.now += 31 * DAY
    assert commands_for(GRANT, world.grant, world.now) == [
        RecordCaseLapse(grant_id=GRANT, case=RENEWAL)
    ]
    late = World()
    to_renewal_over_end(late)
    assert due_at(late.grant) == ENDS + 10 * DAY


def test_a_case_that_a_revocation_to_come_will_end_is_due_then() -> None:
    world = any_world_in("renewal_revoked_by_clock")
    assert due_at(world.grant) == world.grant.revoked_from == world.now
    assert one_pass(world) == 1
    assert due_at(world.grant) is None
