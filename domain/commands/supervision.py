"""What may be asked of a grant in effect, and what the timekeeper writes down."""

from __future__ import annotations

from domain import duties, grant_clock, supervising
from domain.commands.grants import GrantCommand
from domain.grantees import grantee_of
from domain.values import Instant
from domain.view import View


class SuspendGrant(GrantCommand, frozen=True, kw_only=True):
    """Hold it for one reason more; `hold` is the new hold's id, from the edge."""

    hold: str
    provisional: bool = False

    def decide(self, view: View) -> None:
        grant = self.known(view)
        setting = self.setting(view, grant)
        events = supervising.suspend(grant, setting, hold=self.hold, provisional=self.provisional)
        self.happen(view, events)


class ConfirmSuspension(GrantCommand, frozen=True, kw_only=True):
    """Stand behind a provisional hold as the second person."""

    hold: str

    def decide(self, view: View) -> None:
        grant = self.known(view)
        setting = self.setting(view, grant)
        self.happen(view, supervising.confirm_suspension(grant, setting, hold=self.hold))


class ResumeGrant(GrantCommand, frozen=True, kw_only=True):
    """End one hold because its cause is cleared."""

    hold: str

    def decide(self, view: View) -> None:
        grant = self.known(view)
        self.happen(view, supervising.resume(grant, self.setting(view, grant), hold=self.hold))


class RequestRevocation(GrantCommand, frozen=True, kw_only=True):
    """Ask, for the grantee, to end it; `case` is the new case's id, from the edge."""

    case: str

    def decide(self, view: View) -> None:
        grant = self.known(view)
        setting = self.setting(view, grant)
        self.happen(view, supervising.request_revocation(grant, setting, case=self.case))


class ConfirmRevocation(GrantCommand, frozen=True, kw_only=True):
    """Confirm, as another person, what the customer asked for or staff proposed."""

    case: str

    def decide(self, view: View) -> None:
        grant = self.known(view)
        setting = self.setting(view, grant)
        self.happen(view, supervising.confirm_revocation(grant, setting, case=self.case))


class CancelRevocation(GrantCommand, frozen=True, kw_only=True):
    """Call an unconfirmed revocation off."""

    case: str

    def decide(self, view: View) -> None:
        grant = self.known(view)
        setting = self.setting(view, grant)
        self.happen(view, supervising.cancel_revocation(grant, setting, case=self.case))


class RevokeGrant(GrantCommand, frozen=True, kw_only=True):
    """End it as staff, from `effective_at` (None: now).

    `case` is the id, from the edge, of the case that a second person confirms where policy asks.
    """

    case: str
    effective_at: Instant | None = None

    def decide(self, view: View) -> None:
        grant = self.known(view)
        events = supervising.revoke(
            grant, self.setting(view, grant), case=self.case, effective_at=self.effective_at
        )
        self.happen(view, events)


class RevokeByRule(GrantCommand, frozen=True, kw_only=True):
    """End it now because a rule says so; `cause` is the rule's code."""

    cause: str

    def decide(self, view: View) -> None:
        grant = self.known(view)
        setting = self.setting(view, grant)
        self.happen(view, supervising.revoke_by_rule(grant, setting, cause=self.cause))


class RecordGrantLapse(GrantCommand, frozen=True, kw_only=True):
    """Write down that the open step's time, or the asked term, ran out."""

    def decide(self, view: View) -> None:
        grant = self.known(view)
        self.happen(view, grant_clock.record_lapse(grant, duties.actor(view), view.act))


class RecordActivation(GrantCommand, frozen=True, kw_only=True):
    """Write down that the start was reached."""

    def decide(self, view: View) -> None:
        grant = self.known(view)
        grantee = grantee_of(view, grant.grantee)
        actor = duties.actor(view)
        self.happen(view, grant_clock.record_activation(grant, grantee, actor, view.act))


class RecordExpiry(GrantCommand, frozen=True, kw_only=True):
    """Write down that the term ended."""

    def decide(self, view: View) -> None:
        grant = self.known(view)
        self.happen(view, grant_clock.record_expiry(grant, duties.actor(view), view.act))


class RecordSuspensionLapse(GrantCommand, frozen=True, kw_only=True):
    """Write down that a provisional hold fell because nobody confirmed it."""

    hold: str

    def decide(self, view: View) -> None:
        grant = self.known(view)
        actor = duties.actor(view)
        events = grant_clock.record_suspension_lapse(grant, actor, view.act, hold=self.hold)
        self.happen(view, events)
