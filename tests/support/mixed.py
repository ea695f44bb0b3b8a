"""A small firm with everything at once: four kinds, chains, holds, amendments, renewals, exclusive
scopes, shares between teams, customers blocked; and what its log says by the slow reference."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from itertools import product
from typing import Any, NamedTuple

import psycopg

from tests.projections import oracle
from tests.support.doors import House
from tests.support.sharing import SHARE
from tests.support.trade import BECAUSE, Trade

EASY: dict[str, Any] = {"verification": None, "agreement": None, "starts": "on_approval"}
MANAGING: dict[str, Any] = {
    "kind": "staff",
    "names": {"zh": "客户管理", "en": "Managing customers"},
    "dimensions": ["customer", "manager"],
    "actions": [
        {"action": "view", "names": {"zh": "查看", "en": "View"}, "free": True},
        {"action": "change", "names": {"zh": "变更", "en": "Change"}},
    ],
}
ACTIONS = ("sell", "show", "print", "read", "edit", "view", "change")
PLACES = ("CN", "CN/31", "CN/31/0115", "CN/32")
GOODS = ("tea", "tea/green")
TEAMS = ("sales", "sales/east", "service")
STAFF = {"east": "sales/east", "boss": "sales", "fitter": "service"}
"""Staff and their teams."""

DAY = timedelta(days=1)


class Place(NamedTuple):
    """A resource asked about, and what is said of its other dimensions."""

    type: str
    id: str
    properties: tuple[tuple[str, str], ...] = ()

    def document(self) -> dict[str, Any]:
        return {"type": self.type, "id": self.id, "properties": dict(self.properties)}


class Mixed(Trade):
    """The firm; `customers` by number, `grants` by a name."""

    def __init__(self, house: House) -> None:
        super().__init__(house)
        self.customers: dict[str, str] = {}
        self.grants: dict[str, str] = {}
        self.catalogue()
        actions = [{"action": name, "names": {"zh": name, "en": name}} for name in ("sell", "show")]
        self.policy(**EASY, actions=actions, depth=3, grace_days=5, backdate_days=5)
        printing = [{"action": "print", "names": {"zh": "印制", "en": "Print"}}]
        self.policy(**EASY, kind="trademark", actions=printing, exclusive=True)
        self.policy(**SHARE)
        self.policy(**EASY | MANAGING)
        self._people()
        self._dealers()
        self._shares()
        house.follow()

    def _people(self) -> None:
        teams = {"dimension": "team", "names": {"zh": "团队", "en": "Team"}}
        self["admin"].done("/v1/catalogue/dimensions", teams)
        for path in TEAMS:
            self["admin"].done("/v1/catalogue/points", teams | {"path": path})
        for name, team in STAFF.items():
            self.appoint(name, "requester")
            self["root"].done(f"/v1/staff/{self.staff[name]}/team", {"team": team})
        for number in range(12):
            self.customers[f"c{number}"] = self.customer(f"c{number}")
        mine = [self.customers[name] for name in ("c0", "c2")]
        path = f"/v1/staff/{self.staff['east']}/assignments"
        self["root"].done(path, {"customers": mine})

    def given(self, name: str, grantee: str, by: str = "requester", **changes: Any) -> str:
        """Ask for a grant and approve it; return its id."""
        body: dict[str, Any] = {
            "grantee": grantee,
            "kind": "dealership",
            "actions": ["sell", "show"],
            "scope": {"territory": ["CN/31"], "product": ["tea"]},
            "term": {"days": 365},
        }
        asked = self[by].done("/v1/grants", body | changes)
        self.grants[name] = asked["id"]
        if asked["state"]["status"] != "active":
            seen = f'"v{asked["version"]}"'
            path = f"/v1/grants/{asked['id']}/approvals"
            self["approver"].done(path, {"stage": "first"}, if_match=seen)
        return asked["id"]

    def to(self, name: str, **changes: Any) -> str:
        """A grant to the customer of this name."""
        return self.given(name, f"customer:{self.customers[name]}", **changes)

    def _case(self, grant: str, path: str, body: dict[str, Any]) -> None:
        opened = self["requester"].done(f"/v1/grants/{grant}/{path}", body)
        case = opened["state"]["open_case"]["case"]
        seen = f'"v{opened["version"]}"'
        path = f"/v1/grants/{grant}/cases/{case}/approvals"
        self["approver"].done(path, {"stage": "first"}, if_match=seen)

    def _dealers(self) -> None:
        now = datetime.now(UTC)
        everything = {"scope": {"territory": ["CN"], "product": ["tea"]}}
        self.to("c0", **everything, pass_on=2)
        self.to("c1", parent=self.grants["c0"], pass_on=1, term={"days": 300})
        small = {"scope": {"territory": ["CN/31/0115"], "product": ["tea/green"]}}
        last = {"actions": ["sell"], "term": {"days": 200}}
        self.to("c2", **small, **last, parent=self.grants["c1"])
        self.to("c3", **everything, pass_on=1)
        self.to("c4", parent=self.grants["c3"], term={"days": 200})
        self["compliance"].done(f"/v1/grants/{self.grants['c3']}/suspension", BECAUSE)
        later: dict[str, Any] = {"scope": {"territory": ["CN/32"], "product": ["tea"]}}
        later["effective_at"] = (now + 30 * DAY).isoformat()
        self._case(self.to("c5"), "amendments", later)
        brand = {"kind": "trademark", "actions": ["print"]}
        self.to("c6", **brand)
        refused = self["requester"].post(
            "/v1/grants",
            brand
            | {"grantee": f"customer:{self.customers['c7']}", "term": {"days": 9}}
            | {"scope": {"territory": ["CN/31/0115"], "product": ["*"]}},
        )
        assert refused.json()["code"] == "grant.exclusive_overlap", refused.text
        self.to("c7", **brand, scope={"territory": ["CN/32"], "product": ["*"]})
        ending = self.to("c8", **everything)
        body = BECAUSE | {"effective_at": (now + 10 * DAY).isoformat()}
        self["compliance"].done(f"/v1/grants/{ending}/revocation", body)
        self._case(self.to("c9", term={"days": 20}), "renewals", {"term": {"days": 20}})
        self.to("c10", **everything)
        self["compliance"].done(f"/v1/customers/{self.customers['c10']}/block", BECAUSE)
        wrong = self.to("c11", **everything)
        said = self["requester"].done(f"/v1/grants/{wrong}/error", BECAUSE)
        named = {"case": said["state"]["error"]}
        path = f"/v1/grants/{wrong}/error/confirmation"
        self["compliance"].done(path, named, if_match=f'"v{said["version"]}"')
        self.given("c11 again", f"customer:{self.customers['c11']}", scope=small["scope"])

    def _shares(self) -> None:
        share: dict[str, Any] = {
            "kind": "share",
            "actions": ["read"],
            "term": {"days": 30},
            "template": "after-sales",
            "purpose": "repair",
            "by": "east",
        }
        one: dict[str, Any] = {"scope": {"customer": [self.customers["c0"]]}}
        self.given("to service", "team:service", **share | one)
        two = {"scope": {"customer": [self.customers["c2"]]}, "actions": ["read", "edit"]}
        self.given("to boss", f"staff:{self.staff['boss']}", **share | two)
        managed = {"kind": "staff", "actions": ["view", "change"]}
        scope = {"customer": ["*"], "manager": ["sales"]}
        self.given("managing", "team:sales", **managed, scope=scope)

    # --- what is asked ---

    def subjects(self) -> list[tuple[str, str]]:
        """Return type and id of everyone who might be allowed something."""
        return [
            *(("customer", one) for one in self.customers.values()),
            *(("staff", self.staff[name]) for name in STAFF),
            *(("team", path) for path in TEAMS),
        ]

    def places(self) -> Iterator[Place]:
        """Yield every resource, with what may be said of its other dimensions."""
        for place, goods in product(PLACES, GOODS):
            yield Place("territory", place, (("product", goods),))
        for goods, place in product(GOODS, ("CN/31/0115", "CN/32")):
            yield Place("product", goods, (("territory", place),))
        for customer in self.customers.values():
            yield Place("customer", customer)

    def parties(self, ref: str) -> list[str]:
        """Return a party and, for staff, its team and those above."""
        teams = {f"staff:{self.staff[name]}": team for name, team in STAFF.items()}
        parts = teams[ref].split("/") if ref in teams else []
        return [ref, *("team:" + "/".join(parts[: n + 1]) for n in range(len(parts)))]

    def log(self) -> oracle.Oracle:
        """Return the slow reference on the whole log."""
        with psycopg.connect(self.house.database.auditor) as conn:
            facts = oracle.read(conn, self.tenant)
        return oracle.Oracle(facts, len(facts))

    def points(self, place: Place) -> list[dict[str, str]]:
        """Return the points a resource may be read as: one for each place its manager has."""
        point = {place.type: place.id, **dict(place.properties)}
        if place.type != "customer" or place.id not in (
            self.customers[name] for name in ("c0", "c2")
        ):
            return [point]
        return [point | {"manager": path} for path in (self.staff["east"], "sales/east")]
