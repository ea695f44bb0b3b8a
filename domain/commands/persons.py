"""What may be asked of a person; by an administrator, the first ones by the operator."""

from __future__ import annotations

from typing import final

from domain import persons
from domain.duties import actor, require_administrator, require_administrator_or_operator
from domain.sealing import Sealed
from domain.view import Command, View

ACCOUNT_CLAIM = "account"
"""One account, one person: the claim stays with the person also when the account is unlinked."""


class PersonCommand(Command, frozen=True, kw_only=True):
    """A command on one person."""

    person: str

    @property
    def kind(self) -> str:
        return "person"

    @property
    def stream_id(self) -> str:
        return self.person


@final
class RegisterPerson(PersonCommand, frozen=True, kw_only=True):
    """Register a human being; the id is new, from the edge."""

    full_name: Sealed | None = None

    def decide(self, view: View) -> None:
        require_administrator_or_operator(actor(view), view.at)
        events = persons.register(view.person(self.person), full_name=self.full_name, act=view.act)
        view.record("person", self.person, events)


@final
class LinkAccount(PersonCommand, frozen=True, kw_only=True):
    """Say that a log-in is this person's; `claim` is the keyed hash of issuer and log-in."""

    account: str
    issuer: str
    login: Sealed
    claim: bytes

    def decide(self, view: View) -> None:
        require_administrator_or_operator(actor(view), view.at)
        events = persons.link_account(
            view.person(self.person),
            self.person,
            account=self.account,
            issuer=self.issuer,
            login=self.login,
            act=view.act,
        )
        view.record("person", self.person, events)
        if events:
            view.claim(ACCOUNT_CLAIM, self.claim, self.person)


@final
class UnlinkAccount(PersonCommand, frozen=True, kw_only=True):
    """Say that a log-in is this person's no longer."""

    account: str

    def decide(self, view: View) -> None:
        require_administrator(actor(view), view.at)
        events = persons.unlink_account(
            view.person(self.person), self.person, account=self.account, act=view.act
        )
        view.record("person", self.person, events)


@final
class MergePerson(PersonCommand, frozen=True, kw_only=True):
    """Say that this person and `into` are one human being."""

    into: str

    def hints(self) -> tuple[tuple[str, str], ...]:
        return (("person", self.person), ("person", self.into))

    def decide(self, view: View) -> None:
        require_administrator(actor(view), view.at)
        events = persons.merge(
            view.person(self.person),
            self.person,
            into_id=self.into,
            into=view.person(self.into),
            act=view.act,
        )
        view.record("person", self.person, events)
