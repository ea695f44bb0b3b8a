"""Random histories for compliance: requests, renewals, amendments and revocations that go well or
not, under policies that come and go, for customers whose identity ends.
"""

from __future__ import annotations

import random
from datetime import datetime, timedelta
from typing import Any

from domain.events import Event
from domain.events.customer import (
    CustomerConfirmed,
    CustomerMerged,
    CustomerMergeProposed,
    CustomerRegistered,
)
from domain.events.grant import (
    GrantActivated,
    GrantApprovalRetracted,
    GrantApproved,
    GrantChecked,
    GrantExpired,
    GrantInformationProvided,
    GrantInformationRequested,
    GrantLapsed,
    GrantRejected,
    GrantRequested,
    GrantResumed,
    GrantRevocationCancelled,
    GrantRevocationRequested,
    GrantRevoked,
    GrantScheduled,
    GrantStageApproved,
    GrantSuspended,
    GrantVerified,
    GrantWithdrawn,
)
from domain.events.grant_cases import (
    GrantAmended,
    GrantAmendmentApproved,
    GrantAmendmentChecked,
    GrantAmendmentProposed,
    GrantAmendmentRejected,
    GrantAmendmentStageApproved,
    GrantAmendmentVerified,
    GrantErrorMarked,
    GrantErrorProposed,
    GrantRenewalApprovalRetracted,
    GrantRenewalApproved,
    GrantRenewalChecked,
    GrantRenewalLapsed,
    GrantRenewalRequested,
    GrantRenewalStageApproved,
    GrantRenewalVerified,
    GrantRenewed,
)
from domain.events.person import PersonMerged, PersonRegistered
from domain.events.policy import (
    PolicyApproved,
    PolicyBody,
    PolicyDrafted,
    PolicyPublished,
    PolicyRetired,
    PolicySubmitted,
    Verification,
)
from domain.values import Evidence, Imported, Party, PolicyRef, Term, Terms
from tests.projections.facts import FACT, NAMES, START
from tests.support.ledger import new_id

One = tuple[str, str, Event]

INFERRED = Imported("facts", 2, inferred=True)
DAY = timedelta(days=1)


class Story:
    """Makes the histories of streams, each in the order of its own time."""

    def __init__(self, seed: int) -> None:
        self._random = random.Random(seed)
        self.people = [new_id() for _ in range(6)]
        self.customers: list[str] = []
        self.policies: list[tuple[str, int]] = []

    def chance(self, share: float) -> bool:
        """True in this share of all cases."""
        return self._random.random() < share

    def some(self, of: list[Any]) -> Any:
        """One of them."""
        return self._random.choice(of)

    def day(self, first: float, last: float) -> datetime:
        """An instant between two days from the start."""
        return START + self._random.uniform(first, last) * DAY

    def streams(self, grants: int) -> list[list[One]]:
        """Return the histories: policies, customers, people, so many grants."""
        made = [self._policy() for _ in range(3)]
        made += [self._customer() for _ in range(6)]
        for one in self.people:
            made.append([("person", one, PersonRegistered(**self._by(START)))])
        merge = PersonMerged(into=self.people[1], **self._by(START))
        made.append([("person", self.people[0], merge)])
        return made + [self._grant() for _ in range(grants)]

    def _by(self, at: datetime) -> dict[str, Any]:
        person = self.some(self.people)
        marked = {"imported": INFERRED if self.chance(0.1) else FACT}
        return {"at": at, "by": Party(f"staff:{person}", person), **marked}

    def _policy(self) -> list[One]:
        policy, made = new_id(), list[Event]()
        for version in (1, 2):
            verification = Verification(("documents",)) if self.chance(0.5) else None
            body = PolicyBody(
                kind="dealership", names=NAMES, dimensions=("territory",), actions=(),
                verification=verification,
            )  # fmt: skip
            known: dict[str, Any] = {"at": START, "by": Party("service:x"), "imported": FACT}
            later: dict[str, Any] = known | {"at": self.day(0, 90)}
            made += [
                PolicyDrafted(version=version, body=body, **known),
                PolicySubmitted(version=version, **known),
                PolicyApproved(version=version, **known),
            ]
            if version == 1 or self.chance(0.7):
                made.append(PolicyPublished(version=version, from_=self.day(0, 60), **known))
                if self.chance(0.3):
                    made.append(PolicyRetired(version=version, **later))
            self.policies.append((policy, version))
        return [("policy", policy, event) for event in made]

    def _customer(self) -> list[One]:
        customer = new_id()
        known = self._by(START)
        made: list[Event] = [CustomerRegistered(number="C", form="organization", **known)]
        if self.chance(0.8):
            made.append(CustomerConfirmed(until=self.day(10, 120), **known))
        if self.customers and self.chance(0.3):
            into = self.some(self.customers)
            made += [CustomerMergeProposed(into=into, **known), CustomerMerged(into=into, **known)]
        self.customers.append(customer)
        return [("customer", customer, event) for event in made]

    # --- a grant ----------------------------------------------------------------------------------

    def _grant(self) -> list[One]:
        walk = Walk(self, new_id())
        walk.request()
        return [("grant", walk.grant, event) for event in walk.made]


