"""Following a log to its head, and what the read models must say then."""

from __future__ import annotations

import random
import time
from typing import Any
from uuid import UUID

import psycopg
from psycopg import sql

from api.provisioning import Database
from domain.ledger import Ledgers
from domain.streams import evolve
from projections import courses
from projections.models import FOLDS, SERIES_MODELS, STREAM_MODELS
from projections.runner import Runner
from tests.projections import facts
from tests.projections.facts import Record
from tests.projections.histories import World
from tests.support.ledger import submission

TABLES = (
    "grants", "customers", "policies", "staff", "hands", "person_merges", "history", "history_keys",
)  # fmt: skip
SCOPE = {"territory": ("CN/31",)}


def tell(ledgers: Ledgers, tenant: str, seed: int, number: int) -> None:
    """Record a random history."""
    world = World(random.Random(seed), facts.policy(ledgers, tenant), tenant)
    waiting = [
        ledgers.submit(submission(tenant, Record(facts=tuple(command))))
        for command in world.commands(number)
    ]
    for one in waiting:
        one.result()


def follow(runner: Runner, database: Database, tenant: str, seconds: float = 20) -> None:
    """Run pages until the tenant's read models have got to its head."""
    end = time.monotonic() + seconds
    while behind(database, tenant):
        runner.step()
        assert time.monotonic() < end, behind(database, tenant)


def behind(database: Database, tenant: str) -> list[tuple[Any, ...]]:
    with psycopg.connect(database.projector) as conn:
        return conn.execute(
            "SELECT projection, c.position, l.position FROM checkpoints c"
            " JOIN ledgers l USING (tenant_id)"
            " WHERE tenant_id = %s AND c.position < l.position AND projection = ANY (%s)",
            (tenant, list(FOLDS)),
        ).fetchall()


def rows(conn: psycopg.Connection[Any], tenant: str) -> dict[str, list[tuple[Any, ...]]]:
    """Everything in the read models of a tenant."""
    with conn.transaction():
        conn.execute("SELECT set_config('counterseal.tenant', %s, true)", (tenant,))
        return {
            table: conn.execute(f"SELECT * FROM {table} ORDER BY 1, 2, 3, 4, 5").fetchall()  # pyright: ignore[reportArgumentType]
            for table in TABLES
        }


def expected(ledgers: Ledgers, tenant: str) -> dict[str, dict[str, dict[str, Any]]]:
    """The rows of a fold from the first event to the last, by read model and stream."""
    states: dict[str, Any] = {}
    last: dict[str, Any] = {}
    for row in ledgers.events(tenant, 1, limit=10_000):
        recorded = ledgers.ledger(tenant).recorded(row)
        states[recorded.stream_id] = evolve(
            recorded.kind, states.get(recorded.stream_id), recorded.event
        )
        last[recorded.stream_id] = recorded
    found: dict[str, dict[str, dict[str, Any]]] = {model.name: {} for model in STREAM_MODELS}
    for model in STREAM_MODELS:
        for stream_id, recorded in last.items():
            if recorded.kind == model.kind:
                place = {"version": recorded.version, "position": recorded.position}
                found[model.name][stream_id] = place | model.row(states[stream_id])
    return found


def assert_equal_to_fold(conn: psycopg.Connection[Any], ledgers: Ledgers, tenant: str) -> None:
    with conn.transaction():
        conn.execute("SELECT set_config('counterseal.tenant', %s, true)", (tenant,))
        for model in STREAM_MODELS:
            columns = [model.key, "version", "position", *model.columns]
            statement = sql.SQL("SELECT {} FROM {}").format(
                sql.SQL(", ").join(map(sql.Identifier, columns)), sql.Identifier(model.name)
            )
            stored = conn.execute(statement).fetchall()
            live = {str(one[0]): dict(zip(columns[1:], one[1:], strict=True)) for one in stored}
            told = expected(ledgers, tenant)[model.name]
            assert live.keys() == told.keys()
            for stream_id, row in told.items():
                assert {name: _plain(one) for name, one in live[stream_id].items()} == {
                    name: _plain(one) for name, one in row.items()
                }
    assert_series_equal_to_fold(conn, ledgers, tenant)


def assert_series_equal_to_fold(
    conn: psycopg.Connection[Any], ledgers: Ledgers, tenant: str
) -> None:
    """Compare the rows of what has several a stream."""
    states: dict[str, Any] = {}
    known: dict[str, courses.Course] = {}
    kinds: dict[str, str] = {}
    for row in ledgers.events(tenant, 1, limit=10_000):
        recorded = ledgers.ledger(tenant).recorded(row)
        stream = recorded.stream_id
        kinds[stream] = recorded.kind
        states[stream] = evolve(recorded.kind, states.get(stream), recorded.event)
        before = known.get(stream, courses.Course())
        known[stream] = courses.step(before, recorded.event, states[stream])
    with conn.transaction():
        conn.execute("SELECT set_config('counterseal.tenant', %s, true)", (tenant,))
        for model in SERIES_MODELS:
            columns = ["stream_id", "item", *(name for name in model.columns if name != "spans")]
            shown = [
                sql.SQL("nullif({}, 'infinity')" if kind == "timestamptz" else "{}").format(
                    sql.Identifier(name)
                )
                for name, kind in ((name, model.columns.get(name)) for name in columns)
            ]
            statement = sql.SQL("SELECT {} FROM {}").format(
                sql.SQL(", ").join(shown), sql.Identifier(model.name)
            )
            live = [(str(one[0]), *one[1:]) for one in conn.execute(statement).fetchall()]
            told = [
                (stream, *(None if row[name] == "infinity" else row[name] for name in columns[1:]))
                for stream, kind in kinds.items()
                if kind in model.kinds
                for row in model.rows(stream, known[stream], states[stream])
            ]
            assert sorted(live, key=lambda one: one[:2]) == sorted(told, key=lambda one: one[:2])


def _plain(value: Any) -> Any:
    """Lists and tuples alike, and ids as texts."""
    match value:
        case UUID():
            return str(value)
        case list() | tuple():
            return [_plain(one) for one in value]  # pyright: ignore[reportUnknownVariableType]
        case dict():
            return {name: _plain(one) for name, one in value.items()}  # pyright: ignore[reportUnknownVariableType]
        case _:
            return value
