"""Where the rows of a file wait until their case is whole: a temporary database on disk."""

from __future__ import annotations

import sqlite3
from collections.abc import Generator, Iterable, Iterator, Mapping, Sequence
from itertools import groupby
from typing import Any, Final, NamedTuple

from api.importing.faults import Fault

PAGES_KIB: Final = 16 * 1024
"""Memory the temporary database may use; the rest of it lies in a file without a name, which the
system removes with the process, also after kill -9."""

WAITING: Final = 2_000
"""Rows gathered before they are written to the disk."""

_TABLES: Final = """
CREATE TABLE cases (no INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE, broken INTEGER NOT NULL
    DEFAULT 0);
CREATE TABLE steps (case_no INTEGER NOT NULL, at INTEGER NOT NULL, row INTEGER NOT NULL,
    line INTEGER NOT NULL, step TEXT NOT NULL, person TEXT NOT NULL, id TEXT, grantee TEXT NOT NULL,
    title TEXT NOT NULL, channel TEXT NOT NULL, scope TEXT NOT NULL,
    PRIMARY KEY (case_no, at, row)) WITHOUT ROWID;
CREATE TABLE faults (row INTEGER PRIMARY KEY, line INTEGER NOT NULL, place TEXT NOT NULL,
    code TEXT NOT NULL, case_name TEXT);
CREATE TABLE lost (row INTEGER PRIMARY KEY, line INTEGER NOT NULL, before INTEGER, after INTEGER,
    maybe_left TEXT, maybe_right TEXT);
CREATE TABLE people (name TEXT PRIMARY KEY, staff TEXT NOT NULL, person TEXT NOT NULL)
    WITHOUT ROWID;
CREATE TABLE customers (keyed_hash BLOB PRIMARY KEY, number TEXT NOT NULL, id TEXT NOT NULL,
    title TEXT NOT NULL, at INTEGER NOT NULL, row INTEGER NOT NULL,
    told INTEGER NOT NULL DEFAULT 0) WITHOUT ROWID;
CREATE TABLE numbers (number TEXT PRIMARY KEY) WITHOUT ROWID;
CREATE TABLE events (step TEXT PRIMARY KEY, event TEXT NOT NULL) WITHOUT ROWID;
"""

_INSERT: Final = "INSERT INTO steps VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
_STEPS: Final = """
SELECT c.no, c.name, s.at, s.row, s.line, s.step, e.event, s.grantee, s.title, s.channel, s.scope,
       p.staff, p.person
FROM cases c CROSS JOIN steps s ON s.case_no = c.no LEFT JOIN people p ON p.name = s.person
    LEFT JOIN events e ON e.step = s.step
WHERE c.broken = 0 ORDER BY s.case_no, s.at, s.row
"""
_SOUND: Final = "FROM steps s JOIN cases c ON c.no = s.case_no AND c.broken = 0"


class Step(NamedTuple):
    """A sound row: its instant in microseconds since 1970, and the templates filled from it.

    `event` is what the mapping says it is, None where it does not; `scope` is JSON; `staff` and
    `person` are the streams of who did it, None for nobody."""

    at: int
    row: int
    line: int
    step: str
    event: str | None
    grantee: str
    title: str
    channel: str
    scope: str
    staff: str | None
    person: str | None


class Case(NamedTuple):
    """A case with its steps in the order in which they happened, then of the file.

    `asked` is the step whose cells the templates are filled from: the first request, else the
    first."""

    name: str
    steps: Sequence[Step]
    asked: Step

    @property
    def first(self) -> Step:
        """The step that happened first."""
        return self.steps[0]


class Named(NamedTuple):
    """A person or a scope of the sound cases: first instant and row, and events they did."""

    name: str
    at: int
    row: int
    events: frozenset[str]


