"""By what is in force: grants that came into force, went out of it or changed between two instants,
and why.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Final, Literal, NamedTuple

from domain.customers import Customer
from domain.grant_states import Grant
from domain.staff import Staff
from domain.teams import TEAM
from domain.values import Instant
from projections import permissions
from projections.permissions import Permission
from replay.diff_past import (
    NOBODY,
    Known,
    Party,
    Past,
    at_instant,
    just_before,
    party_of,
    setting,
)
from replay.diff_records import About, Act, Asked, EffectChange, Right, Rights, Tally, Turn, Why
from replay.folds import streams
from replay.sources import Source, Stored

_FINAL: Final = ("error", "ended", "revoked", "suspended")
"""Where several keep a grant out of force, the one that is final is told."""


class _Cause(NamedTuple):
    why: Why
    hold: str | None = None
    above: About | None = None
    act: Act | None = None


def effect_changes(source: Source, asked: Asked, tally: Tally) -> Iterator[EffectChange]:
    """Yield the grants that were not in force all the while between two instants, the second one
    included, or not by the same terms; by what was known at one position, in the order of their
    ids. Raises `OutOfReach` `source.partial`, `UnknownEvent`.
    """
    past = Past(source, asked.known[1])
    for stream, events in grants_asked(source, asked, past):
        own = list(events)
        known = past.known(stream, own)
        if known is None or not wanted(known.about, asked):
            continue
        tally.looked_at += 1
        found = _change(known, own, asked, past)
        if found is not None:
            tally.changes[found.change] += 1
            yield found
    tally.unreadable |= past.unreadable


def grants_asked(
    source: Source, asked: Asked, past: Past
) -> Iterator[tuple[str, Iterable[Stored]]]:
    """Yield the grants there are, or the one asked about, with their events."""
    if asked.grant is not None:
        yield asked.grant, past.events(asked.grant)
    else:
        yield from streams(source.by_stream(past.position, {"grant"}))


def wanted(about: About, asked: Asked) -> bool:
    """Return whether a grant is one that was asked about."""
    return (asked.customer is None or about.grantee == f"customer:{asked.customer}") and (
        asked.kind is None or about.kind == asked.kind
    )


def _change(known: Known, own: Sequence[Stored], asked: Asked, past: Past) -> EffectChange | None:
    turns = tuple(_turns(known, own, asked.at, past))
    if not turns:
        return None
    before, after = at_instant(known.rights, asked.at[0]), at_instant(known.rights, asked.at[1])
    change: Literal["came", "went", "changed", "meanwhile"] = "changed"
    if before is None or after is None:
        change = "came" if after is not None else "went" if before is not None else "meanwhile"
    elif before.says(after):
        change = "meanwhile"
    return EffectChange(known.about, change, before, after, turns)


def _turns(
    known: Known,
    own: Sequence[Stored],
    between: tuple[Instant, Instant],
    past: Past,
) -> Iterator[Turn]:
    for at, before, after in _instants(known.rights, between):
        cause = _cause(known, own, at, past, frozenset({known.about.grant}))
        yield Turn(at, before, after, cause.why, cause.hold, cause.above, cause.act)


def _instants(
    rights: Rights, between: tuple[Instant, Instant]
) -> Iterator[tuple[Instant, Right | None, Right | None]]:
    """Yield each instant after the first and not after the second one at which something other is
    in force than right before.
    """
    ends = {one.valid_to for one in rights if one.valid_to is not None}
    for at in sorted(ends | {one.valid_from for one in rights}):
        if between[0] < at <= between[1]:
            yield at, just_before(rights, at), at_instant(rights, at)


# --- why ------------------------------------------------------------------------------------------


def _cause(
    known: Known,
    own: Sequence[Stored],
    at: Instant,
    past: Past,
    below: frozenset[str],
) -> _Cause:
    """Return what changed at an instant: the grant's own rows, else its grantee's standing, else a
    grant above.
    """
    before, after = _row_before(known.rows, at), _row_at(known.rows, at)
    if before is not after:
        return _own_cause(past, own, before, after, at)
    stood, stands = _stood(past, known.about.grantee, at)
    if stood != stands:
        act = _standing_act(past, known.about.grantee, at)
        return _Cause("standing_again" if stands else "standing", act=act)
    return _above_cause(after, at, past, below)


def _own_cause(
    past: Past,
    own: Sequence[Stored],
    before: Permission | None,
    after: Permission | None,
    at: Instant,
) -> _Cause:
    why: Why
    hold: str | None = None
    state = past.fold(own)
    if after is None and before is not None:
        stops = [one for one in before.stops if one.from_ <= at]
        stop = min(stops, key=lambda one: (_FINAL.index(one.why), one.from_), default=None)
        why, hold = ("end", None) if stop is None else (stop.why, stop.hold)
    elif before is not None:
        why = "terms"
    else:
        why, hold = _start(state, at)

    def seen(_: Stored, state: Any) -> object:
        rows = permissions.rows(state) if isinstance(state, Grant) else ()
        one, other = _row_before(rows, at), _row_at(rows, at)
        if one is not None and other is not None and one is not other:
            return one.terms_number, other.terms_number
        return one is None, other is None

    return _Cause(why, hold, act=setting(past.steps(own), seen))


def _start(state: Grant | None, at: Instant) -> tuple[Why, str | None]:
    """Return why it came into force by its own stream: a hold was over, or a start was reached."""
    holds = () if state is None else state.holds
    for hold in holds:
        if hold.until == at and (hold.confirm_by is None or at < hold.confirm_by):
            return "resumed", hold.id
        if at in (hold.until, hold.confirm_by):
            return "hold_over", hold.id
    first = state is not None and state.effects and state.effects[0].starts_at == at
    return ("start" if first else "terms"), None


def _above_cause(row: Permission | None, at: Instant, past: Past, below: frozenset[str]) -> _Cause:
    """Return what changed in the nearest grant above that changed."""
    parent = None if row is None else row.parent
    above = None if parent is None or parent in below else past.grant(parent)
    if parent is None or above is None:
        return _Cause("above_changed")
    before, after = just_before(above.rights, at), at_instant(above.rights, at)
    why: Why = "above_changed"
    if (before is None) != (after is None):
        why = "above" if after is None else "above_again"
    cause = _cause(above, past.events(parent), at, past, below | {parent})
    return _Cause(why, cause.hold, cause.above or above.about, cause.act)


def _stood(past: Past, ref: str, at: Instant) -> tuple[bool, bool]:
    """Return whether a party stood right before an instant, and whether it does at it."""
    windows = past.windows(ref)
    return (
        any(begin < at <= until for begin, until in windows),
        any(begin <= at < until for begin, until in windows),
    )


def _standing_act(past: Past, ref: str, at: Instant) -> Act | None:
    """Return the event that set when a party stands, of the record that ruled then."""
    kind, _, _ = ref.partition(":")
    if kind == TEAM:
        return None
    ruling = ref
    for one, party in past.line(ref):
        ruling = one
        if party.merge is None or at <= party.merge.at:
            break

    party = NOBODY

    def seen(stored: Stored, state: Any) -> object:
        nonlocal party
        known = isinstance(state, Customer | Staff)
        party = party_of(party, stored, state) if known else NOBODY
        return _turn_of(party, at)

    return setting(past.steps(past.events(ruling.partition(":")[2])), seen)


def _turn_of(party: Party, at: Instant) -> object:
    """Return what of a party's standing makes an instant one at which it changes."""
    begins = any(begin == at for begin, _ in party.windows)
    ends = any(end == at for _, end in party.windows)
    return begins, ends, party.merge is not None and party.merge.at == at


def _row_at(rows: Sequence[Permission], at: Instant) -> Permission | None:
    return next(
        (
            one
            for one in rows
            if one.valid_from <= at and (one.valid_to is None or at < one.valid_to)
        ),
        None,
    )


def _row_before(rows: Sequence[Permission], at: Instant) -> Permission | None:
    return next(
        (
            one
            for one in rows
            if one.valid_from < at and (one.valid_to is None or at <= one.valid_to)
        ),
        None,
    )
