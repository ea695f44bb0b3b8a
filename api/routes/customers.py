"""Commands on customers: registered, identified, confirmed, blocked."""

from __future__ import annotations

from typing import Any, Final, Literal

import msgspec

from api import identifiers
from api.edge import Edge
from api.identifiers import IdentityDocument
from api.routes.commands import CommandOperation, Made
from api.routes.operations import Call
from api.shapes import Code, Deed, Line, Shape, Text, When
from domain.commands import customers as commands
from domain.commands.policies import KIND_CLAIM
from domain.errors import Refused
from domain.sealing import Sealed
from domain.values import Instant

Channel = Literal[
    "phone",
    "interview",
    "video",
    "online",
    "post",
    "email",
    "site_visit",
    "third_party",
    "register",
]


class ContactGiven(Shape, frozen=True, kw_only=True):
    """How to reach the customer; sealed as a whole."""

    name: Line | None = None
    phone: Line | None = None
    email: Line | None = None
    note: Text | None = None


class CustomerGiven(Deed, frozen=True, kw_only=True):
    """A customer: an organization with title and USCC, or a person with name and identity number.

    Of a person everything is sealed. `document` says of which identity document the number is.
    """

    number: Code
    form: Literal["organization", "person"]
    title: Line | None = None
    uscc: Line | None = None
    full_name: Line | None = None
    identity_number: Line | None = None
    document: IdentityDocument = "resident_identity_card"
    contact: ContactGiven | None = None


class IdentityCheckGiven(Deed, frozen=True, kw_only=True):
    """One act of identification. `document` is a code of its kind, never its number."""

    kind: Code
    channel: Channel
    passed: bool
    document: Code | None = None
    document_ends_at: When | None = None
    note: Text | None = None


class ConfirmationGiven(Deed, frozen=True, kw_only=True):
    """By which kind's policy the customer is confirmed."""

    policy_kind: Code


def contact_text(given: ContactGiven | None) -> str | None:
    """Return a contact as the JSON text that is sealed, its number in E.164."""
    if given is None:
        return None
    if given.phone is not None:
        given = msgspec.structs.replace(given, phone=identifiers.telephone(given.phone))
    return msgspec.json.encode(given).decode()


class Identified(Shape, frozen=True, kw_only=True):
    """Identifying fields, sealed, with the keyed hashes by which they are claimed."""

    uscc: str | None = None
    uscc_claim: bytes | None = None
    full_name: Sealed | None = None
    identity_number: Sealed | None = None
    identity_claim: bytes | None = None


def identified(
    edge: Edge,
    customer: str,
    *,
    uscc: str | None,
    full_name: str | None,
    identity_number: str | None,
    document: IdentityDocument,
) -> Identified:
    """Return what a body says of who it is, checked and sealed.

    Raises `Refused`: `uscc.malformed`, `identity_number.malformed`.
    """
    code = None if uscc is None else identifiers.credit_code(uscc)
    number = (
        None if identity_number is None else identifiers.identity_number(identity_number, document)
    )
    return Identified(
        uscc=code,
        uscc_claim=None if code is None else edge.hash(commands.USCC_CLAIM, code),
        full_name=edge.seal(full_name, "full_name", customer, customer),
        identity_number=edge.seal(number, "identity_number", customer, customer),
        identity_claim=None if number is None else edge.hash(commands.IDENTITY_CLAIM, number),
    )


def policy_of(edge: Edge, kind: str) -> str:
    """Return the policy stream of a kind. Raises `Refused` `policy.unknown`."""
    policy = edge.claimed(KIND_CLAIM, kind)
    if policy is None:
        raise Refused("policy.unknown", kind=kind)
    return policy


def _register(edge: Edge, _call: Call, body: CustomerGiven, _at: Instant | None) -> Made:
    customer = edge.new_id()
    known = identified(
        edge,
        customer,
        uscc=body.uscc,
        full_name=body.full_name,
        identity_number=body.identity_number,
        document=body.document,
    )
    command = commands.RegisterCustomer(
        customer=customer,
        number=body.number,
        number_claim=edge.hash(commands.NUMBER_CLAIM, body.number),
        form=body.form,
        title=body.title,
        uscc=known.uscc,
        uscc_claim=known.uscc_claim,
        full_name=known.full_name,
        identity_number=known.identity_number,
        identity_claim=known.identity_claim,
        contact=edge.seal(contact_text(body.contact), "contact", customer, customer),
    )
    return Made(command, customer)


def _check(edge: Edge, call: Call, body: IdentityCheckGiven, _at: Instant | None) -> Made:
    customer = edge.subject("customer", call.id("id", "customer"))
    command = commands.RecordIdentityCheck(
        customer=customer,
        check_kind=body.kind,
        channel=body.channel,
        passed=body.passed,
        document=body.document,
        document_ends_at=body.document_ends_at,
        note=edge.seal(body.note, "note", customer, customer),
    )
    return Made(command, customer)


def _confirm(edge: Edge, call: Call, body: ConfirmationGiven, _at: Instant | None) -> Made:
    customer = call.id("id", "customer")
    return Made(
        commands.ConfirmCustomer(customer=customer, policy=policy_of(edge, body.policy_kind))
    )


def _block(_edge: Edge, call: Call, _body: Any, _at: Instant | None) -> Made:
    return Made(commands.BlockCustomer(customer=call.id("id", "customer")))


def _unblock(_edge: Edge, call: Call, _body: Any, _at: Instant | None) -> Made:
    return Made(commands.UnblockCustomer(customer=call.id("id", "customer")))


OPERATIONS: Final = (
    CommandOperation(
        name="customer.register",
        path="/v1/customers",
        scope="customers",
        summary="Register a customer",
        summary_zh="登记客户",
        kind="customer",
        body=CustomerGiven,
        created=True,
        location="/v1/customers/{id}",
        make=_register,
        example={
            "number": "D-0001",
            "form": "organization",
            "title": "示例茶叶有限公司",
            "uscc": "91110000600037341L",
        },
    ),
    CommandOperation(
        name="customer.record_identity_check",
        path="/v1/customers/{id}/identity-checks",
        scope="customers",
        summary="Record one act of identification",
        summary_zh="记录一次身份核验",
        kind="customer",
        body=IdentityCheckGiven,
        make=_check,
        example={
            "kind": "register_extract",
            "channel": "register",
            "passed": True,
            "document": "business_licence",
            "evidence": [{"kind": "business_licence", "place": "archive 3, folder 12"}],
        },
    ),
    CommandOperation(
        name="customer.confirm",
        path="/v1/customers/{id}/confirmation",
        scope="customers",
        summary="Confirm a customer as a policy asks; another person than who registered",
        summary_zh="按政策确认客户身份；须由登记人以外的人进行",
        kind="customer",
        body=ConfirmationGiven,
        make=_confirm,
        example={"policy_kind": "dealership"},
    ),
    CommandOperation(
        name="customer.block",
        path="/v1/customers/{id}/block",
        scope="customers",
        summary="Block a customer: everything granted to it is denied",
        summary_zh="冻结客户：其全部授权一律拒绝",
        kind="customer",
        make=_block,
        example={"reason": {"code": "fraud_suspected"}},
    ),
    CommandOperation(
        name="customer.unblock",
        path="/v1/customers/{id}/unblock",
        scope="customers",
        summary="Unblock a customer: it stands as before",
        summary_zh="解除冻结：恢复原状",
        kind="customer",
        make=_unblock,
        example={"reason": {"code": "cleared"}},
    ),
)
