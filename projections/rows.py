"""A read model of a row a stream, or several: its table, its columns, how a state becomes them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from projections.courses import Course

Columns = Mapping[str, str]
"""Column -> its type in the database."""


class StreamModel(NamedTuple):
    """`row` is pure: state -> column values, JSON-able; the runner adds id, version, position,
    recorded_at.

    `fold` is the fold version: raised whenever the rows of the same events would be others. `kind`
    is the stream kind; `key` the column of the stream's id.
    """

    name: str
    fold: int
    kind: str
    key: str
    columns: Columns
    row: Callable[[Any], dict[str, Any]]


class SeriesModel(NamedTuple):
    """Several rows a stream, or none. `rows` is pure: a stream's id, course and state -> rows,
    JSON-able, each with an `item` unique in the stream; the runner adds the stream's id.

    `kinds` are the stream kinds it looks at.
    """

    name: str
    fold: int
    kinds: frozenset[str]
    columns: Columns
    rows: Callable[[str, Course, Any], list[dict[str, Any]]]
