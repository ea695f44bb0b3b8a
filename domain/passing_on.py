"""Passing on: a grant given from another one, whose grantee is its grantor, lies within it.

At the check the chain is walked again, so whatever becomes of a grant above is felt at once. Here
is what must hold whenever a grant that was passed on is asked for or given more: each grant above
it is in effect (a suspended one lends nothing meanwhile), its grantee stands, and it covers the
actions, the scope and the whole term of what is passed on, by the terms that rule at each instant.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final, Protocol

import msgspec

from domain import grantees, intervals
from domain.errors import Refused
from domain.events.policy import PolicyBody
from domain.grant_states import Grant, status_at
from domain.grantees import Grantee
from domain.holdings import Holding, holdings
from domain.policies import Policy
from domain.scopes import within
from domain.values import Instant, PolicyRef, Terms

MAX_CHAIN: Final = 8
"""How far up a chain is followed; no policy lets grants be passed on deeper."""

LENDS: Final = frozenset({"scheduled", "active"})
"""The states, by the clock, of a grant that can be passed on from."""


class Looks(grantees.Looks, Protocol):
    """What a chain is made from; `domain.view.View` is one, and records every look as a read."""

    def grant(self, grant_id: str) -> Grant | None: ...

    def policy(self, policy_id: str) -> Policy | None: ...


class Above(msgspec.Struct, frozen=True, gc=False):
    """A grant that another is passed on from: its state, to whom it was given, and the bodies of
    the policy versions that its terms rest on.
    """

    grant_id: str
    grant: Grant
    grantee: Grantee
    bodies: tuple[PolicyBody, ...]


def chain_above(view: Looks, terms: Terms) -> tuple[Above, ...]:
    """Return the grants these terms are passed on from, the nearest first; all of them are reads.

    Raises `Refused`: `grant.parent_unknown`, `grant.chain_too_long` (also where it is a circle).
    """
    found: list[Above] = []
    following = terms.parent
    while following is not None:
        if len(found) >= MAX_CHAIN:
            raise Refused("grant.chain_too_long", limit=MAX_CHAIN)
        grant = view.grant(following)
        if grant is None or not grant.grantee:
            raise Refused("grant.parent_unknown", parent=following)
        grantee = grantees.grantee_of(view, grant.grantee)
        found.append(Above(following, grant, grantee, tuple(_bodies(view, grant))))
        following = grant.terms.parent
    return tuple(found)


def grantor_of(view: Looks, terms: Terms) -> Grantee | None:
    """Return whose right these terms are passed on from; None where it is the tenant's own."""
    parent = None if terms.parent is None else view.grant(terms.parent)
    if parent is None or not parent.grantee:
        return None
    return grantees.grantee_of(view, parent.grantee)


def is_passed_on_from(view: Looks, grant: Grant, above_id: str) -> bool:
    """Tell whether `grant` was passed on, over however many levels, from the grant `above_id`."""
    following = grant.terms.parent
    for _ in range(MAX_CHAIN):
        if following is None or following == above_id:
            return following is not None
        parent = view.grant(following)
        following = None if parent is None else parent.terms.parent
    return False


def require_within_chain(
    chain: tuple[Above, ...],
    grantee: Grantee,
    holding: Holding,
    body: PolicyBody,
    at: Instant,
) -> None:
    """Refuse what does not lie within every grant of `chain`; `body` is what it rests on itself.

    Raises `Refused`: `grant.passing_on_too_deep`, `grant.parent_other_kind`,
    `grant.passed_on_to_grantor`, `grant.parent_state`, `grantor.standing`, `grant.beyond_parent`.
    """
    parent = chain[0]
    require_depth(chain, holding.terms, body)
    if (parent.grant.policy.policy, parent.grant.terms.kind) != (
        holding.policy.policy,
        holding.terms.kind,
    ):
        raise Refused("grant.parent_other_kind", kind=parent.grant.terms.kind)
    if _last(parent.grantee) == _last(grantee):
        raise Refused("grant.passed_on_to_grantor", grantee=grantee.ref)
    for levels, above in enumerate(chain, 1):
        require_lends(above, at)
        require_covers(above, levels, holding, at)


def require_depth(chain: tuple[Above, ...], terms: Terms, body: PolicyBody) -> None:
    """Refuse with `grant.passing_on_too_deep` more levels, below and above, than its own policy
    version or one of its parent's allows.
    """
    depth = min(one.depth for one in (body, *chain[0].bodies))
    if len(chain) + terms.pass_on > depth:
        raise Refused("grant.passing_on_too_deep", depth=depth)


def require_lends(above: Above, at: Instant) -> None:
    """Refuse a grant above that is not in effect or held, or whose grantee does not stand.

    Codes: `grant.parent_state`, `grantor.standing`.
    """
    status = status_at(above.grant, at)
    if status not in LENDS:
        raise Refused(
            "grant.parent_state", parent=above.grant_id, number=above.grant.number, state=status
        )
    if not grantees.stands(above.grantee, at):
        raise Refused("grantor.standing", grantor=above.grantee.ref)


def require_covers(above: Above, levels: int, holding: Holding, at: Instant) -> None:
    """Refuse with `grant.beyond_parent` what goes beyond a grant `levels` above it, and in what:
    `actions`, `scope`, `term` or `pass_on`.
    """
    rest: intervals.Intervals = ((holding.starts_at, holding.ends_at),)
    part = None
    for ruling in holdings(above.grant, at):
        if ruling.step != "effective":
            continue
        left = intervals.without(rest, ruling.starts_at, ruling.ends_at)
        if left == rest:
            continue  # it rules at another time
        rest = left
        part = part or _beyond(ruling.terms, levels, holding.terms)
    part = part or ("term" if rest else None)
    if part is not None:
        raise Refused(
            "grant.beyond_parent", parent=above.grant_id, number=above.grant.number, part=part
        )


def _beyond(above: Terms, levels: int, terms: Terms) -> str | None:
    """Return in what `terms` go beyond those that rule `levels` above them."""
    if not set(above.actions).issuperset(terms.actions):
        return "actions"
    if not within(terms.scope, above.scope):
        return "scope"
    return "pass_on" if terms.pass_on + levels > above.pass_on else None


def _bodies(view: Looks, grant: Grant) -> Iterator[PolicyBody]:
    """Yield what each policy version that the grant's terms rest on says, as far as it is known."""
    refs: set[PolicyRef] = {grant.policy, *(effect.policy for effect in grant.effects)}
    for ref in sorted(refs, key=lambda one: (one.policy, one.version)):
        policy = view.policy(ref.policy) if ref.policy else None  # imported, it may name none
        if policy is not None and ref.version in policy.versions:
            yield policy.versions[ref.version].body


def _last(grantee: Grantee) -> tuple[str, str]:
    """Return who it is now: the record that it was merged into, if it was."""
    kind, _, name = grantee.ref.partition(":")
    return kind, grantee.ids[-1] if grantee.ids else name
