"""What becomes of the commands of a batch once the server has answered: each is answered, or
decided again."""

from __future__ import annotations

import logging
import time
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, Literal

import msgspec

from domain.batches import Answer
from domain.errors import Refused
from domain.ledger import MEMORY_BOUND_S, Kept, Outcome, Recorded
from domain.pending import Pending
from domain.view import Loaded

if TYPE_CHECKING:
    from domain.ledger import Ledger, Ledgers

MAX_ATTEMPTS = 6
"""A command is decided again at most five times when its instant is not the server's."""

CONTENDED_S = 2.0
"""So long a command is decided again whenever someone else was first, and five times at least. Who
is first has only to write next time, who is not has to read as well: five may all be lost."""

MAX_SKEW = timedelta(seconds=2)
"""As `append` has it for what is written; for answers that write nothing it is looked at here."""

log = logging.getLogger("counterseal.ledger")
_kept_decoder = msgspec.json.Decoder(Kept)


class Landing:
    """The commands of one batch with what the server said of them; `known_at` is when that was
    known, by the monotonic clock."""

    def __init__(
        self, ledgers: Ledgers, ledger: Ledger, decided: Sequence[Pending], known_at: float
    ) -> None:
        self._ledgers = ledgers
        self._ledger = ledger
        self._decided = decided
        self._known_at = known_at

    def settle(self, answer: Answer) -> list[Pending]:
        """Answer each command as the server has decided; return those to be decided again."""
        if answer.skewed:
            return self._later(self._decided, answer.clock)
        again: list[Pending] = []
        for place, pending in enumerate(self._decided):
            status = answer.status[place]
            if status == "o" and self._is_off(pending, answer):
                again += self._later([pending], answer.clock)
            elif status == "o":
                self._confirm(pending, answer, place)
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
                late = time.monotonic() - pending.since > CONTENDED_S
                if pending.attempts >= MAX_ATTEMPTS and late:
                    pending.refuse(Refused("ledger.contended"))
                else:
                    again.append(pending)
        return again

    def _is_off(self, pending: Pending, answer: Answer) -> bool:
        """Tell whether an answer that writes nothing was decided by a wrong clock: nobody else
        compares its instant with the server's."""
        wrote = pending.decided.events and pending.writes
        off = abs(pending.decided.at - answer.clock) > MAX_SKEW
        return off and not wrote and self._ledger.clock != "given"

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

    def _confirm(self, pending: Pending, answer: Answer, place: int) -> None:
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
                self._reached(answer, place, len(events), given.dry_run),
                main.version,
                main.state,
                narrowing,
                self._known_at + MEMORY_BOUND_S
                if may_narrow and not given.dry_run
                else self._known_at,
            )
        )

    def _reached(self, answer: Answer, place: int, count: int, dry_run: bool) -> int:
        """Return the position of the last event, or how far the log went when nothing was to be
        done; a dry run has no place in it."""
        first = answer.first[place]
        return answer.position if dry_run or first is None else first + count - 1

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

    def _later(self, pendings: Sequence[Pending], server: datetime) -> list[Pending]:
        """Too far from the server's clock: decide again, the wait for the lock may have aged it."""
        again: list[Pending] = []
        for pending in pendings:
            pending.delays += 1
            if pending.delays >= MAX_ATTEMPTS:
                seconds = (self._ledgers.own_clock() - server) / timedelta(seconds=1)
                pending.refuse(Refused("clock.skew", seconds=round(seconds, 1)))
            else:
                again.append(pending)
        return again
