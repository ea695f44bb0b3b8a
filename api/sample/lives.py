"""What happens to a grant in effect: holds, notes, amendments, renewals, and how it ends."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Final

from api.sample import cases, reasons
from api.sample.course import Course, Doing, Hand
from domain.commands import cases as case_commands
from domain.commands import grants, supervision
from domain.grant_states import EFFECTIVE, ends_of, status_at
from domain.values import Party

RULES: Final = Party("service:risk-rules")
"""Revokes by itself when a rule says so."""

A_YEAR: Final = 1.7
"""How many things happen to a grant in effect each year, beside its renewal."""

RENEWED_SHARE: Final = 0.62
IN_GRACE_SHARE: Final = 0.15


def live(course: Course) -> Doing:
    """Live through the terms agreed on until it ends."""
    while True:
        ends_at = ends_of(course.state)
        if ends_at is None or course.state.status not in EFFECTIVE:
            return
        goes_on = yield from _until_renewal(course)
        ends_at = ends_of(course.state)
        if not goes_on or not _goes_on(course) or ends_at is None:
            return
        late = course.chance(IN_GRACE_SHARE)
        wanted = course.chance(RENEWED_SHARE)
        if not wanted or course.state.terms.parent is not None:
            return
        when = ends_at + timedelta(days=2) if late else ends_at - timedelta(days=38)
        yield from course.until(when)
        if not late and not _goes_on(course):
            return
        days = course.draw.choice((180, 365, 365, 400))
        agreed = yield from cases.renew(course, course.carer(), days, cases.fate_of(course))
        if not agreed:
            return


def _goes_on(course: Course) -> bool:
    return status_at(course.state, course.at) in ("active", "suspended")


def _until_renewal(course: Course) -> Doing:
    """Let what happens happen, up to forty days before the end; return whether it goes on."""
    while True:
        ends_at = ends_of(course.state)
        if ends_at is None or status_at(course.state, course.at) not in EFFECTIVE:
            return False
        wait = course.draw.expovariate(A_YEAR / 365)
        if course.at + timedelta(days=wait) > ends_at - timedelta(days=40):
            return True
        yield from course.rest(max(1.0, wait))
        if status_at(course.state, course.at) not in ("active", "scheduled"):
            return True
        names = [name for name, _ in HAPPENINGS]
        name = course.draw.choices(names, [share for _, share in HAPPENINGS])[0]
        if not (yield from DOINGS[name](course)):
            return False


# --- what may happen; each tells whether it goes on -----------------------------------------------


def held(course: Course) -> Doing:
    """Suspend and resume."""
    yield from _hold(course, provisional=False)
    yield from course.rest(course.draw.uniform(2, 40))
    if not _goes_on(course):
        return False
    yield from resume_all(course)
    return True


def held_provisionally(course: Course) -> Doing:
    """Suspend for the time being; a second person confirms, or nobody does and the hold falls."""
    hold = yield from _hold(course, provisional=True)
    if course.chance(0.5):
        confirm = supervision.ConfirmSuspension(grant_id=course.grant_id, hold=hold)
        yield from course.do(course.pick("compliance"), confirm, 0.3, 2.0)
        yield from course.rest(course.draw.uniform(5, 30))
        if not _goes_on(course):
            return False
        yield from resume_all(course)
    else:
        yield from course.rest(9.0)
    return True


def _hold(course: Course, *, provisional: bool) -> Doing:
    course.hands.clear()
    hold = course.new_id("hold")
    command = supervision.SuspendGrant(grant_id=course.grant_id, hold=hold, provisional=provisional)
    yield from course.do(course.pick("compliance"), command, 0.0, 1.0, why=course.why("suspended"))
    return hold


def resume_all(course: Course) -> Doing:
    """End every hold there is."""
    for hold in [one.id for one in course.state.holds if one.until is None]:
        command = supervision.ResumeGrant(grant_id=course.grant_id, hold=hold)
        hand = course.pick("compliance", fresh=False)
        yield from course.do(hand, command, why=course.why("resumed"))


def noted(course: Course) -> Doing:
    """Write a note."""
    command = grants.NoteGrant(grant_id=course.grant_id, label=course.draw.choice(reasons.LABELS))
    yield from course.do(course.carer(), command, text=("text", course.draw.choice(reasons.NOTES)))
    return True


def amended(course: Course) -> Doing:
    """Change actions or scope."""
    if course.state.open_case is not None:
        return True
    scope, actions = other_terms(course)
    if scope is None and actions is None:
        return True
    later = course.draw.choice((0.0, 0.0, 30.0))
    fate = cases.fate_of(course)
    yield from cases.amend(
        course, course.carer(), fate, scope=scope, actions=actions, later_days=later
    )
    return True


def other_terms(
    course: Course,
) -> tuple[dict[str, tuple[str, ...]] | None, tuple[str, ...] | None]:
    """Return other scope or actions to ask for; both None where nothing else is possible."""
    terms = course.state.terms
    if terms.parent is not None or course.kind not in ("dealership", "trademark"):
        return None, None
    if terms.actions == ("sell",):
        return None, ("promote", "sell")
    if terms.actions == ("label",):
        return None, ("label", "print")
    channel = terms.scope.get("channel")
    if channel == ("store",):
        return {**terms.scope, "channel": ("store", "wholesale")}, None
    if course.kind == "dealership" and len(terms.actions) > 1:
        return None, ("sell",)
    return None, None


def revoked_by_staff(course: Course) -> Doing:
    """Revoke, with a second person where the policy wants one; now, later or from some days ago."""
    course.hands.clear()
    effective_at = None
    when = course.draw.random()
    if when < 0.2:
        effective_at = course.at + timedelta(days=course.draw.randrange(8, 30))
    elif when < 0.3 and course.kind == "dealership":
        effective_at = course.at - timedelta(days=5)
    ends_at = ends_of(course.state)
    if effective_at is not None and (ends_at is None or effective_at >= ends_at):
        effective_at = None
    command = supervision.RevokeGrant(
        grant_id=course.grant_id, case=course.new_id("revocation"), effective_at=effective_at
    )
    first = course.pick("compliance")
    yield from course.do(first, command, 0.0, 2.0, why=course.why("revoked"))
    waiting = course.state.revocation
    if waiting is not None:
        confirm = supervision.ConfirmRevocation(grant_id=course.grant_id, case=waiting.case)
        yield from course.do(course.pick("approver"), confirm, 0.5, 3.0)
    return False


def revoked_by_customer(course: Course) -> Doing:
    """Let the customer ask for the end, and call it off or have it confirmed."""
    yield from asked_to_end(course)
    waiting = course.state.revocation
    if waiting is None:
        return True
    if course.chance(0.25):
        cancel = supervision.CancelRevocation(grant_id=course.grant_id, case=waiting.case)
        yield from course.do(course.member(), cancel, 0.5, 4.0)
        return True
    confirm = supervision.ConfirmRevocation(grant_id=course.grant_id, case=waiting.case)
    yield from course.do(course.pick("compliance"), confirm, 0.5, 5.0)
    return False


def asked_to_end(course: Course) -> Doing:
    """Let a member ask for the end."""
    course.hands.clear()
    command = supervision.RequestRevocation(
        grant_id=course.grant_id, case=course.new_id("revocation")
    )
    yield from course.do(course.member(), command, 0.0, 1.0)


def revoked_by_rule(course: Course) -> Doing:
    """Let a rule revoke it."""
    cause = course.draw.choice(("sales_below_floor", "price_floor_broken", "arrears_90_days"))
    command = supervision.RevokeByRule(grant_id=course.grant_id, cause=cause)
    yield from course.do(Hand("", RULES), command, 0.0, 1.0)
    return False


def entered_in_error(course: Course) -> Doing:
    """Find out that it never should have been entered; some of that is dismissed."""
    course.hands.clear()
    case = course.new_id("error")
    propose = case_commands.ProposeError(grant_id=course.grant_id, case=case)
    yield from course.do(course.carer(), propose, 0.0, 2.0, why=course.why("error"))
    if course.chance(0.15):
        dismiss = case_commands.DismissError(grant_id=course.grant_id, case=case)
        yield from course.do(course.pick("compliance"), dismiss, 0.5, 3.0)
        return True
    confirm = case_commands.ConfirmError(grant_id=course.grant_id, case=case)
    yield from course.do(course.pick("compliance"), confirm, 0.5, 3.0)
    return False


HAPPENINGS: Final = (
    ("held", 0.24),
    ("held_provisionally", 0.14),
    ("noted", 0.2),
    ("amended", 0.26),
    ("revoked_by_staff", 0.05),
    ("revoked_by_customer", 0.06),
    ("revoked_by_rule", 0.03),
    ("entered_in_error", 0.02),
)
DOINGS: Final[dict[str, Callable[[Course], Doing]]] = {
    "held": held,
    "held_provisionally": held_provisionally,
    "noted": noted,
    "amended": amended,
    "revoked_by_staff": revoked_by_staff,
    "revoked_by_customer": revoked_by_customer,
    "revoked_by_rule": revoked_by_rule,
    "entered_in_error": entered_in_error,
}
