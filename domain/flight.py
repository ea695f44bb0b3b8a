"""One batch of commands on its way: decided in order, written at once, answered after the
commit."""

from __future__ import annotations

import logging
import time
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, Literal
from uuid import UUID

import msgspec
from eventsourcing.persistence import PersistenceError

from domain.batches import Answer, Batch
from domain.codec import UnknownEvent
from domain.errors import Impossible, Refused
from domain.hosting import Envelope
from domain.ledger import (
    MEMORY_BOUND_S,
    NOTHING,
    Kept,
    Outcome,
    Recorded,
    Submission,
)
from domain.pending import Pending
from domain.recorder import refusal_of
from domain.view import Circumstances, Loaded, View

if TYPE_CHECKING:
    from domain.ledger import Ledger, Ledgers

MAX_ATTEMPTS = 6
"""A command is decided again at most five times when someone else was first, then refused."""

DEADLINE_S = 20.0
"""How long a command is tried while the database is out of reach or its answer was lost."""

RETRY_PAUSE_S = 0.1
"""Between two tries at a database that did not answer."""

log = logging.getLogger("counterseal.ledger")
_kept_encoder = msgspec.json.Encoder()
_kept_decoder = msgspec.json.Decoder(Kept)
_rows_encoder = msgspec.json.Encoder()


