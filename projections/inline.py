"""The rows written in the append's own transaction: what a command's events close and open, and
whom that concerns.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import Any, Final

from domain.ledger import InlineRows
from domain.permission_rows import Placed
from domain.view import NewEvent
from projections import customer_points, memberships, permissions, points, standings
from projections.inline_rows import Change
from projections.permissions import Permission
from projections.points import PointRow
from projections.standings import Alias

FOLDS: Final[Mapping[str, int]] = MappingProxyType(
    {
        permissions.NAME: permissions.FOLD,
        standings.NAME: standings.FOLD,
        points.NAME: points.FOLD,
    }
)
"""Projection -> fold version of this code."""

NOTHING: Final = InlineRows([], [], [], [], narrowing=False)


class InlineTables:
    """What the ledger is given as its `Inline`."""

    folds: Mapping[str, int] = FOLDS

    def rows(self, events: Sequence[NewEvent]) -> InlineRows:
        """Return the rows of one command's events, `e` the place of each row's event from 0.

        `touched` names, each once, what other processes have to forget: `g:<grantee>` a grantee's
        permissions, `s:<party>` a standing, a merge or a membership, `p:<dimension>/<path>` a
        point. `narrowing` tells whether anything that was allowed may be allowed no longer.
        """
        others: list[dict[str, Any]] = []
        closed: list[Placed] = []
        opened: list[Placed] = []
        touched: dict[str, None] = {}
        narrowing = False
        for place, new in enumerate(events):
            for change in changes(new):
                narrowing = narrowing or change.narrows
                row = change.row
                if isinstance(row, Permission):
                    (closed if change.act == "close" else opened).append((place, row))
                    touched[f"g:{row.grantee}"] = None
                    continue
                others.append(_row(place, new, change))
                for key in _keys(new, change):
                    touched[key] = None
        if not touched:
            return NOTHING
        return InlineRows(others, closed, opened, list(touched), narrowing)


Step = Callable[[Any, Any, Any], Sequence[Change]]

CHANGES: Final[Mapping[str, tuple[Step, ...]]] = MappingProxyType(
    {
        "grant": (permissions.changes,),
        "customer": (standings.changes,),
        "staff": (standings.changes, memberships.changes),
        "catalogue": (points.changes,),
    }
)
"""Stream kind -> what a step of such a stream does to the inline tables."""


RESOURCES: Final[Mapping[str, Callable[[str, Any, Any, Any], Sequence[Change]]]] = MappingProxyType(
    {"customer": customer_points.of_customer, "staff": customer_points.of_staff}
)
"""Stream kind -> what its step does to the points that stand for the streams themselves."""


def changes(new: NewEvent) -> Sequence[Change]:
    """Return what one event does to the inline tables; nothing for most."""
    steps = CHANGES.get(new.kind, ())
    found = [change for step in steps for change in step(new.before, new.event, new.after)]
    resource = RESOURCES.get(new.kind)
    if resource is not None:
        found += resource(new.stream_id, new.before, new.event, new.after)
    return found


def rows_of(place: int, new: NewEvent) -> list[dict[str, Any]]:
    """Return the rows of one event as `inline_apply` takes them; `place` is the event's, from 0."""
    return [_row(place, new, change) for change in changes(new)]


def _row(place: int, new: NewEvent, change: Change) -> dict[str, Any]:
    row = {"e": place, "t": change.table, "o": change.act[0], **change.values}
    if change.table == "g":
        row["grant_id"] = new.stream_id
    elif change.table != "p":
        row["party"] = f"{new.kind}:{new.stream_id}"
    return row


def _keys(new: NewEvent, change: Change) -> tuple[str, ...]:
    """Return what a row that is no permission concerns."""
    match change.row:
        case PointRow(dimension=dimension, path=path):
            # An assignment's row names its customer: that is what is asked about.
            return (f"p:{dimension}" if "/" in dimension else f"p:{dimension}/{path}",)
        case Alias():
            merged = (new.stream_id, *_into(new.before), *_into(new.after))
            return tuple(f"s:customer:{stream_id}" for stream_id in merged)
        case _:
            return (f"s:{new.kind}:{new.stream_id}",)


def _into(customer: Any) -> tuple[str, ...]:
    merged_into = None if customer is None else customer.merged_into
    return () if merged_into is None else (merged_into,)
