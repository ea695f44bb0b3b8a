"""Two tiny commands for tests of the ledger itself, which need no rules."""

from __future__ import annotations

from domain.events.person import AccountLinked, PersonRegistered
from domain.sealing import Sealed
from domain.values import stamp
from domain.view import Command, How, View


class Register(Command, frozen=True, kw_only=True):
    """Registers a person; once it is there, no news."""

    person: str
    looks_at: tuple[str, ...] = ()
    claims: tuple[tuple[str, bytes], ...] = ()

    @property
    def kind(self) -> str:
        return "person"

    @property
    def stream_id(self) -> str:
        return self.person

    def decide(self, view: View) -> None:
        for other in self.looks_at:
            view.person(other)
        for kind, keyed_hash in self.claims:
            view.claim(kind, keyed_hash, self.person)
        if view.person(self.person) is None:
            view.record("person", self.person, [PersonRegistered(**stamp(view.act))])


class Link(Command, frozen=True, kw_only=True):
    """Links one more account, or registers the person first: an event each time."""

    person: str
    account: str
    claims: tuple[tuple[str, bytes, How], ...] = ()

    @property
    def kind(self) -> str:
        return "person"

    @property
    def stream_id(self) -> str:
        return self.person

    def decide(self, view: View) -> None:
        for kind, keyed_hash, how in self.claims:
            view.claim(kind, keyed_hash, self.person, how)
        if view.person(self.person) is None:
            view.record("person", self.person, [PersonRegistered(**stamp(view.act))])
            return
        login = Sealed(self.person, "k", b"box")
        event = AccountLinked(**stamp(view.act), account=self.account, issuer="test", login=login)
        view.record("person", self.person, [event])
