"""Reads what checks rest on: one round trip and one snapshot a batch of questions, for now or for
any position.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, LiteralString, NamedTuple
from uuid import UUID

import msgspec
import psycopg

from domain.errors import Refused
from domain.values import Instant
from projections.checks import Decision, Material, Question, decide, require_ids
from projections.inline import FOLDS
from projections.material import (
    EVER,
    Attributes,
    Gathered,
    PermissionRow,
    Right,
    Rows,
    Subject,
    right,
    subject,
)

EPOCH = datetime.fromtimestamp(0, UTC)
"""The instant of an empty log."""

MAX_GONE = 100
"""Grants without a row left that an explanation looks at; the latest ended ones."""

Generations = tuple[int | None, ...]
"""The live generation of `permissions`, `standings`, `points`; behind them, from the database, the
fold version of each and its revision. Where one differs nothing remembered is of use.
"""

_FOLDS = tuple(FOLDS[name] for name in ("permissions", "standings", "points"))

CHECK: LiteralString = (
    "SELECT o_position, o_recorded_at, o_clock, o_generations, o_known, o_permissions::text,"
    " o_above::text, o_standings::text, o_aliases::text, o_members::text, o_points::text,"
    " o_quarantined::text"
    " FROM read_check(%b, %b::text[], %b::uuid[], %b::text[], %b::bigint)"
)
TAIL: LiteralString = (
    "SELECT o_position, o_recorded_at, o_clock, o_generations, o_touched, o_quarantined::text"
    " FROM read_check_tail(%b, %b::bigint, %b::bigint)"
)
GONE: LiteralString = "SELECT read_gone(%b, %b::text[], %b::uuid[], %b::bigint, %b::integer)::text"
POSITION_AT: LiteralString = "SELECT read_position_at(%b, %b::timestamptz)"

_permissions = msgspec.json.Decoder(list[PermissionRow])
_standings = msgspec.json.Decoder(list[tuple[str, Instant | None, Instant | None]])
_merges = msgspec.json.Decoder(list[tuple[str, str, Instant]])
_members = msgspec.json.Decoder(list[tuple[str, str, Instant, Instant | None]])
_points = msgspec.json.Decoder(list[tuple[str, dict[str, str | tuple[str, ...]]]])
_quarantined = msgspec.json.Decoder(dict[str, int])


class Loaded(NamedTuple):
    """What was read for a batch of subjects and points, all at `position`.

    `recorded_at` is when that position (of the past: the one asked about) was recorded, 1970 for an
    empty log. `points`: `<dimension>/<path>` -> attributes, none where the catalogue has no such
    point.
    """

    position: int
    recorded_at: Instant
    clock: str
    generations: Generations
    subjects: Mapping[str, Subject]
    points: Mapping[str, Attributes]
    quarantined: Mapping[str, int]


class CheckTail(NamedTuple):
    """The head of a log, and what changed since: keys to forget, None where all of it is."""

    position: int
    recorded_at: Instant
    clock: str
    generations: Generations
    touched: Sequence[str] | None
    quarantined: Mapping[str, int]


def point_key(question: Question) -> str:
    """Return the resource as points are named: `<dimension>/<path>`."""
    return f"{question.resource_type}/{question.resource_id}"


def check_parameters(
    tenant: str, subjects: Sequence[str], points: Sequence[str], as_of: int | None
) -> tuple[Any, ...]:
    """Return the parameters of `CHECK`."""
    ids = [_stream_id(ref) for ref in subjects]
    return (UUID(tenant), list(subjects), ids, list(points), as_of)


def loaded(row: Sequence[Any] | None, subjects: Sequence[str], points: Sequence[str]) -> Loaded:
    """Return what `CHECK` answered. Raises `Refused`: `tenant.unknown`,
    `ledger.other_release`.
    """
    if row is None or row[0] is None:
        raise Refused("tenant.unknown")
    position, recorded_at, clock, generations, known, *documents = row
    permissions, above, standings, merges, members, attributes, quarantined = documents
    rows = Gathered(
        Rows(
            () if permissions is None else _permissions.decode(permissions),
            () if standings is None else _standings.decode(standings),
            () if merges is None else _merges.decode(merges),
            () if above is None else _permissions.decode(above),
            () if members is None else _members.decode(members),
        )
    )
    found = dict.fromkeys(points, _NO_ATTRIBUTES)
    for key, given in () if attributes is None else _points.decode(attributes):
        found[key] = _together(found[key], given) if found[key] else given
    return Loaded(
        position,
        EPOCH if recorded_at is None else recorded_at.astimezone(UTC),
        clock,
        _known(generations),
        {
            ref: subject(ref, position, rows, exists=exists)
            for ref, exists in zip(subjects, known or (), strict=True)
        },
        found,
        {} if quarantined is None else _quarantined.decode(quarantined),
    )


def tail(row: Sequence[Any] | None) -> CheckTail:
    """Return what `TAIL` answered. Raises `Refused`: `tenant.unknown`, `ledger.other_release`."""
    if row is None or row[0] is None:
        raise Refused("tenant.unknown")
    position, recorded_at, clock, generations, touched, quarantined = row
    return CheckTail(
        position,
        EPOCH if recorded_at is None else recorded_at.astimezone(UTC),
        clock,
        _known(generations),
        touched,
        {} if quarantined is None else _quarantined.decode(quarantined),
    )


def gone(row: Sequence[Any] | None) -> tuple[Right, ...]:
    """Return what `GONE` answered: rights that are in force at no instant any more."""
    if row is None or row[0] is None:
        return ()
    never = {"valid_from": EVER, "valid_to": EVER}
    found = (msgspec.structs.replace(one, **never) for one in _permissions.decode(row[0]))
    return tuple(right(one, (), ()) for one in found)


def decide_from(found: Loaded, question: Question, now: Instant) -> Decision:
    """Return the answer to a question from what was read for it.

    The instant asked about is the question's; else that of the position of the past; else now,
    never before what is recorded, and for a tenant with a given clock exactly that. Raises
    `Refused`: `check.bad_id`, `position.not_reached`.
    """
    as_of = question.as_of
    if as_of is not None and as_of > found.position:
        raise Refused("position.not_reached", position=as_of, reached=found.position)
    at = question.at
    if at is None:
        settled = as_of is not None or found.clock == "given"
        at = found.recorded_at if settled else max(now, found.recorded_at)
    material = Material(
        found.subjects[question.subject],
        found.points[point_key(question)],
        found.quarantined,
        found.position,
        as_of,
    )
    return decide(material, question, at)


def check_once(conn: psycopg.Connection[Any], question: Question, now: Instant) -> Decision:
    """Answer one question from the database, on a connection in autocommit; `at_least` does not
    wait.

    For command lines and tests; the service asks its `projections.memory.Memory`. Raises `Refused`:
    `check.bad_id`, `tenant.unknown`, `position.not_reached`.
    """
    require_ids(question)
    subjects, points = (question.subject,), (point_key(question),)
    parameters = check_parameters(question.tenant, subjects, points, question.as_of)
    row = conn.cursor(binary=True).execute(CHECK, parameters).fetchone()
    found = loaded(row, subjects, points)
    least = question.at_least
    if least is not None and least > found.position:
        raise Refused("position.not_reached", position=least, reached=found.position)
    return decide_from(found, question, now)


def gone_once(conn: psycopg.Connection[Any], decision: Decision) -> tuple[Right, ...]:
    """Return the grants of which no row is left, for `Decision.explanation`."""
    parameters = gone_parameters(decision)
    return gone(conn.cursor(binary=True).execute(GONE, parameters).fetchone())


def gone_parameters(decision: Decision) -> tuple[Any, ...]:
    """Return the parameters of `GONE`."""
    material = decision.material
    parties = list(material.subject.parties)
    missing = [found for grant in material.subject.missing if (found := _uuid(grant)) is not None]
    return (UUID(decision.question.tenant), parties, missing, material.as_of, MAX_GONE)


_NO_ATTRIBUTES: Attributes = {}


def _together(one: Attributes, other: Attributes) -> Attributes:
    """Return what two rows of one resource say: where both name a dimension, all paths there."""
    found = dict(one)
    for dimension, given in other.items():
        paths = {
            path: None
            for value in (found.get(dimension, ()), given)
            for path in ((value,) if isinstance(value, str) else value)
        }
        found[dimension] = tuple(sorted(paths))
    return found


def _known(generations: Sequence[int | None]) -> Generations:
    """Return the generations. Raises `Refused`: `ledger.other_release` where another release's fold
    made one: what its rows mean is not known here, so nothing is answered from them.
    """
    folds = zip(generations[len(_FOLDS) :], _FOLDS, strict=False)
    if any(fold is not None and fold != ours for fold, ours in folds):
        raise Refused("ledger.other_release")
    return tuple(generations)


def _stream_id(ref: str) -> UUID | None:
    return _uuid(ref.partition(":")[2])


def _uuid(text: str) -> UUID | None:
    try:
        return UUID(text)
    except ValueError:
        return None
