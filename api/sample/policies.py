"""The sample's four policies, each version's words."""

from __future__ import annotations

import hashlib
from typing import Final, Literal, NamedTuple

from msgspec.structs import replace

from api.sample.people import day
from domain.events.policy import (
    ActionRule,
    Agreement,
    Group,
    Identification,
    PolicyBody,
    ShareTemplate,
    Stage,
    Verification,
)
from domain.values import Instant, Names


class Written(NamedTuple):
    """A version of a policy: its body, and when it is in force from."""

    body: PolicyBody
    from_: Instant


Signer = Literal["grantee", "tenant"]


def _agreement(template: str, version: str, *signers: Signer, days: int = 30) -> Agreement:
    digest = hashlib.sha256(f"{template} {version}".encode()).hexdigest()
    return Agreement(template, version, digest, signers, days)


SALES: Final = Stage(
    "sales", Names("销售审批", "Sales"), (Group("approver"),), lapse_days=20, may_narrow=True
)
BRAND: Final = Stage("brand", Names("品牌审批", "Brand"), (Group("approver"),), lapse_days=20)

DEALERSHIP_1: Final = PolicyBody(
    kind="dealership",
    names=Names("经销授权", "Dealership"),
    dimensions=("territory", "product", "channel"),
    actions=(
        ActionRule("sell", Names("销售", "Sell")),
        ActionRule("promote", Names("促销", "Promote")),
    ),
    identification=Identification(checks=1, channels=1, days=400),
    verification=Verification(kinds=("call_back",), persons=1),
    stages=(SALES, BRAND),
    agreement=_agreement("dealership-agreement", "2024-11", "grantee"),
    longest_days=730,
    starts="on_signature",
    sanctions=("warning", "suspension", "revocation"),
    backdate_days=30,
    grace_days=15,
    depth=1,
)

DEALERSHIP_2: Final = replace(
    DEALERSHIP_1,
    actions=(*DEALERSHIP_1.actions, ActionRule("display", Names("陈列", "Display"), free=True)),
    identification=Identification(checks=1, channels=1, days=730),
    agreement=_agreement("dealership-agreement", "2026-01", "grantee"),
    review_days=180,
    grace_days=30,
    depth=2,
)

TRADEMARK: Final = PolicyBody(
    kind="trademark",
    names=Names("独家商标许可", "Exclusive trademark licence"),
    dimensions=("mark", "product", "territory"),
    actions=(
        ActionRule("print", Names("印制", "Print")),
        ActionRule("label", Names("贴附", "Label")),
    ),
    identification=Identification(checks=1, channels=1, days=730),
    evidence=("contract",),
    verification=Verification(kinds=("register_extract", "call_back"), persons=2),
    stages=(
        Stage("legal", Names("法务审批", "Legal"), (Group("compliance"),), lapse_days=30),
        Stage("brand", Names("品牌审批", "Brand"), (Group("approver", 2, ("head",)),)),
    ),
    agreement=_agreement("trademark-licence", "2024-11", "grantee", "tenant", days=45),
    longest_days=800,
    exclusive=True,
    review_days=90,
    overdue_review="suspend",
    depth=1,
    sanctions=("suspension", "revocation"),
    revocation_persons=2,
    provisional_days=5,
    grace_days=60,
    grades=("A", "B"),
    submission_lapse_days=45,
)

SHARE: Final = PolicyBody(
    kind="share",
    names=Names("客户分享", "Sharing customers"),
    dimensions=("customer",),
    actions=(
        ActionRule("read", Names("查看", "Read")),
        ActionRule("edit", Names("变更", "Edit")),
    ),
    stages=(Stage("team", Names("团队审批", "Team"), (Group("approver"),), lapse_days=15),),
    starts="on_approval",
    longest_days=90,
    templates=(
        ShareTemplate(
            "after-sales",
            Names("售后", "After-sales"),
            {
                "title": "read",
                "contact.name": "masked",
                "contact.phone": "masked",
                "contact.email": "none",
                "address": "edit",
            },
            ("repair",),
            30,
        ),
        ShareTemplate(
            "contact",
            Names("联系方式", "Contact"),
            {"title": "read", "contact.name": "read", "contact.phone": "read", "grade": "read"},
            ("visit", "event"),
            60,
        ),
        ShareTemplate(
            "delivery",
            Names("配送", "Delivery"),
            {"title": "masked", "contact.phone": "masked", "address": "read"},
            ("delivery",),
        ),
    ),
)

STAFF: Final = PolicyBody(
    kind="staff",
    names=Names("客户管理", "Managing customers"),
    dimensions=("customer", "manager"),
    actions=(
        ActionRule("view", Names("查看", "View"), free=True),
        ActionRule("edit", Names("变更", "Edit")),
        ActionRule("reassign", Names("转交", "Reassign")),
    ),
    stages=(Stage("head", Names("主管审批", "Head"), (Group("approver", 1, ("head",)),)),),
    starts="on_approval",
)

VERSIONS: Final = {
    "dealership": (
        Written(DEALERSHIP_1, day("2024-11-08")),
        Written(DEALERSHIP_2, day("2025-10-13")),
    ),
    "trademark": (Written(TRADEMARK, day("2024-11-08")),),
    "share": (Written(SHARE, day("2024-11-08")),),
    "staff": (Written(STAFF, day("2024-11-08")),),
}


def body_at(kind: str, at: Instant) -> PolicyBody:
    """Return what the version in force at an instant says."""
    return [one.body for one in VERSIONS[kind] if one.from_ <= at][-1]
