"""The points of one dimension by path and by name, as people write them into a cell."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from api.importing.register_columns import compared
from domain.catalogue import Catalogue, PointStatus, find, point_status_at, points
from domain.values import Instant, Names

_NONE: Final[frozenset[str]] = frozenset()


class Points:
    """Finds a point by its path, by its name in Chinese or English, or by the names from the top
    down with a slash between them: `上海市/浦东新区`."""

    def __init__(self, catalogue: Catalogue, dimension: str, at: Instant) -> None:
        self._catalogue = catalogue
        self._dimension = dimension
        self._at = at
        self._paths: set[str] = set()
        self._names: dict[str, frozenset[str]] = {}
        known = {path: point.names for path, point in points(catalogue, dimension)}
        for path in known:
            self._paths.add(path)
            for name in _names(path, known):
                self._names[name] = self._names.get(name, _NONE) | {path}

    def named(self, text: str) -> frozenset[str]:
        """Return the paths that a text may mean: none, one, or several of the same name."""
        if text in self._paths:
            return frozenset({text})
        return self._names.get(compared(text), _NONE)

    def status(self, path: str) -> PointStatus:
        """Return whether a point may be named in a scope now."""
        return point_status_at(find(self._catalogue, self._dimension, path), self._at)


def _names(path: str, known: Mapping[str, Names]) -> set[str]:
    """Return what a point may be called: its own names, and each way down to it by names."""
    own = known[path]
    segments = path.split("/")
    above = [known.get("/".join(segments[:depth])) for depth in range(1, len(segments))]
    found = {compared(own.zh), compared(own.en)}
    for start in range(len(above)):
        way = above[start:]
        if all(way):
            for language in ("zh", "en"):
                names = [getattr(one, language) for one in (*way, own)]
                found.add("/".join(map(compared, names)))
    return found
