"""Renewals and amendments of the sample's grants, from the day they are asked for."""

from __future__ import annotations

from datetime import timedelta
from typing import Final

from api.sample.asking import WAITING_DAYS
from api.sample.course import Course, Doing, Hand
from api.sample.desk import Shown
from domain.commands import cases
from domain.events.policy import PolicyBody
from domain.grant_states import Case, ends_of
from domain.terms import agreement_digest
from domain.values import Scope, Term

FATES: Final = (
    ("agreed", 0.82),
    ("failed", 0.02),
    ("rejected", 0.06),
    ("withdrawn", 0.04),
    ("lapsed", 0.04),
    ("declined", 0.02),
)


def fate_of(course: Course) -> str:
    """Draw how a case ends."""
    names = [name for name, _ in FATES]
    return course.draw.choices(names, [share for _, share in FATES])[0]


def renew(course: Course, hand: Hand, days: int, fate: str, halt: str | None = None) -> Doing:
    """Ask that it goes on for so many days, and walk the case; return whether it was agreed."""
    ends_at = ends_of(course.state)
    term = Term(days=days)
    shown: tuple[Shown, ...] = ()
    if course.kind == "trademark" and ends_at is not None:
        term = Term(ends_at=ends_at + timedelta(days=days))
        shown = (Shown("contract", place="档案柜 2，续签卷", ends_at=term.ends_at),)
    command = cases.RequestRenewal(
        grant_id=course.grant_id, case=course.new_id("renewal"), term=term
    )
    course.hands.clear()
    yield from course.do(hand, command, 0.0, 2.0, shown=shown)
    return (yield from _walk(course, command.case, hand, fate, halt))


def amend(
    course: Course,
    hand: Hand,
    fate: str,
    halt: str | None = None,
    *,
    scope: Scope | None = None,
    actions: tuple[str, ...] | None = None,
    later_days: float = 0.0,
) -> Doing:
    """Propose other terms and walk the case; return whether it was agreed."""
    effective_at = None
    if later_days:
        effective_at = course.at + timedelta(days=later_days)
        effective_at = effective_at.replace(hour=0, minute=0, second=0, microsecond=0)
    command = cases.ProposeAmendment(
        grant_id=course.grant_id,
        case=course.new_id("amendment"),
        scope=scope,
        actions=actions,
        effective_at=effective_at,
    )
    course.hands.clear()
    yield from course.do(hand, command, 0.0, 2.0)
    return (yield from _walk(course, command.case, hand, fate, halt))


def _open(course: Course, case: str) -> Case | None:
    found = course.state.open_case
    return found if found is not None and found.case == case else None


def _walk(course: Course, case: str, hand: Hand, fate: str, halt: str | None) -> Doing:
    """Check, approve, sign; `fate` says how it ends, `halt` in which state it is left waiting."""
    where_lost = course.draw.choice(("submitted", "pending_approval", "approved"))
    steps = (
        ("submitted", _checks),
        ("pending_approval", _stages),
        ("approved", _signatures),
    )
    for here, step in steps:
        found = _open(course, case)
        if found is None:
            return False
        if found.status != here:
            continue
        if halt == here:
            return False
        if fate in ("withdrawn", "lapsed") and where_lost == here:
            if fate == "withdrawn":
                command = cases.WithdrawCase(grant_id=course.grant_id, case=case)
                yield from course.do(hand, command, 1.0, 6.0)
            return False
        body = course.body(found.policy.version)
        if not (yield from step(course, case, body, fate)):
            return False
    return True


def _checks(course: Course, case: str, body: PolicyBody, fate: str) -> Doing:
    kinds = () if body.verification is None else body.verification.kinds
    for kind in kinds:
        channel, shown = course.way()
        verifier = course.pick("verifier")
        if fate == "failed":
            failed = cases.FailCase(
                grant_id=course.grant_id, case=case, check=kind, channel=channel
            )
            yield from course.do(
                verifier, failed, *WAITING_DAYS, why=course.why("failed"), shown=shown
            )
            return False
        command = cases.CheckCase(grant_id=course.grant_id, case=case, check=kind, channel=channel)
        yield from course.do(verifier, command, *WAITING_DAYS, shown=shown)
    return True


def _stages(course: Course, case: str, body: PolicyBody, fate: str) -> Doing:
    refused_in = course.draw.choice(body.stages).id if fate == "rejected" else None
    for stage in body.stages:
        (group,) = stage.groups
        for number in range(group.number):
            hand = course.pick(group.role, levels=group.levels)
            if stage.id == refused_in:
                command = cases.RejectCase(grant_id=course.grant_id, case=case)
                yield from course.do(hand, command, *WAITING_DAYS, why=course.why("rejected"))
                return False
            approve = cases.ApproveCase(grant_id=course.grant_id, case=case, stage=stage.id)
            yield from course.do(hand, approve, *WAITING_DAYS)
            if number + 1 < group.number and course.chance(0.1):
                retract = cases.RetractCaseApproval(
                    grant_id=course.grant_id, case=case, stage=stage.id
                )
                yield from course.do(hand, retract)
                yield from course.do(hand, approve, *WAITING_DAYS)
    return True


def _signatures(course: Course, case: str, body: PolicyBody, fate: str) -> Doing:
    agreement = body.agreement
    for party in () if agreement is None else agreement.signers:
        found = _open(course, case)
        if found is None or agreement is None:
            return False
        hand = course.member() if party == "grantee" else course.pick("compliance", fresh=False)
        if fate == "declined":
            decline = cases.DeclineCase(grant_id=course.grant_id, case=case, party=party)
            yield from course.do(hand, decline, 1.0, 8.0, why=course.why("declined"))
            return False
        digest = agreement_digest(agreement, found.terms)
        sign = cases.SignCase(grant_id=course.grant_id, case=case, party=party, digest=digest)
        yield from course.do(hand, sign, 0.5, 7.0)
    return True
