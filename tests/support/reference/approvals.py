"""Approvals of the reference: stages and their groups, rejection, withdrawal, signatures."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from tests.support.reference.answers import NO_NEWS, Answer, failing, happened
from tests.support.reference.customers import Customers
from tests.support.reference.grants import (
    EFFECTIVE,
    OPEN,
    Approval,
    Case,
    Effect,
    Grant,
    Terms,
    covers,
    digest,
    normal,
)
from tests.support.reference.people import Hands
from tests.support.reference.policies import Body, eligible

SETTLED = ("pending_approval", "approved", *EFFECTIVE)


class Approvals(Customers):
    """Grants by name, from where they wait for approval to where they take effect."""

    def __init__(self, now: datetime) -> None:
        super().__init__(now)
        self.grants: dict[str, Grant] = {}

    def body(self, grant: Grant | Case) -> Body:
        """The policy version a grant rests on."""
        return self.policies[grant.terms.kind].versions[grant.version - 1].body

    def days(self, number: int) -> datetime:
        return self.now + timedelta(days=number)

    # --- approving --------------------------------------------------------------------------------

    def _counting(self, one: Grant | Case) -> list[Approval]:
        """Approvals by people who had no other hand in the case, each person's first."""
        taken, found = set(self.same_all(one.hands)), list[Approval]()
        for stage, group, by in one.approvals:
            persons = self.same_all(by)
            if taken.isdisjoint(persons):
                found.append((stage, group, persons))
                taken |= persons
        return found

    def _lacking(self, stage: dict[str, Any], group: int, approvals: list[Approval]) -> int:
        given = [one for one in approvals if one[:2] == (stage["id"], group)]
        return stage["groups"][group]["number"] - len(given)

    def open_stage(self, one: Grant | Case, more: list[Approval] | None = None) -> Any:
        """The first stage in which a group lacks someone; None where there is none."""
        approvals = [*self._counting(one), *(more or [])]
        for stage in self.body(one)["stages"]:
            groups = range(len(stage["groups"]))
            if any(self._lacking(stage, group, approvals) > 0 for group in groups):
                return stage
        return None

    def _groups(self, who: Hands, stage: dict[str, Any]) -> list[int]:
        """The groups someone may speak for, those of few levels first."""
        staff = self.staff.get(who.staff)
        groups = list(enumerate(stage["groups"]))
        return [
            number
            for number, group in sorted(
                groups, key=lambda one: (not one[1]["levels"], len(one[1]["levels"]))
            )
            if staff is not None and eligible(group, staff.roles, staff.level)
        ]

    def approve(
        self, who: Hands, *, grant: str, stage: str, less: dict[str, Any] | None = None
    ) -> Answer:
        """Approve, all that is asked for or less: `scope`, `ends`, `days`."""
        one, status = self.grants[grant], self.grants[grant].status(self.now)
        if status in SETTLED and self._approved_already(who, one, stage, less):
            return NO_NEWS
        if refused := failing(("grant.state", status != "pending_approval")):
            return refused
        given = self._approval(who, one, stage, less)
        if isinstance(given, Answer):
            return given
        approval, terms, after = given
        if after is None and self._evidence_over(one, terms):
            return Answer(refusals=frozenset({"term.evidence_over"}))
        one.approvals.append(approval)
        one.terms = terms
        if after is None:
            return happened("grant.stage_approved", *self._approved(one))
        if after["id"] != stage:
            one.lapses = self.days(after["lapse_days"])
        return happened("grant.stage_approved")

    def _approved_already(
        self, who: Hands, one: Grant | Case, stage: str, less: dict[str, Any] | None
    ) -> bool:
        """Whether these hands approved the stage, and leave no other terms now."""
        given = any(
            name == stage and who.persons and self.same_all(by) == who.persons
            for name, _, by in one.approvals
        )
        return given and _left(one.terms, less) == one.terms

    def _approval(
        self, who: Hands, one: Grant | Case, stage: str, less: dict[str, Any] | None
    ) -> Answer | tuple[Approval, Terms, Any]:
        """The approval someone gives, the terms they leave, and the stage that is open then."""
        current: Any = self.open_stage(one)
        known = [there["id"] for there in self.body(one)["stages"]]
        if refused := failing(
            ("stage.unknown", stage not in known),
            ("stage.not_open", stage in known and (current is None or current["id"] != stage)),
        ):
            return refused
        assert current is not None
        groups, approvals = self._groups(who, current), self._counting(one)
        wanting = [group for group in groups if self._lacking(current, group, approvals) > 0]
        hands = one.hands.union(*(by for _, _, by in one.approvals))
        if refused := failing(
            ("approver.not_eligible", not groups),
            ("duties.receives", self.receives(who, one.grantee)),
            *self.apart(who, hands),
            ("grantee.standing", not self.stands(one.grantee, self.now)),
            ("stage.group_complete", bool(groups) and not wanting),
            *self._narrowing(one.terms, less, current),
        ):
            return refused
        given: Approval = (stage, wanting[0], who.persons)
        return given, _left(one.terms, less), self.open_stage(one, [given])

    def _narrowing(
        self, terms: Terms, less: dict[str, Any] | None, stage: dict[str, Any]
    ) -> list[tuple[str, bool]]:
        """Guards: less where the stage lets them, never more, and something."""
        left = _left(terms, less)
        if left == terms:
            return []
        wider = any(
            not any(covers({name: (one,)}, {name: pattern}) for one in terms.scope[name])
            for name, patterns in left.scope.items()
            for pattern in patterns
        )
        longer = left.ends is not None and terms.ends is not None and left.ends > terms.ends
        more = left.days is not None and terms.days is not None and left.days > terms.days
        over = left.ends is not None and left.ends <= self.now
        empty = left.ends is not None and left.starts is not None and left.ends <= left.starts
        points = [
            self.point(name, pattern) for name in left.scope for pattern in left.scope[name]
            if left.scope != terms.scope and pattern != "*"
        ]  # fmt: skip
        return [
            ("stage.may_not_narrow", not stage.get("may_narrow")),
            ("terms.widened", wider or longer or more),
            ("term.over", over),
            ("term.empty", empty or left.days == 0),
            *((f"scope.point_{status}", status != "standing") for status in points),
        ]

    def _ceiling(self, one: Grant | Case) -> datetime | None:
        """When the identity the grant rests on ends, where it is to end with it."""
        if not self.body(one)["ends_with_evidence"] or one.grantee.kind == "staff":
            return None
        return self.customers[self.records(one.grantee)[-1]].until

    def _evidence_over(self, one: Grant, terms: Terms | None = None) -> bool:
        ceiling, starts = self._ceiling(one), (terms or one.terms).starts
        return ceiling is not None and ceiling <= max(self.now, starts or self.now)

    def _approved(self, one: Grant) -> list[str]:
        body, terms, ceiling = self.body(one), one.terms, self._ceiling(one)
        if body["starts"] == "on_approval":
            terms = replace(terms, starts=self.now, ends=self.days(terms.days or 0), days=None)
        if terms.ends is not None and ceiling is not None:
            terms = replace(terms, ends=min(terms.ends, ceiling))
        one.terms, one.state = terms, "approved"
        if body["agreement"] is None:
            return ["grant.approved", self._takes_effect(one)]
        one.lapses = self.days(body["agreement"]["lapse_days"])
        return ["grant.approved"]

    def _takes_effect(self, one: Grant) -> str:
        starts = max(one.terms.starts or self.now, self.now)
        ends = one.terms.ends or starts + timedelta(days=one.terms.days or 0)
        ends = min(ends, self._ceiling(one) or ends)
        one.effects = [Effect(starts, ends, one.terms, one.version)]
        one.state = "effective"
        return "grant.scheduled" if starts > self.now else "grant.activated"

    def retract(self, who: Hands, *, grant: str, stage: str) -> Answer:
        one, current = self.grants[grant], self.open_stage(self.grants[grant])
        known = [there["id"] for there in self.body(one)["stages"]]
        if refused := failing(
            ("grant.state", one.status(self.now) != "pending_approval")
        ) or failing(
            ("stage.unknown", stage not in known),
            ("stage.not_open", stage in known and current["id"] != stage),
        ):
            return refused
        own = [
            given
            for given in one.approvals
            if given[0] == stage and not self.same_all(given[2]).isdisjoint(who.persons)
        ]
        if refused := failing(("approval.unknown", not own)):
            return refused
        one.approvals.remove(own[0])
        return happened("grant.approval_retracted")

    def reject(self, who: Hands, *, grant: str, reason: bool) -> Answer:
        one = self.grants[grant]
        if refused := failing(("grant.state", one.status(self.now) != "pending_approval")):
            return refused
        if refused := failing(
            ("approver.not_eligible", not self._groups(who, self.open_stage(one))),
            ("reason.missing", not reason),
        ):
            return refused
        one.state = "rejected"
        return happened("grant.rejected")

    def _requester(self, who: Hands, one: Grant, act: str) -> list[tuple[str, bool]]:
        """Guards: who asked, or looks after the grantee now, or acts for it."""
        if self.acts_for(who, one.grantee, act):
            return []
        if not who.staff:
            return [("member.missing", True)]
        case = one.open_case(self.now)
        askers = one.askers | (case.askers if case else frozenset())
        asked = not self.same_all(askers).isdisjoint(who.persons)
        customers = self.records(one.grantee) if one.grantee.kind == "customer" else []
        assigned = not self.staff[who.staff].customers.isdisjoint(customers)
        requester = self.has(who, "requester")
        return [
            ("role.missing", not requester),
            ("role.not_requester", requester and not asked and not assigned),
        ]

    def withdraw(self, who: Hands, *, grant: str) -> Answer:
        one = self.grants[grant]
        guards = self._requester(who, one, "request")
        if one.state == "withdrawn" and not failing(*guards):
            return NO_NEWS
        if refused := failing(*guards, ("grant.state", one.status(self.now) not in OPEN)):
            return refused
        one.state = "withdrawn"
        return happened("grant.withdrawn")

    # --- signing ----------------------------------------------------------------------------------

    def _signer(self, who: Hands, one: Grant, party: str) -> list[tuple[str, bool]]:
        if party == "grantee":
            return [("member.missing", not self.acts_for(who, one.grantee, "sign"))]
        return [
            ("role.missing", not self.has(who, "approver", "compliance")),
            ("duties.receives", self.receives(who, one.grantee)),
        ]

    def digest(self, grant: str) -> str:
        """What is to be signed now: for the open case where it waits for that."""
        one: Grant | Case = self.grants[grant]
        if isinstance(one, Grant) and one.case is not None and one.case.state == "approved":
            one = one.case
        agreement = self.body(one)["agreement"]
        return digest(agreement, one.terms) if agreement else "0" * 64

    def sign(self, who: Hands, *, grant: str, party: str, right: bool = True) -> Answer:
        """Sign, on the right digest or a wrong one."""
        one, body = self.grants[grant], self.body(self.grants[grant])
        status, guards = one.status(self.now), self._signer(who, one, party)
        if party in one.signatures and right and status in SETTLED and not failing(*guards):
            return NO_NEWS
        if refused := failing(*guards, ("grant.state", status != "approved")):
            return refused
        signers = body["agreement"]["signers"]
        others = (by for other, by in one.signatures.items() if other != party)
        if refused := failing(
            ("agreement.not_a_signer", party not in signers),
            ("agreement.digest_mismatch", not right),
            *self.apart(who, frozenset[str]().union(*others)),
            ("grantee.standing", not self.stands(one.grantee, self.now)),
            (
                "term.evidence_over",
                {*one.signatures, party} >= set(signers) and self._evidence_over(one),
            ),
        ):
            return refused
        one.signatures[party] = who.persons
        one.hands |= who.persons
        if not one.signatures.keys() >= set(signers):
            return happened("grant.signed")
        return happened("grant.signed", self._takes_effect(one))

    def decline(self, who: Hands, *, grant: str, party: str) -> Answer:
        one = self.grants[grant]
        guards = self._signer(who, one, party)
        if refused := failing(*guards, ("grant.state", one.status(self.now) != "approved")):
            return refused
        if refused := failing(
            ("agreement.not_a_signer", party not in self.body(one)["agreement"]["signers"])
        ):
            return refused
        one.state = "rejected"
        return happened("grant.rejected")


def _left(terms: Terms, less: dict[str, Any] | None) -> Terms:
    """The terms that an approver leaves."""
    if less is None:
        return terms
    left = replace(terms, **less)
    return terms if left == terms else replace(left, scope=normal(left.scope))
