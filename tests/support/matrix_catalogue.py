"""Rows and states of the catalogue's matrix: the point `CN/31` of the dimension `territory`."""

from __future__ import annotations

from domain.catalogue import find, point_status_at
from domain.commands.catalogue import AddPoint, DeclareDimension, EndPoint, RenamePoint
from domain.events.catalogue import DimensionDeclared, PointAdded, PointEnded
from domain.events.common import Event
from domain.values import Instant, Names
from domain.view import Command
from tests.support.given import NAMES, NOW, OPERATOR, TENANT, Fact, World, days, staff
from tests.support.matrix import Matrix, Row

AROUND: tuple[Fact, ...] = (staff("ada", "administrator"), staff("ann", "requester"))
SHANGHAI = Names("上海", "Shanghai")
HU = Names("沪", "Hu")
BEFORE = NOW - days(100)
DECLARED = DimensionDeclared(at=BEFORE, by=OPERATOR, dimension="territory", names=NAMES)


def _added(from_: Instant | None = None) -> PointAdded:
    return PointAdded(
        at=BEFORE, by=OPERATOR, dimension="territory", path="CN/31", names=SHANGHAI, from_=from_
    )


def _ended(ends_at: Instant) -> PointEnded:
    return PointEnded(
        at=NOW - days(50), by=OPERATOR, dimension="territory", path="CN/31", ends_at=ends_at
    )


def _state(*events: Event) -> tuple[Fact, ...]:
    return (*AROUND, Fact("catalogue", TENANT, events))


STATES = {
    "none": AROUND,
    "declared": _state(DECLARED),
    "planned": _state(DECLARED, _added(from_=NOW + days(3))),
    "standing": _state(DECLARED, _added()),
    "ending": _state(DECLARED, _added(), _ended(NOW + days(30))),
    "ended": _state(DECLARED, _added(), _ended(NOW - days(30))),
}


def _add(
    dimension: str = "territory",
    path: str = "CN/31",
    names: Names = SHANGHAI,
    attributes: dict[str, str] | None = None,
) -> AddPoint:
    return AddPoint(
        tenant=TENANT, dimension=dimension, path=path, names=names, attributes=attributes or {}
    )


def _end(ends_at: Instant | None) -> EndPoint:
    return EndPoint(tenant=TENANT, dimension="territory", path="CN/31", ends_at=ends_at)


ROWS = {
    "declare the dimension": Row(
        DeclareDimension(tenant=TENANT, dimension="territory", names=NAMES), "ada"
    ),
    "declare it with other names": Row(
        DeclareDimension(tenant=TENANT, dimension="territory", names=HU), "ada"
    ),
    "declare by no administrator": Row(
        DeclareDimension(tenant=TENANT, dimension="territory", names=NAMES), "ann"
    ),
    "add the point": Row(_add(), OPERATOR),
    "add the point with other names": Row(_add(names=HU), "ada"),
    "add a point of no dimension": Row(_add(dimension="product"), "ada"),
    "add what is no path": Row(_add(path="CN//31"), "ada"),
    "add a point placed on its own dimension": Row(
        _add(path="CN/32", attributes={"territory": "CN/31"}), "ada"
    ),
    "rename the point": Row(
        RenamePoint(tenant=TENANT, dimension="territory", path="CN/31", names=HU), "ada"
    ),
    "rename the point to its names": Row(
        RenamePoint(tenant=TENANT, dimension="territory", path="CN/31", names=SHANGHAI), "ada"
    ),
    "end the point now": Row(_end(None), "ada"),
    "end the point when it ends": Row(_end(NOW + days(30)), "ada"),
    "end the point when it ended": Row(_end(NOW - days(30)), "ada"),
    "end the point in the past": Row(_end(NOW - days(7)), "ada"),
}


def _state_of(world: World, _command: Command) -> str:
    point = find(world.state(TENANT), "territory", "CN/31")
    status = point_status_at(point, NOW)
    if point is None:
        return "declared"
    return "ending" if status == "standing" and point.until is not None else status


CATALOGUE = Matrix("catalogue", "catalogue", TENANT, STATES, ROWS, _state_of)
