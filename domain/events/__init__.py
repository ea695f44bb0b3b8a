"""Every event there is, by its stored name, written to disk for good: read this first."""

from __future__ import annotations

from domain.events import (
    catalogue,
    customer,
    exclusion,
    grant,
    grant_cases,
    person,
    policy,
    staff,
)
from domain.events.common import Event

STREAMS = ("catalogue", "person", "staff", "customer", "policy", "grant", "exclusion")
"""The stream kinds; the first part of a stored name."""


def _collect() -> dict[str, type[Event]]:
    found: dict[str, type[Event]] = {}
    for module in (catalogue, person, staff, customer, policy, grant, grant_cases, exclusion):
        for thing in vars(module).values():
            if isinstance(thing, type) and issubclass(thing, Event) and thing.name:
                found[thing.name] = thing
    return found


EVENTS: dict[str, type[Event]] = _collect()
"""Stored name of the newest version -> event type."""


def stream_kind(stored_name: str) -> str:
    """The stream kind of a stored name: `grant.approved.1` -> `grant`."""
    return stored_name.partition(".")[0]
