"""By what was known: permissions that appeared, ended or changed between two positions."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from typing import Any, Final, Literal

import msgspec

from domain import scopes
from domain.customers import Customer
from domain.events import EVENTS, stream_kind
from domain.scopes import Piece
from domain.staff import Staff
from domain.teams import TEAM
from domain.values import Instant, Scope
from projections import permissions
from replay.diff_effect import wanted
from replay.diff_past import NOBODY, Known, Past, act, at_instant, party_of
from replay.diff_records import Act, Asked, PermissionChange, Rights, Tally
from replay.sources import Source

_TOLD: Final = frozenset(
    name
    for name, event in EVENTS.items()
    if stream_kind(name) == "grant" and "terms" in event.__struct_fields__
)
"""Stored names of what says to whom a grant is given, and which one it is passed on from."""

_MERGED: Final = frozenset({"customer.merged.1"})


class _Terms(msgspec.Struct):
    parent: str | None = None


class _Policy(msgspec.Struct):
    policy: str


class _Given(msgspec.Struct):
    """What an event says of what a grant depends on, and nothing else of it."""

    grantee: str | None = None
    terms: _Terms | None = None
    policy: _Policy | None = None


class _Into(msgspec.Struct):
    into: str


_given = msgspec.json.Decoder(_Given)
_into = msgspec.json.Decoder(_Into)


def permission_changes(source: Source, asked: Asked, tally: Tally) -> Iterator[PermissionChange]:
    """Yield the grants of which we hold something else at the second position than at the first, in
    the order of their ids.

    Only grants that an act between can have touched are folded. Raises `UnknownEvent`.
    """
    first, last = asked.known
    if first == last:
        return
    before, after = Past(source, first), Past(source, last)
    for stream in [asked.grant] if asked.grant is not None else sorted(touched(source, asked)):
        tally.looked_at += 1
        found = _change(stream, before, after, asked)
        if found is not None:
            tally.changes[found.change] += 1
            yield found
    tally.unreadable |= before.unreadable | after.unreadable


def _change(stream: str, before: Past, after: Past, asked: Asked) -> PermissionChange | None:
    new = after.grant(stream)
    old = before.grant(stream)
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


# --- which grants can differ ----------------------------------------------------------------------


def touched(source: Source, asked: Asked) -> set[str]:
    """Return the grants that acts between the positions can have changed: their own, those given to
    parties whose standing they touched, and those passed on from any of these.
    """
    first, last = asked.known
    streams: dict[str, set[str]] = {}
    for page in source.events(first + 1, last):
        for stored in page:
            kind = stream_kind(stored.type)
            if kind != "policy" or stored.version == 1:  # that it is there is all that counts
                streams.setdefault(kind, set()).add(stored.stream_id)
    grants, policies = streams.get("grant", set()), streams.get("policy", set())
    parties = {f"customer:{one}" for one in streams.get("customer", ())}
    parties |= {f"staff:{one}" for one in streams.get("staff", ())}
    if not (grants or parties or policies or "catalogue" in streams):
        return grants
    parties = _with_merged(source, parties, last)
    kinds = {TEAM} if "catalogue" in streams else set[str]()
    parents: dict[str, set[str]] = {}
    for page in source.events(1, last, _TOLD):
        for stored in page:
            given = _read(stored.data)
            party = given.grantee or ""
            if party in parties or party.partition(":")[0] in kinds:
                grants.add(stored.stream_id)
            if given.policy is not None and given.policy.policy in policies:
                grants.add(stored.stream_id)
            if given.terms is not None and given.terms.parent is not None:
                parents.setdefault(given.terms.parent, set()).add(stored.stream_id)
    return _with_children(grants, parents)


def _read(data: bytes) -> _Given:
    """Return what is said; bytes that cannot be read say nothing, and their stream is folded to
    nothing as well.
    """
    try:
        return _given.decode(data)
    except msgspec.MsgspecError:
        return _Given()


def _with_merged(source: Source, parties: Collection[str], last: int) -> set[str]:
    """Return the parties and all that were merged into them."""
    found = set(parties)
    if not any(one.startswith("customer:") for one in found):
        return found
    merged: dict[str, set[str]] = {}
    for page in source.events(1, last, _MERGED):
        for stored in page:
            into = f"customer:{_into.decode(stored.data).into}"
            merged.setdefault(into, set()).add(f"customer:{stored.stream_id}")
    return _with_children(found, merged)


def _with_children(found: set[str], below: dict[str, set[str]]) -> set[str]:
    waiting = list(found)
    while waiting:
        new = below.get(waiting.pop(), set()) - found
        found |= new
        waiting += new
    return found
