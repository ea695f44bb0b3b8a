"""Commands on the catalogue: dimensions and their points."""

from __future__ import annotations

from typing import Annotated, Final

import msgspec

from api.routes.commands import CommandOperation, Made
from api.shapes import Code, Deed, NamesGiven, Path, When
from domain.commands import catalogue as commands
from domain.values import Names

Attributes = Annotated[
    dict[Code, Path],
    msgspec.Meta(max_length=16, description="Where it lies on other dimensions."),
]


class DimensionGiven(Deed, frozen=True, kw_only=True):
    """A dimension to declare."""

    dimension: Code
    names: NamesGiven


class PointGiven(Deed, frozen=True, kw_only=True):
    """A point to add; it may be named in new scopes during `[from, until)`."""

    dimension: Code
    path: Path
    names: NamesGiven
    from_: When | None = None
    until: When | None = None
    attributes: Attributes | None = None


class PointNamesGiven(Deed, frozen=True, kw_only=True):
    """Other names for a point."""

    dimension: Code
    path: Path
    names: NamesGiven


class PointEndGiven(Deed, frozen=True, kw_only=True):
    """When a point ends; now where nothing is said."""

    dimension: Code
    path: Path
    ends_at: When | None = None


def names(given: NamesGiven) -> Names:
    """Return the names as events hold them."""
    return Names(given.zh, given.en)


TERRITORY: Final = {"zh": "上海市浦东新区", "en": "Pudong, Shanghai"}

OPERATIONS: Final = (
    CommandOperation(
        name="catalogue.declare_dimension",
        path="/v1/catalogue/dimensions",
        scope="admin",
        summary="Declare a dimension",
        summary_zh="声明一个维度",
        kind="catalogue",
        body=DimensionGiven,
        created=True,
        location="/v1/catalogue",
        make=lambda edge, _call, body, _at: Made(
            commands.DeclareDimension(
                tenant=edge.tenant, dimension=body.dimension, names=names(body.names)
            )
        ),
        example={"dimension": "territory", "names": {"zh": "销售区域", "en": "Territory"}},
    ),
    CommandOperation(
        name="catalogue.add_point",
        path="/v1/catalogue/points",
        scope="admin",
        summary="Add a point to a dimension",
        summary_zh="在维度中增加一个点",
        kind="catalogue",
        body=PointGiven,
        created=True,
        location="/v1/catalogue/points",
        make=lambda edge, _call, body, _at: Made(
            commands.AddPoint(
                tenant=edge.tenant,
                dimension=body.dimension,
                path=body.path,
                names=names(body.names),
                from_=body.from_,
                until=body.until,
                attributes=body.attributes or {},
            )
        ),
        example={"dimension": "territory", "path": "CN/31/0115", "names": TERRITORY},
    ),
    CommandOperation(
        name="catalogue.rename_point",
        path="/v1/catalogue/points/names",
        scope="admin",
        summary="Give a point other names; its path stays",
        summary_zh="更改一个点的名称，路径不变",
        kind="catalogue",
        body=PointNamesGiven,
        make=lambda edge, _call, body, _at: Made(
            commands.RenamePoint(
                tenant=edge.tenant,
                dimension=body.dimension,
                path=body.path,
                names=names(body.names),
            )
        ),
        example={"dimension": "territory", "path": "CN/31/0115", "names": TERRITORY},
    ),
    CommandOperation(
        name="catalogue.end_point",
        path="/v1/catalogue/points/end",
        scope="admin",
        summary="End a point: no new scope may name it",
        summary_zh="停用一个点：新的范围不可再引用它",
        kind="catalogue",
        body=PointEndGiven,
        make=lambda edge, _call, body, _at: Made(
            commands.EndPoint(
                tenant=edge.tenant,
                dimension=body.dimension,
                path=body.path,
                ends_at=body.ends_at,
            )
        ),
        example={"dimension": "territory", "path": "CN/31/0115"},
    ),
)
