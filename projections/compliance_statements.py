"""The statements of the compliance queries; each walks one index from a key on."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from psycopg import sql

from domain.values import Instant

ENDS_ORDER: Final = "t.ends_at, t.stream_id, t.item"


def shifted(instant: Instant, days: int) -> Instant:
    """Return the instant so many days away, at the ends of the calendar the last one there is."""
    try:
        return instant + timedelta(days=days)
    except OverflowError:
        return datetime.max.replace(tzinfo=UTC) if days > 0 else datetime.min.replace(tzinfo=UTC)


def behind_key(order: str, types: str) -> sql.Composed:
    """Return the condition that a row comes behind the key given as k0, k1, …"""
    casts = (f"%(k{number})s::{one}" for number, one in enumerate(types.split(", ")))
    return sql.SQL(" AND ({}) > ({})").format(
        sql.SQL(order),  # pyright: ignore[reportArgumentType]
        sql.SQL(", ".join(casts)),  # pyright: ignore[reportArgumentType]
    )


def ends_behind(key: Sequence[Any] | None) -> sql.Composable:
    """Return the condition that a row comes behind a key of end, stream and item; none for None."""
    if key is None:
        return sql.SQL("")
    return behind_key(ENDS_ORDER, "timestamptz, uuid, text")


def own(alias: str, model: str) -> str:
    """Return the condition that a row is the tenant's and of the generation that is asked."""
    return (
        f"{alias}.tenant_id = current_tenant() AND {alias}.generation = (SELECT chosen('{model}'))"
    )


def made(text: str) -> sql.SQL:
    """Return a statement of this file; nothing of a caller's is ever in its text."""
    return sql.SQL(text)  # pyright: ignore[reportArgumentType]


def _finite(column: str) -> str:
    return f"nullif({column}, 'infinity')"


_CASE: Final = (
    "t.stream_id AS grant_id, t.number, t.item AS case_id, t.kind AS case_kind, t.grantee,"
    " t.opened_at, t.closed_at"
)
UNCHECKED: Final = made(
    f"SELECT {_CASE}, t.approvals, t.imported, v.demands_check AS demanded FROM cases t"
    f" LEFT JOIN policy_versions v ON {own('v', 'policy_versions')}"
    " AND v.stream_id = as_id(t.policy_id)"
    " AND v.item = t.policy_version::text"
    f" WHERE {own('t', 'cases')} AND t.approvals > 0 AND t.checks = 0{{behind}}"
    " ORDER BY t.stream_id, t.item LIMIT %(n)s"
)
OPEN: Final = made(
    f"SELECT {_CASE}, {_finite('t.over_at')} AS over_at, t.over_at::text AS over, t.checks,"
    f" t.approvals, t.imported FROM cases t WHERE {own('t', 'cases')}"
    " AND t.over_at > %(instant)s{behind} ORDER BY t.over_at, t.stream_id, t.item LIMIT %(n)s"
)
_EFFECT: Final = (
    "t.stream_id AS grant_id, t.number, t.item AS terms, t.grantee, t.kind, t.policy_id,"
    f" t.policy_version, t.starts_at, {_finite('t.ends_at')} AS ends_at, t.ends_at::text AS end,"
    " t.spans @> %(instant)s::timestamptz AS in_force, t.last"
)
_ENDS_AFTER: Final = "t.ends_at > %(instant)s"
_ENDS_ORDERED: Final = f"{{behind}} ORDER BY {ENDS_ORDER} LIMIT %(n)s"
_IDENTITY: Final = (
    " LEFT JOIN LATERAL (WITH RECURSIVE line(until, into_id, depth) AS ("
    "(SELECT c.confirmed_until, c.merged_into, 1 FROM customers c"
    f" WHERE {own('c', 'customers')} AND t.grantee LIKE 'customer:%%'"
    " AND c.customer_id = as_id(substr(t.grantee, 10)) ORDER BY c.customer_id LIMIT 1)"
    " UNION ALL SELECT n.confirmed_until, n.merged_into, l.depth + 1 FROM line l"
    " CROSS JOIN LATERAL (SELECT c.confirmed_until, c.merged_into FROM customers c"
    f" WHERE {own('c', 'customers')} AND c.customer_id = as_id(l.into_id)"
    " ORDER BY c.customer_id LIMIT 1) n WHERE l.depth < 9 AND l.into_id IS NOT NULL)"
    " SELECT until FROM line ORDER BY depth DESC LIMIT 1) i ON true"
)
BEYOND: Final = made(
    f"SELECT {_EFFECT}, t.evidence_ends_at, i.until AS identity_ends_at FROM effects t"
    f"{_IDENTITY} WHERE {own('t', 'effects')} AND {_ENDS_AFTER}{_ENDS_ORDERED}"
)
ENDING: Final = made(
    f"SELECT {_EFFECT} FROM effects t WHERE {own('t', 'effects')} AND {_ENDS_AFTER}"
    f" AND t.ends_at <= %(until)s{_ENDS_ORDERED}"
)
# The pair comes from a row beside, so that the order asked for is that of one index alone.
UNDER: Final = made(
    "SELECT r.* FROM unnest(ARRAY[%(policy_id)s::text], ARRAY[%(policy_version)s::integer])"
    " AS asked(policy_id, policy_version) CROSS JOIN LATERAL ("
    f"SELECT {_EFFECT} FROM effects t WHERE {own('t', 'effects')}"
    " AND t.policy_id = asked.policy_id AND t.policy_version = asked.policy_version"
    f" AND {_ENDS_AFTER}{{behind}} ORDER BY t.policy_id, t.policy_version, {ENDS_ORDER}"
    " LIMIT %(n)s) r"
)
# The versions that terms rest on are few: each is found by one probe behind the one before.
OVER: Final = made(
    "WITH RECURSIVE pairs AS ((SELECT t.policy_id, t.policy_version FROM effects t"
    f" WHERE {own('t', 'effects')} ORDER BY t.policy_id, t.policy_version LIMIT 1)"
    " UNION ALL SELECT n.policy_id, n.policy_version FROM pairs p CROSS JOIN LATERAL ("
    f"SELECT t.policy_id, t.policy_version FROM effects t WHERE {own('t', 'effects')}"
    " AND (t.policy_id, t.policy_version) > (p.policy_id, p.policy_version)"
    " ORDER BY t.policy_id, t.policy_version LIMIT 1) n)"
    " SELECT p.policy_id, p.policy_version, v.retired_at, v.superseded_at FROM pairs p"
    f" JOIN policy_versions v ON {own('v', 'policy_versions')}"
    " AND v.stream_id = as_id(p.policy_id) AND v.item = p.policy_version::text"
    " WHERE v.retired_at <= %(instant)s OR v.superseded_at <= %(instant)s"
)
