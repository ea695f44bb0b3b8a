"""One batch of commands on its way: decided in order, written at once, answered after the
commit."""

from __future__ import annotations

import logging
import select
import time
from collections.abc import Generator, Sequence
from datetime import datetime
from typing import TYPE_CHECKING

import msgspec
from eventsourcing.persistence import PersistenceError

from domain.batches import Answer, Batch
from domain.codec import UnknownEvent
from domain.errors import Refused, without_frames
from domain.landing import Landing
from domain.laying import Laid, lay
from domain.ledger import NOTHING, Submission
from domain.pending import Pending
from domain.recorder import refusal_of
from domain.view import Loaded, View
from domain.wire import Sent

if TYPE_CHECKING:
    from domain.ledger import Ledger, Ledgers

DEADLINE_S = 20.0
"""How long a command is tried while the database is out of reach or its answer was lost."""

RETRY_PAUSE_S = 0.1
"""Between two tries at a database that did not answer."""

MAX_WAIT_S = 1.0
"""A batch decided so long ago, for the one before was held up, is decided again before it is sent:
`append` would find its instants too old."""

log = logging.getLogger("counterseal.ledger")
_folds_encoder = msgspec.json.Encoder()


class Flight:
    """One batch: decided command by command on what the earlier ones leave, those of the batch
    under way included, then written at once.

    What is decided on a batch under way is sent only after that one's answer, and only if every
    command it relies on was written (`stands`); else it is decided again. So no answer, refusals
    included, rests on anything that was not committed before it was compared under the lock.
    """

    def __init__(self, ledgers: Ledgers, tenant: str, before: Flight | None = None) -> None:
        self._ledgers = ledgers
        self._ledger: Ledger = ledgers.ledger(tenant)
        self._tenant = tenant
        self._all: list[Pending] = []
        self._overlay: dict[str, Laid] = {} if before is None else before.leaves()
        self._relied: set[int] = set()
        self._decided: list[Pending] = []
        self._put_aside: list[Pending] = []
        self._looked_up: set[str] = set()
        self._batch = Batch()
        self._packed: tuple[Sent, ...] | None = None
        self._packed_at = 0
        self._since = 0.0
        self._sending: Generator[tuple[int, int], None, Answer] | None = None
        self._answer: Answer | None = None
        self._answered_at = 0.0
        self._fault: Exception | None = None
        self.socket = (0, 0)
        """The socket and the poll mask it waits for."""

    def __len__(self) -> int:
        return len(self._all)

    def leaves(self) -> dict[str, Laid]:
        """Return the streams as this batch leaves them, for the next to be decided on."""
        return {
            stream_id: Laid(laid.kind, laid.loaded, 0, laid.number)
            for stream_id, laid in self._overlay.items()
            if laid.number
        }

    # --- decide -----------------------------------------------------------------------------------

    def prepare(self, coming: Sequence[Pending]) -> None:
        """Load what these commands will surely look at and is not remembered, or is known to be
        old. What goes wrong shows when they are decided, or when the batch lands."""
        try:
            if self._ledger.clock is None:
                self._ledgers.tail(self._tenant, 2**62)
        except (Refused, PersistenceError) as fault:
            self._fault = fault
            return
        try:
            wanted = self._wanted(coming)
            if not wanted:
                return
            self._ledger.refresh(wanted)
            self._looked_up |= wanted
        except (Refused, UnknownEvent):
            # One stream cannot be folded: only the commands that look at it are refused, when they
            # do.
            log.warning("a stream could not be folded while loading ahead")
        except PersistenceError as fault:
            self._fault = fault
        except Exception:  # such as an id that is none: the commands that look at it fail alone
            log.exception("loading ahead failed")

    def _wanted(self, coming: Sequence[Pending]) -> set[str]:
        wanted: set[str] = set()
        for pending in coming:
            wanted |= pending.stale
            for _, stream_id in pending.submission.command.hints():
                if stream_id not in self._overlay and not self._ledger.knows(stream_id):
                    wanted.add(stream_id)
        return wanted

    def board(self, pending: Pending) -> None:
        """Decide one command more on what the earlier ones leave."""
        self._all.append(pending)
        self._packed = None
        if self._fault is not None:
            return
        if not self._since:
            self._since = time.monotonic()
        try:
            self._decide(pending)
        except PersistenceError as fault:
            self._fault = fault
        except Exception as fault:
            log.exception("a batch could not be laid out")
            self._fault = fault

    def _load(self, kind: str, stream_id: str) -> Loaded:
        laid = self._overlay.get(stream_id)
        if laid is not None:
            return laid.loaded if laid.kind == kind else Loaded(laid.loaded.version, None)
        found = self._ledger.recall(kind, stream_id)
        if found is None and stream_id not in self._looked_up:
            self._ledger.refresh([stream_id])
            self._looked_up.add(stream_id)
            found = self._ledger.recall(kind, stream_id)
        if found is None or found.state is None:
            return NOTHING if found is None else found
        self._overlay[stream_id] = Laid(kind, found, 0, 0)
        return found

    def _decide(self, pending: Pending) -> None:
        given = pending.submission
        pending.refusal = pending.inline = pending.view = None
        try:
            view = self._viewed(pending)
            if given.dry_run:
                self._require_unclaimed(view)
            elif self._ledgers.inline is not None:
                pending.inline = self._ledgers.inline.rows(view.events)
        except Refused as refusal:
            # Confirmed under the lock before it is answered: it may rest on a state that has moved.
            pending.refusal = without_frames(refusal)
        except PersistenceError:
            raise
        except Exception as fault:
            if self._relies(pending):
                self._put_aside.append(pending)
                return
            log.exception("command failed: %s", type(given.command).__name__)
            match fault:
                case UnknownEvent():
                    pending.refuse(Refused("ledger.other_release", event=fault.name))
                case _:
                    pending.refuse(fault)
            return
        if pending.view is None:
            pending.refuse(pending.refusal or Refused("tenant.unknown"))
            return
        self._decided.append(pending)
        self._relied |= lay(self._batch, pending, len(self._decided), self._overlay)

    def _viewed(self, pending: Pending) -> View:
        """Return the view through which the command was decided. Raises what the decision does.

        Decided once more where a stream read on the way is of later than the instant: the clock of
        who wrote it is ahead of ours, and nothing is done before what it rests on.
        """
        given = pending.submission
        while True:
            at, reads = self._instant(given), len(self._looked_up)
            pending.view = view = View(
                self._load, given.circumstances(at), self._ledger.records.staff_ids
            )
            refusal: Refused | None = None
            try:
                main = view.look(given.command.kind, given.command.stream_id)
                if given.expected_version not in (None, main.version):
                    raise Refused(
                        "version.moved", expected=given.expected_version, found=main.version
                    )
                given.command.decide(view)
            except Refused as found:
                refusal = found
            known = len(self._looked_up) == reads
            if known or self._ledger.clock == "given" or self._ledger.recorded_at <= at:
                if refusal is not None:
                    raise refusal
                return view

    def _relies(self, pending: Pending) -> bool:
        """Tell whether a command looked at anything the batch under way leaves: it may yet fail."""
        if pending.view is None:
            return False
        laid = map(self._overlay.get, pending.view.reads)
        return any(one is not None and one.before for one in laid)

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

    # --- send -------------------------------------------------------------------------------------

    def stands(self, before: Flight) -> bool:
        """Tell whether what was decided on `before`, now answered, may be sent: every command it
        relies on was written, and it is not too long ago."""
        answer = before._answer
        if answer is None or answer.skewed or time.monotonic() - self._since > MAX_WAIT_S:
            return False
        return all(answer.status[number - 1] == "o" for number in self._relied)

    def set_aside(self) -> list[Pending]:
        """Hand back the commands that could not be decided on what is not committed yet."""
        aside, self._put_aside = self._put_aside, []
        self._all = [pending for pending in self._all if pending not in aside]
        return aside

    def call_back(self) -> list[Pending]:
        """Hand back all commands, of which nothing was sent, to be decided again."""
        all_of_them, self._all, self._decided = self._all, [], []
        return [pending for pending in all_of_them if not pending.future.done()]

    def pack_ahead(self) -> None:
        """Get ready to be sent while there is nothing else to do: the server will not wait for it.

        Again only once the batch has doubled: while the server is slow commands come one by one.
        """
        if len(self._all) >= 2 * self._packed_at:
            self._packed_at = len(self._all)
            self._pack()

    def _pack(self) -> None:
        if self._fault is not None or not self._decided or self._packed is not None:
            return
        try:
            inline = self._ledgers.inline
            if inline is not None:
                self._batch.folds = _folds_encoder.encode(dict(inline.folds))
            self._packed = self._ledger.records.packed(self._batch)
        except Exception as fault:
            log.exception("a batch could not be packed")
            self._fault = fault

    def send(self) -> None:
        """Hand the batch to the server. A crash from here on leaves all of it or nothing, and
        nobody answered."""
        self._pack()
        if self._packed is None or not self._decided:
            return
        try:
            self._sending = self._ledger.records.sending(self._batch, self._packed)
            self.socket = next(self._sending)
        except PersistenceError as fault:
            self._sending, self._fault = None, fault
        except Exception as fault:
            log.exception("a batch could not be sent")
            self._sending, self._fault = None, fault

    def advance(self) -> bool:
        """Go on where the server said something; tell whether the answer is there."""
        if self._sending is None:
            return True
        try:
            self.socket = next(self._sending)
        except StopIteration as over:
            self._answered_at = time.monotonic()
            self._sending, self._answer = None, over.value
            if not over.value.skewed:
                self._ledger.saw(over.value.position, over.value.recorded_at)
            return True
        except PersistenceError as fault:
            self._sending, self._fault = None, fault
            return True
        except Exception as fault:
            # A defect after the batch was sent: it may be written, so it is not sent again. Whoever
            # asks again with their key is told.
            log.exception("an answer could not be read")
            self._sending = None
            self.refuse(fault)
            self._all = []
            return True
        return False

    @property
    def is_sent(self) -> bool:
        """Whether it is under way: sent and not answered yet."""
        return self._sending is not None

    def wait(self) -> None:
        """Wait until `advance` has nothing to wait for any more."""
        poll = select.poll()
        while not self.advance():
            poll.register(*self.socket)
            poll.poll()

    def land(self) -> list[Pending]:
        """Answer every command, after `advance` told that the server has; return those to be
        decided again."""
        try:
            return self._land()
        except Exception as fault:  # a defect must not leave anyone without an answer
            log.exception("batch failed")
            self.refuse(fault)
            return []
        finally:
            # A view looks at this flight, which holds its command: without this the collector of
            # cycles would have to find every batch, for a third of what deciding it costs.
            for pending in self._all:
                pending.view = pending.inline = None

    def _land(self) -> list[Pending]:
        fault = self._fault
        if self._answer is not None:
            landing = Landing(self._ledgers, self._ledger, self._decided, self._answered_at)
            return landing.settle(self._answer)
        if fault is None:
            return []
        if isinstance(fault, PersistenceError):
            return self._unreachable(fault)
        if not isinstance(fault, Refused) and len(self._all) > 1:
            # A value that cannot even be sent: nothing has been. Alone it fails alone.
            return self._each_alone()
        self.refuse(fault)
        return []

    def refuse(self, fault: Exception) -> None:
        """Refuse every command that has no answer yet."""
        for pending in self._all:
            pending.refuse(fault)

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
            alone = Flight(self._ledgers, self._tenant)
            alone.prepare([pending])
            alone.board(pending)
            alone.send()
            alone.wait()
            again += alone.land()
        return again
