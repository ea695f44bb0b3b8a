"""Every question to history touches a bounded number of rows, however long the history is."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest

from api.provisioning import Database
from projections.history_asked import asked, filter_of
from projections.history_names import names
from projections.history_reading import STEPS, around, find
from projections.queries import Page
from tests.projections.conftest import FOLDS
from tests.projections.filling import fill
from tests.support import cluster
from tests.support.ledger import make_tenant
from tests.support.owner import superuser

# With `--full` millions of rows are put there first.
pytestmark = [pytest.mark.drill, pytest.mark.timeout(1200)]

Conn = psycopg.Connection[Any]

GRANTS = 1_000
EACH = 8
"""Events of a grant."""
STAFF = 50
TABLES = ("events", "history", "history_keys", "grants", "customers", "staff", "aliases", "points")

# Event i of grant g, both from 0: a second apart. Every one says "tea"; even ones "even", odd ones
# "odd", and one in a thousand "rare". Two texts of Chinese have the words of a phrase, and only one
# of them has the phrase.
_EVENT = "SELECT i, i / {each} AS g, '2020-01-01Z'::timestamptz + i * interval '1 s' AS at"
_FILL = (
    (
        "CREATE TEMPORARY TABLE told AS SELECT e.*, 'staff:' || to_id(g % {staff}) AS actor,"
        " to_id(1000000 + g) AS grant_id, to_id(2000000 + g / 10) AS customer,"
        " (ARRAY['requested', 'checked', 'verified', 'stage_approved', 'approved', 'signed',"
        " 'activated', 'noted'])[1 + i % {each}] AS kind,"
        " ARRAY['tea', CASE i % 2 WHEN 0 THEN 'even' ELSE 'odd' END]"
        " || CASE WHEN i % 1000 = 0 THEN ARRAY['rare'] ELSE '{{}}' END"
        " || CASE WHEN i % 4 < 2 THEN ARRAY['上海', '海茶'] ELSE '{{}}' END AS words,"
        " CASE WHEN i % 4 = 0 THEN '上海茶' ELSE '海茶上海' END AS said"
        " FROM ({event} FROM generate_series(0, {number} - 1) i) e"
    ),
    (
        "INSERT INTO history SELECT '{tenant}', 1, i + 1, at, at, 'grant', grant_id,"
        " 1 + i % {each}, 'grant.' || kind || '.1', actor, NULL, '{{}}', ARRAY[customer::text],"
        " grant_id, 'case', NULL, to_id(3000000 + i / 2), NULL, false, said FROM told"
    ),
    (
        "INSERT INTO events SELECT '{tenant}', i + 1, grant_id, 1 + i % {each},"
        " 'grant.' || kind || '.1', at, actor, NULL, to_id(3000000 + i / 2), NULL, '{{}}' FROM told"
    ),
    (
        "INSERT INTO history_keys SELECT '{tenant}', 1, k.key, at, i + 1 FROM told,"
        " unnest(ARRAY['a:' || actor, 'c:' || customer, 'g:' || grant_id, 't:grant.' || kind]"
        " || (SELECT array_agg('w:' || w) FROM unnest(words) w)) AS k(key)"
    ),
    "UPDATE ledgers SET position = {number} WHERE tenant_id = '{tenant}'",
)


@pytest.fixture(scope="module", params=["no statistics", "statistics"])
def filled(
    run_directory: Path, rounds: Callable[[int, int], int], request: pytest.FixtureRequest
) -> Iterator[tuple[Database, str, int]]:
    """A database with one tenant's long history, known to the planner or not; its grants' number.

    100,000 grants, 800,000 events, with `--full`.
    """
    made = cluster.new_database(run_directory)
    tenant = make_tenant(made, FOLDS)
    grants = rounds(GRANTS, 100_000)
    given = {"tenant": tenant, "number": grants * EACH, "each": EACH, "staff": STAFF}
    with superuser(made) as conn:
        fill(conn, tenant)
        for table in TABLES:
            conn.execute(f"ALTER TABLE {table} SET (autovacuum_enabled = off)")  # pyright: ignore[reportArgumentType]
        for statement in _FILL:
            text = statement.format(**given, event=_EVENT.format(each=EACH))
            conn.execute(text)  # pyright: ignore[reportCallIssue, reportArgumentType]
        if request.param == "statistics":
            conn.execute("ANALYZE")
    yield made, tenant, grants
    assert made.admin is not None
    cluster.drop(made.admin, made.name)


@pytest.fixture
def conn(filled: tuple[Database, str, int]) -> Iterator[Conn]:
    with psycopg.connect(filled[0].service, autocommit=True) as opened:
        yield opened


def touched(conn: Conn, ask: Callable[[], object]) -> tuple[int, int]:
    """(sequential scans of the large tables, rows read) of one question."""
    with conn.transaction(force_rollback=True):
        before = _counts(conn)
        ask()
        after = _counts(conn)
    return after[0] - before[0], after[1] - before[1]


def _counts(conn: Conn) -> tuple[int, int]:
    row = conn.execute(
        "SELECT coalesce(sum(seq_scan) FILTER (WHERE relname = ANY (%s)), 0)::bigint,"
        " coalesce(sum(seq_tup_read + coalesce(idx_tup_fetch, 0)), 0)::bigint"
        " FROM pg_stat_xact_user_tables",
        (list(TABLES),),
    ).fetchone()
    assert row is not None
    return row


def uuid(number: int) -> str:
    return f"00000000-0000-7000-8000-{number:012x}"


QUESTIONS = {
    "everything": "",
    "an actor": f"actor:staff:{uuid(7)}",
    "a customer": f"customer:{uuid(2_000_003)}",
    "a grant": f"grant:{uuid(1_000_500)}",
    "a type": "type:grant.approved",
    "every type": "type:grant",
    "since": "since:2020-01-01T01:00:00Z",
    "until": "until:2020-01-01T01:00:00Z",
    "a span": "since:2020-01-01T00:30:00Z until:2020-01-01T01:00:00Z",
    "a common word": "tea",
    "common words": "tea even",
    "a rare word among common ones": "tea even rare",
    "an actor and a type": f"actor:staff:{uuid(7)} type:grant.signed",
    "an actor and a word": f"actor:staff:{uuid(7)} odd type:grant.signed",
    "a phrase of chinese": "上海茶",
    "much at once": f"actor:staff:{uuid(0)} type:grant tea even since:2020-01-01",
}


def ask(conn: Conn, tenant: str, question: str, **more: Any) -> Page:
    wanted = filter_of(conn, tenant, asked(question))
    return find(conn, tenant, wanted=wanted, limit=10, **more)


@pytest.mark.parametrize("order", ["newest", "oldest"])
@pytest.mark.parametrize("question", QUESTIONS)
def test_a_page_touches_as_many_rows_as_it_shows(
    conn: Conn, filled: tuple[Database, str, int], question: str, order: str
) -> None:
    tenant = filled[1]
    pages: list[Page] = []
    scans, rows = touched(
        conn, lambda: pages.append(ask(conn, tenant, QUESTIONS[question], order=order))
    )
    assert len(pages[0].items) >= 8  # a grant has no more, the rare word hardly more
    assert scans == 0
    assert rows <= 700
    if pages[0].last is not None:
        after = pages[0].last
        scans, rows = touched(
            conn, lambda: ask(conn, tenant, QUESTIONS[question], order=order, after=after)
        )
        assert scans == 0
        assert rows <= 700


def test_words_that_never_meet_cost_no_more_than_the_steps_of_a_page(
    conn: Conn, filled: tuple[Database, str, int]
) -> None:
    _, tenant, grants = filled
    pages: list[Page] = []
    scans, rows = touched(conn, lambda: pages.append(ask(conn, tenant, "even odd")))
    assert scans == 0
    assert rows <= 2 * STEPS + 100
    assert pages[0].items == []
    assert (pages[0].last is not None) == (grants * EACH > STEPS)
    scans, rows = touched(conn, lambda: ask(conn, tenant, "even odd", steps=100))
    assert scans == 0
    assert rows <= 250


def test_what_is_around_an_event_is_found_from_the_event(
    conn: Conn, filled: tuple[Database, str, int]
) -> None:
    _, tenant, grants = filled
    for position in (1, grants * EACH // 2, grants * EACH):
        scans, rows = touched(conn, lambda at=position: around(conn, tenant, at))
        assert scans == 0
        assert rows <= 400


def test_names_are_probed_one_by_one(conn: Conn, filled: tuple[Database, str, int]) -> None:
    _, tenant, _ = filled
    ids = [uuid(number) for number in range(100)]
    scans, rows = touched(
        conn, lambda: names(conn, tenant, ids, [("territory", f"CN/{n}") for n in range(20)])
    )
    assert scans == 0
    assert rows <= 600
