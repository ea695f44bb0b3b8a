"""A policy under which customers are shared, and a share said with marked values."""

from __future__ import annotations

from typing import Any

from tests.support.marking import Marking
from tests.support.trade import Trade

TEMPLATE: dict[str, Any] = {
    "id": "after-sales",
    "names": {"zh": "售后", "en": "After-sales"},
    "fields": {
        "title": "read",
        "uscc": "masked",
        "contact.name": "masked",
        "contact.phone": "edit",
        "contact.email": "none",
        "address": "masked",
        "grade": "masked",
    },
    "purposes": ["repair", "recall"],
    "longest_days": 30,
}
SHARE: dict[str, Any] = {
    "kind": "share",
    "names": {"zh": "客户分享", "en": "Sharing a customer"},
    "dimensions": ["customer"],
    "actions": [
        {"action": "read", "names": {"zh": "查看", "en": "Read"}},
        {"action": "edit", "names": {"zh": "变更", "en": "Edit"}},
    ],
    "stages": [
        {
            "id": "first",
            "names": {"zh": "审批", "en": "Approval"},
            "groups": [{"role": "approver", "number": 1}],
        }
    ],
    "longest_days": 90,
    "verification": None,
    "agreement": None,
    "starts": "on_approval",
    "templates": [TEMPLATE],
}


def share(marking: Marking, trade: Trade, customer: str) -> None:
    """Share a customer with a colleague, who changes its contact and address."""
    say = marking.say
    edited = TEMPLATE["fields"] | dict.fromkeys(
        ("contact.name", "contact.phone", "contact.email", "contact.note", "address"), "edit"
    )
    trade.policy(**SHARE | {"templates": [TEMPLATE | {"fields": edited}]})
    path = f"/v1/staff/{trade.staff['requester']}/assignments"
    say(trade["root"], path, {"customers": [customer]})
    asked = say(
        trade["requester"],
        "/v1/grants",
        {
            "grantee": f"staff:{trade.staff['verifier']}",
            "kind": "share",
            "actions": ["read", "edit"],
            "scope": {"customer": [customer]},
            "term": {"days": 30},
            "template": "after-sales",
            "purpose": "repair",
        },
    )
    grant, seen = asked["id"], f'"v{asked["version"]}"'
    say(trade["approver"], f"/v1/grants/{grant}/approvals", {"stage": "first"}, if_match=seen)
    changed = {"contact": marking.contact(), "address": marking.marks.text()}
    seen = trade["admin"].get(f"/v1/customers/{customer}").headers["etag"]
    path = f"/v1/customers/{customer}/shared/{grant}/profile"
    say(trade["verifier"], path, changed, if_match=seen)
