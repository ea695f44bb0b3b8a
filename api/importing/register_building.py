"""From a row of a register to facts: the customer, and a grant that is in force or will be."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from typing import Any, Final, NamedTuple

import msgspec

from api.importing.instants import instant
from api.importing.register_against import CLAIMS, customer_number, grant_id_of, key_of
from api.importing.register_plan import Plan
from api.importing.register_repeats import reservation
from api.importing.register_spool import Entry
from api.importing.running import GRANT_NUMBER
from api.importing.site import Site
from domain.commands.customers import NUMBER_CLAIM
from domain.commands.imports import IMPORTER, Facts
from domain.events import Event
from domain.events.customer import CustomerConfirmed, CustomerRegistered
from domain.events.grant import (
    GrantActivated,
    GrantApproved,
    GrantNoted,
    GrantRequested,
    GrantScheduled,
    GrantVerified,
)
from domain.sealing import Sealed
from domain.values import Imported, Instant, Term, Terms
from domain.view import Claim

SOURCE: Final = "register"
"""What the facts of a register name as their source."""

CONTACT_LABEL: Final = "contact"
"""The label of the note that keeps a row's contact where the customer's record has another."""


class Party(NamedTuple):
    """A customer of the register: its id, the row that names it first, its earliest right.

    `ours`: it is, or will be, known by this register first; `absent`: the ledger does not have it
    yet."""

    id: str
    first: Entry
    starts: int
    ours: bool
    absent: bool


class Builder:
    """Makes the facts of rows; sealed texts are bound to the command that they go with."""

    def __init__(self, site: Site, plan: Plan) -> None:
        self._site = site
        self._plan = plan

    def speaks_of_people(self, entry: Entry) -> bool:
        """Tell whether something of this row is sealed."""
        return entry.form == "person" or bool(entry.contact or entry.phone)

    def grant(self, entry: Entry, party: Party, number: str, command_id: str) -> Facts:
        """Return the grant of a row: what a register lacks of its way is inferred."""
        site, plan = self._site, self._plan
        wanted = reservation(entry)
        grant_id = grant_id_of(entry, plan, site)
        at = min(wanted.starts_at, plan.day)
        term = Term(wanted.starts_at, wanted.ends_at)
        terms = Terms(plan.body.kind, plan.actions, dict(wanted.scope), term)
        guessed = self._stamp(entry, at, inferred=True)
        events: list[Event] = [
            GrantRequested(
                **guessed,
                number=number,
                case=site.namer.id(at, "case", key_of(entry, plan)),
                grantee=f"customer:{party.id}",
                terms=terms,
                policy=plan.policy,
                channel="register",
            ),
            GrantVerified(**guessed),
            GrantApproved(**guessed, terms=terms),
        ]
        takes_effect = GrantActivated if wanted.starts_at <= plan.now else GrantScheduled
        events.append(
            takes_effect(
                **self._stamp(entry, at),
                starts_at=wanted.starts_at,
                ends_at=wanted.ends_at,
            )
        )
        contact = _contact(entry)
        kept = _contact(party.first) if party.ours else None
        if contact is not None and contact != kept:
            text = self._sealed(party.id, contact, grant_id, command_id, "text")
            events.append(GrantNoted(**self._stamp(entry, at), label=CONTACT_LABEL, text=text))
        claim = Claim(GRANT_NUMBER, site.hash(GRANT_NUMBER, number), grant_id)
        return Facts("grant", grant_id, tuple(events), (claim,), free=True)

    def customer(self, party: Party, command_id: str) -> Facts:
        """Return the record of a customer that the ledger does not have."""
        site, first = self._site, party.first
        ident = first.ident or ""
        number = customer_number(site, first.form or "", ident)
        claims = (
            Claim(NUMBER_CLAIM, site.hash(NUMBER_CLAIM, number), party.id),
            Claim(CLAIMS[first.form or ""], site.hash(CLAIMS[first.form or ""], ident), party.id),
        )
        events = tuple(self._registered(party, number, command_id))
        return Facts("customer", party.id, events, claims, if_absent=True)

    def _registered(self, party: Party, number: str, command_id: str) -> Iterator[Event]:
        first, plan = party.first, self._plan
        at = min(instant(party.starts), plan.day)
        contact = _contact(first)
        sealed = None
        if contact is not None:
            sealed = self._sealed(party.id, contact, party.id, command_id, "contact")
        given = self._stamp(first, at)
        name, ident = first.name or "", first.ident or ""
        if first.form == "organization":
            yield CustomerRegistered(
                **given, number=number, form="organization", title=name, uscc=ident, contact=sealed
            )
        else:
            yield CustomerRegistered(
                **given,
                number=number,
                form="person",
                full_name=self._sealed(party.id, name, party.id, command_id, "full_name"),
                identity_number=self._sealed(
                    party.id, ident, party.id, command_id, "identity_number"
                ),
                contact=sealed,
            )
        yield CustomerConfirmed(
            **self._stamp(first, at, inferred=True),
            until=plan.day + timedelta(days=plan.body.identification.days),
            policy=plan.policy.policy,
            policy_version=plan.policy.version,
        )

    def _stamp(self, entry: Entry, at: Instant, *, inferred: bool = False) -> dict[str, Any]:
        row = entry.row - self._plan.heading_row
        return {"at": at, "by": IMPORTER, "imported": Imported(SOURCE, row, inferred=inferred)}

    def _sealed(
        self, person: str, text: str, stream_id: str, command_id: str, field: str
    ) -> Sealed:
        """Return a text sealed; a dry run makes no key for anybody."""
        if self._site.dry_run:
            return Sealed(person, "", b"")
        return self._site.seal(person, text, command_id, field, stream_id)


def _contact(entry: Entry) -> str | None:
    """Return a contact as the JSON text that is sealed, as the doors write it."""
    parts = {"name": entry.contact, "phone": entry.phone}
    given = {name: text for name, text in parts.items() if text}
    return msgspec.json.encode(given).decode() if given else None
