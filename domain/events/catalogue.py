"""Events of the catalogue: the tenant's dimensions and their points."""

from __future__ import annotations

from typing import ClassVar

import msgspec

from domain.events.common import Event
from domain.values import Instant, Names


class DimensionDeclared(Event, frozen=True):
    """A dimension exists: `territory`, `product`, `channel`, ..."""

    name: ClassVar[str] = "catalogue.dimension_declared.1"

    dimension: str
    names: Names


class PointAdded(Event, frozen=True):
    """A point exists in `[from_, until)`; `attributes` place it on other dimensions (dimension ->
    path)."""

    name: ClassVar[str] = "catalogue.point_added.1"

    dimension: str
    path: str
    names: Names
    from_: Instant | None = None
    until: Instant | None = None
    attributes: dict[str, str] = msgspec.field(default_factory=dict[str, str])


class PointRenamed(Event, frozen=True):
    """A point has other names; its path never changes."""

    name: ClassVar[str] = "catalogue.point_renamed.1"

    dimension: str
    path: str
    names: Names


class PointEnded(Event, frozen=True):
    """No new scope may name this point from `ends_at` on."""

    name: ClassVar[str] = "catalogue.point_ended.1"

    dimension: str
    path: str
    ends_at: Instant
