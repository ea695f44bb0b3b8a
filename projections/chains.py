"""The grants above a right that was passed on: which of their terms rule at an instant, level by
level.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal, NamedTuple

import msgspec

from domain.policy_bodies import MAX_GRANT_DEPTH
from domain.values import Instant
from projections.material import Right

Fault = Literal["check.chain_unresolved", "check.chain_circle", "check.chain_too_deep"]


class Link(msgspec.Struct, frozen=True):
    """A grant of a chain: its id, number and terms, and whom it was given to."""

    grant: str
    number: str
    terms: int
    grantee: str


class Chain(NamedTuple):
    """The rights above one at an instant, the nearest first, each of the terms that rule then, or
    the nearest ones where none do. `fault` says why it goes no further up, None at the top.
    """

    above: tuple[Right, ...]
    fault: Fault | None


def chain_of(right: Right, above: Mapping[str, Sequence[Right]], at: Instant) -> Chain:
    """Return the chain above a right; `above` are rights by grant id. More than `MAX_GRANT_DEPTH`
    levels are never followed.
    """
    found: list[Right] = []
    seen = {right.grant}
    parent = right.parent
    while parent is not None:
        rows = above.get(parent)
        if parent in seen:
            return Chain(tuple(found), "check.chain_circle")
        if len(found) == MAX_GRANT_DEPTH:
            return Chain(tuple(found), "check.chain_too_deep")
        if not rows:
            return Chain(tuple(found), "check.chain_unresolved")
        link = _ruling(rows, at)
        found.append(link)
        seen.add(parent)
        parent = link.parent
    return Chain(tuple(found), None)


def _ruling(rows: Sequence[Right], at: Instant) -> Right:
    """Return the row in force at `at` as far as its grant tells, else the last one before, else the
    first one after; the rows of one grant never overlap.
    """
    begun = [row for row in rows if row.valid_from <= at]
    if begun:
        return max(begun, key=lambda row: row.valid_from)
    return min(rows, key=lambda row: row.valid_from)


def link(right: Right) -> Link:
    """Return a right as explanations name it."""
    return Link(right.grant, right.number, right.terms, right.party)
