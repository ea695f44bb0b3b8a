"""Each command of the reference as it goes over the wire: path, body, which stream it is about."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any, NamedTuple

from tests.support.reference.grants import Terms, instant

if TYPE_CHECKING:
    from tests.support.mirror import Mirror

Given = Mapping[str, Any]


class Line(NamedTuple):
    """`names` says which argument names the stream; `part` what is made inside of one."""

    kind: str
    names: str
    path: str
    body: Callable[[Mirror, Given], dict[str, Any]]
    part: str = ""
    created: bool = False


def nothing(_mirror: Mirror, _given: Given) -> dict[str, Any]:
    """No field."""
    return {}


def taking(*names: str) -> Callable[[Mirror, Given], dict[str, Any]]:
    """Fields that go as they are."""

    def body(_mirror: Mirror, given: Given) -> dict[str, Any]:
        return {name: given[name] for name in names}

    return body


def both(word: str) -> dict[str, str]:
    """A name in both languages."""
    return {"zh": word, "en": word}


def _present(**fields: Any) -> dict[str, Any]:
    return {
        name: instant(value) if hasattr(value, "isoformat") else value
        for name, value in fields.items()
        if value is not None
    }


def _point(_mirror: Mirror, given: Given) -> dict[str, Any]:
    return {
        "dimension": given["dimension"],
        "path": given["path"],
        "names": both(given["names"]),
        "attributes": given["attributes"],
    }


def _appointment(mirror: Mirror, given: Given) -> dict[str, Any]:
    return {
        "person": mirror.id("person", given["person"]),
        "number": given["new"],
        "level": given["level"],
        "roles": sorted(given["roles"]),
    }


def _customer(_mirror: Mirror, given: Given) -> dict[str, Any]:
    name = "title" if given["form"] == "organization" else "full_name"
    return {"number": given["number"], "form": given["form"], name: given["new"]}


def _identity(_mirror: Mirror, given: Given) -> dict[str, Any]:
    return _present(
        kind=given["kind"],
        channel=given["channel"],
        passed=given["passed"],
        document="licence" if given["document"] else None,
        document_ends_at=given["ends"],
    )


def _member(mirror: Mirror, given: Given) -> dict[str, Any]:
    until = mirror.world.days(given["days"]) if given["days"] else None
    person = mirror.id("person", given["person"])
    return _present(person=person, acts=sorted(given["acts"]), until=until)


def _terms(terms: Terms) -> dict[str, Any]:
    return {
        "actions": terms.actions,
        "scope": terms.scope,
        "term": _present(starts_at=terms.starts, ends_at=terms.ends, days=terms.days),
    }


def _request(mirror: Mirror, given: Given) -> dict[str, Any]:
    grantee, terms = mirror.ref(given["grantee"]), given["terms"]
    channel = given.get("channel", "online")
    return {"grantee": grantee, "kind": terms.kind, "channel": channel, **_terms(terms)}


def _answer(_mirror: Mirror, given: Given) -> dict[str, Any]:
    terms = {} if given["terms"] is None else _terms(given["terms"])
    return {"channel": given.get("channel", "online"), **terms}


def _check(_mirror: Mirror, given: Given) -> dict[str, Any]:
    return {"kind": given["kind"], "channel": given.get("channel", "online")}


def _signature(mirror: Mirror, given: Given) -> dict[str, Any]:
    digest = mirror.world.digest(given["grant"]) if given.get("right", True) else "f" * 64
    return {"party": given["party"], "digest": digest}


def _approval(mirror: Mirror, given: Given) -> dict[str, Any]:
    """The stage, and what the approver leaves of scope and term, where they leave less."""
    less, body = given.get("less"), {"stage": given["stage"]}
    if less is None:
        return body
    one = mirror.world.grants[given["grant"]]
    terms = one.case.terms if "case" in given and one.case is not None else one.terms
    left = replace(terms, **less)
    if "scope" in less:
        body["scope"] = left.scope
    if less.keys() & {"ends", "days"}:
        body["term"] = _terms(left)["term"]
    return body


def _renewal(_mirror: Mirror, given: Given) -> dict[str, Any]:
    return {"term": _present(ends_at=given["ends"], days=given["days"])}


def _amendment(_mirror: Mirror, given: Given) -> dict[str, Any]:
    return _present(scope=given["scope"], ends_at=given["ends"], effective_at=given["effective"])


def _deputy(mirror: Mirror, given: Given) -> dict[str, Any]:
    deputy, until = mirror.id("staff", given["deputy"]), mirror.world.days(given["days"])
    return _present(deputy=deputy, until=until)


def _customers(mirror: Mirror, given: Given) -> dict[str, Any]:
    return {"customers": [mirror.id("customer", one) for one in sorted(given["customers"])]}


def _into(kind: str) -> Callable[[Mirror, Given], dict[str, Any]]:
    return lambda mirror, given: {"into": mirror.id(kind, given["into"])}


_PEOPLE = {
    "register_person": Line("person", "person", "/v1/persons", nothing, created=True),
    "merge_person": Line("person", "person", "/v1/persons/{person}/merge", _into("person")),
    "link_account": Line(
        "person",
        "person",
        "/v1/persons/{person}/accounts",
        lambda _, given: {"issuer": "https://login.example", "login": given["login"]},
        "account",
    ),
    "unlink_account": Line(
        "person", "person", "/v1/persons/{person}/accounts/{account}/unlinking", nothing
    ),
    "appoint": Line("staff", "staff", "/v1/staff", _appointment, created=True),
    "appoint_again": Line("staff", "new", "/v1/staff/{new}/appointment", _appointment),
}


def _of(kind: str, plural: str, *rows: tuple[Any, ...]) -> dict[str, Line]:
    """Rows of one kind: verb, path after the id, body, part."""
    return {
        verb: Line(kind, kind, f"/v1/{plural}/{{{kind}}}/{path}", *more)
        for verb, path, *more in rows
    }


_STAFF = _of(
    "staff",
    "staff",
    ("change_roles", "roles", lambda _, given: {"roles": sorted(given["roles"])}),
    ("change_level", "level", taking("level")),
    ("assign", "assignments", _customers),
    ("hand_over", "handover", lambda mirror, given: {"to": mirror.id("staff", given["to"])}),
    ("set_deputy", "deputy", _deputy),
    ("end_deputy", "deputy/end", nothing),
    ("deactivate", "deactivation", nothing),
)

_CATALOGUE = {
    "declare": Line(
        "catalogue",
        "dimension",
        "/v1/catalogue/dimensions",
        lambda _, given: {"dimension": given["dimension"], "names": both(given["names"])},
        created=True,
    ),
    "add_point": Line("catalogue", "path", "/v1/catalogue/points", _point, created=True),
    "rename_point": Line(
        "catalogue",
        "path",
        "/v1/catalogue/points/names",
        lambda _, given: {
            "dimension": given["dimension"],
            "path": given["path"],
            "names": both(given["names"]),
        },
    ),
    "end_point": Line(
        "catalogue",
        "path",
        "/v1/catalogue/points/end",
        lambda _, given: _present(
            dimension=given["dimension"], path=given["path"], ends_at=given["ends"]
        ),
    ),
}

_CUSTOMERS = {
    "register_customer": Line("customer", "customer", "/v1/customers", _customer, created=True),
} | _of(
    "customer",
    "customers",
    ("identify", "identity-checks", _identity),
    ("confirm", "confirmation", lambda _, given: {"policy_kind": given["kind"]}),
    ("change_profile", "profile", lambda *_: {"address": "1 Example Road"}),
    ("grade", "grade", taking("grade")),
    ("propose_correction", "corrections", taking("title"), "correction"),
    ("accept_correction", "corrections/{correction}/acceptance", nothing),
    ("reject_correction", "corrections/{correction}/rejection", nothing),
    ("add_member", "members", _member, "member"),
    ("end_member", "members/{member}/end", nothing),
    ("block", "block", nothing),
    ("unblock", "unblock", nothing),
    ("propose_merge", "merge", _into("customer")),
    ("accept_merge", "merge/acceptance", nothing),
    ("reject_merge", "merge/rejection", nothing),
)

_VERSION = "/v1/policies/{policy}/versions/{number}"

_POLICIES = {
    "draft": Line("policy", "kind", "/v1/policies", taking("body"), created=True),
    "edit": Line("policy", "kind", f"{_VERSION}/body", taking("body")),
    "submit": Line("policy", "kind", f"{_VERSION}/submission", nothing),
    "send_back": Line("policy", "kind", f"{_VERSION}/sending-back", nothing),
    "approve_policy": Line("policy", "kind", f"{_VERSION}/approval", nothing),
    "publish": Line(
        "policy",
        "kind",
        f"{_VERSION}/publication",
        lambda _, given: _present(**{"from": given["begins"]}),
    ),
    "retire": Line("policy", "kind", f"{_VERSION}/retirement", nothing),
}

_GRANTS = {"request": Line("grant", "grant", "/v1/grants", _request, created=True)} | _of(
    "grant",
    "grants",
    ("ask", "information-requests", nothing),
    ("provide", "information", _answer),
    ("check", "checks", _check),
    ("fail", "verification-failure", _check),
    ("approve", "approvals", _approval),
    ("retract", "approvals/retraction", taking("stage")),
    ("reject", "rejection", nothing),
    ("withdraw", "withdrawal", nothing),
    ("sign", "signatures", _signature),
    ("decline", "decline", taking("party")),
    ("note", "notes", lambda _, given: {} if given["empty"] else {"label": "call"}),
    ("suspend", "suspension", taking("provisional"), "hold"),
    ("confirm_hold", "suspension/{hold}/confirmation", nothing),
    (
        "resume",
        "resumption",
        lambda mirror, given: {"hold": mirror.id("hold", given["hold"])},
    ),
    ("request_revocation", "revocation-request", nothing, "case"),
    (
        "confirm_revocation",
        "revocation-request/confirmation",
        lambda mirror, given: {"case": mirror.id("case", given["case"])},
    ),
    (
        "cancel_revocation",
        "revocation-request/cancellation",
        lambda mirror, given: {"case": mirror.id("case", given["case"])},
    ),
    ("revoke", "revocation", lambda _, given: _present(effective_at=given["effective"]), "case"),
    ("revoke_by_rule", "revocation/rule", lambda *_: {"cause": "licence_gone"}),
)

_CASES = _of(
    "grant",
    "grants",
    ("request_renewal", "renewals", _renewal, "case"),
    ("propose_amendment", "amendments", _amendment, "case"),
    ("check_case", "cases/{case}/checks", _check),
    ("fail_case", "cases/{case}/verification-failure", _check),
    ("approve_case", "cases/{case}/approvals", _approval),
    ("retract_case", "cases/{case}/approvals/retraction", taking("stage")),
    ("reject_case", "cases/{case}/rejection", nothing),
    ("withdraw_case", "cases/{case}/withdrawal", nothing),
    ("sign_case", "cases/{case}/signatures", _signature),
    ("decline_case", "cases/{case}/decline", taking("party")),
    (
        "supersede",
        "supersession",
        lambda mirror, given: {"successor": mirror.id("grant", given["successor"])},
    ),
    ("propose_error", "error", nothing, "case"),
    ("confirm_error", "error/confirmation", lambda m, given: {"case": m.id("case", given["case"])}),
    ("dismiss_error", "error/dismissal", lambda m, given: {"case": m.id("case", given["case"])}),
)

WIRE: dict[str, Line] = _PEOPLE | _STAFF | _CATALOGUE | _CUSTOMERS | _POLICIES | _GRANTS | _CASES

SIGHT = (
    "approve",
    "reject",
    "sign",
    "decline",
    "approve_case",
    "reject_case",
    "sign_case",
    "decline_case",
    "confirm_error",
    "approve_policy",
    "send_back",
)
"""What a person decides on what they saw: with the version they saw."""
