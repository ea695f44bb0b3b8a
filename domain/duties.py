"""Who may not do what because of what they already did, and whose rights a command uses.

An `Actor` is made from the calling party and whom it acts for. Duties are counted by person: every
rule here gets `same`, which says who a person turned out to be.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Final, Protocol

import msgspec

from domain import intervals
from domain.customers import Customer, is_member
from domain.errors import Refused
from domain.persons import Person
from domain.staff import Staff, deputy_at, standing
from domain.teams import Team, belongs
from domain.values import TIMEKEEPER, Act, Instant, Party

Same = Callable[[str], str]

OPERATOR: Final = Party("service:operator")
"""The operator's command line: it makes the first administrator of a tenant (ADR 0003), and nothing
else.
"""

MAX_MERGES: Final = 8
"""How far `merged into` of customers is followed; longer chains are refused rather than walked for
ever.
"""


class Given(Protocol):
    """The calling party and whom it says it acts for."""

    @property
    def by(self) -> Party: ...

    @property
    def on_behalf_of(self) -> Party | None: ...


class Sees(Protocol):
    """What an actor is made from; `domain.view.View` is one, and records every look as a read."""

    @property
    def given(self) -> Given: ...

    @property
    def at(self) -> Instant: ...

    def person(self, person_id: str) -> Person | None: ...

    def staff(self, staff_id: str) -> Staff | None: ...

    def customer(self, customer_id: str) -> Customer | None: ...

    def same_person(self, person_id: str) -> str: ...


class Actor(msgspec.Struct, frozen=True, gc=False):
    """Whose hands act and whose rights they use.

    `person` and `principal_person` are resolved. `staff_id` and `staff` are whose rights are used:
    the principal's where a deputy acts, and `deputy` is then who acts. `customer_id` and `customer`
    are set where a member acts. All are None for a service.
    """

    party: Party
    person: str | None = None
    staff_id: str | None = None
    staff: Staff | None = None
    principal: Party | None = None
    principal_person: str | None = None
    deputy: Staff | None = None
    customer_id: str | None = None
    customer: Customer | None = None


def actor(view: Sees) -> Actor:
    """Return who acts by this view's given party, and for whom.

    Raises `Refused`: `actor.unknown`, `actor.person_missing`, `actor.person_mismatch`,
    `actor.not_in_standing`, `actor.not_deputy`, `actor.on_behalf_refused`.
    """
    by, principal = view.given.by, view.given.on_behalf_of
    if by.kind == "staff":
        if principal is not None:
            return _deputy(view, by, principal)
        staff, person = _staff(view, by)
        return Actor(by, person, staff_id=by.id, staff=staff)
    if principal is not None:
        raise Refused("actor.on_behalf_refused", party=by.ref, principal=principal.ref)
    if by.kind == "customer":
        return _member(view, by)
    if by.kind == "service":
        return Actor(by)
    raise Refused("actor.unknown", party=by.ref)


def _member(view: Sees, by: Party) -> Actor:
    """Return the member's actor; whether they are one is asked by `require_member`, for one act at
    a time.
    """
    customer = view.customer(by.id)
    if customer is None:
        raise Refused("actor.unknown", party=by.ref)
    if by.person is None:
        raise Refused("actor.person_missing", party=by.ref)
    person = view.same_person(by.person)
    return Actor(by, person, customer_id=by.id, customer=customer)


def _staff(view: Sees, party: Party) -> tuple[Staff, str]:
    staff = view.staff(party.id)
    if staff is None:
        raise Refused("actor.unknown", party=party.ref)
    if party.person is None:
        raise Refused("actor.person_missing", party=party.ref)
    person = view.same_person(party.person)
    if person != view.same_person(staff.person):
        raise Refused("actor.person_mismatch", party=party.ref)
    require_standing(staff, party, view.at)
    return staff, person


def _deputy(view: Sees, by: Party, principal: Party) -> Actor:
    """A deputy uses the principal's rights, one deep: what the principal holds as a deputy is not
    passed on.
    """
    if principal.kind != "staff":
        raise Refused("actor.on_behalf_refused", party=by.ref, principal=principal.ref)
    own, person = _staff(view, by)
    staff, principal_person = _staff(view, principal)
    deputy = deputy_at(staff, view.at)
    if deputy is None or deputy.staff != by.id:
        raise Refused("actor.not_deputy", party=by.ref, principal=principal.ref)
    return Actor(
        by,
        person,
        staff_id=principal.id,
        staff=staff,
        principal=principal,
        principal_person=principal_person,
        deputy=own,
    )


def require_standing(staff: Staff, party: Party, at: Instant) -> None:
    """Refuse with `actor.not_in_standing` whoever does not work here at that instant."""
    if not staff.active or not intervals.contains(standing(staff), at):
        raise Refused("actor.not_in_standing", party=party.ref)


def has_role(actor: Actor, role: str, at: Instant) -> bool:
    """Tell whether the staff member whose rights are used has `role` and is in standing at that
    instant.
    """
    staff = actor.staff
    if staff is None or not staff.active:
        return False
    return role in staff.roles and intervals.contains(standing(staff), at)


def require_role(actor: Actor, role: str, at: Instant) -> None:
    """Refuse with `role.missing` whoever does not use rights of staff that include `role`."""
    require_any_role(actor, (role,), at)


def require_any_role(actor: Actor, roles: tuple[str, ...], at: Instant) -> None:
    """Refuse with `role.missing` whoever has none of `roles`."""
    if not any(has_role(actor, role, at) for role in roles):
        raise Refused("role.missing", party=actor.party.ref, roles=roles)


def require_administrator(actor: Actor, at: Instant) -> None:
    """Refuse with `role.missing` whoever is no administrator."""
    require_role(actor, "administrator", at)


def require_administrator_or_operator(actor: Actor, at: Instant) -> None:
    """Refuse with `role.missing` whoever is neither an administrator nor the operator's command
    line.

    Only for what a tenant without an administrator needs: persons and their accounts, appointments,
    the catalogue.
    """
    if actor.party != OPERATOR:
        require_administrator(actor, at)


def require_timekeeper(actor: Actor) -> None:
    """Refuse with `role.missing` whoever is not the timekeeper, which records the clock."""
    if actor.party != TIMEKEEPER:
        raise Refused("role.missing", party=actor.party.ref, roles=("timekeeper",))


def may_act_for(person: str, customer: Customer, act: str, at: Instant, same: Same) -> bool:
    """Tell whether `person` is a member of `customer` for `act` at that instant."""
    return any(
        same(member.person) == same(person) and act in member.acts and is_member(member, at)
        for member in customer.members.values()
    )


def require_member(actor: Actor, customer_id: str, act: str, at: Instant, same: Same) -> None:
    """Refuse with `member.missing` whoever does not act as a member of `customer_id` for `act` at
    that instant.
    """
    if (
        actor.customer is None
        or actor.person is None
        or actor.customer_id != customer_id
        or not may_act_for(actor.person, actor.customer, act, at, same)
    ):
        raise Refused("member.missing", party=actor.party.ref, customer=customer_id, act=act)


def persons_of(actor: Actor) -> frozenset[str]:
    """Return the persons whose hands act, resolved: deputy and principal, none for a service."""
    return frozenset(one for one in (actor.person, actor.principal_person) if one is not None)


def is_fresh(persons: Iterable[str], hands: Iterable[str], same: Same) -> bool:
    """Tell whether none of `persons` had a hand in it."""
    return {same(person) for person in persons}.isdisjoint({same(hand) for hand in hands})


def require_fresh(actor: Actor, hands: Iterable[str], same: Same) -> None:
    """Refuse with `duties.not_separate` where one of the acting persons had a hand in it.

    With `actor.person_missing` where no person acts: a service is nobody's second pair of eyes.
    """
    require_person(actor)
    if not is_fresh(persons_of(actor), hands, same):
        raise Refused("duties.not_separate", party=actor.party.ref)


def require_person(actor: Actor) -> None:
    """Refuse with `actor.person_missing` a service, where two people must be behind a decision."""
    if not persons_of(actor):
        raise Refused("actor.person_missing", party=actor.party.ref)


def require_reason(act: Act) -> None:
    """Refuse with `reason.missing` what must not happen without one."""
    if act.reason is None or (act.reason.code is None and act.reason.text is None):
        raise Refused("reason.missing")


def grantees(view: Sees, ref: str) -> tuple[Customer | Staff, ...]:
    """Return whom a grantee's ref stands for: a staff member, or a customer and all it was merged
    into.
    """
    kind, _, stream_id = ref.partition(":")
    if kind == "staff":
        staff = view.staff(stream_id)
        return () if staff is None else (staff,)
    if kind != "customer":
        return ()
    found: list[Customer] = []
    following: str | None = stream_id
    while following is not None:
        if len(found) > MAX_MERGES:
            raise Refused("customer.merge_too_long", customer=stream_id)
        customer = view.customer(following)
        if customer is None:
            break
        found.append(customer)
        following = customer.merged_into
    return tuple(found)


def receives(persons: Iterable[str], grantee: Customer | Staff, at: Instant, same: Same) -> bool:
    """Tell whether one of `persons` is the grantee staff member or is now a member of the grantee
    customer.
    """
    if isinstance(grantee, Staff):
        receiving = {same(grantee.person)}
    else:
        members = grantee.members.values()
        receiving = {same(member.person) for member in members if is_member(member, at)}
    return not receiving.isdisjoint({same(person) for person in persons})


def in_team(actor: Actor, team: str, at: Instant) -> bool:
    """Tell whether one of the acting staff belongs to the team at this path, or to one below it."""
    acting = (actor.staff, actor.deputy)
    return any(one is not None and belongs(one.teams, team, at) for one in acting)


def require_not_receiving(
    actor: Actor, grantee: Iterable[Customer | Staff | Team], at: Instant, same: Same
) -> None:
    """Refuse with `duties.receives` whoever would decide on what they receive; see `grantees`."""
    for one in grantee:
        if isinstance(one, Team):
            members = {same(person) for person in one.persons}
            receiving = in_team(actor, one.path, at) or not members.isdisjoint(persons_of(actor))
        else:
            receiving = receives(persons_of(actor), one, at, same)
        if receiving:
            raise Refused("duties.receives", party=actor.party.ref)
