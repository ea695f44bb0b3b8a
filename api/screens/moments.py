"""Which moment a page is of, and what of it a page was asked to point out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import tzinfo
from typing import Any, Final, NamedTuple
from urllib.parse import urlencode

from api.routes.reading import Told, told
from api.screens.clock import given
from api.screens.visits import Visit
from domain.values import Instant

PURPOSE: Final = "counterseal-purpose"
"""The header that says what opened texts are needed for; see `api.routes.reading`."""


class Moment(NamedTuple):
    """By what was known then (`as_of`), and at which instant (`at`); both None: now."""

    as_of: str | None = None
    at: str | None = None

    @property
    def query(self) -> dict[str, str]:
        """The fields of a question about this moment."""
        return {name: value for name, value in self._asdict().items() if value is not None}


NOW: Final = Moment()


def moment_of(asked: Mapping[str, str], zone: tzinfo) -> Moment:
    """Return the moment that a page is asked for: a position, or an instant of the zone."""
    as_of, at = asked.get("as_of"), asked.get("at")
    if as_of is not None and not as_of.isdigit():
        as_of = given(as_of, zone)
    return Moment(as_of, None if at is None else given(at, zone))


class Mark(NamedTuple):
    """A moment of a record's own: an event's position, and when it was recorded."""

    position: int
    recorded_at: Instant


class Record(NamedTuple):
    """A grant or a customer."""

    kind: str
    id: str

    @property
    def path(self) -> str:
        """Its page."""
        return f"/{self.kind}s/{self.id}"

    def changes_since(self, position: int) -> str:
        """Return the page of what changed since a position."""
        return f"/changes?{urlencode({self.kind: self.id, 'from': position})}"

    def marks(self, visit: Visit) -> list[Mark]:
        """Return all its moments, oldest first. Blocks. Raises `Refused` for who may not read
        them.
        """
        call = visit.desk.entered(f"{self.kind}.events", {"id": self.id})
        return marks_of(told(call, self.id))


def marks_of(events: Sequence[Told]) -> list[Mark]:
    """Return the moments that events are."""
    return [Mark(one.recorded.position, one.recorded.recorded_at) for one in events]


def led_to(record: Record, asked: Mapping[str, str], marks: Sequence[Mark]) -> str:
    """Return where the slider leads: to the record as it stood at the `step` that is asked for,
    counted from 1, or with `then` to what changed since.
    """
    step = asked.get("step", "")
    if not marks:
        return record.path
    number = int(step) if step.isascii() and step.isdigit() and len(step) < 10 else 1
    position = marks[min(max(number, 1), len(marks)) - 1].position
    if "then" in asked:
        return record.changes_since(position)
    return f"{record.path}?as_of={position}"


def steps(record: Record, marks: Sequence[Mark], moment: Moment, position: int) -> dict[str, Any]:
    """Return what leads from one moment of a record to the next: `marks` are all its moments,
    `position` the one that the page rests on.
    """
    positions = [one.position for one in marks]
    step = max(1, sum(one <= position for one in positions))
    first = min(positions, default=0)
    before = [one for one in positions if one < position]
    here = position if position in positions else max(before, default=0)
    earlier = [one for one in positions if one < here]
    later = [one for one in positions if one > position]
    return {
        "path": record.path,
        "position": None if moment == NOW else position,
        "first": min(positions, default=1),
        "last": max((*positions, position)),
        "previous": max(earlier, default=None),
        "next": None if moment == NOW else min(later, default=None),
        "step": step,
        "marks": [one.recorded_at for one in marks],
        "changes": record.changes_since(first if moment == NOW else position),
    }


def headers_of(asked: Mapping[str, str]) -> dict[str, str]:
    """Return the headers of a reading that opens sealed texts, where the page was asked to."""
    return {PURPOSE: asked["purpose"]} if "purpose" in asked else {}


def happened(events: Sequence[dict[str, Any]], asked: Mapping[str, str]) -> list[dict[str, Any]]:
    """Return the events of the versions that a page was asked to point out."""
    since, until = asked.get("since", ""), asked.get("until", "")
    if not all(one.isascii() and one.isdigit() and len(one) < 10 for one in (since, until)):
        return []
    return [one for one in events if int(since) < one["version"] <= int(until)]
