"""Commands on persons: who they are, which accounts are theirs, whom they turned out to be."""

from __future__ import annotations

from typing import Any, Final

from api.edge import Edge
from api.routes.commands import CommandOperation, Made
from api.routes.operations import Call
from api.shapes import Deed, Id, Line
from domain.commands import persons as commands
from domain.values import Instant


class PersonGiven(Deed, frozen=True, kw_only=True):
    """A human being. The name is sealed under their own key."""

    full_name: Line | None = None


class AccountGiven(Deed, frozen=True, kw_only=True):
    """A log-in: the identity provider and what it calls this person."""

    issuer: Line
    login: Line


class MergedInto(Deed, frozen=True, kw_only=True):
    """Which other record this one turned out to be."""

    into: Id


def account_value(issuer: str, login: str) -> str:
    """Return what is hashed for the claim of an account: issuer and log-in as one."""
    return f"{issuer}\n{login}"


def _register(edge: Edge, _call: Call, body: PersonGiven, _at: Instant | None) -> Made:
    person = edge.new_id()
    full_name = edge.seal(body.full_name, "full_name", person, person)
    return Made(commands.RegisterPerson(person=person, full_name=full_name), person)


def _link(edge: Edge, call: Call, body: AccountGiven, _at: Instant | None) -> Made:
    person = edge.subject("person", call.id("id", "person"))
    login = edge.sealed(body.login, "login", person, person)
    claim = edge.hash(commands.ACCOUNT_CLAIM, account_value(body.issuer, body.login))
    command = commands.LinkAccount(
        person=person, account=edge.new_id(), issuer=body.issuer, login=login, claim=claim
    )
    return Made(command, person)


def _unlink(_edge: Edge, call: Call, _body: Any, _at: Instant | None) -> Made:
    person = call.id("id", "person")
    return Made(commands.UnlinkAccount(person=person, account=call.id("account", "account")))


def _merge(_edge: Edge, call: Call, body: MergedInto, _at: Instant | None) -> Made:
    return Made(commands.MergePerson(person=call.id("id", "person"), into=body.into))


OPERATIONS: Final = (
    CommandOperation(
        name="person.register",
        path="/v1/persons",
        scope="staff",
        summary="Register a person",
        summary_zh="登记一个自然人",
        kind="person",
        body=PersonGiven,
        created=True,
        location="/v1/persons/{id}",
        make=_register,
        example={"full_name": "Example Person"},
    ),
    CommandOperation(
        name="person.link_account",
        path="/v1/persons/{id}/accounts",
        scope="staff",
        summary="Link an account to a person; one account, one person",
        summary_zh="将一个账号关联到自然人；一个账号只属于一个人",
        kind="person",
        body=AccountGiven,
        make=_link,
        example={"issuer": "https://login.example.com", "login": "a.person"},
    ),
    CommandOperation(
        name="person.unlink_account",
        path="/v1/persons/{id}/accounts/{account}/unlinking",
        scope="staff",
        summary="Unlink an account",
        summary_zh="解除账号关联",
        kind="person",
        make=_unlink,
        example={},
    ),
    CommandOperation(
        name="person.merge",
        path="/v1/persons/{id}/merge",
        scope="staff",
        summary="Say that two records are one human being; duties count them as one",
        summary_zh="说明两条记录是同一个人；职责按一人计算",
        kind="person",
        body=MergedInto,
        make=_merge,
        example={"into": "01900000-0000-7000-8000-000000000000"},
    ),
)
