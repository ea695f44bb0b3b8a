"""Guards taken away, for controls: in a process, or out of a database of the drill's own."""

from __future__ import annotations

from collections.abc import Callable, Generator, Mapping, Sequence
from concurrent.futures import Future
from contextlib import contextmanager
from typing import Any

from api.provisioning import Database
from domain.flight import Flight
from domain.ledger import Outcome, Submission, Waiting
from domain.view import Loaded
from domain.writer import Writer
from tests.support.owner import superuser

# --- in a process ---------------------------------------------------------------------------------


def _without_overlay() -> None:
    """Let commands of one batch be decided as if the earlier ones of it were not there."""
    original = Flight._load  # pyright: ignore[reportPrivateUsage]

    def load(self: Any, kind: str, stream_id: str) -> Loaded:
        laid, self._overlay = self._overlay, {}
        try:
            return original(self, kind, stream_id)
        finally:
            self._overlay = laid

    Flight._load = load  # pyright: ignore[reportPrivateUsage]


def _without_waiting() -> None:
    """Let a command be answered when it is accepted, before it is committed."""
    original = Writer.hand_over

    def hand_over(self: Writer, together: Sequence[tuple[Submission, Waiting]]) -> None:
        original(self, [(submission, Future[Outcome]()) for submission, _ in together])
        for _, waiting in together:
            waiting.set_result(Outcome("done", (), 0, 0, None, narrowing=False, acknowledge_at=0.0))

    Writer.hand_over = hand_over


PROCESS: Mapping[str, Callable[[], None]] = {
    "overlay": _without_overlay,
    "waiting": _without_waiting,
}
"""By name; taken away for as long as the process lives."""


# --- in a database --------------------------------------------------------------------------------

READS = (
    # the versions a decision rested on are not compared ...
    (
        "IF cur[r_stream[j]] <> r_version[j] OR made[r_stream[j]] <> r_by[j] THEN",
        "IF false THEN",
    ),
    # ... and an event takes the next number there is, as a log without versions would give it
    (
        "IF e_version[j] <> cur[e_stream[j]] + 1 THEN",
        "e_version[j] := cur[e_stream[j]] + 1;\n                    IF false THEN",
    ),
)


@contextmanager
def without_durability(database: Database) -> Generator[None]:
    """Let a commit be told before it is on disk, in sessions begun meanwhile."""
    role = "ALTER ROLE counterseal_service"
    with superuser(database) as conn:
        conn.execute(f"{role} SET synchronous_commit = off".encode())
    yield
    with superuser(database) as conn:
        conn.execute(f"{role} RESET synchronous_commit".encode())


_KEYS_FROM = "    SELECT array_agg(g), array_agg(c.first_position)"
_KEYS_TO = ";\n"
_LOCK = "    -- (1) The one lock."


def take_off_reads(database: Database) -> None:
    """Let `append` write whatever was decided, on whatever it was decided."""
    _rewrite(database, READS)


def take_off_keys(database: Database) -> None:
    """Let `append` look for a key before it waits for the lock, as check-then-insert does."""
    text = _source(database)
    begin = text.index(_KEYS_FROM)
    end = text.index(_KEYS_TO, begin) + len(_KEYS_TO)
    look = text[begin:end]
    _rewrite(
        database,
        (
            (look, ""),
            (_LOCK, look + _LOCK),
            ("IF v_twice AND v_state = 'o' AND c_key[i] IS NOT NULL THEN", "IF false THEN"),
            ("AND (v_plain OR ok[g]);", "AND (v_plain OR ok[g]) ON CONFLICT DO NOTHING;"),
        ),
    )


def _source(database: Database) -> str:
    with superuser(database) as conn:
        row = conn.execute(
            "SELECT pg_get_functiondef(oid) FROM pg_proc WHERE proname = 'append'"
        ).fetchone()
    assert row is not None
    return row[0]


def _rewrite(database: Database, changes: Sequence[tuple[str, str]]) -> None:
    text = _source(database)
    for old, new in changes:
        assert text.count(old) == 1, f"append has not exactly one {old!r}"
        text = text.replace(old, new)
    with superuser(database) as conn:
        conn.execute(text.encode())
