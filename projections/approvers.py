"""Who approved how much: the approvals that stand, counted by person."""

from __future__ import annotations

from typing import Any, Final

from psycopg.rows import dict_row

from domain.values import Instant
from projections import duties
from projections.compliance_statements import made, own
from projections.duty_breaches import ROOTS
from projections.queries import Conn, Key, Page, plain, reached, require_limit
from projections.reading import walking
from projections.scanning import scan


def approvers(
    conn: Conn,
    tenant: str,
    *,
    since: Instant | None = None,
    until: Instant | None = None,
    after: Key | None = None,
    limit: int = 100,
) -> Page:
    """Return who gave approvals that stand, each as who they turned out to be; key `[person]`.

    A row: `approvals`, `cases` (how many different ones), `kinds` (kind of grant -> approvals),
    `first` and `last` (when), `parties` (as whom), `imported` (how many were taken over). A deputy
    and whom they stood in for count both. `since` and `until` bound when it happened: half-open. A
    page reads the approvals of the persons on it. Raises `Refused`: `page.limit`.
    """
    require_limit(limit)

    def fetch(behind: Key | None, number: int) -> list[dict[str, Any]]:
        given = {
            "n": number,
            "since": since or "-infinity",
            "until": until or "infinity",
            "behind": "" if behind is None else behind[0],
        }
        rows = conn.cursor(row_factory=dict_row).execute(_APPROVERS, given).fetchall()
        return [plain(row) for row in rows]

    def wanted(rows: list[dict[str, Any]]) -> list[dict[str, Any] | None]:
        return [_shown(row) if row["approvals"] else None for row in rows]

    with walking(conn, tenant):
        position = min(reached(conn, tenant, name) for name in (duties.NAME, "grants"))
        key = None if after is None else list(after)
        found = scan(fetch, wanted, lambda row: [row["person"]], after=key, limit=limit)
    return Page(found.items, found.last, position)


def _shown(row: dict[str, Any]) -> dict[str, Any]:
    parties: list[list[str]] = row["parties"]
    return {**row, "parties": sorted({party for own in parties for party in own})}


_STANDING: Final = f"{own('h', 'hands')} AND h.act = 'approved' AND h.void IS NULL"

# Those who ever approved are few: each is found by one probe behind the one before.
_APPROVERS: Final = ROOTS + made(
    f", people(person) AS ((SELECT h.person FROM hands h WHERE {_STANDING}"
    " ORDER BY h.person, h.at LIMIT 1)"
    " UNION ALL SELECT n.person FROM people p CROSS JOIN LATERAL ("
    f"SELECT h.person FROM hands h WHERE {_STANDING} AND h.person > p.person"
    " ORDER BY h.person, h.at LIMIT 1) n),"
    " known AS MATERIALIZED (SELECT p.person, coalesce(r.root, p.person) AS root"
    " FROM people p LEFT JOIN roots r ON r.person = p.person),"
    " asked AS MATERIALIZED (SELECT DISTINCT root FROM known WHERE root > %(behind)s"
    " ORDER BY root LIMIT %(n)s)"
    " SELECT a.root AS person, s.* FROM asked a CROSS JOIN LATERAL ("
    "SELECT coalesce(sum(k.number), 0)::integer AS approvals, min(k.first) AS first,"
    " max(k.last) AS last, coalesce(sum(k.cases), 0)::integer AS cases,"
    " coalesce(sum(k.imported), 0)::integer AS imported,"
    " json_object_agg(coalesce(k.kind, ''), k.number ORDER BY k.kind) FILTER (WHERE k.number > 0)"
    " AS kinds, json_agg(k.parties) AS parties"
    " FROM (SELECT g.kind, count(DISTINCT h.position) AS number,"
    " count(DISTINCT (h.grant_id, h.case_id)) AS cases, min(h.at) AS first, max(h.at) AS last,"
    " count(DISTINCT h.position) FILTER (WHERE h.imported) AS imported,"
    " array_agg(DISTINCT h.party) AS parties"
    " FROM (SELECT w.person FROM known w WHERE w.root = a.root OFFSET 0) w"
    f" CROSS JOIN LATERAL (SELECT h.* FROM hands h WHERE {_STANDING} AND h.person = w.person"
    " AND h.at >= %(since)s::timestamptz AND h.at < %(until)s::timestamptz"
    " ORDER BY h.person, h.at OFFSET 0) h"
    f" LEFT JOIN LATERAL (SELECT g.kind FROM grants g WHERE {own('g', 'grants')}"
    " AND g.grant_id = h.grant_id ORDER BY g.grant_id LIMIT 1) g ON true"
    " GROUP BY g.kind) k) s ORDER BY a.root"
)
