"""What a step does to an inline table: rows it closes and rows it opens."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any, Literal, NamedTuple, Protocol, TypeVar

from domain.values import Instant

Table = Literal["g", "s", "a", "m", "p"]
"""permissions (of grants), standings, aliases, memberships, points; as `inline_apply` names them.
"""


class Row(Protocol):
    """A row as a pure function of a state: comparable, with its key among the open rows of its
    stream.

    JSON-able: `values` are the columns of the row, `key` those that name it; tenant, generation,
    stream and position are added by who writes it.
    """

    def key(self) -> dict[str, Any]: ...

    def values(self) -> dict[str, Any]: ...


class Change(NamedTuple):
    """One row closed or opened. `narrows`: something that was so is so no longer."""

    table: Table
    act: Literal["close", "open"]
    row: Row
    narrows: bool = False

    @property
    def values(self) -> dict[str, Any]:
        """The columns of the row, for a close those of its key."""
        return self.row.key() if self.act == "close" else self.row.values()


R = TypeVar("R", bound=Row)


def difference(
    table: Table, before: Sequence[R], after: Sequence[R], says: Callable[[R, R], bool]
) -> list[Change]:
    """Return what turns the rows `before` into those `after`; closes come first.

    `says(new, old)` tells whether `new` says all that `old` said: then closing `old` narrows
    nothing.
    """
    closed = [row for row in before if row not in after]
    opened = [row for row in after if row not in before]
    return [
        *[Change(table, "close", old, not any(says(new, old) for new in opened)) for old in closed],
        *(Change(table, "open", new) for new in opened),
    ]


def spans(new: tuple[Instant, Instant | None], old: tuple[Instant, Instant | None]) -> bool:
    """Tell whether the half-open interval `new` holds all of `old`; an open end is None."""
    return new[0] <= old[0] and (new[1] is None or (old[1] is not None and old[1] <= new[1]))


def end(at: Instant | None) -> Instant | str:
    """Return an end as a row has it: an open one is infinity."""
    return "infinity" if at is None else at


def narrows(changes: Iterable[Change]) -> bool:
    """Tell whether one of the changes takes something away."""
    return any(change.narrows for change in changes)
