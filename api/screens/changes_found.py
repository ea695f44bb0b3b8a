"""Finds what differs between two moments, a bounded part of it at a time: so many grants looked at,
so many shown, so many seconds; whoever asks for more is told to go on or to use the auditor's way.
"""

from __future__ import annotations

import time
from collections.abc import Generator, Iterable, Mapping
from contextlib import contextmanager
from typing import Any, Final, NamedTuple

from msgspec.structs import replace
from psycopg.rows import tuple_row

from api.screens.visits import Visit
from domain.codec import Undecodable, decode
from domain.events import stream_kind
from domain.teams import TEAM
from domain.values import Instant
from projections import queries
from projections.history_asked import with_merged
from projections.reading import reading
from replay.diff import asked, differences
from replay.diff_records import Asked, By, CaseChange, Difference, PermissionChange, Tally
from replay.reader import Conn, Database, tenants
from replay.sources import Stored

MAX_BETWEEN: Final = 2_000
"""Positions between two moments that a page looks through for touched grants."""

MAX_GRANTS: Final = 500
"""Grants that a question without a grant or a customer may be about."""

LOOKED_AT: Final = 200
"""Grants folded for one page."""

SHOWN: Final = 25
"""Differences on one page."""

SECONDS: Final = 5.0
"""After so long a page ends, and offers to go on from there."""

SEEN_WITH: Final[Mapping[str, str]] = {
    "grant": "grant.events",
    "customer": "customer.events",
    "staff": "staff.list",
    "catalogue": "catalogue.events",
}
"""Kind of stream -> the operation whose callers see what happened to it."""


class TooMany(Exception):
    """More than a page looks through; `key` says what of."""

    def __init__(self, key: str, number: int, limit: int) -> None:
        super().__init__(key)
        self.key = key
        self.params = {"number": number, "limit": limit}


class Question(NamedTuple):
    """Two moments, each a position, an instant, or for the second one None: all there is; `behind`
    is the grant behind which to go on.
    """

    by: By
    first: int | Instant
    last: int | Instant | None
    grant: str | None
    customer: str | None
    behind: str | None


class Found(NamedTuple):
    """A part of what differs. `left`: how many grants were not looked at yet, behind `behind`."""

    asked: Asked
    recorded: tuple[Instant, Instant]
    differences: list[Difference]
    looked_at: int
    left: int
    behind: str | None
    unreadable: int


def find(visit: Visit, question: Question) -> Found:
    """Return what differs. Blocks.

    Raises `OutOfReach`: `position.beyond`, `diff.order`; `TooMany`.
    """
    with _source(visit) as (conn, source):
        end = source.reach.last if question.last is None else question.last
        one = asked(
            source,
            question.by,
            question.first,
            end,
            grant=question.grant,
            customer=question.customer,
        )
        recorded = source.recorded_at(one.known[0]), source.recorded_at(one.known[1])
        every = _grants(conn, source, one)
        waiting = [
            stream for stream in every if question.behind is None or stream > question.behind
        ]
        tally = Tally()
        shown: list[Difference] = []
        behind: str | None = None
        looked_at = 0
        until = time.monotonic() + SECONDS
        for stream in waiting[:LOOKED_AT]:
            if len(shown) == SHOWN or (looked_at and time.monotonic() > until):
                break
            shown += differences(source, replace(one, grant=stream), tally)
            behind, looked_at = stream, looked_at + 1
    left = len(waiting) - looked_at
    return Found(one, recorded, shown, looked_at, left, behind, len(tally.unreadable))


def seen(visit: Visit, found: Iterable[Difference]) -> list[Difference]:
    """Return differences with those acts alone that whoever looks may read elsewhere, too."""
    desk = visit.desk
    if desk.may("history.list"):
        return list(found)
    kinds = {kind for kind, operation in SEEN_WITH.items() if desk.may(operation)}

    def within(one: Difference) -> Difference:
        if isinstance(one, PermissionChange | CaseChange):
            acts = [act for act in one.acts if stream_kind(act.stored.type) in kinds]
            return replace(one, acts=tuple(acts))
        turns = [
            turn
            if turn.act is None or stream_kind(turn.act.stored.type) in kinds
            else replace(turn, act=None)
            for turn in one.turns
        ]
        return replace(one, turns=tuple(turns))

    return [within(one) for one in found]


