"""Acts of verification: by whom, of which kind, on what record, and how many."""

from __future__ import annotations

from typing import Any

import pytest

from domain.commands.grants import FailCheck, GrantCommand, RecordCheck
from domain.granting import MAX_CHECKS
from domain.sealing import Sealed
from domain.values import Evidence
from tests.domain.grant_story import check, world_in
from tests.domain.grant_world import GRANT, RECORDING, WHY

BOTH = pytest.mark.parametrize("command", [RecordCheck, FailCheck])


def acting(command: type[Any], kind: str = "callback", channel: str = "email") -> GrantCommand:
    return command(grant_id=GRANT, check=kind, channel=channel)


@BOTH
@pytest.mark.parametrize("by", ["ann", "carl", "idle", "mia", "rules"])
def test_only_verifiers_check(command: type[Any], by: str) -> None:
    refusal = world_in("submitted").refusal(acting(command), by=by, reason=WHY)
    assert refusal == "role.missing"


@BOTH
@pytest.mark.parametrize("kind", ["", "called the shop", "call/back"])
def test_the_kind_of_a_check_is_a_code(command: type[Any], kind: str) -> None:
    refusal = world_in("submitted").refusal(acting(command, kind), by="ben", reason=WHY)
    assert refusal == "code.malformed"


@BOTH
@pytest.mark.parametrize("channel", ["phone", "interview", "video"])
def test_what_was_only_said_needs_a_stored_record(command: type[Any], channel: str) -> None:
    spoken = acting(command, channel=channel)
    on_paper = Evidence("recording", place=Sealed("c", "k", b"a drawer"))
    for shown in ((), (on_paper,)):
        world = world_in("submitted")
        code = world.refusal(spoken, by="ben", reason=WHY, evidence=shown)
        assert code == "grant.spoken_without_record"
    assert world_in("submitted").run(spoken, by="ben", reason=WHY, evidence=(RECORDING,))


def test_checks_that_never_reach_the_quorum_have_a_limit() -> None:
    world = world_in("submitted")
    for _ in range(MAX_CHECKS):
        check(world, "ben")
    assert world.refusal(acting(RecordCheck), by="bob") == "grant.too_many_checks"
