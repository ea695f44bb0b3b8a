"""The last weeks of the sample: inspections, closing dealers, next year's terms; all left open."""

from __future__ import annotations

import random
from collections.abc import Callable
from datetime import timedelta
from typing import Final

from api.sample import cases, lives, story
from api.sample.agenda import Script
from api.sample.chance import draws
from api.sample.course import Course, Doing, guarded
from api.sample.desk import idle
from api.sample.people import day
from api.sample.world import Dealer, World
from domain.commands import cases as case_commands
from domain.commands import supervision
from domain.grant_states import Grant, ends_of, status_at
from domain.values import Instant

BEGINS: Final = day("2026-10-23")
CASE_STEPS: Final = ("submitted", "pending_approval", "approved")


def close(world: World) -> Script:
    """Draw who is inspected, who wants to end, whose terms are to change, and let it begin."""
    yield idle(BEGINS)
    draw = draws("closing")
    chosen = _candidates(world, BEGINS)
    draw.shuffle(chosen)
    doings: tuple[tuple[Callable[[Course, random.Random], Doing], int, float], ...] = (
        (_renewal, 26, 0.2),
        (_amendment, 26, 0.4),
        (_inspection, 26, 4.2),
        (_complaint, 26, 2.0),
        (_wish_to_end, 26, 1.0),
        (_error_found, 5, 3.0),
        (_proposed_end, 3, 2.0),
    )
    for doing, full, days in doings:
        for _ in range(world.quota(full)):
            if not chosen:
                return
            grant_id, dealer = chosen.pop()
            state = world.grant(grant_id)
            at = BEGINS + timedelta(days=days)
            course = Course(world, f"closing/{state.number}", state.terms.kind, at, dealer.id)
            course.grant_id, course.dealer = grant_id, dealer
            world.begin(guarded(doing(course, draw)))


def _candidates(world: World, at: Instant) -> list[tuple[str, Dealer]]:
    """Return the dealerships that stand, with nothing open, and their dealers."""
    told = {number for number, *_ in story.CUSTOMERS}
    others = [one for one in world.dealers.values() if one.number not in told]
    dealers = {one.ref: one for one in others}
    found: list[tuple[str, Dealer]] = []
    for grant_id, state in world.grants():
        dealer = dealers.get(state.grantee)
        if dealer is not None and dealer.members and _is_quiet(world, state, dealer, at):
            found.append((grant_id, dealer))
    return found


def _is_quiet(world: World, state: Grant, dealer: Dealer, at: Instant) -> bool:
    ends_at = ends_of(state)
    return (
        state.terms.kind == "dealership"
        and status_at(state, at) == "active"
        and state.open_case is None
        and state.revocation is None
        and state.revoked_from is None
        and ends_at is not None
        and ends_at > at + timedelta(days=45)
        and world.stands(dealer, at)
    )


def _renewal(course: Course, draw: random.Random) -> Doing:
    yield from cases.renew(course, course.carer(), 365, "agreed", draw.choice(CASE_STEPS[:2]))


def _amendment(course: Course, draw: random.Random) -> Doing:
    terms = course.state.terms
    actions = ("sell",) if len(terms.actions) > 1 else ("promote", "sell")
    if terms.parent is not None:
        return
    halt = draw.choice(CASE_STEPS[:2])
    yield from cases.amend(course, course.carer(), "agreed", halt, actions=actions)


def _hold(course: Course, *, provisional: bool) -> Doing:
    command = supervision.SuspendGrant(
        grant_id=course.grant_id, hold=course.new_id("hold"), provisional=provisional
    )
    yield from course.do(course.pick("compliance"), command, 0.0, 1.0, why=course.why("suspended"))


def _inspection(course: Course, draw: random.Random) -> Doing:  # noqa: ARG001
    yield from _hold(course, provisional=True)


def _complaint(course: Course, draw: random.Random) -> Doing:  # noqa: ARG001
    yield from _hold(course, provisional=False)


def _wish_to_end(course: Course, draw: random.Random) -> Doing:  # noqa: ARG001
    yield from lives.asked_to_end(course)


def _error_found(course: Course, draw: random.Random) -> Doing:  # noqa: ARG001
    command = case_commands.ProposeError(grant_id=course.grant_id, case=course.new_id("error"))
    yield from course.do(course.carer(), command, 0.0, 2.0, why=course.why("error"))


def _proposed_end(course: Course, draw: random.Random) -> Doing:
    """Revoke, from the new year on."""
    command = supervision.RevokeGrant(
        grant_id=course.grant_id,
        case=course.new_id("revocation"),
        effective_at=BEGINS + timedelta(days=draw.randrange(9, 30)),
    )
    yield from course.do(course.pick("compliance"), command, 0.0, 2.0, why=course.why("revoked"))
