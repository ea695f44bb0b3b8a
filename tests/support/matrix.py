"""A matrix command × state: rows and states made here, expectations read from hand-written data."""

from __future__ import annotations

import tomllib
from collections.abc import Callable, Mapping
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

from domain.events.common import Event
from domain.values import Evidence, Party, Reason
from domain.view import Command
from tests.support.given import Fact, World, given

DATA = Path(__file__).parent.parent / "domain" / "matrix"

Cells = dict[tuple[str, str], str]
"""(row, state) -> the state afterwards, `no-op`, or the code of a refusal."""


class Row(NamedTuple):
    """A command as someone asks it; `before` happened in the stream first, where it can."""

    command: Command
    by: str | Party
    before: tuple[Event, ...] = ()
    reason: Reason | None = None
    evidence: tuple[Evidence, ...] = ()


class Matrix(NamedTuple):
    """All rows and states of one stream.

    `closed` are the states in which nothing more can have happened before. `state_of` names the
    state of the stream in a world, after the row's command.
    """

    name: str
    kind: str
    stream_id: str
    states: Mapping[str, tuple[Fact, ...]]
    rows: Mapping[str, Row]
    state_of: Callable[[World, Command], str]
    closed: frozenset[str] = frozenset({"none"})


def expected(matrix: Matrix) -> Cells:
    """Return what the cells say, from the hand-written file."""
    return _read(matrix.name)


@cache
def _read(name: str) -> Cells:
    data: dict[str, dict[str, str]] = tomllib.loads((DATA / f"{name}.toml").read_text())
    return {(row, state): cell for row, cells in data.items() for state, cell in cells.items()}


def actual(matrix: Matrix) -> Cells:
    """Run every command in every state."""
    return {(row, state): run(matrix, row, state) for row in matrix.rows for state in matrix.states}


def run(matrix: Matrix, row: str, state: str) -> str:
    """Return one cell; what is neither decided nor refused shows as the name of what was raised."""
    asked = matrix.rows[row]
    world = given(*matrix.states[state])
    if state not in matrix.closed:
        world.happened(matrix.kind, matrix.stream_id, asked.before)
    try:
        outcome = world.when(asked.command, asked.by, reason=asked.reason, evidence=asked.evidence)
    except Exception as error:  # noqa: BLE001 - with a guard taken away anything may come out
        return type(error).__name__
    if outcome.refused is not None:
        return outcome.refused.code
    return matrix.state_of(outcome.world, asked.command) if outcome.events else "no-op"


def red(matrix: Matrix) -> set[tuple[str, str]]:
    """Return the cells in which what happens is not what is written."""
    wanted, found = expected(matrix), actual(matrix)
    return {cell for cell in wanted.keys() | found.keys() if wanted.get(cell) != found.get(cell)}


def commands_of(matrix: Matrix) -> set[type[Any]]:
    return {type(row.command) for row in matrix.rows.values()}
