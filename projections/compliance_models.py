"""What compliance asks about, as rows: cases with their beginning and end, terms in force, versions
of policies.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from domain.effect import InForce, in_force
from domain.grant_states import Grant, case_lapse_of, lapse_of
from domain.policies import Policy, status_at
from domain.values import Instant
from projections.courses import CaseCourse, Course
from projections.rows import SeriesModel

GRANTS: Final = frozenset({"grant"})
FOREVER: Final = "infinity"
"""What has no end; a column without nulls is walked in one order."""


def cases(_: str, course: Course, grant: Grant) -> list[dict[str, Any]]:
    """Return one row a request, renewal, amendment or revocation."""
    return [
        {
            "item": case,
            "kind": one.kind,
            "number": grant.number,
            "grantee": grant.grantee,
            "policy_id": one.policy.policy,
            "policy_version": one.policy.version,
            "opened_at": one.opened_at,
            "closed_at": one.closed_at,
            "over_at": one.closed_at or _over_at(grant, case, one) or FOREVER,
            "checks": one.checks,
            "approvals": len(one.approvals),
            "imported": one.imported,
        }
        for case, one in course.cases.items()
    ]


def _over_at(grant: Grant, case: str, one: CaseCourse) -> Instant | None:
    """Return when the clock alone ends an open case."""
    if one.kind == "revocation":
        return None
    return lapse_of(grant) if case == grant.case else case_lapse_of(grant)


def effects(_: str, __: Course, grant: Grant) -> list[dict[str, Any]]:
    """Return one row a number of terms that were ever in force."""
    spans = in_force(grant)
    if not spans:
        return []
    last = spans[-1][2]
    found: list[dict[str, Any]] = []
    for effect in grant.effects:
        number = effect.terms.number
        own = [span for span in spans if span[2] == number]
        if own:
            found.append(
                {
                    "item": str(number),
                    "number": grant.number,
                    "grantee": grant.grantee,
                    "kind": effect.terms.kind,
                    "policy_id": effect.policy.policy,
                    "policy_version": effect.policy.version,
                    "starts_at": own[0][0],
                    "ends_at": own[-1][1] or FOREVER,
                    "spans": multirange(own),
                    "last": number == last,
                    "evidence_ends_at": grant.evidence_ends_at,
                }
            )
    return found


def multirange(spans: Sequence[tuple[Instant, Instant | None, int]] | InForce) -> str:
    """Return half-open intervals as PostgreSQL writes a tstzmultirange."""
    written = (
        f"[{begin.isoformat()},{'' if end is None else end.isoformat()})" for begin, end, _ in spans
    )
    return "{" + ",".join(written) + "}"


def policy_versions(_: str, __: Course, policy: Policy) -> list[dict[str, Any]]:
    """Return one row a version, with the instant from which a newer one is in its place."""
    found: list[dict[str, Any]] = []
    for number, one in sorted(policy.versions.items()):
        later = sorted(
            other.from_
            for newer, other in policy.versions.items()
            if newer > number and other.from_ is not None
        )
        over = (at for at in later if status_at(policy, number, at) == "superseded")
        found.append(
            {
                "item": str(number),
                "number": number,
                "kind": policy.kind,
                "begins_at": one.from_,
                "retired_at": one.retired_at,
                "superseded_at": next(over, None),
                "demands_check": one.body.verification is not None,
            }
        )
    return found


CASES = SeriesModel(
    name="cases",
    fold=1,
    kinds=GRANTS,
    columns={
        "kind": "text",
        "number": "text",
        "grantee": "text",
        "policy_id": "text",
        "policy_version": "integer",
        "opened_at": "timestamptz",
        "closed_at": "timestamptz",
        "over_at": "timestamptz",
        "checks": "integer",
        "approvals": "integer",
        "imported": "boolean",
    },
    rows=cases,
)

EFFECTS = SeriesModel(
    name="effects",
    fold=1,
    kinds=GRANTS,
    columns={
        "number": "text",
        "grantee": "text",
        "kind": "text",
        "policy_id": "text",
        "policy_version": "integer",
        "starts_at": "timestamptz",
        "ends_at": "timestamptz",
        "spans": "tstzmultirange",
        "last": "boolean",
        "evidence_ends_at": "timestamptz",
    },
    rows=effects,
)

POLICY_VERSIONS = SeriesModel(
    name="policy_versions",
    fold=1,
    kinds=frozenset({"policy"}),
    columns={
        "number": "integer",
        "kind": "text",
        "begins_at": "timestamptz",
        "retired_at": "timestamptz",
        "superseded_at": "timestamptz",
        "demands_check": "boolean",
    },
    rows=policy_versions,
)
