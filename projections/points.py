"""The catalogue's points as rows: when they may be named, what they are called, where they lie in
other dimensions.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from domain.catalogue import Catalogue, CatalogueEvent, find
from domain.events.catalogue import DimensionDeclared
from domain.teams import EVER, TEAM
from domain.values import Instant, Names
from projections.inline_rows import Change, difference, end, spans

NAME = "points"
FOLD = 2
"""The fold version: raised whenever the rows of the same events would be others."""


class PointRow(msgspec.Struct, frozen=True, gc=False):
    """A point; new scopes may name it during `[valid_from, valid_to)`, None being no bound.

    `attributes`: dimension -> the path it has there, or several where it lies below each of them.
    """

    dimension: str
    path: str
    valid_from: Instant | None
    valid_to: Instant | None
    names: Names
    attributes: Mapping[str, str | tuple[str, ...]]

    def key(self) -> dict[str, Any]:
        return {"dimension": self.dimension, "path": self.path}

    def values(self) -> dict[str, Any]:
        return {
            "dimension": self.dimension,
            "path": self.path,
            "valid_from": "-infinity" if self.valid_from is None else self.valid_from,
            "valid_to": end(self.valid_to),
            "names": {"zh": self.names.zh, "en": self.names.en},
            "attributes": self.attributes,
        }

    def says(self, other: PointRow) -> bool:
        """Tell whether checks find it where it was: names change no answer, and its time only a
        team's, which stands while its point does.
        """
        if self.attributes != other.attributes:
            return False
        if self.dimension != TEAM:
            return True
        begins = self.valid_from or EVER, other.valid_from or EVER
        return spans((begins[0], self.valid_to), (begins[1], other.valid_to))


def row(catalogue: Catalogue, dimension: str, path: str) -> PointRow | None:
    """Return the row of one point, None where there is no such point."""
    point = find(catalogue, dimension, path)
    if point is None:
        return None
    return PointRow(dimension, path, point.from_, point.until, point.names, point.attributes)


def changes(before: Catalogue | None, event: CatalogueEvent, after: Catalogue) -> Sequence[Change]:
    """Return the rows that this step closes and opens, of the one point the event names."""
    if isinstance(event, DimensionDeclared):
        return ()
    old = None if before is None else row(before, event.dimension, event.path)
    new = row(after, event.dimension, event.path)
    if old == new:
        return ()
    return difference(
        "p", () if old is None else (old,), () if new is None else (new,), PointRow.says
    )
