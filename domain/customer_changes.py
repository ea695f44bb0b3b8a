"""What may change on a customer's record: profile, key fields, members, block, what it becomes."""

from __future__ import annotations

from typing import Final

from domain.codes import require_code
from domain.customer_guards import (
    require_form,
    require_merge_target,
    require_not_merged_away,
    require_open_merge,
)
from domain.customers import MEMBER_ACTS, Correction, Customer, CustomerEvent, Member
from domain.duties import Actor, Same, require_fresh, require_reason
from domain.errors import Refused
from domain.events.customer import (
    CustomerBlocked,
    CustomerCorrected,
    CustomerCorrectionProposed,
    CustomerCorrectionRejected,
    CustomerGraded,
    CustomerLinked,
    CustomerMerged,
    CustomerMergeProposed,
    CustomerMergeRejected,
    CustomerProfileChanged,
    CustomerUnblocked,
    MemberAdded,
    MemberEnded,
)
from domain.persons import Person, require_not_merged
from domain.persons import require_known as require_known_person
from domain.sealing import Sealed
from domain.values import Act, Instant, stamp

MAX_MEMBERS: Final = 500
"""Most members a customer has, ended ones included."""

MAX_CORRECTIONS: Final = 200
"""Most corrections of a customer, decided ones included."""

MAX_LINKS: Final = 50
"""Most other systems that know a customer."""


def change_profile(
    customer: Customer | None,
    customer_id: str,
    *,
    contact: Sealed | None = None,
    address: Sealed | None = None,
    share: str | None = None,
    act: Act,
) -> list[CustomerEvent]:
    """Change what identifies nobody; `share` is the grant whose right is used.

    Raises `Refused`: `customer.unknown`, `customer.state`.
    """
    require_not_merged_away(customer, customer_id)
    if contact is None and address is None:
        return []
    return [CustomerProfileChanged(**stamp(act), contact=contact, address=address, share=share)]


def propose_correction(
    customer: Customer | None,
    customer_id: str,
    *,
    correction: str,
    title: str | None = None,
    uscc: str | None = None,
    full_name: Sealed | None = None,
    identity_number: Sealed | None = None,
    act: Act,
) -> list[CustomerEvent]:
    """Propose other key fields; a second person decides.

    Raises `Refused`: `customer.unknown`, `customer.state`, `customer.form`,
    `customer.title_malformed`, `correction.taken`, `correction.too_many`.
    """
    known = require_not_merged_away(customer, customer_id)
    require_form(
        known.form, title=title, uscc=uscc, full_name=full_name, identity_number=identity_number
    )
    if correction in known.corrections:
        raise Refused("correction.taken", correction=correction)
    if not _differs(known, title, uscc, full_name, identity_number):
        return []
    if len(known.corrections) >= MAX_CORRECTIONS:
        raise Refused("correction.too_many", limit=MAX_CORRECTIONS)
    return [
        CustomerCorrectionProposed(
            **stamp(act),
            correction=correction,
            title=title,
            uscc=uscc,
            full_name=full_name,
            identity_number=identity_number,
        )
    ]


def _differs(
    customer: Customer,
    title: str | None,
    uscc: str | None,
    full_name: Sealed | None,
    identity_number: Sealed | None,
) -> bool:
    """Tell whether anything would change; two sealed values may hold one text, unseen here."""
    clear = title not in (None, customer.title) or uscc not in (None, customer.uscc)
    return clear or full_name is not None or identity_number is not None


def require_correction(customer: Customer, correction: str) -> Correction:
    """Refuse with `correction.unknown` what was never proposed."""
    found = customer.corrections.get(correction)
    if found is None:
        raise Refused("correction.unknown", correction=correction)
    return found


def require_second_person(correction: Correction, actor: Actor, same: Same) -> None:
    """Refuse with `duties.not_separate` whoever proposed the correction they would accept."""
    require_fresh(actor, correction.hands, same)


def decide_correction(
    customer: Customer | None,
    customer_id: str,
    *,
    correction: str,
    accept: bool,
    actor: Actor,
    same: Same,
    act: Act,
) -> list[CustomerEvent]:
    """Accept a correction that another person proposed, or reject one, which its author may too.

    Raises `Refused`: `customer.unknown`, `customer.state`, `correction.unknown`,
    `correction.decided`, `duties.not_separate`.
    """
    known = require_not_merged_away(customer, customer_id)
    found = require_correction(known, correction)
    outcome = "corrected" if accept else "rejected"
    if found.outcome == outcome:
        return []
    if found.outcome is not None:
        raise Refused("correction.decided", correction=correction, outcome=found.outcome)
    if not accept:
        return [CustomerCorrectionRejected(**stamp(act), correction=correction)]
    require_second_person(found, actor, same)
    return [CustomerCorrected(**stamp(act), correction=correction)]


def give_grade(
    customer: Customer | None, customer_id: str, *, grade: str, act: Act
) -> list[CustomerEvent]:
    """Say how good a customer it is, by a code of the tenant's own.

    Raises `Refused`: `customer.unknown`, `customer.state`, `code.malformed`.
    """
    known = require_not_merged_away(customer, customer_id)
    require_code("grade", grade)
    return [] if known.grade == grade else [CustomerGraded(**stamp(act), grade=grade)]


