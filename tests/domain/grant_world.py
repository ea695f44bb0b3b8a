"""A small tenant in memory, in which tests of the grant give and when in words of the business."""

from __future__ import annotations

import copy
from datetime import UTC, datetime, timedelta
from typing import Any

from msgspec.structs import replace

from domain.errors import Refused
from domain.events.catalogue import DimensionDeclared, PointAdded, PointEnded
from domain.events.common import Event
from domain.events.customer import (
    CustomerBlocked,
    CustomerConfirmed,
    CustomerMerged,
    CustomerMergeProposed,
    CustomerRegistered,
    MemberAdded,
)
from domain.events.person import PersonMerged, PersonRegistered
from domain.events.policy import (
    ActionRule,
    Agreement,
    Group,
    PolicyApproved,
    PolicyBody,
    PolicyDrafted,
    PolicyPublished,
    PolicySubmitted,
    Stage,
    Verification,
)
from domain.events.staff import StaffAppointed, StaffDeactivated, StaffDeputySet
from domain.grants import Grant, Status, status_at
from domain.sealing import Sealed
from domain.streams import evolve
from domain.terms import agreement_digest
from domain.values import Evidence, Names, Party, Reason, Term, Terms
from domain.view import Circumstances, Command, Loaded, View
from tests.support.telling import require_tellable

TENANT = "the-tenant"
GRANT = "the-grant"
CASE = "the-request"
SHOP = "customer:shop"
T0 = datetime(2026, 3, 2, 8, 0, tzinfo=UTC)
DAY = timedelta(days=1)
HOUR = timedelta(hours=1)
STARTS = T0 + 5 * DAY
ENDS = T0 + 200 * DAY
WHY = Reason(code="because")
RECORDING = Evidence("recording", file="file-1", sha256="0" * 64, size=9)
LICENCE = Evidence("business_licence", place=Sealed("c", "k", b"binder 7"))

ACTS = ("request", "provide", "sign", "revoke", "report_use")
TEMPLATE = Agreement("dealer", "3", "ab" * 32, ("grantee", "tenant"), lapse_days=14)

STAFF: dict[str, tuple[str, tuple[str, ...]]] = {
    "ann": ("junior", ("requester",)),
    "amy": ("junior", ("requester",)),
    "ben": ("junior", ("verifier",)),
    "bob": ("junior", ("verifier",)),
    "carl": ("senior", ("approver",)),
    "cora": ("junior", ("approver",)),
    "cleo": ("senior", ("approver",)),
    "dora": ("senior", ("compliance",)),
    "dirk": ("senior", ("compliance",)),
    "zoe": ("senior", ("requester", "verifier", "approver", "compliance")),
    "idle": ("senior", ("auditor",)),
}
"""Name -> level and roles. Person ids are `p-<name>`; a name is a staff id."""

MEMBERS: dict[str, tuple[str, ...]] = {"mia": ACTS, "max": ACTS, "sue": ("report_use",)}


def names(text: str) -> Names:
    return Names(text, text)


def body(**changes: Any) -> PolicyBody:
    """The dealership policy: two checks, two approvers, then compliance, two signatures."""
    usual = PolicyBody(
        kind="dealership",
        names=names("dealership"),
        dimensions=("product", "territory"),
        actions=(
            ActionRule("sell", names("sell")),
            ActionRule("advertise", names("advertise"), free=True),
        ),
        verification=Verification(kinds=("callback",), persons=2),
        stages=(
            Stage(
                "regional",
                names("regional"),
                (Group("approver", 2),),
                lapse_days=10,
                may_narrow=True,
            ),
            Stage("legal", names("legal"), (Group("compliance", 1),), lapse_days=5),
        ),
        agreement=TEMPLATE,
        longest_days=366,
        submission_lapse_days=30,
        backdate_days=3,
        provisional_days=7,
        grace_days=10,
    )
    return replace(usual, **changes)


def terms(**changes: Any) -> Terms:
    """What is asked for unless a test says otherwise, as it is written down."""
    usual = Terms(
        "dealership",
        ("sell",),
        {"product": ("tea",), "territory": ("CN/31",)},
        Term(STARTS, ENDS),
    )
    return replace(usual, **changes)


def staff(name: str) -> Party:
    return Party(f"staff:{name}", f"p-{name}")


def member(name: str, customer: str = SHOP) -> Party:
    return Party(customer, f"p-{name}")


def party(name: str) -> Party:
    """The party of a name: staff, a member of the shop, or a service."""
    if name in MEMBERS:
        return member(name)
    return Party(f"service:{name}") if name in ("timekeeper", "rules") else staff(name)


