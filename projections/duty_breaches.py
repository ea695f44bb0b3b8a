"""The compliance query over duties: cases in which one person had two of requested, checked,
approved.
"""

from __future__ import annotations

from typing import Any, Final, Literal, NamedTuple

from psycopg import sql
from psycopg.rows import dict_row, tuple_row

from projections import duties
from projections.queries import Conn, Key, Page, plain, reached, require_limit
from projections.reading import reading
from projections.scanning import SCAN

Pair = Literal["requested_checked", "requested_approved", "checked_approved"]

PAIRS: Final[tuple[Pair, ...]] = ("requested_checked", "requested_approved", "checked_approved")
"""The pairs of hands that no one person may have in one case."""


class Totals(NamedTuple):
    """How many cases there are with a breach, in all and a pair of hands, up to `position`."""

    cases: int
    pairs: dict[Pair, int]
    position: int


def breaches(
    conn: Conn,
    tenant: str,
    *,
    pair: Pair | None = None,
    after: Key | None = None,
    limit: int = 100,
) -> Page:
    """Return one row a case and person, in the order of the key `[grant_id, case_id, person]`.

    A row: `grant_id`, `number`, `case_id`, `person` (who they turned out to be, through merges),
    `parties` (as whom they acted), `requested`, `checked`, `approved` (the positions of the events,
    ascending), `pairs` (which two hands met), `imported` (whether all of it was taken over from
    before the ledger). With `pair`, only the rows that have it. A page looks at the hands of so
    many grants as have about `SCAN` hands together; where it is short, the next one goes on. Raises
    `Refused`: `page.limit`.
    """
    require_limit(limit)
    parameters: dict[str, Any] = {"limit": limit + 1, "most": SCAN}
    behind, wanted = sql.SQL(""), sql.SQL("")
    if after is not None:
        behind = _BEHIND
        parameters |= dict(zip(("grant_id", "case_id", "person"), after, strict=True))
    if pair is not None:
        wanted = sql.SQL(" AND {}").format(_MET[pair])
    with reading(conn, tenant):
        conn.execute(_BY_INDEX)
        position = reached(conn, tenant, duties.NAME)
        until = _until(conn, parameters)
        if until is not None:
            behind += _BEFORE
            parameters["until"] = until
        statement = ROOTS + _BREACHES.format(behind=behind, wanted=wanted, **_POSITIONS)
        rows = conn.cursor(row_factory=dict_row).execute(statement, parameters).fetchall()
    items = [_breach(row) for row in rows[:limit]]
    last: list[Any] | None = None if until is None else [until, "", ""]
    if len(rows) > limit:
        last = [items[-1][name] for name in ("grant_id", "case_id", "person")]
    return Page(items, last, position)


def _until(conn: Conn, parameters: dict[str, Any]) -> str | None:
    """Return the first grant that a page leaves for the next one; None where it gets to the end."""
    given = {"grant_id": _FIRST, **parameters}
    row = conn.cursor(row_factory=tuple_row).execute(_UNTIL, given).fetchone()
    if row is not None and row[0] == given["grant_id"]:
        # One grant alone has more hands than that: it is looked at as a whole.
        row = conn.cursor(row_factory=tuple_row).execute(_NEXT, given).fetchone()
    return None if row is None else row[0]


def totals(conn: Conn, tenant: str) -> Totals:
    """Return the number of cases with a breach: each case once, and once in each pair that met in
    it.
    """
    with reading(conn, tenant):
        position = reached(conn, tenant, duties.NAME)
        row = conn.cursor(row_factory=tuple_row).execute(ROOTS + _TOTALS).fetchone() or (0,) * 4
    return Totals(row[0], dict(zip(PAIRS, row[1:], strict=True)), position)


def _breach(row: dict[str, Any]) -> dict[str, Any]:
    found = plain(row)
    for name in ("requested", "checked", "approved"):
        found[name] = found[name] or []
    found["pairs"] = [pair for pair in PAIRS if all(found[act] for act in pair.split("_"))]
    return found


def _had(act: str) -> sql.Composed:
    return sql.SQL("count(*) FILTER (WHERE h.act = {}) > 0").format(sql.Literal(act))


