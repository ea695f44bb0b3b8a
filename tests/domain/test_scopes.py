"""The scope algebra against a brute-force reading of its definition over a small catalogue.

The oracle splits paths into segments and compares lists; it shares no code with `domain.scopes`.
The catalogue has segments that no pattern names (`外`), so that "everything" and "all that is
listed" differ in it, and points that leave a dimension out.
"""

from collections.abc import Mapping
from itertools import product

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from domain import scopes
from domain.scopes import Piece

LAWS = settings(max_examples=100, deadline=None)

Scope = Mapping[str, tuple[str, ...]]


# --- the oracle and its catalogue ----------------------------------------------------------------


def tree(segments: tuple[str, ...], depth: int) -> list[str]:
    return ["/".join(way) for size in range(1, depth + 1) for way in product(segments, repeat=size)]


TERRITORY = tree(("华", "东"), 3)
PRODUCT = tree(("茶", "tea"), 2)
PLACES = tree(("华", "东", "外"), 3)
GOODS = tree(("茶", "tea", "外"), 2)
POINTS = [
    {name: path for name, path in (("territory", place), ("product", goods)) if path is not None}
    for place, goods in product([None, *PLACES], [None, *GOODS])
]


def holds(scope: Scope, point: Mapping[str, str]) -> bool:
    """Whether the scope covers the point, by the words of the definition."""
    if not scope:
        return False
    for dimension, patterns in scope.items():
        if dimension not in point:
            return False
        way = point[dimension].split("/")
        hit = False
        for pattern in patterns:
            steps = pattern.split("/")
            hit = hit or pattern == "*" or way[: len(steps)] == steps
        if not hit:
            return False
    return True


def in_piece(piece: Piece, point: Mapping[str, str]) -> bool:
    """Whether the point is in the piece, by the words of its docstring."""
    return holds(piece.scope, point) and not any(
        dimension in point and holds({dimension: patterns}, {dimension: point[dimension]})
        for dimension, patterns in piece.but_not.items()
    )


def covered_points(scope: Scope) -> set[int]:
    return {index for index, point in enumerate(POINTS) if holds(scope, point)}


def patterns(paths: list[str]) -> st.SearchStrategy[tuple[str, ...]]:
    some = st.lists(st.sampled_from(paths), min_size=1, max_size=4).map(tuple)
    return st.one_of(some, some, st.just(("*",)), some.map(lambda found: (*found, "*")))


WHERE = st.fixed_dictionaries({"territory": patterns(TERRITORY)})
WHAT = st.fixed_dictionaries({"product": patterns(PRODUCT)})
BOTH = st.fixed_dictionaries({"territory": patterns(TERRITORY), "product": patterns(PRODUCT)})
SCOPES = st.one_of(BOTH, BOTH, BOTH, WHERE, WHAT)

# Texts near the edge of what is well formed, and any text at all.
ODD = st.one_of(
    st.sampled_from(
        [
            "",
            "*",
            "/",
            "//",
            "a/",
            "/a",
            "a//b",
            "a/*",
            "*/a",
            "**",
            "\x00",
            "\ud800",
            "e\u0301",
            "茶",
        ]
    ),
    st.text(st.sampled_from("茶a/*\u0301\u200b"), max_size=8),
    st.text(st.characters(codec=None), max_size=8),
)
ODD_SCOPES = st.dictionaries(
    st.one_of(st.sampled_from(["territory", "product"]), ODD),
    st.lists(st.one_of(ODD, st.sampled_from(TERRITORY)), max_size=4).map(tuple),
    max_size=3,
)
ODD_POINTS = st.dictionaries(
    st.one_of(st.sampled_from(["territory", "product"]), ODD),
    st.one_of(ODD, st.sampled_from(PLACES)),
    max_size=3,
)


# --- laws ----------------------------------------------------------------------------------------


@LAWS
@given(SCOPES)
def test_a_scope_covers_exactly_the_points_its_words_say(scope: Scope) -> None:
    for point in POINTS:
        assert scopes.covers(scope, point) == holds(scope, point), point


@LAWS
@given(SCOPES)
def test_a_compiled_scope_gives_the_same_answers_and_reasons(scope: Scope) -> None:
    compiled = scopes.compile_scope(scope)
    for point in POINTS:
        question = scopes.asked(point)
        assert compiled.covers(question) == holds(scope, point), point
        assert compiled.first_uncovered(question) == scopes.first_uncovered(scope, point), point


@LAWS
@given(SCOPES)
def test_the_first_uncovered_dimension_is_the_first_by_name_that_fails(scope: Scope) -> None:
    for point in POINTS:
        failing = [
            (name, "scope.not_covered" if name in point else "scope.dimension_missing")
            for name in ("product", "territory")
            if name in scope and not holds({name: scope[name]}, point)
        ]
        assert scopes.first_uncovered(scope, point) == (failing[0] if failing else None), point


