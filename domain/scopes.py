"""Scopes: which points of the catalogue a right covers, and what two scopes have in common.

A *path* names a place in one dimension: `CN/31/0115`, `茶/绿茶/龙井`. A *pattern* is a path, which
covers itself and all below it, or `*` alone, which covers every path of its dimension. A *scope*
names a non-empty set of patterns for each dimension its kind declares. A *point* names one path for
each dimension it knows of.

A scope covers a point when every dimension of the scope is named by the point and covered there.
Nothing is unrestricted by omission: a dimension that the scope has and the point lacks is not
covered, and a scope without dimensions covers nothing. What the point says about dimensions the
scope does not have makes no difference. The rest of the algebra follows from that alone, also for
scopes of different dimensions (two versions of one policy may declare different ones): `overlap`
covers a point exactly when both scopes do, `within` says that the parent covers whatever the child
covers, `difference` covers a point exactly when the first scope does and the second does not.

Every function is pure and total: any text has an answer, none an exception. A text that is not well
formed covers nothing and is covered by nothing, not even by `*`.
"""

import unicodedata
from collections.abc import Collection, Iterable, Mapping
from typing import NewType

import msgspec

Path = str
Pattern = str
Scope = Mapping[str, tuple[Pattern, ...]]
"""Dimension -> patterns. Inside structs a plain dict; keep what is stored in `normal` form."""
Point = Mapping[str, Path]
"""Dimension -> path."""
Asked = NewType("Asked", Mapping[str, tuple[Pattern, ...]])
"""Dimension -> every pattern that would cover the asked path; made by `asked`, once a question."""

ANY = "*"

MAX_SEGMENT = 128  # characters (code points) between two slashes
MAX_PATH = 512  # characters of a whole path, slashes included
MAX_DEPTH = 16  # segments of a path
MAX_PATTERNS = 1_000  # patterns in one dimension of a scope
MAX_DIMENSIONS = 16  # dimensions of a scope

# Control and format characters, lone surrogates, line and paragraph separators cannot be seen: two
# paths that differ in them alone would look the same to whoever approves one of them.
_UNSEEN = frozenset({"Cc", "Cf", "Cs", "Zl", "Zp"})


class ScopeFault(msgspec.Struct, frozen=True, gc=False):
    """Why something is no scope; `dimension` and `pattern` are empty where the code needs none."""

    code: str
    dimension: str = ""
    pattern: str = ""


class Piece(msgspec.Struct, frozen=True, gc=False):
    """One box of a difference: what `scope` covers, except what `but_not` takes out.

    A point is in the piece when `scope` covers it and in no dimension of `but_not` the patterns
    named there cover its path. A dimension that `but_not` lacks has nothing taken out; a point that
    does not name a dimension of `but_not` loses nothing by it. What is left of a pattern when one
    below it is taken away cannot be listed without the catalogue, so it is described: `CN/31` but
    not `CN/31/0115`. Membership is exact, whatever points the catalogue has now or later.
    """

    scope: Scope
    but_not: Scope

    def covers(self, point: Point) -> bool:
        """Whether the point is in this piece."""
        return covers(self.scope, point) and not any(
            dimension in point and covers_path(patterns, point[dimension])
            for dimension, patterns in self.but_not.items()
        )


class Compiled(msgspec.Struct, frozen=True, gc=False):
    """A scope made ready for many questions: a set probe for each prefix of each asked path."""

    dimensions: tuple[tuple[str, frozenset[Pattern]], ...]

    def covers(self, question: Asked) -> bool:
        """The answer of `covers(scope, point)`, where `question` is `asked(point)`."""
        for dimension, patterns in self.dimensions:
            if patterns.isdisjoint(question.get(dimension, ())):
                return False
        return bool(self.dimensions)

    def first_uncovered(self, question: Asked) -> tuple[str, str] | None:
        """The answer of `first_uncovered(scope, point)`, where `question` is `asked(point)`."""
        for dimension, patterns in self.dimensions:
            prefixes_asked = question.get(dimension)
            if prefixes_asked is None:
                return dimension, "scope.dimension_missing"
            if patterns.isdisjoint(prefixes_asked):
                return dimension, "scope.not_covered"
        return None if self.dimensions else ("", "scope.not_covered")


# --- what is well formed --------------------------------------------------------------------------