_MET: Final = {pair: sql.SQL(" AND ").join(_had(act) for act in pair.split("_")) for pair in PAIRS}
_POSITIONS: Final = {
    act: sql.SQL("array_agg(DISTINCT h.position) FILTER (WHERE h.act = {})").format(
        sql.Literal(act)
    )
    for act in ("requested", "checked", "approved")
}

_FIRST: Final = "00000000-0000-0000-0000-000000000000"
_BY_INDEX: Final = (
    "SELECT set_config('enable_' || name, 'off', true)"
    " FROM unnest('{seqscan,bitmapscan}'::text[]) AS u(name)"
)
_OF_TENANT: Final = (
    "SELECT h.grant_id::text FROM hands h WHERE h.tenant_id = current_tenant()"
    " AND h.generation = (SELECT chosen('hands'))"
)
_UNTIL: Final = sql.SQL(
    _OF_TENANT + " AND h.grant_id >= %(grant_id)s::uuid ORDER BY h.grant_id OFFSET %(most)s LIMIT 1"
)
_NEXT: Final = sql.SQL(
    _OF_TENANT + " AND h.grant_id > %(grant_id)s::uuid ORDER BY h.grant_id LIMIT 1"
)
_BEFORE: Final = sql.SQL(" AND h.grant_id < %(until)s::uuid")

# Who each person turned out to be; as many steps as the domain follows.
ROOTS: Final = sql.SQL(
    "WITH RECURSIVE live AS (SELECT chosen('hands') AS generation),"
    " steps(person, root, depth) AS ("
    "SELECT m.person, m.into_person, 1 FROM person_merges m"
    " WHERE m.tenant_id = current_tenant() AND m.generation = (SELECT generation FROM live)"
    " UNION ALL SELECT s.person, m.into_person, s.depth + 1 FROM steps s JOIN person_merges m"
    " ON m.tenant_id = current_tenant() AND m.generation = (SELECT generation FROM live)"
    " AND m.person = s.root WHERE s.depth < 8),"
    " roots AS (SELECT DISTINCT ON (person) person, root FROM steps ORDER BY person, depth DESC)"
)
_HANDS: Final = (
    " FROM hands h LEFT JOIN roots r ON r.person = h.person"
    " WHERE h.tenant_id = current_tenant() AND h.generation = (SELECT generation FROM live)"
    " AND h.void IS NULL"
)
_BREACHES: Final = sql.SQL(
    " SELECT h.grant_id, h.case_id, coalesce(r.root, h.person) AS person, max(h.number) AS number,"
    " array_agg(DISTINCT h.party) AS parties, {requested} AS requested, {checked} AS checked,"
    " {approved} AS approved, bool_and(h.imported) AS imported" + _HANDS + "{behind}"
    " GROUP BY 1, 2, 3 HAVING count(DISTINCT h.act) > 1{wanted} ORDER BY 1, 2, 3 LIMIT %(limit)s"
)
_BEHIND: Final = sql.SQL(
    " AND h.grant_id >= %(grant_id)s::uuid AND (h.grant_id, h.case_id, coalesce(r.root, h.person))"
    " > (%(grant_id)s::uuid, %(case_id)s::text, %(person)s::text)"
)
_TOTALS: Final = sql.SQL(
    ", hands_of AS (SELECT h.grant_id, h.case_id, array_agg(DISTINCT h.act) AS acts"
    + _HANDS
    + " GROUP BY h.grant_id, h.case_id, coalesce(r.root, h.person)),"
    " cases AS (SELECT bool_or(acts @> '{requested,checked}') AS requested_checked,"
    " bool_or(acts @> '{requested,approved}') AS requested_approved,"
    " bool_or(acts @> '{checked,approved}') AS checked_approved"
    " FROM hands_of WHERE cardinality(acts) > 1 GROUP BY grant_id, case_id)"
    " SELECT count(*), count(*) FILTER (WHERE requested_checked),"
    " count(*) FILTER (WHERE requested_approved), count(*) FILTER (WHERE checked_approved)"
    " FROM cases"
)
