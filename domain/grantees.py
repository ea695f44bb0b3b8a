"""Whom a grant is given to: who that is now, whether they stand, and who acts for them."""

from __future__ import annotations

from typing import Protocol

import msgspec

from domain import customers, duties, intervals, staff, teams
from domain.catalogue import Catalogue
from domain.customers import Customer
from domain.duties import Actor, Same, Sees
from domain.errors import Refused
from domain.staff import Staff
from domain.teams import TEAM, Team
from domain.values import Instant


class Looks(Sees, Protocol):
    """What a grantee is made from; `domain.view.View` is one, and records every look as a read."""

    def catalogue(self) -> Catalogue | None: ...

    def all_staff(self) -> list[Staff]: ...


class Grantee(msgspec.Struct, frozen=True, gc=False):
    """A grantee's ref and the records it stands for: itself, then each one it was merged into.

    `ids` are the stream ids of `records`, in the same order; a team has none of its own.
    """

    ref: str
    ids: tuple[str, ...] = ()
    records: tuple[Customer | Staff | Team, ...] = ()


def grantee_of(view: Looks, ref: str) -> Grantee:
    """Return the grantee of this ref; every record looked at is a read.

    A team (`team:<path>`) is there when the catalogue has that point; all staff are looked at,
    because whoever belongs to it by another record of theirs receives it as well. Raises `Refused`:
    `grantee.unknown`, `customer.merge_too_long`.
    """
    kind, _, path = ref.partition(":")
    if kind == TEAM:
        point = teams.point_of(view.catalogue(), path)
        if point is None:
            raise Refused("grantee.unknown", grantee=ref)
        members = (one for one in view.all_staff() if teams.belongs(one.teams, path, view.at))
        team = Team(path, point, frozenset(one.person for one in members))
        return Grantee(ref, (), (team,))
    records = duties.grantees(view, ref)
    if not records:
        raise Refused("grantee.unknown", grantee=ref)
    merged = (record.merged_into for record in records[:-1] if isinstance(record, Customer))
    ids = (ref.partition(":")[2], *(into for into in merged if into is not None))
    return Grantee(ref, ids, records)


def stands(grantee: Grantee, at: Instant) -> bool:
    """Tell whether the grantee is in standing: as the record it was merged into, if it was."""
    match grantee.records[-1]:
        case Staff() as member:
            standing = staff.standing(member)
        case Team() as team:
            standing = teams.standing(team.point)
        case last:
            standing = customers.standing(last)
    return intervals.contains(standing, at)


def require_grantee_standing(grantee: Grantee, at: Instant) -> None:
    """Refuse with `grantee.standing` one not confirmed, blocked, lapsed, or not appointed, and a
    team whose point does not stand.
    """
    if not stands(grantee, at):
        raise Refused("grantee.standing", grantee=grantee.ref)


def require_grantable(grantee: Grantee, at: Instant) -> None:
    """Refuse whoever may not be asked for: a customer neither registered nor confirmed, a former
    staff member, a team of the past or the future. Codes: `grantee.blocked`, `grantee.lapsed`,
    `grantee.merged`, `grantee.standing`.
    """
    first = grantee.records[0]
    if isinstance(first, (Staff, Team)):
        require_grantee_standing(grantee, at)
        return
    status = customers.status_at(first, at)
    if status not in ("registered", "confirmed"):
        raise Refused(f"grantee.{status}", grantee=grantee.ref)


def require_grade(grantee: Grantee, grades: tuple[str, ...]) -> None:
    """Refuse with `grantee.grade` a customer of another grade than these, or of none.

    Only customers have grades: staff and teams are not asked for one.
    """
    last = grantee.records[-1] if grantee.records else None
    if isinstance(last, Customer) and last.grade not in grades:
        raise Refused("grantee.grade", grantee=grantee.ref, grades=grades)


def identified_until(grantee: Grantee) -> Instant | None:
    """Return when the identity the grantee was confirmed on ends; None where nothing bounds it."""
    last = grantee.records[-1]
    return last.confirmed_until if isinstance(last, Customer) else None


def acts_for(actor: Actor, grantee: Grantee, act: str, at: Instant, same: Same) -> bool:
    """Tell whether the actor is the grantee: a member for `act`, the staff member themselves, or
    one of the team.
    """
    first = grantee.records[0]
    if isinstance(first, Team):
        return actor.principal is None and duties.in_team(actor, first.path, at)
    if isinstance(first, Staff):
        return actor.principal is None and f"staff:{actor.staff_id}" == grantee.ref
    if actor.person is None or actor.customer_id not in grantee.ids or actor.customer is None:
        return False
    return duties.may_act_for(actor.person, actor.customer, act, at, same)


def require_grantee(actor: Actor, grantee: Grantee, act: str, at: Instant, same: Same) -> None:
    """Refuse with `member.missing` whoever does not act for the grantee."""
    if not acts_for(actor, grantee, act, at, same):
        raise Refused("member.missing", party=actor.party.ref, customer=grantee.ref, act=act)
