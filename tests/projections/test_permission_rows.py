"""Rows of grants as arrays, one a column: what they write is what the same rows written as JSON
objects do, whatever a batch closes and opens."""

from __future__ import annotations

import random
from datetime import timedelta
from typing import Any
from uuid import UUID

import psycopg
import pytest

from api.provisioning import Database
from domain.permission_rows import Placed, closing, opening
from projections.permissions import Permission, Stop
from tests.projections.conftest import FOLDS, apply_objects
from tests.projections.facts import START, day
from tests.support.ledger import make_tenant, new_id
from tests.support.owner import superuser

ODD = ("sell", "dis play", 'say "yes"', "back\\slash", "a,b", "{c}", "NULL", "售", "")
COLUMNS = (
    "grant_id, terms_number, valid_from, valid_to::text, known_from, known_to, grantee, number,"
    " kind, actions, scope, policy_id, policy_version, parent, stops"
)
_BINARY = 1


class Batches:
    """Makes batches of events on a few grants, each closing and opening rows that are there."""

    def __init__(self, seed: int, *, apart: bool) -> None:
        self._chance = random.Random(seed)
        self._apart = apart
        self.streams = [new_id() for _ in range(6)]
        self._open: dict[int, list[Permission]] = {place: [] for place in range(6)}
        self._position = 0

    def next(self) -> tuple[list[int], list[int | None], list[Placed], list[Placed]]:
        """Return the stream of each event, its position, and the rows closed and opened."""
        chance = self._chance
        many = 4 if self._apart else 9
        events = chance.sample(range(6), many) if self._apart else chance.choices(range(6), k=many)
        left_out = set() if self._apart else set(chance.sample(range(6), 1))
        positions: list[int | None] = []
        closed: list[Placed] = []
        opened: list[Placed] = []
        for place, stream in enumerate(events, 1):
            self._position += stream not in left_out
            positions.append(None if stream in left_out else self._position)
            rows = list(self._open[stream])
            gone = [row for row in rows if chance.random() < 0.6]
            begins = [row.valid_from for row in rows if row not in gone]
            new = [row for row in self._rows(stream) if row.valid_from not in begins]
            closed += [(place, row) for row in gone]
            opened += [(place, row) for row in new]
            if stream not in left_out:
                self._open[stream] = [row for row in rows if row not in gone] + new
        return events, positions, closed, opened

    def _rows(self, stream: int) -> list[Permission]:
        begins = self._chance.sample(range(4), self._chance.randint(0, 2))
        return [self._row(stream, day(begin)) for begin in begins]

    def _row(self, stream: int, begin: Any) -> Permission:
        chance = self._chance
        return Permission(
            1,
            begin,
            chance.choice([None, begin + timedelta(days=1, microseconds=7)]),
            f"customer:{self.streams[stream]}",
            f"№{stream}",
            "经销",
            tuple(chance.sample(ODD, chance.randint(0, 3))),
            {"territory": ("CN/31", '"')},
            chance.choice([None, self.streams[0]]),
            chance.randint(1, 5000),
            chance.choice([None, "grant:x"]),
            (Stop("suspended", START, None, "h"),) if chance.random() < 0.5 else (),
        )


def _objects(conn: Any, tenant: str, made: Batches, batch: Any) -> None:
    """Write as a process of another release does, and a rebuild."""
    events, positions, closed, opened = batch
    rows: list[dict[str, Any]] = [
        {"e": place - 1, "t": "g", "o": letter, "grant_id": made.streams[events[place - 1]]}
        | values
        for letter, given in (("c", closed), ("o", opened))
        for place, row in given
        for values in [row.key() if letter == "c" else row.values()]
    ]
    apply_objects(conn, tenant, positions, rows)


def _arrays(conn: Any, tenant: str, made: Batches, batch: Any, *, apart: bool) -> None:
    """Write as `append` does."""
    events, positions, closed, opened = batch
    streams = ", ".join(f"'{made.streams[one]}'" for one in events)
    sent = [*closing(closed), *opening(opened)]
    marks = ", ".join(f"${place}" for place in range(2, 2 + len(sent)))
    text = ", ".join("NULL" if one is None else str(one) for one in positions)
    found = conn.pgconn.exec_params(
        f"SELECT permissions_apply($1::uuid, 1, ARRAY[{text}]::bigint[],"
        f" ARRAY[{streams}]::uuid[], {apart}, {marks})".encode(),
        [UUID(tenant).bytes, *(one.data for one in sent)],
        [2950, *(one.oid for one in sent)],
        [_BINARY] * (1 + len(sent)),
    )
    if found.status == psycopg.pq.ExecStatus.FATAL_ERROR:
        raise psycopg.errors.error_from_result(found)


def _stored(database: Database, tenant: str) -> list[Any]:
    with superuser(database) as conn:
        return conn.execute(
            f"SELECT {COLUMNS} FROM permissions WHERE tenant_id = %s ORDER BY 1, 2, 3, 5, 6",
            (tenant,),
        ).fetchall()  # pyright: ignore[reportCallIssue, reportArgumentType]


@pytest.mark.parametrize("apart", [True, False])
def test_arrays_write_what_objects_write(database: Database, *, apart: bool) -> None:
    made = Batches(7, apart=apart)
    one, other = make_tenant(database, FOLDS), make_tenant(database, FOLDS)
    with superuser(database) as conn:
        for _ in range(40):
            batch = made.next()
            with conn.transaction():
                for tenant in (one, other):
                    conn.execute("SELECT set_config('counterseal.tenant', %s, true)", (tenant,))
                    if tenant == one:
                        _objects(conn, tenant, made, batch)
                    else:
                        _arrays(conn, tenant, made, batch, apart=apart)
    rows = _stored(database, one)
    assert len(rows) > 60
    assert sum(row[5] is not None for row in rows) > 30
    assert _stored(database, other) == rows


@pytest.mark.parametrize("apart", [True, False])
def test_a_permission_to_be_closed_that_is_not_there_stops_the_append(
    database: Database, tenant: str, *, apart: bool
) -> None:
    made = Batches(7, apart=apart)
    row = Permission(1, START, None, "customer:x", "n", "k", (), {}, None, 1, None, ())
    with superuser(database) as conn:
        conn.execute("SELECT set_config('counterseal.tenant', %s, false)", (tenant,))
        with pytest.raises(psycopg.Error) as caught:
            _arrays(conn, tenant, made, ([0], [1], [(1, row)], []), apart=apart)
    assert caught.value.sqlstate == "CS004"
