"""What cases stand on and a file only hints at: catalogue, policy, people, customers."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from contextlib import closing
from hashlib import sha256
from itertools import islice
from typing import Any, Final, NamedTuple

from api.ids import new_id
from api.importing.instants import instant
from api.importing.mapping import Mapping
from api.importing.report import Counting
from api.importing.site import Site
from api.importing.spool import Case, Named, Spool
from domain import policies
from domain.commands.customers import NUMBER_CLAIM as CUSTOMER_NUMBER
from domain.commands.imports import IMPORTER, Facts
from domain.commands.policies import KIND_CLAIM
from domain.commands.staff import NUMBER_CLAIM as STAFF_NUMBER
from domain.events import Event
from domain.events.catalogue import DimensionDeclared, PointAdded
from domain.events.customer import CustomerConfirmed, CustomerRegistered
from domain.events.person import PersonRegistered
from domain.events.policy import (
    PolicyApproved,
    PolicyDrafted,
    PolicyPublished,
    PolicyRetired,
    PolicySubmitted,
)
from domain.events.staff import StaffAppointed
from domain.scopes import ANY
from domain.values import Imported, Names, PolicyRef
from domain.view import Claim

PERSON_CLAIM: Final = "imported_person"
"""What a source calls a person belongs to one staff member for good."""

PEOPLE: Final = 100
POINTS: Final = 1_000
"""People, points of the catalogue written in one command."""

_ROLES: Final = {
    "request": "requester",
    "provide": "requester",
    "withdraw": "requester",
    "ask": "verifier",
    "check": "verifier",
    "fail": "verifier",
    "suspend": "compliance",
    "resume": "compliance",
    "revoke": "compliance",
}
"""The role that a step asks of whoever takes it; an approval asks for that of its stage."""


class Customer(NamedTuple):
    """A grantee: the keyed hash of its number, its stream, and the facts to be recorded with its
    first case that is written; None where the tenant has had this customer before."""

    keyed_hash: bytes
    id: str
    facts: Facts | None


class Groundwork:
    """Lays what is not there yet. Every step of it looks first, so that it can be done again."""

    def __init__(self, site: Site, mapping: Mapping, spool: Spool, counting: Counting) -> None:
        self._site = site
        self._mapping = mapping
        self._spool = spool
        self._counting = counting
        self._first, self._last = (
            instant(spool.one(f"SELECT {bound}(at) FROM steps")) for bound in ("min", "max")
        )
        self._policy = PolicyRef("", 0)

    def lay(self) -> PolicyRef:
        """Write catalogue, policy and people; return the policy version that the cases rest on.

        A crash between any two of its commands leaves what is complete in itself."""
        self._catalogue()
        self._policy = self._lay_policy()
        with closing(self._spool.people()) as people:
            while chunk := list(islice(people, PEOPLE)):
                self._people(chunk)
        return self._policy

    def _write(self, facts: Sequence[Facts], command_id: str | None = None) -> None:
        outcome = self._site.submit(facts, command_id=command_id).result()
        self._counting.wrote(self._site.settled(outcome))

    def _stamp(self, row: int, at: Any = None) -> dict[str, Any]:
        imported = Imported(self._mapping.source, row, inferred=True)
        return {"at": at or self._first, "by": IMPORTER, "imported": imported}

    def _catalogue(self) -> None:
        mapping = self._mapping
        events: list[Event] = [
            DimensionDeclared(
                **self._stamp(1), dimension=name, names=mapping.dimensions[name].names
            )
            for name in mapping.policy.dimensions
            if name in mapping.dimensions
        ]
        met: set[tuple[str, str]] = set()
        for scope in self._spool.scopes():
            for place in json.loads(scope.name).items():
                if place[1] != ANY and place not in met:
                    met.add(place)
                    events.append(self._point(scope, *place))
        for start in range(0, len(events), POINTS):
            some = tuple(events[start : start + POINTS])
            self._write([Facts("catalogue", self._site.tenant, some, if_absent=True)])

    def _point(self, scope: Named, dimension: str, path: str) -> PointAdded:
        names = self._mapping.dimensions[dimension].points.get(path, Names(path, path))
        given = self._stamp(scope.row, instant(scope.at))
        return PointAdded(**given, dimension=dimension, path=path, names=names)

    def _lay_policy(self) -> PolicyRef:
        """Return the tenant's policy of this kind, made by the import where there is none.

        Nobody here has approved the one made, so it is retired unless the mapping says that it
        stays: what was granted goes on, no new request rests on it."""
        site, body = self._site, self._mapping.policy
        kind_claim = site.hash(KIND_CLAIM, body.kind)
        known = site.claimed(KIND_CLAIM, [kind_claim]).get(kind_claim)
        if known is not None:
            policy: policies.Policy = site.ledgers.load(site.tenant, "policy", known).state
            ruling = policies.in_force(policy, site.ledgers.now(site.tenant))
            return PolicyRef(known, policy.newest if ruling is None else ruling.number)
        policy_id = site.namer.id(self._first, "policy", body.kind)
        given = self._stamp(1)
        events: list[Event] = [
            PolicyDrafted(**given, version=1, body=body),
            PolicySubmitted(**given, version=1),
            PolicyApproved(**given, version=1),
            PolicyPublished(**given, version=1, from_=self._first),
        ]
        if not self._mapping.policy_stays:
            events.append(PolicyRetired(**self._stamp(1, self._last), version=1))
        claim = Claim(KIND_CLAIM, kind_claim, policy_id)
        self._write([Facts("policy", policy_id, tuple(events), (claim,), if_absent=True)])
        return PolicyRef(policy_id, 1)

    def _people(self, chunk: Sequence[Named]) -> None:
        """Find the staff that the file's names stand for, and appoint those who are not there."""
        site, facts, command_id = self._site, list[Facts](), new_id()
        own = {one.name: site.hash(PERSON_CLAIM, self._exactly(one.name)) for one in chunk}
        numbers = {one.name: self._number(one.name) for one in chunk}
        claims = {name: site.hash(STAFF_NUMBER, number) for name, number in numbers.items()}
        by_name = site.claimed(PERSON_CLAIM, list(own.values()))
        by_number = site.claimed(STAFF_NUMBER, list(claims.values()))
        taken = set(by_number)
        for one in chunk:
            named = by_name.get(own[one.name])  # by whatever number they go now
            staff = named or by_number.get(claims[one.name])
            state = None if staff is None else site.ledgers.load(site.tenant, "staff", staff).state
            other = named is None and state is not None and state.number != numbers[one.name]
            if staff is None or state is None or other:
                staff = site.namer.id(instant(one.at), "staff", one.name)
                person = site.namer.id(instant(one.at), "person", one.name)
                mine = [Claim(PERSON_CLAIM, own[one.name], staff)]
                if claims[one.name] not in taken:  # else it differs from another only in its case
                    mine.append(Claim(STAFF_NUMBER, claims[one.name], staff))
                    taken.add(claims[one.name])
                facts += self._appointed(one, person, staff, tuple(mine), command_id)
            else:
                person = state.person
            self._spool.run("INSERT INTO people VALUES (?, ?, ?)", one.name, staff, person)
        if facts:
            self._write(facts, command_id)

    def _appointed(
        self, one: Named, person: str, staff: str, claims: tuple[Claim, ...], command_id: str
    ) -> tuple[Facts, Facts]:
        people, given = self._mapping.people, self._stamp(one.row, instant(one.at))
        name = None
        if people.called == "name":
            name = self._site.seal(person, one.name, command_id, "full_name")
        roles = self._roles(one) if people.roles == "as_done" else tuple(sorted(people.roles))
        appointed = StaffAppointed(
            **given,
            person=person,
            number=self._number(one.name),
            level=people.level,
            roles=roles,
        )
        registered = PersonRegistered(**given, full_name=name)
        return (
            Facts("person", person, (registered,), if_absent=True),
            Facts("staff", staff, (appointed,), claims, if_absent=True),
        )

    def _number(self, name: str) -> str:
        """Return the staff number: what the file says where that is a number, else one made."""
        if self._mapping.people.called == "number":
            return name
        return f"i-{self._site.namer.key(f'person/{name}')[:16]}"

    def _exactly(self, name: str) -> str:
        """Return the name so that no two are taken for one, not even `TEST` and `test`."""
        return sha256(f"{self._mapping.source}/{name}".encode()).hexdigest()

    def _roles(self, one: Named) -> tuple[str, ...]:
        roles = {_ROLES[event] for event in one.events if event in _ROLES}
        if one.events & {"approve", "reject"}:
            roles |= {group.role for stage in self._mapping.policy.stages for group in stage.groups}
        return tuple(sorted(roles))

    def customers(self, cases: Sequence[Case]) -> dict[str, Customer]:
        """Return the grantees of some cases by number."""
        site, numbers = self._site, dict[str, bytes]()
        for case in cases:
            asked, at = case.asked, case.first.at
            numbers[asked.grantee] = site.hash(CUSTOMER_NUMBER, asked.grantee)
            customer_id = site.namer.id(instant(at), "customer", asked.grantee)
            self._spool.run(
                "INSERT OR IGNORE INTO customers VALUES (?, ?, ?, ?, ?, ?, 0)",
                numbers[asked.grantee],
                asked.grantee,
                customer_id,
                asked.title,
                at,
                asked.row,
            )
        known = site.claimed(CUSTOMER_NUMBER, list(numbers.values()))
        return {
            number: self._customer(keyed_hash, known.get(keyed_hash))
            for number, keyed_hash in numbers.items()
        }

    def _customer(self, keyed_hash: bytes, known: str | None) -> Customer:
        """Return the grantee with this number, however a case spells it: as its first case did."""
        asked = "SELECT number, id, title, at, row FROM customers WHERE keyed_hash = ?"
        [(number, customer_id, title, at, row)] = self._spool.each(asked, keyed_hash)
        if known not in (None, customer_id):
            return Customer(keyed_hash, str(known), None)
        claim = Claim(CUSTOMER_NUMBER, keyed_hash, customer_id)
        events = tuple(self._registered(number, title, at, row))
        facts = Facts("customer", customer_id, events, (claim,), if_absent=True)
        return Customer(keyed_hash, customer_id, facts)

    def _registered(self, number: str, title: str, at: int, row: int) -> Iterator[Event]:
        given, until = self._stamp(row, instant(at)), self._mapping.constants.confirmed_until
        yield CustomerRegistered(**given, number=number, form="organization", title=title or None)
        if until is not None and until > instant(at):
            policy = self._policy
            yield CustomerConfirmed(
                **given, until=until, policy=policy.policy, policy_version=policy.version
            )
