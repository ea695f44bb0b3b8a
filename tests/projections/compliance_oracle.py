"""The queries of compliance answered a second time, from the stored JSON of the events alone.

It shares no code with the read models, and walks every grant from its first event for each answer.
"""

from __future__ import annotations

from collections import defaultdict
from datetime import datetime, timedelta
from itertools import pairwise
from typing import Any, NamedTuple

from tests.projections.oracle import FAR, Fact

DAY = timedelta(days=1)


def time(text: str | None) -> datetime:
    """An instant, far away for none."""
    return FAR if text is None else datetime.fromisoformat(text)


class Case(NamedTuple):
    """A case as told: when it was open, and what stands in it."""

    grant: str
    case: str
    opened: datetime
    over: datetime
    checks: int
    approvals: int
    policy: tuple[str, int]


class Told:
    """One grant, walked to its end."""

    def __init__(self, grant: str, facts: list[Fact]) -> None:
        self.grant = grant
        self.grantee = ""
        self.effects: list[tuple[datetime, datetime, int, tuple[str, int]]] = []
        self.holds: dict[str, list[datetime]] = {}
        self.revoked = self.ended = FAR
        self.error = False
        self.evidence = FAR
        self._cases: dict[str, dict[str, Any]] = {}
        self._approvals: dict[str, list[tuple[str, str, bool]]] = defaultdict(list)
        for fact in facts:
            self._walk(fact)

    def _walk(self, fact: Fact) -> None:
        data, what = fact.data, fact.happened
        at = time(data["at"])
        inferred = data.get("imported", {}).get("inferred", False)
        shown = [time(one["ends_at"]) for one in data.get("evidence", []) if "ends_at" in one]
        if what == "requested":
            self.request = data["case"]
            self.grantee = data["grantee"]
            self._open(data, at)
        case = data.get("case", self.request)
        if what in ("requested", "information_provided"):
            self.evidence = min([self.evidence, *shown])
        if what in ("renewal_requested", "amendment_proposed"):
            self._open(data, at)
            self._cases[case]["evidence"] = min(shown, default=FAR)
        if what in ("revocation_requested", "revocation_proposed"):
            self._cases[case] = {"opened": at, "policy": self._rests, "checks": 0}
        if what == "error_marked":
            self.error = True
            self._close_all(at, but_renewals=False)
        one = self._cases.get(case)
        if one is None:
            return
        if what.endswith("checked") and not inferred:
            one["checks"] += 1
        if what.endswith("stage_approved"):
            self._approvals[case].append((data["stage"], data["by"]["person"], inferred))
        if what.endswith("approval_retracted"):
            taken = (data["stage"], data.get("approver", data["by"]["person"]))
            self._approvals[case] = [given for given in self._approvals[case] if given[:2] != taken]
        if what == "information_provided" and "terms" in data:
            one["checks"] = 0
            self._approvals[case] = []
        if what in LAPSING:
            one["lapses"] = time(data.get("lapses_at"))
        if what == "information_provided" and "terms" in data:
            one["lapses"] = time(data.get("lapses_at"))
        self._close(what, data, at, case)
        self._take_effect(what, data, at, case)

    def _open(self, data: dict[str, Any], at: datetime) -> None:
        policy = (data["policy"]["policy"], data["policy"]["version"])
        if not self._cases:
            self._rests = policy
        self._cases[data["case"]] = {
            "opened": at, "policy": policy, "checks": 0, "lapses": time(data.get("lapses_at")),
        }  # fmt: skip

    def _close(self, what: str, data: dict[str, Any], at: datetime, case: str) -> None:
        moment = time(data.get("lapsed_at", data.get("expired_at", data["at"])))
        own = {"rejected", "withdrawn", "lapsed", "scheduled", "activated"}
        if what in own and case == self.request:
            self._cases[case].setdefault("closed", moment)
        if what in ENDING_A_CASE:
            self._cases[case].setdefault("closed", moment)
        if what == "expired":
            self._close_all(moment, but_renewals=True)
        if what == "revoked":
            self._cases[case].setdefault("closed", at)
            if time(data["effective_at"]) <= at:
                self._close_all(at, but_renewals=False)

    def _close_all(self, at: datetime, *, but_renewals: bool) -> None:
        for one in self._cases.values():
            if not (but_renewals and one.get("renewal")):
                one.setdefault("closed", at)

    def _take_effect(self, what: str, data: dict[str, Any], at: datetime, case: str) -> None:
        match what:
            case "renewal_requested":
                self._cases[case]["renewal"] = True
            case "scheduled" | "activated":
                effect = (time(data["starts_at"]), time(data.get("ends_at")), 1, self._rests)
                self.effects = [effect]
            case "renewed" | "amended":
                one = self._cases[case]
                starts = time(data.get("starts_at", data.get("effective_at")))
                self.effects.append((starts, time(data.get("ends_at")), 2, one["policy"]))
                if what == "renewed":
                    self.ended = FAR
                    self.evidence = one["evidence"]
                self.evidence = min(self.evidence, one["evidence"])
                self._rests = one["policy"]
            case "suspended":
                self.holds[data["hold"]] = [at, time(data.get("confirm_by"))]
            case "resumed":
                hold = self.holds[data["hold"]]
                hold[1] = min(hold[1], at)
            case "revoked":
                self.revoked = time(data["effective_at"])
            case "expired":
                self.ended = time(data["expired_at"])
            case _:
                pass

    def cases(self) -> list[Case]:
        """All its cases; one that nobody closed is over when its step, or the grant, is."""
        found: list[Case] = []
        for case, one in self._cases.items():
            over = one.get("closed")
            if over is None:
                over = one.get("lapses", FAR)
                if "lapses" in one and case != self.request:
                    over = min(over, self.revoked)
                    if not one.get("renewal") and self.effects:
                        over = min(over, self.effects[-1][1])
            standing = [given for given in self._approvals[case] if not given[2]]
            found.append(
                Case(
                    self.grant,
                    case,
                    one["opened"],
                    over,
                    one["checks"],
                    len(standing),
                    one["policy"],
                )
            )
        return found

    def ruling(self, at: datetime) -> tuple[datetime, datetime, int, tuple[str, int]] | None:
        """The terms in force at an instant."""
        begun = [effect for effect in self.effects if effect[0] <= at]
        if self.error or not begun or not at < min(begun[-1][1], self.revoked, self.ended):
            return None
        if any(begin <= at < end for begin, end in self.holds.values()):
            return None
        return begun[-1]

    def end(self) -> tuple[datetime, int] | None:
        """When it is last in force, and by which terms."""
        marks = {self.revoked, self.ended, FAR}
        for effect in self.effects:
            marks |= {effect[0], effect[1]}
        for hold in self.holds.values():
            marks |= set(hold)
        ordered = sorted(marks)
        last = None
        for begin, end in pairwise(ordered):
            ruling = self.ruling(begin)
            if ruling is not None:
                last = (end, ruling[2])
        return last