def link(
    customer: Customer | None, customer_id: str, *, system: str, external_id: str, act: Act
) -> list[CustomerEvent]:
    """Say what another system calls this customer; another name replaces the one before.

    Raises `Refused`: `customer.unknown`, `customer.state`, `code.malformed`,
    `customer.too_many_links`.
    """
    known = require_not_merged_away(customer, customer_id)
    require_code("system", system)
    require_code("external_id", external_id)
    if known.links.get(system) == external_id:
        return []
    if system not in known.links and len(known.links) >= MAX_LINKS:
        raise Refused("customer.too_many_links", limit=MAX_LINKS)
    return [CustomerLinked(**stamp(act), system=system, external_id=external_id)]


# --- members --------------------------------------------------------------------------------------


def add_member(
    customer: Customer | None,
    customer_id: str,
    *,
    member: str,
    person_id: str,
    person: Person | None,
    acts: tuple[str, ...],
    from_: Instant | None = None,
    until: Instant | None = None,
    act: Act,
) -> list[CustomerEvent]:
    """Let a person act for the customer, in the stated acts, from now unless said otherwise.

    Raises `Refused`: `customer.unknown`, `customer.state`, `person.unknown`, `person.state`,
    `member.act_unknown`, `member.term_empty`, `member.taken`, `member.too_many`.
    """
    known = require_not_merged_away(customer, customer_id)
    require_not_merged(require_known_person(person, person_id), person_id)
    if not acts or not MEMBER_ACTS.issuperset(acts):
        raise Refused("member.act_unknown", acts=acts)
    begin = act.at if from_ is None else from_
    if until is not None and until <= begin:
        raise Refused("member.term_empty", from_=begin, until=until)
    wanted = Member(person_id, tuple(sorted(set(acts))), begin, until)
    present = known.members.get(member)
    if present == wanted:
        return []
    if present is not None:
        raise Refused("member.taken", member=member)
    if len(known.members) >= MAX_MEMBERS:
        raise Refused("member.too_many", limit=MAX_MEMBERS)
    return [
        MemberAdded(
            **stamp(act),
            member=member,
            person=wanted.person,
            acts=wanted.acts,
            from_=wanted.from_,
            until=wanted.until,
        )
    ]


def end_member(
    customer: Customer | None, customer_id: str, *, member: str, act: Act
) -> list[CustomerEvent]:
    """Let a person act for the customer no longer, at once.

    Raises `Refused`: `customer.unknown`, `customer.state`, `member.unknown`.
    """
    known = require_not_merged_away(customer, customer_id)
    found = known.members.get(member)
    if found is None:
        raise Refused("member.unknown", member=member)
    if found.until is not None and found.until <= act.at:
        return []
    return [MemberEnded(**stamp(act), member=member)]


# --- blocks and merges ----------------------------------------------------------------------------


def block(customer: Customer | None, customer_id: str, *, act: Act) -> list[CustomerEvent]:
    """Deny everything granted to this customer until it is unblocked.

    Raises `Refused`: `customer.unknown`, `customer.state`, `reason.missing`.
    """
    known = require_not_merged_away(customer, customer_id)
    if known.status == "blocked":
        return []
    require_reason(act)
    return [CustomerBlocked(**stamp(act))]


def unblock(customer: Customer | None, customer_id: str, *, act: Act) -> list[CustomerEvent]:
    """Let it stand as before the block, by the clock of now.

    Raises `Refused`: `customer.unknown`, `customer.state`, `reason.missing`.
    """
    known = require_not_merged_away(customer, customer_id)
    if known.status != "blocked":
        return []
    require_reason(act)
    return [CustomerUnblocked(**stamp(act))]


def propose_merge(
    customer: Customer | None,
    customer_id: str,
    *,
    into_id: str,
    into: Customer | None,
    act: Act,
) -> list[CustomerEvent]:
    """Propose that this record and `into` are one customer; a second person decides.

    Raises `Refused`: `customer.unknown`, `customer.state`, `customer.merge_self`,
    `customer.merge_target`, `customer.form`, `customer.merge_open`.
    """
    known = require_not_merged_away(customer, customer_id)
    require_merge_target(known, customer_id, into, into_id)
    if known.merge is not None and known.merge.into == into_id:
        return []
    if known.merge is not None:
        raise Refused("customer.merge_open", customer=customer_id, into=known.merge.into)
    return [CustomerMergeProposed(**stamp(act), into=into_id)]


def decide_merge(
    customer: Customer | None,
    customer_id: str,
    *,
    into: Customer | None,
    accept: bool,
    actor: Actor,
    same: Same,
    act: Act,
) -> list[CustomerEvent]:
    """Accept a merge that another person proposed, or reject one, which its author may too.

    `into` is the customer of the open proposal. Raises `Refused`: `customer.unknown`,
    `customer.state`, `customer.merge_unknown`, `duties.not_separate`, `customer.merge_target`.
    """
    known = require_not_merged_away(customer, customer_id)
    merge = require_open_merge(known, customer_id)
    if not accept:
        return [CustomerMergeRejected(**stamp(act))]
    require_fresh(actor, merge.hands, same)
    require_merge_target(known, customer_id, into, merge.into)
    return [CustomerMerged(**stamp(act), into=merge.into)]
