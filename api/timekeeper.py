"""Writes down what the clock did, which changes no answer: lapses, starts, ends, fallen holds, and
the ends of what was passed on from grants that ended for good.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future
from typing import Any, NamedTuple, TypeVar

import msgspec
import psycopg
from eventsourcing.persistence import PersistenceError

from api.ids import new_id
from domain.commands.below import RevokePassedOn
from domain.commands.cases import RecordCaseLapse
from domain.commands.customers import RecordCustomerLapse
from domain.commands.supervision import (
    RecordActivation,
    RecordExpiry,
    RecordGrantLapse,
    RecordSuspensionLapse,
)
from domain.customers import Customer
from domain.errors import Refused
from domain.grant_states import EFFECTIVE, OPEN, Grant, case_lapse_of, status_at
from domain.ledger import Ledgers, Outcome, Submission
from domain.parent_ended import over_for_good
from domain.values import TIMEKEEPER, Instant
from domain.view import Command
from projections.due import TOP, Below, Due, Place, below, due, tenants

INTERVAL_S = 1.0
"""Between two passes of a running timekeeper."""

IN_FLIGHT = 64
"""Commands a pass has under way at once."""

NOT_NOW = frozenset(
    {
        "grant.not_due",
        "grant.state",
        "grant.parent_not_over",
        "grantee.standing",
        "customer.state",
        "case.state",
    }
)
"""Refusals that are no fault: the row was older than the log, or what is due cannot be said yet."""

AWAY = (psycopg.Error, PersistenceError)
"""The database is out of reach: the next pass asks again."""

log = logging.getLogger("counterseal.timekeeper")


class Pass(msgspec.Struct, frozen=True):
    """What one pass over a tenant did: how many were due, written, and left for later."""

    due: int
    written: int
    left: int


class Deed(NamedTuple):
    """A command on a stream as it was at a version."""

    stream_id: str
    version: int
    command: Command


D = TypeVar("D")


def commands_for(stream_id: str, state: Any, at: Instant) -> list[Command]:
    """Return the commands that write down what the clock did to a stream by `at`, in its order."""
    if isinstance(state, Customer):
        return [RecordCustomerLapse(customer=stream_id)]
    if not isinstance(state, Grant):
        return []
    if state.status in OPEN:
        return [RecordGrantLapse(grant_id=stream_id)]
    found: list[Command] = [
        RecordSuspensionLapse(grant_id=stream_id, hold=hold.id)
        for hold in state.holds
        if hold.until is None and hold.confirm_by is not None and hold.confirm_by <= at
    ]
    case, lapses_at = state.open_case, case_lapse_of(state)
    if case is not None and lapses_at is not None and lapses_at <= at:
        found.append(RecordCaseLapse(grant_id=stream_id, case=case.case))
    now = status_at(state, at)
    if now == "active" and not state.activated:
        found.append(RecordActivation(grant_id=stream_id))
    if now == "expired":
        found.append(RecordExpiry(grant_id=stream_id))
    return found


def _which(command: Command) -> str:
    """Return which hold or case of the stream a command is about."""
    return str(getattr(command, "hold", getattr(command, "case", "")))


class _Run:
    """One pass under way: commands submitted, so many at once, and what became of them."""

    def __init__(self, ledgers: Ledgers, tenant: str, at: Instant | None) -> None:
        self.ledgers = ledgers
        self.tenant = tenant
        self.at = at
        self.now = ledgers.now(tenant) if at is None else at
        self.counts = {"due": 0, "written": 0, "left": 0}
        self._waiting: list[Future[Outcome]] = []

    def each(self, found: Iterable[D], deeds: Callable[[D], Iterable[Deed]]) -> None:
        """Submit what is to be written of each stream found."""
        for one in found:
            wanted: list[Deed] = []
            try:
                wanted += deeds(one)
                self.counts["due"] += bool(wanted)
            except AWAY:
                raise
            except Exception as fault:  # noqa: BLE001  (see `_leave`)
                self.counts["due"] += 1
                self._leave(fault)
            for deed in wanted:
                self._submit(deed)

    def finish(self) -> Pass:
        """Wait for all that is under way."""
        for future in self._waiting:
            self._settle(future)
        self._waiting = []
        return Pass(**self.counts)

    def _submit(self, deed: Deed) -> None:
        name = f"{type(deed.command).__name__}/{_which(deed.command)}"
        submission = Submission(
            tenant=self.tenant,
            caller=TIMEKEEPER.ref,
            key=f"{deed.stream_id}/{deed.version}/{name}",
            fingerprint=b"tick",
            command=deed.command,
            by=TIMEKEEPER,
            command_id=new_id(),
            at=self.at,
        )
        self._waiting.append(self.ledgers.submit(submission))
        if len(self._waiting) >= IN_FLIGHT:
            self._settle(self._waiting.pop(0))

    def _settle(self, future: Future[Outcome]) -> None:
        try:
            self.counts["written"] += future.result().status == "done"
        except AWAY:
            raise
        except Exception as fault:  # noqa: BLE001  (see `_leave`)
            self._leave(fault)

    def _leave(self, fault: Exception) -> None:
        """Whatever is wrong with one stream keeps no other one waiting."""
        self.counts["left"] += 1
        if not isinstance(fault, Refused):
            log.error("timekeeper left a stream: %s", type(fault).__name__)
        elif fault.code not in NOT_NOW:
            log.warning("timekeeper refused: %s", fault.code)


def tick(
    ledgers: Ledgers,
    tenant: str,
    at: Instant | None = None,
    places: dict[str, Place] | None = None,
) -> Pass:
    """Make one pass over a tenant; `at` only where its clock is given.

    Everything passed on is looked at; with `places`, where each tenant's last pass stopped, one
    page of it. Two at once are harmless: the second finds what it would write already there, and
    the key of each command is made of the stream, its version and the deed.
    """
    run = _Run(ledgers, tenant, at)
    with ledgers.pool.connection() as conn:
        found = list(due(conn, tenant, run.now))
    run.each(found, lambda one: _recorded(run, one))
    place = TOP if places is None else places.get(tenant, TOP)
    while True:
        with ledgers.pool.connection() as conn:
            children, following = below(conn, tenant, run.now, place)
        over: dict[str, bool] = {}
        run.each(children, lambda one, over=over: _revoked(run, one, over))
        if places is not None:
            places[tenant] = following or TOP
        if places is not None or following is None:
            return run.finish()
        place = following


def _recorded(run: _Run, one: Due) -> Iterator[Deed]:
    version, state = run.ledgers.load(run.tenant, one.stream, one.stream_id)
    for command in commands_for(one.stream_id, state, run.now):
        yield Deed(one.stream_id, version, command)


def _revoked(run: _Run, one: Below, over: dict[str, bool]) -> Iterator[Deed]:
    """Yield the revocation of what was passed on from a grant that ended for good; one within its
    grace may be renewed yet. `over` keeps what was found of each parent.
    """
    ledgers, tenant = run.ledgers, run.tenant
    if one.parent not in over:
        parent: Grant | None = ledgers.load(tenant, "grant", one.parent).state
        named = None if parent is None else parent.policy.policy
        policy = ledgers.load(tenant, "policy", named).state if named else None
        over[one.parent] = parent is not None and over_for_good(parent, policy, run.now)
    version, state = ledgers.load(tenant, "grant", one.grant_id)
    if over[one.parent] and isinstance(state, Grant) and status_at(state, run.now) in EFFECTIVE:
        yield Deed(one.grant_id, version, RevokePassedOn(grant_id=one.grant_id))


class Timekeeper:
    """Passes over every tenant, again and again, until stopped."""

    def __init__(self, ledgers: Ledgers, interval_s: float = INTERVAL_S) -> None:
        self._ledgers = ledgers
        self._interval = interval_s
        self._places: dict[str, Place] = {}
        self._stopped = threading.Event()
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Run in a thread of its own."""
        self._thread = threading.Thread(target=self.run, name="timekeeper", daemon=True)
        self._thread.start()

    def run(self) -> None:
        """Run until `stop`; a database out of reach is asked again at the next pass."""
        while not self._stopped.is_set():
            try:
                with self._ledgers.pool.connection() as conn:
                    known = tenants(conn)
            except Exception as fault:  # noqa: BLE001  (the thread outlives what it meets)
                log.warning("timekeeper pass failed: %s", type(fault).__name__)
                known = []
            for tenant in known:
                if self._stopped.is_set():
                    break
                self._tick(tenant)
            self._stopped.wait(self._interval)

    def _tick(self, tenant: str) -> None:
        """Make a pass over one tenant; what is wrong with it keeps no other tenant waiting."""
        try:
            tick(self._ledgers, tenant, places=self._places)
        except Exception as fault:  # noqa: BLE001
            log.warning("timekeeper pass failed: %s", type(fault).__name__)

    def stop(self) -> None:
        """End after the command under way."""
        self._stopped.set()
        if self._thread is not None:
            self._thread.join(10)
