"""A firm that authorizes dealers, everything said over HTTP."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tests.support.doors import Firm, House

SHA256 = "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"

POLICY: dict[str, Any] = {
    "kind": "dealership",
    "names": {"zh": "经销授权", "en": "Dealership"},
    "dimensions": ["territory", "product"],
    "actions": [{"action": "sell", "names": {"zh": "销售", "en": "Sell"}}],
    "verification": {"kinds": ["documents"], "persons": 1},
    "stages": [
        {
            "id": "first",
            "names": {"zh": "审批", "en": "Approval"},
            "groups": [{"role": "approver", "number": 1}],
        }
    ],
    "agreement": {"template": "standard", "version": "1", "sha256": SHA256, "signers": ["tenant"]},
    "starts": "on_signature",
}

BECAUSE = {"reason": {"code": "test"}}


class Trade(Firm):
    """The firm with its people: root, admin, compliance, requester, verifier, approver, signer."""

    def __init__(self, house: House, *, given_clock: bool = False) -> None:
        super().__init__(house, given_clock=given_clock)
        self.first_administrator()
        self.appoint("admin", "administrator")
        self.appoint("compliance", "compliance")
        self.appoint("requester", "requester")
        self.appoint("verifier", "verifier")
        self.appoint("approver", "approver")
        self.appoint("second", "approver")
        self.checker = self.service("shop", "evaluate")

    def catalogue(self, called: Mapping[str, dict[str, str]] | None = None) -> None:
        """Two dimensions and a few points; `called`: other names of a dimension."""
        for dimension, paths in (
            ("territory", ("CN", "CN/31", "CN/31/0115", "CN/32")),
            ("product", ("tea", "tea/green")),
        ):
            names = {"zh": dimension, "en": dimension}
            body = {"dimension": dimension, "names": names}
            declared = body | {"names": (called or {}).get(dimension, names)}
            self["admin"].done("/v1/catalogue/dimensions", declared)
            for path in paths:
                self["admin"].done("/v1/catalogue/points", body | {"path": path})

    def policy(self, **changes: Any) -> str:
        """Draft, submit, approve and publish; return the policy's id."""
        drafted = self["admin"].done("/v1/policies", {"body": POLICY | changes})
        policy, number = drafted["id"], len(drafted["state"]["versions"])
        path = f"/v1/policies/{policy}/versions/{number}"
        submitted = self["admin"].done(f"{path}/submission")
        seen = f'"v{submitted["version"]}"'
        self["compliance"].done(f"{path}/approval", if_match=seen)
        self["admin"].done(f"{path}/publication")
        return policy

    def customer(self, number: str = "D-1", **fields: Any) -> str:
        """Register an organization and confirm it; return its id."""
        body = {"number": number, "form": "organization", "title": f"茶庄 {number}"} | fields
        customer = self["requester"].done("/v1/customers", body)["id"]
        check = {"kind": "licence", "channel": "online", "passed": True, "document": "licence"}
        self["verifier"].done(f"/v1/customers/{customer}/identity-checks", check)
        self["verifier"].done(
            f"/v1/customers/{customer}/confirmation", {"policy_kind": "dealership"}
        )
        return customer

    def request(self, customer: str, **changes: Any) -> dict[str, Any]:
        """Ask for a grant; return the answer."""
        body: dict[str, Any] = {
            "grantee": f"customer:{customer}",
            "kind": "dealership",
            "actions": ["sell"],
            "scope": {"territory": ["CN/31"], "product": ["tea"]},
            "term": {"days": 365},
        }
        return self["requester"].done("/v1/grants", body | changes)

    def pending(self, customer: str) -> dict[str, Any]:
        """A grant that waits for approval."""
        grant = self.request(customer)["id"]
        body = {"kind": "documents", "channel": "online"}
        return self["verifier"].done(f"/v1/grants/{grant}/checks", body)

    def active(self, customer: str) -> dict[str, Any]:
        """A grant in force; the answer to its last signature."""
        pending = self.pending(customer)
        grant = pending["id"]
        seen = f'"v{pending["version"]}"'
        self["approver"].done(f"/v1/grants/{grant}/approvals", {"stage": "first"}, if_match=seen)
        shown = self["admin"].get(f"/v1/grants/{grant}")
        body = {"party": "tenant", "digest": shown.json()["agreement"]["digest"]}
        etag = shown.headers["etag"]
        return self["compliance"].done(f"/v1/grants/{grant}/signatures", body, if_match=etag)

    def may(self, customer: str, place: str = "CN/31/0115", *, since: int | None = None) -> bool:
        """Ask whether the customer may sell green tea there now; `since` waits for a position."""
        context = {} if since is None else {"consistency": {"at_least": since}}
        body = evaluation(customer, place, **context)
        answer = self.checker.ask("/access/v1/evaluation", body)
        assert answer.status_code == 200, answer.text
        return answer.json()["decision"]


def evaluation(customer: str, place: str = "CN/31/0115", **context: Any) -> dict[str, Any]:
    """An AuthZEN request."""
    body: dict[str, Any] = {
        "subject": {"type": "customer", "id": customer},
        "action": {"name": "sell"},
        "resource": {
            "type": "territory",
            "id": place,
            "properties": {"product": "tea/green"},
        },
    }
    return body | {"context": context} if context else body
