"""Which moment a page is of, and what of it a page was asked to point out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import tzinfo
from typing import Any, Final, NamedTuple

from api.screens.clock import given

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


def steps(path: str, positions: Sequence[int], moment: Moment, position: int) -> dict[str, Any]:
    """Return what leads from one moment of a record to the next: `positions` are those of its
    events, `position` the one that the page rests on.
    """
    before = [one for one in positions if one < position]
    here = position if position in positions else max(before, default=0)
    earlier = [one for one in positions if one < here]
    later = [one for one in positions if one > position]
    return {
        "path": path,
        "position": None if moment == NOW else position,
        "first": min(positions, default=1),
        "last": max((*positions, position)),
        "previous": max(earlier, default=None),
        "next": None if moment == NOW else min(later, default=None),
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
