"""From steps to events: each step is one event, before it stands what it cannot do without."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from datetime import timedelta
from typing import Any, Final

import msgspec

from api.importing.instants import instant
from api.importing.mapping import Mapping
from api.importing.mapping import Step as Rule
from api.importing.naming import Namer
from api.importing.spool import Case, Step
from domain.commands.imports import IMPORTER
from domain.events import Event
from domain.events.grant import (
    GrantActivated,
    GrantApproved,
    GrantChecked,
    GrantInformationProvided,
    GrantInformationRequested,
    GrantNoted,
    GrantRejected,
    GrantRequested,
    GrantResumed,
    GrantRevoked,
    GrantStageApproved,
    GrantSuspended,
    GrantVerificationFailed,
    GrantVerified,
    GrantWithdrawn,
)
from domain.grant_states import Grant
from domain.grants import evolve
from domain.stages import is_complete
from domain.values import Imported, Instant, Party, PolicyRef, Reason, Term, Terms

NOTE: Final = Rule("note")
UNDECIDED: Final = frozenset({"submitted", "verifying"})


class Irregular(msgspec.Struct, frozen=True):
    """The first event of a case whose order the tables do not know: where, which, after what."""

    case: str
    row: int
    event: str
    after: str


class Told(msgspec.Struct, frozen=True):
    """A case as events of a grant, in order, and what is to be reported of it."""

    grant_id: str
    events: tuple[Event, ...]
    grant: Grant
    irregular: Irregular | None
    typed: Counter[str]
    notes: int
    inferred: Counter[str]
    duties: frozenset[str]


class Teller:
    """Tells cases as events, all by one mapping, under one policy version."""

    def __init__(self, mapping: Mapping, namer: Namer, policy: PolicyRef) -> None:
        self._mapping = mapping
        self._namer = namer
        self._policy = policy

    def tell(self, case: Case, customer_id: str, number: str) -> Told:
        """Return the case's events. Every step is exactly one event; the others are inferred."""
        story = _Story(self._mapping, self._namer, self._policy, case, customer_id, number)
        for step in case.steps:
            story.step(step)
        return story.told()


