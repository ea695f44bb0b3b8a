"""Puts the sample's commands to the ledger, each under a key of its own; started again, it reads
from the log what came of those that are there.

The commands of one sample are always the same, in one order, and the ledger writes them in that
order. So a load that was killed has left a beginning of them, and a key that is missing among the
known ones belongs to a command that was refused, or changed nothing.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any, Final, NamedTuple

from psycopg.rows import tuple_row

from api.ids import new_id
from api.wiring import Services
from domain.codec import decode
from domain.errors import Refused
from domain.events import stream_kind
from domain.ledger import Outcome, Submission
from domain.sealing import Context, Sealed
from domain.streams import evolve
from domain.values import Evidence, Instant, Party, Reason
from domain.view import Command

CALLER: Final = "service:sample"
EDITION: Final = "1"
"""Of the generator: another one tells other things, and cannot go on where this one stopped."""

FINGERPRINT: Final = b"sample"
PAGE: Final = 1_000

Seal = Callable[[str, str], Sealed]
"""Returns a text sealed for a field of the command's events."""


class Shown(NamedTuple):
    """Evidence of a kind: a stored file with this content, or a paper at a place."""

    kind: str
    content: bytes | None = None
    media_type: str = "text/plain"
    place: str | None = None
    ends_at: Instant | None = None


class Step(NamedTuple):
    """One thing somebody does at an instant; without `make` only time passes.

    `make` returns the command on `stream`, given what seals its texts. `subject` is whom texts and
    evidence speak of, `why` a reason: code and text.
    """

    at: Instant
    by: Party
    stream: str
    subject: str
    make: Callable[[Seal], Command] | None
    why: tuple[str, str | None] | None = None
    shown: tuple[Shown, ...] = ()
    on_behalf_of: Party | None = None


def given(command: Command) -> Callable[[Seal], Command]:
    """Return what makes a command in which nothing is sealed."""

    def make(seal: Seal) -> Command:  # noqa: ARG001
        return command

    return make


def idle(at: Instant) -> Step:
    """Return a step in which only time passes."""
    return Step(at, Party("service:sample"), "", "", None)


Result = Callable[[], Any]
"""Waits for what came of a step: the state of its stream, None where nothing happened."""


class OtherEdition(Exception):
    """The tenant was begun by another edition of the sample."""


class Desk:
    """The way to one tenant's ledger."""

    def __init__(self, services: Services, tenant: str) -> None:
        self.tenant = tenant
        self.refusals: Counter[tuple[str, str]] = Counter()
        self.written = 0
        self.known = 0
        self._services = services
        self._ledgers = services.ledgers
        self._number = 0
        self._past = _Past(services, tenant)
        self._acknowledge_at = 0.0

    def hash(self, kind: str, value: str) -> bytes:
        """Return the keyed hash under which a value is claimed."""
        return self._services.keys.keyed_hash(self.tenant, kind, value)

    def put(self, step: Step) -> Result:
        """Put a step's command; steps are put in an order that never changes."""
        if step.make is None:
            return lambda: None
        self._number += 1
        if self._number <= self._past.last:
            self.known += 1
            return self._past.result(self._number)
        name, future = self._submit(step, step.make)
        return lambda: self._settled(name, future)

    def finish(self) -> None:
        """Wait until all that was written may be acknowledged."""
        time.sleep(max(0.0, self._acknowledge_at - time.monotonic()))

    def _submit(self, step: Step, make: Callable[[Seal], Command]) -> tuple[str, Future[Outcome]]:
        command_id = new_id()

        def seal(text: str, field: str) -> Sealed:
            context = Context(self.tenant, step.stream, command_id, field)
            return self._services.sealer.seal(step.subject, text, context)

        command = make(seal)
        code, text = step.why or (None, None)
        sealed = None if text is None else seal(text, "reason")
        reason = None if step.why is None else Reason(code, sealed)
        submission = Submission(
            tenant=self.tenant,
            caller=CALLER,
            key=f"{EDITION}/{self._number:06d}",
            fingerprint=FINGERPRINT,
            command=command,
            by=step.by,
            command_id=command_id,
            on_behalf_of=step.on_behalf_of,
            reason=reason,
            evidence=tuple(self._evidence(one, step.subject, seal) for one in step.shown),
            at=step.at,
        )
        return type(command).__name__, self._ledgers.submit(submission)

    def _evidence(self, one: Shown, subject: str, seal: Seal) -> Evidence:
        place = None if one.place is None else seal(one.place, "place")
        if one.content is None:
            return Evidence(one.kind, place=place, ends_at=one.ends_at)
        # A crash from here to the commit leaves a file that no event names.
        stored = self._services.evidence.put(self.tenant, subject, [one.content], one.media_type)
        return Evidence(
            one.kind,
            file=stored.id,
            sha256=stored.hash,
            size=stored.size,
            place=place,
            ends_at=one.ends_at,
        )

    def _settled(self, name: str, future: Future[Outcome]) -> Any:
        try:
            outcome = future.result()
        except Refused as refusal:
            if refusal.code.startswith(("ledger.", "tenant.", "clock.", "keys.", "key.")):
                raise
            self.refusals[name, refusal.code] += 1
            return None
        self._acknowledge_at = max(self._acknowledge_at, outcome.acknowledge_at)
        if not outcome.events:
            return None
        self.written += 1
        return outcome.state


class _Past:
    """What an earlier load left in the log, folded as far as the steps have come again."""

    def __init__(self, services: Services, tenant: str) -> None:
        self.last = 0
        self._places: dict[int, tuple[int, int]] = {}
        self._states: dict[str, Any] = {}
        self._rows: list[Any] = []
        head = services.ledgers.tail(tenant, 2**62).position
        if head == 0:
            return
        with services.ledgers.pool.connection() as conn, conn.transaction():
            cursor = conn.cursor(row_factory=tuple_row)
            cursor.execute("SELECT set_config('counterseal.tenant', %s, true)", (tenant,))
            found = cursor.execute(
                "SELECT key, first_position, count FROM commands"
                " WHERE tenant_id = %s AND caller = %s",
                (tenant, CALLER),
            ).fetchall()
        for key, first, count in found:
            edition, _, number = key.partition("/")
            if edition != EDITION:
                raise OtherEdition(edition)
            self._places[int(number)] = (first, count)
        self.last = max(self._places, default=0)
        while len(self._rows) < head:
            self._rows += services.ledgers.events(tenant, len(self._rows) + 1, head, PAGE)

    def result(self, number: int) -> Result:
        """Return what came of the step of this number."""
        first, count = self._places.get(number, (0, 0))
        if count == 0:
            return lambda: None
        rows = self._rows[first - 1 : first - 1 + count]
        for row in rows:
            stream = str(row.stream_id)
            event = decode(row.type, row.data)
            kind = stream_kind(row.type)
            self._states[stream] = evolve(kind, self._states.get(stream), event)
        state = self._states[str(rows[0].stream_id)]
        return lambda: state