@contextmanager
def _source(visit: Visit) -> Generator[tuple[Conn, Database]]:
    """Give the tenant's log as the service's own role reads it, of one moment."""
    with visit.services.ledgers.pool.connection() as conn:
        rows, conn.row_factory = conn.row_factory, tuple_row
        try:
            with conn.transaction():
                conn.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
                with reading(conn, visit.tenant):
                    (own,) = [one for one in tenants(conn) if one.id == visit.tenant]
                    yield conn, Database(conn, own)
        finally:
            conn.row_factory = rows


# --- which grants ---------------------------------------------------------------------------------


def _grants(conn: Conn, source: Database, one: Asked) -> list[str]:
    """Return the grants that can differ, in the order of their ids. Raises `TooMany`."""
    if one.grant is not None:
        return [one.grant]
    few = _Few(conn, source.tenant.id)
    if one.customer is not None:
        few.listed(grantee=f"customer:{one.customer}")
    elif one.by != "known":
        few.listed()
    else:
        number = one.known[1] - one.known[0]
        if number > MAX_BETWEEN:
            raise TooMany("changes.between", number, MAX_BETWEEN)
        _touched(source, few, one.known)
    return sorted(few.grants)


class _Few:
    """Grants gathered from the list of grants. Raises `TooMany` with more than `MAX_GRANTS`."""

    def __init__(self, conn: Conn, tenant: str) -> None:
        self._conn = conn
        self._tenant = tenant
        self.grants: set[str] = set()

    def add(self, grants: Iterable[str]) -> None:
        """Take grants in."""
        self.grants |= set(grants)
        if len(self.grants) > MAX_GRANTS:
            raise TooMany("changes.grants", len(self.grants), MAX_GRANTS)

    def listed(self, **which: Any) -> list[str]:
        """Take in the grants of a list; return them."""
        found = queries.grants(self._conn, self._tenant, **which, limit=MAX_GRANTS + 1).items
        ids = [str(row["grant_id"]) for row in found]
        self.add(ids)
        return ids

    def merged(self, customers: Iterable[str]) -> list[str]:
        """Return customers with those that were merged into them."""
        return with_merged(self._conn, self._tenant, sorted(customers))


def _touched(source: Database, few: _Few, known: tuple[int, int]) -> None:
    """Take in the grants that acts after one position and up to another can have changed: their
    own, those of parties that they touched, those of a kind with a new policy, and those passed on
    from any of these.
    """
    customers: set[str] = set()
    refs: set[str] = set()
    for page in source.events(known[0] + 1, known[1]):
        for stored in page:
            match stream_kind(stored.type):
                case "grant":
                    few.add((stored.stream_id,))
                case "customer":
                    customers.add(stored.stream_id)
                case "staff":
                    refs.add(f"staff:{stored.stream_id}")
                case "catalogue":
                    refs |= _teams(stored)
                case "policy" if stored.version == 1:  # that it is there is all that counts
                    few.listed(kind=_kind(stored))
                case _:
                    pass
    refs |= {f"customer:{one}" for one in few.merged(customers)} if customers else set()
    for ref in sorted(refs):
        few.listed(grantee=ref)
    waiting = list(few.grants)
    passed = set(waiting)
    while waiting:
        new = set(few.listed(parent=waiting.pop())) - passed
        passed |= new
        waiting += new


def _teams(stored: Stored) -> set[str]:
    event = _read(stored)
    path = getattr(event, "path", None)
    return {f"{TEAM}:{path}"} if path and event.dimension == TEAM else set()


def _kind(stored: Stored) -> str:
    body = getattr(_read(stored), "body", None)
    return "" if body is None else body.kind


def _read(stored: Stored) -> Any:
    """Return an event; None of what cannot be read, which changes nothing."""
    try:
        return decode(stored.type, stored.data)
    except Undecodable:
        return None
