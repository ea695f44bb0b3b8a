"""A read model of one row a stream: its table, its columns, and how a state becomes a row."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

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
