"""A request from the day it is made to its effect, or to how else it ends."""

from __future__ import annotations

from typing import Final, NamedTuple

from api.sample import reasons
from api.sample.chance import number_of
from api.sample.course import Course, Doing, Hand
from api.sample.desk import Shown
from domain.commands import grants
from domain.events.policy import PolicyBody
from domain.terms import agreement_digest
from domain.values import Scope, Term

FATES: Final = (
    ("agreed", 0.80),
    ("failed", 0.03),
    ("rejected", 0.06),
    ("withdrawn", 0.05),
    ("lapsed", 0.04),
    ("declined", 0.02),
)
"""How requests end, and how many of them."""

INFORMATION_SHARE: Final = 0.14
NARROWED_SHARE: Final = 0.03
RETRACTED_SHARE: Final = 0.12
WAITING_DAYS: Final = (0.5, 4.0)


class Wish(NamedTuple):
    """What is asked for."""

    grantee: str
    actions: tuple[str, ...]
    scope: Scope
    term: Term
    parent: str | None = None
    pass_on: int = 0
    template: str | None = None
    purpose: str | None = None


def fate_of(course: Course) -> str:
    """Draw how a request ends."""
    names = [name for name, _ in FATES]
    return course.draw.choices(names, [share for _, share in FATES])[0]


def ask_for(course: Course, wish: Wish, hand: Hand, *, fate: str, halt: str | None = None) -> Doing:
    """Walk a request; return whether it took effect or is to.

    `fate` says how it ends, `halt` in which state it is left waiting.
    """
    world = course.world
    number = number_of(course.name, course.at)
    command = grants.RequestGrant(
        grant_id=course.grant_id,
        number=number,
        number_claim=world.desk.hash("grant_number", number),
        case=course.new_id("request"),
        grantee=wish.grantee,
        policy=world.policies[course.kind],
        actions=wish.actions,
        scope=wish.scope,
        term=wish.term,
        parent=wish.parent,
        pass_on=wish.pass_on,
        template=wish.template,
        purpose=wish.purpose,
    )
    shown: tuple[Shown, ...] = ()
    if course.kind == "trademark":
        where = f"档案柜 {course.draw.randrange(1, 9)}，卷 {course.draw.randrange(1, 400)}"
        shown = (Shown("contract", place=where, ends_at=wish.term.ends_at),)
    state = yield from course.do(hand, command, 0.0, 0.5, shown=shown)
    body = course.body(state.policy.version)
    where_lost = course.draw.choice(("submitted", "pending_approval", "approved"))
    if halt == "submitted" or _lost(fate, where_lost, "submitted"):
        return (yield from _leave(course, fate, hand))
    informed = yield from _verification(course, body, hand, fate, halt)
    if not informed:
        return False
    if course.state.status == "pending_approval":
        if halt == "pending_approval" or _lost(fate, where_lost, "pending_approval"):
            return (yield from _leave(course, fate, hand))
        agreed = yield from _stages(course, body, fate)
        if not agreed:
            return False
    if course.state.status == "approved":
        if halt == "approved" or _lost(fate, where_lost, "approved"):
            return (yield from _leave(course, fate, hand))
        return (yield from _signatures(course, body, fate))
    return True


def _lost(fate: str, where: str, here: str) -> bool:
    return fate in ("withdrawn", "lapsed") and where == here


def _leave(course: Course, fate: str, hand: Hand) -> Doing:
    """Take it back, or let it lie until its time is over."""
    if fate == "withdrawn":
        yield from course.do(hand, grants.WithdrawGrant(grant_id=course.grant_id), 1.0, 8.0)
    return False


def _verification(
    course: Course, body: PolicyBody, hand: Hand, fate: str, halt: str | None
) -> Doing:
    """Ask and answer, check or fail; return whether it goes on."""
    grant_id = course.grant_id
    kinds = () if body.verification is None else body.verification.kinds
    asks = halt in ("information_requested", "verifying") or course.chance(INFORMATION_SHARE)
    if asks and course.state.status == "submitted":
        question = course.draw.choice(reasons.QUESTIONS)
        verifier = course.pick("verifier")
        command = grants.AskInformation(grant_id=grant_id)
        yield from course.do(verifier, command, *WAITING_DAYS, text=("question", question))
        course.hands.discard(verifier.number)  # a question is no hand
        if halt == "information_requested":
            return False
        provided = grants.ProvideInformation(grant_id=grant_id)
        answer = course.draw.choice(reasons.ANSWERS)
        yield from course.do(hand, provided, 0.5, 6.0, text=("answer", answer))
    if fate == "failed" and kinds:
        channel, shown = course.way()
        command = grants.FailCheck(grant_id=grant_id, check=kinds[0], channel=channel)
        yield from course.do(
            course.pick("verifier"), command, *WAITING_DAYS, why=course.why("failed"), shown=shown
        )
        return False
    if halt == "verifying" and len(kinds) < 2:
        return False
    for number, kind in enumerate(kinds):
        if number and halt == "verifying":
            return False
        channel, shown = course.way()
        command = grants.RecordCheck(grant_id=grant_id, check=kind, channel=channel)
        yield from course.do(course.pick("verifier"), command, *WAITING_DAYS, shown=shown)
    return True


def _stages(course: Course, body: PolicyBody, fate: str) -> Doing:
    """Approve stage by stage, or reject in one of them; return whether it was approved."""
    refused_in = course.draw.choice(body.stages).id if fate == "rejected" else None
    for stage in body.stages:
        (group,) = stage.groups
        if stage.id == refused_in:
            hand = course.pick(group.role, levels=group.levels)
            command = grants.RejectGrant(grant_id=course.grant_id)
            yield from course.do(hand, command, *WAITING_DAYS, why=course.why("rejected"))
            return False
        narrower = None
        if stage.may_narrow and course.chance(NARROWED_SHARE):
            narrower = course.state.terms.actions[:1]
        for number in range(group.number):
            hand = course.pick(group.role, levels=group.levels)
            approve = grants.ApproveStage(
                grant_id=course.grant_id, stage=stage.id, actions=narrower
            )
            yield from course.do(hand, approve, *WAITING_DAYS)
            if number + 1 < group.number and course.chance(RETRACTED_SHARE):
                retract = grants.RetractApproval(grant_id=course.grant_id, stage=stage.id)
                yield from course.do(hand, retract)
                yield from course.do(hand, approve, *WAITING_DAYS)
    return True


def _signatures(course: Course, body: PolicyBody, fate: str) -> Doing:
    """Let each party sign, or one decline; return whether it takes effect."""
    agreement = body.agreement
    if agreement is None:
        return True
    for party in agreement.signers:
        hand = course.member() if party == "grantee" else course.pick("compliance", fresh=False)
        if fate == "declined" and party == agreement.signers[-1]:
            decline = grants.DeclineGrant(grant_id=course.grant_id, party=party)
            yield from course.do(hand, decline, 1.0, 9.0, why=course.why("declined"))
            return False
        digest = agreement_digest(agreement, course.state.terms)
        sign = grants.SignGrant(grant_id=course.grant_id, party=party, digest=digest)
        yield from course.do(hand, sign, 0.5, 8.0)
    return True
