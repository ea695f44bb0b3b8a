"""Events of an exclusion: one stream a policy of an exclusive kind; it guards that no two of its
grants take the same place at the same time."""

from __future__ import annotations

from typing import ClassVar

from domain.events.common import Event
from domain.values import Instant, Scope, Value


class Reservation(Value, frozen=True):
    """A scope taken during `[starts_at, ends_at)`; an open end is None."""

    scope: Scope
    starts_at: Instant
    ends_at: Instant | None = None


class ExclusionReserved(Event, frozen=True):
    """`grant` takes no more than these from now on; they replace what it took before.

    What the grant gives back later is not told here: its own stream says what is left of them.
    """

    name: ClassVar[str] = "exclusion.reserved.1"

    grant: str
    reservations: tuple[Reservation, ...]
