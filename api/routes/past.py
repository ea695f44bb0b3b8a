"""The past at the doors: what a question names of it, waited for, chosen, told in the answer."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any, Final, ParamSpec, TypeVar

import psycopg

from api import cursors, rendering
from api.bodies import Finding, Malformed
from api.routes.operations import Call
from api.routes.questions import POLL_SECONDS, ListQuestion, Question
from domain.errors import Refused
from domain.values import Instant
from domain.view import Loaded
from projections import moments
from projections.past_streams import PastStreams
from projections.queries import Conn
from projections.work_states import Streams

TRIES: Final = 5
"""So often a page is begun again because what it read was moved from under it."""

LOG: Final = 0
"""The generation an answer names that was folded from the log itself."""

T = TypeVar("T")
P = ParamSpec("P")


class _NotThere(Exception):
    """The rows of this position cannot be read, or cannot be read any more."""


class View:
    """What one request looks at: now, or what it named of the past.

    `position`: as of which the log is read, None for now; `at`: by which clock statuses and waiting
    times are told, None for now; `happened`: only acts at or before that instant. `generation` is
    that of the rows last read.
    """

    def __init__(
        self,
        call: Call,
        position: int | None = None,
        at: Instant | None = None,
        happened: Instant | None = None,
    ) -> None:
        self.position = position
        self.at = at
        self.happened = happened
        self.generation = LOG
        self._call = call
        self._moment: int | None = None
        self._past: PastStreams | None = None
        if position is not None:
            ledger = call.services.ledgers.ledger(call.tenant)
            self._past = PastStreams(ledger, position, happened)

    @property
    def asked(self) -> bool:
        """Whether anything of the past was named."""
        return self.position is not None or self.at is not None

    def now(self) -> Instant:
        """Return the instant by which the clock is told."""
        return self.at or self._call.services.ledgers.now(self._call.tenant)

    def streams(self) -> Streams:
        """Return where states come from."""
        return self._past or self._call.services.ledgers.ledger(self._call.tenant)

    def sees(self, position: int, at: Instant) -> bool:
        """Tell whether an event at a position, that happened at an instant, is looked at."""
        known = self.position is None or position <= self.position
        return known and (self.happened is None or at <= self.happened)

    def load(self, kind: str, stream_id: str) -> Loaded:
        """Return a stream; `Loaded(0, None)` where there was none of that kind. Blocks.

        Raises `Refused`: `stream.closed`.
        """
        if self._past is not None:
            return self._past.load(kind, stream_id)
        return self._call.services.ledgers.load(self._call.tenant, kind, stream_id)

    @contextmanager
    def reading(self, projection: str = "grants") -> Generator[Conn]:
        """Return a connection whose read models are those looked at, for as long as the block.

        Blocks; to be called within `run`. `projection` says whose generation is told.
        """
        if self.position is None:
            with self.live(projection) as conn:
                yield conn
            return
        with self._call.services.ledgers.pool.connection() as conn, conn.transaction():
            self._choose(conn)
            self.generation = moments.generation(conn, self._call.tenant, projection)
            yield conn

    @contextmanager
    def live(self, projection: str = "grants") -> Generator[Conn]:
        """Return a connection whose read models are those of now, whatever is looked at; what they
        name of the past is then folded from the log. Blocks.
        """
        with self._call.services.ledgers.pool.connection() as conn:
            if self.position is None and self.asked:
                self.generation = moments.generation(conn, self._call.tenant, projection)
            yield conn

    def _choose(self, conn: psycopg.Connection[Any]) -> None:
        tenant, position = self._call.tenant, self.position or 0
        if self._moment is not None:
            there = moments.choose(conn, tenant, self._moment)
        else:
            # The live rows will do while nothing has come since; in one snapshot nothing does.
            conn.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
            there = self.happened is None and moments.settle(conn, tenant, position)
        if not there:
            raise _NotThere

    async def run(self, work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Run what blocks and reads through `reading`, beside the event loop; return what it does.

        Raises `Refused`: `moment.preparing` where the past is not ready in time.
        """
        for _ in range(TRIES):
            try:
                return await self._call.work(work, *args, **kwargs)
            except _NotThere:
                await self._prepare()
        raise Refused("moment.preparing", position=self.position, done=0)

    async def _prepare(self) -> None:
        end = time.monotonic() + self._call.services.settings.wait_seconds
        while True:
            found = await self._call.work(self._ask)
            if found is None:
                self._moment = None
                return
            if found.ready:
                self._moment = found.moment
                return
            if time.monotonic() >= end:
                raise Refused("moment.preparing", position=self.position, done=found.done)
            await asyncio.sleep(POLL_SECONDS)

    def _ask(self) -> moments.Asked | None:
        """Return the moment that is needed, None where the live rows will do. Blocks."""
        tenant, position = self._call.tenant, self.position or 0
        with self._call.services.ledgers.pool.connection() as conn:
            if self.happened is None:
                head, reached = moments.standing(conn, tenant)
                if head == position:  # they are there, or about to be
                    return None if reached == position else moments.Asked(None, False, reached)
            return moments.ask(conn, tenant, position, self.happened)

    def told(self) -> dict[str, Any]:
        """Return what a body says of where it looked; nothing where that is now."""
        if not self.asked:
            return {}
        told: dict[str, Any] = {"generation": self.generation, "at": rendering.instant(self.now())}
        if self.position is not None:
            told = {"position": self.position, **told}
        if self.happened is not None:
            told["happened"] = rendering.instant(self.happened)
        return {"as_of": told}

    def headers(self) -> list[tuple[bytes, bytes]]:
        """Return what an answer says of where it looked, beside its position."""
        return [(b"generation", str(self.generation).encode())] if self.asked else []

    def pins(self) -> list[Any]:
        """Return what a cursor holds so that the next page looks at the same; [] for now."""
        if not self.asked:
            return []
        position = -1 if self.position is None else self.position
        return [position, "" if self.at is None else self.at.isoformat()]


