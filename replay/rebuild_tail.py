"""The end of a rebuild: what was written since it began follows page by page, the last page under
the head row's lock, with the swap.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final, LiteralString, NamedTuple
from uuid import UUID

import msgspec
import psycopg

from domain.codec import UnknownEvent, decode
from domain.events import stream_kind
from domain.streams import evolve
from domain.view import NewEvent
from projections import inline, models
from projections.folding import Fold, Folded, NewerEvent, Stored, code_of
from projections.recent import Recent
from projections.refolding import KINDS
from projections.store import Held, Page, Quarantine, apply
from projections.tables import INLINE
from replay.findings import COUNT, TURN
from replay.quarantine import DIFFERS
from replay.rebuild_bulk import write_faults
from replay.rebuild_plan import Conn, Plan, acting, forget

PAGE: Final = 1_000
"""Events of one transaction at the most."""

LAST: Final = 400
"""Events that are applied under the head row's lock at the most: commands wait for them."""

STATES: Final = 50_000
"""Folded streams remembered; others are folded again from their events."""

_encoder = msgspec.json.Encoder()


class State(NamedTuple):
    """A stream's state and the version it is of."""

    version: int
    state: Any


class Tail:
    """Applies to the new generations what was written after the ranges were folded."""

    def __init__(self, conn: Conn, plan: Plan) -> None:
        self._conn = conn
        self._plan = plan
        self._states: Recent[Folded] = Recent(STATES)
        self._inline_states: Recent[State] = Recent(STATES)
        self._inline = [name for name in inline.FOLDS if name in plan.models]
        self._followers = [name for name in models.FOLDS if name in plan.models]
        self._most = PAGE

    def left(self) -> int:
        """Return how many events the new generations are behind the log."""
        row = self._conn.execute(_LEFT, self._named).fetchone()
        return 0 if row is None or row[0] is None else row[0]

    def step(self) -> int:
        """Apply one page in a transaction of its own; return how many events it was.

        Raises `NewerEvent`, `psycopg.Error`.
        """
        while True:
            most = self._most
            try:
                with acting(self._conn, self._plan.tenant):
                    self._conn.execute("SET LOCAL synchronous_commit = off")
                    done, remember = self._page(most)
                    # A crash before this commit leaves rows and checkpoints as they were, and the
                    # next run reads the same page again; after it, both have moved.
            except (psycopg.DataError, psycopg.IntegrityError) as fault:
                if most == 1:
                    with acting(self._conn, self._plan.tenant):
                        done, remember = self._page(1, unwritable=fault)
                else:
                    self._most = max(1, most // 2)
                    continue
            remember()
            self._most = min(PAGE, self._most * 2)
            return done

    def swap(self) -> int | None:
        """Make the new generations live, at the log's head; return its position.

        None where too much was written meanwhile: then nothing was done. In one transaction under
        the head row's lock: `append` waits for it and then finds the new generations; a reader
        sees all of the old ones before the commit and all of the new ones after it. A crash before
        the commit leaves the old ones live and the rebuild to be taken up; after it, the swap is
        done, its plan is gone, and so is the quarantine of streams whose rows differed alone.
        """
        plan, conn = self._plan, self._conn
        with acting(conn, plan.tenant):
            conn.execute(TURN, (plan.tenant,))  # before the head: no command waits for a verifier
            row = conn.execute(_HEAD, (plan.tenant,)).fetchone()
            position: int = 0 if row is None else row[0]
            if self.left() > LAST:
                return None
            while self.left():
                _, remember = self._page(PAGE)
                remember()
            named = list(plan.models)
            self._quarantine(named)
            conn.execute(_UNLIVE, (plan.tenant, named))
            conn.execute(_LIVE, self._named)
            forget(conn, plan)
        return position

    def _quarantine(self, named: Sequence[str]) -> None:
        """Write down what cannot be applied, and forget what differed in rows that are replaced:
        where all that checks rest on are, no stream stays in quarantine because of them.
        """
        conn, tenant = self._conn, self._plan.tenant
        conn.execute(_DIFFERED, (tenant, named))
        if all(name in named for name in inline.FOLDS):
            conn.execute(_RELEASE, (tenant, DIFFERS))
        conn.execute(_FAULTS, (tenant, self._plan.rebuild))
        conn.execute(COUNT, {"tenant": tenant})

    @property
    def _named(self) -> tuple[str, list[str], list[int]]:
        names = list(self._plan.models)
        return self._plan.tenant, names, [self._plan.generation(name) for name in names]

    def _page(self, most: int, unwritable: psycopg.Error | None = None) -> Any:
        """Apply a page in the caller's transaction; return how many events, and what to call once
        it is committed.
        """
        plan, conn = self._plan, self._conn
        row = conn.execute(_START, self._named).fetchone()
        start: int = 0 if row is None else row[0]
        cursor = conn.cursor(binary=True).execute(
            _EVENTS, (UUID(plan.tenant), start + 1, 2**62, most)
        )
        events = [Stored(*one) for one in cursor.fetchall()]
        if not events:
            return 0, _nothing
        end = events[-1].position
        fold = Fold(conn, plan.tenant, start, self._states)
        page = Page()
        if self._followers:
            page = fold.page(events) if unwritable is None else fold.refused(events[0], unwritable)
            end = page.position
            faults, page.quarantined = page.quarantined, []
            held = [Held(name, plan.generation(name), start) for name in self._followers]
            apply(conn, plan.tenant, held, page)
            write_faults(conn, plan, faults)
        states: dict[str, State] = {}
        if self._inline:
            states = self._append_rows([one for one in events if one.position <= end], start)
        conn.execute(_MOVE, (end, *self._named))

        def remember() -> None:
            fold.remember()
            for stream_id, state in states.items():
                self._inline_states.put(stream_id, state)

        return end - start, remember

    def _append_rows(self, events: Sequence[Stored], start: int) -> dict[str, State]:
        """Write the inline rows of a page, by the same SQL as `append`; return the streams' states.

        A stream that cannot be folded is a fault; its rows stay as they were.
        """
        kinds = {kind for name in self._inline for kind in KINDS[name]}
        events = [one for one in events if stream_kind(one.type) in kinds]
        states, faults = self._load(events, start)
        rows: list[dict[str, Any]] = []
        for place, stored in enumerate(events):
            known = states.get(stored.stream_id)
            if known is None or known.version != stored.version - 1:
                continue
            kind = stream_kind(stored.type)
            try:
                event = decode(stored.type, stored.data)
                after = evolve(kind, known.state, event)
                new = NewEvent(kind, stored.stream_id, stored.version, event, known.state, after)
                found = inline.rows_of(place, new)
            except UnknownEvent as fault:
                raise NewerEvent(self._plan.tenant, stored.position, fault.name) from fault
            except Exception as fault:  # noqa: BLE001  (whatever it is: this stream stops)
                faults.append(_fault(stored, fault))
                continue
            states[stored.stream_id] = State(stored.version, after)
            rows += [one for one in found if INLINE[one["t"]].projection in self._inline]
        if rows:
            generations = {name: self._plan.generation(name) for name in self._inline}
            positions = [one.position for one in events]
            documents = [_encoder.encode(one).decode() for one in (generations, rows)]
            parameters = (UUID(self._plan.tenant), documents[0], positions, documents[1])
            self._conn.execute(_INLINE, parameters)
        write_faults(self._conn, self._plan, faults)
        return states

    def _load(
        self, events: Sequence[Stored], start: int
    ) -> tuple[dict[str, State], list[Quarantine]]:
        """Return the page's streams as they were before it."""
        states: dict[str, State] = {}
        first: dict[str, int] = {}
        for one in events:
            first.setdefault(one.stream_id, one.version)
        for stream_id, version in first.items():
            known = self._inline_states.get(stream_id)
            fits = known is not None and known.version < version
            states[stream_id] = known if known is not None and fits else State(0, None)
        wanted = {one: at.version for one, at in states.items() if at.version != first[one] - 1}
        faults: list[Quarantine] = []
        if not wanted:
            return states, faults
        parameters = (
            UUID(self._plan.tenant),
            list(map(UUID, wanted)),
            list(wanted.values()),
            start,
        )
        for row in self._conn.cursor(binary=True).execute(_STREAMS, parameters):
            stored = Stored(*row)
            known = states[stored.stream_id]
            if known.version != stored.version - 1:
                continue  # it stopped before
            kind = stream_kind(stored.type)
            try:
                state = evolve(kind, known.state, decode(stored.type, stored.data))
            except UnknownEvent as fault:
                raise NewerEvent(self._plan.tenant, stored.position, fault.name) from fault
            except Exception as fault:  # noqa: BLE001  (whatever it is: this stream stops)
                faults.append(_fault(stored, fault))
            else:
                states[stored.stream_id] = State(stored.version, state)
        return states, faults


def _nothing() -> None:
    """There is nothing to remember."""


def _fault(stored: Stored, fault: Exception) -> Quarantine:
    return Quarantine(stored.stream_id, stored.position, stream_kind(stored.type), code_of(fault))


_EVENTS: LiteralString = (
    "SELECT position, stream_id::text, version, type, recorded_at, data, actor, on_behalf_of,"
    " command_id::text, causation"
    " FROM read_events(%b, %b::bigint, %b::bigint, %b::integer)"
)
_STREAMS: LiteralString = (
    "SELECT position, stream_id::text, version, type, recorded_at, data"
    " FROM read_streams(%b, %b::uuid[], %b::integer[]) WHERE position <= %b::bigint"
)
_INLINE: LiteralString = "SELECT inline_apply(%s, %s::jsonb, %s::bigint[], %s::jsonb)"
_HEAD: LiteralString = "SELECT position FROM ledgers WHERE tenant_id = %s FOR UPDATE"
_OURS: LiteralString = (
    " FROM checkpoints c JOIN unnest(%s::text[], %s::integer[]) AS r(projection, generation)"
    " USING (projection, generation)"
)
_LEFT: LiteralString = (
    "WITH given AS (SELECT %s::uuid AS tenant_id)"
    " SELECT max(l.position - c.position)"
    + _OURS
    + " JOIN ledgers l USING (tenant_id) JOIN given USING (tenant_id)"
)
_START: LiteralString = (
    "WITH given AS (SELECT %s::uuid AS tenant_id)"
    " SELECT min(c.position)" + _OURS + " JOIN given USING (tenant_id)"
)
_MOVE: LiteralString = (
    "UPDATE checkpoints c SET position = %s"
    " FROM (SELECT %s::uuid AS tenant_id, r.*"
    " FROM unnest(%s::text[], %s::integer[]) AS r(projection, generation)) r"
    " WHERE c.tenant_id = r.tenant_id AND c.projection = r.projection"
    " AND c.generation = r.generation"
)
_UNLIVE: LiteralString = (
    "UPDATE generations SET live = false WHERE tenant_id = %s AND projection = ANY (%s) AND live"
)
_LIVE: LiteralString = (
    "UPDATE generations g SET live = true"
    " FROM (SELECT %s::uuid AS tenant_id, r.*"
    " FROM unnest(%s::text[], %s::integer[]) AS r(projection, generation)) r"
    " WHERE g.tenant_id = r.tenant_id AND g.projection = r.projection"
    " AND g.generation = r.generation"
)
_DIFFERED: LiteralString = "DELETE FROM differences WHERE tenant_id = %s AND projection = ANY (%s)"
_RELEASE: LiteralString = "DELETE FROM quarantined WHERE tenant_id = %s AND code = %s"
_FAULTS: LiteralString = (
    "INSERT INTO quarantined (tenant_id, stream_id, position, projection, code)"
    " SELECT tenant_id, stream_id, position, projection, code FROM rebuild_faults"
    " WHERE tenant_id = %s AND rebuild_id = %s"
    " ON CONFLICT (tenant_id, stream_id) DO UPDATE SET position = excluded.position,"
    " projection = excluded.projection, code = excluded.code"
    " WHERE excluded.position < quarantined.position"
)
