"""What waits in a stream for somebody: one task an open step, as far as its own state can tell.

Which stage is open and who signs stands in the pinned policy, which is asked when the list is read;
so a stream may say more here than waits in the end, never less.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final, Literal, get_args

import msgspec

from domain.customers import Customer
from domain.grant_states import (
    EFFECTIVE,
    Grant,
    case_lapse_of,
    ends_of,
    lapse_of,
)
from domain.policies import Policy
from domain.values import Instant
from projections.rows import SeriesModel

if TYPE_CHECKING:
    from projections.courses import Course

Kind = Literal[
    "check",
    "answer",
    "approve",
    "sign",
    "confirm_revocation",
    "confirm_suspension",
    "confirm_error",
    "decide_correction",
    "decide_merge",
    "identify",
    "approve_policy",
    "publish_policy",
]

KINDS: Final[tuple[Kind, ...]] = get_args(Kind)

IDENTIFY_AHEAD: Final = timedelta(days=30)
"""So long before a customer's confirmation ends the next identification is work."""

_BEGINNING: Final = datetime.min.replace(tzinfo=UTC)

SIGNERS: Final = ("grantee", "tenant")


class Waiting(msgspec.Struct, frozen=True):
    """One open step: over by itself at `lapses_at`; waits from the event on with which it first
    appeared, but not before `since`.
    """

    kind: Kind
    lapses_at: Instant | None = None
    since: Instant | None = None


def waiting(state: Any) -> Mapping[str, Waiting]:
    """Return what waits by item, which is unique in the stream: the kind and what it is about."""
    match state:
        case Grant():
            return _of_grant(state)
        case Customer():
            return _of_customer(state)
        case Policy():
            return _of_policy(state)
        case _:
            return {}


def _of_grant(grant: Grant) -> dict[str, Waiting]:
    found: dict[str, Waiting] = {}
    if not grant.grantee:
        return found  # imported, and its request was never told: no command passes
    signed = frozenset[str](one.party for one in grant.signatures)
    found |= _steps(grant.status, grant.case, lapse_of(grant), signed)
    if (case := grant.open_case) is not None:
        signed = frozenset[str](one.party for one in case.signatures)
        found |= _steps(case.status, case.case, case_lapse_of(grant), signed)
    if grant.error is not None:
        found[f"confirm_error:{grant.error}"] = Waiting("confirm_error")
    if grant.status not in EFFECTIVE:
        return found
    over = _first(ends_of(grant), grant.revoked_from)
    if grant.revocation is not None:
        item = f"confirm_revocation:{grant.revocation.case}"
        found[item] = Waiting("confirm_revocation", over)
    for hold in grant.holds:
        if hold.until is None and hold.confirm_by is not None:
            item = f"confirm_suspension:{hold.id}"
            found[item] = Waiting("confirm_suspension", _first(over, hold.confirm_by))
    return found


def _steps(
    status: str, case: str, lapses_at: Instant | None, signed: frozenset[str]
) -> dict[str, Waiting]:
    """Return the open step of a request, a renewal or an amendment."""
    match status:
        case "submitted" | "verifying":
            return {f"check:{case}": Waiting("check", lapses_at)}
        case "information_requested":
            return {f"answer:{case}": Waiting("answer", lapses_at)}
        case "pending_approval":
            return {f"approve:{case}": Waiting("approve", lapses_at)}
        case "approved":
            left = [party for party in SIGNERS if party not in signed]
            return {f"sign:{case}:{party}": Waiting("sign", lapses_at) for party in left}
        case _:
            return {}


def _of_customer(customer: Customer) -> dict[str, Waiting]:
    if customer.status == "merged":
        return {}
    found = {
        f"decide_correction:{name}": Waiting("decide_correction")
        for name, correction in customer.corrections.items()
        if correction.outcome is None
    }
    if customer.merge is not None:
        found[f"decide_merge:{customer.merge.into}"] = Waiting("decide_merge")
    until = customer.confirmed_until
    if customer.status in ("confirmed", "lapsed") and until is not None:
        item = f"identify:{until.isoformat()}"
        # Imported history may name the first instants there are: nothing lies ahead of them.
        since = until - IDENTIFY_AHEAD if until - _BEGINNING >= IDENTIFY_AHEAD else _BEGINNING
        found[item] = Waiting("identify", until, since)
    return found


def _of_policy(policy: Policy) -> dict[str, Waiting]:
    kinds: dict[str, Kind] = {"submitted": "approve_policy", "approved": "publish_policy"}
    return {
        f"{kinds[one.status]}:{number}": Waiting(kinds[one.status])
        for number, one in policy.versions.items()
        if one.status in kinds
    }


def _first(*instants: Instant | None) -> Instant | None:
    return min((at for at in instants if at is not None), default=None)


def rows(stream_id: str, course: Course, state: Any) -> list[dict[str, Any]]:
    """Return one row a task; `party` is the customer or grantee it is about, if any."""
    match state:
        case Grant():
            about, party = "grant", state.grantee
        case Customer():
            about, party = "customer", f"customer:{stream_id}"
        case _:
            about, party = "policy", None
    return [
        {
            "item": item,
            "kind": one.kind,
            "about": about,
            "party": party,
            "since": course.since[item],
            "lapses_at": one.lapses_at,
        }
        for item, one in waiting(state).items()
    ]


MODEL = SeriesModel(
    name="tasks",
    fold=1,
    kinds=frozenset({"grant", "customer", "policy"}),
    columns={
        "kind": "text",
        "about": "text",
        "party": "text",
        "since": "timestamptz",
        "lapses_at": "timestamptz",
    },
    rows=rows,
)
