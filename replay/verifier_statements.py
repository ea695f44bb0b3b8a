"""What the verifier asks of the database, and how it writes down where it is."""

from __future__ import annotations

from typing import Final, LiteralString

BEHIND: Final[LiteralString] = (
    "SELECT g.tenant_id::text FROM generations g"
    " JOIN checkpoints c USING (tenant_id, projection, generation)"
    " JOIN ledgers l USING (tenant_id)"
    " JOIN unnest(%(names)s::text[], %(folds)s::integer[]) AS f(projection, fold)"
    " ON f.projection = g.projection AND f.fold = g.fold"
    " LEFT JOIN verified v ON v.tenant_id = g.tenant_id AND v.projection = g.projection"
    " AND v.generation = g.generation"
    " WHERE g.live AND coalesce(v.position, 0) <"
    " CASE WHEN g.projection = ANY (%(inline)s) THEN l.position ELSE c.position END"
    " GROUP BY g.tenant_id ORDER BY min(coalesce(v.position, 0) - l.position) LIMIT %(tenants)s"
)
DUE: Final[LiteralString] = (
    "SELECT l.tenant_id::text FROM ledgers l LEFT JOIN sweeps s USING (tenant_id)"
    " WHERE l.position > 0 AND (s.swept_from IS NOT NULL OR s.swept_at IS NULL"
    " OR s.swept_at < clock_timestamp() - %s * interval '1 second')"
    " ORDER BY s.swept_from IS NULL, s.swept_at NULLS FIRST, l.tenant_id LIMIT %s"
)
TURN: Final[LiteralString] = (
    "SELECT swept_from, swept_upto, keys FROM sweeps WHERE tenant_id = %s FOR UPDATE SKIP LOCKED"
)
NEW: Final[LiteralString] = (
    "INSERT INTO sweeps (tenant_id) VALUES (%s) ON CONFLICT (tenant_id) DO NOTHING"
)
VERIFIED: Final[LiteralString] = (
    "SELECT projection || '/' || generation, position FROM verified WHERE tenant_id = %s"
)
PAGE: Final[LiteralString] = (
    "SELECT position, stream_id::text, version FROM events"
    " WHERE tenant_id = %s AND position > %s AND position <= %s ORDER BY position LIMIT %s"
)
ADVANCE: Final[LiteralString] = (
    "WITH given AS (SELECT %s::uuid AS tenant_id, %s::bigint AS position)"
    " INSERT INTO verified AS v (tenant_id, projection, generation, position)"
    " SELECT given.tenant_id, r.projection, r.generation, given.position FROM given,"
    " unnest(%s::text[], %s::integer[]) AS r(projection, generation)"
    " ON CONFLICT (tenant_id, projection, generation) DO UPDATE SET position = excluded.position"
)
BEGIN: Final[LiteralString] = (
    "UPDATE sweeps SET swept_from = %s, swept_upto = NULL, keys = 0 WHERE tenant_id = %s"
)
SWEPT: Final[LiteralString] = "UPDATE sweeps SET swept_upto = %s, keys = %s WHERE tenant_id = %s"
END: Final[LiteralString] = (
    "UPDATE sweeps SET swept_from = NULL, swept_upto = NULL, swept_at = clock_timestamp()"
    " WHERE tenant_id = %s"
)
# From one stream's id to the next, each an index probe, and how many events each has.
NEXT: Final[LiteralString] = (
    "WITH RECURSIVE s(id) AS ("
    " (SELECT stream_id FROM events WHERE tenant_id = %s"
    "  AND stream_id > coalesce(%s::uuid, '00000000-0000-0000-0000-000000000000')"
    "  ORDER BY stream_id LIMIT 1)"
    " UNION ALL SELECT (SELECT e.stream_id FROM events e WHERE e.tenant_id = t.id"
    "  AND e.stream_id > s.id ORDER BY e.stream_id LIMIT 1)"
    "  FROM s, (SELECT %s::uuid AS id) t WHERE s.id IS NOT NULL)"
    " SELECT s.id::text, (SELECT e.version FROM events e WHERE e.tenant_id = current_tenant()"
    "  AND e.stream_id = s.id ORDER BY e.version DESC LIMIT 1)"
    " FROM s WHERE s.id IS NOT NULL LIMIT %s"
)
OF: Final[LiteralString] = (
    "SELECT position, stream_id::text FROM events WHERE tenant_id = %s AND position = ANY (%s)"
)
SINCE: Final[LiteralString] = (
    "SELECT stream_id::text, position FROM quarantined WHERE tenant_id = %s AND code <> %s"
)
