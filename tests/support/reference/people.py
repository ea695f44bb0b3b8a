"""Who is there: persons and their accounts, staff in their roles, and who stands in for whom."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta

from tests.support.reference.answers import NO_NEWS, Answer, failing, happened

Span = tuple[datetime, datetime | None]


@dataclass(frozen=True)
class Party:
    """Who calls: `staff` or `service` by name, `customer` with the person who is its member."""

    kind: str
    name: str
    person: str = ""


@dataclass(frozen=True)
class Hands:
    """Whose hands act (`persons`), whose rights as staff they use, for which customer."""

    persons: frozenset[str]
    staff: str = ""
    deputising: bool = False
    customer: str = ""
    service: bool = False


@dataclass
class Person:
    merged: str = ""
    accounts: list[str] = field(default_factory=list[str])


@dataclass
class Staff:
    person: str
    number: str
    level: str
    roles: frozenset[str]
    customers: frozenset[str] = frozenset()
    appointed: bool = True
    spans: list[Span] = field(default_factory=list[Span])
    deputy: tuple[str, datetime, datetime] | None = None


class People:
    """Persons and staff; `now` is the instant of the command."""

    def __init__(self, now: datetime) -> None:
        self.now = now
        self.persons: dict[str, Person] = {}
        self.staff: dict[str, Staff] = {}
        self.claims: dict[tuple[str, str], str] = {}

    # --- who acts ---------------------------------------------------------------------------------

    def same(self, person: str) -> str:
        """Who a person turned out to be."""
        while self.persons[person].merged:
            person = self.persons[person].merged
        return person

    def same_all(self, persons: frozenset[str]) -> frozenset[str]:
        return frozenset(self.same(one) for one in persons)

    def hands(self, by: Party, behalf: str = "") -> Hands | Answer:
        """Whose hands act; refused where they do not work here, or do not stand in for `behalf`."""
        if by.kind != "staff":
            if behalf:
                return Answer(refusals=frozenset({"actor.on_behalf_refused"}))
            if by.kind == "service":
                return Hands(frozenset(), service=True)
            return Hands(frozenset({self.same(by.person)}), customer=by.name)
        names = [by.name, behalf] if behalf else [by.name]
        refused = failing(
            ("actor.not_in_standing", not all(self.staff[one].appointed for one in names)),
            ("actor.not_deputy", bool(behalf) and not self._stands_in(by.name, behalf)),
        )
        if refused:
            return refused
        persons = frozenset(self.same(self.staff[one].person) for one in names)
        return Hands(persons, behalf or by.name, deputising=bool(behalf))

    def _stands_in(self, deputy: str, principal: str) -> bool:
        lent = self.staff[principal].deputy
        return lent is not None and lent[0] == deputy and lent[1] <= self.now < lent[2]

    def has(self, who: Hands, *roles: str) -> bool:
        """Whether the staff member whose rights are used has one of these roles."""
        return bool(who.staff) and not self.staff[who.staff].roles.isdisjoint(roles)

    def apart(self, who: Hands, hands: frozenset[str]) -> tuple[tuple[str, bool], ...]:
        """Guards: a person, and one who had no hand in it."""
        return (
            ("actor.person_missing", not who.persons),
            ("duties.not_separate", not self.same_all(hands).isdisjoint(who.persons)),
        )

    # --- persons ----------------------------------------------------------------------------------

    def register_person(self, who: Hands, *, new: str) -> Answer:
        if refused := failing(("role.missing", not self.has(who, "administrator"))):
            return refused
        self.persons[new] = Person()
        return happened("person.registered")

    def merge_person(self, who: Hands, *, person: str, into: str) -> Answer:
        one, other = self.persons[person], self.persons[into]
        if refused := failing(("role.missing", not self.has(who, "administrator"))):
            return refused
        if one.merged == into:
            return NO_NEWS
        if refused := failing(("person.state", bool(one.merged))):
            return refused
        if refused := failing(
            ("person.merge_self", person == into), ("person.merge_target", bool(other.merged))
        ):
            return refused
        one.merged = into
        return happened("person.merged")

    def link_account(self, who: Hands, *, person: str, new: str, login: str) -> Answer:
        one = self.persons[person]
        if refused := failing(
            ("role.missing", not self.has(who, "administrator")),
            ("person.state", bool(one.merged)),
        ):
            return refused
        if refused := self._claim("account", login, person):
            return refused
        one.accounts.append(new)
        return happened("person.account_linked")

    def unlink_account(self, who: Hands, *, person: str, account: str) -> Answer:
        one = self.persons[person]
        if refused := failing(
            ("role.missing", not self.has(who, "administrator")),
            ("person.state", bool(one.merged)),
        ):
            return refused
        if account not in one.accounts:
            return NO_NEWS
        one.accounts.remove(account)
        return happened("person.account_unlinked")

    def _claim(self, kind: str, value: str, owner: str) -> Answer | None:
        """What may exist once: refused where another has it, for good."""
        taken = self.claims.get((kind, value), owner) != owner
        if not taken:
            self.claims[kind, value] = owner
        return failing(("claim.taken", taken))

    # --- staff ------------------------------------------------------------------------------------

    def appoint(
        self, who: Hands, *, new: str, person: str, level: str, roles: frozenset[str]
    ) -> Answer:
        """Appoint someone, or who left again; a staff member's number is their name here."""
        known = self.staff.get(new)
        if refused := failing(
            ("role.missing", not self.has(who, "administrator")),
            ("person.state", bool(self.persons[person].merged)),
        ):
            return refused
        if known and known.appointed:
            as_before = (known.person, known.level, known.roles, known.customers)
            if as_before == (person, level, roles, frozenset()):
                return NO_NEWS
            return Answer(refusals=frozenset({"staff.state"}))
        if known and self.same(known.person) != self.same(person):
            return Answer(refusals=frozenset({"staff.person_changed"}))
        spans = [] if known is None else known.spans
        spans.append((self.now, None))
        self.staff[new] = Staff(person, new, level, roles, spans=spans)
        return happened("staff.appointed")

    appoint_again = appoint

    def change_roles(self, who: Hands, *, staff: str, roles: frozenset[str]) -> Answer:
        known = self.staff[staff]
        if refused := failing(
            ("role.missing", not self.has(who, "administrator")),
            ("staff.state", not known.appointed),
        ):
            return refused
        if known.roles == roles:
            return NO_NEWS
        known.roles = roles
        return happened("staff.roles_changed")

    def change_level(self, who: Hands, *, staff: str, level: str) -> Answer:
        known = self.staff[staff]
        if refused := failing(
            ("role.missing", not self.has(who, "administrator")),
            ("staff.state", not known.appointed),
        ):
            return refused
        if known.level == level:
            return NO_NEWS
        known.level = level
        return happened("staff.level_changed")

    def assign(self, who: Hands, *, staff: str, customers: frozenset[str]) -> Answer:
        known = self.staff[staff]
        if refused := failing(
            ("role.missing", not self.has(who, "administrator")),
            ("staff.state", not known.appointed),
        ):
            return refused
        if known.customers == customers:
            return NO_NEWS
        known.customers = customers
        return happened("staff.assignments_changed")

    def _keeps(self, who: Hands, staff: str) -> bool:
        """An administrator, or the staff member themselves (not their deputy)."""
        own = who.staff == staff and not who.deputising
        return own or self.has(who, "administrator")

    def hand_over(self, who: Hands, *, staff: str, to: str) -> Answer:
        """Hand all customers over."""
        known, target = self.staff[staff], self.staff[to]
        if refused := failing(
            ("role.missing", not self._keeps(who, staff)),
            ("staff.hand_over_self", staff == to),
            ("staff.state", not target.appointed),
        ):
            return refused
        if not known.customers:
            return NO_NEWS
        more = not known.customers <= target.customers
        target.customers |= known.customers
        known.customers = frozenset()
        return happened("staff.handed_over", *["staff.assignments_changed"][: int(more)])

    def set_deputy(self, who: Hands, *, staff: str, deputy: str, days: int) -> Answer:
        """Someone stands in from now on, for so many days."""
        known, until = self.staff[staff], self.now + timedelta(days=days)
        if refused := failing(
            ("role.missing", not self._keeps(who, staff)),
            ("staff.state", not known.appointed),
        ):
            return refused
        wanted = (deputy, self.now, until)
        if known.deputy == wanted:
            return NO_NEWS
        person = self.same(self.staff[deputy].person)
        if refused := failing(
            ("staff.term_empty", until <= self.now),
            ("staff.deputy_not_in_standing", not self.staff[deputy].appointed),
            ("staff.deputy_self", person == self.same(known.person)),
            ("staff.deputy_circle", self._circle(staff, *wanted)),
        ):
            return refused
        known.deputy = wanted
        return happened("staff.deputy_set")

    def _circle(self, staff: str, deputy: str, begin: datetime, end: datetime) -> bool:
        """Whether at some instant `staff` would stand in for themselves."""
        following = deputy
        for _ in self.staff:
            if following == staff:
                return True
            lent = self.staff[following].deputy
            if lent is None:
                return False
            begin, end = max(begin, lent[1]), min(end, lent[2])
            if end <= begin:
                return False
            following = lent[0]
        return False

    def end_deputy(self, who: Hands, *, staff: str) -> Answer:
        known = self.staff[staff]
        if refused := failing(
            ("role.missing", not self._keeps(who, staff)),
            ("staff.state", not known.appointed),
        ):
            return refused
        if known.deputy is None:
            return NO_NEWS
        known.deputy = None
        return happened("staff.deputy_ended")

    def deactivate(self, who: Hands, *, staff: str) -> Answer:
        known = self.staff[staff]
        if refused := failing(("role.missing", not self.has(who, "administrator"))):
            return refused
        if not known.appointed:
            return NO_NEWS
        known.appointed, known.deputy = False, None
        known.spans.append((known.spans.pop()[0], self.now))
        return happened("staff.deactivated")
