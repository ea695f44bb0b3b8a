"""Reading and changing a customer through a share: what its template shows, and nothing else."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, NamedTuple

import msgspec

from api import rendering
from api.bodies import Malformed
from api.edge import Edge
from api.problems import Answered
from api.routes.commands import CommandOperation, Made, handle
from api.routes.customer_records import ContactGiven
from api.routes.customers import contact_text
from api.routes.operations import Call, Operation, answered, log_refusal
from api.routes.questions import Question
from api.routes.reading import PURPOSE, PURPOSE_FORM, opener_for_state, told
from api.routes.staff import EXAMPLE_ID
from api.shapes import Deed, Text
from domain import customers, grants, kinds, masks, sharing
from domain.commands import customer_records as commands
from domain.customers import Customer
from domain.errors import Refused
from domain.grants import Grant
from domain.policies import Policy
from domain.sealing import Sealed
from domain.sharing import Share
from domain.values import Instant
from projections.checks import Decision, decide
from projections.checks import Question as Asked
from projections.unseen import Show


class Looked(NamedTuple):
    """The streams that a read through a share rests on, as committed; None what is not there."""

    grant: Grant | None
    policy: Policy | None
    version: int
    customer: Customer | None


class Opened(NamedTuple):
    """A share in force for the caller, the customer's stream, and the check that decided it."""

    share: Share
    number: str
    version: int
    customer: Customer
    decision: Decision


async def shared(call: Call) -> Answered:
    """Answer with the fields that the share's template shows."""
    question = call.query(Question)
    question.refuse_past()
    customer, grant = call.id("id", "customer"), call.id("grant", "grant")
    try:
        purpose = _purpose(call)
        opened = await _opened(call, customer, grant, kinds.READ, question.at_least)
        if opened.share.terms.purpose != purpose:
            raise Refused("share.purpose_other", purpose=purpose)
    except Refused as refused:
        await log_refusal(call, refused)
        raise
    levels = opened.share.levels()
    caller = call.caller
    await call.services.access_log.shared_read(
        caller.tenant,
        caller.key_id,
        caller.party,
        call.operation.name,
        customer=customer,
        grant=grant,
        purpose=purpose,
        fields=levels,
    )
    fields = await call.work(_fields, call, customer, opened, levels)
    terms = opened.share.terms
    document = {
        "customer": customer,
        "grant": grant,
        "number": opened.number,
        "template": terms.template,
        "purpose": purpose,
        "at": rendering.instant(opened.decision.at),
        "fields": fields,
    }
    headers = [
        (b"etag", f'"v{opened.version}"'.encode()),
        (b"position", str(opened.decision.position).encode()),
    ]
    return answered(document, 200, headers)


def _purpose(call: Call) -> str:
    """Return what the caller says it is for. Raises `purpose.missing`, `purpose.malformed`."""
    raw = call.header(PURPOSE)
    if raw is None:
        raise Refused("purpose.missing")
    purpose = raw.decode("latin-1").strip()
    if PURPOSE_FORM.fullmatch(purpose) is None:
        raise Malformed("purpose.malformed")
    return purpose


async def _opened(
    call: Call, customer: str, grant: str, action: str, at_least: int | None = None
) -> Opened:
    """Return the share, decided by the access check at this instant.

    Raises `Refused`: `share.not_in_force` of a share of the caller's own, else `share.unknown`,
    the same whether or not there is such a customer or grant.
    """
    party = call.caller.party
    question = Asked(
        tenant=call.tenant,
        subject=party.ref,
        action=action,
        resource_type=kinds.CUSTOMER,
        resource_id=customer,
        at_least=at_least,
    )
    memory = call.services.memory
    decision = by_grant(await memory.check(question), grant)
    if decision.right is None:  # granted a moment ago, memory may not have it yet
        question = msgspec.structs.replace(question, consistency="full")
        decision = by_grant(await memory.check(question), grant)
    looked = await call.work(_look, call, customer, grant)
    state = looked.grant
    if decision.right is not None and state is not None and looked.customer is not None:
        share = sharing.share_of(sharing.effect_of(state, decision.right.terms), looked.policy)
        if share is not None:
            return Opened(share, state.number, looked.version, looked.customer, decision)
    if (
        state is not None
        and _is_grantee(decision, state.grantee)
        and customer in state.terms.scope.get(kinds.CUSTOMER, ())
    ):
        status = grants.status_at(state, decision.at)
        raise Refused("share.not_in_force", grant=grant, state=status)
    raise Refused("share.unknown", customer=customer, grant=grant)


def _look(call: Call, customer: str, grant: str) -> Looked:
    """Load the streams. Blocks."""
    ledgers, tenant = call.services.ledgers, call.tenant
    state: Grant | None = ledgers.load(tenant, "grant", grant).state
    policy = None if state is None else ledgers.load(tenant, "policy", state.policy.policy).state
    record = ledgers.load(tenant, "customer", customer)
    return Looked(state, policy, record.version, record.state)


def _is_grantee(decision: Decision, grantee: str) -> bool:
    """Tell whether the subject is who was given it, or belongs to that team at that instant."""
    if grantee == decision.question.subject:
        return True
    windows = decision.material.subject.member.get(grantee, ())
    return any(begin <= decision.at < until for begin, until in windows)


def by_grant(decision: Decision, grant: str) -> Decision:
    """Return the same question decided on one grant's rights alone."""
    material = decision.material
    usable = {
        action: tuple(right for right in rights if right.grant == grant)
        for action, rights in material.subject.usable.items()
    }
    subject = msgspec.structs.replace(material.subject, usable=usable)
    return decide(material._replace(subject=subject), decision.question, decision.at)


# --- the fields -----------------------------------------------------------------------------------


