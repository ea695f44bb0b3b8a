"""How a grant ends in the reference because another takes its place, or it was entered in error."""

from __future__ import annotations

from tests.support.reference.answers import NO_NEWS, Answer, failing, happened
from tests.support.reference.grants import Grant
from tests.support.reference.openings import Openings
from tests.support.reference.people import Hands

FINDERS = ("requester", "verifier", "approver", "compliance")


class Endings(Openings):
    """Superseded by another grant; marked entered in error by two people."""

    def supersede(self, who: Hands, *, grant: str, successor: str) -> Answer:
        one, other = self.grants[grant], self.grants.get(successor)
        revoker = self.has(who, "compliance", "approver")
        if revoker and one.state == "superseded" and one.successor == successor:
            return NO_NEWS
        if refused := failing(
            ("role.missing", not revoker),
            ("grant.state", one.status(self.now) not in ("scheduled", "active")),
        ):
            return refused
        if other is None:
            return Answer(refusals=frozenset({"successor.unknown"}))
        if other.grantee.kind == "customer" == one.grantee.kind:
            akin = other.grantee.name in self.records(one.grantee)
        else:
            akin = other.grantee == one.grantee
        if refused := failing(
            ("successor.same", successor == grant),
            ("successor.other_grantee", not akin),
            ("successor.other_kind", other.terms.kind != one.terms.kind),
            ("successor.not_in_effect", other.status(self.now) != "active"),
        ):
            return refused
        one.successor, one.ended = successor, self.now
        self._over(one, "superseded")
        return happened("grant.superseded")

    def _over(self, one: Grant, state: str) -> None:
        one.state, one.revocation = state, None
        if one.case is not None:
            self._closed(one, "ended")

    def propose_error(self, who: Hands, *, grant: str, new: str, reason: bool) -> Answer:
        one = self.grants[grant]
        if refused := failing(
            ("role.missing", not self.has(who, *FINDERS)),
            ("grant.state", one.state == "entered_in_error"),
        ) or failing(("reason.missing", not reason), ("error.open", one.error is not None)):
            return refused
        one.error = (new, who.persons)
        return happened("grant.error_proposed")

    def confirm_error(self, who: Hands, *, grant: str, case: str) -> Answer:
        one = self.grants[grant]
        if refused := failing(
            ("role.missing", not self.has(who, "compliance")),
            ("grant.state", one.state == "entered_in_error"),
        ):
            return refused
        if one.error is None or one.error[0] != case:
            return Answer(refusals=frozenset({"error.unknown"}))
        if refused := failing(*self.apart(who, one.error[1])):
            return refused
        one.error = None
        self._over(one, "entered_in_error")
        return happened("grant.error_marked")

    def dismiss_error(self, who: Hands, *, grant: str, case: str) -> Answer:
        one = self.grants[grant]
        if refused := failing(
            ("role.missing", not self.has(who, *FINDERS)),
            ("grant.state", one.state == "entered_in_error"),
        ) or failing(("error.unknown", one.error is None or one.error[0] != case)):
            return refused
        one.error = None
        return happened("grant.error_dismissed")
