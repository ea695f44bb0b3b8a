"""Who is likely to do what, and what the state of a thing suggests to do with it next."""

from __future__ import annotations

from typing import Final

from tests.support.reference.grants import EFFECTIVE
from tests.support.reference.world import REVOKERS

LIKELY: Final = {
    "request": ("requester",),
    "ask": ("verifier", "approver"),
    "provide": ("requester",),
    "check": ("verifier",),
    "fail": ("verifier",),
    "approve": ("approver", "compliance"),
    "retract": ("approver", "compliance"),
    "reject": ("approver",),
    "withdraw": ("requester",),
    "sign": ("compliance", "approver"),
    "decline": ("approver",),
    "note": ("verifier",),
    "suspend": ("compliance",),
    "confirm_hold": ("compliance",),
    "resume": ("compliance",),
    "confirm_revocation": REVOKERS,
    "cancel_revocation": REVOKERS,
    "revoke": REVOKERS,
    "request_renewal": ("requester",),
    "propose_amendment": ("requester",),
    "check_case": ("verifier",),
    "fail_case": ("verifier",),
    "approve_case": ("approver", "compliance"),
    "retract_case": ("approver", "compliance"),
    "reject_case": ("approver",),
    "withdraw_case": ("requester",),
    "sign_case": ("compliance", "approver"),
    "decline_case": ("approver",),
    "supersede": REVOKERS,
    "propose_error": ("requester", "verifier", "approver", "compliance"),
    "confirm_error": ("compliance",),
    "dismiss_error": ("requester", "verifier", "approver", "compliance"),
    "register_customer": ("requester",),
    "identify": ("verifier",),
    "confirm": ("verifier",),
    "change_profile": ("requester",),
    "grade": ("compliance",),
    "propose_correction": ("requester",),
    "accept_correction": ("verifier", "compliance"),
    "reject_correction": ("compliance",),
    "add_member": ("requester",),
    "end_member": ("compliance",),
    "block": ("compliance",),
    "unblock": ("compliance",),
    "propose_merge": ("requester", "compliance"),
    "accept_merge": ("compliance",),
    "reject_merge": ("compliance",),
    "send_back": ("compliance",),
    "approve_policy": ("compliance",),
    "retire": ("compliance", "administrator"),
}
"""Roles of whom it is asked for; administrators where nothing is said."""

FOR_MEMBERS: Final = (
    "provide",
    "withdraw",
    "sign",
    "decline",
    "confirm_revocation",
    "cancel_revocation",
    "note",
    "request_renewal",
    "propose_amendment",
    "withdraw_case",
    "sign_case",
    "decline_case",
)

SUGGESTED: Final[dict[str, tuple[str, ...]]] = {
    "submitted": ("check", "check", "check", "ask", "withdraw", "fail"),
    "verifying": ("check", "check", "check", "ask", "fail", "withdraw"),
    "information_requested": ("provide", "provide", "provide", "withdraw"),
    "pending_approval": ("approve", "approve", "approve", "approve", "retract", "ask", "reject"),
    "approved": ("sign", "sign", "sign", "decline", "withdraw"),
    **dict.fromkeys(
        EFFECTIVE,
        (
            "suspend",
            "suspend",
            "suspend",
            "note",
            "request_revocation",
            "request_revocation",
            "confirm_revocation",
            "cancel_revocation",
            "revoke",
            "revoke",
            "revoke_by_rule",
            "request_renewal",
            "request_renewal",
            "request_renewal",
            "propose_amendment",
            "propose_amendment",
            "propose_amendment",
            "supersede",
            "propose_error",
        ),
    ),
    "suspended": (
        "resume",
        "resume",
        "resume",
        "confirm_hold",
        "confirm_hold",
        "suspend",
        "suspend",
        "request_revocation",
        "confirm_revocation",
        "cancel_revocation",
        "revoke",
        "request_renewal",
        "propose_amendment",
        "propose_error",
    ),
}
"""What a status suggests; the likeliest stands more than once."""

NEXT: Final = {
    "submitted": "check",
    "verifying": "check",
    "information_requested": "provide",
    "pending_approval": "approve",
    "approved": "sign",
}
"""What moves it on."""

WALKED: Final[dict[str, tuple[str, ...]]] = {
    "submitted": ("check_case", "check_case", "check_case", "fail_case", "withdraw_case"),
    "verifying": ("check_case", "check_case", "check_case", "fail_case", "withdraw_case"),
    "pending_approval": (
        "approve_case",
        "approve_case",
        "approve_case",
        "retract_case",
        "reject_case",
        "withdraw_case",
    ),
    "approved": ("sign_case", "sign_case", "sign_case", "decline_case", "withdraw_case"),
    "lapsed": ("check_case", "approve_case", "sign_case", "withdraw_case", "request_renewal"),
}
"""What the state of a renewal or an amendment suggests."""

AFTERWARDS: Final = ("note", "withdraw", "revoke", "request_renewal", "propose_error")
"""What someone tries on what has ended."""

ANY: Final = sorted(
    {verb for one in (SUGGESTED, WALKED) for verbs in one.values() for verb in verbs}
)

CUSTOMER_VERBS: Final = (
    "identify",
    "confirm",
    "identify",
    "confirm",
    "block",
    "unblock",
    "add_member",
    "end_member",
    "propose_merge",
    "accept_merge",
    "reject_merge",
    "register_customer",
    "propose_correction",
    "accept_correction",
    "reject_correction",
    "grade",
    "change_profile",
)
PEOPLE_VERBS: Final = (
    "set_deputy",
    "set_deputy",
    "end_deputy",
    "merge_person",
    "deactivate",
    "appoint_again",
    "change_roles",
    "change_level",
    "assign",
    "hand_over",
    "register_person",
    "link_account",
    "unlink_account",
)
CATALOGUE_VERBS: Final = ("end_point", "add_point", "rename_point", "declare")
POLICY_STEPS: Final[dict[str, tuple[str, ...]]] = {
    "drafted": ("submit", "submit", "edit"),
    "submitted": ("approve_policy", "approve_policy", "send_back"),
    "approved": ("publish",),
    "published": ("draft", "draft", "retire"),
}
POLICY_NEXT: Final = {"drafted": "submit", "submitted": "approve_policy", "approved": "publish"}
