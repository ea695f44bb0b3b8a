"""Events of a policy: one stream a kind, which holds all its versions; and the body of a
version."""

from __future__ import annotations

from typing import ClassVar, Literal

from domain.events.common import Event
from domain.values import Instant, Names, Value


class ActionRule(Value, frozen=True):
    """An action of the kind: `free` is granted without a stage, the others need approval."""

    action: str
    names: Names
    free: bool = False


class Identification(Value, frozen=True):
    """How well a customer must be known: as many passed checks over as many channels; good for
    `days` at most."""

    checks: int = 1
    channels: int = 1
    days: int = 365


class Verification(Value, frozen=True):
    """Which acts of checking a grant needs: kinds that must all be there, by how many independent
    people in all."""

    kinds: tuple[str, ...] = ()
    persons: int = 1


class Group(Value, frozen=True):
    """So many different people of this role (and of one of these levels, where named)."""

    role: str
    number: int = 1
    levels: tuple[str, ...] = ()


class Stage(Value, frozen=True):
    """A step of approval: all groups must agree; `lapse_days` after it opened it is over."""

    id: str
    names: Names
    groups: tuple[Group, ...]
    lapse_days: int = 30
    escalation: str | None = None
    may_narrow: bool = False


class Agreement(Value, frozen=True):
    """What is signed: the template's id, version and hash, and which parties sign (`grantee`,
    `tenant`)."""

    template: str
    version: str
    sha256: str
    signers: tuple[Literal["grantee", "tenant"], ...] = ("grantee",)
    lapse_days: int = 30


class ShareTemplate(Value, frozen=True):
    """What a share shows of a customer: field -> level; a field not named is not shown.

    `purposes` are the codes of what it may be asked for, `longest_days` its own bound on the term.
    """

    id: str
    names: Names
    fields: dict[str, Literal["none", "masked", "read", "edit"]]
    purposes: tuple[str, ...] = ()
    longest_days: int | None = None


class PolicyBody(Value, frozen=True):
    """Everything one version of a policy says; see `docs/glossary.md`.

    `verification` None means: no check is demanded. `no_approval_needed` says in words that a
    verified grant needs no stage. `sanctions` are codes with what each does. `grades` are those a
    customer must have one of, empty for any. `templates` are a share's."""

    kind: str
    names: Names
    dimensions: tuple[str, ...]
    actions: tuple[ActionRule, ...]
    identification: Identification = Identification()
    evidence: tuple[str, ...] = ()
    verification: Verification | None = None
    stages: tuple[Stage, ...] = ()
    no_approval_needed: bool = False
    agreement: Agreement | None = None
    longest_days: int = 366
    starts: Literal["fixed", "on_approval", "on_signature"] = "fixed"
    ends_with_evidence: bool = False
    submission_lapse_days: int = 30
    exclusive: bool = False
    review_days: int | None = None
    overdue_review: Literal["report", "suspend"] = "report"
    depth: int = 0
    sanctions: tuple[str, ...] = ()
    backdate_days: int = 0
    revocation_persons: Literal[1, 2] = 1
    provisional_days: int = 7
    grace_days: int = 0
    grades: tuple[str, ...] = ()
    templates: tuple[ShareTemplate, ...] = ()


class PolicyDrafted(Event, frozen=True):
    """A new version is being written; `version` counts from 1 in this stream."""

    name: ClassVar[str] = "policy.drafted.1"

    version: int
    body: PolicyBody


class PolicyEdited(Event, frozen=True):
    """The draft says this now."""

    name: ClassVar[str] = "policy.edited.1"

    version: int
    body: PolicyBody


class PolicySubmitted(Event, frozen=True):
    """The draft is complete and waits for compliance."""

    name: ClassVar[str] = "policy.submitted.1"

    version: int


class PolicySentBack(Event, frozen=True):
    """Back to draft, with a reason."""

    name: ClassVar[str] = "policy.sent_back.1"

    version: int


class PolicyApproved(Event, frozen=True):
    """Compliance agrees."""

    name: ClassVar[str] = "policy.approved.1"

    version: int


class PolicyPublished(Event, frozen=True):
    """In force from `from_` on, until a newer one's instant or its retirement."""

    name: ClassVar[str] = "policy.published.1"

    version: int
    from_: Instant


class PolicyRetired(Event, frozen=True):
    """No new request may rest on it; grants that do go on."""

    name: ClassVar[str] = "policy.retired.1"

    version: int
