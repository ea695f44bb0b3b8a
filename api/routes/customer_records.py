"""Commands on a customer's record: profile, corrections, grade, links, members, merges."""

from __future__ import annotations

from typing import Annotated, Any, Final, Literal

import msgspec
from msgspec.structs import replace

from api.edge import Edge
from api.identifiers import IdentityDocument
from api.routes.commands import CommandOperation, Made
from api.routes.customers import ContactGiven, contact_text, identified
from api.routes.operations import Call
from api.routes.persons import MergedInto
from api.routes.staff import EXAMPLE_ID
from api.shapes import Code, Deed, Id, Line, Text, When
from domain.commands import customer_records as commands
from domain.commands.customers import IDENTITY_CLAIM, USCC_CLAIM
from domain.events.customer import CustomerCorrectionProposed
from domain.sealing import Unopenable
from domain.values import Instant

Acts = Annotated[
    tuple[Literal["request", "provide", "sign", "revoke", "report_use"], ...],
    msgspec.Meta(min_length=1, max_length=5),
]


class ProfileGiven(Deed, frozen=True, kw_only=True):
    """Fields that identify nobody by themselves; what is left out stays."""

    contact: ContactGiven | None = None
    address: Text | None = None


class CorrectionGiven(Deed, frozen=True, kw_only=True):
    """Other key fields; a second person decides."""

    title: Line | None = None
    uscc: Line | None = None
    full_name: Line | None = None
    identity_number: Line | None = None
    document: IdentityDocument = "resident_identity_card"


class GradeGiven(Deed, frozen=True, kw_only=True):
    """A grade of the tenant's own."""

    grade: Code


class LinkGiven(Deed, frozen=True, kw_only=True):
    """What another system calls this customer."""

    system: Code
    external_id: Line


class MemberGiven(Deed, frozen=True, kw_only=True):
    """A person who may act for the customer during `[from, until)`, in these acts."""

    person: Id
    acts: Acts
    from_: When | None = None
    until: When | None = None


def _profile(edge: Edge, call: Call, body: ProfileGiven, _at: Instant | None) -> Made:
    customer = edge.subject("customer", call.id("id", "customer"))
    command = commands.ChangeCustomerProfile(
        customer=customer,
        contact=edge.seal(contact_text(body.contact), "contact", customer, customer),
        address=edge.seal(body.address, "address", customer, customer),
    )
    return Made(command, customer)


def _correct(edge: Edge, call: Call, body: CorrectionGiven, _at: Instant | None) -> Made:
    customer = edge.subject("customer", call.id("id", "customer"))
    known = identified(
        edge,
        customer,
        uscc=body.uscc,
        full_name=body.full_name,
        identity_number=body.identity_number,
        document=body.document,
    )
    command = commands.ProposeCorrection(
        customer=customer,
        correction=edge.new_id(),
        title=body.title,
        uscc=known.uscc,
        uscc_claim=known.uscc_claim,
        full_name=known.full_name,
        identity_number=known.identity_number,
        identity_claim=known.identity_claim,
    )
    return Made(command, customer)


def _accept(edge: Edge, call: Call, _body: Any, _at: Instant | None) -> Made:
    customer, correction = call.id("id", "customer"), call.id("correction", "correction")
    command = commands.DecideCorrection(customer=customer, correction=correction, accept=True)
    for command_id, event in edge.recorded(customer):
        if isinstance(event, CustomerCorrectionProposed) and event.correction == correction:
            command = _with_claims(edge, command, event, command_id)
    return Made(command)


def _with_claims(
    edge: Edge,
    command: commands.DecideCorrection,
    proposed: CustomerCorrectionProposed,
    command_id: str,
) -> commands.DecideCorrection:
    """Return the acceptance with the keyed hashes of what was proposed, which never changes. A
    number that does not open is told by the rules, after key, role and duties."""
    code, number = proposed.uscc, proposed.identity_number
    if code is not None:
        command = replace(command, uscc_claim=edge.hash(USCC_CLAIM, code))
    if number is None:
        return command
    try:
        opened = edge.opened(number, "identity_number", command.customer, command_id)
    except Unopenable as fault:
        return replace(command, unopened=fault.code)
    return replace(command, identity_claim=edge.hash(IDENTITY_CLAIM, opened))


