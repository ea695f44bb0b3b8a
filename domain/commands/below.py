"""What the timekeeper does to grants that were passed on."""

from __future__ import annotations

from typing import final

from domain.commands.grants import GrantCommand
from domain.parent_ended import revoke_passed_on
from domain.view import View


@final
class RevokePassedOn(GrantCommand, frozen=True, kw_only=True):
    """End it because the grant it was passed on from ended for good; that grant is a read, so that
    nothing is ended for one that was renewed at the same time.
    """

    def decide(self, view: View) -> None:
        grant = self.known(view)
        parent_id = grant.terms.parent
        parent = None if parent_id is None else view.grant(parent_id)
        policy = None
        if parent is not None and parent.policy.policy:
            policy = view.policy(parent.policy.policy)
        events = revoke_passed_on(grant, self.setting(view, grant), parent=parent, policy=policy)
        self.happen(view, events)
