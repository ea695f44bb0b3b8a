"""A person: a human being, the accounts they log in with, and whom they turned out to be.

Duties are counted by person; two accounts of one human being are one pair of hands.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

import msgspec
from msgspec.structs import replace

from domain.errors import Impossible
from domain.events.person import AccountLinked, AccountUnlinked, PersonMerged, PersonRegistered
from domain.folding import disorder
from domain.sealing import Sealed
from domain.values import Instant

PersonEvent = PersonRegistered | AccountLinked | AccountUnlinked | PersonMerged
Status = Literal["registered", "merged"]


class Account(msgspec.Struct, frozen=True):
    """A log-in: what the identity provider `issuer` calls this person."""

    issuer: str
    login: Sealed


class Person(msgspec.Struct, frozen=True):
    """State folded from one stream; `accounts` by account id, those linked now."""

    status: Status = "registered"
    full_name: Sealed | None = None
    accounts: Mapping[str, Account] = {}
    merged_into: str | None = None
    irregular: bool = False


def status_at(person: Person, _at: Instant) -> Status:
    """Return the status; no clock moves a person."""
    return person.status


def evolve(person: Person | None, event: PersonEvent) -> Person:
    """Return the state after `event`. Raises `Impossible` on an order no verb emits."""
    known = person or Person()
    stands = person is not None and person.status == "registered"
    match event:
        case PersonRegistered():
            odd = disorder(person is None, event, person)
            after = replace(known, status="registered", full_name=event.full_name)
        case AccountLinked():
            odd = disorder(stands and event.account not in known.accounts, event, person)
            account = Account(event.issuer, event.login)
            after = replace(known, accounts={**known.accounts, event.account: account})
        case AccountUnlinked():
            odd = disorder(stands and event.account in known.accounts, event, person)
            rest = {name: one for name, one in known.accounts.items() if name != event.account}
            after = replace(known, accounts=rest)
        case PersonMerged():
            odd = disorder(stands, event, person)
            after = replace(known, status="merged", merged_into=event.into)
        case _:  # pyright: ignore[reportUnnecessaryComparison]
            raise Impossible(event, person)
    return replace(after, irregular=True) if odd else after
