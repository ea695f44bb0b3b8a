"""The options that ask the past, and how a command of the databases here looks at it."""

from __future__ import annotations

import time
from collections.abc import Generator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Any, Final, NamedTuple

import typer

from api.cli_errors import Usage
from api.cli_places import Places, Tenant, instant_of

if TYPE_CHECKING:
    import psycopg

    from domain.ledger import Ledger, Recorded
    from projections.work_states import Streams

AsOf = Annotated[str | None, typer.Option("--as-of", metavar="POSITION")]
At = Annotated[str | None, typer.Option("--at", metavar="INSTANT")]
Happened = Annotated[str | None, typer.Option("--happened", metavar="INSTANT")]

WAIT_S: Final = 60.0
"""For so long a command waits until the past is put together."""

POLL_S: Final = 0.05


class Looked(NamedTuple):
    """What a command looks at: `position` is None for now, `at` the clock that is told by."""

    position: int | None
    at: datetime
    happened: datetime | None

    def sees(self, one: Recorded) -> bool:
        """Tell whether an event is looked at."""
        known = self.position is None or one.position <= self.position
        return known and (self.happened is None or one.event.at <= self.happened)

    def named(self) -> dict[str, Any]:
        """Return what a document says of where it looked; nothing where that is now."""
        if self.position is None:
            return {}
        return {"as_of": {"position": self.position, "at": self.at, "happened": self.happened}}

    def of(self, ledger: Ledger) -> Streams:
        """Return where states come from."""
        from projections.past_streams import PastStreams

        if self.position is None:
            return ledger
        return PastStreams(ledger, self.position, self.happened)


def looked(
    conn: psycopg.Connection[Any],
    tenant: Tenant,
    as_of: str | None = None,
    at: str | None = None,
    happened: str | None = None,
) -> Looked:
    """Return what these options name. Raises `Usage`, and `Refused` `position.not_reached`."""
    from domain.errors import Refused
    from projections import moments

    now = tenant.recorded_at
    if tenant.clock != "given":
        now = max(datetime.now(UTC), now)
    clock, until = instant_of(at), instant_of(happened)
    if as_of is None and until is None:
        return Looked(None, clock or now, None)
    position, then = tenant.position, now
    if as_of is not None and as_of.isascii() and as_of.isdigit():
        position = int(as_of)
        if position > tenant.position:
            raise Refused("position.not_reached", position=position, reached=tenant.position)
        then = moments.recorded_at(conn, tenant.id, position) or now
    elif as_of is not None:
        instant = instant_of(as_of)
        if instant is None:
            raise Usage("instant.malformed", value=as_of)
        position, then = moments.position_at(conn, tenant.id, instant), instant
    return Looked(position, clock or min(until or then, now), until)


@contextmanager
def looking(
    places: Places, conn: psycopg.Connection[Any], tenant: Tenant, view: Looked
) -> Generator[None]:
    """Let `conn` read the read models as of what is looked at, for as long as the block.

    Where no service is running they are filled here. Raises `Refused`: `moment.preparing`.
    """
    from domain.errors import Refused
    from projections import moments

    if view.position is None:
        yield
        return
    end = time.monotonic() + WAIT_S
    while True:
        asked = moments.ask(conn, tenant.id, view.position, view.happened)
        if asked.moment is not None and asked.ready:
            break
        if time.monotonic() >= end:
            raise Refused("moment.preparing", position=view.position, done=asked.done)
        if not _fill(places):
            time.sleep(POLL_S)
    with conn.transaction():
        if not moments.choose(conn, tenant.id, asked.moment):
            raise Refused("moment.preparing", position=view.position, done=0)
        yield


def _fill(places: Places) -> int:
    """Do some of what a running service would do; 0 where it is not for this command to do."""
    from projections.runner import Runner

    address = places.settings.projector_database_url
    if address is None and not places.settings.embedded:
        return 0
    runner = Runner(places.url("projector_database_url"))
    try:
        done = 0
        while step := runner.step():
            done += step
        return done
    finally:
        runner.close()
