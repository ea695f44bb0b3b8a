"""The catalogue: the tenant's dimensions and their points, each with its names and the time it may
be named in.

One stream a tenant, with thousands of points. A dimension keeps them on shelves, so that one more
point copies one shelf and not all of them.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator, Mapping
from types import MappingProxyType
from typing import Final, Literal

import msgspec
from msgspec.structs import replace

from domain.codes import require_code, require_names
from domain.errors import Impossible, Refused
from domain.events.catalogue import DimensionDeclared, PointAdded, PointEnded, PointRenamed
from domain.folding import disorder
from domain.scopes import path_fault
from domain.values import Act, Instant, Names, stamp

CatalogueEvent = DimensionDeclared | PointAdded | PointRenamed | PointEnded
PointStatus = Literal["none", "planned", "standing", "ended"]

SHELVES: Final = 256
"""How many shelves a dimension has: a point more copies this many references and one shelf."""


RESERVED: Final = frozenset({"customer", "manager", "grade"})
"""Dimensions on which customers lie without any declaration; see `domain.kinds`."""

MAX_DIMENSIONS: Final = 64
MAX_POINTS: Final = 200_000
"""Most points a dimension has, ended ones included; GB/T 2260 has some 3,500."""


class Point(msgspec.Struct, frozen=True, gc=False, rename={"from_": "from"}):
    """A point: it may be named in new scopes during `[from_, until)`, None: from ever, for ever."""

    names: Names
    from_: Instant | None = None
    until: Instant | None = None
    attributes: Mapping[str, str] = {}


_EMPTY: Final[Mapping[str, Point]] = {}
_NO_POINTS: Final[tuple[Mapping[str, Point], ...]] = (_EMPTY,) * SHELVES


class Dimension(msgspec.Struct, frozen=True, gc=False):
    """A dimension and its points by path, on shelves by the path's CRC-32."""

    names: Names
    shelves: tuple[Mapping[str, Point], ...] = _NO_POINTS

    @property
    def count(self) -> int:
        """How many points there are, ended ones included."""
        return sum(map(len, self.shelves))

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


class Catalogue(msgspec.Struct, frozen=True, gc=False):
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


def require_known(catalogue: Catalogue | None) -> Catalogue:
    """Refuse with `catalogue.unknown` where the tenant has declared nothing yet."""
    if catalogue is None:
        raise Refused("catalogue.unknown")
    return catalogue


def require_dimension(catalogue: Catalogue, dimension: str) -> Dimension:
    """Refuse with `catalogue.dimension_unknown` what is not declared."""
    known = catalogue.dimensions.get(dimension)
    if known is None:
        raise Refused("catalogue.dimension_unknown", dimension=dimension)
    return known


def require_point(catalogue: Catalogue, dimension: str, path: str) -> Point:
    """Refuse what was never added: `catalogue.dimension_unknown`, `catalogue.point_unknown`."""
    point = require_dimension(catalogue, dimension).get(path)
    if point is None:
        raise Refused("catalogue.point_unknown", dimension=dimension, path=path)
    return point


def require_not_ended(point: Point | None, path: str, at: Instant) -> None:
    """Refuse with `catalogue.state` a point that ended: it stays as it was, for good."""
    if point_status_at(point, at) == "ended":
        raise Refused("catalogue.state", path=path, state="ended")


def require_path(path: str) -> None:
    """Refuse with `catalogue.path_malformed` what is no path; see `domain.scopes.path_fault`."""
    fault = path_fault(path)
    if fault is not None:
        raise Refused("catalogue.path_malformed", path=path, fault=fault)


def require_attributes(catalogue: Catalogue, dimension: str, attributes: Mapping[str, str]) -> None:
    """Refuse attributes that do not name known points of other dimensions.

    Codes: `catalogue.attribute_own` and those of `require_point`.
    """
    for other, path in attributes.items():
        if other == dimension:
            raise Refused("catalogue.attribute_own", dimension=dimension)
        require_point(catalogue, other, path)


