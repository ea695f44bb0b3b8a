"""Folds streams one after another, from their first event on, into the finished rows of every read
model: the same steps as live, each stream once.

Pure: it is given events and gives rows. A rebuild writes them, a comparison holds them against what
is there.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import Any, Final, NamedTuple

from domain.codec import UnknownEvent, decode
from domain.events import Event, stream_kind
from domain.streams import EVOLVE, evolve
from domain.view import NewEvent
from projections import courses, duties, history, inline, permissions, points, standings
from projections.courses import Course
from projections.folding import NewerEvent, Stored, code_of, decoded
from projections.inline_rows import Change
from projections.models import SERIES_MODELS, STREAM_MODELS
from projections.store import Quarantine
from projections.tables import HANDS, HISTORY, HISTORY_KEYS, INLINE, PERSON_MERGES

FOREVER: Final = 2**63 - 1

KINDS: Final[Mapping[str, frozenset[str]]] = MappingProxyType(
    {
        permissions.NAME: frozenset({"grant"}),
        standings.NAME: frozenset({"customer", "staff"}),
        points.NAME: frozenset({"catalogue", "customer", "staff"}),
        duties.NAME: frozenset({"grant", "person"}),
        history.NAME: frozenset(EVOLVE),
        **{one.name: frozenset({one.kind}) for one in STREAM_MODELS},
        **{one.name: one.kinds for one in SERIES_MODELS},
    }
)
"""Read model -> the kinds of streams it follows from."""

_MODEL_OF: Final = {model.kind: model for model in STREAM_MODELS}

Row = dict[str, Any]


class _Last(NamedTuple):
    """Where a stream was at a position that a read model has got to."""

    stored: Stored
    state: Any
    course: Course


class Refold:
    """Folds the streams of one tenant, of the read models asked for.

    `upto`: read model -> the last position that is in its rows. `since`: stream -> the position
    from which its events are in quarantine; the rows that follow the log end there, those that
    `append` wrote do not. Streams are given one after another: `begin`, `add` for each event from
    version 1 on, `end`; what they amount to lies in `rows`, by table, until who reads it takes it.
    """

    def __init__(
        self, tenant: str, upto: Mapping[str, int], since: Mapping[str, int] | None = None
    ) -> None:
        self.rows: dict[str, list[Row]] = {}
        self.faults: list[Quarantine] = []
        self._tenant = tenant
        self._upto = upto
        self._since = since or {}
        inline_upto = {name: upto[name] for name in inline.FOLDS if name in upto}
        self._inline = {
            letter: inline_upto[table.projection]
            for letter, table in INLINE.items()
            if table.projection in inline_upto
        }
        self._inline_upto = max(inline_upto.values(), default=0)
        self._models = [one for one in STREAM_MODELS if one.name in upto]
        self._series = [one for one in SERIES_MODELS if one.name in upto]
        self._hands = upto.get(duties.NAME, 0)
        self._history = upto.get(history.NAME, 0)
        self._cuts = sorted({upto[one.name] for one in (*self._models, *self._series)})
        self._wanted = frozenset(kind for name in upto for kind in KINDS[name])
        self._inline_kinds = frozenset(kind for name in inline_upto for kind in KINDS[name])
        self._follow_kinds = frozenset(
            kind for name in upto if name not in inline_upto for kind in KINDS[name]
        )
        self._course_kinds = frozenset(kind for one in self._series for kind in one.kinds)
        self.begin("", "")

    def begin(self, stream_id: str, kind: str) -> None:
        """Begin a stream; the one before has been ended."""
        self._stream_id = stream_id
        self._kind = kind
        self._state: Any = None
        self._before: Any = None
        self._course = Course()
        self._follows: Any = None
        """The state that what follows the log has got to; behind `append` in quarantine."""
        self._broken = False
        self._stop = self._since.get(stream_id, FOREVER)
        self._open: dict[tuple[str, tuple[Any, ...]], Row] = {}
        self._found_hands: list[Row] = []
        self._void: list[Row] = []
        self._told_kind: Row | None = None
        self._merge: Row | None = None
        self._lasts: dict[int, _Last] = {}
        self._skip = kind not in self._wanted
        self._goes_inline = kind in self._inline_kinds
        self._is_followed = kind in self._follow_kinds

    def add(self, stored: Stored) -> None:
        """Fold the stream's next event. Raises `NewerEvent`."""
        if self._skip:
            return
        event = None if self._broken else self._evolve(stored)
        follows = None
        if self._is_followed and event is not None and stored.position < self._stop:
            follows = self._follow(stored, event)
        if event is not None and self._goes_inline and stored.position <= self._inline_upto:
            self._change(stored, event)
        if stored.position <= self._history:
            self._tell(stored, follows)

    def end(self) -> None:
        """Give the rows of the stream's last state."""
        for (letter, _), row in self._open.items():
            self._emit(INLINE[letter].name, row)
        if self._found_hands:
            _make_void(self._found_hands, self._void)
            if self._told_kind is not None:
                for hand in self._found_hands:
                    hand["kind"] = self._told_kind["kind"]
            self.rows.setdefault(HANDS.name, []).extend(self._found_hands)
        if self._merge is not None:
            self._emit(PERSON_MERGES.name, self._merge)
        for last in {id(one): one for one in self._lasts.values()}.values():
            self._row(last)

    def _emit(self, table: str, row: Row) -> None:
        self.rows.setdefault(table, []).append(row)

    def _evolve(self, stored: Stored) -> Event | None:
        """Fold one event; None where it cannot be, and the stream ends there."""
        try:
            event = decode(stored.type, stored.data)
            after = evolve(self._kind, self._state, event)
        except UnknownEvent as fault:
            raise NewerEvent(self._tenant, stored.position, fault.name) from fault
        except Exception as fault:  # noqa: BLE001  (whatever it is: this stream stops, others go on)
            model = _MODEL_OF.get(self._kind)
            self._fault(stored, self._kind if model is None else model.name, fault)
            self._broken = True
            return None
        self._before, self._state = self._state, after
        return event

    def _follow(self, stored: Stored, event: Event) -> Event | None:
        """Take what the event adds to the read models that follow the log."""
        position = stored.position
        self._follows = self._state
        try:
            if self._kind in self._course_kinds and position <= self._cuts[-1]:
                self._course = courses.step(self._course, event, self._state)
            if position <= self._hands:
                found = duties.hands(self._stream_id, position, event, self._before, self._state)
                if found is not None:
                    self._found_hands += found.rows
                    self._void += found.void
                    self._told_kind = found.kinds[-1] if found.kinds else self._told_kind
                    self._merge = found.merges[-1] if found.merges else self._merge
        except Exception as fault:  # noqa: BLE001  (as in `_evolve`)
            self._fault(stored, duties.NAME, fault)
            self._stop = position
            return None
        last = _Last(stored, self._state, self._course)
        for cut in self._cuts:
            if position <= cut:
                self._lasts[cut] = last
        return event

    def _change(self, stored: Stored, event: Event) -> None:
        """Close and open rows as `inline_apply` does."""
        new = NewEvent(
            self._kind, self._stream_id, stored.version, event, self._before, self._state
        )
        try:
            for change in inline.changes(new):
                if stored.position <= self._inline.get(change.table, 0):
                    self._apply(stored.position, change)
        except Exception as fault:  # noqa: BLE001  (as in `_evolve`)
            self._fault(stored, permissions.NAME, fault)
            self._broken = True

    def _apply(self, position: int, change: Change) -> None:
        values = change.values
        key = (change.table, tuple(values[name] for name in _KEYS[change.table]))
        if change.act == "close":
            row = self._open.pop(key)
            row["known_to"] = position
            self._emit(INLINE[change.table].name, row)
            return
        row = {**values, "known_from": position, "known_to": None}
        if change.table == "g":
            row["grant_id"] = self._stream_id
        elif change.table != "p":
            row["party"] = f"{self._kind}:{self._stream_id}"
        self._open[key] = row

    def _tell(self, stored: Stored, event: Event | None) -> None:
        """Make the row of history, also of an event that nothing else follows from."""
        place = history.Place(
            stored.position,
            stored.stream_id,
            stored.version,
            stored.type,
            stored.recorded_at,
            stored.actor,
            stored.on_behalf_of,
            stored.command_id,
            stored.causation,
        )
        found = history.row(place, event or decoded(stored), self._follows)
        self._emit(HISTORY.name, found.row)
        self.rows.setdefault(HISTORY_KEYS.name, []).extend(found.keys)

    def _row(self, last: _Last) -> None:
        """Make the rows of the models whose rows end with this state."""
        stored, state, course = last
        try:
            for model in self._models:
                if model.kind == self._kind and self._lasts.get(self._upto[model.name]) is last:
                    row = {
                        model.key: self._stream_id,
                        "version": stored.version,
                        "position": stored.position,
                        "recorded_at": stored.recorded_at,
                    }
                    self._emit(model.name, row | model.row(state))
            for one in self._series:
                if self._kind in one.kinds and self._lasts.get(self._upto[one.name]) is last:
                    of = {"stream_id": self._stream_id}
                    for values in one.rows(self._stream_id, course, state):
                        self._emit(one.name, of | values)
        except Exception as fault:  # noqa: BLE001  (as in `_evolve`)
            model = _MODEL_OF.get(self._kind)
            self._fault(stored, self._kind if model is None else model.name, fault)

    def _fault(self, stored: Stored, projection: str, fault: Exception) -> None:
        code = code_of(fault)
        self.faults.append(Quarantine(self._stream_id, stored.position, projection, code))


_KEYS: Final[Mapping[str, tuple[str, ...]]] = {
    "g": ("grantee", "terms_number", "valid_from"),
    "s": ("valid_from",),
    "a": (),
    "m": ("valid_from",),
    "p": ("dimension", "path"),
}
"""What names an open row of a stream, as in `inline_apply`."""


def _make_void(hands: Iterable[Row], void: Iterable[Row]) -> None:
    """Say of each approval from which position on it counts no more, as the runner does."""
    for hand in hands:
        hand["void"] = None
    for one in void:
        for hand in hands:
            if (
                hand["act"] == "approved"
                and hand["void"] is None
                and hand["case_id"] == one["case_id"]
                and hand["position"] < one["position"]
                and (one["stage"] is None or hand["stage"] == one["stage"])
                and (one["persons"] is None or hand["person"] in one["persons"])
            ):
                hand["void"] = one["position"]


def fold_stream(refold: Refold, events: Iterable[Stored]) -> None:
    """Fold one whole stream. Raises `NewerEvent`."""
    begun = False
    for stored in events:
        if not begun:
            refold.begin(stored.stream_id, stream_kind(stored.type))
            begun = True
        refold.add(stored)
    if begun:
        refold.end()
