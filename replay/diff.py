"""What differs between two moments: by what was known, by what is in force, by what had happened.

Pure over a `Source`: the same fold and the same rows as the read models', one stream in memory at a
time, and nothing but the log.
"""

from __future__ import annotations

from collections.abc import Iterator

from domain.values import Instant
from projections.material import EVER
from replay.as_of import OutOfReach
from replay.diff_effect import effect_changes
from replay.diff_happened import case_changes
from replay.diff_known import permission_changes
from replay.diff_records import Asked, By, Difference, Tally
from replay.sources import Source


def asked(
    source: Source,
    by: By,
    first: int | Instant,
    last: int | Instant,
    *,
    known: int | Instant | None = None,
    at: Instant | None = None,
    grant: str | None = None,
    customer: str | None = None,
    kind: str | None = None,
) -> Asked:
    """Return the question that two moments make.

    By `known` they are positions, or instants that stand for the last position recorded by then;
    with `at` only what is in force at that instant counts. By `valid` and `happened` they are
    instants, or positions that stand for the instant at which they were recorded, by what was
    `known` (None: all there is). `grant` and `customer` are ids. Raises `OutOfReach`
    `position.beyond`, `diff.order` where the second moment lies before the first one.
    """
    ends = (first, last)
    if by == "known":
        begin, end = (_position(source, one) for one in ends)
        if end < begin:
            raise OutOfReach("diff.order")
        instants = (_recorded(source, begin), _recorded(source, end))
        return Asked(
            by=by,
            known=(begin, end),
            at=instants if at is None else (at, at),
            exactly=at is not None,
            grant=grant,
            customer=customer,
            kind=kind,
        )
    position = source.reach.last if known is None else _position(source, known)
    one, other = (
        _recorded(source, _position(source, end)) if isinstance(end, int) else end for end in ends
    )
    if other < one:
        raise OutOfReach("diff.order")
    return Asked(
        by=by,
        known=(position, position),
        at=(one, other),
        grant=grant,
        customer=customer,
        kind=kind,
    )


def differences(
    source: Source, question: Asked, tally: Tally | None = None
) -> Iterator[Difference]:
    """Yield what differs, grant by grant in the order of their ids; `tally` counts on the way.

    By `known` `PermissionChange`, by `valid` `EffectChange`, by `happened` `CaseChange`. Raises
    `OutOfReach` `source.partial` where the source has not all that is needed, `UnknownEvent` where
    it was written by a newer release.
    """
    if source.reach.first > 1:
        raise OutOfReach("source.partial")
    counted = Tally() if tally is None else tally
    match question.by:
        case "known":
            yield from permission_changes(source, question, counted)
        case "valid":
            yield from effect_changes(source, question, counted)
        case "happened":
            yield from case_changes(source, question, counted)


def _position(source: Source, moment: int | Instant) -> int:
    if isinstance(moment, int):
        if moment > source.reach.last:
            raise OutOfReach("position.beyond", position=moment, last=source.reach.last)
        return moment
    return min(source.position_at(moment), source.reach.last)


def _recorded(source: Source, position: int) -> Instant:
    return source.recorded_at(position) if position else EVER
