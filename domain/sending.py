"""One statement sent over a connection without waiting for its answer: whoever sent it goes on
working and looks in between whether the answer is there.
"""

from __future__ import annotations

from collections.abc import Generator, Sequence
from select import POLLIN, POLLOUT
from typing import TYPE_CHECKING, Any
from weakref import WeakSet

from psycopg.adapt import Transformer
from psycopg.errors import InvalidSqlStatementName, error_from_result
from psycopg.pq import ExecStatus

from domain.wire import Sent

if TYPE_CHECKING:
    from psycopg import Connection
    from psycopg.pq.abc import PGconn, PGresult

_NAME = b"counterseal_append"
_BINARY = 1

_prepared: WeakSet[Connection[Any]] = WeakSet()
"""Connections that know the statement."""

Waiting = Generator[int, None, tuple[Any, ...]]
"""Yields the poll mask it waits for; returns the one row of the answer."""


def exchange(conn: Connection[Any], statement: bytes, given: Sequence[Sent]) -> Waiting:
    """Send a statement that gives one row, prepared once a connection; `statement` is always the
    same.

    Raises psycopg's errors. Closed before its end it leaves the connection unusable; the pool
    throws it away.
    """
    if conn in _prepared:
        try:
            return (yield from _executed(conn, given))
        except InvalidSqlStatementName:
            # psycopg gives up every statement of a connection when a transaction on it is rolled
            # back. Nothing was run: prepared again, it is sent again.
            _prepared.discard(conn)
    conn.pgconn.send_prepare(_NAME, statement, [one.oid for one in given])
    yield from _answer(conn.pgconn)
    _prepared.add(conn)
    return (yield from _executed(conn, given))


def _executed(conn: Connection[Any], given: Sequence[Sent]) -> Waiting:
    formats = [_BINARY] * len(given)
    conn.pgconn.send_query_prepared(_NAME, [one.data for one in given], formats, _BINARY)
    result = yield from _answer(conn.pgconn)
    row = Transformer(conn)
    row.set_pgresult(result)
    return row.load_row(0, tuple)


def _answer(link: PGconn) -> Generator[int, None, PGresult]:
    while link.flush():
        yield POLLIN | POLLOUT
        link.consume_input()
    found: list[PGresult] = []
    while True:
        while link.is_busy():
            yield POLLIN
            link.consume_input()
        result = link.get_result()
        if result is None:
            break
        found.append(result)
    result = found[-1]
    if result.status not in (ExecStatus.COMMAND_OK, ExecStatus.TUPLES_OK):
        raise error_from_result(result)
    return result
