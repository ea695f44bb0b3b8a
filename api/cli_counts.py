"""How much there is of what in a tenant, as the doctor counts it: events, states, open cases."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from api.cli_places import Tenant
from api.cli_shown import line, table
from api.cli_texts import say, word

if TYPE_CHECKING:
    import psycopg

QUESTIONS: Final = {
    "grants": "SELECT status, count(*) FROM grants"
    " WHERE tenant_id = %(tenant)s AND generation = (SELECT chosen('grants'))",
    "cases": "SELECT kind, count(*) FROM cases"
    " WHERE tenant_id = %(tenant)s AND generation = (SELECT chosen('cases')) AND closed_at IS NULL"
    " AND kind <> 'request'",
    "tasks": "SELECT kind, count(*) FROM tasks"
    " WHERE tenant_id = %(tenant)s AND generation = (SELECT chosen('tasks')) AND kind <> 'sign'"
    " AND since <= %(at)s AND (kind = 'identify' OR lapses_at IS NULL OR lapses_at > %(at)s)",
    "customers": "SELECT status, count(*) FROM customers"
    " WHERE tenant_id = %(tenant)s AND generation = (SELECT chosen('customers'))",
}
"""What is counted -> the question; states are as recorded. `tasks` is what waits by the tenant's
clock, as the list of work has it; not signatures, for who signs stands in each grant's policy."""

WORDS: Final = {
    "grants": "statuses",
    "cases": "case_kinds",
    "tasks": "tasks",
    "customers": "customer_statuses",
}
"""What is counted -> where its words are."""


class Counted(NamedTuple):
    """A tenant's events, and for each thing counted how many of each sort, most first."""

    tenant: str
    name: str
    events: int
    grants: dict[str, int]
    cases: dict[str, int]
    tasks: dict[str, int]
    customers: dict[str, int]


def counted(conn: psycopg.Connection[Any], known: Sequence[Tenant]) -> list[Counted]:
    """Count what each tenant holds; `conn` is of the service's role, in autocommit."""
    return [_of(conn, one) for one in known]


def _of(conn: psycopg.Connection[Any], one: Tenant) -> Counted:
    found: dict[str, dict[str, int]] = {}
    at = one.recorded_at if one.clock == "given" else max(datetime.now(UTC), one.recorded_at)
    with conn.transaction():
        conn.execute("SELECT set_config('counterseal.tenant', %s, true)", (one.id,))
        for what, question in QUESTIONS.items():
            statement: Any = f"{question} GROUP BY 1 ORDER BY 2 DESC, 1"
            found[what] = dict(conn.execute(statement, {"tenant": one.id, "at": at}).fetchall())
    return Counted(one.id, one.name, one.position, **found)


def show(counts: Sequence[Counted]) -> None:
    """Print a table a tenant."""
    for one in counts:
        line()
        line(say("counts.events", tenant=one.name, events=one.events))
        rows = [
            (say(f"counts.{what}"), word(words, name), number)
            for what, words in WORDS.items()
            for name, number in getattr(one, what).items()
        ]
        table(None, rows)
