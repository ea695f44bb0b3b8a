"""The access check: may this subject do this action on this resource, and why, or why not.

One pure decision, whether its material comes from memory, from the database, or from the past.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from functools import lru_cache
from types import MappingProxyType
from typing import Any, Final, Literal, NamedTuple, cast

import msgspec

from domain.errors import Refused
from domain.scopes import Asked, Pattern, path_fault, prefixes
from domain.teams import TEAM
from domain.values import Instant
from projections.chains import Link, chain_of, link
from projections.material import EVER, Attributes, Right, Subject, Windows

NOTHING: Final[Mapping[str, Any]] = MappingProxyType({})

MAX_SUBJECT: Final = 256
"""Longest subject ref in characters."""


class Question(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """May `subject` (a party's ref) do `action` on the resource?

    `properties` of the resource and `context` are documents of the caller; only what they say of
    dimensions counts. `at` is the instant asked about (None: now), `as_of` the position of the log
    by whose knowledge (None: today's). `at_least`: answer no sooner than that position is seen.
    `full` asks the database whatever is remembered.
    """

    tenant: str
    subject: str
    action: str
    resource_type: str
    resource_id: str
    properties: Mapping[str, Any] = NOTHING
    context: Mapping[str, Any] = NOTHING
    at: Instant | None = None
    as_of: int | None = None
    at_least: int | None = None
    consistency: Literal["default", "full"] = "default"


class Material(NamedTuple):
    """What a question is decided on: the subject, the resource's attributes (dimension -> path,
    several where it lies below each of them), streams in quarantine with the position from which
    they are, and the position all this was read at.

    `as_of` is that position where the question was asked of the past, else None.
    """

    subject: Subject
    attributes: Attributes
    quarantined: Mapping[str, int]
    position: int
    as_of: int | None = None


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


class Decision(msgspec.Struct, frozen=True, gc=False):
    """The answer: `right` is what allows it, None a denial.

    `moment` is the instant asked about, or that in seconds since 1970; `read_at` the position of
    what it was decided on, the rest as in `Material`.
    """

    question: Question
    right: Right | None
    moment: Instant | float
    subject: Subject
    attributes: Attributes
    quarantined: Mapping[str, int]
    read_at: int
    as_of: int | None = None

    @property
    def allowed(self) -> bool:
        return self.right is not None

    @property
    def at(self) -> Instant:
        """The instant asked about."""
        moment = self.moment
        return moment if isinstance(moment, datetime) else datetime.fromtimestamp(moment, UTC)

    @property
    def position(self) -> int:
        """The place in the log it rests on: all that was recorded up to there was seen."""
        return self.read_at if self.as_of is None else self.as_of

    @property
    def material(self) -> Material:
        """What it was decided on."""
        return Material(self.subject, self.attributes, self.quarantined, self.read_at, self.as_of)

    def explanation(self, gone: Sequence[Right] = ()) -> Explanation:
        """Return why. `gone`: grants of the subject, and of those above its own, of which no row is
        left; from `read_gone`.
        """
        if self.right is not None:
            above = chain_of(self.right, self.material.subject.above, self.at).above
            return _of(self.right, "check.allowed", chain=tuple(map(link, above)))
        return _denial(self.material, self.question, self.at, gone)


def decide(material: Material, question: Question, at: Instant) -> Decision:
    """Return the answer at `at`. Raises `Refused`: `check.bad_id`.

    Allowed is what one right allows: its kind declares the resource's type, it has the action, its
    scope covers the point, it is in force at `at` and its grantee in standing, its policy is there,
    and nothing it rests on is in quarantine. Where it was passed on, the same holds of every grant
    above, at the same instant and for the same point.
    """
    rights = material.subject.usable.get(question.action)
    if rights is not None:
        resource_type = question.resource_type
        point: Asked | None = None
        for right in rights:
            if resource_type not in right.dimensions:
                continue
            for begin, until in right.windows:
                if begin <= at < until:
                    break
            else:
                continue
            if material.quarantined and is_quarantined(material, question, right):
                continue
            if point is None:
                point = place(material, question)
            if right.scope.covers(point) and (
                right.parent is None or _is_backed(material, question, at, point, right)
            ):
                return Decision(question, right, at, *material)
    require_ids(question)
    return Decision(question, None, at, *material)


def _is_backed(
    material: Material, question: Question, at: Instant, point: Asked, right: Right
) -> bool:
    """Tell whether every grant above allows the same."""
    chain = chain_of(right, material.subject.above, at)
    return chain.fault is None and all(
        _own_failure(material, question, at, point, above) is None for above in chain.above
    )


def require_ids(question: Question) -> None:
    """Refuse ids that name no single thing: `check.bad_id`, with the member and what is wrong."""
    named = (("resource.type", question.resource_type), ("resource.id", question.resource_id))
    for member, text in named:
        fault = path_fault(text)
        if member == "resource.type" and "/" in text:
            fault = "slash"
        if fault is not None:
            raise Refused("check.bad_id", member=member, fault=fault)
    fault = "too_long" if len(question.subject) > MAX_SUBJECT else path_fault(question.subject)
    if fault is not None:
        raise Refused("check.bad_id", member="subject", fault=fault)


_prefixes = lru_cache(maxsize=65_536)(prefixes)


def place(material: Material, question: Question, more: frozenset[str] = frozenset()) -> Asked:
    """Return the asked point, as far as the subject's rights ask for it, with every pattern that
    would cover it.

    A dimension's path comes from the resource itself, else from its properties, else from the
    catalogue, else from the context. What is given and is no path covers nothing: a wrong property
    is not replaced by a stored one.
    """
    point = {question.resource_type: _prefixes(question.resource_id)}
    wanted = material.subject.dimensions
    for dimension in wanted | more if more else wanted:
        if dimension not in point:
            for given in (question.properties, material.attributes, question.context):
                if dimension in given:
                    point[dimension] = _patterns(given[dimension])
                    break
    return Asked(point)


def _patterns(given: Any) -> tuple[Pattern, ...]:
    """Return what would cover a path; of several stored ones, what would cover any of them."""
    if isinstance(given, str):
        return _prefixes(given)
    if isinstance(given, tuple):
        paths = cast(tuple[str, ...], given)
        return tuple(dict.fromkeys(one for path in paths for one in _prefixes(path)))
    return ()


def is_quarantined(material: Material, question: Question, right: Right) -> bool:
    """Tell whether a stream the answer rests on was in quarantine by then.

    Beside the right's own streams that is the catalogue, whose id is the tenant's, for a team's
    right and wherever it says where the resource lies; and a customer who is the resource.
    """
    streams = right.streams
    if right.party.startswith(_TEAM):
        streams = (*streams, question.tenant)
    if material.attributes:
        streams = (*streams, question.tenant, question.resource_id)
    for stream in streams:
        since = material.quarantined.get(stream)
        if since is not None and (material.as_of is None or since <= material.as_of):
            return True
    return False


_TEAM: Final = f"{TEAM}:"


class _Failure(NamedTuple):
    """The first test a right fails; the higher the rank, the nearer it came."""

    rank: int
    right: Right
    explanation: Explanation


def _denial(
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
    own = _own_failure(material, question, at, point, right)
    if own is not None:
        belongs = subject.member.get(right.party)
        if belongs is not None and own.explanation.code == "check.grantee_not_in_standing":
            return _Failure(own.rank, right, _of(right, **_outside(subject, right, belongs, at)))
        return own
    chain = chain_of(right, subject.above, at)
    for level, above in enumerate(chain.above, 1):
        failure = _own_failure(material, question, at, point, above)
        if failure is not None:
            why = _above(failure.explanation, right, chain.above[:level])
            return _Failure(_NEAR + failure.rank, right, why)
    why = _of((right, *chain.above)[-1], chain.fault or "check.chain_unresolved")
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


def _own_failure(
    material: Material, question: Question, at: Instant, point: Asked, right: Right
) -> _Failure | None:
    """Return what fails in a right by itself, None where nothing does."""
    if question.resource_type not in right.dimensions:
        dimension, path = question.resource_type, question.resource_id
        why = _of(right, "scope.not_covered", dimension=dimension, path=path)
        return _Failure(0, right, why)
    if question.action not in right.actions:
        return _Failure(1, right, _of(right, "check.action_not_granted"))
    uncovered = right.scope.first_uncovered(point)
    if uncovered is not None:
        dimension, code = uncovered
        path = (point.get(dimension) or (None,))[-1]
        return _Failure(2, right, _of(right, code, dimension=dimension, path=path))
    if not right.policy_known:
        return _Failure(3, right, _of(right, "check.policy_unknown"))
    if is_quarantined(material, question, right):
        return _Failure(4, right, _of(right, "check.quarantined"))
    if at < right.valid_from:
        return _Failure(7, right, _of(right, "check.not_yet", instant=right.valid_from))
    if right.valid_to <= at:
        return _stopped(right, at)
    if not _within(right.windows, at):
        return _Failure(9, right, _of(right, "check.grantee_not_in_standing", party=right.party))
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
        return _Failure(5, right, _of(right, "check.ended", instant=right.valid_to))
    stop = min(effective, key=lambda one: (_STOPPED[one.why][0], one.from_))
    rank, code = _STOPPED[stop.why]
    since = None if stop.from_ == EVER else stop.from_
    why = _of(right, code, instant=since, until=stop.until, hold=stop.hold)
    return _Failure(rank, right, why)


def _of(right: Right, code: str, **more: Any) -> Explanation:
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
