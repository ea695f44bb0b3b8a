"""Given / when / then on bare events, in the words of the business; no database, no clock.

    given(staff("ann", "verifier"), customer("acme", registered(by="bob")))
        .when(ConfirmCustomer(customer="acme", policy="dealership"), by="ann")
        .then_refused("customer.not_identified")

Staff member `ann` is the person `person-ann`; ids are such words.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

from domain.errors import Refused
from domain.events.catalogue import DimensionDeclared, PointAdded
from domain.events.common import Event
from domain.events.customer import (
    CustomerConfirmed,
    CustomerIdentityChecked,
    CustomerRegistered,
    MemberAdded,
)
from domain.events.person import PersonMerged, PersonRegistered
from domain.events.policy import (
    ActionRule,
    Group,
    Identification,
    PolicyApproved,
    PolicyBody,
    PolicyDrafted,
    PolicyPublished,
    PolicySubmitted,
    Stage,
)
from domain.events.staff import StaffAppointed, StaffDeputySet
from domain.sealing import Sealed
from domain.streams import evolve
from domain.values import Evidence, Instant, Names, Party, Reason
from domain.view import Circumstances, Command, Loaded, View
from tests.support.telling import require_tellable

NOW = datetime(2026, 6, 1, tzinfo=UTC)
TENANT = "tenant"
OPERATOR = Party("service:operator")
NAMES = Names("名", "name")


def days(number: float) -> timedelta:
    return timedelta(days=number)


def person_of(word: str) -> str:
    return f"person-{word}"


def staff_party(word: str) -> Party:
    return Party(f"staff:{word}", person_of(word))


def member_party(customer_id: str, word: str) -> Party:
    return Party(f"customer:{customer_id}", person_of(word))


def secret(subject: str = "someone") -> Sealed:
    return Sealed(subject, "key", b"box")


BECAUSE = Reason(code="because")
RECORDING = Evidence("recording", file="file-1", sha256="0" * 64, size=1)


# --- facts ----------------------------------------------------------------------------------------


class Fact(NamedTuple):
    """What happened in one stream before."""

    kind: str
    stream_id: str
    events: tuple[Event, ...]


def person(word: str, merged_into: str | None = None) -> Fact:
    """A human being, perhaps one who turned out to be another."""
    events: list[Event] = [PersonRegistered(at=NOW - days(400), by=OPERATOR)]
    if merged_into is not None:
        merged = PersonMerged(at=NOW - days(1), by=OPERATOR, into=person_of(merged_into))
        events.append(merged)
    return Fact("person", person_of(word), tuple(events))


def staff(
    word: str,
    *roles: str,
    level: str = "senior",
    customers: tuple[str, ...] = (),
    then: Iterable[Event] = (),
) -> Fact:
    """A staff member appointed 400 days ago, and what happened to them since."""
    appointed = StaffAppointed(
        at=NOW - days(400),
        by=OPERATOR,
        person=person_of(word),
        number=word,
        level=level,
        roles=tuple(sorted(roles)),
        customers=customers,
    )
    return Fact("staff", word, (appointed, *then))


def team(*paths: str, until: Instant | None = None) -> Fact:
    """The catalogue with these teams, the wider ones first, perhaps ended."""
    made: dict[str, Any] = {"at": NOW - days(500), "by": OPERATOR}
    declared = DimensionDeclared(**made, dimension="team", names=NAMES)
    points = [
        PointAdded(**made, dimension="team", path=path, names=NAMES, until=until) for path in paths
    ]
    return Fact("catalogue", TENANT, (declared, *points))


def deputy_set(
    deputy: str, *, from_: Instant | None = None, until: Instant | None = None
) -> StaffDeputySet:
    """The principal set a deputy a day ago, for two days unless said otherwise."""
    return StaffDeputySet(
        at=NOW - days(1),
        by=OPERATOR,
        deputy=deputy,
        from_=from_ or NOW - days(1),
        until=until or NOW + days(1),
    )


def registered(by: str = "ann", form: Any = "organization") -> CustomerRegistered:
    """A customer was registered 300 days ago."""
    return CustomerRegistered(
        at=NOW - days(300),
        by=staff_party(by),
        number="C1",
        form=form,
        title="甲公司" if form == "organization" else None,
        full_name=None if form == "organization" else secret(),
    )


def checked(
    by: str = "ann",
    *,
    kind: str = "business_licence",
    channel: str = "online",
    passed: bool = True,
    at: Instant | None = None,
    document_ends_at: Instant | None = None,
) -> CustomerIdentityChecked:
    """An act of identification, ten days ago unless said otherwise."""
    return CustomerIdentityChecked(
        at=at or NOW - days(10),
        by=staff_party(by),
        kind=kind,
        channel=channel,
        passed=passed,
        document=kind,
        document_ends_at=document_ends_at,
    )


def confirmed(
    by: str = "bob", *, at: Instant | None = None, until: Instant | None = None
) -> CustomerConfirmed:
    """The customer was confirmed nine days ago, for a year from now unless said otherwise."""
    return CustomerConfirmed(
        at=at or NOW - days(9), by=staff_party(by), until=until or NOW + days(365)
    )


def member_added(
    word: str,
    *acts: str,
    from_: Instant | None = None,
    until: Instant | None = None,
) -> MemberAdded:
    """A person may act for the customer; the member id is the word."""
    return MemberAdded(
        at=NOW - days(8),
        by=staff_party("ann"),
        member=word,
        person=person_of(word),
        acts=acts or ("request",),
        from_=from_ or NOW - days(8),
        until=until,
    )


def customer(word: str, *events: Event) -> Fact:
    return Fact("customer", word, events or (registered(),))


def catalogue(*dimensions: str, points: Iterable[tuple[str, str]] = ()) -> Fact:
    """The tenant's catalogue: dimensions, and points as (dimension, path)."""
    at = NOW - days(400)
    events: list[Event] = [
        DimensionDeclared(at=at, by=OPERATOR, dimension=dimension, names=NAMES)
        for dimension in dimensions
    ]
    events += [
        PointAdded(at=at, by=OPERATOR, dimension=dimension, path=path, names=NAMES)
        for dimension, path in points
    ]
    return Fact("catalogue", TENANT, tuple(events))


