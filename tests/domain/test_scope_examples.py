"""The scope algebra by example: what dealers, territories and goods look like in it."""

from domain import scopes
from domain.scopes import Piece


def test_a_pattern_covers_itself_and_all_below_but_no_longer_name() -> None:
    scope = {"territory": ("中国/上海",)}
    assert scopes.covers(scope, {"territory": "中国/上海"})
    assert scopes.covers(scope, {"territory": "中国/上海/浦东新区"})
    assert not scopes.covers(scope, {"territory": "中国/上海市"})
    assert not scopes.covers(scope, {"territory": "中国"})
    assert not scopes.covers(scope, {"territory": "中国/江苏/苏州"})


def test_a_dimension_the_point_lacks_is_not_covered_even_by_a_star() -> None:
    scope = {"territory": ("*",), "product": ("茶",)}
    assert scopes.first_uncovered(scope, {"product": "茶/绿茶"}) == (
        "territory",
        "scope.dimension_missing",
    )
    assert scopes.first_uncovered(scope, {"territory": "CN/31", "product": "酒"}) == (
        "product",
        "scope.not_covered",
    )
    assert scopes.covers(scope, {"territory": "CN/31", "product": "茶", "channel": "线上/天猫"})


def test_a_scope_without_dimensions_covers_nothing_and_is_within_nothing() -> None:
    assert scopes.first_uncovered({}, {"territory": "CN"}) == ("", "scope.not_covered")
    assert not scopes.compile_scope({}).covers(scopes.asked({"territory": "CN"}))
    assert not scopes.within({}, {"territory": ("*",)})
    assert not scopes.within({"territory": ("CN",)}, {})
    assert scopes.overlap({}, {"territory": ("*",)}) is None
    assert scopes.difference({}, {"territory": ("*",)}) == ()
    assert scopes.difference({"territory": ("*",)}, {}) == (Piece({"territory": ("*",)}, {}),)


def test_the_normal_form_keeps_no_pattern_below_another() -> None:
    scope = {"territory": ("CN/32", "CN/31/0115", "CN/31", "CN/32"), "product": ("茶", "*")}
    assert scopes.normal(scope) == {"product": ("*",), "territory": ("CN/31", "CN/32")}


def test_the_overlap_of_two_exclusive_territories_is_the_very_part_they_share() -> None:
    east = {"territory": ("中国/上海", "中国/江苏"), "product": ("茶/绿茶",)}
    tea = {"territory": ("中国/江苏/苏州", "中国/浙江"), "product": ("茶",)}
    assert scopes.overlap(east, tea) == {"product": ("茶/绿茶",), "territory": ("中国/江苏/苏州",)}
    assert scopes.overlap(east, {"territory": ("中国/浙江",), "product": ("*",)}) is None


def test_scopes_of_two_policy_versions_with_other_dimensions_still_overlap() -> None:
    before = {"territory": ("CN/31",)}
    after = {"territory": ("CN",), "product": ("茶",)}
    assert scopes.overlap(before, after) == {"product": ("茶",), "territory": ("CN/31",)}
    assert scopes.within({"territory": ("CN/31",), "product": ("茶",)}, before)
    assert not scopes.within(before, after)
    assert scopes.difference(before, after) == (
        Piece({"territory": ("CN/31",)}, {"product": ("茶",)}),
    )


def test_what_is_left_of_a_territory_is_described_by_what_it_lacks() -> None:
    whole = {"territory": ("CN/31", "CN/32"), "product": ("茶",)}
    away = {"territory": ("CN/31/0115", "CN/32"), "product": ("茶/绿茶", "酒")}
    assert scopes.difference(whole, away) == (
        Piece({"product": ("茶",), "territory": ("CN/31", "CN/32")}, {"product": ("茶/绿茶",)}),
        Piece({"product": ("茶/绿茶",), "territory": ("CN/31",)}, {"territory": ("CN/31/0115",)}),
    )
    assert scopes.difference(away, {"territory": ("CN",), "product": ("*",)}) == ()
    apart = {"territory": ("CN/33",), "product": ("茶",)}
    assert scopes.difference(whole, apart) == (Piece(scopes.normal(whole), {}),)


def test_a_child_with_a_pattern_that_is_not_well_formed_is_within_nothing() -> None:
    assert not scopes.within({"territory": ("CN", "CN/")}, {"territory": ("*",)})
    assert not scopes.within({"territory": ("CN",), "product": ()}, {"territory": ("*",)})
    assert not scopes.within({"territory": ("CN",), "product": ("a//b",)}, {"territory": ("*",)})
    assert scopes.within({"territory": ("*",)}, {"territory": ("CN", "*")})
    assert not scopes.within({"territory": ("*",)}, {"territory": ("CN", "HK")})


def test_the_widest_scopes_there_may_be_are_compared() -> None:
    wide = tuple(f"CN/{number:04}/a/b/c/d" for number in range(scopes.MAX_PATTERNS))
    names = [f"d{number:02}" for number in range(scopes.MAX_DIMENSIONS)]
    a = dict.fromkeys(names, wide)
    b = dict.fromkeys(names, tuple(f"{path}/e" for path in wide))
    assert scopes.overlap(a, b) == b
    assert scopes.within(b, a)
    assert len(scopes.difference(a, b)) == len(names)
