"""What a share lets its grantee see and change of a customer, at an instant."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Final

import msgspec

from domain.duties import Actor
from domain.effect import in_force
from domain.errors import Refused
from domain.events.policy import ShareTemplate
from domain.grant_states import Effect, Grant
from domain.kinds import CUSTOMER, EDIT, FIELDS, SHARE, template_of
from domain.policies import Policy
from domain.teams import TEAM, line, team_at
from domain.values import Instant, Terms

NOT_SHOWN: Final = "none"


class Share(msgspec.Struct, frozen=True, gc=False):
    """A share's agreed terms and the template they name."""

    terms: Terms
    template: ShareTemplate

    def levels(self) -> Mapping[str, str]:
        """Return field -> masked, read or edit, of what is shown, in the order of `FIELDS`.

        What could be edited can be read only, where the terms do not grant the action `edit`.
        """
        found: dict[str, str] = {}
        for field in FIELDS:
            level = self.template.fields.get(field, NOT_SHOWN)
            if level == EDIT and EDIT not in self.terms.actions:
                level = "read"
            if level != NOT_SHOWN:
                found[field] = level
        return found


def effect_of(grant: Grant, number: int) -> Effect | None:
    """Return the agreed terms of this number."""
    return next((one for one in grant.effects if one.terms.number == number), None)


def share_of(effect: Effect | None, policy: Policy | None) -> Share | None:
    """Return the share that agreed terms are, None where they are none."""
    if effect is None or effect.terms.kind != SHARE or policy is None:
        return None
    version = policy.versions.get(effect.policy.version)
    template = None if version is None else template_of(effect.terms, version.body)
    return None if template is None else Share(effect.terms, template)


def ruling_at(grant: Grant | None, at: Instant) -> Effect | None:
    """Return the agreed terms that are in force at an instant, as far as the grant tells."""
    if grant is None:
        return None
    for begin, end, number in in_force(grant):
        if begin <= at and (end is None or at < end):
            return effect_of(grant, number)
    return None


def grantees_of(actor: Actor, at: Instant) -> frozenset[str]:
    """Return the refs whose rights a staff member has: their own, their team's and all above it."""
    if actor.staff_id is None or actor.staff is None:
        return frozenset()
    team = team_at(actor.staff.teams, at)
    teams = () if team is None else line(team)
    return frozenset({f"staff:{actor.staff_id}", *(f"{TEAM}:{path}" for path in teams)})


def require_may_edit(
    share: Share | None,
    grant: Grant | None,
    grantees: Collection[str],
    *,
    grant_id: str,
    customer: str,
    fields: Collection[str],
    actor: Actor,
) -> None:
    """Refuse a change through a share that does not give the right to it.

    `share` is what rules now, None where nothing does; `grantees` are the refs whose rights the
    actor has. Codes: `share.unknown`, `share.not_in_force`, `share.field_not_editable`,
    `actor.on_behalf_refused`: a deputy has no part in what was shared with another.
    """
    if actor.principal is not None:
        raise Refused(
            "actor.on_behalf_refused", party=actor.party.ref, principal=actor.principal.ref
        )
    if grant is None or grant.grantee not in grantees:
        raise Refused("share.unknown", customer=customer, grant=grant_id)
    agreed = (grant.terms, *(effect.terms for effect in grant.effects))
    if all(customer not in terms.scope.get(CUSTOMER, ()) for terms in agreed):
        raise Refused("share.unknown", customer=customer, grant=grant_id)
    if share is None or customer not in share.terms.scope.get(CUSTOMER, ()):
        raise Refused("share.not_in_force", grant=grant_id, state=grant.status)
    levels = share.levels()
    for field in fields:
        if levels.get(field) != EDIT:
            raise Refused("share.field_not_editable", field=field, template=share.template.id)
