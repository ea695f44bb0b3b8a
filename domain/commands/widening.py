"""What must hold before a command gives a grant, or lets it ask for, more than it had.

Every command on a grant comes through here with the states around it, whatever its verb: a grade
that the policy admits, room within the grants it is passed on from, and of an exclusive kind a
place that nobody else has.
"""

from __future__ import annotations

from domain import exclusions, grantees, passing_on
from domain.errors import Refused
from domain.events.policy import PolicyBody
from domain.exclusions import exclusion_stream
from domain.grant_states import Grant
from domain.holdings import Holding, goes_on, holdings, wider
from domain.values import PolicyRef
from domain.view import View


def pinned(view: View, ref: PolicyRef) -> PolicyBody:
    """Return the body of the version a grant rests on. Raises `Refused`: `policy.unknown`."""
    policy = view.policy(ref.policy)
    if policy is None or ref.version not in policy.versions:
        raise Refused("policy.unknown", policy=ref.policy, version=ref.version)
    return policy.versions[ref.version].body


def require_room(view: View, grant_id: str, before: Grant | None, after: Grant) -> None:
    """Refuse what the step from `before` to `after` may not give; reserve what it takes.

    What narrows, or only goes on, is not looked at: it reads neither the chain nor the guard.
    Raises `Refused`: `policy.unknown`, `grantee.unknown`, `grantee.grade`, what
    `passing_on.chain_above` and `require_within_chain` raise, `grant.exclusive_overlap`.
    """
    if before is not None and goes_on(before, after):
        return
    had, has = holdings(before, view.at), holdings(after, view.at)
    more = wider(had, has, signed=False)
    _require_grades(view, after, more)
    _require_chain(view, after, wider(had, has, signed=True))
    _require_free(view, grant_id, after, more)


def reserve_imported(view: View, grant_id: str, grant: Grant, *, free: bool) -> None:
    """Reserve what a grant taken over from before the ledger holds; unless it must be `free`,
    overlapping or not.

    Raises `Refused` `grant.exclusive_overlap`.
    """
    some = exclusions.reservations(grant, view.at)
    if not grant.policy.policy or not some:
        return
    policy = view.policy(grant.policy.policy)
    version = None if policy is None else policy.versions.get(grant.policy.version)
    if version is None or not version.body.exclusive:
        return
    if free:
        exclusions.require_free(
            view.exclusion(grant.policy.policy),
            grant_id,
            some,
            look=view.grant,
            akin=_not_akin,
            at=view.at,
        )
    _reserve(view, grant_id, grant)


def _not_akin(_grant_id: str, _grant: Grant) -> bool:
    """Tell that what is taken over without a grant above it shares its place with nobody."""
    return False


def _require_grades(view: View, grant: Grant, more: tuple[Holding, ...]) -> None:
    for holding in more:
        grades = pinned(view, holding.policy).grades
        if grades:
            grantees.require_grade(grantees.grantee_of(view, grant.grantee), grades)


def _require_chain(view: View, grant: Grant, more: tuple[Holding, ...]) -> None:
    for holding in more:
        if holding.terms.parent is not None:
            passing_on.require_within_chain(
                passing_on.chain_above(view, holding.terms),
                grantees.grantee_of(view, grant.grantee),
                holding,
                pinned(view, holding.policy),
                view.at,
            )


def _require_free(view: View, grant_id: str, grant: Grant, more: tuple[Holding, ...]) -> None:
    exclusive = tuple(one for one in more if pinned(view, one.policy).exclusive)
    if not exclusive:
        return

    def akin(other_id: str, other: Grant) -> bool:
        return passing_on.is_passed_on_from(view, grant, other_id) or passing_on.is_passed_on_from(
            view, other, grant_id
        )

    exclusions.require_free(
        view.exclusion(grant.policy.policy),
        grant_id,
        exclusions.places(exclusive),
        look=view.grant,
        akin=akin,
        at=view.at,
    )
    if any(one.step != "sought" for one in exclusive):
        _reserve(view, grant_id, grant)


def _reserve(view: View, grant_id: str, grant: Grant) -> None:
    """Write down what the grant takes now: whoever decides next has to read it."""
    policy = grant.policy.policy
    some = exclusions.reservations(grant, view.at)
    events = exclusions.reserve(view.exclusion(policy), grant_id, some, view.act)
    view.record("exclusion", exclusion_stream(policy), events)