class World:
    """Streams in memory; `run` decides commands, `given` adds facts without asking anyone."""

    def __init__(self, policy: PolicyBody | None = None) -> None:
        self.streams: dict[str, Loaded] = {}
        self.grant_events: list[Event] = []
        self.now = T0
        self.reads: dict[str, int] = {}
        self.claims: list[Any] = []
        self._set_up(policy or body())

    def _set_up(self, policy: PolicyBody) -> None:
        root, early = staff("root"), {"at": T0 - 30 * DAY, "by": staff("root")}
        for name, (level, roles) in STAFF.items():
            self.given("person", f"p-{name}", PersonRegistered(**early))
            self.given(
                "staff",
                name,
                StaffAppointed(**early, person=f"p-{name}", number=name, level=level, roles=roles),
            )
        for name in MEMBERS:
            self.given("person", f"p-{name}", PersonRegistered(**early))
        self.add_customer("shop", MEMBERS)
        self.given("catalogue", TENANT, *self._catalogue(root))
        self.publish("dealership", policy)

    def _catalogue(self, root: Party) -> list[Event]:
        early = {"at": T0 - 30 * DAY, "by": root}
        points = {
            "product": ("tea", "tea/green", "old"),
            "territory": ("CN", "CN/31", "CN/31/0115", "CN/44"),
        }
        events: list[Event] = []
        for dimension, paths in points.items():
            events.append(DimensionDeclared(**early, dimension=dimension, names=names(dimension)))
            events += [
                PointAdded(**early, dimension=dimension, path=path, names=names(path))
                for path in paths
            ]
        events.append(PointEnded(**early, dimension="product", path="old", ends_at=T0 - DAY))
        return events

    def add_customer(
        self, customer: str, members: dict[str, tuple[str, ...]], *, confirmed: bool = True
    ) -> None:
        early = {"at": T0 - 20 * DAY, "by": staff("root")}
        self.given(
            "customer", customer, CustomerRegistered(**early, number="K-1", form="organization")
        )
        if confirmed:
            self.given("customer", customer, CustomerConfirmed(**early, until=T0 + 365 * DAY))
        for name, acts in members.items():
            joined = MemberAdded(
                **early, member=f"m-{name}", person=f"p-{name}", acts=acts, from_=T0 - 20 * DAY
            )
            self.given("customer", customer, joined)

    def publish(self, policy: str, says: PolicyBody) -> None:
        """Publish a first version that says this, in force ten days before the story begins."""
        early = {"at": T0 - 10 * DAY, "by": staff("root"), "version": 1}
        self.streams.pop(policy, None)
        self.given(
            "policy",
            policy,
            PolicyDrafted(**early, body=says),
            PolicySubmitted(**early),
            PolicyApproved(**early),
            PolicyPublished(**early, from_=T0 - 10 * DAY),
        )

    def given(self, kind: str, stream_id: str, *events: Event) -> None:
        """Add facts to a stream."""
        version, state = self.streams.get(stream_id, Loaded(0, None))
        for event in events:
            state = evolve(kind, state, event)
            version += 1
        self.streams[stream_id] = Loaded(version, state)

    def again(self) -> World:
        """Return a world of its own in which as much has happened."""
        other = copy.copy(self)
        other.streams = dict(self.streams)
        other.grant_events = list(self.grant_events)
        return other

    def load(self, kind: str, stream_id: str) -> Loaded:
        return self.streams.get(stream_id, Loaded(0, None))

    def run(
        self,
        command: Command,
        *,
        by: Party | str,
        on_behalf_of: str | None = None,
        reason: Reason | None = None,
        evidence: tuple[Evidence, ...] = (),
        at: datetime | None = None,
    ) -> list[Event]:
        """Decide the command at `at` (else now) and keep what happened; return the events."""
        self.now = at or self.now
        given = Circumstances(
            tenant=TENANT,
            at=self.now,
            command_id="a-command",
            by=party(by) if isinstance(by, str) else by,
            on_behalf_of=None if on_behalf_of is None else staff(on_behalf_of),
            reason=reason,
            evidence=evidence,
        )
        view = View(self.load, given)
        try:
            command.decide(view)
        except Refused as refused:
            require_tellable(refused)
            raise
        self.reads = view.reads
        self.claims = view.claims
        for new in view.events:
            self.streams[new.stream_id] = Loaded(new.version, new.after)
            if new.kind == "grant":
                self.grant_events.append(new.event)
        return [new.event for new in view.events]

    def refusal(self, command: Command, **circumstances: Any) -> str:
        """Return the code with which the command is refused; "" where it is not."""
        try:
            self.run(command, **circumstances)
        except Refused as refused:
            return refused.code
        return ""

    @property
    def grant(self) -> Grant:
        return self.streams[GRANT].state

    @property
    def status(self) -> Status:
        """The state by the clock."""
        return status_at(self.grant, self.now)

    @property
    def digest(self) -> str:
        """What is to be signed."""
        return agreement_digest(TEMPLATE, self.grant.terms)

    # --- facts of other streams ---

    def deactivate(self, name: str) -> None:
        self.given("staff", name, StaffDeactivated(at=self.now, by=staff("root")))

    def set_deputy(self, name: str, deputy: str) -> None:
        event = StaffDeputySet(
            at=self.now,
            by=staff(name),
            deputy=deputy,
            from_=self.now - DAY,
            until=self.now + 300 * DAY,
        )
        self.given("staff", name, event)

    def merge_persons(self, name: str, into: str) -> None:
        merged = PersonMerged(at=self.now, by=staff("root"), into=f"p-{into}")
        self.given("person", f"p-{name}", merged)

    def block(self, customer: str = "shop") -> None:
        self.given("customer", customer, CustomerBlocked(at=self.now, by=staff("dora"), reason=WHY))

    def merge_customers(self, customer: str, into: str) -> None:
        by = {"at": self.now, "by": staff("dora"), "into": into}
        self.given("customer", customer, CustomerMergeProposed(**by), CustomerMerged(**by))
