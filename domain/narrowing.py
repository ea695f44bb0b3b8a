"""An approver may narrow what was asked for, never widen it."""

from __future__ import annotations

import msgspec
from msgspec.structs import replace

from domain.catalogue import Catalogue
from domain.errors import Refused
from domain.events.policy import PolicyBody, Stage
from domain.scopes import normal, within
from domain.terms import require_actions, require_scope
from domain.values import Instant, Scope, Term, Terms


class Narrowing(msgspec.Struct, frozen=True, gc=False):
    """What the approver leaves of actions, scope and term; None: as it was asked for."""

    actions: tuple[str, ...] | None = None
    scope: Scope | None = None
    term: Term | None = None


def narrowed(
    terms: Terms,
    wish: Narrowing | None,
    stage: Stage,
    body: PolicyBody,
    catalogue: Catalogue | None,
    at: Instant,
) -> Terms | None:
    """Return the narrower terms, None where nothing is narrowed.

    Raises `Refused`: `stage.may_not_narrow`, `terms.widened` (with the part), `action.*`,
    `scope.*`, `term.empty`, `term.over`.
    """
    if wish is None or not asks_for_less(terms, wish):
        return None
    actions = terms.actions if wish.actions is None else wish.actions
    scope = terms.scope if wish.scope is None else wish.scope
    term = terms.term if wish.term is None else wish.term
    if not stage.may_narrow:
        raise Refused("stage.may_not_narrow", stage=stage.id)
    require_actions(actions, body)
    if not set(terms.actions).issuperset(actions):
        raise Refused("terms.widened", part="actions")
    if scope != terms.scope:
        require_scope(scope, body, catalogue, at)
        if not within(scope, terms.scope):
            raise Refused("terms.widened", part="scope")
    if not _shorter(term, terms.term):
        raise Refused("terms.widened", part="term")
    _require_some(term, at)
    less = replace(terms, actions=tuple(sorted(actions)), scope=normal(scope), term=term)
    return None if less == terms else less


def asks_for_less(terms: Terms, wish: Narrowing | None) -> bool:
    """Tell whether the approver would leave other terms than these."""
    if wish is None:
        return False
    actions = terms.actions if wish.actions is None else tuple(sorted(wish.actions))
    scope = terms.scope if wish.scope is None else wish.scope
    term = terms.term if wish.term is None else wish.term
    return (actions, term) != (terms.actions, terms.term) or scope != terms.scope


def _shorter(term: Term, asked: Term) -> bool:
    """Tell whether every instant, or day, of the term lies in the one asked for."""
    if (term.days is None) != (asked.days is None):
        return False
    if term.days is not None and asked.days is not None and term.days > asked.days:
        return False
    return _not_before(term.starts_at, asked.starts_at) and _not_after(term.ends_at, asked.ends_at)


def _not_before(one: Instant | None, bound: Instant | None) -> bool:
    return bound is None if one is None else bound is None or bound <= one


def _not_after(one: Instant | None, bound: Instant | None) -> bool:
    return bound is None if one is None else bound is None or one <= bound


def _require_some(term: Term, at: Instant) -> None:
    if term.days is not None and term.days < 1:
        raise Refused("term.empty")
    if term.ends_at is None:
        return
    if term.starts_at is not None and term.ends_at <= term.starts_at:
        raise Refused("term.empty")
    if term.ends_at <= at:
        raise Refused("term.over", ends_at=term.ends_at)