class Walk:
    """One grant's way."""

    def __init__(self, story: Story, grant: str) -> None:
        self.grant = grant
        self.made: list[Event] = []
        self._story = story
        self._case = new_id()
        self._now = story.day(0, 40)
        self._terms = Terms("dealership", ("sell",), {"territory": ("CN",)}, Term())

    def _tell(self, event: type[Event], **more: Any) -> None:
        self._now += self._story.some([1, 3, 10, 30]) * DAY / 10
        made: Any = event
        self.made.append(made(**{**self._story._by(self._now), **more}))  # pyright: ignore[reportPrivateUsage]

    def _ref(self) -> PolicyRef:
        return PolicyRef(*self._story.some(self._story.policies))

    def _ends(self) -> tuple[Evidence, ...]:
        if self._story.chance(0.5):
            return ()
        return (Evidence("contract", ends_at=self._now + self._story.some([5, 20, 60]) * DAY),)

    def _lapses(self) -> datetime | None:
        return None if self._story.chance(0.3) else self._now + self._story.some([5, 30]) * DAY

    def request(self) -> None:
        """From the request to its end, and on where it was agreed."""
        chance = self._story.chance
        self._tell(
            GrantRequested, number="N", case=self._case, terms=self._terms, policy=self._ref(),
            grantee=f"customer:{self._story.some(self._story.customers)}", evidence=self._ends(),
            lapses_at=self._lapses(),
        )  # fmt: skip
        if chance(0.15):
            return
        for _ in range(self._story.some([0, 0, 1, 2])):
            self._tell(GrantChecked, kind="documents", channel="online")
        if chance(0.3):
            self._tell(GrantInformationRequested)
            other = Terms("dealership", ("show",), {"territory": ("CN",)}, Term())
            self._tell(
                GrantInformationProvided, terms=other if chance(0.5) else None,
                evidence=self._ends(), lapses_at=self._lapses(),
            )  # fmt: skip
        self._tell(GrantVerified, lapses_at=self._lapses())
        for number in range(self._story.some([0, 1, 1, 2])):
            self._tell(GrantStageApproved, stage=f"s{number}", role="approver")
        if chance(0.2):
            self._retract(GrantApprovalRetracted, GrantStageApproved)
        match self._story.some(["open", "rejected", "withdrawn", "lapsed", *["agreed"] * 6]):
            case "rejected":
                self._tell(GrantRejected)
            case "withdrawn":
                self._tell(GrantWithdrawn)
            case "lapsed":
                self._tell(GrantLapsed, lapsed_at=self._now + DAY)
            case "agreed":
                self._agreed()
            case _:
                pass

    def _retract(self, event: type[Event], of: type[Event], **more: Any) -> None:
        given: list[Any] = [one for one in self.made if type(one) is of]
        if given:
            last = given[-1]
            self._tell(event, stage=last.stage, approver=last.by.person, **more)

    def _agreed(self) -> None:
        self._tell(GrantApproved, terms=self._terms)
        starts = self._now + self._story.some([0, 3]) * DAY
        ends = None if self._story.chance(0.1) else starts + self._story.some([10, 30, 90]) * DAY
        taken = GrantScheduled if starts > self._now else GrantActivated
        self._tell(taken, starts_at=starts, ends_at=ends)
        self._now = max(self._now, starts)
        for number in range(self._story.some([0, 0, 1, 2])):
            by = self._now + 2 * DAY if self._story.chance(0.4) else None
            self._tell(GrantSuspended, hold=f"h{number}", confirm_by=by)
            if self._story.chance(0.7):
                self._tell(GrantResumed, hold=f"h{number}")
        if self._story.chance(0.5):
            self._beside(ends)
        match self._story.some(["none", "none", "none", "asked", "revoked", "cancelled", "error"]):
            case "asked":
                self._tell(GrantRevocationRequested, case=new_id())
            case "revoked":
                case = new_id()
                self._tell(GrantRevocationRequested, case=case)
                effective = self._now + self._story.some([0.5, 9]) * DAY
                self._tell(GrantRevoked, origin="customer", case=case, effective_at=effective)
            case "cancelled":
                case = new_id()
                self._tell(GrantRevocationRequested, case=case)
                self._tell(GrantRevocationCancelled, case=case)
            case "error":
                case = new_id()
                self._tell(GrantErrorProposed, case=case)
                self._tell(GrantErrorMarked, case=case)
            case _:
                if ends is not None and ends <= self._now and self._story.chance(0.5):
                    self._tell(GrantExpired, expired_at=ends)

    def _beside(self, ends: datetime | None) -> None:
        """A renewal or an amendment."""
        if ends is not None and ends <= self._now:
            return
        case, renews = new_id(), self._story.chance(0.5)
        self._terms = Terms("dealership", ("sell",), {"territory": ("CN",)}, Term(), number=2)
        opened = GrantRenewalRequested if renews else GrantAmendmentProposed
        self._tell(
            opened, case=case, terms=self._terms, policy=self._ref(), evidence=self._ends(),
            lapses_at=self._lapses(),
        )  # fmt: skip
        for _ in range(self._story.some([0, 1])):
            checked = GrantRenewalChecked if renews else GrantAmendmentChecked
            self._tell(checked, case=case, kind="documents", channel="online")
        self._tell(GrantRenewalVerified if renews else GrantAmendmentVerified, case=case)
        stage = GrantRenewalStageApproved if renews else GrantAmendmentStageApproved
        for number in range(self._story.some([1, 2])):
            self._tell(stage, case=case, stage=f"s{number}", role="approver")
        if renews and self._story.chance(0.3):
            self._retract(GrantRenewalApprovalRetracted, stage, case=case)
        if self._story.chance(0.3):
            if renews:
                self._tell(GrantRenewalLapsed, case=case, lapsed_at=self._now + DAY)
            else:
                self._tell(GrantAmendmentRejected, case=case)
        elif self._story.chance(0.8):
            done = GrantRenewalApproved if renews else GrantAmendmentApproved
            self._tell(done, case=case, terms=self._terms)
            until = max(self._now, ends or self._now) + self._story.some([20, 60]) * DAY
            if renews:
                self._tell(GrantRenewed, case=case, starts_at=ends or self._now, ends_at=until)
            else:
                later = self._now + self._story.some([0, 4]) * DAY
                self._tell(GrantAmended, case=case, effective_at=later, ends_at=until)
