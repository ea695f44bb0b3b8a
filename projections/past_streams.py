"""Streams as they stood at a position of the log, folded from their events; the log itself is asked
and no read model.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any
from uuid import UUID

from psycopg.rows import tuple_row

from domain.codec import decode
from domain.errors import Impossible, Refused
from domain.events import stream_kind
from domain.streams import evolve
from domain.values import Instant
from domain.view import Loaded
from projections.folding import Horizon

if TYPE_CHECKING:
    from domain.batches import StreamRow
    from domain.ledger import Ledger

NOTHING = Loaded(0, None)

MAX_STREAMS = 10_000
"""Streams remembered; beyond them all are read again."""


class PastStreams:
    """One tenant's streams by the events up to `position`; with `happened` by those acts alone that
    happened at or before it. What was read once is not read again soon.
    """

    def __init__(self, ledger: Ledger, position: int, happened: Instant | None = None) -> None:
        self._ledger = ledger
        self._position = position
        self._horizon = Horizon(happened)
        self._known: dict[str, tuple[str, int, Any]] = {}

    @property
    def tenant(self) -> str:
        return self._ledger.tenant

    @property
    def records(self) -> PastStreams:
        """Return what knows who was appointed by then."""
        return self

    def staff_ids(self) -> Sequence[str]:
        """Return the ids of everyone who was appointed by then."""
        with self._ledger.records.datastore.get_connection() as conn:
            rows = (
                conn.cursor(row_factory=tuple_row)
                .execute(
                    "SELECT read_staff_ids_at(%s, %s)::text", (UUID(self.tenant), self._position)
                )
                .fetchall()
            )
        return [row[0] for row in rows]

    def rows(self, stream_id: str, after: int = 0) -> list[StreamRow]:
        """Return the stored events of a stream behind a version, as far as they are seen."""
        rows = self._ledger.records.read_streams([(stream_id, after)])
        return [row for row in rows if self._sees(row)]

    def refresh(self, wanted: Iterable[str]) -> None:
        """Read streams, in one round trip. Raises `Refused` `stream.closed` where a history cannot
        be folded: fail closed.
        """
        new = [one for one in dict.fromkeys(wanted) if one not in self._known]
        if not new:
            return
        if len(self._known) + len(new) > MAX_STREAMS:
            self._known.clear()
        found: dict[str, tuple[str, int, Any]] = dict.fromkeys(new, ("", 0, None))
        for row in self._ledger.records.read_streams([(one, 0) for one in new]):
            if not self._sees(row):
                continue
            stream_id, kind = str(row.stream_id), stream_kind(row.type)
            try:
                state = evolve(kind, found[stream_id][2], decode(row.type, row.data))
            except Impossible as fault:
                raise Refused("stream.closed", stream=stream_id, position=row.position) from fault
            found[stream_id] = (kind, row.version, state)
        self._known |= found

    def recall(self, kind: str, stream_id: str) -> Loaded | None:
        """Return what was read of a stream; of another kind it is nothing, at its version."""
        known = self._known.get(stream_id)
        if known is None or known[1] == 0:
            return None
        return Loaded(known[1], known[2] if known[0] == kind else None)

    def load(self, kind: str, stream_id: str) -> Loaded:
        """Return a stream as it stood; `Loaded(0, None)` where there was none of that kind.

        Raises `Refused`: `stream.closed`.
        """
        self.refresh([stream_id])
        return self.recall(kind, stream_id) or NOTHING

    def _sees(self, row: StreamRow) -> bool:
        return row.position <= self._position and self._horizon.sees(row.data)
