"""Finds the operation of a path in a few look-ups, however many operations there are."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final, NamedTuple

from starlette.routing import BaseRoute, Route
from starlette.types import ASGIApp, Receive, Scope, Send

METHODS: Final = "counterseal.methods"
"""Where the scope of a request that no route takes says which methods its path does take."""


class Found(NamedTuple):
    """The application of one method on a path, and the names of the path's places."""

    app: ASGIApp
    names: tuple[str, ...]


class _Step:
    """One segment of a path: what may follow, by its very text or in a place."""

    __slots__ = ("ends", "place", "texts")

    def __init__(self) -> None:
        self.texts: dict[str, _Step] = {}
        self.place: _Step | None = None
        self.ends: dict[str, Found] = {}


class Index:
    """Goes to the route of a path and method; to `otherwise` where there is none, which answers
    with 404 or 405.
    """

    def __init__(self, routes: Iterable[BaseRoute], otherwise: ASGIApp) -> None:
        self._otherwise = otherwise
        self._root = _Step()
        for route in routes:
            if isinstance(route, Route):
                self._add(route)

    def _add(self, route: Route) -> None:
        step = self._root
        names: list[str] = []
        for segment in route.path.split("/")[1:]:
            if segment.startswith("{"):
                names.append(segment[1:-1])
                step.place = step.place or _Step()
                step = step.place
            else:
                step = step.texts.setdefault(segment, _Step())
        for method in route.methods or ():
            step.ends[method] = Found(route.app, tuple(names))

    def find(self, path: str, method: str) -> tuple[Found, dict[str, str]] | None:
        """Return the application and what stands in the path's places."""
        ends, values = self._reach(path)
        found = ends.get(method)
        if found is None or len(found.names) != len(values):
            return None
        return found, dict(zip(found.names, values, strict=True))

    def methods(self, path: str) -> list[str]:
        """Return the methods that the path takes, sorted; none where there is no such path."""
        ends, values = self._reach(path)
        return sorted(method for method, one in ends.items() if len(one.names) == len(values))

    def _reach(self, path: str) -> tuple[Mapping[str, Found], list[str]]:
        """Return what ends at this path, by method, and what stands in its places."""
        step = self._root
        values: list[str] = []
        for segment in path.split("/")[1:]:
            following = step.texts.get(segment)
            if following is None:
                following = step.place
                if following is None or not segment:
                    return {}, values
                values.append(segment)
            step = following
        return step.ends, values

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            found = self.find(scope["path"], scope["method"])
            if found is not None:
                (app, _), scope["path_params"] = found
                await app(scope, receive, send)
                return
            scope[METHODS] = self.methods(scope["path"])
        await self._otherwise(scope, receive, send)