async def view_of(call: Call, question: Question) -> View:
    """Return what a question looks at.

    Raises `Refused`: `as_of.unavailable` for what the operation does not take,
    `position.not_reached` for a position that the log has not reached, `ledger.unreachable`.
    """
    given = {way: one for way in WAYS if (one := getattr(question, way)) is not None}
    for way in given:
        if way not in call.operation.past:
            raise Refused("as_of.unavailable", parameter=way)
    if not given:
        return View(call)
    as_of, at, happened = (_in_utc(way, getattr(question, way)) for way in WAYS)
    if as_of is None and happened is None:
        return View(call, None, at)
    head = (await call.work(call.services.ledgers.tail, call.tenant, 2**62)).position
    now = call.services.ledgers.now(call.tenant)
    position, clock = head, now
    if isinstance(as_of, datetime):
        position, clock = await call.services.memory.position_at(call.tenant, as_of), as_of
    elif as_of is not None:
        if as_of > head:
            raise Refused("position.not_reached", position=as_of, reached=head)
        position = as_of
        clock = await call.work(_recorded_at, call, position) or now
    if happened is not None:
        clock = happened
    return View(call, position, at or min(clock, now), happened)


WAYS: Final = ("as_of", "at", "happened")


def _in_utc(way: str, given: Any) -> Any:
    """Return an instant in UTC. Raises `Malformed` `query.invalid` for one that no calendar has."""
    if not isinstance(given, datetime):
        return given
    try:
        return given.astimezone(UTC)
    except OverflowError:
        raise Malformed("query.invalid", Finding(f"/{way}", "field.instant", {})) from None


def _recorded_at(call: Call, position: int) -> Instant | None:
    with call.services.ledgers.pool.connection() as conn:
        return moments.recorded_at(conn, call.tenant, position)


async def page_of(
    call: Call, question: ListQuestion, shape: tuple[type, ...]
) -> tuple[View, list[Any] | None]:
    """Return what a page of a list looks at, and the key behind which it begins.

    A cursor of the past holds the position and the clock that were told with the page before.
    Raises as `view_of`; `Malformed`: `cursor.malformed`.
    """
    if not any(getattr(question, way) is not None for way in WAYS):
        view = await view_of(call, question)
        return view, _key(call, question, shape)
    pinned = _key(call, question, (int, str, *shape))
    view = await view_of(call, question)
    if pinned is None:
        return view, None
    known, clock, *after = pinned
    at, looked = _pinned_clock(clock), view.position
    if known != -1 if looked is None else not 0 <= known <= looked:
        raise Malformed("cursor.malformed")
    return View(call, None if looked is None else known, at, question.happened), after


def _pinned_clock(text: str) -> Instant | None:
    try:
        return datetime.fromisoformat(text).astimezone(UTC) if text else None
    except (ValueError, OverflowError):
        raise Malformed("cursor.malformed") from None


def _key(call: Call, question: ListQuestion, shape: tuple[type, ...]) -> list[Any] | None:
    if question.cursor is None:
        return None
    return cursors.decode(call.operation.name, question.bound(), question.cursor, shape)
