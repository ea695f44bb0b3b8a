"""Renewals and amendments are opened here: other terms for a grant that was agreed on before."""

from __future__ import annotations

from datetime import timedelta
from typing import Final

import msgspec
from msgspec.structs import replace

from domain import grantees
from domain.case_events import events_of
from domain.case_steps import onward, step_lapse
from domain.catalogue import Catalogue
from domain.errors import Refused
from domain.events.policy import PolicyBody
from domain.grant_cases import after_case
from domain.grant_guards import (
    Setting,
    require_evidence,
    require_record,
    require_requester,
    require_status,
)
from domain.grant_states import (
    EFFECTIVE,
    Grant,
    case_at,
    case_lapse_of,
    ends_of,
    starts_of,
    status_at,
)
from domain.grants import GrantEvent
from domain.scopes import normal
from domain.terms import require_actions, require_dimensions, require_scope
from domain.values import Instant, PolicyRef, Scope, Term, Terms, stamp

MAX_CASES: Final = 200
"""Most renewals and amendments one grant ever has."""


class Amendment(msgspec.Struct, frozen=True, gc=False):
    """What is to be otherwise; None: as it is. `ends_at` is the new end."""

    actions: tuple[str, ...] | None = None
    scope: Scope | None = None
    ends_at: Instant | None = None
    pass_on: int | None = None


def request_renewal(
    grant: Grant,
    setting: Setting,
    catalogue: Catalogue | None,
    *,
    case: str,
    policy: PolicyRef,
    term: Term,
    channel: str,
) -> list[GrantEvent]:
    """Ask that it goes on after its end, under the policy version now in force.

    The new terms have the same actions and scope. Where the policy has fixed dates the term gives
    the new end, else the days; they count from the end agreed on before, or from the agreement
    where that is later. Raises `Refused`: `member.missing`, `role.missing`, `role.not_requester`,
    `grant.state`, `renewal.grace_over`, `renewal.no_end`, `case.open`, `case.too_many`,
    `grantee.standing`, `renewal.not_longer`, `action.*`, `scope.*`, `term.*`, `channel.unknown`,
    `grant.spoken_without_record`, `grant.evidence_missing`.
    """
    act, body = setting.act, setting.body
    require_requester(grant, setting, "request")
    ends_at = require_renewable(grant, body, act.at)
    lapsed = require_no_case(grant, setting)
    grantees.require_grantee_standing(setting.grantee, act.at)
    require_actions(grant.terms.actions, body)
    require_scope(grant.terms.scope, body, catalogue, act.at)
    require_record(act, channel)
    require_evidence(act, body)
    terms = replace(
        grant.terms,
        number=grant.terms.number + 1,
        term=renewal_term(term, body, ends_at, act.at),
    )
    opened = events_of("renewal").opened(
        **stamp(act),
        case=case,
        terms=terms,
        policy=policy,
        channel=channel,
        lapses_at=step_lapse(grant, "renewal", body, act.at, body.submission_lapse_days),
    )
    return [*lapsed, opened, *onward(after_case(grant, opened), setting)]


def propose_amendment(
    grant: Grant,
    setting: Setting,
    catalogue: Catalogue | None,
    *,
    case: str,
    policy: PolicyRef,
    wish: Amendment,
    effective_at: Instant | None,
    channel: str,
) -> list[GrantEvent]:
    """Propose other actions, another scope or end, from `effective_at` on (None: once agreed).

    Raises `Refused`: `member.missing`, `role.missing`, `role.not_requester`, `grant.state`,
    `case.open`, `case.too_many`, `grantee.standing`, `amendment.no_difference`,
    `amendment.effective_in_past`, `amendment.after_end`, `action.*`, `scope.*`, `term.*`,
    `grant.passing_on_too_deep`, `channel.unknown`, `grant.spoken_without_record`.
    """
    act, body = setting.act, setting.body
    require_requester(grant, setting, "request")
    require_status(grant, act.at, EFFECTIVE)
    lapsed = require_no_case(grant, setting)
    grantees.require_grantee_standing(setting.grantee, act.at)
    require_record(act, channel)
    terms = amended_terms(grant, wish, body, catalogue, effective_at, act.at)
    opened = events_of("amendment").opened(
        **stamp(act),
        case=case,
        terms=terms,
        policy=policy,
        channel=channel,
        effective_at=effective_at,
        lapses_at=step_lapse(grant, "amendment", body, act.at, body.submission_lapse_days),
    )
    return [*lapsed, opened, *onward(after_case(grant, opened), setting)]


