"""The catalogue: the tenant's dimensions and their points, each with its names and the time it may
be named in.

One stream a tenant, with thousands of points. A dimension keeps them on shelves, so that one more
point copies one shelf and not all of them.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator, Mapping
from typing import Final, Literal

import msgspec
from msgspec.structs import replace

from domain.errors import Impossible
from domain.events.catalogue import DimensionDeclared, PointAdded, PointEnded, PointRenamed
from domain.folding import disorder
from domain.values import Instant, Names

CatalogueEvent = DimensionDeclared | PointAdded | PointRenamed | PointEnded
PointStatus = Literal["none", "planned", "standing", "ended"]

SHELVES: Final = 256
"""How many shelves a dimension has: a point more copies this many references and one shelf."""


class Point(msgspec.Struct, frozen=True):
    """A point: it may be named in new scopes during `[from_, until)`, None: from ever, for ever."""

    names: Names
    from_: Instant | None = None
    until: Instant | None = None
    attributes: Mapping[str, str] = {}


_EMPTY: Final[Mapping[str, Point]] = {}
_NO_POINTS: Final[tuple[Mapping[str, Point], ...]] = (_EMPTY,) * SHELVES


class Dimension(msgspec.Struct, frozen=True):
    """A dimension and its points by path, on shelves by the path's CRC-32."""

    names: Names
    shelves: tuple[Mapping[str, Point], ...] = _NO_POINTS

    def get(self, path: str) -> Point | None:
        return self.shelves[_shelf(path)].get(path)

    def paths(self) -> list[str]:
        """Return every path, sorted by code point."""
        return sorted(path for shelf in self.shelves for path in shelf)

    def with_point(self, path: str, point: Point) -> Dimension:
        """Return this dimension with `point` at `path`."""
        number = _shelf(path)
        shelf = {**self.shelves[number], path: point}
        shelves = (*self.shelves[:number], shelf, *self.shelves[number + 1 :])
        return Dimension(self.names, shelves)


def _shelf(path: str) -> int:
    return zlib.crc32(path.encode()) % SHELVES


class Catalogue(msgspec.Struct, frozen=True):
    """State folded from the one stream: dimensions by code."""

    status: Literal["kept"] = "kept"
    dimensions: Mapping[str, Dimension] = {}
    irregular: bool = False


def find(catalogue: Catalogue, dimension: str, path: str) -> Point | None:
    """Return the point at `path`, ended or not; None where there never was one."""
    known = catalogue.dimensions.get(dimension)
    return None if known is None else known.get(path)


def points(catalogue: Catalogue, dimension: str) -> Iterator[tuple[str, Point]]:
    """Yield the points of a dimension with their paths, sorted by path; nothing where it is not
    declared.
    """
    known = catalogue.dimensions.get(dimension)
    if known is not None:
        for path in known.paths():
            point = known.get(path)
            if point is not None:
                yield path, point


def point_status_at(point: Point | None, at: Instant) -> PointStatus:
    """Return whether a point may be named in a new scope at that instant (`standing`), not yet, or
    no more.
    """
    if point is None:
        return "none"
    if point.until is not None and point.until <= at:
        return "ended"
    return "planned" if point.from_ is not None and at < point.from_ else "standing"


def status_at(catalogue: Catalogue, _at: Instant) -> Literal["kept"]:
    """Return the status: a catalogue that exists is kept; only its points begin and end."""
    return catalogue.status


def evolve(catalogue: Catalogue | None, event: CatalogueEvent) -> Catalogue:
    """Return the state after `event`. Raises `Impossible` on an order no verb emits."""
    known = catalogue or Catalogue()
    odd = disorder(_expected(known, event), event, catalogue)
    match event:
        case DimensionDeclared():
            present = known.dimensions.get(event.dimension)
            named = (
                Dimension(event.names) if present is None else replace(present, names=event.names)
            )
            after = _with_dimension(known, event.dimension, named)
        case PointAdded():
            point = Point(event.names, event.from_, event.until, event.attributes)
            after = _with_point(known, event.dimension, event.path, point)
        case PointRenamed():
            point = find(known, event.dimension, event.path)
            renamed = Point(event.names) if point is None else replace(point, names=event.names)
            after = _with_point(known, event.dimension, event.path, renamed)
        case PointEnded():
            point = find(known, event.dimension, event.path) or Point(_unnamed(event.path))
            ended = replace(point, until=event.ends_at)
            after = _with_point(known, event.dimension, event.path, ended)
        case _:  # pyright: ignore[reportUnnecessaryComparison]
            raise Impossible(event, catalogue)
    return replace(after, irregular=True) if odd else after


def _expected(catalogue: Catalogue, event: CatalogueEvent) -> bool:
    if isinstance(event, DimensionDeclared):
        return event.dimension not in catalogue.dimensions
    point = find(catalogue, event.dimension, event.path)
    if isinstance(event, PointAdded):
        return event.dimension in catalogue.dimensions and point is None
    return point_status_at(point, event.at) in ("planned", "standing")


def _unnamed(text: str) -> Names:
    """Return the names of what imported history speaks of without ever naming it."""
    return Names(text, text)


def _with_dimension(catalogue: Catalogue, name: str, dimension: Dimension) -> Catalogue:
    return replace(catalogue, dimensions={**catalogue.dimensions, name: dimension})


def _with_point(catalogue: Catalogue, dimension: str, path: str, point: Point) -> Catalogue:
    known = catalogue.dimensions.get(dimension) or Dimension(_unnamed(dimension))
    return _with_dimension(catalogue, dimension, known.with_point(path, point))