class _Story:
    """One case being told: the events so far, and the grant as they leave it."""

    def __init__(
        self,
        mapping: Mapping,
        namer: Namer,
        policy: PolicyRef,
        case: Case,
        customer_id: str,
        number: str,
    ) -> None:
        self._mapping = mapping
        self._namer = namer
        self._policy = policy
        self._case = case
        self._grantee = f"customer:{customer_id}"
        self._number = number
        self._first = instant(case.first.at)
        self._grant: Grant | None = None
        self._events: list[Event] = []
        self._irregular: Irregular | None = None
        self._typed: Counter[str] = Counter()
        self._inferred: Counter[str] = Counter()
        self._hands: dict[str, set[str]] = {"requested": set(), "checked": set(), "approved": set()}
        self._lacks_request = case.asked.event != "request"

    def told(self) -> Told:
        if self._grant is None:
            raise ValueError("a case has at least one step")
        notes = self._typed.pop(GrantNoted.name, 0)
        return Told(
            self._namer.id(self._first, "grant", self._case.name),
            tuple(self._events),
            self._grant,
            self._irregular,
            self._typed,
            notes,
            self._inferred,
            frozenset(self._broken_duties()),
        )

    def step(self, step: Step) -> None:
        """Add what the step cannot do without, the step itself, and what follows from it alone."""
        rule = self._rule(step)
        if self._lacks_request and self._grant is None:
            self._add(self._request(step, inferred=True), step)
        if rule.event in ("approve", "effect") and self._verified_by_checks():
            self._add(GrantVerified(**self._stamp(step, inferred=True)), step)
        event = self._event(rule, step)
        self._add(event, step)
        if event.by.person is not None:
            self._hand(event, event.by.person)
        if isinstance(event, GrantVerificationFailed):
            given = self._stamp(step, inferred=True)
            self._add(GrantRejected(**given, origin="verification"), step)
        elif isinstance(event, GrantStageApproved) and self._agreed():
            given = self._stamp(step, inferred=True)
            self._add(GrantApproved(**given, terms=self._known.terms), step)

    @property
    def _known(self) -> Grant:
        if self._grant is None:
            raise ValueError("nothing is told yet")
        return self._grant

    def _rule(self, step: Step) -> Rule:
        return self._mapping.steps.get(step.step, NOTE)

    def _stamp(self, step: Step, *, inferred: bool = False) -> dict[str, Any]:
        """Return the common fields. What is inferred is nobody's hand but the import's."""
        nobody = self._mapping.people.nobody
        by = IMPORTER if nobody is None else Party(f"service:{nobody}")
        if inferred:
            by = IMPORTER
        elif step.staff is not None:
            by = Party(f"staff:{step.staff}", step.person)
        rule = self._rule(step)
        return {
            "at": instant(step.at),
            "by": by,
            "reason": Reason(rule.reason) if rule.reason and not inferred else None,
            "imported": Imported(self._mapping.source, step.row, inferred=inferred),
        }

    def _add(self, event: Event, step: Step) -> None:
        before = self._grant
        self._grant = evolve(before, event)  # pyright: ignore[reportArgumentType]
        self._events.append(event)
        if event.imported is not None and event.imported.inferred:
            self._inferred[event.name] += 1
        else:
            self._typed[event.name] += 1
        if self._grant.irregular and self._irregular is None:
            after = "nothing" if before is None else before.status
            self._irregular = Irregular(self._case.name, step.row, event.name, after)

    def _verified_by_checks(self) -> bool:
        """Tell whether the checks recorded reach what the policy asks for, by kinds and people.

        Whether they were anyone's to make is not asked: duties broken then are reported, and the
        order of the case is what it was."""
        grant = self._grant
        if grant is None or grant.status not in UNDECIDED:
            return False
        asked = self._mapping.policy.verification
        if asked is None:
            return True
        kinds = {check.kind for check in grant.checks}
        people = {person for check in grant.checks for person in check.persons}
        return kinds.issuperset(asked.kinds) and len(people) >= asked.persons

    def _agreed(self) -> bool:
        """Tell whether the last stage has agreed now."""
        grant = self._known
        stages = self._mapping.policy.stages
        return grant.status == "pending_approval" and all(
            is_complete(stage, grant.approvals) for stage in stages
        )

    def _event(self, rule: Rule, step: Step) -> Event:
        given, at = self._stamp(step), instant(step.at)
        match rule.event:
            case "request":
                return self._request(step, inferred=False)
            case "ask":
                return GrantInformationRequested(**given)
            case "provide":
                return GrantInformationProvided(**given, channel=rule.channel)
            case "check":
                return GrantChecked(**given, kind=rule.check, channel=rule.channel)
            case "fail":
                return GrantVerificationFailed(**given, kind=rule.check, channel=rule.channel)
            case "approve":
                return self._approval(rule, given)
            case "reject":
                return GrantRejected(**given, origin="approval")
            case "withdraw":
                return GrantWithdrawn(**given)
            case "effect":
                return GrantActivated(**given, starts_at=at, ends_at=self._ends(at))
            case "suspend":
                return GrantSuspended(**given, hold=self._hold(rule))
            case "resume":
                return GrantResumed(**given, hold=self._hold(rule))
            case "revoke":
                return GrantRevoked(**given, origin="staff", effective_at=at)
            case "note":
                return GrantNoted(**given, label=step.step)

    def _request(self, step: Step, *, inferred: bool) -> GrantRequested:
        constants, asked = self._mapping.constants, self._case.asked
        days = None if constants.term == "open" else constants.term
        scope = {dimension: (path,) for dimension, path in json.loads(asked.scope).items()}
        terms = Terms(
            self._mapping.policy.kind, tuple(sorted(constants.actions)), scope, Term(days=days)
        )
        return GrantRequested(
            **self._stamp(step, inferred=inferred),
            number=self._number,
            case=self._namer.id(self._first, "case", self._case.name),
            grantee=self._grantee,
            terms=terms,
            policy=self._policy,
            channel=asked.channel,
        )

    def _approval(self, rule: Rule, given: dict[str, Any]) -> GrantStageApproved:
        name = self._mapping.stage_of(rule)
        stage = next(one for one in self._mapping.policy.stages if one.id == name)
        roles = [group.role for group in stage.groups]
        role = rule.role or roles[0]
        return GrantStageApproved(**given, stage=name, role=role, group=roles.index(role))

    def _ends(self, at: Instant) -> Instant | None:
        term = self._mapping.constants.term
        return None if term == "open" else at + timedelta(days=term)

    def _hold(self, rule: Rule) -> str:
        return self._namer.id(self._first, "hold", self._case.name, rule.hold)

    def _hand(self, event: Event, person: str) -> None:
        match event:
            case GrantRequested():
                self._hands["requested"].add(person)
            case GrantChecked():
                self._hands["checked"].add(person)
            case GrantStageApproved():
                self._hands["approved"].add(person)
            case _:
                pass

    def _broken_duties(self) -> Iterator[str]:
        """Yield the pairs of hands that one person had."""
        names = list(self._hands)
        for place, one in enumerate(names):
            for other in names[place + 1 :]:
                if self._hands[one] & self._hands[other]:
                    yield f"{one}_{other}"
