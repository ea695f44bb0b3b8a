"""The kinds that speak of customers: what a policy of `share` or `staff` must hold, and what may be
asked for under it.

The catalogue declares dimensions of goods and places. Three more need no declaration, because what
lies on them are streams: `customer` (a customer's id), `manager` (who looks after it: a staff
member's id, or a team of the catalogue), `grade` (the customer's).
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator
from datetime import timedelta
from typing import Final, Protocol

from domain.catalogue import RESERVED, Catalogue, point_status_at
from domain.codes import code_fault
from domain.customers import Customer
from domain.duties import Actor, has_role
from domain.errors import Refused
from domain.events.policy import PolicyBody, ShareTemplate
from domain.scopes import ANY
from domain.staff import Staff
from domain.teams import point_of
from domain.values import Instant, Scope, Terms

SHARE: Final = "share"
STAFF: Final = "staff"

CUSTOMER: Final = "customer"
MANAGER: Final = "manager"
GRADE: Final = "grade"
BUILT_IN: Final = RESERVED
"""Dimensions that no catalogue declares."""

READ: Final = "read"
EDIT: Final = "edit"

FIELDS: Final = (
    "number",
    "form",
    "status",
    "title",
    "uscc",
    "full_name",
    "identity_number",
    "contact.name",
    "contact.phone",
    "contact.email",
    "contact.note",
    "address",
    "grade",
    "confirmed_until",
)
"""What a template can show of a customer."""

EDITABLE: Final = frozenset(
    {"contact.name", "contact.phone", "contact.email", "contact.note", "address"}
)
"""What identifies nobody, and so may be changed without a second person."""

MAX_TEMPLATES: Final = 50
MAX_PURPOSES: Final = 20
MAX_DAYS: Final = 36_600
MAX_NAMED: Final = 100
"""Most customers or staff members one scope names: each one is looked at."""

_PURPOSE: Final = re.compile(r"[a-z0-9][a-z0-9_.-]{0,63}")
"""A purpose is sent in a header and stands in the access log."""

_ID: Final = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")

Fault = tuple[str, str]
"""A JSON pointer into a policy's body, and what is wrong there."""


# --- what a policy must hold ----------------------------------------------------------------------


def kind_faults(body: PolicyBody) -> Iterator[Fault]:
    """Yield what keeps a body from being one of its kind; a kind without rules here has none."""
    if body.kind == SHARE:
        yield from _share(body)
    elif body.templates:
        yield "/templates", "not_a_share"
    if body.kind == STAFF and not {CUSTOMER, MANAGER}.issubset(body.dimensions):
        yield "/dimensions", "customer_and_manager_missing"


def _share(body: PolicyBody) -> Iterator[Fault]:
    if tuple(body.dimensions) != (CUSTOMER,):
        yield "/dimensions", "customer_alone"
    for number, rule in enumerate(body.actions):
        if rule.action not in (READ, EDIT):
            yield f"/actions/{number}", "read_or_edit"
    if body.depth:
        yield "/depth", "out_of_range"
    if not body.templates:
        yield "/templates", "empty"
    if len(body.templates) > MAX_TEMPLATES:
        yield "/templates", "too_many"
    seen: set[str] = set()
    for number, template in enumerate(body.templates):
        pointer = f"/templates/{number}"
        fault = code_fault(template.id) or ("repeated" if template.id in seen else None)
        if fault is not None:
            yield f"{pointer}/id", fault
        seen.add(template.id)
        yield from _template(pointer, template)


def _template(pointer: str, template: ShareTemplate) -> Iterator[Fault]:
    if not template.names.zh.strip() or not template.names.en.strip():
        yield f"{pointer}/names", "empty"
    for field, level in template.fields.items():
        if field not in FIELDS:
            yield f"{pointer}/fields/{field}", "field_unknown"
        elif level == EDIT and field not in EDITABLE:
            yield f"{pointer}/fields/{field}", "field_not_editable"
    if all(level == "none" for level in template.fields.values()):
        yield f"{pointer}/fields", "empty"
    if not template.purposes:
        yield f"{pointer}/purposes", "empty"
    if len(template.purposes) > MAX_PURPOSES:
        yield f"{pointer}/purposes", "too_many"
    for number, purpose in enumerate(template.purposes):
        if _PURPOSE.fullmatch(purpose) is None:
            yield f"{pointer}/purposes/{number}", "not_a_purpose"
        elif purpose in template.purposes[:number]:
            yield f"{pointer}/purposes/{number}", "repeated"
    if template.longest_days is not None and not 1 <= template.longest_days <= MAX_DAYS:
        yield f"{pointer}/longest_days", "out_of_range"