class Spool:
    """The temporary database; everything in it is gone when it is closed or the process ends."""

    def __init__(self, events: Mapping[str, str]) -> None:
        """`events`: what each step is; a step that is not there is a note."""
        self._db = sqlite3.connect("", isolation_level=None)
        self._db.execute(f"PRAGMA cache_size = -{PAGES_KIB}")
        self._db.execute("PRAGMA temp_store = FILE")
        self._db.execute("PRAGMA journal_mode = OFF")
        self._db.execute("PRAGMA synchronous = OFF")
        self._db.executescript(_TABLES)
        self._db.execute("BEGIN")
        self._db.executemany("INSERT INTO events VALUES (?, ?)", events.items())
        self._waiting: list[tuple[Any, ...]] = []
        self._last: tuple[str, int] = ("", 0)
        self._seen = 0
        self.grouped = True

    def close(self) -> None:
        self._db.close()

    def one(self, statement: str, *params: object) -> Any:
        """Return the first column of the one row."""
        return self._db.execute(statement, params).fetchone()[0]

    def run(self, statement: str, *params: object) -> int:
        """Execute a statement; return how many rows it changed."""
        return self._db.execute(statement, params).rowcount

    def case(self, name: str) -> int:
        """Return the number of a case, counted from 1 in the order of the file.

        `grouped` turns False when one is met again after another case's rows."""
        if name == self._last[0] and self._last[1]:
            return self._last[1]
        found = self._db.execute("SELECT no FROM cases WHERE name = ?", (name,)).fetchone()
        if found is None:
            self._seen += 1
            self._db.execute("INSERT INTO cases (no, name) VALUES (?, ?)", (self._seen, name))
            number = self._seen
        else:
            self.grouped = False
            number = int(found[0])
        self._last = (name, number)
        return number

    @property
    def last_case(self) -> int | None:
        """The case of the last row whose case could be told."""
        return self._last[1] or None

    def add(self, values: tuple[Any, ...]) -> None:
        """Keep a sound row: the columns of `steps`."""
        self._waiting.append(values)
        if len(self._waiting) >= WAITING:
            self.flush()

    def flush(self) -> None:
        """Write what waits."""
        self._db.executemany(_INSERT, self._waiting)
        self._waiting.clear()

    def refuse(self, fault: Fault) -> None:
        """Keep a refused row; its case, where it is told, is broken with it."""
        self._db.execute(
            "INSERT OR IGNORE INTO faults VALUES (?, ?, ?, ?, ?)",
            (fault.row, fault.line, fault.column, fault.code, fault.case),
        )
        if fault.case is not None:
            self.break_case(self.case(fault.case))

    def break_case(self, number: int) -> None:
        """Let nothing of a case be written."""
        self._db.execute("UPDATE cases SET broken = 1 WHERE no = ?", (number,))

    def faults(self) -> Iterator[Fault]:
        """Yield the refused rows in the order of the file."""
        for row in self._db.execute("SELECT * FROM faults ORDER BY row"):
            yield Fault(*row)

    def each(self, statement: str, *params: object) -> Generator[tuple[Any, ...]]:
        """Yield the rows of a query; close it where it is left before its end."""
        yield from self._db.execute(statement, params)

    def cases(self) -> Generator[Case]:
        """Yield the sound cases in the order of the file."""
        found: Iterable[tuple[Any, ...]] = self._db.execute(_STEPS)
        for (_, name), rows in groupby(found, key=lambda row: (row[0], row[1])):
            steps = [Step(*row[2:]) for row in rows]
            requests = (step for step in steps if step.event == "request")
            yield Case(name, steps, next(requests, steps[0]))

    def people(self) -> Generator[Named]:
        """Yield who did a step of a sound case, in the order of the file."""
        statement = (
            "SELECT s.person, min(s.at), min(s.row), group_concat(DISTINCT e.event)"
            f" {_SOUND} LEFT JOIN events e ON e.step = s.step WHERE s.person <> ''"
            " GROUP BY s.person ORDER BY min(s.row)"
        )
        for name, at, row, events in self._db.execute(statement):
            yield Named(name, at, row, frozenset((events or "").split(",")) - {""})

    def scopes(self) -> Iterator[Named]:
        """Yield the scopes of sound cases, in the order of the file."""
        statement = (
            f"SELECT s.scope, min(s.at), min(s.row) {_SOUND} GROUP BY s.scope ORDER BY min(s.row)"
        )
        for name, at, row in self._db.execute(statement):
            yield Named(name, at, row, frozenset())
