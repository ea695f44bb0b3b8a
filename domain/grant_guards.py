"""What the verbs of a grant ask before anything happens; each guard is one small function."""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from domain import duties, grantees
from domain.duties import Actor, Same
from domain.errors import Refused
from domain.events.policy import PolicyBody
from domain.grant_states import Check, Grant, Hold, Status, Walked, case_at, status_at
from domain.grantees import Grantee
from domain.values import CHANNELS, SPOKEN_CHANNELS, SPOKEN_RECORDS, Act, Instant

REVOKERS = ("compliance", "approver")
"""Roles that may end what was granted; narrowing wants no more than one of them."""

MAX_HANDED = 400
"""Most revocations and errors, those called off included, that one grant ever has."""

TENANT_SIGNERS = ("approver", "compliance")
"""Roles that sign for the tenant."""


class Setting(msgspec.Struct, frozen=True):
    """What a verb stands on: the pinned policy, the grantee, who acts and under what circumstances.

    `same` says who a person turned out to be; `grantor` on whose right it is passed on, None where
    it is the tenant's own, or who asks makes no difference.
    """

    body: PolicyBody
    grantee: Grantee
    actor: Actor
    act: Act
    same: Same
    grantor: Grantee | None = None

    @property
    def at(self) -> Instant:
        return self.act.at


def require_status(grant: Grant, at: Instant, allowed: Iterable[Status]) -> None:
    """Refuse with `grant.state` unless it is, by the clock, in one of the `allowed` states."""
    status = status_at(grant, at)
    if status not in allowed:
        raise Refused("grant.state", state=status)


def require_record(act: Act, channel: str) -> None:
    """Refuse what was only said and of which neither a recording nor a note is stored.

    Codes: `channel.unknown`, `grant.spoken_without_record`.
    """
    if channel not in CHANNELS:
        raise Refused("channel.unknown", channel=channel)
    if channel in SPOKEN_CHANNELS and not any(
        shown.kind in SPOKEN_RECORDS and shown.file is not None for shown in act.evidence
    ):
        raise Refused("grant.spoken_without_record", channel=channel)


def require_evidence(act: Act, body: PolicyBody) -> None:
    """Refuse with `grant.evidence_missing` a request without every kind of evidence demanded."""
    shown = {one.kind for one in act.evidence}
    missing = tuple(kind for kind in body.evidence if kind not in shown)
    if missing:
        raise Refused("grant.evidence_missing", kinds=missing)


def require_requester(grant: Grant, setting: Setting, member_act: str) -> None:
    """Refuse whoever neither asked, for it or for the open case, nor looks after the grantee now,
    nor acts for it.

    Codes: `member.missing`, `role.missing`, `role.not_requester`.
    """
    actor = setting.actor
    if actor.staff is None:
        require_member(setting, member_act)
        return
    if grantees.acts_for(actor, setting.grantee, member_act, setting.at, setting.same):
        return
    duties.require_role(actor, "requester", setting.at)
    assigned = not set(setting.grantee.ids).isdisjoint(actor.staff.customers)
    case = case_at(grant, setting.at)
    askers = grant.askers if case is None else grant.askers | case.askers
    asked = not duties.is_fresh(duties.persons_of(actor), askers, setting.same)
    if not (asked or assigned):
        raise Refused("role.not_requester", party=actor.party.ref)


def require_member(setting: Setting, act: str) -> None:
    """Refuse with `member.missing` whoever acts neither for the grantee nor for the grantor."""
    actor, at, same = setting.actor, setting.at, setting.same
    if setting.grantor is None or not grantees.acts_for(actor, setting.grantor, act, at, same):
        grantees.require_grantee(actor, setting.grantee, act, at, same)


def hands_in(walked: Walked) -> frozenset[str]:
    """Return every person with a hand in the request or case; a standing approval is a hand too."""
    approved = (approval.persons for approval in walked.approvals)
    return walked.hands.get(walked.case, frozenset()).union(*approved)


def approvers_of(walked: Walked) -> frozenset[str]:
    """Return the persons behind standing approvals."""
    return frozenset[str]().union(*(approval.persons for approval in walked.approvals))


def require_separate_from_asking(walked: Walked, setting: Setting) -> None:
    """Refuse with `duties.not_separate` a check by whoever asked, provided, or approved already."""
    duties.require_fresh(setting.actor, walked.askers | approvers_of(walked), setting.same)


def require_separate_from_case(walked: Walked, setting: Setting) -> None:
    """Refuse with `duties.not_separate` an approval by whoever had another hand in the case."""
    duties.require_fresh(setting.actor, hands_in(walked), setting.same)


def require_separate_from_approvals(walked: Walked, setting: Setting) -> None:
    """Refuse with `duties.not_separate` information from whoever approved; they would ask too."""
    duties.require_fresh(setting.actor, approvers_of(walked), setting.same)


def require_not_receiving(setting: Setting) -> None:
    """Refuse with `duties.receives` whoever is, or is a member of, the grantee."""
    duties.require_not_receiving(setting.actor, setting.grantee.records, setting.at, setting.same)


def require_few_cases(grant: Grant) -> None:
    """Refuse with `case.too_many` one more revocation or error than a grant ever has."""
    if len(grant.hands) > MAX_HANDED:
        raise Refused("case.too_many", limit=MAX_HANDED)


def require_second_person(persons: Iterable[str], setting: Setting) -> None:
    """Refuse to let one person be two: `actor.person_missing`, `duties.not_separate`."""
    duties.require_person(setting.actor)
    duties.require_fresh(setting.actor, persons, setting.same)


def resolved(persons: Iterable[str], same: Same) -> frozenset[str]:
    """Return who these persons turned out to be."""
    return frozenset(same(person) for person in persons)


def independent(checks: Iterable[Check], askers: Iterable[str], same: Same) -> tuple[Check, ...]:
    """Return the checks that count: no hand in them asked or provided."""
    asking = resolved(askers, same)
    return tuple(check for check in checks if resolved(check.persons, same).isdisjoint(asking))


def people_behind(checks: Iterable[Check], same: Same) -> int:
    """Return how many independent people checked: a deputy and whom they stood in for are one.

    Those who acted alone are counted first, then pairs of whom neither counted yet; so it may say
    too few where deputies change in turn, never too many.
    """
    counted: set[str] = set()
    count = 0
    for persons in sorted((resolved(check.persons, same) for check in checks), key=len):
        if persons and persons.isdisjoint(counted):
            counted |= persons
            count += 1
    return count


def reaches_quorum(
    body: PolicyBody, checks: Iterable[Check], askers: Iterable[str], same: Same
) -> bool:
    """Tell whether the checks that count are of every demanded kind and by enough people."""
    demanded = body.verification
    if demanded is None:
        return True
    counting = independent(checks, askers, same)
    kinds = {check.kind for check in counting}
    return kinds.issuperset(demanded.kinds) and people_behind(counting, same) >= demanded.persons


def find_hold(grant: Grant, hold_id: str) -> Hold | None:
    """Return the hold of this id, over or not."""
    found = [hold for hold in grant.holds if hold.id == hold_id]
    return found[0] if found else None