def path_fault(text: str) -> str | None:
    """Return why the text is no path, or None when it is one.

    The codes are stable; the first that applies of: `empty`, `too_long` (the whole text), `star`,
    `too_deep`, `empty_segment`, `too_long` (a segment), `control` (an unseen character), `not_nfc`.
    """
    if not text:
        return "empty"
    if len(text) > MAX_PATH:  # first, so that no later test is paid for a text of any length
        return "too_long"
    if "*" in text:
        return "star"
    segments = text.split("/")
    if len(segments) > MAX_DEPTH:
        return "too_deep"
    if "" in segments:
        return "empty_segment"
    if len(text) > MAX_SEGMENT and max(map(len, segments)) > MAX_SEGMENT:
        return "too_long"
    if text.isascii() and text.isprintable():  # nothing below can apply; most paths end here
        return None
    if any(unicodedata.category(character) in _UNSEEN for character in text):
        return "control"
    return None if unicodedata.is_normalized("NFC", text) else "not_nfc"


def pattern_fault(text: str) -> str | None:
    """Return why the text is no pattern, or None when it is one; the codes of `path_fault`."""
    return None if text == ANY else path_fault(text)


def scope_fault(scope: Scope, declared: Collection[str] | None = None) -> ScopeFault | None:
    """Return the first thing that makes this no scope, in the order of dimension names, or None.

    With `declared`, the dimensions that the kind declares, it must name each of them and no other.
    Codes: `no_dimension`, `too_many_dimensions`, `dimension_missing`, `dimension_unknown`,
    `dimension_name` (a dimension's name is one segment), `no_pattern`, `too_many_patterns`, and
    those of `path_fault`.
    """
    if not scope:
        return ScopeFault("no_dimension")
    if len(scope) > MAX_DIMENSIONS:
        return ScopeFault("too_many_dimensions")
    for dimension in sorted({*scope, *(declared or ())}):
        if dimension not in scope:
            return ScopeFault("dimension_missing", dimension)
        if declared is not None and dimension not in declared:
            return ScopeFault("dimension_unknown", dimension)
        if "/" in dimension or path_fault(dimension) is not None:
            return ScopeFault("dimension_name", dimension)
        patterns = scope[dimension]
        if not patterns:
            return ScopeFault("no_pattern", dimension)
        if len(patterns) > MAX_PATTERNS:
            return ScopeFault("too_many_patterns", dimension)
        for pattern in patterns:
            code = pattern_fault(pattern)
            if code is not None:
                return ScopeFault(code, dimension, pattern)
    return None


def valid(scope: Scope) -> bool:
    """Whether this is a scope: `scope_fault` without a kind's dimensions finds nothing."""
    return scope_fault(scope) is None


def normal(scope: Scope) -> dict[str, tuple[Pattern, ...]]:
    """Return the one form that all scopes covering the same points share.

    Dimensions sorted by name; patterns sorted by code point, each once, none covered by another of
    its dimension, so `*` stands alone. What is not well formed covers nothing and is left out; a
    dimension where nothing remains keeps `()`, and the scope then covers nothing.
    """
    return {dimension: _normal(scope[dimension]) for dimension in sorted(scope)}


# --- what is covered ------------------------------------------------------------------------------


def prefixes(path: Path) -> tuple[Pattern, ...]:
    """Return every pattern that covers the path, widest first: `*`, `CN`, `CN/31`, `CN/31/0115`.

    Empty when the text is no path: no pattern covers it.
    """
    if path_fault(path) is not None:
        return ()
    found = [ANY]
    cut = path.find("/")
    while cut >= 0:
        found.append(path[:cut])
        cut = path.find("/", cut + 1)
    found.append(path)
    return tuple(found)


def covers_path(patterns: Collection[Pattern], path: Path) -> bool:
    """Whether one of the patterns of a dimension covers the path."""
    return any(pattern in patterns for pattern in prefixes(path))


def covers(scope: Scope, point: Point) -> bool:
    """Whether the point names every dimension of the scope and is covered in each."""
    return first_uncovered(scope, point) is None


def first_uncovered(scope: Scope, point: Point) -> tuple[str, str] | None:
    """Return the first dimension, by name, in which the point is not covered and why, or None.

    Reasons: `scope.dimension_missing` (the point does not name the dimension), `scope.not_covered`.
    A scope without dimensions covers nothing: `("", "scope.not_covered")`.
    """
    for dimension in sorted(scope):
        if dimension not in point:
            return dimension, "scope.dimension_missing"
        if not covers_path(scope[dimension], point[dimension]):
            return dimension, "scope.not_covered"
    return None if scope else ("", "scope.not_covered")


