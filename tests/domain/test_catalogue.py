"""The catalogue: dimensions, points, their time and attributes, and how fast it folds."""

import time
from types import MappingProxyType

import pytest
from msgspec.structs import replace

from domain import catalogue as catalogues
from domain.catalogue import Catalogue, Point, evolve, find, point_status_at, points
from domain.commands.catalogue import AddPoint, DeclareDimension, EndPoint
from domain.errors import Impossible
from domain.events.catalogue import DimensionDeclared, PointAdded, PointEnded, PointRenamed
from domain.values import Imported, Names
from tests.support.given import NAMES, NOW, OPERATOR, TENANT, catalogue, days, given, staff

TAKEN_OVER = Imported("old.csv", 1)
ADA = staff("ada", "administrator")


def point(path: str, dimension: str = "territory", **more: object) -> AddPoint:
    given_fields = {"tenant": TENANT, "dimension": dimension, "path": path, "names": NAMES}
    return AddPoint(**{**given_fields, **more})  # pyright: ignore[reportArgumentType]


def test_four_thousand_points_fold_in_a_third_of_a_second() -> None:
    events = [DimensionDeclared(at=NOW, by=OPERATOR, dimension="territory", names=NAMES)] + [
        PointAdded(at=NOW, by=OPERATOR, dimension="territory", path=f"CN/{n}", names=NAMES)
        for n in range(4_000)
    ]
    state: Catalogue | None = None
    begun = time.process_time()
    for event in events:
        state = evolve(state, event)
    took = time.process_time() - begun
    assert state is not None
    assert state.dimensions["territory"].count == 4_000
    assert [path for path, _ in points(state, "territory")] == sorted(
        f"CN/{n}" for n in range(4_000)
    )
    assert took < 0.3


def test_a_state_stays_as_it_was_when_the_next_event_comes() -> None:
    before = given(catalogue("territory", points=[("territory", "CN/31")])).state(TENANT)
    after = evolve(
        before,
        PointAdded(at=NOW, by=OPERATOR, dimension="territory", path="CN/32", names=NAMES),
    )
    assert [path for path, _ in points(before, "territory")] == ["CN/31"]
    assert [path for path, _ in points(after, "territory")] == ["CN/31", "CN/32"]


def test_points_of_a_dimension_nobody_declared_are_none() -> None:
    state = given(catalogue("territory")).state(TENANT)
    assert list(points(state, "product")) == []
    assert find(state, "product", "tea") is None


def test_a_point_stands_from_its_begin_until_its_end() -> None:
    some = Point(NAMES, NOW, NOW + days(1))
    assert point_status_at(some, NOW - days(1)) == "planned"
    assert point_status_at(some, NOW) == "standing"
    assert point_status_at(some, NOW + days(1)) == "ended"
    assert point_status_at(None, NOW) == "none"
    assert point_status_at(Point(NAMES), NOW) == "standing"


def test_attributes_place_a_point_on_known_points_of_other_dimensions() -> None:
    world = given(ADA, catalogue("territory", "shop", points=[("territory", "CN/31")]))
    placed = {"territory": "CN/31"}
    world = world.when(point("online/8123", "shop", attributes=placed), "ada").then(
        "catalogue.point_added.1"
    )
    found = find(world.state(TENANT), "shop", "online/8123")
    assert found is not None
    assert found.attributes == placed
    for attributes, code in (
        ({"territory": "CN/13"}, "catalogue.point_unknown"),
        ({"season": "summer"}, "catalogue.dimension_unknown"),
        ({"shop": "online/8123"}, "catalogue.attribute_own"),
    ):
        world.when(point("online/9", "shop", attributes=attributes), "ada").then_refused(code)


def test_a_point_that_ended_long_ago_is_added_with_its_end_and_only_so() -> None:
    world = given(ADA, catalogue("territory"))
    old = point("CN/99", from_=NOW - days(900), until=NOW - days(90))
    world = world.when(old, "ada").then("catalogue.point_added.1")
    world.when(old, "ada").then_nothing()
    empty = point("CN/98", from_=NOW, until=NOW)
    world.when(empty, "ada").then_refused("catalogue.term_empty")


def test_an_end_may_be_moved_until_it_has_come() -> None:
    world = given(ADA, catalogue("territory", points=[("territory", "CN/31")]))
    later = EndPoint(tenant=TENANT, dimension="territory", path="CN/31", ends_at=NOW + days(9))
    sooner = EndPoint(tenant=TENANT, dimension="territory", path="CN/31", ends_at=NOW + days(2))
    world = world.when(later, "ada").then("catalogue.point_ended.1")
    world = world.when(sooner, "ada").then("catalogue.point_ended.1")
    world.when(later, "ada", at=NOW + days(2)).then_refused("catalogue.state")


@pytest.mark.parametrize("code", ["", "a b", "a/b", "*", "x" * 65, "e\u0301"])
def test_a_dimension_has_a_clear_code(code: str) -> None:
    declare = DeclareDimension(tenant=TENANT, dimension=code, names=NAMES)
    given(ADA).when(declare, "ada").then_refused("code.malformed", field="dimension")


@pytest.mark.parametrize("names", [Names("", "x"), Names("x", " "), Names("x", "y" * 201)])
def test_a_thing_has_names_in_both_languages(names: Names) -> None:
    declare = DeclareDimension(tenant=TENANT, dimension="territory", names=names)
    given(ADA).when(declare, "ada").then_refused("names.malformed")


def test_there_is_a_limit_to_dimensions_and_points(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(catalogues, "MAX_DIMENSIONS", 1)
    monkeypatch.setattr(catalogues, "MAX_POINTS", 1)
    world = given(ADA, catalogue("territory", points=[("territory", "CN/31")]))
    declare = DeclareDimension(tenant=TENANT, dimension="product", names=NAMES)
    world.when(declare, "ada").then_refused("catalogue.too_many", limit=1)
    world.when(point("CN/32"), "ada").then_refused("catalogue.too_many", limit=1)


OUT_OF_ORDER = [
    PointAdded(at=NOW, by=OPERATOR, dimension="d", path="p", names=NAMES),
    PointRenamed(at=NOW, by=OPERATOR, dimension="d", path="p", names=NAMES),
    PointEnded(at=NOW, by=OPERATOR, dimension="d", path="p", ends_at=NOW),
]


@pytest.mark.parametrize("event", OUT_OF_ORDER)
def test_a_point_of_nothing_is_impossible_and_irregular_when_imported(
    event: PointAdded | PointRenamed | PointEnded,
) -> None:
    with pytest.raises(Impossible):
        evolve(None, event)
    state = evolve(None, replace(event, imported=TAKEN_OVER))
    assert state.irregular
    assert find(state, "d", "p") is not None


def test_a_dimension_declared_twice_in_old_records_keeps_its_points() -> None:
    before = given(catalogue("territory", points=[("territory", "CN/31")])).state(TENANT)
    again = DimensionDeclared(
        at=NOW, by=OPERATOR, dimension="territory", names=Names("新", "n"), imported=TAKEN_OVER
    )
    after = evolve(before, again)
    assert after.irregular
    assert find(after, "territory", "CN/31") is not None


def test_attributes_of_a_point_are_written_as_given() -> None:
    kept = given(catalogue("territory", "shop", points=[("territory", "CN/31")])).state(TENANT)
    events = catalogues.add_point(
        kept,
        dimension="shop",
        path="s",
        names=NAMES,
        attributes=MappingProxyType({"territory": "CN/31"}),
        act=given(ADA).when(point("x"), "ada").view.act,
    )
    assert [getattr(event, "attributes", None) for event in events] == [{"territory": "CN/31"}]
