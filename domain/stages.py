"""Stages of approval: whose turn it is, who may speak in which group, and which approvals count."""

from __future__ import annotations

from domain import duties
from domain.errors import Refused
from domain.events.policy import Group, PolicyBody, Stage
from domain.grant_guards import Setting, resolved
from domain.grant_states import Approval, Walked


def counting_approvals(walked: Walked, setting: Setting) -> tuple[Approval, ...]:
    """Return the approvals that count, by who the persons turned out to be.

    Two records merged after one approved may have made an approver of the requester, or one of two
    approvers; then the later hand does not count and its stage is open again.
    """
    taken = set(resolved(walked.hands.get(walked.case, ()), setting.same))
    counting: list[Approval] = []
    for approval in walked.approvals:
        persons = resolved(approval.persons, setting.same)
        if persons.isdisjoint(taken):
            counting.append(approval)
            taken |= persons
    return tuple(counting)


def is_complete(stage: Stage, approvals: tuple[Approval, ...]) -> bool:
    """Tell whether every group of the stage has as many approvals as it asks for."""
    return all(missing(stage, number, approvals) <= 0 for number in range(len(stage.groups)))


def missing(stage: Stage, group: int, approvals: tuple[Approval, ...]) -> int:
    """Return how many more people of one of the stage's groups have to approve."""
    given = sum(1 for one in approvals if one.stage == stage.id and one.group == group)
    return stage.groups[group].number - given


def open_stage(body: PolicyBody, approvals: tuple[Approval, ...]) -> Stage | None:
    """Return the stage whose turn it is: the first that is not complete; None when all are."""
    return next((stage for stage in body.stages if not is_complete(stage, approvals)), None)


def is_eligible(group: Group, setting: Setting) -> bool:
    """Tell whether the staff member whose rights are used is of the group's role and level now."""
    staff = setting.actor.staff
    if staff is None or not duties.has_role(setting.actor, group.role, setting.at):
        return False
    return not group.levels or staff.level in group.levels


def eligible_groups(stage: Stage, setting: Setting, role: str | None = None) -> list[int]:
    """Return the numbers of the stage's groups the actor may speak for, the strictest first.

    Raises `Refused`: `approver.not_eligible` where there is none.
    """
    found = [
        number
        for number, group in enumerate(stage.groups)
        if role in (None, group.role) and is_eligible(group, setting)
    ]
    if not found:
        raise Refused("approver.not_eligible", party=setting.actor.party.ref, stage=stage.id)
    return sorted(found, key=lambda number: _strictness(stage.groups[number]))


def require_open_stage(body: PolicyBody, stage: str, approvals: tuple[Approval, ...]) -> Stage:
    """Return the stage of this id. Raises `Refused`: `stage.unknown`, `stage.not_open`."""
    if all(one.id != stage for one in body.stages):
        raise Refused("stage.unknown", stage=stage)
    current = open_stage(body, approvals)
    if current is None or current.id != stage:
        raise Refused("stage.not_open", stage=stage, open=None if current is None else current.id)
    return current


def _strictness(group: Group) -> tuple[bool, int]:
    """Few levels come first, any level last: the wider group stays free for the others."""
    return not group.levels, len(group.levels)


def has_approved(walked: Walked, stage: str, setting: Setting) -> bool:
    """Tell whether exactly these hands gave a standing approval of the stage."""
    acting = duties.persons_of(setting.actor)
    return bool(acting) and any(
        approval.stage == stage and resolved(approval.persons, setting.same) == acting
        for approval in walked.approvals
    )
