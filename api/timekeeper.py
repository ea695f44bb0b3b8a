"""Writes down what the clock did, which changes no answer: lapses, starts, ends, fallen holds."""

from __future__ import annotations

import logging
import threading
from concurrent.futures import Future
from typing import Any

import msgspec
import psycopg
from eventsourcing.persistence import PersistenceError

from api.ids import new_id
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
from domain.grant_states import OPEN, Grant, case_lapse_of, status_at
from domain.ledger import Ledgers, Outcome, Submission
from domain.values import TIMEKEEPER, Instant
from domain.view import Command
from projections.due import Due, due, tenants

INTERVAL_S = 1.0
"""Between two passes of a running timekeeper."""

IN_FLIGHT = 64
"""Commands a pass has under way at once."""

NOT_NOW = frozenset(
    {"grant.not_due", "grant.state", "grantee.standing", "customer.state", "case.state"}
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


def tick(ledgers: Ledgers, tenant: str, at: Instant | None = None) -> Pass:
    """Make one pass over a tenant; `at` only where its clock is given.

    Two at once are harmless: the second finds what it would write already there, and the key of
    each command is made of the stream, its version and the deed.
    """
    now = ledgers.now(tenant) if at is None else at
    waiting: list[Future[Outcome]] = []
    counts = {"due": 0, "written": 0, "left": 0}

    def leave(fault: Exception) -> None:
        """Whatever is wrong with one stream keeps no other one waiting."""
        counts["left"] += 1
        if not isinstance(fault, Refused):
            log.error("timekeeper left a stream: %s", type(fault).__name__)
        elif fault.code not in NOT_NOW:
            log.warning("timekeeper refused: %s", fault.code)

    def settle(future: Future[Outcome]) -> None:
        try:
            counts["written"] += future.result().status == "done"
        except AWAY:
            raise
        except Exception as fault:  # noqa: BLE001  (see `leave`)
            leave(fault)

    with ledgers.pool.connection() as conn:
        found: list[Due] = list(due(conn, tenant, now))
    for one in found:
        counts["due"] += 1
        try:
            version, state = ledgers.load(tenant, one.stream, one.stream_id)
        except AWAY:
            raise
        except Exception as fault:  # noqa: BLE001  (see `leave`)
            leave(fault)
            continue
        for command in commands_for(one.stream_id, state, now):
            deed = type(command).__name__
            submission = Submission(
                tenant=tenant,
                caller=TIMEKEEPER.ref,
                key=f"{one.stream_id}/{version}/{deed}/{_which(command)}",
                fingerprint=b"tick",
                command=command,
                by=TIMEKEEPER,
                command_id=new_id(),
                at=at,
            )
            waiting.append(ledgers.submit(submission))
            if len(waiting) >= IN_FLIGHT:
                settle(waiting.pop(0))
    for future in waiting:
        settle(future)
    return Pass(**counts)


class Timekeeper:
    """Passes over every tenant, again and again, until stopped."""

    def __init__(self, ledgers: Ledgers, interval_s: float = INTERVAL_S) -> None:
        self._ledgers = ledgers
        self._interval = interval_s
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
            tick(self._ledgers, tenant)
        except Exception as fault:  # noqa: BLE001
            log.warning("timekeeper pass failed: %s", type(fault).__name__)

    def stop(self) -> None:
        """End after the command under way."""
        self._stopped.set()
        if self._thread is not None:
            self._thread.join(10)
