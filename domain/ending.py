"""A grant whose place another takes, or that was entered in error; its history stays."""

from __future__ import annotations

from typing import Final

from domain import duties
from domain.errors import Refused
from domain.events.grant_cases import (
    GrantErrorDismissed,
    GrantErrorMarked,
    GrantErrorProposed,
    GrantSuperseded,
)
from domain.grant_guards import (
    REVOKERS,
    Setting,
    require_few_cases,
    require_second_person,
    require_status,
)
from domain.grant_states import Grant, status_at
from domain.grants import GrantEvent
from domain.values import stamp

ERROR_FINDERS: Final = ("requester", "verifier", "approver", "compliance")
"""Roles that may propose, or call off, that a grant is marked entered in error."""


def supersede(
    grant: Grant, setting: Setting, *, grant_id: str, successor_id: str, successor: Grant | None
) -> list[GrantEvent]:
    """End it because another grant of the same grantee and kind, in effect now, takes its place.

    Raises `Refused`: `role.missing`, `grant.state`, `successor.unknown`, `successor.same`,
    `successor.other_grantee`, `successor.other_kind`, `successor.not_in_effect`.
    """
    duties.require_any_role(setting.actor, REVOKERS, setting.at)
    if grant.status == "superseded" and grant.successor == successor_id:
        return []
    require_status(grant, setting.at, ("scheduled", "active"))
    if successor is None:
        raise Refused("successor.unknown", grant=successor_id)
    if successor_id == grant_id:
        raise Refused("successor.same", grant=successor_id)
    kind, _, grantee_id = successor.grantee.partition(":")
    merged = kind == setting.grantee.ref.partition(":")[0] and grantee_id in setting.grantee.ids
    if successor.grantee != setting.grantee.ref and not merged:
        raise Refused("successor.other_grantee", grant=successor_id)
    if successor.terms.kind != grant.terms.kind:
        raise Refused("successor.other_kind", kind=successor.terms.kind)
    if status_at(successor, setting.at) != "active":
        raise Refused("successor.not_in_effect", state=status_at(successor, setting.at))
    return [GrantSuperseded(**stamp(setting.act), successor=successor_id)]


def propose_error(grant: Grant, setting: Setting, *, case: str) -> list[GrantEvent]:
    """Say that it never should have been entered; another person confirms.

    Raises `Refused`: `role.missing`, `grant.state`, `actor.person_missing`, `reason.missing`,
    `error.open`, `case.too_many`.
    """
    duties.require_any_role(setting.actor, ERROR_FINDERS, setting.at)
    _require_not_marked(grant, setting)
    duties.require_person(setting.actor)
    duties.require_reason(setting.act)
    if grant.error is not None:
        raise Refused("error.open", case=grant.error)
    require_few_cases(grant)
    return [GrantErrorProposed(**stamp(setting.act), case=case)]


def confirm_error(grant: Grant, setting: Setting, *, case: str) -> list[GrantEvent]:
    """Mark it entered in error, as compliance and another person than who proposed it.

    Raises `Refused`: `role.missing`, `grant.state`, `error.unknown`, `duties.not_separate`.
    """
    duties.require_role(setting.actor, "compliance", setting.at)
    _require_not_marked(grant, setting)
    _require_proposed(grant, case)
    require_second_person(grant.hands.get(case, frozenset()), setting)
    return [GrantErrorMarked(**stamp(setting.act), case=case)]


def dismiss_error(grant: Grant, setting: Setting, *, case: str) -> list[GrantEvent]:
    """Call the proposal off. Raises `Refused`: `role.missing`, `grant.state`, `error.unknown`."""
    duties.require_any_role(setting.actor, ERROR_FINDERS, setting.at)
    _require_not_marked(grant, setting)
    _require_proposed(grant, case)
    return [GrantErrorDismissed(**stamp(setting.act), case=case)]


def _require_not_marked(grant: Grant, setting: Setting) -> None:
    if grant.status == "entered_in_error":
        require_status(grant, setting.at, ())


def _require_proposed(grant: Grant, case: str) -> None:
    if grant.error != case:
        raise Refused("error.unknown", case=case)