def for_staff(body: PolicyBody) -> bool:
    """Tell whether only staff and teams can be given grants of this kind."""
    return body.kind in (SHARE, STAFF)


# --- what may be asked for ------------------------------------------------------------------------


def template_of(terms: Terms, body: PolicyBody) -> ShareTemplate | None:
    """Return the template that terms name, None where the policy has no such one."""
    return next((one for one in body.templates if one.id == terms.template), None)


def require_template(terms: Terms, body: PolicyBody) -> None:
    """Refuse a share without a template of its policy, or for what that is not for.

    Codes: `share.template_unknown`, `share.purpose_unknown`; for other kinds the first where a
    template or purpose is named.
    """
    if body.kind != SHARE:
        if terms.template is not None or terms.purpose is not None:
            raise Refused("share.template_unknown", template=terms.template, kind=body.kind)
        return
    template = template_of(terms, body)
    if template is None:
        raise Refused("share.template_unknown", template=terms.template, kind=body.kind)
    if terms.purpose not in template.purposes:
        raise Refused("share.purpose_unknown", purpose=terms.purpose, purposes=template.purposes)


def require_template_term(terms: Terms, body: PolicyBody, begin: Instant | None = None) -> None:
    """Refuse with `term.too_long` what ends later than the template lets it.

    The term counts from `begin`, where that is not its own start: of an amendment, from when the
    terms that it prolongs took effect.
    """
    template = template_of(terms, body)
    longest = None if template is None else template.longest_days
    if longest is None:
        return
    term = terms.term
    asked, since = timedelta(days=term.days or 0), begin or term.starts_at
    if since is not None and term.ends_at is not None:
        asked = term.ends_at - since
    if asked > timedelta(days=longest):
        raise Refused("term.too_long", longest_days=longest)


def require_named(scope: Scope) -> None:
    """Refuse a share of every customer with `share.customers_named`: each must be named."""
    if ANY in scope.get(CUSTOMER, ()):
        raise Refused("share.customers_named")


def require_built_in(dimension: str, patterns: Collection[str]) -> None:
    """Refuse patterns that can name nothing on a dimension without declaration.

    Codes: `scope.too_many_patterns`, `scope.point_unknown`.
    """
    if len(patterns) > MAX_NAMED:
        raise Refused("scope.too_many_patterns", dimension=dimension, pattern="")
    for pattern in patterns:
        if pattern == ANY or dimension == MANAGER:
            continue  # a manager may be a team's path: `require_streams` looks at both
        fine = is_id(pattern) if dimension == CUSTOMER else code_fault(pattern) is None
        if not fine:
            raise Refused("scope.point_unknown", dimension=dimension, pattern=pattern)


def is_id(text: str) -> bool:
    """Tell whether a text has the form of a stream's id."""
    return _ID.fullmatch(text) is not None


class Looks(Protocol):
    """What is looked at for a scope; `domain.view.View` is one, and each look is a read."""

    @property
    def at(self) -> Instant: ...

    def catalogue(self) -> Catalogue | None: ...

    def customer(self, customer_id: str) -> Customer | None: ...

    def staff(self, staff_id: str) -> Staff | None: ...


def require_streams(view: Looks, scope: Scope) -> None:
    """Refuse with `scope.point_unknown` customers, staff and teams that are not there.

    A team's point must stand, as any other: `scope.point_ended`, `scope.point_planned`.
    """
    for customer in scope.get(CUSTOMER, ()):
        if customer != ANY and view.customer(customer) is None:
            raise Refused("scope.point_unknown", dimension=CUSTOMER, pattern=customer)
    for manager in scope.get(MANAGER, ()):
        if manager == ANY or (is_id(manager) and view.staff(manager) is not None):
            continue
        status = point_status_at(point_of(view.catalogue(), manager), view.at)
        if status != "standing":
            code = {"none": "unknown"}.get(status, status)
            raise Refused(f"scope.point_{code}", dimension=MANAGER, pattern=manager)


def require_sharer(body: PolicyBody, terms: Terms, grantee: str, actor: Actor, at: Instant) -> None:
    """Refuse grants of customers' records to others than staff, and shares by whoever does not
    look after every customer named.

    One with the role `compliance` may share any. Codes: `grantee.not_staff`,
    `share.not_assigned`.
    """
    if for_staff(body) and grantee.partition(":")[0] not in ("staff", "team"):
        raise Refused("grantee.not_staff", grantee=grantee, kind=body.kind)
    if body.kind != SHARE or has_role(actor, "compliance", at):
        return
    assigned = () if actor.staff is None else actor.staff.customers
    for customer in terms.scope[CUSTOMER]:
        if customer not in assigned:
            raise Refused("share.not_assigned", customer=customer)
