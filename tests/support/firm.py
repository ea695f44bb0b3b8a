"""A firm for the reference and the doors: its people, policies and customers, and what they try.

Names tell what someone is: `ver1` verifies, `app1` approves, `dir1` approves as a director; `all`
has every role; `twin` is a second account of the person behind `req1`.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any, Final

from domain.commands.persons import RegisterPerson
from domain.commands.staff import AppointStaff
from projections.inline import FOLDS
from projections.models import FOLDS as MODELS
from tests.support.doors import House
from tests.support.ledger import OPERATOR, make_tenant, new_id, say
from tests.support.mirror import Mirror, Said
from tests.support.reference.grants import Terms
from tests.support.reference.people import Party, Person, Staff
from tests.support.wire import both

START: Final = datetime(2027, 3, 1, 9, tzinfo=UTC)

ROLES: Final = {
    "adm": (("administrator",), "senior"),
    "com1": (("compliance",), "senior"),
    "com2": (("compliance",), "senior"),
    "req1": (("requester",), "junior"),
    "req2": (("requester",), "junior"),
    "ver1": (("verifier",), "junior"),
    "ver2": (("verifier",), "junior"),
    "app1": (("approver",), "senior"),
    "app2": (("approver",), "senior"),
    "dir1": (("approver",), "director"),
    "dir2": (("approver",), "director"),
    "all": (("requester", "verifier", "approver", "compliance"), "director"),
    "twin": (("approver", "verifier"), "senior"),
}
ROOT: Final = Party("staff", "root")
ROBOT: Final = Party("service", "robot")
CUSTOMERS: Final = {"c1": "organization", "c2": "organization", "c3": "person"}
MEMBERS: Final = {
    "m1": ("c1", "pat", frozenset({"request", "provide", "sign", "revoke"})),
    "m2": ("c1", "kim", frozenset({"sign", "revoke"})),
    "m3": ("c2", "app2", frozenset({"request", "provide", "sign"})),
    "m4": ("c3", "pat", frozenset({"sign", "revoke"})),
}
"""Name -> customer, person, acts. `m3` is the approver `app2`, who so receives what `c2` gets."""

POINTS: Final = {
    "territory": ("CN", "CN/31", "CN/31/0115", "CN/32"),
    "product": ("tea", "tea/green"),
}
ATTRIBUTES: Final = {"tea/green": {"territory": "CN/31/0115"}}

SHA256: Final = "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"


def _policy(kind: str, dimensions: tuple[str, ...], actions: dict[str, bool], **more: Any) -> Any:
    """A body with every field that the reference asks for; `actions`: name -> free."""
    return {
        "kind": kind,
        "names": both(kind),
        "dimensions": list(dimensions),
        "actions": [
            {"action": name, "names": both(name), "free": free} for name, free in actions.items()
        ],
        "identification": {"checks": 1, "channels": 1, "days": 200},
        "verification": None,
        "stages": [],
        "no_approval_needed": False,
        "agreement": None,
        "longest_days": 100,
        "starts": "fixed",
        "ends_with_evidence": False,
        "submission_lapse_days": 20,
        "backdate_days": 0,
        "revocation_persons": 1,
        "provisional_days": 2,
        "grace_days": 4,
    } | more


def _stage(
    name: str, days: int, *groups: tuple[str, int, tuple[str, ...]], may_narrow: bool = False
) -> dict[str, Any]:
    return {
        "id": name,
        "may_narrow": may_narrow,
        "names": both(name),
        "groups": [
            {"role": role, "number": number, "levels": list(levels)}
            for role, number, levels in groups
        ],
        "lapse_days": days,
    }


def _agreement(*signers: str) -> dict[str, Any]:
    return {
        "template": "standard",
        "version": "1",
        "sha256": SHA256,
        "signers": list(signers),
        "lapse_days": 7,
    }


_DEALERSHIP = _policy(
    "dealership",
    ("territory", "product"),
    {"sell": False},
    verification={"kinds": ["documents"], "persons": 2},
    stages=[
        _stage("sales", 10, ("approver", 1, ()), ("compliance", 1, ()), may_narrow=True),
        _stage("board", 5, ("approver", 1, ("director",))),
    ],
    agreement=_agreement("grantee", "tenant"),
    ends_with_evidence=True,
    backdate_days=3,
    revocation_persons=2,
)
_LOAN = _policy(
    "loan",
    ("territory",),
    {"read": False, "glance": True},
    verification={"kinds": ["call_back"], "persons": 1},
    stages=[_stage("team", 10, ("approver", 2, ()), may_narrow=True)],
    starts="on_approval",
)
_TRADEMARK = _policy(
    "trademark",
    ("product",),
    {"print": False},
    stages=[_stage("legal", 10, ("approver", 1, ("director", "senior")))],
    agreement=_agreement("grantee"),
    starts="on_signature",
    backdate_days=30,
)
_SAMPLE = _policy("sample", ("territory",), {"show": True})

COUNTED: Final = ("loan", "trademark")
"""Kinds whose terms are so many days."""

BODIES: Final = {one["kind"]: one for one in (_DEALERSHIP, _LOAN, _TRADEMARK, _SAMPLE)}
"""Kind -> the body of its first version."""

VARIANTS: Final = {
    "loan": (
        _LOAN | {"stages": [], "no_approval_needed": True},
        _LOAN | {"stages": []},
        _LOAN | {"stages": [_stage("team", 10, ("approver", 9, ()))]},
    ),
    "sample": (_SAMPLE | {"dimensions": ["moon"]}, _SAMPLE | {"revocation_persons": 2}, _SAMPLE),
}
"""Other bodies: no approval needed, nobody to approve, too many to, an unknown dimension."""

ASKED: Final = {
    "dealership": (("sell",), {"territory": ("CN/31",), "product": ("tea",)}),
    "loan": (("read",), {"territory": ("CN/31/0115",)}),
    "trademark": (("print",), {"product": ("*",)}),
    "sample": (("show",), {"territory": ("CN",)}),
}
"""Kind -> actions and scope that may be asked for."""


OTHER: Final = {
    "dealership": (
        {"territory": ("CN/31", "CN/32"), "product": ("tea",)},
        {"territory": ("CN/31/0115",), "product": ("tea/green",)},
    ),
    "loan": ({"territory": ("CN/31",)}, {"territory": ("CN/32",)}),
    "trademark": ({"product": ("tea",)}, {"product": ("tea/green",)}),
    "sample": ({"territory": ("CN/31",)}, {"territory": ("CN/31", "CN/32")}),
}
"""Kind -> other scopes, that amendments and approvers may have in mind."""


def terms(kind: str, now: datetime, *, begins: int = 0, days: int = 30) -> Terms:
    """Terms of the form that the kind wants, beginning so many days from now."""
    actions, scope = ASKED[kind]
    if kind in COUNTED:
        return Terms(kind, actions, dict(scope), days=days)
    starts = now + timedelta(days=begins)
    return Terms(kind, actions, dict(scope), starts, starts + timedelta(days=days))


def staff(name: str) -> Party:
    return Party("staff", name)


def member(name: str) -> Party:
    """The party of a member: their customer, and the person."""
    customer, person, _ = MEMBERS[name]
    return Party("customer", customer, person)


def found(house: House) -> Mirror:
    """A new tenant with its people, points, published policies; c1 and c2 are confirmed."""
    tenant = make_tenant(house.database, {**FOLDS, **MODELS}, given_clock=True)
    mirror = Mirror(house, tenant, START)
    _first_administrator(house, mirror)
    people = {**{name: name for name in ROLES}, "twin": "req1", "pat": "pat", "kim": "kim"}
    mirror.say_together(
        Said("register_person", ROOT, {"new": name}) for name in sorted(set(people.values()))
    )
    mirror.say_together(
        [
            Said(
                "appoint",
                ROOT,
                {"new": name, "person": people[name], "level": level, "roles": frozenset(roles)},
            )
            for name, (roles, level) in ROLES.items()
        ]
        + [Said("declare", ROOT, {"dimension": one, "names": one}) for one in POINTS]
    )
    for words in (("territory",), ("product",)):
        mirror.say_together(
            Said(
                "add_point",
                ROOT,
                {
                    "dimension": one,
                    "path": path,
                    "names": path,
                    "attributes": ATTRIBUTES.get(path, {}),
                },
            )
            for one in words
            for path in POINTS[one]
        )
    _policies_and_customers(mirror)
    return mirror


def _first_administrator(house: House, mirror: Mirror) -> None:
    """Made by the operator's command line, to which the reference has no word."""
    services, tenant = house.services, mirror.tenant
    person, root = new_id(), new_id()
    say(services.ledgers, tenant, RegisterPerson(person=person), OPERATOR, at=START)
    claim = services.keys.keyed_hash(tenant, "staff_number", "root")
    appointed = AppointStaff(
        staff=root,
        person=person,
        number="root",
        number_claim=claim,
        level="senior",
        roles=("administrator",),
    )
    say(services.ledgers, tenant, appointed, OPERATOR, at=START)
    mirror.ids |= {("person", "root"): person, ("staff", "root"): root}
    mirror.versions |= {person: 1, root: 1}
    world = mirror.world
    world.persons["root"] = Person()
    roles = frozenset({"administrator"})
    world.staff["root"] = Staff("root", "root", "senior", roles, spans=[(START, None)])


def _policies_and_customers(mirror: Mirror) -> None:
    mirror.say_together(
        [Said("draft", ROOT, {"kind": kind, "body": body}) for kind, body in BODIES.items()]
        + [
            Said("register_customer", staff("req1"), {"new": name, "form": form, "number": name})
            for name, form in CUSTOMERS.items()
        ]
    )
    first = [{"kind": kind, "number": 1} for kind in BODIES]
    shown = {"kind": "extract", "channel": "register", "passed": True, "document": True}
    mirror.say_together(
        [Said("submit", ROOT, one) for one in first]
        + [
            Said("identify", staff("ver1"), {"customer": name, "ends": None, **shown})
            for name in ("c1", "c2")
        ]
    )
    mirror.say_together(Said("approve_policy", staff("com1"), one) for one in first)
    mirror.say_together(Said("publish", ROOT, {**one, "begins": None}) for one in first)
    mirror.say_together(
        Said("confirm", staff("ver2"), {"customer": name, "kind": "dealership"})
        for name in ("c1", "c2")
    )
    for name, (customer, person, acts) in MEMBERS.items():
        given = {"customer": customer, "new": name, "person": person, "acts": acts, "days": 0}
        mirror.say("add_member", staff("req2"), **given)
