"""Requests of the reference: asked for, explained, checked by people who did not ask."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from datetime import datetime, timedelta

from tests.support.reference.answers import Answer, failing, happened
from tests.support.reference.approvals import Approvals
from tests.support.reference.customers import SPOKEN
from tests.support.reference.grants import Case, Grant, Terms, normal
from tests.support.reference.people import Hands, Party
from tests.support.reference.policies import Body


class Requests(Approvals):
    """What happens to a request until it waits for approval, or is granted without one."""

    # --- asking -----------------------------------------------------------------------------------

    def request(
        self, who: Hands, *, new: str, grantee: Party, terms: Terms, channel: str = "online"
    ) -> Answer:
        version = self.version_in_force(terms.kind)
        if refused := failing(
            ("policy.not_in_force", not version),
            ("role.missing", bool(who.staff) and not self.has(who, "requester")),
            ("member.missing", not who.staff and not self.acts_for(who, grantee, "request")),
        ):
            return refused
        body = self.policies[terms.kind].versions[version - 1].body
        if refused := failing(
            *self._grantable(grantee),
            *self._terms(terms, body),
            ("grant.spoken_without_record", channel in SPOKEN),
        ):
            return refused
        asked = replace(terms, actions=tuple(sorted(terms.actions)), scope=normal(terms.scope))
        lapses = self.days(body["submission_lapse_days"])
        self.grants[new] = Grant(grantee, version, asked, lapses, who.persons, who.persons)
        return happened("grant.requested", *self._onward(self.grants[new]))

    def _grantable(self, grantee: Party) -> list[tuple[str, bool]]:
        if grantee.kind == "staff":
            return [("grantee.standing", not self.stands(grantee, self.now))]
        status = self.customer_status(grantee.name, self.now)
        return [(f"grantee.{status}", status not in ("registered", "confirmed"))]

    def _terms(self, terms: Terms, body: Body) -> list[tuple[str, bool]]:
        """Guards: the policy's actions, a scope of standing points, a term of the policy's form."""
        known = [rule["action"] for rule in body["actions"]]
        found = [
            ("action.none", not terms.actions),
            ("action.unknown", not set(terms.actions) <= set(known)),
            ("scope.dimension_missing", bool(set(body["dimensions"]) - terms.scope.keys())),
            ("scope.dimension_unknown", bool(terms.scope.keys() - set(body["dimensions"]))),
        ]
        for dimension, patterns in terms.scope.items():
            for pattern in patterns:
                status = self.point(dimension, pattern)
                wrong = pattern != "*" and status != "standing"
                found.append((f"scope.point_{status}", wrong and dimension in body["dimensions"]))
        return [*found, *self._term(terms, body)]

    def _term(self, terms: Terms, body: Body) -> list[tuple[str, bool]]:
        dated = terms.starts is not None and terms.ends is not None and terms.days is None
        counted = terms.starts is None and terms.ends is None and terms.days is not None
        if body["starts"] != "fixed":
            long = counted and (terms.days or 0) > body["longest_days"]
            return [("term.days_expected", not counted), ("term.too_long", long)]
        if not dated or terms.starts is None or terms.ends is None:
            return [("term.dates_expected", True)]
        longest = timedelta(days=body["longest_days"])
        return [
            ("term.empty", terms.ends <= terms.starts),
            ("term.too_long", terms.ends - terms.starts > longest),
            ("term.over", terms.ends <= self.now),
        ]

    def ask(self, who: Hands, *, grant: str) -> Answer:
        one = self.grants[grant]
        stage = self.open_stage(one)
        roles = [group["role"] for group in stage["groups"]] if stage else []
        if refused := failing(
            ("role.missing", not self.has(who, "verifier", "approver", *roles)),
            (
                "grant.state",
                one.status(self.now) not in ("submitted", "verifying", "pending_approval"),
            ),
        ):
            return refused
        one.state = "information_requested"
        return happened("grant.information_requested")

    def provide(
        self, who: Hands, *, grant: str, terms: Terms | None, channel: str = "online"
    ) -> Answer:
        """Answer, with other terms or without."""
        one, body = self.grants[grant], self.body(self.grants[grant])
        if refused := failing(
            *self._requester(who, one, "provide"),
            ("grant.state", one.status(self.now) != "information_requested"),
        ):
            return refused
        asked = one.terms if terms is None else replace(terms, scope=normal(terms.scope))
        approvers = frozenset[str]().union(*(persons for _, _, persons in one.approvals))
        overlap = not self.same_all(approvers).isdisjoint(who.persons)
        guards = [] if terms is None else self._terms(terms, body)
        if refused := failing(
            *guards,
            ("grant.spoken_without_record", channel in SPOKEN),
            ("duties.not_separate", asked == one.terms and overlap),
            ("actor.person_missing", not who.persons),
        ):
            return refused
        goes_on = one.lapses if asked == one.terms else None
        if asked != one.terms:
            one.terms, one.checks, one.approvals = asked, [], []
            one.lapses = self.days(body["submission_lapse_days"])
        one.askers |= who.persons
        one.hands |= who.persons
        one.state = "verifying"
        return happened("grant.information_provided", *self._onward(one, goes_on))

    # --- checking ---------------------------------------------------------------------------------

    def check(self, who: Hands, *, grant: str, kind: str, channel: str = "online") -> Answer:
        one = self.grants[grant]
        if refused := failing(
            ("role.missing", not self.has(who, "verifier")),
            ("grant.state", one.status(self.now) not in ("submitted", "verifying")),
        ):
            return refused
        approvers = frozenset[str]().union(*(persons for _, _, persons in one.approvals))
        if refused := failing(
            ("duties.receives", self.receives(who, one.grantee)),
            *self.apart(who, one.askers | approvers),
            ("grant.spoken_without_record", channel in SPOKEN),
        ):
            return refused
        one.checks.append((kind, who.persons))
        one.hands |= who.persons
        one.state = "verifying"
        return happened("grant.checked", *self._onward(one))

    def fail(
        self, who: Hands, *, grant: str, kind: str, reason: bool, channel: str = "online"
    ) -> Answer:
        """A check of any kind that came out badly."""
        one = self.grants[grant]
        if refused := failing(
            ("role.missing", not self.has(who, "verifier")),
            ("grant.state", one.status(self.now) not in ("submitted", "verifying")),
        ) or failing(
            ("reason.missing", not reason),
            ("code.malformed", not kind),
            ("grant.spoken_without_record", channel in SPOKEN),
        ):
            return refused
        one.state = "rejected"
        return happened("grant.verification_failed", "grant.rejected")

    def _verified(self, one: Grant | Case) -> bool:
        """Whether independent checks are of every kind and by as many people as demanded."""
        need = self.body(one)["verification"]
        if need is None:
            return True
        asking = self.same_all(one.askers)
        counting = [
            (kind, persons)
            for kind, persons in ((kind, self.same_all(by)) for kind, by in one.checks)
            if persons.isdisjoint(asking)
        ]
        people = _independent(persons for _, persons in counting)
        return {kind for kind, _ in counting} >= set(need["kinds"]) and people >= need["persons"]

    def _onward(self, one: Grant, goes_on: datetime | None = None) -> list[str]:
        """What follows by itself; `goes_on` is the open step's time where it is not begun anew."""
        if not self._verified(one):
            return []
        body = self.body(one)
        free = {rule["action"] for rule in body["actions"] if rule["free"]}
        if body["no_approval_needed"] or free >= set(one.terms.actions):
            return ["grant.verified", *self._approved(one)]
        stage = self.open_stage(one)
        days = stage["lapse_days"] if stage else body["submission_lapse_days"]
        one.state, one.lapses = "pending_approval", goes_on or self.days(days)
        return ["grant.verified"]


def _independent(checks: Iterable[frozenset[str]]) -> int:
    """How many people stand behind checks: who acted alone first, a deputy and principal as one."""
    counted, count = set[str](), 0
    for persons in sorted(checks, key=len):
        if persons and counted.isdisjoint(persons):
            counted |= persons
            count += 1
    return count
