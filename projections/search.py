"""Searches: who may do this here, where may they do it, what may they do there.

Every result is a check's answer: candidates come from the inline tables, what they rest on through
the reader of checks, and the check's own decision says of each whether it is one. A page is read in
one snapshot of the log.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable, Sequence
from contextlib import contextmanager
from typing import Any, Final, NamedTuple
from uuid import UUID

import psycopg
from msgspec.structs import replace
from psycopg.rows import tuple_row

from domain.errors import Refused
from domain.scopes import ANY, normal
from domain.values import Instant
from projections.check_rows import CHECK, Loaded, check_parameters, decide_from, loaded
from projections.checks import Question, require_ids

MAX_RESULTS: Final = 1_000
"""Results of a page at the most; who asks for more gets as many."""

MAX_SUBJECTS: Final = 2_048
MAX_POINTS: Final = 8_192
"""Candidates that one page looks at, at the most: then it ends, short or empty, and leads on."""

CHUNK: Final = 256
"""Candidates that are read together."""

PARTIES: Final = frozenset({"customer", "staff"})
"""Kinds of subjects that have streams; teams are points, and nobody else is ever given anything."""

TEAM: Final = "team"

Conn = psycopg.Connection[Any]


class Found(NamedTuple):
    """A page of a search: ids of subjects, paths of resources, or names of actions, in order.

    `last` is the key behind which the next page begins, None where the search has come to its end.
    `position` is the place in the log that the page rests on.
    """

    results: list[str]
    last: str | None
    position: int


def subjects(
    conn: Conn, question: Question, kind: str, *, after: str, limit: int, now: Instant
) -> Found:
    """Return the ids of those parties of this kind of whom the question is answered yes.

    In the order of their ids, behind `after` (empty: from the start), at most `limit`. The
    question's own subject makes no difference; `conn` is in autocommit. Raises `Refused`:
    `check.bad_id`, `tenant.unknown`, `position.not_reached`.
    """
    require_ids(replace(question, subject=kind))
    prefix, tenant = f"{kind}:", UUID(question.tenant)
    point = (f"{question.resource_type}/{question.resource_id}",)
    asked = (question.action, question.resource_type)
    everywhere = _ranges((ANY,))

    with _snapshot(conn, question) as position:

        def look(behind: str, size: int) -> tuple[Sequence[str], str | None]:
            if kind == TEAM:
                place = (tenant, TEAM, *everywhere, behind, size, question.as_of)
                return _full(_row(conn, _POINTS, place)[0], size)
            if kind not in PARTIES or "\0" in question.action:  # which no database can hold
                return (), None
            place = (tenant, kind, *asked, prefix + behind, size, question.as_of)
            refs, last = _row(conn, _SUBJECTS, place)
            ids = [ref.removeprefix(prefix) for ref in refs]
            return ids, None if last is None else last.removeprefix(prefix)

        def allowed(ids: Sequence[str]) -> Iterable[str]:
            found = _load(conn, question, [prefix + one for one in ids], point)
            for one in ids:
                if decide_from(found, replace(question, subject=prefix + one), now).allowed:
                    yield one

        return Found(*_walk(look, allowed, after, limit, MAX_SUBJECTS), position)


def resources(conn: Conn, question: Question, *, after: str, limit: int, now: Instant) -> Found:
    """Return the ids of those resources of the question's type of which it is answered yes.

    Points of the catalogue's dimension of that name, ended ones too, as a check allows them; for
    `customer` the customers, for `staff` the staff members. In the order of code points, behind
    `after`, at most `limit`. The question's own id makes no difference. Raises as `subjects` does.
    """
    dimension = question.resource_type
    require_ids(replace(question, resource_id=dimension))

    with _snapshot(conn, question) as position:
        who = _load(conn, question, (question.subject,), ())
        lows, highs = _ranges(_patterns(who, question))
        tenant = UUID(question.tenant)

        def look(behind: str, size: int) -> tuple[Sequence[str], str | None]:
            if not lows:
                return (), None
            parameters = (tenant, dimension, lows, highs, behind, size, question.as_of)
            (paths,) = _row(conn, _POINTS, parameters)
            if dimension == "staff":
                (ids,) = _row(conn, _STAFF, (tenant, behind, size, question.as_of))
                paths = sorted({*paths, *ids})[:size]
            return _full(paths, size)

        def allowed(paths: Sequence[str]) -> Iterable[str]:
            found = _load(conn, question, (), [f"{dimension}/{path}" for path in paths])
            found = found._replace(subjects=who.subjects)
            for path in paths:
                if decide_from(found, replace(question, resource_id=path), now).allowed:
                    yield path

        return Found(*_walk(look, allowed, after, limit, MAX_POINTS), position)


def actions(conn: Conn, question: Question, *, after: str, limit: int, now: Instant) -> Found:
    """Return the names of those actions of which the question is answered yes.

    In the order of code points, behind `after`, at most `limit`. The question's own action makes no
    difference. Raises as `subjects` does.
    """
    require_ids(question)
    point = (f"{question.resource_type}/{question.resource_id}",)

    with _snapshot(conn, question) as position:
        found = _load(conn, question, (question.subject,), point)
        names = sorted(found.subjects[question.subject].usable)

        def look(behind: str, size: int) -> tuple[Sequence[str], str | None]:
            left = [name for name in names if name > behind]
            return left[:size], left[size - 1] if len(left) > size else None

        def allowed(some: Sequence[str]) -> Iterable[str]:
            for name in some:
                if decide_from(found, replace(question, action=name), now).allowed:
                    yield name

        return Found(*_walk(look, allowed, after, limit, len(names) + CHUNK), position)


def _walk(
    look: Callable[[str, int], tuple[Sequence[str], str | None]],
    allowed: Callable[[Sequence[str]], Iterable[str]],
    after: str,
    limit: int,
    most: int,
) -> tuple[list[str], str | None]:
    """Return up to `limit` allowed keys and the key behind which to go on, None at the end.

    `look` gives candidates behind a key and how far it has got. One result more is looked for, so
    that the last page says that it is; after `most` candidates the page ends where it has got to.
    """
    found: list[str] = []
    behind = after
    while most > 0:
        size = min(most, CHUNK, 2 * (limit + 1 - len(found)))
        most -= size
        keys, last = look(behind, size)
        for key in allowed(keys) if keys else ():
            if len(found) == limit:
                return found, found[-1] if found else after
            found.append(key)
        if last is None:
            return found, None
        behind = last
    return found, behind


def _full(keys: Sequence[str], size: int) -> tuple[Sequence[str], str | None]:
    """Return candidates with the key behind which more may follow, None where they were fewer."""
    return keys, keys[-1] if len(keys) == size else None


@contextmanager
def _snapshot(conn: Conn, question: Question) -> Generator[int]:
    """Read all of a page in one snapshot; gives the position that it rests on."""
    with conn.transaction():
        conn.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
        row = conn.cursor(row_factory=tuple_row).execute(_HEAD, (UUID(question.tenant),)).fetchone()
        if row is None:
            raise Refused("tenant.unknown")
        head: int = row[0]
        as_of = question.as_of
        if as_of is not None and as_of > head:
            raise Refused("position.not_reached", position=as_of, reached=head)
        yield head if as_of is None else as_of


def _load(conn: Conn, question: Question, refs: Sequence[str], points: Sequence[str]) -> Loaded:
    """Return what checks of these subjects on these points rest on."""
    parameters = check_parameters(question.tenant, refs, points, question.as_of)
    return loaded(_row(conn, CHECK, parameters), refs, points)


def _row(conn: Conn, statement: Any, parameters: tuple[Any, ...]) -> tuple[Any, ...]:
    row = conn.cursor(binary=True, row_factory=tuple_row).execute(statement, parameters).fetchone()
    if row is None:
        raise Refused("tenant.unknown")
    return row


def _patterns(who: Loaded, question: Question) -> Sequence[str]:
    """Return the patterns, none within another, by which the subject's rights cover paths."""
    dimension = question.resource_type
    wanted = [
        pattern
        for right in who.subjects[question.subject].usable.get(question.action, ())
        for name, patterns in right.scope.dimensions
        if name == dimension
        for pattern in patterns
    ]
    return normal({dimension: tuple(wanted)})[dimension]


def _ranges(patterns: Iterable[str]) -> tuple[list[str], list[str]]:
    """Return the ranges of paths that the patterns cover, sorted by code point: `[low, high)`.

    A path has no control character: what begins with `CN` and lies below `CN\\x01` is `CN` alone.
    """
    ranges: list[tuple[str, str]] = []
    for pattern in patterns:
        if pattern == ANY:
            ranges.append(("", "\U0010ffff"))
        else:
            ranges += [(pattern, pattern + "\x01"), (pattern + "/", pattern + "0")]
    ranges.sort()
    return [low for low, _ in ranges], [high for _, high in ranges]


_HEAD: Final = "SELECT position FROM ledgers WHERE tenant_id = %s"
_SUBJECTS: Final = (
    "SELECT o_parties, o_last FROM search_subjects(%b, %b::text, %b::text, %b::text, %b::text,"
    " %b::integer, %b::bigint)"
)
_POINTS: Final = (
    "SELECT search_points(%b, %b::text, %b::text[], %b::text[], %b::text, %b::integer, %b::bigint)"
)
_STAFF: Final = "SELECT search_staff(%b, %b::text, %b::integer, %b::bigint)"
