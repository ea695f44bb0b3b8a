"""Customers of the reference: registered, identified, confirmed, blocked, merged; their members."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import combinations

from tests.support.reference.answers import NO_NEWS, Answer, failing, happened
from tests.support.reference.people import Hands, Party, Span
from tests.support.reference.policies import Policies

SPOKEN = ("phone", "interview", "video")
SEEN = ("site_visit",)


@dataclass
class Check:
    kind: str
    channel: str
    passed: bool
    at: datetime
    ends: datetime | None


@dataclass
class Member:
    person: str
    acts: frozenset[str]
    begins: datetime
    ends: datetime | None


@dataclass
class Correction:
    title: str
    persons: frozenset[str]
    outcome: str = ""


@dataclass
class Customer:
    form: str
    title: str
    by: frozenset[str]
    checks: list[Check] = field(default_factory=list[Check])
    until: datetime | None = None
    confirmed: list[Span] = field(default_factory=list[Span])
    blocked: list[Span] = field(default_factory=list[Span])
    members: dict[str, Member] = field(default_factory=dict[str, Member])
    corrections: dict[str, Correction] = field(default_factory=dict[str, Correction])
    merge: tuple[str, frozenset[str]] | None = None
    merged: tuple[str, datetime] | None = None
    grade: str = ""


def within(spans: list[Span], at: datetime) -> bool:
    """Whether an instant lies in one of the half-open spans."""
    return any(begin <= at and (end is None or at < end) for begin, end in spans)


class Customers(Policies):
    """Customers by name."""

    def __init__(self, now: datetime) -> None:
        super().__init__(now)
        self.customers: dict[str, Customer] = {}

    # --- what is the case -------------------------------------------------------------------------

    def customer_status(self, name: str, at: datetime) -> str:
        """The status by the clock."""
        one = self.customers[name]
        if one.merged:
            return "merged"
        if one.blocked and one.blocked[-1][1] is None:
            return "blocked"
        if one.until is None:
            return "registered"
        return "confirmed" if at < one.until else "lapsed"

    def records(self, ref: Party) -> list[str]:
        """The customer's record and those it went into, in this order."""
        found = [ref.name]
        while (merged := self.customers[found[-1]].merged) is not None:
            found.append(merged[0])
        return found

    def stands(self, ref: Party, at: datetime) -> bool:
        """Whether a grantee is in standing at an instant; one merged away as what it went into."""
        if ref.kind == "staff":
            return within(self.staff[ref.name].spans, at)
        one = self.customers[ref.name]
        if one.merged is not None and one.merged[1] <= at:
            return self.stands(Party("customer", one.merged[0]), at)
        return within(one.confirmed, at) and not within(one.blocked, at)

    def receives(self, who: Hands, ref: Party) -> bool:
        """Whether one who acts is the grantee, or a member of it or of what it went into."""
        if ref.kind == "staff":
            return self.same(self.staff[ref.name].person) in who.persons
        return any(
            self.same(member.person) in who.persons and self._holds(member)
            for name in self.records(ref)
            for member in self.customers[name].members.values()
        )

    def acts_for(self, who: Hands, ref: Party, *acts: str) -> bool:
        """Whether the grantee acts: as a member for one of the acts, or as that staff member."""
        if ref.kind == "staff":
            return who.staff == ref.name and not who.deputising
        if who.customer not in self.records(ref):
            return False
        return any(
            self.same(member.person) in who.persons
            and self._holds(member)
            and not member.acts.isdisjoint(acts)
            for member in self.customers[who.customer].members.values()
        )

    def _holds(self, member: Member) -> bool:
        return member.begins <= self.now and (member.ends is None or self.now < member.ends)

    # --- identification ---------------------------------------------------------------------------

    def register_customer(self, who: Hands, *, new: str, form: str, number: str) -> Answer:
        own = Party("customer", who.customer)
        if who.customer:
            guard = ("member.missing", not self.acts_for(who, own, "request"))
        else:
            guard = ("role.missing", not self.has(who, "requester", "verifier"))
        if refused := failing(guard) or self._claim("customer_number", number, new):
            return refused
        self.customers[new] = Customer(form, new, who.persons)
        return happened("customer.registered")

    def identify(
        self,
        who: Hands,
        *,
        customer: str,
        kind: str,
        channel: str,
        passed: bool,
        document: bool,
        ends: datetime | None,
    ) -> Answer:
        """Record one act of identification; what was spoken or seen comes without its record."""
        state = self.customer_status(customer, self.now)
        if refused := failing(
            ("role.missing", not self.has(who, "requester", "verifier")),
            ("customer.state", state in ("blocked", "merged")),
        ):
            return refused
        if refused := failing(
            ("check.document_missing", not document),
            ("check.document_ended", passed and ends is not None and ends <= self.now),
            ("evidence.record_missing", channel in (*SPOKEN, *SEEN)),
        ):
            return refused
        self.customers[customer].checks.append(Check(kind, channel, passed, self.now, ends))
        return happened("customer.identity_checked")

    def confirm(self, who: Hands, *, customer: str, kind: str) -> Answer:
        one = self.customers[customer]
        number = self.version_in_force(kind)
        if refused := failing(
            ("role.missing", not self.has(who, "requester", "verifier")),
            ("policy.not_in_force", not number),
            ("customer.state", self.customer_status(customer, self.now) in NOT_CONFIRMABLE),
        ):
            return refused
        need = self.policies[kind].versions[number - 1].body["identification"]
        until = self._good_until(one, **need)
        if refused := failing(
            *self.apart(who, one.by),
            ("duties.receives", self.receives(who, Party("customer", customer))),
            ("customer.not_identified", until is None),
        ):
            return refused
        one.until = until
        one.confirmed.append((self.now, until))
        one.checks = []
        return happened("customer.confirmed")

    def _good_until(self, one: Customer, checks: int, channels: int, days: int) -> datetime | None:
        """The latest end that enough checks over enough channels carry; every choice is tried."""
        longest = self.now + timedelta(days=days)
        counted = [
            (min(check.ends or longest, longest), check.channel)
            for number, check in enumerate(one.checks)
            if check.passed
            and check.at >= self.now - timedelta(days=days)
            and not any(
                later.kind == check.kind and not later.passed for later in one.checks[number:]
            )
        ]
        ends = [
            min((end for end, _ in chosen), default=longest)
            for chosen in combinations(counted, checks)
            if len({channel for _, channel in chosen}) >= channels
        ]
        return max((end for end in ends if self.now < end), default=None)

    # --- the record -------------------------------------------------------------------------------

    def _kept(self, who: Hands, customer: str, *roles: str) -> Answer | None:
        """Guards of what may happen to any customer but one merged away."""
        return failing(
            ("role.missing", not self.has(who, *roles)),
            ("customer.state", self.customers[customer].merged is not None),
        )

    def change_profile(self, who: Hands, *, customer: str) -> Answer:
        refused = self._kept(who, customer, *KEEPERS)
        return refused or happened("customer.profile_changed")

    def grade(self, who: Hands, *, customer: str, grade: str) -> Answer:
        one = self.customers[customer]
        if refused := self._kept(who, customer, *KEEPERS):
            return refused
        if one.grade == grade:
            return NO_NEWS
        one.grade = grade
        return happened("customer.graded")

    def propose_correction(self, who: Hands, *, customer: str, new: str, title: str) -> Answer:
        """Another title, as only an organization has one."""
        one = self.customers[customer]
        refused = self._kept(who, customer, *KEEPERS)
        if refused := refused or failing(("customer.form", one.form == "person")):
            return refused
        if title == one.title:
            return NO_NEWS
        one.corrections[new] = Correction(title, who.persons)
        return happened("customer.correction_proposed")

    def accept_correction(self, who: Hands, *, customer: str, correction: str) -> Answer:
        return self._decide_correction(who, customer, correction, accept=True)

    def reject_correction(self, who: Hands, *, customer: str, correction: str) -> Answer:
        return self._decide_correction(who, customer, correction, accept=False)

    def _decide_correction(
        self, who: Hands, customer: str, correction: str, *, accept: bool
    ) -> Answer:
        one = self.customers[customer]
        if refused := self._kept(who, customer, "verifier", "compliance"):
            return refused
        found, outcome = one.corrections[correction], "corrected" if accept else "rejected"
        if found.outcome == outcome:
            return NO_NEWS
        if refused := failing(("correction.decided", bool(found.outcome))):
            return refused
        if not accept:
            found.outcome = outcome
            return happened("customer.correction_rejected")
        if refused := failing(*self.apart(who, found.persons)):
            return refused
        found.outcome, one.title = outcome, found.title
        return happened("customer.corrected")

    def add_member(
        self, who: Hands, *, customer: str, new: str, person: str, acts: frozenset[str], days: int
    ) -> Answer:
        """Someone may act from now on, for so many days (0: without an end)."""
        if refused := self._kept(who, customer, *KEEPERS):
            return refused
        if refused := failing(("person.state", bool(self.persons[person].merged))):
            return refused
        ends = self.now + timedelta(days=days) if days else None
        self.customers[customer].members[new] = Member(person, acts, self.now, ends)
        return happened("customer.member_added")

    def end_member(self, who: Hands, *, customer: str, member: str) -> Answer:
        if refused := self._kept(who, customer, *KEEPERS):
            return refused
        found = self.customers[customer].members[member]
        if found.ends is not None and found.ends <= self.now:
            return NO_NEWS
        found.ends = self.now
        return happened("customer.member_ended")

    # --- blocks and merges ------------------------------------------------------------------------

    def block(self, who: Hands, *, customer: str, reason: bool) -> Answer:
        if refused := self._kept(who, customer, "compliance"):
            return refused
        if self.customer_status(customer, self.now) == "blocked":
            return NO_NEWS
        if refused := failing(("reason.missing", not reason)):
            return refused
        self.customers[customer].blocked.append((self.now, None))
        return happened("customer.blocked")

    def unblock(self, who: Hands, *, customer: str, reason: bool) -> Answer:
        if refused := self._kept(who, customer, "compliance"):
            return refused
        if self.customer_status(customer, self.now) != "blocked":
            return NO_NEWS
        if refused := failing(("reason.missing", not reason)):
            return refused
        blocked = self.customers[customer].blocked
        blocked.append((blocked.pop()[0], self.now))
        return happened("customer.unblocked")

    def propose_merge(self, who: Hands, *, customer: str, into: str) -> Answer:
        one = self.customers[customer]
        refused = self._kept(who, customer, *KEEPERS)
        if refused := refused or failing(*self._target(customer, into)):
            return refused
        if one.merge is not None and one.merge[0] == into:
            return NO_NEWS
        if refused := failing(("customer.merge_open", one.merge is not None)):
            return refused
        one.merge = (into, who.persons)
        return happened("customer.merge_proposed")

    def _target(self, customer: str, into: str) -> tuple[tuple[str, bool], ...]:
        one, other = self.customers[customer], self.customers[into]
        return (
            ("customer.merge_self", customer == into),
            ("customer.merge_target", other.merged is not None),
            ("customer.form", one.form != other.form),
        )

    def accept_merge(self, who: Hands, *, customer: str) -> Answer:
        return self._decide_merge(who, customer, accept=True)

    def reject_merge(self, who: Hands, *, customer: str) -> Answer:
        return self._decide_merge(who, customer, accept=False)

    def _decide_merge(self, who: Hands, customer: str, *, accept: bool) -> Answer:
        one = self.customers[customer]
        refused = self._kept(who, customer, "compliance")
        if refused := refused or failing(("customer.merge_unknown", one.merge is None)):
            return refused
        into, persons = one.merge or ("", frozenset[str]())
        if accept:
            guards = (*self.apart(who, persons), *self._target(customer, into))
            if refused := failing(*guards):
                return refused
            one.merged = (into, self.now)
        one.merge = None
        return happened("customer.merged" if accept else "customer.merge_rejected")


NOT_CONFIRMABLE = ("confirmed", "blocked", "merged")
KEEPERS = ("requester", "verifier", "compliance")
