"""Pairs of commands on grants that exclude each other, or that are passed on from each other."""

from __future__ import annotations

import secrets

from msgspec.structs import replace

from domain.commands.grants import ApproveStage
from domain.commands.supervision import RevokeGrant, SuspendGrant
from domain.ledger import Submission
from domain.values import Scope
from domain.view import Command
from tests.support.drill_races import Case, Scene
from tests.support.ledger import new_id, submission
from tests.support.world import BECAUSE, BODY, World

EXCLUSIVE = replace(BODY, exclusive=True)
PASSED_ON = replace(BODY, depth=2)


def _waits(world: World, policy: str, *territory: str, product: str = "tea") -> str:
    """A grant under this policy that waits for its approval."""
    scope: Scope = {"territory": territory, "product": (product,)}
    command = replace(world.request_command(world.customer(), scope=scope), policy=policy)
    world.say("requester", command)
    world.check(command.grant_id)
    return command.grant_id


def _said(world: World, who: str, command: Command) -> Submission:
    return submission(world.tenant, command, world.party(who), reason=BECAUSE)


def _two_approvals(world: World) -> Scene:
    """Under a policy of the scene's own, of which one more grant is in effect elsewhere: neither
    process remembers its guard, so neither has to decide twice before the two meet."""
    policy = new_id()
    world.publish(replace(world.body, kind=f"kind-{secrets.token_hex(4)}"), policy)
    world.approve(_waits(world, policy, "CN/33"))
    one = _waits(world, policy, "CN/31")
    other = _waits(world, policy, "CN/31", "CN/32", product="tea/green")
    return Scene(
        world,
        _said(world, "approver0", ApproveStage(grant_id=one, stage="sales")),
        _said(world, "approver1", ApproveStage(grant_id=other, stage="sales")),
        (one, other),
    )


def _request_from(world: World, parent: str | None, pass_on: int) -> str:
    """A grant that waits for its approval, passed on from `parent`."""
    command = world.request_command(world.customer(), days=300 + 10 * pass_on)
    world.say("requester", replace(command, parent=parent, pass_on=pass_on))
    world.check(command.grant_id)
    return command.grant_id


def _top(world: World) -> str:
    grant = _request_from(world, None, 2)
    world.approve(grant)
    return grant


def _child_and_revocation(world: World) -> Scene:
    top = _top(world)
    child = _request_from(world, top, 1)
    return Scene(
        world,
        _said(world, "approver0", ApproveStage(grant_id=child, stage="sales")),
        _said(world, "compliance", RevokeGrant(grant_id=top, case=new_id())),
        (top, child),
    )


def _child_and_hold(world: World) -> Scene:
    top = _top(world)
    child = _request_from(world, top, 1)
    return Scene(
        world,
        _said(world, "approver0", ApproveStage(grant_id=child, stage="sales")),
        _said(world, "compliance", SuspendGrant(grant_id=top, hold=new_id())),
        (top, child),
    )


def _grandchild_and_revocation(world: World) -> Scene:
    """Two levels lie between the approval and the revocation."""
    top = _top(world)
    child = _request_from(world, top, 1)
    world.approve(child)
    last = _request_from(world, child, 0)
    return Scene(
        world,
        _said(world, "approver0", ApproveStage(grant_id=last, stage="sales")),
        _said(world, "compliance", RevokeGrant(grant_id=top, case=new_id())),
        (top, child, last),
    )


OVERLAP = Case("two overlapping approvals of an exclusive kind", _two_approvals, EXCLUSIVE)

CHAINS = (
    Case("approval of a child x revocation of its parent", _child_and_revocation, PASSED_ON),
    Case("approval of a child x suspension of its parent", _child_and_hold, PASSED_ON),
    Case("approval two levels below x revocation", _grandchild_and_revocation, PASSED_ON),
)