class Flight:
    """One batch on its way: decided command by command on what the earlier ones leave, then written
    at once."""

    def __init__(self, ledgers: Ledgers, tenant: str, batch: list[Pending]) -> None:
        self._ledgers = ledgers
        self._ledger: Ledger = ledgers.ledger(tenant)
        self._tenant = tenant
        self._all = batch
        self._overlay: dict[str, tuple[str, Loaded, int]] = {}
        self._decided: list[Pending] = []
        self._looked_up: set[str] = set()

    def fly(self) -> list[Pending]:
        """Decide, write, answer; return the commands to be decided again."""
        try:
            self._prepare()
            for pending in self._all:
                self._decide(pending)
            if not self._decided:
                return []
            batch, envelopes = self._batch()
            answer = self._write(batch, envelopes)
        except Refused as refusal:
            for pending in self._all:
                pending.refuse(refusal)
            return []
        except PersistenceError as fault:
            return self._unreachable(fault)
        except Exception:
            # A value that cannot even be sent: nothing has been. Alone it fails alone.
            if len(self._all) == 1:
                raise
            log.exception("a batch could not be sent; each command alone")
            return self._each_alone()
        if answer.skewed:
            return self._skewed(answer.clock)
        self._ledger.saw(answer.position, answer.recorded_at)
        return self._settle(answer)

    def _prepare(self) -> None:
        """Load what the commands will surely look at and is not remembered, or is known to be
        old."""
        if self._ledger.clock is None:
            self._ledgers.tail(self._tenant, 2**62)
        wanted: set[str] = set()
        for pending in self._all:
            wanted |= pending.stale
            for kind, stream_id in pending.submission.command.hints():
                if self._ledger.recall(kind, stream_id) is None:
                    wanted.add(stream_id)
        try:
            self._ledger.refresh(wanted)
            self._looked_up |= wanted
        except (Refused, UnknownEvent):
            # One stream cannot be folded: only the commands that look at it are refused, when they
            # do.
            log.warning("a stream could not be folded while loading ahead")

    def _load(self, kind: str, stream_id: str) -> Loaded:
        laid = self._overlay.get(stream_id)
        if laid is not None:
            return laid[1] if laid[0] == kind else Loaded(laid[1].version, None)
        found = self._ledger.recall(kind, stream_id)
        if found is None and stream_id not in self._looked_up:
            self._ledger.refresh([stream_id])
            self._looked_up.add(stream_id)
            found = self._ledger.recall(kind, stream_id)
        return NOTHING if found is None else found

    def _decide(self, pending: Pending) -> None:
        given = pending.submission
        pending.refusal = pending.inline = None
        try:
            view = View(
                self._load,
                Circumstances(
                    given.tenant,
                    self._instant(given),
                    given.command_id,
                    given.by,
                    given.on_behalf_of,
                    given.reason,
                    given.evidence,
                ),
                self._ledger.records.staff_ids,
            )
            pending.view = view
            main = view.look(given.command.kind, given.command.stream_id)
            if given.expected_version is not None and main.version != given.expected_version:
                raise Refused("version.moved", expected=given.expected_version, found=main.version)
            given.command.decide(view)
            if given.dry_run:
                self._require_unclaimed(view)
            elif self._ledgers.inline is not None:
                pending.inline = self._ledgers.inline.rows(view.events)
        except UnknownEvent as fault:
            pending.refuse(Refused("ledger.other_release", event=fault.name))
            return
        except Refused as refusal:
            # Confirmed under the lock before it is answered: it may rest on a state that has moved.
            pending.refusal = refusal
        except PersistenceError:
            raise
        except Impossible as fault:
            log.error("impossible event decided: %s", fault)
            pending.refuse(fault)
            return
        except Exception as fault:
            log.exception("command failed: %s", type(given.command).__name__)
            pending.refuse(fault)
            return
        if pending.view is None:
            pending.refuse(pending.refusal or Refused("tenant.unknown"))
            return
        self._decided.append(pending)
        pending.read_by = {
            stream_id: self._overlay[stream_id][2]
            for stream_id in pending.view.reads
            if stream_id in self._overlay
        }
        if pending.writes:
            number = len(self._decided)
            for new in pending.view.events:
                laid = (new.kind, Loaded(new.version, new.after), number)
                self._overlay[new.stream_id] = laid

    def _require_unclaimed(self, view: View) -> None:
        """Refuse what the append would find taken: a dry run asks for no claim, it only looks."""
        for claim in view.claims:
            owner = self._ledger.records.claimed_by(claim.kind, claim.keyed_hash)
            if owner is not None and owner != claim.stream_id:
                raise Refused("claim.taken", kind=claim.kind)

    def _instant(self, given: Submission) -> datetime:
        if given.at is None:
            return self._ledgers.now(self._tenant)
        if self._ledger.clock != "given":
            raise Refused("clock.not_given")
        return given.at

    def _batch(self) -> tuple[Batch, list[Envelope]]:
        batch = Batch()
        envelopes: list[Envelope] = []
        rows: list[dict[str, Any]] = []
        if self._ledgers.inline is not None:
            batch.folds = _rows_encoder.encode(dict(self._ledgers.inline.folds)).decode()
        for number, pending in enumerate(self._decided, 1):
            given, view = pending.submission, pending.decided
            for stream_id, version in view.reads.items():
                batch.read_streams.append(batch.place(stream_id))
                batch.read_versions.append(version)
                batch.read_by.append(pending.read_by.get(stream_id, 0))
            if pending.writes:
                batch.claim_kinds += [claim.kind for claim in view.claims]
                batch.claim_hashes += [claim.keyed_hash for claim in view.claims]
                batch.claim_streams += [UUID(claim.stream_id) for claim in view.claims]
                if pending.inline is not None and pending.inline.rows:
                    offset = len(envelopes)
                    rows += [row | {"e": row["e"] + offset} for row in pending.inline.rows]
                    batch.touched += pending.inline.touched
                    batch.touched_by += [number] * len(pending.inline.touched)
                envelopes += [
                    Envelope(
                        batch.lay(number, new.stream_id, new.version, new.event),
                        new.version,
                        new.event,
                    )
                    for new in view.events
                ]
            batch.command_ids.append(UUID(given.command_id))
            batch.callers.append(given.caller)
            batch.keys.append(None if given.dry_run else given.key)
            batch.fingerprints.append(given.fingerprint)
            batch.outcomes.append(self._kept(pending))
            batch.keep.append(pending.writes and given.key is not None)
            batch.causations.append(given.causation)
            batch.reads_end.append(len(batch.read_streams))
            batch.claims_end.append(len(batch.claim_kinds))
            batch.events_end.append(len(envelopes))
        batch.rows = _rows_encoder.encode(rows).decode() if rows else None
        return batch, envelopes

    def _kept(self, pending: Pending) -> bytes:
        command, view = pending.submission.command, pending.view
        if view is None or pending.refusal is not None:
            return b""
        version = view.look(command.kind, command.stream_id).version
        narrowing = pending.inline is not None and pending.inline.narrowing
        return _kept_encoder.encode(Kept(command.kind, command.stream_id, version, narrowing))

    def _write(self, batch: Batch, envelopes: list[Envelope]) -> Answer:
        if envelopes:
            self._ledger.events.put(envelopes, batch=batch)
        if batch.answer is not None:
            return batch.answer
        # Refusals, no-ops and dry runs: nothing to store, but what they rest on is compared under
        # the lock.
        return self._ledger.records.append(batch, [], [])

    def _settle(self, answer: Answer) -> list[Pending]:
        known_at = time.monotonic()
        again: list[Pending] = []
        for place, pending in enumerate(self._decided):
            status = answer.status[place]
            if status == "o":
                self._confirm(pending, answer, place, known_at)
            elif status == "k":
                try:
                    self._repeat(pending, answer, place)
                except Exception as fault:  # the others of the batch are committed: answer them
                    log.exception("a first answer could not be read again")
                    pending.refuse(fault)
            elif status == "f":
                pending.refuse(Refused("key.reused"))
            elif status == "l":
                pending.refuse(Refused("claim.taken", kind=self._claim_kind(answer.moved[place])))
            else:
                pending.stale = set(pending.decided.reads)
                pending.attempts += 1
                if pending.attempts >= MAX_ATTEMPTS:
                    pending.refuse(Refused("ledger.contended"))
                else:
                    again.append(pending)
        return again

    def _claim_kind(self, place: int) -> str:
        kinds = [
            claim.kind
            for pending in self._decided
            if pending.view is not None
            and pending.refusal is None
            and not pending.submission.dry_run
            for claim in pending.decided.claims
        ]
        return kinds[place - 1]

    def _confirm(self, pending: Pending, answer: Answer, place: int, known_at: float) -> None:
        """The decision stands and, where it wrote, is committed."""
        view, given = pending.decided, pending.submission
        if pending.refusal is not None:
            pending.refuse(pending.refusal)
            return
        main = view.look(given.command.kind, given.command.stream_id)
        first = answer.first[place] or 0
        narrowing = pending.inline is not None and pending.inline.narrowing
        # A no-op acknowledges what someone else may have committed a moment ago: a second
        # revocation says "revoked" as well, and is to be believed as much as the first one.
        may_narrow = narrowing or not view.events
        status: Literal["done", "no_op", "would"] = "done" if view.events else "no_op"
        if given.dry_run:
            status, first = "would", 0
        else:
            for new in view.events:
                self._ledger.remember(new.kind, new.stream_id, Loaded(new.version, new.after))
        events = tuple(
            Recorded(
                first and first + offset,
                new.kind,
                new.stream_id,
                new.version,
                new.event.name,
                answer.recorded_at,
                new.event,
            )
            for offset, new in enumerate(view.events)
        )
        pending.answer(
            Outcome(
                status,
                events,
                events[-1].position if status == "done" else answer.position,
                main.version,
                main.state,
                narrowing,
                known_at + MEMORY_BOUND_S if may_narrow and not given.dry_run else known_at,
            )
        )

    def _repeat(self, pending: Pending, answer: Answer, place: int) -> None:
        """Give the first answer again, from the log."""
        kept = _kept_decoder.decode(answer.outcome[place] or b"")
        first, count = answer.first[place] or 0, answer.counts[place]
        found_at = time.monotonic()
        rows = self._ledger.records.read_events(first, first + count - 1, count) if count else []
        state: Any = None
        if kept.version:
            state = self._ledger.state_at(kept.kind, kept.stream_id, kept.version)
        pending.answer(
            Outcome(
                "repeated",
                tuple(self._ledger.recorded(row) for row in rows),
                first + count - 1,
                kept.version,
                state,
                kept.narrowing,
                found_at + MEMORY_BOUND_S if kept.narrowing or not count else found_at,
            )
        )

    def _skewed(self, server: datetime) -> list[Pending]:
        """Too far from the server's clock: decide again, the wait for the lock may have aged it."""
        again: list[Pending] = []
        for pending in self._decided:
            pending.attempts += 1
            if pending.attempts >= MAX_ATTEMPTS:
                seconds = (self._ledgers.own_clock() - server) / timedelta(seconds=1)
                pending.refuse(Refused("clock.skew", seconds=round(seconds, 1)))
            else:
                again.append(pending)
        return again

    def _unreachable(self, fault: PersistenceError) -> list[Pending]:
        """The database did not answer. What was sent may be committed or not: the keys tell."""
        refusal = refusal_of(fault)
        if refusal is not None and refusal.code == "ledger.failed":
            log.error("append failed with %s", refusal.params["sqlstate"])
            if len(self._all) > 1:
                return self._each_alone()
        again: list[Pending] = []
        late = time.monotonic() - DEADLINE_S
        for pending in self._all:
            if pending.future.done():
                continue
            if refusal is not None:
                pending.refuse(refusal)
            elif pending.since < late:
                pending.refuse(Refused("ledger.unreachable"))
            else:
                again.append(pending)
        if again:
            time.sleep(RETRY_PAUSE_S)
        return again

    def _each_alone(self) -> list[Pending]:
        """One command's defect must not fail the others; return those to be decided again."""
        again: list[Pending] = []
        for pending in self._all:
            if pending.future.done():
                continue
            try:
                again += Flight(self._ledgers, self._tenant, [pending]).fly()
            except Exception as fault:
                log.exception("command failed: %s", type(pending.submission.command).__name__)
                pending.refuse(fault)
        return again
