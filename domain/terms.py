"""Terms: what may be asked for under a policy, when it takes effect, and what exactly is signed."""

from __future__ import annotations

import hashlib
from datetime import UTC, timedelta
from typing import Final

import msgspec
from msgspec.structs import replace

from domain.catalogue import Catalogue, find, point_status_at
from domain.errors import Refused
from domain.events.policy import Agreement, PolicyBody
from domain.kinds import (
    BUILT_IN,
    SHARE,
    require_built_in,
    require_named,
    require_template,
    require_template_term,
)
from domain.scopes import ANY, normal, scope_fault
from domain.values import Instant, Scope, Term, Terms

MAX_ACTIONS: Final = 100
"""Most actions one grant names."""


def require_terms(
    terms: Terms, body: PolicyBody, catalogue: Catalogue | None, at: Instant
) -> Terms:
    """Return the terms as they are written down: scope in normal form, actions sorted, UTC.

    Raises `Refused`: `grant.passing_on_not_offered`, `grant.passing_on_too_deep`, `action.*`,
    `scope.*`, `term.*`, `share.*`.
    """
    require_passing_on(terms, body)
    require_actions(terms.actions, body)
    require_scope(terms.scope, body, catalogue, at)
    require_term(terms.term, body, at)
    require_template(terms, body)
    require_template_term(terms, body)
    return replace(
        terms,
        actions=tuple(sorted(terms.actions)),
        scope=normal(terms.scope),
        term=Term(_utc(terms.term.starts_at), _utc(terms.term.ends_at), terms.term.days),
    )


def require_passing_on(terms: Terms, body: PolicyBody) -> None:
    """Refuse terms with a parent, or that may be passed on, where or deeper than the policy lets.

    Codes: `grant.passing_on_not_offered`, `grant.passing_on_too_deep`.
    """
    if body.depth == 0 and (terms.parent is not None or terms.pass_on != 0):
        raise Refused("grant.passing_on_not_offered", kind=body.kind)
    levels = terms.pass_on + (0 if terms.parent is None else 1)
    if terms.pass_on < 0 or levels > body.depth:
        raise Refused("grant.passing_on_too_deep", depth=body.depth)


def require_actions(actions: tuple[str, ...], body: PolicyBody) -> None:
    """Refuse actions that the policy does not know, none, or one named twice."""
    if not actions:
        raise Refused("action.none")
    if len(actions) > MAX_ACTIONS or len(set(actions)) < len(actions):
        raise Refused("action.repeated")
    known = {rule.action for rule in body.actions}
    for action in actions:
        if action not in known:
            raise Refused("action.unknown", action=action, kind=body.kind)


def require_scope(scope: Scope, body: PolicyBody, catalogue: Catalogue | None, at: Instant) -> None:
    """Refuse a scope of other dimensions than the policy's, or of points that do not stand at `at`.

    Codes: `scope.` and what `scope_fault` or `point_status_at` says.
    """
    require_dimensions(scope, body)
    if body.kind == SHARE:
        require_named(scope)
    for dimension, patterns in sorted(scope.items()):
        if dimension in BUILT_IN:
            require_built_in(dimension, patterns)  # the streams themselves are the command's to see
            continue
        if catalogue is None or dimension not in catalogue.dimensions:
            raise Refused("scope.dimension_undeclared", dimension=dimension)
        for pattern in patterns:
            if pattern == ANY:
                continue
            status = point_status_at(find(catalogue, dimension, pattern), at)
            if status != "standing":
                code = {"none": "unknown"}.get(status, status)
                raise Refused(f"scope.point_{code}", dimension=dimension, pattern=pattern)


def require_dimensions(scope: Scope, body: PolicyBody) -> None:
    """Refuse a scope that does not name exactly the dimensions of the policy: what a scope leaves
    out it would cover all of. Codes: `scope.` and what `scope_fault` says.
    """
    fault = scope_fault(scope, body.dimensions)
    if fault is not None:
        raise Refused(f"scope.{fault.code}", dimension=fault.dimension, pattern=fault.pattern)


def require_term(term: Term, body: PolicyBody, at: Instant) -> None:
    """Refuse a term of another shape than the policy's, empty, too long, or over."""
    if body.starts != "fixed":
        if term.starts_at is not None or term.ends_at is not None or term.days is None:
            raise Refused("term.days_expected", starts=body.starts)
        days = term.days
        if days < 1:
            raise Refused("term.empty")
        if days > body.longest_days:
            raise Refused("term.too_long", longest_days=body.longest_days)
        return
    if term.starts_at is None or term.ends_at is None or term.days is not None:
        raise Refused("term.dates_expected", starts=body.starts)
    if term.ends_at <= term.starts_at:
        raise Refused("term.empty")
    if term.ends_at - term.starts_at > timedelta(days=body.longest_days):
        raise Refused("term.too_long", longest_days=body.longest_days)
    if term.ends_at <= at:
        raise Refused("term.over", ends_at=term.ends_at)


def approved_terms(terms: Terms, body: PolicyBody, at: Instant, ceiling: Instant | None) -> Terms:
    """Return the terms approved at `at`: dates in place of days where the policy counts from then.

    `ceiling` is when the evidence and identity they rest on end, None where nothing bounds them.
    Where the term starts on signature its days stay: the dates are known when the last one signs.
    Raises `Refused`: `term.evidence_over`.
    """
    term = terms.term
    if body.starts == "on_approval" and term.days is not None:
        term = Term(starts_at=at, ends_at=at + timedelta(days=term.days))
    if term.ends_at is not None and ceiling is not None:
        term = replace(term, ends_at=min(term.ends_at, ceiling))
    if ceiling is not None and ceiling <= max(at, term.starts_at or at):
        raise Refused("term.evidence_over", ended_at=ceiling)
    return replace(terms, term=term)


def effect_of(terms: Terms, at: Instant, ceiling: Instant | None) -> tuple[Instant, Instant | None]:
    """Return `[starts, ends)` of terms agreed on at `at`: never before that, open only if imported.

    Raises `Refused`: `term.evidence_over`.
    """
    term = terms.term
    starts_at = at if term.starts_at is None else max(term.starts_at, at)
    ends_at = term.ends_at
    if ends_at is None and term.days is not None:
        ends_at = starts_at + timedelta(days=term.days)
    if ceiling is not None:
        if ceiling <= starts_at:
            raise Refused("term.evidence_over", ended_at=ceiling)
        ends_at = ceiling if ends_at is None else min(ends_at, ceiling)
    return starts_at, ends_at


def agreement_digest(agreement: Agreement, terms: Terms) -> str:
    """Return what is signed, in hex: SHA-256 of template id, version, template hash and terms.

    Each part stands with its length in front (4 bytes, big-endian, of its UTF-8). The terms are
    JSON with sorted keys, without the fields that have their default, instants in RFC 3339 (UTC).
    """
    parts = (
        agreement.template.encode(),
        agreement.version.encode(),
        agreement.sha256.encode(),
        msgspec.json.encode(terms, order="sorted"),
    )
    framed = b"".join(len(part).to_bytes(4, "big") + part for part in parts)
    return hashlib.sha256(framed).hexdigest()


def _utc(at: Instant | None) -> Instant | None:
    return None if at is None else at.astimezone(UTC)
