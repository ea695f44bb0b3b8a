"""Why a check was answered so: the grant it rests on, or the first thing that fails in the nearest
one.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final, NamedTuple

import msgspec

from domain.scopes import Asked
from domain.values import Instant
from projections.chains import Link, chain_of, link
from projections.material import EVER, Right, Subject, Windows
from projections.question import Material, Question, is_quarantined, place


class Explanation(msgspec.Struct, frozen=True, omit_defaults=True):
    """Why. With `check.allowed` the grant it rests on, else the first thing that fails in the
    nearest grant.

    `rests_on` is the position of the event that opened the permission. `dimension` and `path` say
    where a scope does not cover, `instant` and `until` when it was out of force, `hold` which hold
    suspends, `party` who is not in standing. `chain`: the grants above, the nearest first.

    With a `level` it is a grant so many levels above the subject's own that fails: then `grant`,
    `number` and what follows speak of that one, `own` names the subject's grant, and `chain` ends
    with the one that fails.
    """

    code: str
    grant: str | None = None
    number: str | None = None
    terms: int | None = None
    policy: str | None = None
    policy_version: int | None = None
    rests_on: int | None = None
    level: int | None = None
    own: Link | None = None
    chain: tuple[Link, ...] = ()
    dimension: str | None = None
    path: str | None = None
    instant: Instant | None = None
    until: Instant | None = None
    hold: str | None = None
    party: str | None = None


class _Failure(NamedTuple):
    """The first test a right fails; the higher the rank, the nearer it came."""

    rank: int
    right: Right
    explanation: Explanation


def denial(
    material: Material, question: Question, at: Instant, gone: Sequence[Right]
) -> Explanation:
    if not material.subject.known:
        return Explanation("check.subject_unknown", party=question.subject)
    subject = material.subject
    missing = {one.grant: (one,) for one in gone if one.party not in subject.parties}
    rights = (*subject.rights, *(one for one in gone if one.grant not in missing))
    if not rights:
        return Explanation("check.no_grant", party=question.subject)
    if missing:
        with_missing = msgspec.structs.replace(subject, above={**subject.above, **missing})
        material = material._replace(subject=with_missing)
    point = place(material, question, frozenset(name for one in gone for name in one.dimensions))
    failures = (_failure(material, question, at, point, right) for right in rights)
    return max(failures, key=lambda one: (one.rank, one.right.known_from)).explanation


def _failure(
    material: Material, question: Question, at: Instant, point: Asked, right: Right
) -> _Failure:
    """Return what fails in a right that does not allow it, or in the grants above."""
    subject = material.subject
    own = own_failure(material, question, at, point, right)
    if own is not None:
        belongs = subject.member.get(right.party)
        if belongs is not None and own.explanation.code == "check.grantee_not_in_standing":
            return _Failure(own.rank, right, reason(right, **_outside(subject, right, belongs, at)))
        return own
    chain = chain_of(right, subject.above, at)
    for level, above in enumerate(chain.above, 1):
        failure = own_failure(material, question, at, point, above)
        if failure is not None:
            why = _above(failure.explanation, right, chain.above[:level])
            return _Failure(_NEAR + failure.rank, right, why)
    why = reason((right, *chain.above)[-1], chain.fault or "check.chain_unresolved")
    return _Failure(_NEAR, right, _above(why, right, chain.above) if chain.above else why)


def _above(why: Explanation, right: Right, above: Sequence[Right]) -> Explanation:
    """Return why a grant above fails as an explanation of the right that was passed on from it."""
    chain = tuple(map(link, above))
    return msgspec.structs.replace(why, level=len(chain), own=link(right), chain=chain)


def _outside(subject: Subject, right: Right, belongs: Windows, at: Instant) -> dict[str, str]:
    """Return why a team's right does not count: the subject's standing, its membership, the team's
    standing.
    """
    if not _within(subject.own, at):
        return {"code": "check.grantee_not_in_standing", "party": subject.ref}
    if not _within(belongs, at):
        return {"code": "check.not_in_team", "party": right.party}
    return {"code": "check.grantee_not_in_standing", "party": right.party}


def own_failure(
    material: Material, question: Question, at: Instant, point: Asked, right: Right
) -> _Failure | None:
    """Return what fails in a right by itself, None where nothing does."""
    if question.resource_type not in right.dimensions:
        dimension, path = question.resource_type, question.resource_id
        why = reason(right, "scope.not_covered", dimension=dimension, path=path)
        return _Failure(0, right, why)
    if question.action not in right.actions:
        return _Failure(1, right, reason(right, "check.action_not_granted"))
    uncovered = right.scope.first_uncovered(point)
    if uncovered is not None:
        dimension, code = uncovered
        path = (point.get(dimension) or (None,))[-1]
        return _Failure(2, right, reason(right, code, dimension=dimension, path=path))
    if not right.policy_known:
        return _Failure(3, right, reason(right, "check.policy_unknown"))
    if is_quarantined(material, question, right):
        return _Failure(4, right, reason(right, "check.quarantined"))
    if at < right.valid_from:
        return _Failure(7, right, reason(right, "check.not_yet", instant=right.valid_from))
    if right.valid_to <= at:
        return _stopped(right, at)
    if not _within(right.windows, at):
        return _Failure(9, right, reason(right, "check.grantee_not_in_standing", party=right.party))
    return None


def _within(windows: Windows, at: Instant) -> bool:
    return any(begin <= at < until for begin, until in windows)


_NEAR: Final = 10
"""A right that fails only above is nearer than any that fails by itself."""


_STOPPED: Final = {
    "error": (4, "check.entered_in_error"),
    "ended": (5, "check.ended"),
    "revoked": (6, "check.revoked"),
    "suspended": (8, "check.suspended"),
}
"""Ended for good is farthest from allowing, a hold that someone may lift nearest."""


def _stopped(right: Right, at: Instant) -> _Failure:
    """Say what keeps the right out of force at `at`, after its row: what is final goes before a
    hold.
    """
    effective = [
        stop for stop in right.stops if stop.from_ <= at and (stop.until is None or at < stop.until)
    ]
    if not effective:
        return _Failure(5, right, reason(right, "check.ended", instant=right.valid_to))
    stop = min(effective, key=lambda one: (_STOPPED[one.why][0], one.from_))
    rank, code = _STOPPED[stop.why]
    since = None if stop.from_ == EVER else stop.from_
    why = reason(right, code, instant=since, until=stop.until, hold=stop.hold)
    return _Failure(rank, right, why)


def reason(right: Right, code: str, **more: Any) -> Explanation:
    return Explanation(
        code,
        grant=right.grant,
        number=right.number,
        terms=right.terms,
        policy=right.policy,
        policy_version=right.policy_version,
        rests_on=right.known_from,
        **more,
    )
