"""A tenant with people, a catalogue, a policy and customers, made by the real commands: the stage
for drills."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from concurrent.futures import Future
from datetime import timedelta
from typing import Any

from api.provisioning import Database
from domain.commands.catalogue import AddPoint, DeclareDimension
from domain.commands.customers import ConfirmCustomer, RecordIdentityCheck, RegisterCustomer
from domain.commands.grants import ApproveStage, RecordCheck, RequestGrant, SignGrant
from domain.commands.persons import RegisterPerson
from domain.commands.policies import ApprovePolicy, DraftPolicy, PublishPolicy, SubmitPolicy
from domain.commands.staff import AppointStaff
from domain.events.policy import (
    ActionRule,
    Agreement,
    Group,
    Identification,
    PolicyBody,
    Stage,
    Verification,
)
from domain.ledger import Ledgers, Outcome
from domain.terms import agreement_digest
from domain.values import Names, Party, Reason, Scope, Term
from domain.view import Command
from projections import models
from projections.inline import FOLDS, InlineTables
from tests.support.ledger import OPERATOR, clock, make_ledgers, make_tenant, new_id, say, submission

RUNNER_FOLDS = dict(models.FOLDS)


def hashed(*parts: str) -> bytes:
    """Stand for a keyed hash where no key is needed."""
    return hashlib.sha256("\x00".join(parts).encode()).digest()


def names(word: str) -> Names:
    """A name in both languages."""
    return Names(word, word)


BECAUSE = Reason(code="test")

BODY = PolicyBody(
    kind="dealership",
    names=Names("经销授权", "Dealership"),
    dimensions=("territory", "product"),
    actions=(
        ActionRule("sell", Names("销售", "Sell")),
        ActionRule("display", Names("陈列", "Display"), free=True),
    ),
    identification=Identification(checks=1, channels=1, days=3650),
    verification=Verification(kinds=("documents",), persons=1),
    stages=(Stage("sales", Names("销售审批", "Sales"), (Group("approver", 1),), lapse_days=30),),
    longest_days=3660,
)

AGREEMENT = Agreement(template="standard", version="1", sha256="ab" * 32, signers=("grantee",))


class World:
    """One tenant; `staff` by name, everything said through the ledger."""

    def __init__(
        self,
        database: Database,
        *,
        body: PolicyBody = BODY,
        ledgers: Ledgers | None = None,
        folds: dict[str, int] | None = None,
        approvers: int = 3,
        **more: Any,
    ) -> None:
        self.database = database
        self.ledgers = ledgers or make_ledgers(database, InlineTables(), **more)
        self.tenant = make_tenant(database, {**FOLDS, **(RUNNER_FOLDS if folds is None else folds)})
        self.people: dict[str, str] = {}
        self.staff: dict[str, str] = {}
        self.parties: dict[str, Party] = {}
        self.body = body
        self.policy = new_id()
        self._numbers = 0
        self.appoint("root", "administrator", by=OPERATOR)
        self.appoint("admin", "administrator", "requester")
        self.appoint("compliance", "compliance")
        self.appoint("requester", "requester")
        self.appoint("verifier", "verifier")
        for number in range(approvers):
            self.appoint(f"approver{number}", "approver")
        for dimension, points in (
            ("territory", ("CN", "CN/31", "CN/32", "CN/33")),
            ("product", ("tea", "tea/green", "tea/black")),
        ):
            self.say(
                "admin",
                DeclareDimension(tenant=self.tenant, dimension=dimension, names=names(dimension)),
            )
            for path in points:
                self.say(
                    "admin",
                    AddPoint(tenant=self.tenant, dimension=dimension, path=path, names=names(path)),
                )
        self.publish(body)

    def say(self, who: str | Party, command: Command, **more: Any) -> Outcome:
        """Submit as a staff member (by name) or a party; wait."""
        return say(self.ledgers, self.tenant, command, self.party(who), **more)

    def submit(self, who: str | Party, command: Command, **more: Any) -> Future[Outcome]:
        """Submit without waiting."""
        return self.ledgers.submit(
            submission(self.tenant, command, self.party(who), **({"reason": BECAUSE} | more))
        )

    def party(self, who: str | Party) -> Party:
        return self.parties[who] if isinstance(who, str) else who

    def number(self) -> str:
        """A number nobody had yet."""
        self._numbers += 1
        return f"N{self._numbers:06}"

    def appoint(
        self, name: str, *roles: str, person: str | None = None, by: Party | str = "root"
    ) -> str:
        """Register a person (unless given) and appoint them; return the staff id."""
        if person is None:
            person = new_id()
            self.say(by, RegisterPerson(person=person))
        staff = new_id()
        self.say(
            by,
            AppointStaff(
                staff=staff,
                person=person,
                number=name,
                number_claim=hashed("staff", name),
                level="senior",
                roles=roles,
            ),
        )
        self.people[name], self.staff[name] = person, staff
        self.parties[name] = Party(f"staff:{staff}", person)
        return staff

    def publish(self, body: PolicyBody, policy: str | None = None) -> int:
        """Draft, submit, approve and publish a version; return its number."""
        policy = policy or self.policy
        claim = hashed("kind", body.kind)
        drafted = self.say("admin", DraftPolicy(policy=policy, body=body, kind_claim=claim))
        version = len(drafted.state.versions)
        self.say("admin", SubmitPolicy(policy=policy, version=version))
        self.say("compliance", ApprovePolicy(policy=policy, version=version))
        self.say("admin", PublishPolicy(policy=policy, version=version))
        return version

    def customer(self, *, confirmed: bool = True) -> str:
        """Register a customer and confirm them; return the id."""
        customer, number = new_id(), self.number()
        self.say(
            "requester",
            RegisterCustomer(
                customer=customer,
                number=number,
                number_claim=hashed("customer", number),
                form="organization",
                title=f"茶庄 {number}",
            ),
        )
        if confirmed:
            self.say(
                "verifier",
                RecordIdentityCheck(
                    customer=customer,
                    check_kind="licence",
                    channel="online",
                    passed=True,
                    document="business_licence",
                ),
            )
            self.say("verifier", ConfirmCustomer(customer=customer, policy=self.policy))
        return customer

    def request_command(
        self,
        customer: str,
        *,
        actions: Sequence[str] = ("sell",),
        scope: Scope | None = None,
        days: int = 365,
    ) -> RequestGrant:
        """A request for `customer`, from now on for `days`, not yet submitted."""
        number, start = self.number(), clock()
        return RequestGrant(
            grant_id=new_id(),
            number=number,
            number_claim=hashed("grant", number),
            case=new_id(),
            grantee=f"customer:{customer}",
            policy=self.policy,
            actions=tuple(actions),
            scope=scope or {"territory": ("CN/31",), "product": ("tea",)},
            term=Term(starts_at=start, ends_at=start + timedelta(days=days)),
        )

    def request(self, customer: str, **more: Any) -> str:
        """Request a grant; return its id."""
        command = self.request_command(customer, **more)
        self.say("requester", command)
        return command.grant_id

    def check(self, grant: str, who: str = "verifier") -> Outcome:
        """Record the one check the policy asks for."""
        return self.say(who, RecordCheck(grant_id=grant, check="documents", channel="online"))

    def approve(self, grant: str, who: str = "approver0", stage: str = "sales") -> Outcome:
        """Approve a stage."""
        return self.say(who, ApproveStage(grant_id=grant, stage=stage))

    def pending(self, customer: str | None = None, **more: Any) -> str:
        """A grant that waits for approval."""
        grant = self.request(customer or self.customer(), **more)
        self.check(grant)
        return grant

    def active(self, customer: str | None = None, **more: Any) -> str:
        """A grant in force (a policy without agreement)."""
        grant = self.pending(customer, **more)
        self.approve(grant)
        return grant

    def sign_command(self, grant: str) -> SignGrant:
        """The tenant's signature on the approved terms."""
        agreement = self.body.agreement
        assert agreement is not None
        state = self.ledgers.load(self.tenant, "grant", grant).state
        return SignGrant(
            grant_id=grant, party="tenant", digest=agreement_digest(agreement, state.terms)
        )

    def close(self) -> None:
        """Close the ledgers."""
        self.ledgers.close()
