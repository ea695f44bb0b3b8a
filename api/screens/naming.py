"""What things are called on a screen: the names of history's lines, instants in the zone."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from datetime import datetime, tzinfo
from typing import Any, Final

from api.screens.clock import local
from api.screens.visits import Visit
from api.screens.words import Words
from api.texts import Language
from projections import history_names
from projections.history_lines_names import Book
from projections.history_names import Names as Known

_ID: Final = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")


class LocalBook(Book):
    """Names in one language, instants in one zone."""

    def __init__(
        self, language: Language, known: Known, policy: Any, dimension: Any, zone: tzinfo
    ) -> None:
        super().__init__(language, known, policy, dimension)
        self._zone = zone

    def dimension(self, dimension: str) -> str:
        """Return what the tenant calls a dimension, else what the screens do."""
        found = super().dimension(dimension)
        return Words(self.language).word("dimension", dimension) if found == dimension else found

    def instant(self, at: datetime) -> str:
        """Return an instant in the zone, a day where it is its beginning."""
        return local(at, self._zone)


def book(visit: Visit, ids: Iterable[str], points: Iterable[tuple[str, str]] = ()) -> LocalBook:
    """Return what these ids and points are called. Blocks."""
    ledgers = visit.services.ledgers
    wanted = {one for one in ids if _ID.fullmatch(one)}
    with ledgers.pool.connection() as connection:
        known = history_names.names(connection, visit.tenant, wanted, points)

    def policy(stream: str) -> Any:
        return ledgers.load(visit.tenant, "policy", stream).state

    def dimension(code: str) -> Any:
        state = ledgers.load(visit.tenant, "catalogue", visit.tenant).state
        found = None if state is None else state.dimensions.get(code)
        return None if found is None else found.names

    return LocalBook(visit.language, known, policy, dimension, visit.zone)


def ids_of(refs: Iterable[str | None]) -> set[str]:
    """Return the ids that refs of parties name."""
    return {ref.rpartition(":")[2] for ref in refs if ref}


def points_of(scopes: Iterable[Mapping[str, Iterable[str]]]) -> set[tuple[str, str]]:
    """Return the points that scopes name, as dimension and path."""
    return {
        (dimension, path)
        for scope in scopes
        for dimension, patterns in scope.items()
        for path in patterns
    }


def link_of(ref: str) -> str | None:
    """Return the page of a party, None where it has none."""
    kind, _, name = ref.partition(":")
    return f"/customers/{name}" if kind == "customer" else None
