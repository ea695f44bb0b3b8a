"""A grant in effect: suspended for one reason or several, resumed, revoked; notes at any time."""

from __future__ import annotations

from datetime import timedelta
from typing import Final

from domain import duties, grantees
from domain.codes import require_code
from domain.errors import Refused
from domain.events.grant import (
    GrantNoted,
    GrantResumed,
    GrantRevocationCancelled,
    GrantRevocationProposed,
    GrantRevocationRequested,
    GrantRevoked,
    GrantSuspended,
    GrantSuspensionConfirmed,
)
from domain.grant_guards import (
    REVOKERS,
    Setting,
    find_hold,
    require_few_cases,
    require_second_person,
    require_status,
)
from domain.grant_states import (
    EFFECTIVE,
    Grant,
    Hold,
    Revocation,
    ends_of,
    open_holds,
    status_at,
)
from domain.grants import GrantEvent
from domain.sealing import Sealed
from domain.values import Instant, stamp

MAX_HOLDS: Final = 200
"""Most holds one grant ever has, those that are over included."""

# --- holds ----------------------------------------------------------------------------------------


def suspend(grant: Grant, setting: Setting, *, hold: str, provisional: bool) -> list[GrantEvent]:
    """Hold it for one reason more; a provisional hold falls unless a second person confirms it.

    Raises `Refused`: `role.missing`, `grant.state`, `reason.missing`, `hold.too_many`.
    """
    duties.require_role(setting.actor, "compliance", setting.at)
    require_status(grant, setting.at, EFFECTIVE)
    if find_hold(grant, hold) is not None:
        return []
    duties.require_reason(setting.act)
    if len(grant.holds) >= MAX_HOLDS:
        raise Refused("hold.too_many", limit=MAX_HOLDS)
    days = timedelta(days=setting.body.provisional_days)
    confirm_by = setting.at + days if provisional else None
    return [GrantSuspended(**stamp(setting.act), hold=hold, confirm_by=confirm_by)]


def confirm_suspension(grant: Grant, setting: Setting, *, hold: str) -> list[GrantEvent]:
    """Stand behind a provisional hold as the second person.

    Raises `Refused`: `role.missing`, `grant.state`, `hold.unknown`, `hold.over`,
    `duties.not_separate`.
    """
    duties.require_role(setting.actor, "compliance", setting.at)
    require_status(grant, setting.at, ("suspended",))
    found = require_hold(grant, hold)
    if found not in open_holds(grant, setting.at):
        raise Refused("hold.over", hold=hold)
    if found.confirm_by is None:
        return []
    require_second_person(found.persons, setting)
    return [GrantSuspensionConfirmed(**stamp(setting.act), hold=hold)]


def resume(grant: Grant, setting: Setting, *, hold: str) -> list[GrantEvent]:
    """End one hold because its cause is cleared; it takes effect again when no hold is left.

    Raises `Refused`: `role.missing`, `grant.state`, `hold.unknown`, `reason.missing`.
    """
    duties.require_role(setting.actor, "compliance", setting.at)
    found = find_hold(grant, hold)
    over = found is not None and found not in open_holds(grant, setting.at)
    if over and status_at(grant, setting.at) in EFFECTIVE:
        return []
    require_status(grant, setting.at, ("suspended",))
    require_hold(grant, hold)
    duties.require_reason(setting.act)
    return [GrantResumed(**stamp(setting.act), hold=hold)]


def require_hold(grant: Grant, hold: str) -> Hold:
    """Return the hold of this id; `hold.unknown` where there never was one."""
    found = find_hold(grant, hold)
    if found is None:
        raise Refused("hold.unknown", hold=hold)
    return found


# --- revocation -----------------------------------------------------------------------------------


def request_revocation(grant: Grant, setting: Setting, *, case: str) -> list[GrantEvent]:
    """Ask, for the grantee, to end it; it ends when another person confirms.

    Raises `Refused`: `member.missing`, `grant.state`, `revocation.open`, `case.too_many`.
    """
    grantees.require_grantee(setting.actor, setting.grantee, "revoke", setting.at, setting.same)
    require_status(grant, setting.at, EFFECTIVE)
    if grant.revocation is not None and grant.revocation.origin == "customer":
        return []
    require_no_revocation(grant)
    require_few_cases(grant)
    return [GrantRevocationRequested(**stamp(setting.act), case=case)]


def confirm_revocation(grant: Grant, setting: Setting, *, case: str) -> list[GrantEvent]:
    """Confirm, as another person, what the customer asked for or staff proposed; it is revoked.

    Raises `Refused`: `member.missing`, `role.missing`, `grant.state`, `revocation.unknown`,
    `duties.not_separate`, `revocation.backdated_too_far`.
    """
    require_may_confirm(grant, setting)
    require_status(grant, setting.at, EFFECTIVE)
    open_case = require_revocation(grant, case)
    require_second_person(grant.hands.get(case, frozenset()), setting)
    effective_at = confirmed_effect(open_case, setting)
    return [
        GrantRevoked(
            **stamp(setting.act), origin=open_case.origin, effective_at=effective_at, case=case
        )
    ]


def require_may_confirm(grant: Grant, setting: Setting) -> None:
    """Refuse whoever is neither staff who may revoke nor, for the customer's own wish, a member."""
    if setting.actor.staff is not None:
        duties.require_any_role(setting.actor, REVOKERS, setting.at)
        return
    if grant.revocation is not None and grant.revocation.origin == "staff":
        raise Refused("role.missing", party=setting.actor.party.ref, roles=REVOKERS)
    grantees.require_grantee(setting.actor, setting.grantee, "revoke", setting.at, setting.same)


