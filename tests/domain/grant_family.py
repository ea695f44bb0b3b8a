"""Several grants in one small tenant: given from each other, or beside each other."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from domain.commands.cases import ProposeAmendment, RequestRenewal
from domain.commands.grants import ApproveStage, RequestGrant, SignGrant
from domain.commands.supervision import RevokeGrant, SuspendGrant
from domain.errors import Refused
from domain.events.common import Event
from domain.events.policy import (
    Agreement,
    Group,
    PolicyApproved,
    PolicyBody,
    PolicyDrafted,
    PolicyPublished,
    PolicySubmitted,
    Stage,
)
from domain.grants import Grant, Status, status_at
from domain.terms import agreement_digest
from domain.values import Scope, Term
from domain.view import Command
from tests.domain.grant_story import EASY, requesting
from tests.domain.grant_world import ACTS, ENDS, HOUR, T0, WHY, World, body, names, staff

CUSTOMERS = {"north": "nora", "south": "sam", "east": "eve"}
"""Customer -> its only member, who may do everything for it."""

ONE_STAGE = (Stage("only", names("only"), (Group("approver", 1),), lapse_days=10),)
SIGNED = Agreement("dealer", "3", "ab" * 32, ("grantee",), lapse_days=14)


def easy(**changes: Any) -> PolicyBody:
    """A policy under which a request takes effect at once."""
    return body(**{**EASY, "depth": 2, **changes})


def staged(**changes: Any) -> PolicyBody:
    """A policy under which one approver gives what is asked for."""
    return easy(**{"stages": ONE_STAGE, "no_approval_needed": False, **changes})


class Family(World):
    """A world with some more customers, in which every grant is called by its id."""

    def __init__(self, policy: PolicyBody | None = None) -> None:
        super().__init__(policy or easy())
        for customer, member in CUSTOMERS.items():
            self.add_customer(customer, {member: ACTS})

    def request(self, grant: str, by: Any = "ann", **changes: Any) -> list[Event]:
        return self.run(asked(grant, **changes), by=by)

    def approve(self, grant: str, by: str = "carl", **changes: Any) -> list[Event]:
        command = ApproveStage(grant_id=grant, stage="only", **changes)
        return self.run(command, by=by)

    def sign(self, grant: str, by: Any) -> list[Event]:
        digest = agreement_digest(SIGNED, self.state(grant).terms)
        return self.run(SignGrant(grant_id=grant, party="grantee", digest=digest), by=by)

    def suspend(self, grant: str) -> None:
        self.run(SuspendGrant(grant_id=grant, hold="h1"), by="dora", reason=WHY)

    def revoke(self, grant: str, at: datetime | None = None) -> None:
        command = RevokeGrant(grant_id=grant, case="r1", effective_at=at)
        self.run(command, by="dora", reason=WHY)

    def amend(self, grant: str, by: Any = "ann", **changes: Any) -> list[Event]:
        return self.run(ProposeAmendment(grant_id=grant, case=f"a-{grant}", **changes), by=by)

    def renew(self, grant: str, until: datetime, by: Any = "ann") -> list[Event]:
        term = Term(ends_at=until)
        return self.run(RequestRenewal(grant_id=grant, case=f"n-{grant}", term=term), by=by)

    def state(self, grant: str) -> Grant:
        return self.streams[grant].state

    def status_of(self, grant: str) -> Status:
        return status_at(self.state(grant), self.now)

    def no(self, command: Command, **circumstances: Any) -> Refused:
        """Return the refusal of a command that must be refused."""
        before = dict(self.streams)
        try:
            self.run(command, **circumstances)
        except Refused as refused:
            assert self.streams == before
            return refused
        raise AssertionError(f"{command} was not refused")


def asked(grant: str, grantee: str = "shop", **changes: Any) -> RequestGrant:
    """The usual request, for a customer by name, from now on until the usual end."""
    usual: dict[str, Any] = {
        "grant_id": grant,
        "number": f"G-{grant}",
        "case": f"request-{grant}",
        "grantee": f"customer:{grantee}",
        "term": Term(T0, ENDS),
    }
    return requesting(**{**usual, **changes})


def somewhere(territory: str = "CN/31", product: str = "tea") -> Scope:
    return {"product": (product,), "territory": (territory,)}


def passing_on(policy: PolicyBody | None = None, **top: Any) -> Family:
    """A tenant in which the shop holds `top`, which may be passed on over two levels."""
    world = Family(policy)
    world.request("top", **{"pass_on": 2, **top})
    if world.status_of("top") == "pending_approval":
        world.approve("top")
    if world.status_of("top") == "approved":
        world.sign("top", "mia")
    world.now += HOUR
    return world


def publish_again(world: World, says: PolicyBody) -> None:
    """Put a second version in force from now on."""
    known: dict[str, Any] = {"at": world.now, "by": staff("root"), "version": 2}
    world.given(
        "policy",
        "dealership",
        PolicyDrafted(**known, body=says),
        PolicySubmitted(**known),
        PolicyApproved(**known),
        PolicyPublished(**known, from_=world.now),
    )
