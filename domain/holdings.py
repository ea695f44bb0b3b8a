"""What a grant holds, or is asked to: terms with the time in which they rule or would rule.

Suspensions are left out: what is held up is still given away. Whether more is asked for or given
than before is told here, once for every command, by comparing the states around it.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from typing import Final, Literal

import msgspec

from domain.effect import first, ruling_windows
from domain.grant_states import EFFECTIVE, OPEN, Case, Grant, case_at, ends_of, starts_of, status_at
from domain.scopes import within
from domain.values import Instant, PolicyRef, Terms

Step = Literal["sought", "approved", "effective"]
"""How far it has come: asked for, approved (and to be signed), in effect from some instant on."""

_FIRMNESS: Final[dict[Step, int]] = {"sought": 0, "approved": 1, "effective": 2}


class Holding(msgspec.Struct, frozen=True, gc=False):
    """Terms that rule, or would, during `[starts_at, ends_at)`; an open end is None.

    What is not in effect yet is told as if it took effect now. `latest` is the end where the last
    signature comes as late as it may: another than `ends_at` where the term starts with it.
    """

    step: Step
    terms: Terms
    policy: PolicyRef
    starts_at: Instant
    ends_at: Instant | None
    latest: Instant | None


def holdings(grant: Grant | None, at: Instant) -> tuple[Holding, ...]:
    """Return what the grant holds and is asked to hold from `at` on, by the clock."""
    return () if grant is None else tuple(_holdings(grant, at))


def goes_on(before: Grant, after: Grant) -> bool:
    """Tell fast that a step left what is held as it was, whatever the clock says: of a grant in
    effect only its holds, its hands or what was asked of it changed.
    """
    return (
        before.effects is after.effects
        and before.revoked_from is after.revoked_from
        and before.open_case is after.open_case
        and before.status in EFFECTIVE
        and after.status in EFFECTIVE
    )


def wider(
    before: tuple[Holding, ...], after: tuple[Holding, ...], *, signed: bool
) -> tuple[Holding, ...]:
    """Return what of `after` goes beyond every single holding of `before` that was as firm.

    With `signed`, what takes effect goes beyond what was only approved, also on the same terms.
    """
    if before == after:
        return ()
    most: Step = "effective" if signed else "approved"
    return tuple(
        new for new in after if not any(_contains(old, new, _FIRMNESS[most]) for old in before)
    )


def _contains(old: Holding, new: Holding, most: int) -> bool:
    """Tell whether the old one gave all that the new one gives, no less firmly."""
    if min(_FIRMNESS[old.step], most) < min(_FIRMNESS[new.step], most):
        return False
    if new.starts_at < old.starts_at or not _ends_within(new.ends_at, old.ends_at):
        return False
    one, other = new.terms, old.terms
    return (
        one.pass_on <= other.pass_on
        and set(other.actions).issuperset(one.actions)
        and within(one.scope, other.scope)
    )


def _ends_within(end: Instant | None, bound: Instant | None) -> bool:
    return bound is None or (end is not None and end <= bound)


def _holdings(grant: Grant, at: Instant) -> Iterator[Holding]:
    status = status_at(grant, at)
    if status in OPEN:
        step: Step = "approved" if status == "approved" else "sought"
        yield from _would_hold(step, grant.terms, grant.policy, at, grant.lapses_at)
    elif status in EFFECTIVE:
        yield from _held(grant, at)
    case = case_at(grant, at)
    if case is not None:
        yield from _case(grant, case, at)


def _held(grant: Grant, at: Instant) -> Iterator[Holding]:
    """Yield each agreed terms with what is left of the time in which they rule."""
    agreed = {effect.terms.number: effect for effect in grant.effects}
    for begin, end, number in ruling_windows(grant.effects):
        starts_at, ends_at = max(begin, at), first(end, grant.revoked_from)
        if ends_at is None or starts_at < ends_at:
            effect = agreed[number]
            yield Holding("effective", effect.terms, effect.policy, starts_at, ends_at, ends_at)


def _case(grant: Grant, case: Case, at: Instant) -> Iterator[Holding]:
    """Yield what the open case is about: an amendment from its instant on, a renewal from the end
    agreed on before.
    """
    step: Step = "approved" if case.status == "approved" else "sought"
    renews = case.kind == "renewal"
    begins = (ends_of(grant),) if renews else (case.effective_at, starts_of(grant))
    opens_at = max((at, *(one for one in begins if one is not None)))
    yield from _would_hold(step, case.terms, case.policy, opens_at, case.lapses_at)


def _would_hold(
    step: Step, terms: Terms, policy: PolicyRef, opens_at: Instant, lapses_at: Instant | None
) -> Iterator[Holding]:
    """Yield what terms not in effect yet would hold if they took effect from `opens_at` on."""
    term = terms.term
    starts_at = opens_at if term.starts_at is None else max(opens_at, term.starts_at)
    ends_at = latest = term.ends_at
    if ends_at is None and term.days is not None:
        days = timedelta(days=term.days)
        ends_at = latest = starts_at + days
        if step == "approved" and lapses_at is not None:
            latest = max(starts_at, lapses_at) + days
    if ends_at is None or starts_at < ends_at:
        yield Holding(step, terms, policy, starts_at, ends_at, latest)