@LAWS
@given(SCOPES)
def test_the_normal_form_covers_the_same_and_is_its_own_normal_form(scope: Scope) -> None:
    normal = scopes.normal(scope)
    assert covered_points(normal) == covered_points(scope)
    assert scopes.normal(normal) == normal
    assert scopes.valid(normal)
    assert list(normal) == sorted(scope)
    for listed in normal.values():
        assert list(listed) == sorted(set(listed))
        assert "*" not in listed or listed == ("*",)
        for one, other in product(listed, repeat=2):
            assert one == other or not holds({"d": (one,)}, {"d": other}), (one, other)


@LAWS
@given(SCOPES)
def test_the_order_and_repetition_of_patterns_make_no_difference(scope: Scope) -> None:
    mixed = {name: scope[name][::-1] + scope[name][:1] for name in sorted(scope, reverse=True)}
    assert list(scopes.normal(mixed).items()) == list(scopes.normal(scope).items())


@LAWS
@given(SCOPES, SCOPES)
def test_two_scopes_cover_the_same_exactly_when_their_normal_forms_are_equal(
    a: Scope, b: Scope
) -> None:
    same = covered_points(a) == covered_points(b)
    assert (scopes.normal(a) == scopes.normal(b)) == same


@LAWS
@given(SCOPES, SCOPES)
def test_within_means_that_the_parent_covers_whatever_the_child_covers(a: Scope, b: Scope) -> None:
    narrowed = scopes.overlap(a, b) or a
    for child, parent in ((a, b), (b, a), (narrowed, a), (narrowed, b), (a, a)):
        assert scopes.within(child, parent) == (covered_points(child) <= covered_points(parent))


@LAWS
@given(SCOPES, SCOPES, SCOPES)
def test_within_passes_through(a: Scope, b: Scope, c: Scope) -> None:
    inner = scopes.overlap(a, b)
    innermost = inner and scopes.overlap(inner, c)
    if inner and innermost:
        assert scopes.within(innermost, inner)
        assert scopes.within(inner, a)
        assert scopes.within(innermost, a)


@LAWS
@given(SCOPES, SCOPES)
def test_the_overlap_covers_a_point_exactly_when_both_scopes_do(a: Scope, b: Scope) -> None:
    shared = scopes.overlap(a, b)
    both = covered_points(a) & covered_points(b)
    assert (shared is None) == (not both)
    if shared is not None:
        assert covered_points(shared) == both
        assert scopes.normal(shared) == shared
        assert scopes.within(shared, a)
        assert scopes.within(shared, b)


@LAWS
@given(SCOPES, SCOPES, SCOPES)
def test_the_overlap_knows_no_order(a: Scope, b: Scope, c: Scope) -> None:
    assert scopes.overlap(a, b) == scopes.overlap(b, a)
    assert scopes.overlap(a, a) == scopes.normal(a)
    left, right = scopes.overlap(a, b), scopes.overlap(b, c)
    assert (left and scopes.overlap(left, c)) == (right and scopes.overlap(a, right))


@LAWS
@given(SCOPES, SCOPES)
def test_the_difference_covers_a_point_exactly_when_the_first_does_and_the_second_does_not(
    a: Scope, b: Scope
) -> None:
    pieces = scopes.difference(a, b)
    assert len(pieces) <= len(b)
    for point in POINTS:
        members = [piece for piece in pieces if in_piece(piece, point)]
        assert len(members) == (holds(a, point) and not holds(b, point)), point
        assert [piece for piece in pieces if piece.covers(point)] == members, point


@LAWS
@given(SCOPES, SCOPES)
def test_the_difference_is_empty_exactly_within_and_no_piece_of_it_is(a: Scope, b: Scope) -> None:
    pieces = scopes.difference(a, b)
    assert (pieces == ()) == scopes.within(a, b)
    for piece in pieces:
        assert any(in_piece(piece, point) for point in POINTS), piece
        assert scopes.normal(piece.scope) == piece.scope
        assert scopes.normal(piece.but_not) == piece.but_not


@LAWS
@given(SCOPES, SCOPES)
def test_overlap_and_difference_make_up_the_whole(a: Scope, b: Scope) -> None:
    shared = scopes.overlap(a, b)
    pieces = scopes.difference(a, b)
    rest = {
        index
        for index, point in enumerate(POINTS)
        if any(in_piece(piece, point) for piece in pieces)
    }
    assert rest | (covered_points(shared) if shared else set()) == covered_points(a)


# --- odd input -----------------------------------------------------------------------------------


