"""Where the rows of a register wait until all of them are known: a temporary database on disk."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Generator, Iterable, Sequence
from typing import Any, Final, NamedTuple

from api.importing.register_faults import Problem
from api.importing.spool import PAGES_KIB, WAITING

_TABLES: Final = """
CREATE TABLE rows (row INTEGER PRIMARY KEY, form TEXT, ident TEXT, name TEXT, compared TEXT,
    scope TEXT, starts INTEGER, ends INTEGER, number TEXT, counted TEXT, contact TEXT NOT NULL,
    phone TEXT NOT NULL, state TEXT NOT NULL DEFAULT 'sound');
CREATE TABLE problems (row INTEGER NOT NULL, place INTEGER NOT NULL, code TEXT NOT NULL,
    params TEXT NOT NULL, PRIMARY KEY (row, place, code)) WITHOUT ROWID;
CREATE TABLE customers (ident TEXT PRIMARY KEY, row INTEGER NOT NULL, starts INTEGER NOT NULL,
    looked INTEGER NOT NULL DEFAULT 0, told INTEGER NOT NULL DEFAULT 0)
    WITHOUT ROWID;
CREATE TABLE present (key TEXT PRIMARY KEY) WITHOUT ROWID;
CREATE TABLE changed (row INTEGER PRIMARY KEY, key TEXT NOT NULL);
CREATE TABLE numbers (number TEXT PRIMARY KEY) WITHOUT ROWID;
"""

_INSERT: Final = (
    "INSERT INTO rows (row, form, ident, name, compared, scope, starts, ends, number, counted,"
    " contact, phone) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
)
_READ: Final = (
    "SELECT row, form, ident, name, compared, scope, starts, ends, number, contact, phone, state"
    " FROM rows"
)


class Entry(NamedTuple):
    """A row as far as it could be read: what could not, and a number that is not there, is None.

    `ident` is the USCC or the identity card number, `compared` the name as names are compared,
    `scope` JSON in normal form, `starts` and `ends` microseconds since 1970. `state`: `sound`,
    `refused`, or `present` by an earlier run."""

    row: int
    form: str | None
    ident: str | None
    name: str | None
    compared: str | None
    scope: str | None
    starts: int | None
    ends: int | None
    number: str | None
    contact: str
    phone: str
    state: str = "sound"


def nothing(row: int) -> Entry:
    """Return a row of which nothing could be read."""
    return Entry(row, None, None, None, None, None, None, None, None, "", "")


class RegisterSpool:
    """The temporary database; everything in it is gone when it is closed or the process ends."""

    def __init__(self) -> None:
        self._db = sqlite3.connect("", isolation_level=None)
        self._db.execute(f"PRAGMA cache_size = -{PAGES_KIB}")
        self._db.execute("PRAGMA temp_store = FILE")
        self._db.execute("PRAGMA journal_mode = OFF")
        self._db.execute("PRAGMA synchronous = OFF")
        self._db.executescript(_TABLES)
        self._db.execute("BEGIN")
        self._waiting: list[tuple[Any, ...]] = []

    def close(self) -> None:
        self._db.close()

    def one(self, statement: str, *params: object) -> Any:
        """Return the first column of the one row."""
        return self._db.execute(statement, params).fetchone()[0]

    def run(self, statement: str, *params: object) -> int:
        """Execute a statement; return how many rows it changed."""
        return self._db.execute(statement, params).rowcount

    def many(self, statement: str, rows: Iterable[Sequence[object]]) -> None:
        """Execute a statement for each row of parameters."""
        self._db.executemany(statement, rows)

    def each(self, statement: str, *params: object) -> Generator[tuple[Any, ...]]:
        """Yield the rows of a query; close it where it is left before its end."""
        yield from self._db.execute(statement, params)

    def add(self, entry: Entry, counted: str | None) -> None:
        """Keep a row; `counted` is its number as numbers are compared."""
        self._waiting.append((*entry[:9], counted, entry.contact, entry.phone))
        if len(self._waiting) >= WAITING:
            self.flush()

    def flush(self) -> None:
        """Write what waits."""
        self._db.executemany(_INSERT, self._waiting)
        self._waiting.clear()

    def entries(self, where: str, *params: object) -> Generator[Entry]:
        """Yield rows; `where` is what stands behind FROM."""
        for found in self._db.execute(f"{_READ} {where}", params):
            yield Entry(*found)

    def refuse(self, problem: Problem) -> None:
        """Keep a problem; its row is refused by the next `judge`."""
        params = json.dumps(dict(problem.params), ensure_ascii=False)
        self._db.execute(
            "INSERT OR IGNORE INTO problems VALUES (?, ?, ?, ?)", (*problem[:3], params)
        )

    def judge(self) -> None:
        """Let every row that has a problem be refused."""
        self.flush()
        self._db.execute(
            "UPDATE rows SET state = 'refused' WHERE row IN (SELECT row FROM problems)"
        )

    def problems(self) -> Generator[Problem]:
        """Yield the problems in the order of the file."""
        for row, place, code, params in self._db.execute("SELECT * FROM problems"):
            yield Problem(row, place, code, json.loads(params))
