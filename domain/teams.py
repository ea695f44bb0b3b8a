"""Teams: points of the catalogue's dimension `team`, and who belongs to which of them when.

A member of `sales/east` belongs to `sales` too. A team stands while its point does.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Final

import msgspec
from msgspec.structs import replace

from domain.catalogue import Catalogue, Point, find, point_status_at
from domain.errors import Refused
from domain.intervals import Intervals
from domain.values import Instant

TEAM: Final = "team"
"""The dimension of teams, and the kind of a party that is one: `team:<path>`."""

EVER: Final = datetime.min.replace(tzinfo=UTC)


class Membership(msgspec.Struct, frozen=True, gc=False, rename={"from_": "from"}):
    """Belongs to the team at path `team` during `[from_, until)`, an open end None."""

    team: str
    from_: Instant
    until: Instant | None = None


class Team(msgspec.Struct, frozen=True, gc=False):
    """A team as whom something is given to: its path, its point, and the persons who belong to it
    now, or to a team below it, by whichever staff record of theirs.
    """

    path: str
    point: Point
    persons: frozenset[str] = frozenset()


Memberships = tuple[Membership, ...]
"""Sorted and disjoint: whoever belongs to a team belongs to one at a time."""


def changed(memberships: Memberships, team: str | None, at: Instant) -> Memberships:
    """Return the memberships where from `at` on the team is this one, None: none, whatever they
    said of the time after.
    """
    kept = [
        replace(one, until=at if one.until is None else min(one.until, at))
        for one in memberships
        if one.from_ < at
    ]
    if team is None:
        return tuple(kept)
    if kept and kept[-1].team == team and kept[-1].until == at:
        return (*kept[:-1], replace(kept[-1], until=None))
    return (*kept, Membership(team, at))


def team_at(memberships: Memberships, at: Instant) -> str | None:
    """Return the path of the team belonged to at that instant; None for no team."""
    for one in memberships:
        if one.from_ <= at and (one.until is None or at < one.until):
            return one.team
    return None


def line(team: str) -> tuple[str, ...]:
    """Return the paths of a team and of all above it, the widest first."""
    segments = team.split("/")
    return tuple("/".join(segments[:length]) for length in range(1, len(segments) + 1))


def belongs(memberships: Memberships, team: str, at: Instant) -> bool:
    """Tell whether at that instant they belong to this team, or to one below it."""
    own = team_at(memberships, at)
    return own is not None and team in line(own)


def point_of(catalogue: Catalogue | None, team: str) -> Point | None:
    """Return the team's point, None where there is no such team."""
    return None if catalogue is None else find(catalogue, TEAM, team)


def standing(point: Point) -> Intervals:
    """Return the instants at which a team stands, sorted, disjoint; an open end is None."""
    begin = point.from_ or EVER
    return () if point.until is not None and point.until <= begin else ((begin, point.until),)


def require_team(catalogue: Catalogue | None, team: str, at: Instant) -> None:
    """Refuse a team that new members cannot join: `team.unknown`, `team.state`."""
    status = point_status_at(point_of(catalogue, team), at)
    if status == "none":
        raise Refused("team.unknown", team=team)
    if status != "standing":
        raise Refused("team.state", team=team, state=status)
