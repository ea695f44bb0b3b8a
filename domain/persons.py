"""A person: a human being, the accounts they log in with, and whom they turned out to be.

Duties are counted by person; two accounts of one human being are one pair of hands.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, Literal

import msgspec
from msgspec.structs import replace

from domain.errors import Impossible, Refused
from domain.events.person import AccountLinked, AccountUnlinked, PersonMerged, PersonRegistered
from domain.folding import disorder
from domain.sealing import Sealed
from domain.values import Act, Instant, stamp

PersonEvent = PersonRegistered | AccountLinked | AccountUnlinked | PersonMerged
Status = Literal["registered", "merged"]


MAX_ACCOUNTS: Final = 20
"""Most log-ins one person has at a time."""


class Account(msgspec.Struct, frozen=True, gc=False):
    """A log-in: what the identity provider `issuer` calls this person."""

    issuer: str
    login: Sealed


class Person(msgspec.Struct, frozen=True, gc=False):
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


def require_known(person: Person | None, person_id: str) -> Person:
    """Refuse with `person.unknown` who was never registered."""
    if person is None:
        raise Refused("person.unknown", person=person_id)
    return person


def require_not_merged(person: Person, person_id: str) -> None:
    """Refuse with `person.state` who turned out to be someone else; `into` says who."""
    if person.status == "merged":
        raise Refused("person.state", person=person_id, state="merged", into=person.merged_into)


def register(person: Person | None, *, full_name: Sealed | None, act: Act) -> list[PersonEvent]:
    """Register a human being. Raises `Refused`: `person.state` where this stream has one."""
    if person is not None:
        raise Refused("person.state", state=person.status)
    return [PersonRegistered(**stamp(act), full_name=full_name)]


def link_account(
    person: Person | None, person_id: str, *, account: str, issuer: str, login: Sealed, act: Act
) -> list[PersonEvent]:
    """Say that a log-in belongs to this person. That it is nobody else's is a claim of the command.

    Raises `Refused`: `person.unknown`, `person.state`, `person.account_taken`,
    `person.too_many_accounts`.
    """
    known = require_known(person, person_id)
    require_not_merged(known, person_id)
    present = known.accounts.get(account)
    if present is not None and present.issuer == issuer:
        return []
    if present is not None:
        raise Refused("person.account_taken", account=account)
    if len(known.accounts) >= MAX_ACCOUNTS:
        raise Refused("person.too_many_accounts", limit=MAX_ACCOUNTS)
    return [AccountLinked(**stamp(act), account=account, issuer=issuer, login=login)]


def unlink_account(
    person: Person | None, person_id: str, *, account: str, act: Act
) -> list[PersonEvent]:
    """Say that a log-in is this person's no longer; it never becomes anyone else's.

    Raises `Refused`: `person.unknown`, `person.state`.
    """
    known = require_known(person, person_id)
    require_not_merged(known, person_id)
    if account not in known.accounts:
        return []
    return [AccountUnlinked(**stamp(act), account=account)]


def merge(
    person: Person | None, person_id: str, *, into_id: str, into: Person | None, act: Act
) -> list[PersonEvent]:
    """Say that this person and `into` are one human being; duties count both as `into` from now on.

    Raises `Refused`: `person.unknown`, `person.state`, `person.merge_self`, `person.merge_target`
    (it was merged away itself; the person to name is in `into`).
    """
    known = require_known(person, person_id)
    if known.merged_into == into_id:
        return []
    require_not_merged(known, person_id)
    if into_id == person_id:
        raise Refused("person.merge_self", person=person_id)
    target = require_known(into, into_id)
    if target.status == "merged":
        raise Refused("person.merge_target", person=into_id, into=target.merged_into)
    return [PersonMerged(**stamp(act), into=into_id)]
