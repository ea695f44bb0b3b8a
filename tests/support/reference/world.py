"""The reference: what the whole product does, written by hand from `domain.md`, sharing no code.

It knows no ids, no positions, no versions, no read models; people and things have names. A command
is a method; it answers with the events that happen, or with every refusal that would be right.
"""

from __future__ import annotations

from datetime import datetime

from tests.support.reference.answers import NO_NEWS, Answer, failing, happened
from tests.support.reference.endings import Endings
from tests.support.reference.grants import EFFECTIVE, Grant, Hold, Revocation, covers
from tests.support.reference.people import Hands, Party

REVOKERS = ("compliance", "approver")


class World(Endings):
    """Everything, with supervision: holds, revocation, notes; and the access check."""

    def do(self, verb: str, by: Party, behalf: str = "", **given: object) -> Answer:
        """Give a command at `now`: `by` whom, on whose behalf."""
        who = self.hands(by, behalf)
        if isinstance(who, Answer):
            return who
        answer: Answer = getattr(self, verb)(who, **given)
        return answer

    def status(self, kind: str, name: str, at: datetime) -> str:
        """The status of anything at an instant, now or later."""
        match kind:
            case "grant":
                return self.grants[name].status(at)
            case "customer":
                return self.customer_status(name, at)
            case "staff":
                return "appointed" if self.staff[name].appointed else "deactivated"
            case "person":
                return "merged" if self.persons[name].merged else "registered"
            case "policy":
                return self.policies[name].versions[-1].status
            case _:
                return "kept"

    # --- holds ------------------------------------------------------------------------------------

    def suspend(
        self, who: Hands, *, grant: str, new: str, provisional: bool, reason: bool
    ) -> Answer:
        one = self.grants[grant]
        if refused := failing(
            ("role.missing", not self.has(who, "compliance")),
            ("grant.state", one.status(self.now) not in EFFECTIVE),
        ) or failing(("reason.missing", not reason)):
            return refused
        until = self.days(self.body(one)["provisional_days"]) if provisional else None
        one.holds[new] = Hold(self.now, who.persons, until)
        return happened("grant.suspended")

    def confirm_hold(self, who: Hands, *, grant: str, hold: str) -> Answer:
        one = self.grants[grant]
        if refused := failing(
            ("role.missing", not self.has(who, "compliance")),
            ("grant.state", one.status(self.now) != "suspended"),
        ):
            return refused
        found = one.holds.get(hold)
        if found is None:
            return Answer(refusals=frozenset({"hold.unknown"}))
        if refused := failing(("hold.over", not found.open(self.now))):
            return refused
        if found.confirm_by is None:
            return NO_NEWS
        if refused := failing(*self.apart(who, found.persons)):
            return refused
        found.confirm_by = None
        return happened("grant.suspension_confirmed")

    def resume(self, who: Hands, *, grant: str, hold: str, reason: bool) -> Answer:
        one, status = self.grants[grant], self.grants[grant].status(self.now)
        found, compliance = one.holds.get(hold), self.has(who, "compliance")
        if compliance and status in EFFECTIVE and found and not found.open(self.now):
            return NO_NEWS
        if refused := failing(
            ("role.missing", not compliance), ("grant.state", status != "suspended")
        ):
            return refused
        if found is None:
            return Answer(refusals=frozenset({"hold.unknown"}))
        if refused := failing(("reason.missing", not reason)):
            return refused
        found.ends = self.now
        return happened("grant.resumed")

    # --- revocation -------------------------------------------------------------------------------

    def request_revocation(self, who: Hands, *, grant: str, new: str) -> Answer:
        one = self.grants[grant]
        if refused := failing(
            ("member.missing", not self.acts_for(who, one.grantee, "revoke")),
            ("grant.state", one.status(self.now) not in EFFECTIVE),
        ):
            return refused
        if one.revocation is not None and one.revocation.origin == "customer":
            return NO_NEWS
        if refused := failing(("revocation.open", one.revocation is not None)):
            return refused
        one.revocation = Revocation(new, "customer", self.now, None, who.persons)
        return happened("grant.revocation_requested")

    def _open_case(self, one: Grant, case: str) -> Revocation | None:
        return one.revocation if one.revocation and one.revocation.name == case else None

    def confirm_revocation(self, who: Hands, *, grant: str, case: str) -> Answer:
        one = self.grants[grant]
        if who.staff:
            guard = ("role.missing", not self.has(who, *REVOKERS))
        elif one.revocation is not None and one.revocation.origin == "staff":
            guard = ("role.missing", True)
        else:
            guard = ("member.missing", not self.acts_for(who, one.grantee, "revoke"))
        if refused := failing(guard, ("grant.state", one.status(self.now) not in EFFECTIVE)):
            return refused
        found = self._open_case(one, case)
        if found is None:
            return Answer(refusals=frozenset({"revocation.unknown"}))
        effective = found.effective or self.now
        later = effective >= found.asked
        if refused := failing(
            *self.apart(who, found.persons),
            ("revocation.backdated_too_far", not later and self._too_far(one, effective)),
        ):
            return refused
        one.revoked = max(effective, self.now) if later else effective
        one.revocation = None
        return happened("grant.revoked")

    def cancel_revocation(self, who: Hands, *, grant: str, case: str) -> Answer:
        one = self.grants[grant]
        if refused := failing(("grant.state", one.status(self.now) not in EFFECTIVE)):
            return refused
        found = self._open_case(one, case)
        if found is None:
            return Answer(refusals=frozenset({"revocation.unknown"}))
        if found.origin == "staff":
            guard = ("role.missing", not self.has(who, *REVOKERS))
        else:
            guard = ("member.missing", not self.acts_for(who, one.grantee, "revoke"))
        if refused := failing(guard):
            return refused
        one.revocation = None
        return happened("grant.revocation_cancelled")

    def revoke(
        self, who: Hands, *, grant: str, new: str, effective: datetime | None, reason: bool
    ) -> Answer:
        one, status = self.grants[grant], self.grants[grant].status(self.now)
        revoker = self.has(who, *REVOKERS)
        if revoker and status == "revoked" and effective is None:
            return NO_NEWS
        if refused := failing(
            ("role.missing", not revoker), ("grant.state", status not in EFFECTIVE)
        ) or failing(("reason.missing", not reason)):
            return refused
        ends = effective or self.now
        if one.revoked == ends:
            return NO_NEWS
        two, over = self.body(one)["revocation_persons"] == 2, one.ends()
        if refused := failing(
            ("revocation.not_sooner", one.revoked is not None and one.revoked < ends),
            ("revocation.after_end", over is not None and over <= ends),
            ("revocation.backdated_too_far", self._too_far(one, ends)),
            ("revocation.open", two and one.revocation is not None),
        ):
            return refused
        if two:
            one.revocation = Revocation(new, "staff", self.now, effective, who.persons)
            return happened("grant.revocation_proposed")
        one.revoked = ends
        return happened("grant.revoked")

    def _too_far(self, one: Grant, ends: datetime) -> bool:
        return ends < self.days(-self.body(one)["backdate_days"])

    def revoke_by_rule(self, who: Hands, *, grant: str) -> Answer:
        one, status = self.grants[grant], self.grants[grant].status(self.now)
        if who.service and status == "revoked":
            return NO_NEWS
        if refused := failing(
            ("role.missing", not who.service), ("grant.state", status not in EFFECTIVE)
        ):
            return refused
        one.revoked = self.now
        return happened("grant.revoked")

    def note(self, who: Hands, *, grant: str, empty: bool) -> Answer:
        acts = ("request", "provide", "sign", "revoke", "report_use")
        hand = who.service or who.staff or self.acts_for(who, self.grants[grant].grantee, *acts)
        if refused := failing(("member.missing", not hand)) or failing(("note.empty", empty)):
            return refused
        return happened("grant.noted")

    # --- the access check -------------------------------------------------------------------------

    def may(self, subject: Party, action: str, point: dict[str, str], at: datetime) -> bool:
        """Whether `subject` may do `action` at `at` on a point, given by dimension and path."""
        parties = [subject.name]
        if subject.kind == "customer":
            last = self.records(subject)[-1]
            parties = [
                name for name in self.customers if self.records(Party("customer", name))[-1] == last
            ]
        return any(
            one.grantee.kind == subject.kind
            and one.grantee.name in parties
            and (ruling := one.ruling(at)) is not None
            and action in ruling.terms.actions
            and covers(ruling.terms.scope, point)
            and one.in_force(at)
            and self.stands(one.grantee, at)
            for one in self.grants.values()
        )

    def deadlines(self) -> list[datetime]:
        """Every instant after now at which the clock changes something."""
        found = [at for one in self.grants.values() for at in one.deadlines()]
        found += [one.until for one in self.customers.values() if one.until]
        found += [
            one.ends
            for customer in self.customers.values()
            for one in customer.members.values()
            if one.ends
        ]
        found += [one.deputy[2] for one in self.staff.values() if one.deputy]
        found += [
            one.begins for kind in self.policies.values() for one in kind.versions if one.begins
        ]
        return sorted({at for at in found if self.now < at})
