"""A database that memory can ask, whose answers can be held back; and clocks set by hand."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import datetime
from typing import Any

import psycopg

from domain.errors import Refused
from domain.values import Instant
from projections.check_rows import CheckTail, Loaded
from projections.checks import Decision
from projections.material import PermissionRow, Right, Rows, subject
from projections.remembered import Limits
from tests.projections.facts import day
from tests.projections.materials import ANN, row, stands

LIMITS = Limits(wait_s=0.5, reach_s=0.3, refresh_every_s=0.005, refresh_after_s=0.1)
Gate = Callable[[], Awaitable[None]]


class Log:
    """A database of one tenant: rows by party, attributes by point, keys touched by position."""

    def __init__(self) -> None:
        self.position = 10
        self.generations: tuple[int | None, ...] = (1, 1, 1)
        self.clock = "system"
        self.recorded_at = day(10)
        self.rows: dict[str, list[PermissionRow]] = {ANN: [row()]}
        self.standings: list[Any] | None = None  # None: all of them stand
        self.merges: list[Any] = []
        self.members: list[Any] = []
        self.points: dict[str, dict[str, str]] = {}
        self.quarantined: dict[str, int] = {}
        self.touched: dict[int, list[str]] = {}
        self.too_many = False
        self.tails = 0
        self.loads: list[list[str]] = []
        self.before_tail: Gate | None = None
        self.after_tail: Gate | None = None
        self.after_load: Gate | None = None
        self.down = False

    def write(self, *touched: str) -> None:
        """One event more, which touched these keys."""
        self.position += 1
        self.touched[self.position] = list(touched)

    def revoke(self) -> None:
        """Ann's grant ends at once."""
        self.rows[ANN] = [row(until=5)]
        self.write(f"g:{ANN}")

    async def tail(self, tenant: str, after: int) -> CheckTail:
        if tenant != "t":
            raise Refused("tenant.unknown")
        self.tails += 1
        if self.before_tail is not None:
            await self.before_tail()
        if self.down:
            raise psycopg.OperationalError("down")
        seen = [key for at, keys in self.touched.items() if at > after for key in keys]
        found = CheckTail(
            self.position,
            self.recorded_at,
            self.clock,
            self.generations,
            None if self.too_many else seen,
            dict(self.quarantined),
        )
        if self.after_tail is not None:
            await self.after_tail()
        return found

    async def load(
        self, tenant: str, subjects: Sequence[str], points: Sequence[str], as_of: int | None
    ) -> Loaded:
        self.loads.append(list(subjects))
        if self.down:
            raise psycopg.OperationalError("down")
        every = [one for rows in self.rows.values() for one in rows]
        standings = self.standings
        if standings is None:
            standings = [stands(party) for party in self.rows]
        rows = Rows(every, standings, list(self.merges), every, list(self.members))
        attributes: Mapping[str, Mapping[str, str]] = {
            key: self.points.get(key, {}) for key in points
        }
        found = Loaded(
            self.position,
            self.recorded_at,
            self.clock,
            self.generations,
            {ref: subject(ref, self.position, rows, exists=ref in self.rows) for ref in subjects},
            attributes,
            dict(self.quarantined),
        )
        if self.after_load is not None:
            await self.after_load()
        return found

    async def gone(self, decision: Decision) -> tuple[Right, ...]:
        return ()

    async def position_at(self, tenant: str, at: Instant) -> int:
        return self.position


class Clock:
    """Two clocks set by hand: the process's own, and the wall's."""

    def __init__(self) -> None:
        self.time = 100.0
        self.wall: datetime = day(20)

    def monotonic(self) -> float:
        return self.time

    def now(self) -> datetime:
        return self.wall