def require_renewable(grant: Grant, body: PolicyBody, at: Instant) -> Instant:
    """Return the end that a renewal prolongs. Codes: `grant.state`, `renewal.grace_over`,
    `renewal.no_end`.
    """
    require_status(grant, at, ("active", "suspended", "expired"))
    ends_at = ends_of(grant)
    if ends_at is None:
        raise Refused("renewal.no_end")
    over = ends_at + timedelta(days=body.grace_days)
    if status_at(grant, at) == "expired" and over <= at:
        raise Refused("renewal.grace_over", over=over)
    return ends_at


def require_no_case(grant: Grant, setting: Setting) -> list[GrantEvent]:
    """Return what the clock did to an open case; `case.open` where there still is one."""
    if case_at(grant, setting.at) is not None and grant.open_case is not None:
        raise Refused("case.open", case=grant.open_case.case, kind=grant.open_case.kind)
    if len(grant.closed) >= MAX_CASES:
        raise Refused("case.too_many", limit=MAX_CASES)
    case, lapsed_at = grant.open_case, case_lapse_of(grant)
    if case is None or lapsed_at is None:
        return []
    lapsed = events_of(case.kind).lapsed
    return [lapsed(**stamp(setting.act), case=case.case, lapsed_at=lapsed_at)]


def renewal_term(term: Term, body: PolicyBody, ends_at: Instant, at: Instant) -> Term:
    """Return the term of a renewal of what ends at `ends_at`.

    Raises `Refused`: `term.dates_expected`, `term.days_expected`, `term.empty`, `term.too_long`,
    `term.over`, `renewal.not_longer`.
    """
    if body.starts != "fixed":
        if term.days is None or term.starts_at is not None or term.ends_at is not None:
            raise Refused("term.days_expected", starts=body.starts)
        if term.days < 1:
            raise Refused("term.empty")
        if term.days > body.longest_days:
            raise Refused("term.too_long", longest_days=body.longest_days)
        return term
    if term.ends_at is None or term.days is not None or term.starts_at not in (None, ends_at):
        raise Refused("term.dates_expected", starts=body.starts)
    if term.ends_at <= ends_at:
        raise Refused("renewal.not_longer", ends_at=ends_at)
    if term.ends_at <= at:
        raise Refused("term.over", ends_at=term.ends_at)
    if term.ends_at - ends_at > timedelta(days=body.longest_days):
        raise Refused("term.too_long", longest_days=body.longest_days)
    return Term(starts_at=ends_at, ends_at=term.ends_at)


def amended_terms(
    grant: Grant,
    wish: Amendment,
    body: PolicyBody,
    catalogue: Catalogue | None,
    effective_at: Instant | None,
    at: Instant,
) -> Terms:
    """Return the terms an amendment asks for, as they are written down."""
    known, ends = grant.terms, ends_of(grant)
    ends_at = ends if wish.ends_at is None else wish.ends_at
    actions = known.actions if wish.actions is None else tuple(sorted(wish.actions))
    require_actions(actions, body)
    scope = known.scope
    if wish.scope is not None:
        require_scope(wish.scope, body, catalogue, at)
        scope = normal(wish.scope)
    else:  # as it is, also over points that ended; what a newer version declares it must name too
        require_dimensions(scope, body)
    pass_on = known.pass_on if wish.pass_on is None else wish.pass_on
    if (actions, scope, ends_at, pass_on) == (known.actions, known.scope, ends, known.pass_on):
        raise Refused("amendment.no_difference")
    if not 0 <= pass_on <= body.depth:
        raise Refused("grant.passing_on_too_deep", depth=body.depth)
    if effective_at is not None and effective_at < at:
        raise Refused("amendment.effective_in_past", effective_at=effective_at)
    begin = max(at, effective_at or at, starts_of(grant) or at)
    over = min((one for one in (ends, ends_at) if one is not None), default=None)
    if over is not None and over <= begin:
        raise Refused("amendment.after_end", ends_at=over)
    _require_length(grant, ends_at, body)
    return replace(
        known,
        number=known.number + 1,
        actions=actions,
        scope=scope,
        pass_on=pass_on,
        term=Term(starts_at=effective_at, ends_at=ends_at),
    )


def _require_length(grant: Grant, ends_at: Instant | None, body: PolicyBody) -> None:
    """Refuse to prolong by amendment what would then be longer than the policy lets a term be."""
    known, starts_at = ends_of(grant), starts_of(grant)
    if ends_at is None or starts_at is None or (known is not None and ends_at <= known):
        return
    begin = grant.effects[-1].starts_at
    if ends_at - begin > timedelta(days=body.longest_days):
        raise Refused("term.too_long", longest_days=body.longest_days)