def _fields(
    call: Call, stream: str, opened: Opened, levels: Mapping[str, str]
) -> dict[str, dict[str, Any]]:
    """Return field -> level and value of what is shown; a field without a value is left out.

    Blocks.
    """
    show = opener_for_state(call, stream, told(call, stream))
    values = values_of(opened.customer, opened.decision.at, show, frozenset(levels))
    found: dict[str, dict[str, Any]] = {}
    for field, level in levels.items():
        value = values.get(field)
        if value is None:
            continue
        if isinstance(value, str):
            value = masks.masked(field, value) if level == "masked" else value
        found[field] = {"level": level, "value": value}
    return found


def values_of(
    customer: Customer, at: Instant, show: Show, wanted: frozenset[str]
) -> dict[str, Any]:
    """Return field -> value of those wanted; a text is opened only where it is.

    One that was erased, or does not open, stands as `show` says it.
    """
    until = customer.confirmed_until
    found: dict[str, Any] = {
        "number": customer.number,
        "form": customer.form,
        "status": customers.status_at(customer, at),
        "title": customer.title,
        "uscc": customer.uscc,
        "grade": customer.grade,
        "confirmed_until": None if until is None else rendering.instant(until),
    }
    for field in ("full_name", "identity_number", "address"):
        sealed: Sealed | None = getattr(customer, field)
        if field in wanted and sealed is not None:
            found[field] = show(sealed, field)
    if customer.contact is not None and any(one.startswith("contact.") for one in wanted):
        contact = show(customer.contact, "contact")
        parts = msgspec.json.decode(contact) if isinstance(contact, str) else contact
        for part in ("name", "phone", "email", "note"):
            found[f"contact.{part}"] = parts.get(part) if isinstance(contact, str) else parts
    return found


# --- changing -------------------------------------------------------------------------------------


class SharedProfileGiven(Deed, frozen=True, kw_only=True):
    """What is other now; what is left out stays."""

    contact: ContactGiven | None = None
    address: Text | None = None


async def changed(call: Call) -> Answered:
    """Answer one change, decided like a read before anything is said of the customer.

    So whoever has no share in force learns neither whether there is such a customer nor its
    version; the command itself asks the same again, of what is committed. A change made while the
    share was in force is answered again when it is sent again.
    """
    customer, grant = call.id("id", "customer"), call.id("grant", "grant")
    try:
        await _opened(call, customer, grant, kinds.EDIT)
    except Refused as refused:
        if refused.code != "share.not_in_force":
            raise
        answer = await handle(call)  # by its key, or refused once more
        if answer.status == 412:  # tells the version
            raise
        return answer
    return await handle(call)


def _change(edge: Edge, call: Call, body: SharedProfileGiven, _at: Instant | None) -> Made:
    customer = edge.subject("customer", call.id("id", "customer"))
    fields = [] if body.address is None else ["address"]
    contact: dict[str, str] | None = None
    if body.contact is not None:
        given = msgspec.json.decode(contact_text(body.contact) or "{}", type=dict[str, str])
        fields += [f"contact.{part}" for part in given]
        if given:  # what names no field has no right to change any
            edge.wait()
            contact = _contact(call, customer) | given
    command = commands.ChangeSharedProfile(
        customer=customer,
        grant=call.id("grant", "grant"),
        fields=tuple(sorted(fields)),
        contact=edge.seal(
            None if contact is None else msgspec.json.encode(contact).decode(),
            "contact",
            customer,
            customer,
        ),
        address=edge.seal(body.address, "address", customer, customer),
    )
    return Made(command, customer)


def _contact(call: Call, stream: str) -> dict[str, str]:
    """Return the contact as it is, of which a part is to be other; If-Match holds the version.

    Blocks. Raises `Refused`: `sealed.key_gone`, `sealed.forged`.
    """
    customer: Customer = call.services.ledgers.load(call.tenant, "customer", stream).state
    if customer.contact is None:
        return {}
    show = opener_for_state(call, stream, told(call, stream))
    text = show(customer.contact, "contact")
    if not isinstance(text, str):  # what cannot be read is not to be overwritten in part
        raise Refused("sealed.forged" if text.get("forged") else "sealed.key_gone")
    return msgspec.json.decode(text, type=dict[str, str])


OPERATIONS: Final = (
    Operation(
        name="customer.shared",
        method="GET",
        path="/v1/customers/{id}/shared/{grant}",
        scope="shares",
        summary="Read a customer through a share: exactly the fields of its template",
        summary_zh="通过客户分享读取客户：仅显示模板所列字段",
        description=(
            "Needs the header `Counterseal-Purpose` with the purpose of the share. Every read is"
            " written to the access log before it is answered."
        ),
        query=Question,
        answer="The fields with their levels; what the template does not show is not there.",
        shows={
            "customer": EXAMPLE_ID,
            "grant": EXAMPLE_ID,
            "number": "CS-20261122-7F3K9Q-N",
            "template": "after-sales",
            "purpose": "repair",
            "at": "2026-11-22T08:30:00Z",
            "fields": {
                "title": {"level": "read", "value": "示例茶行（上海）有限公司"},
                "contact.phone": {"level": "masked", "value": "138****1234"},
            },
        },
        handle=shared,
    ),
)

COMMANDS: Final = (
    CommandOperation(
        name="customer.change_shared_profile",
        path="/v1/customers/{id}/shared/{grant}/profile",
        scope="shares",
        summary="Change contact or address by the right of a share",
        summary_zh="凭客户分享变更联系方式或地址",
        kind="customer",
        body=SharedProfileGiven,
        if_match=True,
        states=False,
        make=_change,
        handle=changed,
        example={"contact": {"phone": "021-5555 0100"}},
    ),
)
