"""How far the read models are: what they have followed, what of it was compared with the log, what
differs, what is in quarantine.
"""

from __future__ import annotations

from typing import Any, Final

from psycopg.rows import dict_row

from api.problems import Answered
from api.routes.operations import Call, Operation, answered
from api.routes.questions import Question, reached
from projections.reading import reading

MOST: Final = 20
"""Streams in quarantine, and rows that differ, that an answer names; `count` tells of the rest."""

MODELS: Final = """
SELECT g.projection, g.generation, g.fold,
       CASE WHEN g.projection = ANY (%(inline)s) THEN l.position ELSE c.position END AS position,
       l.position AS head, coalesce(v.position, 0) AS verified,
       (SELECT count(*) FROM differences d
        WHERE d.tenant_id = g.tenant_id AND d.projection = g.projection) AS differences
FROM generations g
JOIN ledgers l USING (tenant_id)
LEFT JOIN checkpoints c USING (tenant_id, projection, generation)
LEFT JOIN verified v USING (tenant_id, projection, generation)
WHERE g.tenant_id = %(tenant)s AND g.live
ORDER BY g.projection
"""
SWEPT: Final = "SELECT swept_at FROM sweeps WHERE tenant_id = %(tenant)s"
QUARANTINED: Final = """
SELECT stream_id, position, projection, code, found_at, count(*) OVER () AS all_of_them
FROM quarantined WHERE tenant_id = %(tenant)s ORDER BY position, stream_id LIMIT %(most)s
"""
DIFFERENCES: Final = """
SELECT stream_id, projection, relation, key, columns, position, found_at,
       count(*) OVER () AS all_of_them
FROM differences WHERE tenant_id = %(tenant)s ORDER BY found_at, relation, key LIMIT %(most)s
"""


async def projections(call: Call) -> Answered:
    """Answer how far each read model of the tenant has followed the log, and what is wrong."""
    question = call.query(Question)
    question.refuse_past()
    position = await reached(call, question.at_least)
    document = await call.work(_projections, call)
    return answered(document, 200, [(b"position", str(position).encode())])


def _projections(call: Call) -> dict[str, Any]:
    inline = call.services.ledgers.inline
    asked = {
        "tenant": call.tenant,
        "inline": [] if inline is None else list(inline.folds),
        "most": MOST,
    }
    with (
        call.services.ledgers.pool.connection() as connection,
        reading(connection, call.tenant),
    ):
        cursor = connection.cursor(row_factory=dict_row)
        models = cursor.execute(MODELS, asked).fetchall()
        swept = cursor.execute(SWEPT, asked).fetchone()
        quarantined = cursor.execute(QUARANTINED, asked).fetchall()
        differing = cursor.execute(DIFFERENCES, asked).fetchall()
    return {
        "items": [row | {"behind": row["head"] - row["position"]} for row in models],
        "swept_at": None if swept is None else swept["swept_at"],
        "quarantined": {"count": _count(quarantined), "streams": quarantined},
        "differences": {"count": _count(differing), "rows": differing},
    }


def _count(rows: list[dict[str, Any]]) -> int:
    """Return how many there are, and leave that out of the rows."""
    counts = [row.pop("all_of_them") for row in rows]
    return counts[0] if counts else 0


OPERATIONS: Final[tuple[Operation, ...]] = (
    Operation(
        name="projections.list",
        method="GET",
        path="/v1/projections",
        scope="admin",
        also=("audit:read",),
        summary="How far each read model has followed the log, and what of it was verified",
        summary_zh="各读模型跟进日志的进度，以及其中已核验的部分",
        query=Question,
        answer=(
            "`behind` is in events. Up to `verified` every stream's rows were compared with a fold"
            " from its first event; at `swept_at` (null: not yet) the last look at all ended."
            " `differences` are rows that are not what the log says, `quarantined` streams until"
            f" whose healing all that rests on them is denied; both name the first {MOST}."
        ),
        shows={
            "items": [
                {
                    "projection": "grants",
                    "generation": 1,
                    "fold": 1,
                    "position": 41,
                    "head": 41,
                    "behind": 0,
                    "verified": 41,
                    "differences": 0,
                }
            ],
            "swept_at": "2026-12-01T08:00:00Z",
            "quarantined": {
                "count": 1,
                "streams": [
                    {
                        "stream_id": "…",
                        "position": 12,
                        "projection": "permissions",
                        "code": "table.differs",
                        "found_at": "2026-12-01T07:59:00Z",
                    }
                ],
            },
            "differences": {
                "count": 1,
                "rows": [
                    {
                        "stream_id": "…",
                        "projection": "permissions",
                        "relation": "permissions",
                        "key": {"grant_id": "…", "terms_number": 1},
                        "columns": ["valid_to"],
                        "position": 41,
                        "found_at": "2026-12-01T07:59:00Z",
                    }
                ],
            },
        },
        handle=projections,
    ),
)
