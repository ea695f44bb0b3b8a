"""What a stream's state does not keep: since when its tasks wait, and when its cases were open."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

import msgspec
from msgspec.structs import replace

from domain.events import Event
from domain.events.grant import (
    GrantApprovalRetracted,
    GrantChecked,
    GrantExpired,
    GrantInformationProvided,
    GrantLapsed,
    GrantRequested,
    GrantRevocationProposed,
    GrantRevocationRequested,
    GrantStageApproved,
)
from domain.events.grant_cases import (
    CaseApprovalRetracted,
    CaseChecked,
    CaseEvent,
    CaseLapsed,
    CaseOpened,
    CaseStageApproved,
)
from domain.folding import hands_of
from domain.grant_cases import kind_of
from domain.grant_states import OPEN, Approval, Grant
from domain.values import Instant, PolicyRef
from projections.tasks import waiting

CaseKind = Literal["request", "renewal", "amendment", "revocation"]


class CaseCourse(msgspec.Struct, frozen=True):
    """One case: open during `[opened_at, closed_at)`, as recorded, under `policy`.

    `checks` and `approvals` are those that stand: other terms make both void, a retraction takes an
    approval away, and what an import inferred is nobody's. `imported`: taken over from before the
    ledger.
    """

    kind: CaseKind
    policy: PolicyRef
    opened_at: Instant
    closed_at: Instant | None = None
    checks: int = 0
    approvals: tuple[Approval, ...] = ()
    imported: bool = False


class Course(msgspec.Struct, frozen=True):
    """`since`: item of a task -> the instant from which it waits. `cases`: by case id."""

    since: Mapping[str, Instant] = {}
    cases: Mapping[str, CaseCourse] = {}


def step(course: Course, event: Event, after: Any) -> Course:
    """Return the course after `event`, which left its stream in the state `after`."""
    known, items = course.since, waiting(after)
    since = {item: known.get(item, event.at) for item in items}
    since |= {item: max(since[item], one.since) for item, one in items.items() if one.since}
    opened = _opened_stage(event, after)
    if opened in since:
        since[opened] = event.at
    if not isinstance(after, Grant):
        return Course(since)
    return Course(
        since, _closed(_handled(_begun(course.cases, event, after), event, after), event, after)
    )


def _opened_stage(event: Event, after: Any) -> str:
    """Return the item of the task whose next stage opens with this event; empty for none."""
    match event:
        case GrantStageApproved(lapses_at=lapses_at) if lapses_at is not None:
            return f"approve:{after.case}" if isinstance(after, Grant) else ""
        case CaseStageApproved(lapses_at=lapses_at) if lapses_at is not None:
            return f"approve:{event.case}"
        case _:
            return ""


Cases = Mapping[str, CaseCourse]


def _begun(cases: Cases, event: Event, after: Grant) -> Cases:
    imported = event.imported is not None
    match event:
        case GrantRequested():
            # Acts that an import told before the request stand under no case yet.
            early = cases.get("") or CaseCourse("request", event.policy, event.at)
            rest = {case: one for case, one in cases.items() if case}
            told = replace(early, policy=event.policy, opened_at=event.at, imported=imported)
            return {event.case: told, **rest}
        case CaseOpened():
            opened = CaseCourse(kind_of(event), event.policy, event.at, imported=imported)
        case GrantRevocationRequested() | GrantRevocationProposed():
            opened = CaseCourse("revocation", after.policy, event.at, imported=imported)
        case _:
            if after.case in cases:
                return cases
            opened = CaseCourse("request", after.policy, event.at, imported=imported)
            return {**cases, after.case: opened}
    return {**cases, event.case: opened}


def _handled(cases: Cases, event: Event, after: Grant) -> Cases:
    """Count the checks and approvals that stand."""
    inferred = event.imported is not None and event.imported.inferred
    case = event.case if isinstance(event, CaseEvent) else after.case
    found = cases.get(case)
    if found is None:
        return cases  # imported: of this case nothing was told before
    match event:
        case GrantChecked() | CaseChecked() if not inferred:
            counted = replace(found, checks=found.checks + 1)
        case GrantStageApproved() | CaseStageApproved() if not inferred:
            given = Approval(event.stage, event.group, hands_of(event))
            counted = replace(found, approvals=(*found.approvals, given))
        case GrantInformationProvided(terms=terms) if terms is not None:
            counted = replace(found, checks=0, approvals=())
        case GrantApprovalRetracted() | CaseApprovalRetracted():
            standing = _standing(after, case)
            left = tuple(one for one in found.approvals if one in standing)
            counted = replace(found, approvals=left)
        case _:
            return cases
    return {**cases, case: counted}


def _standing(grant: Grant, case: str) -> tuple[Approval, ...]:
    """Return the approvals of a case that stand in the state."""
    if case == grant.case:
        return grant.approvals
    return grant.open_case.approvals if grant.open_case is not None else ()


def _closed(cases: Cases, event: Event, after: Grant) -> Cases:
    still = _open(after)
    changed = {
        case: replace(one, closed_at=None if case in still else _moment(event))
        for case, one in cases.items()
        if (one.closed_at is None) != (case in still)
    }
    return {**cases, **changed} if changed else cases


def _open(grant: Grant) -> frozenset[str]:
    """Return the ids of the cases that are open by what was recorded."""
    found: list[str] = []
    if grant.status in OPEN:
        found.append(grant.case)
    if grant.open_case is not None:
        found.append(grant.open_case.case)
    if grant.revocation is not None:
        found.append(grant.revocation.case)
    return frozenset(found)


def _moment(event: Event) -> Instant:
    """Return when what the event tells happened: a lapse and an expiry are written down later."""
    match event:
        case GrantLapsed() | CaseLapsed():
            return event.lapsed_at
        case GrantExpired():
            return event.expired_at
        case _:
            return event.at
