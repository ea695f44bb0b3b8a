"""Facts put straight into a ledger: events without the verbs that guard them, as imports may write
them.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from domain.events import Event
from domain.events.catalogue import DimensionDeclared, PointAdded
from domain.events.customer import (
    CustomerConfirmed,
    CustomerMerged,
    CustomerMergeProposed,
    CustomerRegistered,
)
from domain.events.grant import (
    GrantActivated,
    GrantApproved,
    GrantRequested,
    GrantResumed,
    GrantRevoked,
    GrantScheduled,
    GrantSuspended,
    GrantVerified,
)
from domain.events.policy import PolicyBody, PolicyDrafted
from domain.ledger import Ledgers, Outcome
from domain.values import Imported, Names, Party, PolicyRef, Scope, Term, Terms
from domain.view import Command, View
from tests.support.ledger import new_id, say

DAY = timedelta(days=1)
START = datetime(2026, 1, 1, tzinfo=UTC)
FACT = Imported("facts", 1)
BY = Party("staff:00000000-0000-7000-8000-000000000001", "00000000-0000-7000-8000-000000000002")
NAMES = Names("名", "name")


class Record(Command, frozen=True, kw_only=True):
    """Records events of one or more streams as they are; the first one is the main stream."""

    facts: tuple[tuple[str, str, Event], ...]

    @property
    def kind(self) -> str:
        return self.facts[0][0]

    @property
    def stream_id(self) -> str:
        return self.facts[0][1]

    def decide(self, view: View) -> None:
        for kind, stream_id, event in self.facts:
            view.record(kind, stream_id, [event])


def day(number: float) -> datetime:
    """Return an instant so many days after the start of all tests."""
    return START + number * DAY


def put(ledgers: Ledgers, tenant: str, kind: str, stream_id: str, *events: Event) -> Outcome:
    """Record events of one stream as one command."""
    return say(ledgers, tenant, Record(facts=tuple((kind, stream_id, one) for one in events)))


def policy(ledgers: Ledgers, tenant: str) -> str:
    """A policy stream that exists; return its id."""
    policy_id = new_id()
    body = PolicyBody(kind="dealership", names=NAMES, dimensions=("territory",), actions=())
    put(
        ledgers,
        tenant,
        "policy",
        policy_id,
        PolicyDrafted(at=START, by=BY, version=1, body=body, imported=FACT),
    )
    return policy_id


def customer(ledgers: Ledgers, tenant: str, since: float = 0, until: float = 1000) -> str:
    """A customer confirmed during `[since, until)` days; return its ref."""
    customer_id = new_id()
    put(
        ledgers,
        tenant,
        "customer",
        customer_id,
        CustomerRegistered(at=START, by=BY, number="C1", form="organization", imported=FACT),
        CustomerConfirmed(at=day(since), by=BY, until=day(until), imported=FACT),
    )
    return f"customer:{customer_id}"


def merge(ledgers: Ledgers, tenant: str, ref: str, into: str, at: float) -> Outcome:
    """Merge one customer into another."""
    stream_id, target = ref.partition(":")[2], into.partition(":")[2]
    return put(
        ledgers,
        tenant,
        "customer",
        stream_id,
        CustomerMergeProposed(at=day(at), by=BY, into=target, imported=FACT),
        CustomerMerged(at=day(at), by=BY, into=target, imported=FACT),
    )


def terms(
    scope: Scope,
    actions: Sequence[str] = ("sell",),
    kind: str = "dealership",
    parent: str | None = None,
) -> Terms:
    """Terms of these actions and this scope; the term of effect is the scheduling event's."""
    return Terms(kind, tuple(actions), scope, Term(), parent=parent)


def granted(
    grantee: str,
    policy_id: str,
    scope: Scope,
    *,
    since: float = 0,
    until: float | None = 1000,
    number: str = "G1",
    actions: Sequence[str] = ("sell",),
    parent: str | None = None,
    at: float = 0,
) -> tuple[Event, ...]:
    """The events of a grant from the request to effect."""
    asked = terms(scope, actions, parent=parent)
    ends_at = None if until is None else day(until)
    known: dict[str, Any] = {"at": day(at), "by": BY, "imported": FACT}
    return (
        GrantRequested(
            number=number,
            case=new_id(),
            grantee=grantee,
            terms=asked,
            policy=PolicyRef(policy_id, 1),
            **known,
        ),
        GrantVerified(**known),
        GrantApproved(terms=asked, **known),
        GrantScheduled(starts_at=day(since), ends_at=ends_at, **known),
        GrantActivated(starts_at=day(since), ends_at=ends_at, **known),
    )


def grant(
    ledgers: Ledgers, tenant: str, grantee: str, policy_id: str, scope: Scope, **more: Any
) -> str:
    """A grant in effect; return its id."""
    grant_id = new_id()
    put(ledgers, tenant, "grant", grant_id, *granted(grantee, policy_id, scope, **more))
    return grant_id


def suspended(at: float, hold: str = "h1", confirm_by: float | None = None) -> GrantSuspended:
    """A hold from that day on."""
    until = None if confirm_by is None else day(confirm_by)
    return GrantSuspended(at=day(at), by=BY, hold=hold, confirm_by=until, imported=FACT)


def resumed(at: float, hold: str = "h1") -> GrantResumed:
    """The end of a hold."""
    return GrantResumed(at=day(at), by=BY, hold=hold, imported=FACT)


def revoked(at: float, effective: float | None = None) -> GrantRevoked:
    """A revocation by staff."""
    since = day(at if effective is None else effective)
    return GrantRevoked(at=day(at), by=BY, origin="staff", effective_at=since, imported=FACT)


def dimension(name: str) -> DimensionDeclared:
    """A dimension of the catalogue."""
    return DimensionDeclared(at=START, by=BY, dimension=name, names=NAMES, imported=FACT)


def point(name: str, path: str, **attributes: str) -> PointAdded:
    """A point of the catalogue."""
    return PointAdded(
        at=START,
        by=BY,
        dimension=name,
        path=path,
        names=NAMES,
        attributes=attributes,
        imported=FACT,
    )
