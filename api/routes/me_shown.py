"""How parties are shown what is their own: grants, cases, what is asked, what they can ask for."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, NamedTuple

from api import rendering
from api.routes.operations import Call
from api.routes.reading import opener_for_state, told
from api.routes.streams import agreement_of
from domain import customers, grants, kinds
from domain.customers import Customer, Member
from domain.events.grant import GrantInformationRequested
from domain.events.policy import PolicyBody
from domain.grant_states import OPEN, Grant, case_at, lapse_of, open_holds, ruling
from domain.staff import Staff
from domain.values import Instant, Terms

NEVER_AGREED: Final[frozenset[str]] = OPEN | {"rejected", "withdrawn", "lapsed"}
"""A request that has not become a grant, or not yet."""


class Own(NamedTuple):
    """The caller as a party: the refs whose grants are theirs, and the record behind the key.

    `acts` are what a member may do now, None where that is no question.
    """

    refs: tuple[str, ...]
    record: Customer | Staff | None
    memberships: Mapping[str, Member]
    acts: frozenset[str] | None


# --- grants and cases -----------------------------------------------------------------------------


def grant_shown(stream: str, grant: Grant, at: Instant) -> dict[str, Any]:
    """Return what a grantee sees of a grant: no hands but the terms, when, and why not."""
    effect = ruling(grant, at)
    terms = grant.terms if effect is None else effect.terms
    shown: dict[str, Any] = {
        "grant": stream,
        "number": grant.number,
        "status": grants.status_at(grant, at),
        "grantee": grant.grantee,
        **_terms(terms),
        "policy": grant.policy.policy,
        "policy_version": (grant.policy if effect is None else effect.policy).version,
        "starts_at": terms.term.starts_at if effect is None else effect.starts_at,
        "ends_at": terms.term.ends_at if effect is None else effect.ends_at,
        "revoked_from": grant.revoked_from,
        "suspended_from": [hold.from_ for hold in open_holds(grant, at)],
    }
    return rendering.shown(shown)


def _terms(terms: Terms) -> dict[str, Any]:
    found = {
        "kind": terms.kind,
        "actions": terms.actions,
        "scope": terms.scope,
        "term": terms.term,
        "terms": terms.number,
        "pass_on": terms.pass_on or None,
        "parent": terms.parent,
        "template": terms.template,
        "purpose": terms.purpose,
    }
    return {name: value for name, value in found.items() if value is not None}


def cases_shown(stream: str, grant: Grant, at: Instant) -> list[dict[str, Any]]:
    """Return the request and every renewal and amendment, each open or closed."""
    status = grants.status_at(grant, at)
    begun = status in NEVER_AGREED
    of = {"grant": stream, "number": grant.number}
    found: list[dict[str, Any]] = [
        of
        | {
            "case": grant.case,
            "what": "request",
            "status": status if begun else "agreed",
            "open": status in OPEN,
            "lapses_at": lapse_of(grant) if status in OPEN else None,
        }
        | (_terms(grant.terms) if begun else {})
    ]
    found += [
        of | {"case": case, "what": "case", "status": end, "open": False}
        for case, end in grant.closed.items()
    ]
    case = grant.open_case
    if case is not None:
        still = case_at(grant, at) is not None
        status_now = case.status if still else "lapsed"
        whole = {"case": case.case, "what": case.kind, "status": status_now, "open": still}
        found.append(of | whole | _terms(case.terms))
    return [rendering.shown(one) for one in found]


# --- what is asked --------------------------------------------------------------------------------

ACTS: Final = {"answer": "provide", "sign": "sign", "confirm_revocation": "revoke"}
"""What is asked -> the act that a member needs for it."""


def task_shown(
    call: Call, mine: Own, row: dict[str, Any], stream: str, grant: Grant, at: Instant
) -> dict[str, Any] | None:
    """Return one thing asked, None where it is asked no longer or of others. Blocks."""
    what, case = row["kind"], row["item"].split(":")[1]
    if row["lapses_at"] is not None and row["lapses_at"] <= at:
        return None
    shown: dict[str, Any] = {
        "what": what,
        "grant": stream,
        "number": grant.number,
        "case": case,
        "since": rendering.instant(row["since"]),
        "lapses_at": rendering.shown(row["lapses_at"]),
        "you_may": mine.acts is None or ACTS[what] in mine.acts,
    }
    match what:
        case "answer" if grants.status_at(grant, at) == "information_requested":
            return shown | {"question": _question(call, stream)}
        case "sign":
            agreement = agreement_of(call, grant)
            if agreement is None or agreement["case"] != case:
                return None
            signed = _signed(grant, case)
            if "grantee" not in agreement["signers"] or "grantee" in signed:
                return None
            return shown | {"agreement": agreement}
        case "confirm_revocation" if (
            grant.revocation is not None
            and grant.revocation.case == case
            and grant.revocation.origin == "customer"
        ):
            return shown
        case _:
            return None


def _signed(grant: Grant, case: str) -> frozenset[str]:
    open_case = grant.open_case
    walked = open_case if open_case is not None and open_case.case == case else grant
    return frozenset(one.party for one in walked.signatures)


def _question(call: Call, stream: str) -> Any:
    """Return the last question put, opened: it was written to the grantee."""
    history = told(call, stream)
    show = opener_for_state(call, stream, history)
    for one in reversed(history):
        event = one.recorded.event
        if isinstance(event, GrantInformationRequested):
            return None if event.question is None else show(event.question, "question")
    return None


# --- what can be asked for ------------------------------------------------------------------------


def admits(body: PolicyBody, mine: Own) -> bool:
    """Tell whether a kind is for this party at all: for whom it is, and of which grade."""
    match mine.record:
        case Customer() as customer:
            fits = not body.grades or customer.grade in body.grades
            return fits and not kinds.for_staff(body) and mine.acts is not None
        case Staff():
            return True
        case None:
            return False


def offer_shown(body: PolicyBody, version: int, mine: Own, at: Instant) -> dict[str, Any]:
    """Return what a request of this kind may ask for, and what it has to bring."""
    customer = mine.record if isinstance(mine.record, Customer) else None
    need = body.identification
    return rendering.shown(
        {
            "kind": body.kind,
            "names": body.names,
            "version": version,
            "actions": body.actions,
            "dimensions": body.dimensions,
            "starts": body.starts,
            "longest_days": body.longest_days,
            "evidence": body.evidence,
            "identification": need,
            "identified": customer is None or customers.status_at(customer, at) == "confirmed",
            "you_may": mine.acts is None or "request" in mine.acts,
            "templates": [
                {
                    "id": one.id,
                    "names": one.names,
                    "purposes": one.purposes,
                    "longest_days": one.longest_days or body.longest_days,
                }
                for one in body.templates
            ],
        }
    )
