"""The catalogue read: its dimensions, and the points of one."""

from __future__ import annotations

from itertools import islice
from typing import Any, Final

from api import rendering
from api.problems import Answered
from api.routes.operations import Call, Operation, answered
from api.routes.past import View, page_of, view_of
from api.routes.questions import ListQuestion, Question, page, reached
from api.routes.streams import headers_of
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


def _catalogue(call: Call, view: View) -> tuple[int, Catalogue | None]:
    loaded = view.load("catalogue", call.tenant)
    return loaded.version, loaded.state


async def dimensions(call: Call) -> Answered:
    """Answer with the dimensions and how many points each has."""
    question = call.query(Question)
    position = await reached(call, question.at_least)
    view = await view_of(call, question)
    version, found = await call.work(_catalogue, call, view)
    if found is None:
        raise Refused("catalogue.unknown")
    state = rendering.state("catalogue", found, view.now())
    document = {"version": version, "state": state, **view.told()}
    return answered(document, 200, headers_of(view, version, position))


async def list_points(call: Call) -> Answered:
    """Answer with points, sorted by path."""
    question = call.query(PointList)
    position = await reached(call, question.at_least)
    view, after = await page_of(call, question, (str,))
    behind = None if after is None else str(after[0])
    items = await call.work(_points, call, view, question, behind)
    more = len(items) > question.limit
    shown = items[: question.limit]
    looked = position if view.position is None else view.position
    return page(call, question, shown, [shown[-1]["path"]] if more else None, looked, view)


def _points(call: Call, view: View, question: PointList, after: str | None) -> list[dict[str, Any]]:
    _, found = _catalogue(call, view)
    if found is None or question.dimension not in found.dimensions:
        raise Refused("catalogue.dimension_unknown", dimension=question.dimension)
    now = view.now()
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
        past=("as_of", "happened"),
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
        past=("as_of", "at", "happened"),
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
