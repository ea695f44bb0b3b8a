"""What a question costs the database: blocks looked at and rows touched, by relation."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable
from contextlib import ExitStack
from typing import Any, Final, NamedTuple

import psycopg
from psycopg_pool import ConnectionPool

BACK_S: Final = 0.002

_FLUSH = "SELECT pg_stat_force_next_flush()"
_COUNTS = (
    "SELECT s.relname, b.heap_blks_hit + b.heap_blks_read"
    " + coalesce(b.idx_blks_hit + b.idx_blks_read, 0)"
    " + coalesce(b.toast_blks_hit + b.toast_blks_read, 0)"
    " + coalesce(b.tidx_blks_hit + b.tidx_blks_read, 0),"
    " s.seq_tup_read + s.n_tup_ins + s.n_tup_upd + s.n_tup_del"
    " + coalesce((SELECT sum(i.idx_tup_read) FROM pg_stat_user_indexes i"
    " WHERE i.relid = s.relid), 0)::bigint"
    " FROM pg_stat_user_tables s JOIN pg_statio_user_tables b USING (relid)"
)


class Cost(NamedTuple):
    """Of one question, in the mean: blocks of tables and indexes hit or read, and rows read along
    an index or a table, or written; `where`: the blocks by table.
    """

    buffers: float
    rows: float
    where: dict[str, float]


class Meter:
    """Counts what some connections make the server do; nobody else may be at work on it."""

    def __init__(
        self,
        observer: psycopg.Connection[Any],
        working: psycopg.Connection[Any],
        pool: ConnectionPool[Any],
    ) -> None:
        """`working` and those of the pool are the connections that work."""
        self._observer = observer
        self._working = working
        self._pool = pool

    def cost(self, ask: Callable[[], object], warm_up: int, times: int) -> Cost:
        """Ask so often to have every plan made that a connection keeps, then count."""
        for _ in range(warm_up):
            ask()
        before = self._counts()
        for _ in range(times):
            ask()
        after = self._counts()
        buffers, rows = Counter[str](), Counter[str]()
        for name, (blocks, touched) in after.items():
            buffers[name] = blocks - before.get(name, (0, 0))[0]
            rows[name] = touched - before.get(name, (0, 0))[1]
        where = {name: number / times for name, number in buffers.most_common() if number}
        return Cost(buffers.total() / times, rows.total() / times, where)

    def _counts(self) -> dict[str, tuple[int, int]]:
        """Have every connection hand in what it did, also those of the pool's overflow."""
        self._working.execute(_FLUSH)
        while self._pool.get_stats()["pool_available"] < self._pool.get_stats()["pool_size"]:
            time.sleep(BACK_S)  # one is still on its way back
        with ExitStack() as taken:
            for _ in range(self._pool.get_stats()["pool_size"]):
                taken.enter_context(self._pool.connection()).execute(_FLUSH)
        found = self._observer.execute(_COUNTS).fetchall()
        return {name: (blocks, rows) for name, blocks, rows in found}