LAPSING = {
    "verified", "approved", "renewal_verified", "renewal_approved", "amendment_verified",
    "amendment_approved",
}  # fmt: skip
ENDING_A_CASE = {
    "renewed", "amended", "renewal_lapsed", "amendment_rejected", "revocation_cancelled",
}  # fmt: skip


class Answers:
    """What the queries should say, from all events of a tenant."""

    def __init__(self, facts: list[Fact]) -> None:
        by_stream: dict[str, list[Fact]] = defaultdict(list)
        for fact in facts:
            by_stream[fact.stream].append(fact)
        self._streams = by_stream
        self.grants = [
            Told(stream, own) for stream, own in by_stream.items() if own[0].kind == "grant"
        ]
        self._merged = {
            fact.stream: fact.data["into"] for fact in facts
            if (fact.kind, fact.happened) == ("person", "merged")
        }  # fmt: skip

    def unchecked(self) -> set[tuple[str, str, int, bool]]:
        """(grant, case, approvals, whether the policy demands a check)."""
        return {
            (one.grant, one.case, one.approvals, self._demands(one.policy))
            for told in self.grants
            for one in told.cases()
            if one.approvals and not one.checks
        }

    def _demands(self, policy: tuple[str, int]) -> bool:
        bodies = [
            fact.data["body"] for fact in self._streams[policy[0]]
            if fact.happened == "drafted" and fact.data["version"] == policy[1]
        ]  # fmt: skip
        return bodies[0].get("verification") is not None

    def open(self, at: datetime, days: int) -> set[tuple[str, str, int]]:
        """(grant, case, whole days)."""
        return {
            (one.grant, one.case, (at - one.opened).days)
            for told in self.grants
            for one in told.cases()
            if one.opened <= at - days * DAY and at < one.over
        }

    def beyond(self, at: datetime) -> set[tuple[str, str, tuple[str, ...]]]:
        """(grant, terms, what had ended)."""
        found: set[tuple[str, str, tuple[str, ...]]] = set()
        for told in self.grants:
            ruling = told.ruling(at)
            if ruling is None:
                continue
            ended = [("evidence", told.evidence), ("identity", self._identity(told.grantee))]
            over = tuple(name for name, until in ended if until <= at)
            if over:
                found.add((told.grant, str(ruling[2]), over))
        return found

    def _identity(self, grantee: str) -> datetime:
        facts = self._streams[grantee.partition(":")[2]]
        for fact in facts:
            if fact.happened == "merged":
                return self._identity(f"customer:{fact.data['into']}")
        confirmed = [time(one.data["until"]) for one in facts if one.happened == "confirmed"]
        return confirmed[-1] if confirmed else FAR

    def ending(self, at: datetime, days: int) -> list[tuple[datetime, str, str]]:
        """(end, grant, terms), the soonest first."""
        ends = ((told.end(), told.grant) for told in self.grants)
        return sorted(
            (end[0], grant, str(end[1]))
            for end, grant in ends
            if end is not None and at < end[0] <= at + days * DAY
        )

    def retired(self, at: datetime) -> set[tuple[str, str, tuple[str, int]]]:
        """(grant, terms, policy version)."""
        ruling = ((told.grant, told.ruling(at)) for told in self.grants)
        return {
            (grant, str(effect[2]), effect[3])
            for grant, effect in ruling
            if effect is not None and self._over(effect[3], at)
        }

    def _over(self, policy: tuple[str, int], at: datetime) -> bool:
        begins: dict[int, datetime] = {}
        retired: dict[int, datetime] = {}
        for fact in self._streams[policy[0]]:
            if fact.happened == "published":
                begins[fact.data["version"]] = time(fact.data["from"])
            if fact.happened == "retired":
                retired[fact.data["version"]] = time(fact.data["at"])
        if retired.get(policy[1], FAR) <= at:
            return True
        if policy[1] not in begins or policy[1] in retired:
            return False
        return any(
            number > policy[1] and begin <= at and begin < retired.get(number, FAR)
            for number, begin in begins.items()
        )

    def approvers(
        self, since: datetime, until: datetime
    ) -> dict[str, tuple[int, datetime, datetime]]:
        """Person -> approvals that stand, the first and the last."""
        given: dict[str, list[datetime]] = defaultdict(list)
        for told in self.grants:
            for at, person in _standing(self._streams[told.grant]):
                if since <= at < until:
                    given[self._merged.get(person, person)].append(at)
        return {person: (len(ats), min(ats), max(ats)) for person, ats in given.items()}


def _standing(facts: list[Fact]) -> list[tuple[datetime, str]]:
    given: list[tuple[str, str, str, datetime]] = []
    request = facts[0].data["case"]
    for fact in facts:
        data = fact.data
        case = data.get("case", request)
        if fact.happened.endswith("stage_approved"):
            inferred = data["imported"].get("inferred", False)
            if not inferred:
                given.append((case, data["stage"], data["by"]["person"], time(data["at"])))
        elif fact.happened.endswith("approval_retracted"):
            taken = (case, data["stage"], data["approver"])
            given = [one for one in given if one[:3] != taken]
        elif fact.happened == "information_provided" and "terms" in data:
            given = [one for one in given if one[0] != case]
    return [(at, person) for _, _, person, at in given]
