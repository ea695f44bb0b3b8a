"""Which `evolve` folds which stream kind."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from domain import catalogue, customers, exclusions, grants, persons, policies, staff

EVOLVE: dict[str, Callable[[Any, Any], Any]] = {
    "catalogue": catalogue.evolve,
    "person": persons.evolve,
    "staff": staff.evolve,
    "customer": customers.evolve,
    "policy": policies.evolve,
    "grant": grants.evolve,
    "exclusion": exclusions.evolve,
}


def evolve(kind: str, state: Any, event: Any) -> Any:
    """Return the state after `event`; raises `Impossible` on an order that no verb emits."""
    return EVOLVE[kind](state, event)
