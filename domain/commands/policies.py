"""What may be asked of a policy: administrators write and publish, compliance agrees."""

from __future__ import annotations

from typing import Final, final

from domain import policies
from domain.duties import actor, require_administrator, require_any_role, require_role
from domain.events.policy import PolicyBody
from domain.staffing import candidates
from domain.values import Instant
from domain.view import Command, View

KIND_CLAIM: Final = "policy_kind"
"""One kind, one policy stream."""


class PolicyCommand(Command, frozen=True, kw_only=True):
    """A command on the policy of one kind."""

    policy: str

    @property
    def kind(self) -> str:
        return "policy"

    @property
    def stream_id(self) -> str:
        return self.policy


@final
class DraftPolicy(PolicyCommand, frozen=True, kw_only=True):
    """Begin a new version; `kind_claim` is the keyed hash of the kind."""

    body: PolicyBody
    kind_claim: bytes

    def decide(self, view: View) -> None:
        require_administrator(actor(view), view.at)
        known = view.policy(self.policy)
        view.record("policy", self.policy, policies.draft(known, body=self.body, act=view.act))
        if known is None:
            view.claim(KIND_CLAIM, self.kind_claim, self.policy)


@final
class EditPolicy(PolicyCommand, frozen=True, kw_only=True):
    """Let a draft say something else."""

    version: int
    body: PolicyBody

    def decide(self, view: View) -> None:
        require_administrator(actor(view), view.at)
        events = policies.edit(
            view.policy(self.policy),
            self.policy,
            version=self.version,
            body=self.body,
            act=view.act,
        )
        view.record("policy", self.policy, events)


@final
class SubmitPolicy(PolicyCommand, frozen=True, kw_only=True):
    """Hand a draft to compliance."""

    version: int

    def decide(self, view: View) -> None:
        require_administrator(actor(view), view.at)
        catalogue = view.catalogue()
        events = policies.submit(
            view.policy(self.policy),
            self.policy,
            version=self.version,
            declared=() if catalogue is None else tuple(catalogue.dimensions),
            act=view.act,
        )
        view.record("policy", self.policy, events)


@final
class SendBackPolicy(PolicyCommand, frozen=True, kw_only=True):
    """Send a submitted version back to draft; the reason comes with the circumstances."""

    version: int

    def decide(self, view: View) -> None:
        require_role(actor(view), "compliance", view.at)
        events = policies.send_back(
            view.policy(self.policy), self.policy, version=self.version, act=view.act
        )
        view.record("policy", self.policy, events)


@final
class ApprovePolicy(PolicyCommand, frozen=True, kw_only=True):
    """Agree to a submitted version."""

    version: int

    def decide(self, view: View) -> None:
        acting = actor(view)
        require_role(acting, "compliance", view.at)
        events = policies.approve(
            view.policy(self.policy),
            self.policy,
            version=self.version,
            actor=acting,
            same=view.same_person,
            act=view.act,
        )
        view.record("policy", self.policy, events)


@final
class PublishPolicy(PolicyCommand, frozen=True, kw_only=True):
    """Put an approved version in force, from now unless `from_` says otherwise.

    All staff are read: that the stages can be filled must still be so when it is written.
    """

    version: int
    from_: Instant | None = None

    def decide(self, view: View) -> None:
        require_administrator(actor(view), view.at)
        events = policies.publish(
            view.policy(self.policy),
            self.policy,
            version=self.version,
            from_=self.from_,
            people=candidates(view.all_staff(), view.same_person),
            act=view.act,
        )
        view.record("policy", self.policy, events)


@final
class RetirePolicy(PolicyCommand, frozen=True, kw_only=True):
    """Let no new request rest on a version."""

    version: int

    def decide(self, view: View) -> None:
        require_any_role(actor(view), ("administrator", "compliance"), view.at)
        events = policies.retire(
            view.policy(self.policy), self.policy, version=self.version, act=view.act
        )
        view.record("policy", self.policy, events)
