"""What a register is imported as: the kind, the policy version, the actions, where what stands."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import tzinfo
from typing import NamedTuple

from api.importing.faults import Unusable
from api.importing.register_columns import Column, Columns, Laid
from api.importing.site import Site
from domain import policies
from domain.catalogue import Catalogue
from domain.commands.policies import KIND_CLAIM
from domain.events.policy import PolicyBody
from domain.kinds import BUILT_IN
from domain.values import Instant, Names, PolicyRef


class Wanted(NamedTuple):
    """What a register is imported as. `actions`: none for all of the kind; `zone`: where its days
    begin; `all_or_nothing`: one problem, and no row goes in."""

    kind: str
    actions: Sequence[str]
    zone: tzinfo
    sheet: str | None = None
    all_or_nothing: bool = False
    dry_run: bool = False


class Ruling(NamedTuple):
    """The policy version in force of a kind, and the catalogue it speaks of."""

    policy: PolicyRef
    body: PolicyBody
    catalogue: Catalogue


class Plan(NamedTuple):
    """How the rows are read and written. `now`: what is over by then is refused; `day`: when that
    day began in `zone`, which is when what begins later was taken over; `pivot`: the dimension by
    which scopes are found."""

    policy: PolicyRef
    body: PolicyBody
    actions: tuple[str, ...]
    columns: Columns
    laid: Laid
    heading_row: int
    pivot: str
    zone: tzinfo
    now: Instant
    day: Instant

    def place(self, column: Column) -> int:
        """Return where a column of the file stands."""
        return self.laid.places[column.code].place

    @property
    def scope_place(self) -> int:
        """Where a row is named whose scope is the matter: its first dimension."""
        return self.place(self.columns.dimensions[0])


def ruling(site: Site, kind: str, now: Instant) -> Ruling:
    """Return what rules a kind now.

    Raises `Unusable`: `register.policy_unknown`, `register.policy_not_in_force`,
    `register.kind_of_customers`."""
    keyed_hash = site.hash(KIND_CLAIM, kind)
    known = site.claimed(KIND_CLAIM, [keyed_hash]).get(keyed_hash)
    if known is None:
        raise Unusable("register.policy_unknown", kind=kind)
    policy: policies.Policy = site.ledgers.load(site.tenant, "policy", known).state
    version = policies.in_force(policy, now)
    if version is None:
        raise Unusable("register.policy_not_in_force", kind=kind)
    if not BUILT_IN.isdisjoint(version.body.dimensions):
        raise Unusable("register.kind_of_customers", kind=kind)
    catalogue: Catalogue | None = site.ledgers.load(site.tenant, "catalogue", site.tenant).state
    return Ruling(PolicyRef(known, version.number), version.body, catalogue or Catalogue())


def columns_of(found: Ruling) -> Columns:
    """Return the columns of a register of this kind."""
    return Columns({name: _named(found.catalogue, name) for name in found.body.dimensions})


def pivot_of(found: Ruling) -> str:
    """Return the dimension with the most points: by it most scopes are told apart."""
    known = found.catalogue.dimensions
    return max(found.body.dimensions, key=lambda one: known[one].count if one in known else 0)


def actions_of(body: PolicyBody, wanted: Sequence[str]) -> tuple[str, ...]:
    """Return the actions granted: those wanted, else all of the kind.

    Raises `Unusable` `register.action_unknown`."""
    known = tuple(sorted(rule.action for rule in body.actions))
    unknown = [action for action in wanted if action not in known]
    if unknown:
        raise Unusable("register.action_unknown", action=unknown[0], found=known)
    return tuple(sorted(set(wanted))) or known


def _named(catalogue: Catalogue, dimension: str) -> Names:
    known = catalogue.dimensions.get(dimension)
    return Names(dimension, dimension) if known is None else known.names
