"""Which grants can allow other things at one position of the log than at another."""

from __future__ import annotations

from collections.abc import Collection
from typing import Final

import msgspec

from domain.events import EVENTS, stream_kind
from domain.teams import TEAM
from replay.sources import Source

MAX_TOUCHED: Final = 100_000
"""Streams remembered as touched; with more of them every grant is looked at instead."""

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
    """What an event says of what a grant or a customer depends on, and nothing else of it."""

    grantee: str | None = None
    terms: _Terms | None = None
    policy: _Policy | None = None
    into: str | None = None


_given = msgspec.json.Decoder(_Given)


def touched(source: Source, first: int, last: int) -> set[str] | None:
    """Return the grants that acts after one position and up to another can have changed: their own,
    those given to parties whose standing they touched, and those passed on from any of these; None
    where the acts are on more streams than `MAX_TOUCHED`.
    """
    streams: dict[str, set[str]] = {}
    for page in source.events(first + 1, last):
        for stored in page:
            kind = stream_kind(stored.type)
            if kind != "policy" or stored.version == 1:  # that it is there is all that counts
                streams.setdefault(kind, set()).add(stored.stream_id)
        if sum(map(len, streams.values())) > MAX_TOUCHED:
            return None
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
            into = f"customer:{_read(stored.data).into}"
            merged.setdefault(into, set()).add(f"customer:{stored.stream_id}")
    return _with_children(found, merged)


def _with_children(found: set[str], below: dict[str, set[str]]) -> set[str]:
    waiting = list(found)
    while waiting:
        new = below.get(waiting.pop(), set()) - found
        found |= new
        waiting += new
    return found