def confirmed_effect(case: Revocation, setting: Setting) -> Instant:
    """Return from when a confirmed case takes effect: as proposed, but a later instant that passed
    meanwhile is now. Raises `Refused`: `revocation.backdated_too_far`.
    """
    if case.effective_at is None:
        return setting.at
    if case.effective_at >= case.at:
        return max(case.effective_at, setting.at)
    require_backdate(case.effective_at, setting)
    return case.effective_at


def cancel_revocation(grant: Grant, setting: Setting, *, case: str) -> list[GrantEvent]:
    """Call it off: the customer what it asked for, staff what staff proposed.

    Raises `Refused`: `member.missing`, `role.missing`, `grant.state`, `revocation.unknown`.
    """
    require_status(grant, setting.at, EFFECTIVE)
    open_case = require_revocation(grant, case)
    if open_case.origin == "staff":
        duties.require_any_role(setting.actor, REVOKERS, setting.at)
    else:
        grantees.require_grantee(setting.actor, setting.grantee, "revoke", setting.at, setting.same)
    return [GrantRevocationCancelled(**stamp(setting.act), case=case)]


def revoke(
    grant: Grant, setting: Setting, *, case: str, effective_at: Instant | None
) -> list[GrantEvent]:
    """End it as staff, from `effective_at` (None: now); proposed first where the policy wants two.

    Raises `Refused`: `role.missing`, `grant.state`, `reason.missing`, `revocation.not_sooner`,
    `revocation.backdated_too_far`, `revocation.after_end`, `revocation.open`.
    """
    act = setting.act
    duties.require_any_role(setting.actor, REVOKERS, act.at)
    if status_at(grant, act.at) == "revoked" and effective_at is None:
        return []
    require_status(grant, act.at, EFFECTIVE)
    duties.require_reason(act)
    ends = effective_at or act.at
    if grant.revoked_from == ends:
        return []
    require_sooner(grant, ends)
    require_backdate(ends, setting)
    if setting.body.revocation_persons == 1:
        return [GrantRevoked(**stamp(act), origin="staff", effective_at=ends)]
    require_no_revocation(grant)
    return [GrantRevocationProposed(**stamp(act), case=case, effective_at=effective_at)]


def revoke_by_rule(grant: Grant, setting: Setting, *, cause: str) -> list[GrantEvent]:
    """End it now because a rule says so; `cause` names the rule, or what it was applied to.

    Raises `Refused`: `role.missing`, `grant.state`, `code.malformed`.
    """
    require_service(setting)
    if status_at(grant, setting.at) == "revoked":
        return []
    require_status(grant, setting.at, EFFECTIVE)
    require_code("cause", cause)
    act = setting.act
    return [GrantRevoked(**stamp(act), origin="automatic", effective_at=act.at, cause=cause)]


def require_service(setting: Setting) -> None:
    """Refuse with `role.missing` whoever is no service: a rule is no person's decision."""
    party = setting.actor.party
    if party.kind != "service":
        raise Refused("role.missing", party=party.ref, roles=("service",))


def require_no_revocation(grant: Grant) -> None:
    """Refuse with `revocation.open` a second case beside the one that waits."""
    if grant.revocation is not None:
        raise Refused("revocation.open", case=grant.revocation.case)


def require_revocation(grant: Grant, case: str) -> Revocation:
    """Return the case that waits; `revocation.unknown` where it is another one or none."""
    if grant.revocation is None or grant.revocation.case != case:
        raise Refused("revocation.unknown", case=case)
    return grant.revocation


def require_sooner(grant: Grant, effective_at: Instant) -> None:
    """Refuse an end that changes nothing, or would postpone one already decided on."""
    if grant.revoked_from is not None and grant.revoked_from < effective_at:
        raise Refused("revocation.not_sooner", effective_at=grant.revoked_from)
    ends_at = ends_of(grant)
    if ends_at is not None and ends_at <= effective_at:
        raise Refused("revocation.after_end", ends_at=ends_at)


def require_backdate(effective_at: Instant, setting: Setting) -> None:
    """Refuse with `revocation.backdated_too_far` an end before the policy's bound."""
    earliest = setting.at - timedelta(days=setting.body.backdate_days)
    if effective_at < earliest:
        raise Refused("revocation.backdated_too_far", earliest=earliest)


# --- notes ----------------------------------------------------------------------------------------


def note(
    grant: Grant,  # noqa: ARG001
    setting: Setting,
    *,
    label: str | None,
    text: Sealed | None,
) -> list[GrantEvent]:
    """Keep something worth keeping, in any state.

    Raises `Refused`: `member.missing`, `note.empty`, `code.malformed`.
    """
    require_may_note(setting)
    if label is None and text is None:
        raise Refused("note.empty")
    if label is not None:
        require_code("label", label)
    return [GrantNoted(**stamp(setting.act), label=label, text=text)]


def require_may_note(setting: Setting) -> None:
    """Refuse with `member.missing` whoever is neither staff, nor a service, nor a member."""
    actor, grantee = setting.actor, setting.grantee
    if actor.staff is not None or actor.party.kind == "service":
        return
    acts = ("request", "provide", "sign", "revoke", "report_use")
    if not any(grantees.acts_for(actor, grantee, act, setting.at, setting.same) for act in acts):
        raise Refused("member.missing", party=actor.party.ref, customer=grantee.ref, act="any")
