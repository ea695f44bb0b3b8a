"""The live tables against the log: every row of every read model, column by column.

Streams are folded one after another in the order of their ids, and every table is read beside them
in the same order, so that one stream at a time is in memory, however long the log is. Everything is
read in one snapshot, while commands go on; a read model that follows the log is compared as of the
position it has got to.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from itertools import chain
from typing import Any, Final, NamedTuple
from uuid import UUID

import msgspec

from domain.events import stream_kind
from projections.refolding import Refold
from projections.store import Quarantine
from projections.tables import TABLES, Table
from replay.comparable import Row, as_written, comparable
from replay.rebuild_plan import FOLDS
from replay.sources import Source

CHUNK: Final = 500
"""Events of one stream after which the rows that stand an event are compared."""

MOST_PAIRED: Final = 100
"""Of a stream's rows without a partner of the same key, so many are tried against each other."""


class Difference(NamedTuple):
    """One value that is not as it must be.

    `table` and its read model `projection`; `key`: the columns that name the row, and their values.
    `column` is empty where the whole row is there once only: then `live` is the row or None, and so
    is `folded`. Values are as JSON has them.
    """

    table: str
    projection: str
    key: Mapping[str, Any]
    column: str
    live: Any
    folded: Any


class Compared(NamedTuple):
    """How much was looked at: `upto` is read model -> the position as of which it was compared,
    `faults` streams that cannot be folded to their end.
    """

    position: int
    upto: Mapping[str, int]
    streams: int
    events: int
    rows: int
    faults: tuple[Quarantine, ...]


class Comparison:
    """A tenant's live tables against its log; iterate to get each `Difference`, then `compared`
    tells how much there was.

    `names`: read models, None for all. A read model that another release's fold made is told by its
    column `fold`, and its rows are not looked at; one without a live generation by `generation`.
    Iterating raises `NewerEvent`.
    """

    def __init__(
        self,
        source: Source,
        names: Collection[str] | None = None,
        folds: Mapping[str, int] = FOLDS,
    ) -> None:
        self._source = source
        self._wanted = {name: folds[name] for name in (folds if names is None else names)}
        self._upto: dict[str, int] = {}
        self._streams = self._events = self._rows = 0
        self._refold = Refold(source.tenant.id, {})

    @property
    def compared(self) -> Compared:
        """What was looked at so far."""
        faults = tuple(self._refold.faults)
        return Compared(
            self._source.head.position,
            dict(self._upto),
            self._streams,
            self._events,
            self._rows,
            faults,
        )

    def __iter__(self) -> Iterator[Difference]:
        source = self._source
        live = source.models()
        for name, fold in self._wanted.items():
            if name not in live:
                yield Difference(name, name, {}, "generation", None, 1)
            elif live[name].fold != fold:
                yield Difference(name, name, {}, "fold", live[name].fold, fold)
            else:
                self._upto[name] = live[name].position
        self._refold = Refold(source.tenant.id, self._upto, source.quarantined())
        sides = [
            _Live(table, source.owned(table))
            for table in TABLES.values()
            if table.projection in self._upto
        ]
        by_event = [side for side in sides if side.table.by_event]
        refold, stream, number = self._refold, "", 0
        for stored in chain.from_iterable(source.by_stream()):
            if stored.stream_id != stream:
                yield from self._stream(sides, stream)
                stream, number = stored.stream_id, 0
                self._streams += 1
                refold.begin(stream, stream_kind(stored.type))
            refold.add(stored)
            self._events += 1
            number += 1
            if number % CHUNK == 0:
                for side in by_event:
                    yield from self._table(side, UUID(stream), stored.position)
        yield from self._stream(sides, stream)
        for side in sides:
            for row in side.rest():
                self._rows += 1
                yield _whole(side.table, row, None)

    def _stream(self, sides: Sequence[_Live], stream: str) -> Iterator[Difference]:
        if stream:
            self._refold.end()
            for side in sides:
                yield from self._table(side, UUID(stream), None)

    def _table(self, side: _Live, owner: UUID, upto: int | None) -> Iterator[Difference]:
        """Compare the rows of one table and stream, up to a position or all."""
        for row in side.before(owner):
            self._rows += 1
            yield _whole(side.table, row, None)
        folded = as_written(self._refold.rows.pop(side.table.name, ()))
        live = list(side.of(owner, upto))
        self._rows += len(live)
        yield from against(side.table, live, folded)


