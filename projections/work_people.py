"""Who could take a step now, tried person by person on the domain's own rules; and who left."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator
from typing import Any, Final, NamedTuple

from domain.customers import Customer
from domain.errors import Refused
from domain.grant_states import Grant
from domain.grantees import grantee_of
from domain.staff import Staff, deputy_at
from domain.values import Party
from projections.work_states import ALREADY, States
from projections.work_steps import NOBODY, Step

SHOWN: Final = 10
"""Staff named of those who could take a step; their number is told in full."""

MEMBERS_TAKE: Final = frozenset({"answer", "sign", "confirm_revocation"})
"""Kinds of tasks that members of a customer can take as well."""

OF_THE_PERSON: Final = frozenset(
    {
        ALREADY,
        "actor.not_deputy",
        "actor.not_in_standing",
        "actor.person_mismatch",
        "actor.person_missing",
        "approver.not_eligible",
        "duties.not_separate",
        "duties.receives",
        "member.missing",
        "role.missing",
        "role.not_requester",
        "stage.group_complete",
    }
)
"""Refusals that speak of who acts; any other one hinders whoever it is."""


class Hand(NamedTuple):
    """A staff member, acting for themselves or for whom they stand in."""

    staff_id: str
    number: str
    by: Party
    on_behalf_of: Party | None = None


class Could(NamedTuple):
    """Who could take a step: staff (`SHOWN` of `number`), so many members, or what hinders all."""

    staff: list[dict[str, Any]]
    number: int
    members: int
    hindrance: str | None


class Firm:
    """A tenant's staff as they stand now, and what they left behind."""

    def __init__(self, states: States) -> None:
        self._states = states
        ids = states.staff_ids()
        states.bring(("staff", staff_id) for staff_id in ids)
        found = ((one, _state(states, "staff", one)) for one in ids)
        self._staff: dict[str, Staff] = {one: who for one, who in found if isinstance(who, Staff)}
        states.bring(("person", who.person) for who in self._staff.values())
        self._same = states.view(NOBODY).same_person
        self._of_person: dict[str, list[Staff]] = defaultdict(list)
        self._of_customer: dict[str, list[Staff]] = defaultdict(list)
        for who in self._staff.values():
            self._of_person[self._same(who.person)].append(who)
            for customer in who.customers:
                self._of_customer[customer].append(who)
        self._hands = sorted(self._all_hands(), key=lambda hand: (hand.number, hand.staff_id))

    @property
    def size(self) -> int:
        """How many hands there are, each a staff member in their own name or for another."""
        return len(self._hands)

    def _all_hands(self) -> Iterator[Hand]:
        for staff_id, who in self._staff.items():
            if not who.active:
                continue
            own = Party(f"staff:{staff_id}", who.person)
            yield Hand(staff_id, who.number, own)
            deputy = deputy_at(who, self._states.at)
            stands_in = None if deputy is None else self._staff.get(deputy.staff)
            if deputy is not None and stands_in is not None and stands_in.active:
                acting = Party(f"staff:{deputy.staff}", stands_in.person)
                yield Hand(deputy.staff, stands_in.number, acting, own)

    def hands(self, step: Step, *, of: str | None = None, also: str = "") -> Iterator[Hand]:
        """Yield whose hands are worth trying: rights with one of the step's roles, or `also`'s.

        `of`: only what this staff member (id) can do. First what one can do in one's own name.
        """
        for own in (True, False):
            for hand in self._hands:
                rights = hand.by if hand.on_behalf_of is None else hand.on_behalf_of
                known = self._staff[rights.id]
                fits = not set(known.roles).isdisjoint(step.roles) or rights.ref == also
                if (hand.on_behalf_of is None) == own and of in (None, hand.staff_id) and fits:
                    yield hand

    def principals(self, staff_id: str) -> list[tuple[str, str]]:
        """Return whom a staff member stands in for: ref and number of each."""
        return [
            (hand.on_behalf_of.ref, self._staff[hand.on_behalf_of.id].number)
            for hand in self._hands
            if hand.staff_id == staff_id and hand.on_behalf_of is not None
        ]

    def could(self, step: Step, kind: str, state: Any) -> Could:
        """Return who could take the step now."""
        if step.command is None:
            return Could([], 0, 0, step.hindrance)
        also = state.grantee if isinstance(state, Grant) else ""
        found: dict[str, Hand] = {}
        hindrances: list[str] = []
        for hand in self.hands(step, also=also):
            if hand.staff_id in found:
                continue
            code = self._states.refusal(step.command, hand.by, hand.on_behalf_of)
            if code is None:
                found[hand.staff_id] = hand
            elif code not in OF_THE_PERSON:
                hindrances.append(code)
        members = self._members(step, kind, state, hindrances)
        hindrance = hindrances[0] if hindrances and not found and not members else None
        return Could(
            [_shown(one) for one in list(found.values())[:SHOWN]], len(found), members, hindrance
        )

    def can(self, step: Step, staff_id: str, state: Any) -> bool:
        """Tell whether this staff member could take the step now."""
        if step.command is None:
            return False
        also = state.grantee if isinstance(state, Grant) else ""
        return any(
            self._states.refusal(step.command, hand.by, hand.on_behalf_of) is None
            for hand in self.hands(step, of=staff_id, also=also)
        )

    def _members(self, step: Step, kind: str, state: Any, hindrances: list[str]) -> int:
        """Return how many people could take it as members of the customer."""
        if kind not in MEMBERS_TAKE or not isinstance(state, Grant) or step.command is None:
            return 0
        able: set[str] = set()
        for party in self._parties(state):
            code = self._states.refusal(step.command, party, None)
            if code is None and party.person is not None:
                able.add(self._same(party.person))
            elif code is not None and code not in OF_THE_PERSON:
                hindrances.append(code)
        return len(able)

    def _parties(self, grant: Grant) -> Iterator[Party]:
        """Yield the members of whom it is given to and of whom it is passed on from."""
        view = self._states.view(NOBODY)
        refs = [grant.grantee]
        if grant.terms.parent is not None:
            above = _state(self._states, "grant", grant.terms.parent)
            refs += [above.grantee] if isinstance(above, Grant) else []
        for ref in refs:
            if not ref.startswith("customer:"):
                continue
            try:
                grantee = grantee_of(view, ref)
            except Refused:
                continue
            for customer_id, record in zip(grantee.ids, grantee.records, strict=False):
                if isinstance(record, Customer):
                    for member in record.members.values():
                        yield Party(f"customer:{customer_id}", member.person)

    def unassigned(self, askers: Iterable[str], customer: str | None) -> bool:
        """Tell whether the staff who asked, or to whom the customer is assigned, have all left."""
        for asker in askers:
            records = self._of_person.get(self._same(asker), [])
            if records and not any(who.active for who in records):
                return True
        managers = [] if customer is None else self._of_customer.get(customer, [])
        return bool(managers) and not any(who.active for who in managers)


def _state(states: States, kind: str, stream_id: str) -> Any:
    """Return a state, None where its stream cannot be folded."""
    try:
        return states.load(kind, stream_id).state
    except Refused:
        return None


def _shown(hand: Hand) -> dict[str, Any]:
    principal = None if hand.on_behalf_of is None else hand.on_behalf_of.ref
    return {"staff": hand.by.ref, "number": hand.number, "on_behalf_of": principal}
