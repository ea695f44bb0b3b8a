"""Two grants of an exclusive kind, about to meet; and how the refusal of one is read."""

from __future__ import annotations

from typing import Any

from domain.commands.grants import (
    ApproveStage,
)
from domain.events.policy import PolicyBody
from domain.exclusions import exclusion_stream
from tests.domain.grant_family import (
    Family,
    easy,
    somewhere,
    staged,
)
from tests.domain.grant_world import HOUR

GUARD = exclusion_stream("dealership")
IN_PUDONG = somewhere("CN/31/0115", "tea/green")


def exclusive(**changes: Any) -> PolicyBody:
    """An exclusive policy under which one approver gives what is asked for."""
    return staged(**{"exclusive": True, **changes})


def approving(grant: str, by: str = "carl") -> dict[str, Any]:
    """The last approval, with who gives it."""
    return {"command": ApproveStage(grant_id=grant, stage="only"), "by": by}


def one_taken(policy: PolicyBody | None = None, **changes: Any) -> Family:
    """The shop has `one`: tea in Shanghai, from T0 until ENDS."""
    world = Family(policy or exclusive())
    world.request("one", **changes)
    world.approve("one")
    world.now += HOUR
    return world


def both_asked(policy: PolicyBody | None = None, **other: Any) -> Family:
    """`one` and `other` wait for their approval."""
    world = Family(policy or exclusive())
    world.request("one")
    world.request("other", **{"grantee": "north", "scope": IN_PUDONG, **other})
    world.now += HOUR
    return world


def refused(world: Family, command: Any, by: Any) -> Any:
    """Return what the overlap is told to be."""
    found = world.no(command, by=by)
    assert found.code == "grant.exclusive_overlap"
    return found.params


def one_taken_at_once(**changes: Any) -> Family:
    """The same under a policy without stages, which may be passed on."""
    world = Family(easy(exclusive=True))
    world.request("one", **changes)
    world.now += HOUR
    return world
