"""By what was known: permissions that appeared, ended or changed between two positions."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Literal

from domain import scopes
from domain.customers import Customer
from domain.scopes import Piece
from domain.staff import Staff
from domain.teams import TEAM
from domain.values import Instant, Scope
from projections import permissions
from replay.diff_effect import wanted
from replay.diff_past import NOBODY, Known, Past, act, at_instant, party_of
from replay.diff_records import Act, Asked, PermissionChange, Rights, Tally
from replay.diff_touched import touched
from replay.folds import streams
from replay.sources import Source, Stored


def permission_changes(source: Source, asked: Asked, tally: Tally) -> Iterator[PermissionChange]:
    """Yield the grants of which we hold something else at the second position than at the first, in
    the order of their ids.

    Only grants that an act between can have touched are folded. Raises `OutOfReach`
    `source.partial`, `UnknownEvent`.
    """
    first, last = asked.known
    if first == last:
        return
    before, after = Past(source, first), Past(source, last)
    for stream, events in _grants(source, asked, after):
        tally.looked_at += 1
        found = _change(stream, list(events), before, after, asked)
        if found is not None:
            tally.changes[found.change] += 1
            yield found
    tally.unreadable |= before.unreadable | after.unreadable


def _grants(source: Source, asked: Asked, after: Past) -> Iterator[tuple[str, Iterable[Stored]]]:
    """Yield the grants that can differ; where they are very many, all there are, which is read in
    one go.
    """
    some = {asked.grant} if asked.grant is not None else touched(source, *asked.known)
    if some is None:
        yield from streams(source.by_stream(after.position, {"grant"}))
    else:
        yield from ((one, after.events(one)) for one in sorted(some))


def _change(
    stream: str, events: Sequence[Stored], before: Past, after: Past, asked: Asked
) -> PermissionChange | None:
    new = after.known(stream, events)
    old = before.known(stream, [one for one in events if one.position <= before.position])
    about = new.about if new is not None else old.about if old is not None else None
    if about is None or not wanted(about, asked):
        return None
    sides = _rights(old), _rights(new)
    seen = tuple(
        _seen(rights, at, exactly=asked.exactly) for rights, at in zip(sides, asked.at, strict=True)
    )
    if asked.exactly and [one.content for one in seen[0]] == [one.content for one in seen[1]]:
        return None
    if sides[0] == sides[1]:
        return None
    change: Literal["appeared", "ended", "changed"] = "changed"
    if bool(seen[0]) != bool(seen[1]):
        change = "appeared" if seen[1] else "ended"
    shown = tuple(_scopes(one) for one in seen)
    return PermissionChange(
        about,
        change,
        (at_instant(sides[0], asked.at[0]) is not None,
         at_instant(sides[1], asked.at[1]) is not None),
        *sides,
        gained=_beyond(shown[1], shown[0]),
        lost=_beyond(shown[0], shown[1]),
        acts=tuple(sorted(_acts(stream, before, after), key=lambda one: one.stored.position)),
    )  # fmt: skip


def _rights(known: Known | None) -> Rights:
    return () if known is None else known.rights


def _seen(rights: Rights, at: Instant, *, exactly: bool) -> Rights:
    """Return what is in force at an instant, or then and later."""
    if exactly:
        return tuple(one for one in rights if one.holds(at))
    return tuple(one for one in rights if one.valid_to is None or at < one.valid_to)


def _scopes(rights: Rights) -> tuple[Scope, ...]:
    return tuple({repr(one.scope): one.scope for one in rights}.values())


def _beyond(these: Sequence[Scope], others: Sequence[Scope]) -> tuple[Piece, ...]:
    """Return the points that these scopes cover and none of the others does.

    Where more than one other would have to be taken away in turn, what only this one covers is told
    against the nearest: pieces of pieces cannot be listed.
    """
    if not others:
        return ()
    found: list[Piece] = []
    for one in these:
        left = [scopes.difference(one, other) for other in others]
        found += min(left, key=len) if all(left) else ()
    return tuple(found)


# --- who did it -----------------------------------------------------------------------------------


def _acts(stream: str, before: Past, after: Past, seen: frozenset[str] = frozenset()) -> list[Act]:
    """Return the events between the two positions that changed when a grant is in force: its own,
    those of its grantee, and those of the grants above.
    """
    if stream in seen:
        return []
    known = after.grant(stream)
    found = _own_acts(stream, before, after)
    if known is None:
        return found
    for ref, _ in after.line(known.about.grantee):
        found += _party_acts(ref, before, after)
    for parent in sorted({row.parent for row in known.rows if row.parent is not None}):
        if _rights(before.grant(parent)) != _rights(after.grant(parent)):
            found += _acts(parent, before, after, seen | {stream})
    return list({one.stored.position: one for one in found}.values())


def _own_acts(stream: str, before: Past, after: Past) -> list[Act]:
    found: list[Act] = []
    rows: Any = ()
    for stored, state in after.steps(after.events(stream)):
        now = () if state is None else permissions.rows(state)
        if now != rows and stored.position > before.position and state is not None:
            found.append(act(stored))  # one that cannot be read is nobody's act
        rows = now
    return found


def _party_acts(ref: str, before: Past, after: Past) -> list[Act]:
    kind, _, stream = ref.partition(":")
    found: list[Act] = []
    if kind == TEAM:
        for stored, state in after.steps(after.catalogue_events()):
            if stored.position > before.position and state is not None:
                told = act(stored)
                path = (getattr(told.event, "dimension", ""), getattr(told.event, "path", ""))
                found += [told] if path == (TEAM, stream) else []
        return found
    party = NOBODY
    for stored, state in after.steps(after.events(stream)):
        now = party_of(party, stored, state) if isinstance(state, Customer | Staff) else NOBODY
        if now != party and stored.position > before.position and state is not None:
            found.append(act(stored))
        party = now
    return found
