"""The queries of compliance over all grants: approvals without a check, cases open for long, terms
in force beyond what they rest on, about to end, or under policies that are no more.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final

from psycopg import sql
from psycopg.rows import dict_row

from domain.values import Instant
from projections.compliance_statements import (
    BEYOND,
    ENDING,
    OPEN,
    OVER,
    UNCHECKED,
    UNDER,
    behind_key,
    ends_behind,
    shifted,
)
from projections.queries import Conn, Key, Page, plain, reached, require_limit
from projections.reading import walking
from projections.scanning import scan

Rows = list[dict[str, Any]]


def unchecked(
    conn: Conn,
    tenant: str,
    *,
    demanded: bool | None = None,
    after: Key | None = None,
    limit: int = 100,
) -> Page:
    """Return cases in which somebody approved and nobody checked; key `[grant_id, case_id]`.

    `approvals` are those that stand; `demanded` whether the policy version they rest on demands a
    check, None where it is not known. Raises `Refused`: `page.limit`.
    """

    def fetch(behind: Key | None, number: int) -> Rows:
        where = sql.SQL("") if behind is None else behind_key("t.stream_id, t.item", "uuid, text")
        return _rows(conn, UNCHECKED.format(behind=where), {"n": number}, behind)

    def wanted(rows: Rows) -> list[dict[str, Any] | None]:
        return [row if demanded in (None, row["demanded"]) else None for row in rows]

    return _page(conn, tenant, CASES, fetch, wanted, ("grant_id", "case_id"), after, limit)


def open_longer(
    conn: Conn,
    tenant: str,
    *,
    days: int,
    instant: Instant,
    after: Key | None = None,
    limit: int = 100,
) -> Page:
    """Return requests, renewals, amendments and revocations that were open at `instant` and had
    been for at least `days`; key `[over, grant_id, case_id]`, the soonest over first.

    `open_days` are the whole days until `instant`; `over_at` when it was closed, or lapses by the
    clock. Raises `Refused`: `page.limit`.
    """
    since = shifted(instant, -days)

    def fetch(behind: Key | None, number: int) -> Rows:
        given = {"n": number, "instant": instant}
        order = ("t.over_at, t.stream_id, t.item", "timestamptz, uuid, text")
        where = sql.SQL("") if behind is None else behind_key(*order)
        return _rows(conn, OPEN.format(behind=where), given, behind)

    def wanted(rows: Rows) -> list[dict[str, Any] | None]:
        return [
            {**row, "open_days": (instant - row["opened_at"]).days}
            if row["opened_at"] <= since
            else None
            for row in rows
        ]

    return _page(conn, tenant, CASES, fetch, wanted, ("over", "grant_id", "case_id"), after, limit)


def beyond_evidence(
    conn: Conn,
    tenant: str,
    *,
    instant: Instant,
    after: Key | None = None,
    limit: int = 100,
) -> Page:
    """Return terms in force at `instant` although the evidence they rest on, or the identity of
    whom they are given to, had ended; key `[end, grant_id, terms]`.

    `beyond` says which of `evidence` and `identity`. In force as far as the grant itself can tell:
    who is not identified any more is denied at the check. Raises `Refused`: `page.limit`.
    """

    def wanted(rows: Rows) -> list[dict[str, Any] | None]:
        found: list[dict[str, Any] | None] = []
        for row in rows:
            beyond = [
                name
                for name in ("evidence", "identity")
                if row[f"{name}_ends_at"] is not None and row[f"{name}_ends_at"] <= instant
            ]
            found.append({**row, "beyond": beyond} if beyond and row["in_force"] else None)
        return found

    def fetch(behind: Key | None, number: int) -> Rows:
        given = {"n": number, "instant": instant}
        return _rows(conn, BEYOND.format(behind=ends_behind(behind)), given, behind)

    return _page(conn, tenant, (*EFFECTS, "customers"), fetch, wanted, _END_KEY, after, limit)


def ending(
    conn: Conn,
    tenant: str,
    *,
    days: int,
    instant: Instant,
    after: Key | None = None,
    limit: int = 100,
) -> Page:
    """Return grants whose last terms end after `instant` and at most `days` later, the soonest
    first; key `[end, grant_id, terms]`.

    `left_days` are whole days. Raises `Refused`: `page.limit`.
    """
    until = shifted(instant, days)

    def fetch(behind: Key | None, number: int) -> Rows:
        given = {"n": number, "instant": instant, "until": until}
        return _rows(conn, ENDING.format(behind=ends_behind(behind)), given, behind)

    def wanted(rows: Rows) -> list[dict[str, Any] | None]:
        return [
            {**row, "left_days": (row["ends_at"] - instant).days} if row["last"] else None
            for row in rows
        ]

    return _page(conn, tenant, EFFECTS, fetch, wanted, _END_KEY, after, limit)


def retired_policies(
    conn: Conn,
    tenant: str,
    *,
    instant: Instant,
    after: Key | None = None,
    limit: int = 100,
) -> Page:
    """Return terms in force at `instant` under a policy version that was retired or superseded by
    then; key `[policy_id, policy_version, end, grant_id, terms]`.

    Raises `Refused`: `page.limit`.
    """
    with walking(conn, tenant):
        over = {
            (row["policy_id"], row["policy_version"]): row
            for row in _rows(conn, OVER, {"instant": instant}, None)
        }

    def fetch(behind: Key | None, number: int) -> Rows:
        found: Rows = []
        for pair in sorted(over):
            same = behind is not None and pair == (behind[0], behind[1])
            if behind is not None and not same and pair < (behind[0], behind[1]):
                continue
            own = behind[2:] if same and behind is not None else None
            given = {"n": number - len(found), "instant": instant} | dict(
                zip(("policy_id", "policy_version"), pair, strict=True)
            )
            rows = _rows(conn, UNDER.format(behind=ends_behind(own)), given, own)
            found += [{**row, **over[pair]} for row in rows]
            if len(found) == number:
                break
        return found

    def wanted(rows: Rows) -> list[dict[str, Any] | None]:
        return [row if row["in_force"] else None for row in rows]

    names = ("policy_id", "policy_version", *_END_KEY)
    return _page(conn, tenant, EFFECTS, fetch, wanted, names, after, limit)


# --- what they have in common ---------------------------------------------------------------------

CASES: Final = ("cases", "policy_versions")
EFFECTS: Final = ("effects", "policy_versions")
"""Read models asked; an answer is as new as the one that is furthest behind."""

_END_KEY: Final = ("end", "grant_id", "terms")
_SHOWN_NOT: Final = frozenset({"end", "over", "in_force", "last"})


def _page(
    conn: Conn,
    tenant: str,
    models: Sequence[str],
    fetch: Any,
    wanted: Any,
    key: Sequence[str],
    after: Key | None,
    limit: int,
) -> Page:
    require_limit(limit)
    with walking(conn, tenant):
        position = min(reached(conn, tenant, name) for name in models)
        found = scan(
            fetch,
            wanted,
            lambda row: [_text(row[name]) for name in key],
            after=None if after is None else list(after),
            limit=limit,
        )
    items = [
        {name: one for name, one in row.items() if name not in _SHOWN_NOT} for row in found.items
    ]
    return Page(items, found.last, position)


def _text(value: Any) -> Any:
    return value.isoformat() if isinstance(value, datetime) else value


def _rows(
    conn: Conn, statement: sql.Composed | sql.SQL, given: dict[str, Any], after: Key | None
) -> Rows:
    places = {f"k{number}": one for number, one in enumerate(after or ())}
    rows = conn.cursor(row_factory=dict_row).execute(statement, given | places).fetchall()
    return [plain(row) for row in rows]