def declare_dimension(
    catalogue: Catalogue | None, *, dimension: str, names: Names, act: Act
) -> list[CatalogueEvent]:
    """Declare a dimension; the first one begins the catalogue.

    Raises `Refused`: `code.malformed`, `names.malformed`, `catalogue.dimension_reserved`,
    `catalogue.dimension_taken`, `catalogue.too_many`.
    """
    require_code("dimension", dimension)
    if dimension in RESERVED:
        raise Refused("catalogue.dimension_reserved", dimension=dimension)
    require_names(names)
    dimensions = (catalogue or Catalogue()).dimensions
    present = dimensions.get(dimension)
    if present is not None and present.names == names:
        return []
    if present is not None:
        raise Refused("catalogue.dimension_taken", dimension=dimension)
    if len(dimensions) >= MAX_DIMENSIONS:
        raise Refused("catalogue.too_many", limit=MAX_DIMENSIONS)
    return [DimensionDeclared(**stamp(act), dimension=dimension, names=names)]


def add_point(
    catalogue: Catalogue | None,
    *,
    dimension: str,
    path: str,
    names: Names,
    from_: Instant | None = None,
    until: Instant | None = None,
    attributes: Mapping[str, str] = MappingProxyType({}),
    act: Act,
) -> list[CatalogueEvent]:
    """Add a point; one that ended long ago may be added with its end, so that history can name it.

    Raises `Refused`: `catalogue.unknown`, `catalogue.path_malformed`, `names.malformed`,
    `catalogue.dimension_unknown`, `catalogue.state` (it ended), `catalogue.point_taken`,
    `catalogue.term_empty`, `catalogue.attribute_own`, `catalogue.point_unknown` (an attribute's),
    `catalogue.too_many`.
    """
    kept = require_known(catalogue)
    require_path(path)
    require_names(names)
    known = require_dimension(kept, dimension)
    present = known.get(path)
    if present == Point(names, from_, until, dict(attributes)):
        return []
    require_not_ended(present, path, act.at)
    if present is not None:
        raise Refused("catalogue.point_taken", dimension=dimension, path=path)
    if from_ is not None and until is not None and until <= from_:
        raise Refused("catalogue.term_empty", path=path)
    require_attributes(kept, dimension, attributes)
    if known.count >= MAX_POINTS:
        raise Refused("catalogue.too_many", limit=MAX_POINTS)
    return [
        PointAdded(
            **stamp(act),
            dimension=dimension,
            path=path,
            names=names,
            from_=from_,
            until=until,
            attributes=dict(attributes),
        )
    ]


def rename_point(
    catalogue: Catalogue | None, *, dimension: str, path: str, names: Names, act: Act
) -> list[CatalogueEvent]:
    """Give a point other names; its path never changes.

    Raises `Refused`: `catalogue.unknown`, `catalogue.dimension_unknown`, `catalogue.point_unknown`,
    `catalogue.state` (it ended), `names.malformed`.
    """
    point = require_point(require_known(catalogue), dimension, path)
    require_not_ended(point, path, act.at)
    require_names(names)
    if point.names == names:
        return []
    return [PointRenamed(**stamp(act), dimension=dimension, path=path, names=names)]


def end_point(
    catalogue: Catalogue | None,
    *,
    dimension: str,
    path: str,
    ends_at: Instant | None = None,
    act: Act,
) -> list[CatalogueEvent]:
    """End a point, now or later: no new scope may name it from then on. Rights that do go on.

    Raises `Refused`: `catalogue.unknown`, `catalogue.dimension_unknown`, `catalogue.point_unknown`,
    `catalogue.state` (it ended at another instant), `catalogue.ends_in_past`.
    """
    point = require_point(require_known(catalogue), dimension, path)
    ended = point_status_at(point, act.at) == "ended"
    if point.until is not None and (ends_at == point.until or (ended and ends_at is None)):
        return []
    require_not_ended(point, path, act.at)
    instant = act.at if ends_at is None else ends_at
    if instant < act.at:
        raise Refused("catalogue.ends_in_past", path=path, ends_at=instant)
    return [PointEnded(**stamp(act), dimension=dimension, path=path, ends_at=instant)]
