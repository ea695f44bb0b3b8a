"""The catalogue read: its dimensions, and the points of one."""

from __future__ import annotations

from itertools import islice
from typing import Any, Final

from api import rendering
from api.problems import Answered
from api.routes.operations import Call, Operation, answered
from api.routes.questions import ListQuestion, Question, after_of, page, reached
from api.shapes import Code, Path
from domain.catalogue import Catalogue, point_status_at, points
from domain.errors import Refused
from domain.scopes import covers_path

READERS: Final = ("grants:read", "grants:request", "customers", "policies", "audit:read")
"""Whoever has to do with scopes needs to see what there is."""


class PointList(ListQuestion, frozen=True, kw_only=True):
    """The points of a dimension by path; `under`: that point and all below it."""

    dimension: Code
    under: Path | None = None


def _catalogue(call: Call) -> tuple[int, Catalogue | None]:
    loaded = call.services.ledgers.load(call.tenant, "catalogue", call.tenant)
    return loaded.version, loaded.state


async def dimensions(call: Call) -> Answered:
    """Answer with the dimensions and how many points each has."""
    question = call.query(Question)
    question.refuse_past()
    position = await reached(call, question.at_least)
    version, found = await call.work(_catalogue, call)
    if found is None:
        raise Refused("catalogue.unknown")
    now = call.services.ledgers.now(call.tenant)
    document = {"version": version, "state": rendering.state("catalogue", found, now)}
    headers = [(b"etag", f'"v{version}"'.encode()), (b"position", str(position).encode())]
    return answered(document, 200, headers)


async def list_points(call: Call) -> Answered:
    """Answer with points, sorted by path."""
    question = call.query(PointList)
    question.refuse_past()
    after = after_of(call, question, (str,))
    position = await reached(call, question.at_least)
    items = await call.work(_points, call, question, None if after is None else str(after[0]))
    more = len(items) > question.limit
    shown = items[: question.limit]
    return page(call, question, shown, [shown[-1]["path"]] if more else None, position)


def _points(call: Call, question: PointList, after: str | None) -> list[dict[str, Any]]:
    _, found = _catalogue(call)
    if found is None or question.dimension not in found.dimensions:
        raise Refused("catalogue.dimension_unknown", dimension=question.dimension)
    now = call.services.ledgers.now(call.tenant)
    wanted = (
        {"path": path, **rendering.shown(point), "status": point_status_at(point, now)}
        for path, point in points(found, question.dimension)
        if (after is None or path > after)
        and (question.under is None or covers_path((question.under,), path))
    )
    return list(islice(wanted, question.limit + 1))


OPERATIONS: Final = (
    Operation(
        name="catalogue.get",
        method="GET",
        path="/v1/catalogue",
        scope="admin",
        also=READERS,
        summary="The dimensions of the catalogue",
        summary_zh="目录的维度",
        query=Question,
        shows={
            "version": 7,
            "state": {
                "status": "kept",
                "dimensions": {
                    "territory": {"names": {"zh": "销售区域", "en": "Territory"}, "points": 6}
                },
            },
        },
        handle=dimensions,
    ),
    Operation(
        name="catalogue.points",
        method="GET",
        path="/v1/catalogue/points",
        scope="admin",
        also=READERS,
        summary="The points of a dimension",
        summary_zh="一个维度的各点",
        query=PointList,
        answer="A page; `next_cursor` is null where nothing follows.",
        shows={
            "items": [
                {
                    "path": "CN/31/0115",
                    "names": {"zh": "上海市浦东新区", "en": "Pudong, Shanghai"},
                    "status": "standing",
                }
            ],
            "next_cursor": None,
        },
        handle=list_points,
    ),
)
