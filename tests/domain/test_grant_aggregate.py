"""The grant under random verbs, people and instants, held against references that share no code."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any, Literal

import hypothesis.strategies as st
from hypothesis import HealthCheck, settings
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
)

from domain.commands.grants import (
    ApproveStage,
    AskInformation,
    DeclineGrant,
    FailCheck,
    GrantCommand,
    NoteGrant,
    ProvideInformation,
    RecordCheck,
    RejectGrant,
    RetractApproval,
    SignGrant,
    WithdrawGrant,
)
from domain.commands.supervision import (
    CancelRevocation,
    ConfirmRevocation,
    ConfirmSuspension,
    RecordActivation,
    RecordExpiry,
    RecordGrantLapse,
    RecordSuspensionLapse,
    RequestRevocation,
    ResumeGrant,
    RevokeByRule,
    RevokeGrant,
    SuspendGrant,
)
from domain.effect import in_force
from domain.errors import Refused
from domain.events.common import Event
from domain.events.grant import (
    GrantApprovalRetracted,
    GrantChecked,
    GrantInformationProvided,
    GrantRequested,
    GrantSigned,
    GrantStageApproved,
)
from domain.grant_states import EFFECTIVE, ENDED, OPEN
from domain.grants import status_at
from domain.sealing import Sealed
from domain.values import Evidence, Term
from tests.domain.grant_story import REACH, requesting
from tests.domain.grant_world import (
    DAY,
    ENDS,
    GRANT,
    HOUR,
    MEMBERS,
    RECORDING,
    STAFF,
    STARTS,
    WHY,
    World,
    body,
)
from tests.domain.test_grant_matrix import gains

TICK = timedelta(microseconds=1)

# --- references, written from the events alone ----------------------------------------------------


def named(events: list[Event], *names: str) -> list[Any]:
    return [event for event in events if event.name.removesuffix(".1") in names]


def holds_at(events: list[Event], at: datetime) -> bool:
    """Whether the terms hold at `at`: by the facts, one question after the other."""
    effects = named(events, "grant.scheduled", "grant.activated")
    if not effects or at < effects[-1].starts_at or effects[-1].ends_at <= at:
        return False
    if any(revoked.effective_at <= at for revoked in named(events, "grant.revoked")):
        return False
    for held in named(events, "grant.suspended"):
        same = [e for e in events if getattr(e, "hold", None) == held.hold]
        confirmed = bool(named(same, "grant.suspension_confirmed"))
        resumed = [e.lapsed_at or e.at for e in named(same, "grant.resumed")]
        ends = [held.confirm_by] if held.confirm_by and not confirmed else []
        if held.at <= at and not any(end <= at for end in [*resumed, *ends]):
            return False
    return True


def interesting(events: list[Event]) -> list[datetime]:
    """Every instant at which the answer could change, and the ones around it."""
    found = {event.at for event in events}
    for event in events:
        for field in ("starts_at", "ends_at", "effective_at", "confirm_by", "lapsed_at"):
            at = getattr(event, field, None)
            if at is not None:
                found.add(at)
    return sorted({at + step for at in found for step in (-TICK, timedelta(0), TICK)})


def persons(event: Event) -> set[str]:
    return {p.person for p in (event.by, event.on_behalf_of) if p is not None and p.person}


class Hands:
    """Who asked, checked and approved, kept from the events as the glossary says."""

    def __init__(self) -> None:
        self.others: set[str] = set()
        self.approvals: list[tuple[str, set[str]]] = []

    def see(self, event: Event, same: dict[str, str]) -> None:
        who = {same.get(person, person) for person in persons(event)}
        match event:
            case GrantStageApproved():
                others = {same.get(person, person) for person in self.others}
                given = [{same.get(one, one) for one in hands} for _, hands in self.approvals]
                assert who
                assert who.isdisjoint(others), "approved with another hand in the case"
                assert all(who.isdisjoint(hands) for hands in given), "approved twice"
                self.approvals.append((event.stage, who))
            case GrantApprovalRetracted():
                before = len(self.approvals)
                self.approvals = [
                    (stage, hands)
                    for stage, hands in self.approvals
                    if who.isdisjoint({same.get(one, one) for one in hands})
                ]
                assert len(self.approvals) == before - 1
            case GrantRequested() | GrantChecked() | GrantSigned():
                self.others |= who
            case GrantInformationProvided():
                self.others |= who
                if event.terms is not None:
                    self.approvals = []
            case _:
                pass


# --- the machine ----------------------------------------------------------------------------------

PEOPLE = st.sampled_from([*STAFF, *MEMBERS, "timekeeper", "rules"])


def mostly(*names: str) -> st.SearchStrategy[str]:
    """Those who may, so that the story gets on, and now and then anybody."""
    return st.sampled_from(names) | st.sampled_from(names) | PEOPLE


ASKERS = mostly("ann", "mia")
CHECKERS = mostly("ben", "bob")
APPROVERS = mostly("carl", "cora", "cleo", "dora")
SUPERVISORS = mostly("dora", "dirk")
MEMBERS_WHO_MAY = mostly("mia", "max")
HOLDS = st.sampled_from(["h1", "h2"])
CASES = st.sampled_from(["c1", "c1", "c2"])
STEPS = st.sampled_from([timedelta(0), TICK, HOUR, HOUR, DAY, DAY, 7 * DAY, 40 * DAY])
CHANNELS = st.sampled_from(["email", "phone"])
LIVING = sorted(state for state in REACH if state.removesuffix("_by_clock") not in ENDED)
POLICIES = (
    body(),
    body(revocation_persons=2, backdate_days=0),
    body(verification=None, agreement=None),
    body(stages=(), no_approval_needed=True, ends_with_evidence=True),
)


def during(*states: str) -> Callable[[Any], bool]:
    """Try it in these states only: that it is refused in all others is shown by the matrix."""
    return lambda machine: machine.state in states


class GrantMachine(RuleBasedStateMachine):
    """Anyone tries anything at any time; what must never be is asserted after every step."""

    def __init__(self) -> None:
        super().__init__()
        self.world = World()
        self.hands = Hands()
        self.same: dict[str, str] = {}
        self.seen = 0

    @initialize(state=st.sampled_from(LIVING), policy=st.sampled_from(range(len(POLICIES))))
    def begin(self, state: str, policy: int) -> None:
        self.world = World(POLICIES[policy])
        if policy == 0:
            REACH[state](self.world)
        self.look()

    @property
    def state(self) -> str:
        return self.world.status if self.world.grant_events else "none"

    def look(self) -> None:
        for event in self.world.grant_events[self.seen :]:
            self.hands.see(event, self.same)
        self.seen = len(self.world.grant_events)

    def attempt(self, command: GrantCommand, by: str, **who: Any) -> None:
        """Nothing but a refusal may come of it; above all never `Impossible`."""
        try:
            self.world.run(command, by=by, **who)
        except Refused:
            return
        self.look()

    @rule(step=STEPS)
    def time_goes_by(self, step: timedelta) -> None:
        self.world.now += step

    @rule(number=st.integers(0, 5))
    def time_goes_to_where_something_changes(self, number: int) -> None:
        later = [at for at in interesting(self.world.grant_events) if at > self.world.now]
        if later:
            self.world.now = later[min(number, len(later) - 1)]

    @precondition(during("none"))
    @rule(by=ASKERS, begins=st.sampled_from([STARTS, STARTS - 30 * DAY]), shown=st.booleans())
    def request(self, by: str, begins: datetime, shown: bool) -> None:
        ends = Evidence("contract", place=Sealed("c", "k", b"binder"), ends_at=STARTS + 60 * DAY)
        evidence = (ends,) if shown else ()
        self.attempt(requesting(term=Term(begins, ENDS)), by, evidence=evidence)

    @precondition(during("submitted", "verifying", "pending_approval"))
    @rule(by=CHECKERS)
    def ask(self, by: str) -> None:
        self.attempt(AskInformation(grant_id=GRANT), by)

    @precondition(during("information_requested"))
    @rule(by=ASKERS, changed=st.booleans())
    def provide(self, by: str, changed: bool) -> None:
        actions = ("advertise", "sell") if changed else None
        self.attempt(ProvideInformation(grant_id=GRANT, actions=actions), by)

    @precondition(during("submitted", "verifying"))
    @rule(by=CHECKERS, channel=CHANNELS, recorded=st.booleans(), deputy_of=st.none() | PEOPLE)
    def check(self, by: str, channel: str, recorded: bool, deputy_of: str | None) -> None:
        command = RecordCheck(grant_id=GRANT, check="callback", channel=channel)
        evidence = (RECORDING,) if recorded else ()
        self.attempt(command, by, evidence=evidence, on_behalf_of=deputy_of)

    @precondition(during("submitted", "verifying"))
    @rule(by=st.sampled_from(["ben", "bob", "zoe"]))
    def check_well(self, by: str) -> None:
        self.attempt(RecordCheck(grant_id=GRANT, check="callback", channel="email"), by)

    @precondition(during("pending_approval"))
    @rule(by=APPROVERS, stage=st.sampled_from(["regional", "legal"]), deputy_of=st.none() | PEOPLE)
    def approve(self, by: str, stage: str, deputy_of: str | None) -> None:
        self.attempt(ApproveStage(grant_id=GRANT, stage=stage), by, on_behalf_of=deputy_of)

    @precondition(during("pending_approval"))
    @rule(by=APPROVERS, stage=st.sampled_from(["regional", "legal"]))
    def retract(self, by: str, stage: str) -> None:
        self.attempt(RetractApproval(grant_id=GRANT, stage=stage), by)

    @precondition(during("approved"))
    @rule(by=MEMBERS_WHO_MAY)
    def sign_for_the_grantee(self, by: str) -> None:
        self.sign(by, "grantee")

    @precondition(during("approved"))
    @rule(by=APPROVERS)
    def sign_for_the_tenant(self, by: str) -> None:
        self.sign(by, "tenant")

    def sign(self, by: str, party: Literal["grantee", "tenant"]) -> None:
        digest = self.world.digest if self.world.grant_events else ""
        self.attempt(SignGrant(grant_id=GRANT, party=party, digest=digest), by)

    @precondition(during(*OPEN))
    @rule(by=PEOPLE, way=st.sampled_from(["reject", "withdraw", "decline", "fail", "note"]))
    def end_the_request(self, by: str, way: str) -> None:
        command = {
            "reject": RejectGrant(grant_id=GRANT),
            "withdraw": WithdrawGrant(grant_id=GRANT),
            "decline": DeclineGrant(grant_id=GRANT, party="grantee"),
            "fail": FailCheck(grant_id=GRANT, check="callback", channel="email"),
            "note": NoteGrant(grant_id=GRANT, label="called"),
        }[way]
        self.attempt(command, by, reason=WHY)

    @precondition(during(*EFFECTIVE))
    @rule(by=SUPERVISORS, hold=HOLDS, provisional=st.booleans())
    def suspend(self, by: str, hold: str, provisional: bool) -> None:
        self.attempt(
            SuspendGrant(grant_id=GRANT, hold=hold, provisional=provisional), by, reason=WHY
        )

    @precondition(during(*EFFECTIVE))
    @rule(by=SUPERVISORS, hold=HOLDS, kind=st.sampled_from([ConfirmSuspension, ResumeGrant]))
    def on_a_hold(self, by: str, hold: str, kind: type[Any]) -> None:
        self.attempt(kind(grant_id=GRANT, hold=hold), by, reason=WHY)

    @precondition(during(*EFFECTIVE))
    @rule(
        by=MEMBERS_WHO_MAY,
        case=CASES,
        kind=st.sampled_from([RequestRevocation, ConfirmRevocation, CancelRevocation]),
    )
    def on_a_revocation(self, by: str, case: str, kind: type[Any]) -> None:
        self.attempt(kind(grant_id=GRANT, case=case), by)

    @precondition(during(*EFFECTIVE))
    @rule(by=PEOPLE, case=CASES, days=st.sampled_from([None, -3, -2, 0, 1, 20, 30, 40]))
    def revoke(self, by: str, case: str, days: int | None) -> None:
        command: GrantCommand = RevokeByRule(grant_id=GRANT, cause="sold-outside")
        if by != "rules":
            at = None if days is None else self.world.now + days * DAY
            command = RevokeGrant(grant_id=GRANT, case=case, effective_at=at)
        self.attempt(command, by, reason=WHY)

    @rule(
        by=st.sampled_from(["timekeeper", "timekeeper", "dora"]),
        kind=st.sampled_from([RecordGrantLapse, RecordActivation, RecordExpiry]),
    )
    def record(self, by: str, kind: type[GrantCommand]) -> None:
        self.attempt(kind(grant_id=GRANT), by)

    @precondition(during(*EFFECTIVE))
    @rule(hold=HOLDS)
    def record_suspension_lapse(self, hold: str) -> None:
        self.attempt(RecordSuspensionLapse(grant_id=GRANT, hold=hold), "timekeeper")

    @rule(name=st.sampled_from(sorted(STAFF)), role=st.sampled_from(["approver", "verifier"]))
    def somebody_gains_a_role(self, name: str, role: str) -> None:
        gains(self.world, name, role)

    @rule(name=st.sampled_from(["idle", "amy", "carl"]), deputy=st.sampled_from(["ben", "cora"]))
    def somebody_gets_a_deputy(self, name: str, deputy: str) -> None:
        self.world.set_deputy(name, deputy)

    @rule(name=st.sampled_from(["cleo", "amy", "bob"]), into=st.sampled_from(["ann", "cora"]))
    def two_records_are_one_person(self, name: str, into: str) -> None:
        if f"p-{name}" not in self.same:
            self.world.merge_persons(name, into)
            self.same[f"p-{name}"] = f"p-{into}"

    @invariant()
    def the_intervals_are_what_the_facts_say(self) -> None:
        events = self.world.grant_events
        if not events:
            return
        grant = self.world.grant
        held = in_force(grant)
        ends: datetime | None = None
        for begin, end, number in held:
            assert number == 1
            assert end is not None
            assert begin < end
            assert ends is None or ends < begin
            ends = end
        for at in interesting(events):
            within = any(begin <= at and (end is None or at < end) for begin, end, _ in held)
            assert within == holds_at(events, at), at
            if at >= self.world.now:
                assert within == (status_at(grant, at) == "active"), at

    @invariant()
    def nothing_is_in_force_without_request_approval_and_signatures(self) -> None:
        events = self.world.grant_events
        if events and in_force(self.world.grant):
            assert len(named(events, "grant.requested")) == 1
            (approved,) = named(events, "grant.approved")
            assert approved.terms == self.world.grant.terms
            assert not named(events, "grant.rejected", "grant.withdrawn", "grant.lapsed")
            assert not self.world.grant.irregular

    @invariant()
    def nothing_is_in_force_after_an_effective_revocation(self) -> None:
        events = self.world.grant_events
        for revoked in named(events, "grant.revoked"):
            for _, end, _ in in_force(self.world.grant):
                assert end is not None
                assert end <= revoked.effective_at


TestGrantMachine = GrantMachine.TestCase
TestGrantMachine.settings = settings(
    max_examples=300,
    stateful_step_count=40,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
)
