"""The catalogue of the reference: dimensions, their points, and when a point may be named."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from tests.support.reference.answers import NO_NEWS, Answer, failing, happened
from tests.support.reference.people import Hands, People


@dataclass
class Point:
    names: str
    ends: datetime | None
    attributes: dict[str, str]


class Catalogue(People):
    """Dimensions by code with their names, points by dimension and path."""

    def __init__(self, now: datetime) -> None:
        super().__init__(now)
        self.dimensions: dict[str, str] = {}
        self.points: dict[tuple[str, str], Point] = {}

    def declare(self, who: Hands, *, dimension: str, names: str) -> Answer:
        if refused := failing(("role.missing", not self.has(who, "administrator"))):
            return refused
        known = self.dimensions.get(dimension)
        if known == names:
            return NO_NEWS
        if refused := failing(("catalogue.dimension_taken", known is not None)):
            return refused
        self.dimensions[dimension] = names
        return happened("catalogue.dimension_declared")

    def add_point(
        self,
        who: Hands,
        *,
        dimension: str,
        path: str,
        names: str,
        attributes: dict[str, str],
        ends: datetime | None = None,
    ) -> Answer:
        if refused := failing(("role.missing", not self.has(who, "administrator"))):
            return refused
        if refused := failing(("catalogue.dimension_unknown", dimension not in self.dimensions)):
            return refused
        known = self.points.get((dimension, path))
        wanted = Point(names, ends, attributes)
        if known == wanted:
            return NO_NEWS
        if refused := failing(
            ("catalogue.state", self.point(dimension, path) == "ended"),
            ("catalogue.point_taken", known is not None),
            ("catalogue.attribute_own", dimension in attributes),
            (
                "catalogue.point_unknown",
                not all(
                    one == dimension or (one, there) in self.points
                    for one, there in attributes.items()
                ),
            ),
        ):
            return refused
        self.points[dimension, path] = wanted
        return happened("catalogue.point_added")

    def point(self, dimension: str, path: str) -> str:
        """`unknown`, `standing` or `ended` now."""
        known = self.points.get((dimension, path))
        if known is None:
            return "unknown"
        if known.ends is not None and known.ends <= self.now:
            return "ended"
        return "standing"

    def rename_point(self, who: Hands, *, dimension: str, path: str, names: str) -> Answer:
        status = self.point(dimension, path)
        if refused := failing(
            ("role.missing", not self.has(who, "administrator")),
            ("catalogue.point_unknown", status == "unknown"),
            ("catalogue.state", status == "ended"),
        ):
            return refused
        known = self.points[dimension, path]
        if known.names == names:
            return NO_NEWS
        known.names = names
        return happened("catalogue.point_renamed")

    def end_point(self, who: Hands, *, dimension: str, path: str, ends: datetime | None) -> Answer:
        status = self.point(dimension, path)
        if refused := failing(
            ("role.missing", not self.has(who, "administrator")),
            ("catalogue.point_unknown", status == "unknown"),
        ):
            return refused
        known = self.points[dimension, path]
        if known.ends is not None and (ends == known.ends or (status == "ended" and ends is None)):
            return NO_NEWS
        if refused := failing(
            ("catalogue.state", status == "ended"),
            ("catalogue.ends_in_past", ends is not None and ends < self.now),
        ):
            return refused
        known.ends = ends or self.now
        return happened("catalogue.point_ended")