def _reject(_edge: Edge, call: Call, _body: Any, _at: Instant | None) -> Made:
    customer, correction = call.id("id", "customer"), call.id("correction", "correction")
    return Made(commands.DecideCorrection(customer=customer, correction=correction, accept=False))


def _grade(_edge: Edge, call: Call, body: GradeGiven, _at: Instant | None) -> Made:
    return Made(commands.GradeCustomer(customer=call.id("id", "customer"), grade=body.grade))


def _link(_edge: Edge, call: Call, body: LinkGiven, _at: Instant | None) -> Made:
    customer = call.id("id", "customer")
    return Made(
        commands.LinkCustomer(customer=customer, system=body.system, external_id=body.external_id)
    )


def _member(edge: Edge, call: Call, body: MemberGiven, _at: Instant | None) -> Made:
    command = commands.AddMember(
        customer=call.id("id", "customer"),
        member=edge.new_id(),
        person=body.person,
        acts=body.acts,
        from_=body.from_,
        until=body.until,
    )
    return Made(command)


def _end_member(_edge: Edge, call: Call, _body: Any, _at: Instant | None) -> Made:
    customer = call.id("id", "customer")
    return Made(commands.EndMember(customer=customer, member=call.id("member", "member")))


def _merge(_edge: Edge, call: Call, body: MergedInto, _at: Instant | None) -> Made:
    customer = call.id("id", "customer")
    return Made(commands.ProposeCustomerMerge(customer=customer, into=body.into))


def _merge_decided(accept: bool) -> Any:
    def make(_edge: Edge, call: Call, _body: Any, _at: Instant | None) -> Made:
        customer = call.id("id", "customer")
        return Made(commands.DecideCustomerMerge(customer=customer, accept=accept))

    return make


def _row(name: str, path: str, summary: str, summary_zh: str, make: Any, **more: Any) -> Any:
    return CommandOperation(
        name=f"customer.{name}",
        path=f"/v1/customers/{{id}}/{path}",
        scope="customers",
        summary=summary,
        summary_zh=summary_zh,
        kind="customer",
        make=make,
        **more,
    )


OPERATIONS: Final[tuple[CommandOperation, ...]] = (
    _row(
        "change_profile",
        "profile",
        "Change contact or address",
        "变更联系方式或地址",
        _profile,
        body=ProfileGiven,
        example={"contact": {"phone": "021-5555 0100"}},
    ),
    _row(
        "propose_correction",
        "corrections",
        "Propose other key fields; a second person decides",
        "提出关键信息更正；由另一人决定",
        _correct,
        body=CorrectionGiven,
        example={"title": "示例茶业有限公司"},
    ),
    _row(
        "accept_correction",
        "corrections/{correction}/acceptance",
        "Accept a correction that another person proposed",
        "接受他人提出的更正",
        _accept,
        example={},
    ),
    _row(
        "reject_correction",
        "corrections/{correction}/rejection",
        "Reject a proposed correction",
        "拒绝更正",
        _reject,
        example={"reason": {"code": "not_proved"}},
    ),
    _row(
        "grade",
        "grade",
        "Say how good a customer it is",
        "评定客户等级",
        _grade,
        body=GradeGiven,
        example={"grade": "A"},
    ),
    _row(
        "link",
        "links",
        "Say what another system calls this customer",
        "记录其他系统中的客户编号",
        _link,
        body=LinkGiven,
        example={"system": "crm", "external_id": "4711"},
    ),
    _row(
        "add_member",
        "members",
        "Let a person act for the customer",
        "增加客户的经办人",
        _member,
        body=MemberGiven,
        example={"person": EXAMPLE_ID, "acts": ["request", "sign"]},
    ),
    _row(
        "end_member",
        "members/{member}/end",
        "Let a person act for the customer no longer",
        "终止经办人",
        _end_member,
        example={},
    ),
    _row(
        "propose_merge",
        "merge",
        "Propose that two records are one customer; a second person decides",
        "提出两条客户记录合并；由另一人决定",
        _merge,
        body=MergedInto,
        example={"into": EXAMPLE_ID},
    ),
    _row(
        "accept_merge",
        "merge/acceptance",
        "Accept a merge that another person proposed",
        "接受他人提出的合并",
        _merge_decided(True),
        example={},
    ),
    _row(
        "reject_merge",
        "merge/rejection",
        "Reject a proposed merge",
        "拒绝合并",
        _merge_decided(False),
        example={},
    ),
)
