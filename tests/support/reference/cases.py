"""The steps of renewals and amendments in the reference: checked, approved, signed, agreed."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from tests.support.reference.answers import NO_NEWS, Answer, failing, happened
from tests.support.reference.customers import SPOKEN
from tests.support.reference.grants import Case, Effect, Grant, Terms
from tests.support.reference.people import Hands
from tests.support.reference.policies import Body
from tests.support.reference.requests import Requests

STEPS = ("submitted", "verifying", "pending_approval", "approved")


class Cases(Requests):
    """What is asked for beside a grant, while its main state stays."""

    def _step(self, one: Grant, kind: str, body: Body, days: int) -> datetime:
        """When a step that opens now is over; a renewal's not after grace."""
        over = one.ends()
        if kind == "amendment" or over is None:
            return self.days(days)
        return min(self.days(days), over + timedelta(days=body["grace_days"]))

    def _opened(self, who: Hands, one: Grant, case: Case) -> Answer:
        """The case is open unless what follows from it by itself is refused."""
        events = self._case_onward(one, case)
        if isinstance(events, Answer):
            return events
        self._lapsed(one)
        if case.state != "agreed":
            one.case = case
        word = "renewal_requested" if case.kind == "renewal" else "amendment_proposed"
        return happened(f"grant.{word}", *events)

    def _lapsed(self, one: Grant) -> None:
        """What the clock ended is over for good once another one opens."""
        if one.case is not None and one.open_case(self.now) is None:
            one.closed[one.case.name] = "lapsed"
            one.case = None

    # --- walking ----------------------------------------------------------------------------------

    def _walked(self, one: Grant, case: str, *allowed: str) -> tuple[str, bool]:
        """The guard that the case of this name is open in one of these states."""
        if one.case is None or one.case.name != case:
            return ("case.state" if case in one.closed else "case.unknown", True)
        found = one.open_case(self.now)
        return ("case.state", found is None or found.state not in allowed)

    def _closed(self, one: Grant, how: str) -> None:
        assert one.case is not None
        one.closed[one.case.name] = how
        one.case = None

    def check_case(
        self, who: Hands, *, grant: str, case: str, kind: str, channel: str = "online"
    ) -> Answer:
        one = self.grants[grant]
        if refused := failing(
            ("role.missing", not self.has(who, "verifier")),
            self._walked(one, case, "submitted", "verifying"),
        ):
            return refused
        walked = one.case
        assert walked is not None
        approvers = frozenset[str]().union(*(persons for _, _, persons in walked.approvals))
        if refused := failing(
            ("duties.receives", self.receives(who, one.grantee)),
            *self.apart(who, walked.askers | approvers),
            ("grant.spoken_without_record", channel in SPOKEN),
        ):
            return refused
        checks, hands = [*walked.checks, (kind, who.persons)], walked.hands | who.persons
        trial = replace(walked, checks=checks, hands=hands, state="verifying")
        events = self._case_onward(one, trial)
        if isinstance(events, Answer):
            return events
        one.case = None if trial.state == "agreed" else trial
        return happened(f"grant.{walked.kind}_checked", *events)

    def fail_case(
        self, who: Hands, *, grant: str, case: str, kind: str, reason: bool, channel: str = "online"
    ) -> Answer:
        one = self.grants[grant]
        if refused := failing(
            ("role.missing", not self.has(who, "verifier")),
            self._walked(one, case, "submitted", "verifying"),
        ) or failing(
            ("reason.missing", not reason),
            ("code.malformed", not kind),
            ("grant.spoken_without_record", channel in SPOKEN),
        ):
            return refused
        return self._said_no(one)

    def _said_no(self, one: Grant) -> Answer:
        assert one.case is not None
        kind = one.case.kind
        self._closed(one, "rejected")
        return happened(f"grant.{kind}_rejected")

    def _case_onward(self, one: Grant, case: Case) -> list[str] | Answer:
        if not self._verified(case):
            return []
        body, verified = self.body(case), f"grant.{case.kind}_verified"
        free = {rule["action"] for rule in body["actions"] if rule["free"]}
        if body["no_approval_needed"] or free >= set(case.terms.actions):
            events = self._case_approved(one, case)
            return events if isinstance(events, Answer) else [verified, *events]
        stage = self.open_stage(case)
        days = stage["lapse_days"] if stage else body["submission_lapse_days"]
        case.state, case.lapses = "pending_approval", self._step(one, case.kind, body, days)
        return [verified]

    def approve_case(
        self,
        who: Hands,
        *,
        grant: str,
        case: str,
        stage: str,
        less: dict[str, Any] | None = None,
    ) -> Answer:
        one = self.grants[grant]
        if refused := failing(self._walked(one, case, "pending_approval", "approved")):
            return refused
        walked = one.case
        assert walked is not None
        if self._approved_already(who, walked, stage, less):
            return NO_NEWS
        if refused := failing(("case.state", walked.state != "pending_approval")):
            return refused
        given = self._approval(who, walked, stage, less)
        if isinstance(given, Answer):
            return given
        approval, terms, after = given
        trial = replace(walked, approvals=[*walked.approvals, approval], terms=terms)
        first = f"grant.{walked.kind}_stage_approved"
        if after is None:
            events = self._case_approved(one, trial)
            if isinstance(events, Answer):
                return events
            one.case = None if trial.state == "agreed" else trial
            return happened(first, *events)
        if after["id"] != stage:
            days = after["lapse_days"]
            trial.lapses = self._step(one, walked.kind, self.body(walked), days)
        one.case = trial
        return happened(first)

    def retract_case(self, who: Hands, *, grant: str, case: str, stage: str) -> Answer:
        one = self.grants[grant]
        if refused := failing(self._walked(one, case, "pending_approval")):
            return refused
        walked = one.case
        assert walked is not None
        current = self.open_stage(walked)
        known = [there["id"] for there in self.body(walked)["stages"]]
        own = [
            given
            for given in walked.approvals
            if given[0] == stage and not self.same_all(given[2]).isdisjoint(who.persons)
        ]
        if refused := failing(
            ("stage.unknown", stage not in known),
            ("stage.not_open", stage in known and current["id"] != stage),
        ) or failing(("approval.unknown", not own)):
            return refused
        walked.approvals.remove(own[0])
        return happened(f"grant.{walked.kind}_approval_retracted")

    def reject_case(self, who: Hands, *, grant: str, case: str, reason: bool) -> Answer:
        one = self.grants[grant]
        if refused := failing(self._walked(one, case, "pending_approval")):
            return refused
        assert one.case is not None
        if refused := failing(
            ("approver.not_eligible", not self._groups(who, self.open_stage(one.case))),
            ("reason.missing", not reason),
        ):
            return refused
        return self._said_no(one)

    def withdraw_case(self, who: Hands, *, grant: str, case: str) -> Answer:
        one = self.grants[grant]
        guards = self._requester(who, one, "request")
        if one.closed.get(case) == "withdrawn" and not failing(*guards):
            return NO_NEWS
        if refused := failing(*guards, self._walked(one, case, *STEPS)):
            return refused
        assert one.case is not None
        kind = one.case.kind
        self._closed(one, "withdrawn")
        return happened(f"grant.{kind}_withdrawn")

    # --- agreeing ---------------------------------------------------------------------------------

    def _begins(self, one: Grant, case: Case) -> datetime:
        """From when the case's terms can rule."""
        if case.kind == "renewal":
            return max(self.now, one.ends() or self.now)
        return max(self.now, case.effective or self.now, one.effects[0].starts)

    def _case_approved(self, one: Grant, case: Case) -> list[str] | Answer:
        body, terms, begin = self.body(case), case.terms, self._begins(one, case)
        ceiling = self._ceiling(case)
        if body["starts"] == "on_approval" and terms.days is not None:
            ends = begin + timedelta(days=terms.days)
            terms = replace(terms, starts=begin, ends=ends, days=None)
        if ceiling is not None and ceiling <= max(begin, terms.starts or begin):
            return Answer(refusals=frozenset({"term.evidence_over"}))
        if terms.ends is not None and ceiling is not None:
            terms = replace(terms, ends=min(terms.ends, ceiling))
        approved = f"grant.{case.kind}_approved"
        if body["agreement"] is None:
            events = self._agreed(one, case, terms)
            return events if isinstance(events, Answer) else [approved, *events]
        case.terms, case.state = terms, "approved"
        case.lapses = self._step(one, case.kind, body, body["agreement"]["lapse_days"])
        return [approved]

    def _agreed(self, one: Grant, case: Case, terms: Terms) -> list[str] | Answer:
        """The new terms rule from their start on; the case is over."""
        begin, ceiling = self._begins(one, case), self._ceiling(case)
        starts = max(terms.starts or begin, begin)
        ends = terms.ends or starts + timedelta(days=terms.days or 0)
        if ceiling is not None and ceiling <= starts:
            return Answer(refusals=frozenset({"term.evidence_over"}))
        ends = min(ends, ceiling or ends)
        if ends <= starts:
            return Answer(refusals=frozenset({"term.over"}))
        if case.kind == "renewal" and one.status(self.now) == "expired":
            one.revocation = None
        self._lapsed(one)
        one.effects.append(Effect(starts, ends, terms, case.version))
        one.terms, one.version = terms, case.version
        case.state, one.case = "agreed", None
        one.closed[case.name] = "agreed"
        return ["grant.renewed" if case.kind == "renewal" else "grant.amended"]

    def sign_case(
        self, who: Hands, *, grant: str, case: str, party: str, right: bool = True
    ) -> Answer:
        one = self.grants[grant]
        guards = self._signer(who, one, party)
        if refused := failing(*guards, self._walked(one, case, "approved")):
            return refused
        walked = one.case
        assert walked is not None
        if party in walked.signatures and right:
            return NO_NEWS
        signers = self.body(walked)["agreement"]["signers"]
        others = (by for other, by in walked.signatures.items() if other != party)
        if refused := failing(
            ("agreement.not_a_signer", party not in signers),
            ("agreement.digest_mismatch", not right),
            *self.apart(who, frozenset[str]().union(*others)),
            ("grantee.standing", not self.stands(one.grantee, self.now)),
        ):
            return refused
        events: list[str] | Answer = []
        if {*walked.signatures, party} >= set(signers):
            events = self._agreed(one, walked, walked.terms)
        if isinstance(events, Answer):
            return events
        walked.signatures[party] = who.persons
        walked.hands |= who.persons
        return happened(f"grant.{walked.kind}_signed", *events)

    def decline_case(self, who: Hands, *, grant: str, case: str, party: str) -> Answer:
        one = self.grants[grant]
        guards = self._signer(who, one, party)
        if refused := failing(*guards, self._walked(one, case, "approved")):
            return refused
        assert one.case is not None
        signers = self.body(one.case)["agreement"]["signers"]
        if refused := failing(("agreement.not_a_signer", party not in signers)):
            return refused
        return self._said_no(one)