def policy_body(**changes: Any) -> PolicyBody:
    """A complete body: one stage of one approver, two checks over two channels to identify."""
    plain: dict[str, Any] = {
        "kind": "dealership",
        "names": Names("经销", "dealership"),
        "dimensions": ("territory",),
        "actions": (ActionRule("sell", Names("销售", "sell")),),
        "identification": Identification(checks=2, channels=2, days=365),
        "stages": (Stage("one", Names("一审", "first"), (Group("approver"),)),),
    }
    return PolicyBody(**{**plain, **changes})


def policy(word: str, *, body: PolicyBody | None = None, by: str = "ada", version: int = 1) -> Fact:
    """A policy in force for 100 days, written by `by` and approved by compliance `cho`."""
    author, compliance = staff_party(by), staff_party("cho")
    at = NOW - days(100)
    return Fact(
        "policy",
        word,
        (
            PolicyDrafted(at=at, by=author, version=version, body=body or policy_body()),
            PolicySubmitted(at=at, by=author, version=version),
            PolicyApproved(at=at, by=compliance, version=version),
            PolicyPublished(at=at, by=author, version=version, from_=at),
        ),
    )


# --- given, when, then ----------------------------------------------------------------------------


class World:
    """The streams of one tenant, in memory."""

    def __init__(self) -> None:
        self.streams: dict[str, Loaded] = {}
        self.kinds: dict[str, str] = {}

    def happened(self, kind: str, stream_id: str, events: Iterable[Event]) -> None:
        version, state = self.look(kind, stream_id)
        for event in events:
            version, state = version + 1, evolve(kind, state, event)
        self.streams[stream_id] = Loaded(version, state)
        self.kinds[stream_id] = kind

    def look(self, kind: str, stream_id: str) -> Loaded:
        assert self.kinds.get(stream_id, kind) == kind, f"{stream_id} is no {kind}"
        return self.streams.get(stream_id, Loaded(0, None))

    def state(self, stream_id: str) -> Any:
        return self.streams[stream_id].state

    def staff_ids(self) -> list[str]:
        return [stream_id for stream_id, kind in self.kinds.items() if kind == "staff"]

    def when(
        self,
        command: Command,
        by: str | Party,
        *,
        at: Instant = NOW,
        on_behalf_of: str | Party | None = None,
        reason: Reason | None = None,
        evidence: tuple[Evidence, ...] = (),
    ) -> Outcome:
        """Decide a command as the writer would; `Outcome.world` is the world after it."""
        circumstances = Circumstances(
            TENANT, at, "command", _party(by), _party(on_behalf_of), reason, evidence
        )
        view = View(self.look, circumstances, self.staff_ids)
        try:
            command.decide(view)
        except Refused as refused:
            require_tellable(refused)
            return Outcome(self, view, refused)
        return Outcome(self, view, None)


def _party(word: str | Party | None) -> Any:
    return staff_party(word) if isinstance(word, str) else word


class Outcome:
    """What a command led to."""

    def __init__(self, before: World, view: View, refused: Refused | None) -> None:
        self.before = before
        self.view = view
        self.refused = refused

    @property
    def events(self) -> list[Event]:
        return [one.event for one in self.view.events]

    @property
    def world(self) -> World:
        """The world after these events."""
        assert self.refused is None, self.refused
        after = World()
        after.streams, after.kinds = dict(self.before.streams), dict(self.before.kinds)
        for one in self.view.events:
            after.happened(one.kind, one.stream_id, [one.event])
        return after

    def then(self, *names: str) -> World:
        """Exactly these events happened, by stored name."""
        assert self.refused is None, self.refused
        assert [event.name for event in self.events] == list(names)
        return self.world

    def then_nothing(self) -> World:
        """The intent already held."""
        return self.then()

    def then_refused(self, code: str, **params: Any) -> None:
        """The rules said no by this code, with at least these facts."""
        assert self.refused is not None, self.events
        assert self.refused.code == code, self.refused
        assert {**self.refused.params, **params} == self.refused.params


def given(*facts: Fact) -> World:
    """The world after these facts; the persons of named staff need not be told."""
    world = World()
    for kind, stream_id, events in facts:
        world.happened(kind, stream_id, events)
    return world