@LAWS
@given(ODD_SCOPES, ODD_SCOPES, ODD_POINTS)
def test_every_function_has_an_answer_for_any_text_and_the_laws_still_hold(
    a: Scope, b: Scope, point: Mapping[str, str]
) -> None:
    in_a, in_b = scopes.covers(a, point), scopes.covers(b, point)
    assert scopes.valid(a) == (scopes.scope_fault(a) is None)
    assert scopes.covers(scopes.normal(a), point) == in_a
    assert (scopes.first_uncovered(a, point) is None) == in_a
    compiled, question = scopes.compile_scope(a), scopes.asked(point)
    assert compiled.covers(question) == in_a
    assert compiled.first_uncovered(question) == scopes.first_uncovered(a, point)
    shared = scopes.overlap(a, b)
    assert (shared is not None and scopes.covers(shared, point)) == (in_a and in_b)
    assert shared == scopes.overlap(b, a)
    pieces = [piece for piece in scopes.difference(a, b) if piece.covers(point)]
    assert len(pieces) == (in_a and not in_b)
    if scopes.within(a, b):
        assert in_b or not in_a
    if in_a:
        assert all(scopes.path_fault(point[dimension]) is None for dimension in a)


@LAWS
@given(ODD)
def test_what_is_no_path_is_covered_by_nothing(text: str) -> None:
    covered = scopes.covers_path(("*", text), text)
    assert covered == (scopes.path_fault(text) is None)
    assert (scopes.prefixes(text) == ()) == (not covered)


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("CN/31/0115", None),
        ("online/tmall/shop-8123", None),
        ("茶/绿茶/西湖龙井 (特级)", None),
        ("caf\u00e9", None),
        ("𠮷野家", None),  # a character beyond the basic plane
        ("", "empty"),
        ("*", "star"),
        ("CN/*", "star"),
        ("shop*", "star"),
        ("/", "empty_segment"),
        ("CN/", "empty_segment"),
        ("/CN", "empty_segment"),
        ("CN//31", "empty_segment"),
        ("cafe\u0301", "not_nfc"),
        ("\u2126", "not_nfc"),  # OHM SIGN, which NFC turns into a Greek letter
        ("CN\x00", "control"),
        ("CN\n", "control"),
        ("CN\x7f", "control"),
        ("茶\u0085", "control"),
        ("茶\u200b", "control"),
        ("\u202e茶", "control"),
        ("茶\u2028", "control"),
        ("茶\u2029", "control"),
        ("\ud800", "control"),
        ("a" * 128, None),
        ("茶" * 128, None),
        ("a" * 129, "too_long"),
        ("茶/" + "a" * 128, None),
        ("茶/" + "a" * 129, "too_long"),
        ("/".join(["a" * 127] * 4), None),
        ("/".join(["a" * 127] * 4) + "/", "empty_segment"),
        ("/".join(["a" * 127] * 4) + "/a", "too_long"),
        ("/".join("a" * 16), None),
        ("/".join("a" * 17), "too_deep"),
    ],
)
def test_a_path_is_refused_with_the_code_of_its_fault(text: str, code: str | None) -> None:
    assert scopes.path_fault(text) == code
    assert scopes.pattern_fault(text) == (None if text == "*" else code)


@pytest.mark.parametrize(
    ("scope", "declared", "fault"),
    [
        ({"territory": ("CN",)}, None, None),
        ({"territory": ("CN", "CN/31", "*")}, None, None),
        ({"地区": ("中国/上海",)}, {"地区"}, None),
        ({}, None, ("no_dimension", "", "")),
        ({"territory": ()}, None, ("no_pattern", "territory", "")),
        ({"territory": ("CN", "CN/*")}, None, ("star", "territory", "CN/*")),
        ({"territory": ("",)}, None, ("empty", "territory", "")),
        ({"a/b": ("CN",)}, None, ("dimension_name", "a/b", "")),
        ({"": ("CN",)}, None, ("dimension_name", "", "")),
        ({"*": ("CN",)}, None, ("dimension_name", "*", "")),
        ({"b": ("",), "a": ()}, None, ("no_pattern", "a", "")),
        ({"territory": ("CN",)}, {"territory", "product"}, ("dimension_missing", "product", "")),
        ({"territory": ("CN",)}, {"product"}, ("dimension_missing", "product", "")),
        ({"territory": ("CN",), "z": ("1",)}, {"territory"}, ("dimension_unknown", "z", "")),
        ({"territory": ("CN",)}, set(), ("dimension_unknown", "territory", "")),
        ({"p": tuple(map(str, range(1000)))}, None, None),
        ({"p": tuple(map(str, range(1001)))}, None, ("too_many_patterns", "p", "")),
        ({str(name): ("a",) for name in range(16)}, None, None),
        ({str(name): ("a",) for name in range(17)}, None, ("too_many_dimensions", "", "")),
    ],
)
def test_a_scope_is_refused_with_its_first_fault(
    scope: Scope, declared: set[str] | None, fault: tuple[str, str, str] | None
) -> None:
    found = scopes.scope_fault(scope, declared)
    assert (found and (found.code, found.dimension, found.pattern)) == fault
    if declared is None:
        assert scopes.valid(scope) == (fault is None)
