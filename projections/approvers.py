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
        position = reached(conn, tenant, duties.NAME)
        key = None if after is None else list(after)
        found = scan(fetch, wanted, lambda row: [row["person"]], after=key, limit=limit)
    return Page(found.items, found.last, position)


def _shown(row: dict[str, Any]) -> dict[str, Any]:
    return {**row, "parties": sorted(row["parties"])}


_STANDING: Final = f"{own('h', 'hands')} AND h.act = 'approved' AND h.void IS NULL"

# Those who ever approved are few: each is found by one probe behind the one before. All that is
# counted of an approval lies in that one index.
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
    "WITH given AS MATERIALIZED (SELECT h.*"
    " FROM (SELECT w.person FROM known w WHERE w.root = a.root OFFSET 0) w"
    " CROSS JOIN LATERAL (SELECT h.at, coalesce(h.kind, '') AS kind, h.position, h.grant_id,"
    f" h.case_id, h.imported, h.party FROM hands h WHERE {_STANDING} AND h.person = w.person"
    " AND h.at >= %(since)s::timestamptz AND h.at < %(until)s::timestamptz"
    " ORDER BY h.person, h.at OFFSET 0) h),"
    # A deputy and whom they stood in for may be one person by now: their approval is one.
    " approvals AS (SELECT g.kind, g.position, min(g.at) AS at, bool_or(g.imported) AS imported"
    " FROM given g GROUP BY g.kind, g.position),"
    " kinds AS (SELECT o.kind, count(*) AS number, min(o.at) AS first, max(o.at) AS last,"
    " count(*) FILTER (WHERE o.imported) AS imported FROM approvals o GROUP BY o.kind)"
    " SELECT coalesce(sum(k.number), 0)::integer AS approvals, min(k.first) AS first,"
    " max(k.last) AS last, (SELECT count(*) FROM (SELECT DISTINCT g.grant_id, g.case_id"
    " FROM given g) c) AS cases, coalesce(sum(k.imported), 0)::integer AS imported,"
    " json_object_agg(k.kind, k.number ORDER BY k.kind) AS kinds,"
    " (SELECT json_agg(p.party) FROM (SELECT DISTINCT g.party FROM given g) p) AS parties"
    " FROM kinds k) s ORDER BY a.root"
)
