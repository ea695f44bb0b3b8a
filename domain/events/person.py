"""Events of a person: a human being, the accounts they log in with, and whom they turned out to
be."""

from __future__ import annotations

from typing import ClassVar

from domain.events.common import Event
from domain.sealing import Sealed


class PersonRegistered(Event, frozen=True):
    """A human being is known; the name is sealed under their own key."""

    name: ClassVar[str] = "person.registered.1"

    full_name: Sealed | None = None


class AccountLinked(Event, frozen=True):
    """A log-in belongs to this person; `issuer` is the identity provider, `login` what it calls
    them."""

    name: ClassVar[str] = "person.account_linked.1"

    account: str
    issuer: str
    login: Sealed


class AccountUnlinked(Event, frozen=True):
    """A log-in no longer belongs to this person."""

    name: ClassVar[str] = "person.account_unlinked.1"

    account: str


class PersonMerged(Event, frozen=True):
    """This person and `into` are one human being; duties count them as `into`."""

    name: ClassVar[str] = "person.merged.1"

    into: str