def asked(point: Point) -> Asked:
    """Return the point as `Compiled` wants it: work done once a question, not once a scope."""
    return Asked({dimension: prefixes(path) for dimension, path in point.items()})


def compile_scope(scope: Scope) -> Compiled:
    """Return the scope ready for many questions; it gives the same answers as the scope itself."""
    return Compiled(tuple((name, frozenset(scope[name])) for name in sorted(scope)))


# --- two scopes -----------------------------------------------------------------------------------


def within(child: Scope, parent: Scope) -> bool:
    """Whether the parent covers whatever the child covers.

    The child may have dimensions that the parent lacks (it is the narrower for it), never the
    reverse. False, to fail closed, when the child has no dimension, or one without patterns, or a
    pattern that is not well formed: what nobody can have meant is not waved through.
    """
    if not parent or not _whole(child) or not parent.keys() <= child.keys():
        return False
    return not any(_beyond(child[dimension], patterns) for dimension, patterns in parent.items())


def overlap(a: Scope, b: Scope) -> dict[str, tuple[Pattern, ...]] | None:
    """Return the scope that covers a point exactly when both do, None when they share no point.

    In normal form, with the dimensions of both; it can have more patterns than one scope may.
    """
    if not a or not b:
        return None
    shared: dict[str, tuple[Pattern, ...]] = {}
    for dimension in sorted({*a, *b}):
        if dimension in a and dimension in b:
            patterns = _both(a[dimension], b[dimension])
        else:
            patterns = _normal(a[dimension] if dimension in a else b[dimension])
        if not patterns:
            return None
        shared[dimension] = patterns
    return shared


def difference(a: Scope, b: Scope) -> tuple[Piece, ...]:
    """Return disjoint pieces that together cover a point exactly when `a` does and `b` does not.

    At most one piece a dimension of `b`; none exactly when `a` covers nothing or is within `b`. No
    piece is empty: each covers the very paths that its scope names, given for the dimensions that
    only `but_not` names a point that is silent about them.
    """
    left = normal(a)
    if not left or not all(left.values()):
        return ()
    if overlap(left, b) is None:
        return (Piece(left, {}),)
    pieces: list[Piece] = []
    # `left` narrows, dimension after dimension, to what `b` covers too; so the pieces are disjoint.
    for dimension in sorted(b):
        taken = _normal(b[dimension])
        if dimension in left:
            rest = _beyond(left[dimension], taken)
            if rest:
                holes = _inside(taken, rest)
                pieces.append(Piece({**left, dimension: rest}, {dimension: holes} if holes else {}))
            left = {**left, dimension: _both(left[dimension], taken)}
        else:
            pieces.append(Piece(left, {dimension: taken}))
            left = normal({**left, dimension: taken})
    return tuple(pieces)


# --- patterns of one dimension --------------------------------------------------------------------


def _under(patterns: frozenset[Pattern], pattern: Pattern) -> bool:
    """Whether all that the pattern covers is covered by the patterns.

    One of them must do it alone: a pattern covers its own path, and what covers that path covers
    all below it; and no finite set of paths covers everything, so only `*` covers `*`.
    """
    return ANY in patterns if pattern == ANY else covers_path(patterns, pattern)


def _inside(patterns: Iterable[Pattern], others: Iterable[Pattern]) -> tuple[Pattern, ...]:
    """Return those of the patterns that the others cover as a whole."""
    others = frozenset(others)
    return tuple(pattern for pattern in patterns if _under(others, pattern))


def _beyond(patterns: Iterable[Pattern], others: Iterable[Pattern]) -> tuple[Pattern, ...]:
    """Return those of the patterns that the others do not cover as a whole."""
    others = frozenset(others)
    return tuple(pattern for pattern in patterns if not _under(others, pattern))


def _both(a: Collection[Pattern], b: Collection[Pattern]) -> tuple[Pattern, ...]:
    """Return, in normal form, the patterns for what both sets cover."""
    return _normal(_inside(a, b) + _inside(b, a))


def _normal(patterns: Iterable[Pattern]) -> tuple[Pattern, ...]:
    known = frozenset(pattern for pattern in patterns if pattern_fault(pattern) is None)
    if ANY in known:
        return (ANY,)
    return tuple(sorted(path for path in known if known.isdisjoint(prefixes(path)[:-1])))


def _whole(scope: Scope) -> bool:
    """Whether there is a dimension, and every dimension has patterns, all well formed."""
    return bool(scope) and all(
        patterns and all(pattern_fault(pattern) is None for pattern in patterns)
        for patterns in scope.values()
    )