def against(table: Table, live: Sequence[Row], folded: Sequence[Row]) -> Iterator[Difference]:
    """Yield what differs between rows of one table as they are and as they must be."""
    columns, key = table.columns, {name: table.columns[name] for name in table.key}
    there = {comparable(key, row): row for row in live}
    for row in folded:
        other = there.get(comparable(key, row))
        if other is not None and comparable(columns, other) == comparable(columns, row):
            del there[comparable(key, row)]
    if not there and len(live) == len(folded):
        return
    equal = {comparable(key, row) for row in live} - there.keys()
    left = [row for row in folded if comparable(key, row) not in equal]
    alone: list[Row] = []
    for row in left:
        other = there.pop(comparable(key, row), None)
        if other is None:
            alone.append(row)
        else:
            yield from _columns(table, other, row)
    others = list(there.values())
    for row in alone:
        other = _nearest(table, row, others)
        if other is None:
            yield _whole(table, None, row)
        else:
            others.remove(other)
            yield from _columns(table, other, row)
    for other in others:
        yield _whole(table, other, None)


def _columns(table: Table, live: Row, folded: Row) -> Iterator[Difference]:
    key = {name: folded.get(name) for name in table.key}
    for name, kind in table.columns.items():
        if comparable({name: kind}, live) != comparable({name: kind}, folded):
            yield Difference(
                table.name, table.projection, key, name, live.get(name), folded.get(name)
            )


def _nearest(table: Table, row: Row, others: Sequence[Row]) -> Row | None:
    """Return the row that this one may have been before a column of its key was changed: all but
    one of its columns are the same.
    """
    mine = comparable(table.columns, row)
    for other in others[:MOST_PAIRED]:
        theirs = comparable(table.columns, other)
        if sum(one != two for one, two in zip(mine, theirs, strict=True)) == 1:
            return other
    return None


def _whole(table: Table, live: Row | None, folded: Row | None) -> Difference:
    row = live or folded or {}
    key = {name: row.get(name) for name in table.key}
    return Difference(table.name, table.projection, key, "", live, folded)


class _Live:
    """The live rows of one table in the order of the streams they follow from."""

    def __init__(self, table: Table, rows: Iterator[tuple[UUID | None, int, str]]) -> None:
        self.table = table
        self._rows = rows
        self._next = next(rows, None)

    def before(self, owner: UUID) -> Iterator[Row]:
        """Yield rows of streams that come before this one; the log has no such streams."""
        while self._next is not None and (self._next[0] is None or self._next[0] < owner):
            yield self._take(self._next)

    def of(self, owner: UUID, upto: int | None) -> Iterator[Row]:
        """Yield the rows of a stream, up to a position or all of them."""
        while self._next is not None and self._next[0] == owner:
            if upto is not None and self._next[1] > upto:
                return
            yield self._take(self._next)

    def rest(self) -> Iterator[Row]:
        """Yield what is left; the log has no such streams."""
        while self._next is not None:
            yield self._take(self._next)

    def _take(self, found: tuple[UUID | None, int, str]) -> Row:
        self._next = next(self._rows, None)
        return msgspec.json.decode(found[2])


def compare(
    source: Source, names: Collection[str] | None = None
) -> tuple[list[Difference], Compared]:
    """Return every difference at once, and how much was looked at; see `Comparison`."""
    comparison = Comparison(source, names)
    found = list(comparison)
    return found, comparison.compared
