"""What was passed on from a grant that ended for good is revoked; what is only held or narrowed
above is felt at the check, and nothing is written down.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Final

from domain.errors import Refused
from domain.events.grant import GrantRevoked
from domain.grant_guards import Setting, require_status
from domain.grant_states import EFFECTIVE, ENDED, Grant, case_at, ends_of, status_at
from domain.grants import GrantEvent
from domain.policies import Policy
from domain.supervising import require_service
from domain.values import Instant, stamp

CAUSE: Final = "parent_ended"
"""The rule by which it is revoked, as events name it."""


def over_for_good(grant: Grant, policy: Policy | None, at: Instant) -> bool:
    """Tell whether nothing can bring a grant back: it ended early, or its term is over, so is the
    longest grace of its policy, and no renewal is open.
    """
    status = status_at(grant, at)
    if status != "expired":
        return status in ENDED
    ends_at = grant.ended_at or ends_of(grant)
    versions = () if policy is None else policy.versions.values()
    grace = timedelta(days=max((one.body.grace_days for one in versions), default=0))
    return case_at(grant, at) is None and (ends_at is None or ends_at + grace <= at)


def revoke_passed_on(
    grant: Grant, setting: Setting, *, parent: Grant | None, policy: Policy | None
) -> list[GrantEvent]:
    """End it now because the grant it was passed on from, which rests on `policy`, ended for good.

    Raises `Refused`: `role.missing`, `grant.state`, `grant.parent_not_over`.
    """
    require_service(setting)
    if status_at(grant, setting.at) == "revoked":
        return []
    require_status(grant, setting.at, EFFECTIVE)
    if parent is None or not over_for_good(parent, policy, setting.at):
        raise Refused("grant.parent_not_over", number=grant.number)
    return [
        GrantRevoked(
            **stamp(setting.act),
            origin="automatic",
            effective_at=setting.at,
            cause=CAUSE,
            parent=grant.terms.parent,
        )
    ]
