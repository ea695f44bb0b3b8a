"""What rows of one register have against each other: numbers, names, the same right twice."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from contextlib import closing
from datetime import timedelta, tzinfo
from itertools import groupby
from typing import Final

from api.importing.faults import Unusable
from api.importing.instants import instant
from api.importing.register_columns import NAME, NUMBER, Column
from api.importing.register_faults import WHOLE_ROW, Problem
from api.importing.register_overlaps import Met, Taken
from api.importing.register_plan import Plan
from api.importing.register_spool import Entry, RegisterSpool
from domain.events.exclusion import Reservation
from domain.exclusions import Conflict

MAX_CUSTOMER_ROWS: Final = 5_000
"""Rows of one customer: they are held together while they are compared."""

MAX_EXCLUSIVE_ROWS: Final = 20_000
"""Rows of an exclusive kind: each is compared with all, here and by the ledger."""

_INSTANT: Final = timedelta(microseconds=1)

_FIRST: Final = "min(row + (state <> 'present') * 1000000000) % 1000000000"
"""The row that the others of its group are held against: what the ledger has goes before."""

_ORDER: Final = "state <> 'present', row"

_READABLE: Final = "scope IS NOT NULL AND starts IS NOT NULL AND ends IS NOT NULL"


class Repeats:
    """Finds in a spool what may not be there twice; the first row stays, later ones are refused.

    A row that an earlier run wrote goes before all others, wherever it stands. Rows that are
    refused for another reason count as well: mended, they would be there."""

    def __init__(self, spool: RegisterSpool, plan: Plan) -> None:
        self._spool = spool
        self._plan = plan

    def find(self) -> None:
        """Refuse every row that repeats. Raises `Unusable`: `register.too_many_exclusive`."""
        self._spool.run("CREATE INDEX by_number ON rows (counted, row) WHERE counted IS NOT NULL")
        self._spool.run("CREATE INDEX by_ident ON rows (ident, row) WHERE ident IS NOT NULL")
        self._numbers()
        self._names()
        if self._plan.body.exclusive:
            self._exclusive()
        else:
            self._customers()
        self._spool.judge()

    def _numbers(self) -> None:
        repeated = (
            f"SELECT r.row, f.first FROM (SELECT counted, {_FIRST} AS first FROM rows"
            " WHERE counted IS NOT NULL GROUP BY counted HAVING count(*) > 1) f"
            " JOIN rows r ON r.counted = f.counted AND r.row <> f.first AND r.state <> 'present'"
        )
        for row, first in self._found(repeated):
            self._refuse(row, NUMBER, "register.number_twice", other=first)

    def _names(self) -> None:
        """Refuse a name that differs from the one this customer has first."""
        differing = (
            f"SELECT r.row, f.row FROM (SELECT ident, {_FIRST} AS first FROM rows"
            " WHERE ident IS NOT NULL AND name IS NOT NULL GROUP BY ident HAVING count(*) > 1) g"
            " JOIN rows f ON f.row = g.first JOIN rows r ON r.ident = g.ident"
            " AND r.compared <> f.compared AND r.name IS NOT NULL AND r.state <> 'present'"
        )
        for row, first in self._found(differing):
            self._refuse(row, NAME, "register.name_differs", other=first)

    def _customers(self) -> None:
        """Compare the rows of each customer that has several."""
        several = (
            f"WHERE ident IN (SELECT ident FROM rows WHERE ident IS NOT NULL AND {_READABLE}"
            f" GROUP BY ident HAVING count(*) > 1) AND {_READABLE} ORDER BY ident, {_ORDER}"
        )
        with closing(self._spool.entries(several)) as found:
            for _, rows in groupby(found, key=lambda entry: entry.ident):
                self._one_by_one(rows)

    def _one_by_one(self, rows: Iterable[Entry]) -> None:
        taken: Taken[int] = Taken(self._plan.pivot)
        for count, entry in enumerate(rows, 1):
            if count > MAX_CUSTOMER_ROWS:
                code = "register.customer_rows"
                params = {"limit": MAX_CUSTOMER_ROWS}
                self._spool.refuse(Problem(entry.row, WHOLE_ROW, code, params))
                continue
            wanted = reservation(entry)
            met = None if entry.state == "present" else next(taken.meeting(wanted), None)
            if met is None:
                taken.add(entry.row, wanted)
            else:
                self._twice(entry, "register.same_twice", met.holder, met.shared)

    def _exclusive(self) -> None:
        """Compare every row with every other: of an exclusive kind a place is one customer's."""
        readable = f"ident IS NOT NULL AND {_READABLE}"
        if self._spool.one(f"SELECT count(*) FROM rows WHERE {readable}") > MAX_EXCLUSIVE_ROWS:
            raise Unusable("register.too_many_exclusive", limit=MAX_EXCLUSIVE_ROWS)
        taken: Taken[Entry] = Taken(self._plan.pivot)
        with closing(self._spool.entries(f"WHERE {readable} ORDER BY {_ORDER}")) as found:
            for entry in found:
                wanted = reservation(entry)
                met: Met[Entry] | None = next(taken.meeting(wanted), None)
                if met is None or entry.state == "present":
                    taken.add(entry, wanted)
                    continue
                same = met.holder.ident == entry.ident
                code = "register.same_twice" if same else "register.exclusive_twice"
                self._twice(entry, code, met.holder.row, met.shared)

    def _twice(self, entry: Entry, code: str, other: int, shared: Conflict) -> None:
        params = {"other": other, **told(shared, self._plan.zone)}
        self._spool.refuse(Problem(entry.row, self._plan.scope_place, code, params))

    def _found(self, statement: str) -> Iterator[tuple[int, int]]:
        with closing(self._spool.each(statement)) as found:
            for row, first in found:
                yield int(row), int(first)

    def _refuse(self, row: int, column: Column, code: str, **params: int) -> None:
        self._spool.refuse(Problem(row, self._plan.place(column), code, params))


def reservation(entry: Entry) -> Reservation:
    """Return the scope and the term of a row in which both could be read."""
    if entry.scope is None or entry.starts is None or entry.ends is None:
        raise ValueError("a row without scope or term takes nothing")
    scope = {name: tuple(patterns) for name, patterns in json.loads(entry.scope).items()}
    return Reservation(scope, instant(entry.starts), instant(entry.ends))


def told(shared: Conflict, zone: tzinfo) -> dict[str, str]:
    """Return what two have in common as facts of a sentence; the days are those of the register,
    the last one included."""
    scope = "; ".join(f"{name} {', '.join(some)}" for name, some in shared.overlap.items())
    first = shared.starts_at.astimezone(zone).date().isoformat()
    last = "…"
    if shared.ends_at is not None:
        last = (shared.ends_at - _INSTANT).astimezone(zone).date().isoformat()
    return {"overlap": scope, "first": first, "last": last}
