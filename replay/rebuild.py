"""Builds every read model once more from the log, beside the live one, while commands go on; then
swaps them.

Three parts: the streams folded up to where the log stood (`rebuild_bulk`, several workers), what
was written meanwhile (`rebuild_tail`), a comparison with what is live (`rebuild_diff`) and the swap
under the head row's lock. Each step is a transaction that leaves either nothing or all of itself
and the word that it is done: a run that is killed is taken up by the next one.
"""

from __future__ import annotations

import multiprocessing
import os
import time
from collections.abc import Callable, Collection, Mapping
from concurrent.futures import Future, ProcessPoolExecutor, wait
from typing import Final, Literal, NamedTuple

import psycopg

from domain.ledger import MEMORY_BOUND_S
from projections.store import Quarantine
from replay.rebuild_bulk import do_ranges, progress, work
from replay.rebuild_diff import Difference, differences
from replay.rebuild_plan import (
    FOLDS,
    RANGE_EVENTS,
    Conn,
    Plan,
    RebuildRefused,
    acting,
    alone,
    connect,
    plan,
)
from replay.rebuild_tail import LAST, Tail

__all__ = ["FOLDS", "Difference", "Progress", "RebuildRefused", "Rebuilt", "rebuild"]

POLL_S: Final = 0.25
LOCK_SECONDS: Final = 10
"""How long the swap waits for the head row before it lets others go first."""

SWAPS: Final = 100
"""How often the swap is tried, with pages between, before the log is said to grow too fast."""

Phase = Literal["fold", "follow", "compare", "swap"]


class Progress(NamedTuple):
    """How far a rebuild is: events done of those to be done in this phase."""

    phase: Phase
    done: int
    total: int


class Rebuilt(NamedTuple):
    """What came of a rebuild.

    `position` is where the log stood at the swap, None where there was none, because of
    `differences` under one fold version or of `faults`: streams that could be folded before and
    cannot now. `generations`: read model -> its new number. `seconds` without the comparison.
    """

    position: int | None
    generations: Mapping[str, int]
    events: int
    seconds: float
    resumed: bool
    differences: tuple[Difference, ...]
    faults: tuple[Quarantine, ...]


def rebuild(
    url: str,
    tenant: str,
    names: Collection[str] | None = None,
    *,
    workers: int = 1,
    accept: bool = False,
    told: Callable[[Progress], None] = lambda _: None,
    folds: Mapping[str, int] = FOLDS,
    range_events: int = RANGE_EVENTS,
) -> Rebuilt:
    """Rebuild read models of a tenant (None: all of them) and make them live.

    `url` is the operator's. `workers` processes fold; with one, this one does. `accept`: swap also
    where rows differ that should be equal. `told` is called now and then.

    Raises `RebuildRefused` (`rebuild.running`, `rebuild.unknown_model`, `rebuild.unknown_tenant`,
    `rebuild.behind`), `NewerEvent`, `psycopg.Error`. Whatever it raises, the next run takes up what
    was done.
    """
    begun = time.monotonic()
    with connect(url) as conn, alone(conn, tenant):
        chosen = plan(conn, tenant, list(folds) if names is None else names, folds, range_events)
        _fold(conn, url, chosen, workers, told)
        tail = Tail(conn, chosen)
        _follow(tail, told)
        spent = time.monotonic() - begun
        told(Progress("compare", 0, 1))
        found = tuple(differences(conn, chosen))
        faults = _faults(conn, chosen)
        begun = time.monotonic()
        position = None
        if accept or not (faults or any(one.same_fold for one in found)):
            position = _swap(conn, tail, told)
    if position is not None:
        # Another process may still answer checks from what it remembers of the old generation.
        time.sleep(MEMORY_BOUND_S)
    numbers = {name: generation for name, (generation, _) in chosen.models.items()}
    spent += time.monotonic() - begun
    return Rebuilt(position, numbers, chosen.base, spent, chosen.resumed, found, faults)


def _fold(
    conn: Conn, url: str, chosen: Plan, workers: int, told: Callable[[Progress], None]
) -> None:
    """Have all ranges done."""
    done, left = progress(conn, chosen)
    if workers <= 1 or left <= 1:

        def tell(more: int) -> bool:
            told(Progress("fold", done + more, chosen.base))
            return True

        do_ranges(conn, chosen, tell)
        return
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(min(workers, left), mp_context=context) as pool:
        running: list[Future[int]] = [
            pool.submit(work, url, chosen, os.getpid()) for _ in range(min(workers, left))
        ]
        while wait(running, POLL_S).not_done:
            told(Progress("fold", progress(conn, chosen)[0], chosen.base))
        for one in running:
            one.result()
    told(Progress("fold", chosen.base, chosen.base))


def _follow(tail: Tail, told: Callable[[Progress], None]) -> None:
    """Apply what was written meanwhile, until little is left."""
    done = 0
    while True:
        left = tail.left()
        told(Progress("follow", done, done + left))
        if left <= LAST:
            return
        done += tail.step()


def _swap(conn: Conn, tail: Tail, told: Callable[[Progress], None]) -> int:
    for number in range(SWAPS):
        told(Progress("swap", number, SWAPS))
        conn.execute("SELECT set_config('lock_timeout', %s, false)", (f"{LOCK_SECONDS}s",))
        try:
            position = tail.swap()
        except (psycopg.errors.LockNotAvailable, psycopg.errors.DeadlockDetected):
            position = None
        if position is not None:
            return position
        _follow(tail, told)
    raise RebuildRefused("rebuild.behind")


def _faults(conn: Conn, chosen: Plan) -> tuple[Quarantine, ...]:
    """Return the streams that could be folded before and cannot now."""
    with acting(conn, chosen.tenant):
        rows = conn.execute(
            "SELECT f.stream_id::text, f.position, f.projection, f.code FROM rebuild_faults f"
            " LEFT JOIN quarantined q USING (tenant_id, stream_id)"
            " WHERE f.tenant_id = %s AND f.rebuild_id = %s"
            " AND (q.stream_id IS NULL OR q.code = 'table.differs' OR q.position > f.position)"
            " ORDER BY f.position",
            (chosen.tenant, chosen.rebuild),
        ).fetchall()
    return tuple(Quarantine(*row) for row in rows)
