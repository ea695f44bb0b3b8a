"""The grants as a table: one row a grant, for lists and for the timekeeper."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from domain.grant_states import (
    EFFECTIVE,
    OPEN,
    Grant,
    case_lapse_of,
    ends_of,
    lapse_of,
    starts_of,
)
from domain.values import Instant
from projections.rows import StreamModel


def due_at(grant: Grant) -> Instant | None:
    """Return when the clock will next do something to it that nobody has recorded yet, None for
    never.
    """
    if grant.status in OPEN:
        return lapse_of(grant)
    case_lapse = case_lapse_of(grant)
    starts_at = starts_of(grant)
    if grant.status not in EFFECTIVE or starts_at is None:
        return case_lapse
    found = [ends_of(grant)]
    if not grant.activated:
        found.append(starts_at)
    found += [hold.confirm_by for hold in grant.holds if hold.until is None]
    due = min((at for at in found if at is not None), default=None)
    if due is not None and grant.revoked_from is not None and grant.revoked_from <= due:
        due = None  # what comes first is the revocation, and that is recorded
    return min((at for at in (due, case_lapse) if at is not None), default=None)


def _id(text: str | None) -> str | None:
    """Return what has the form of an id; imported history may name a grant by something else."""
    try:
        return None if text is None else str(UUID(text))
    except ValueError:
        return None


def row(grant: Grant) -> dict[str, Any]:
    """Return the row of a state; start and end are those of effect, before it those asked for."""
    terms = grant.terms
    agreed = bool(grant.effects)
    return {
        "number": grant.number,
        "grantee": grant.grantee,
        "kind": terms.kind,
        "status": grant.status,
        "terms_number": terms.number,
        "actions": terms.actions,
        "scope": terms.scope,
        "policy_id": grant.policy.policy,
        "policy_version": grant.policy.version,
        "case_id": grant.case,
        "starts_at": starts_of(grant) if agreed else terms.term.starts_at,
        "ends_at": ends_of(grant) if agreed else terms.term.ends_at,
        "lapses_at": lapse_of(grant),
        "revoked_from": grant.revoked_from,
        "ended_at": grant.ended_at,
        "due_at": due_at(grant),
        "holds": sum(hold.until is None for hold in grant.holds),
        "revocation": None if grant.revocation is None else grant.revocation.case,
        "parent": _id(terms.parent),
        "irregular": grant.irregular,
    }


MODEL = StreamModel(
    name="grants",
    fold=1,
    kind="grant",
    key="grant_id",
    columns={
        "number": "text",
        "grantee": "text",
        "kind": "text",
        "status": "text",
        "terms_number": "integer",
        "actions": "text[]",
        "scope": "jsonb",
        "policy_id": "text",
        "policy_version": "integer",
        "case_id": "text",
        "starts_at": "timestamptz",
        "ends_at": "timestamptz",
        "lapses_at": "timestamptz",
        "revoked_from": "timestamptz",
        "ended_at": "timestamptz",
        "due_at": "timestamptz",
        "holds": "integer",
        "revocation": "text",
        "parent": "uuid",
        "irregular": "boolean",
    },
    row=row,
)
