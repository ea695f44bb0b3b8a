"""A policy: one kind's rules, version by version; drafted, approved by another hand, published from
an instant.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Final, Literal

import msgspec
from msgspec.structs import replace

from domain.codes import require_code
from domain.duties import Actor, Same, require_fresh, require_reason
from domain.errors import Impossible, Refused
from domain.events.policy import (
    PolicyApproved,
    PolicyBody,
    PolicyDrafted,
    PolicyEdited,
    PolicyPublished,
    PolicyRetired,
    PolicySentBack,
    PolicySubmitted,
)
from domain.folding import disorder, hands_of
from domain.policy_bodies import require_complete
from domain.staffing import Candidate, unstaffable
from domain.values import Act, Instant, stamp

PolicyEvent = (
    PolicyDrafted
    | PolicyEdited
    | PolicySubmitted
    | PolicySentBack
    | PolicyApproved
    | PolicyPublished
    | PolicyRetired
)
Recorded = Literal["drafted", "submitted", "approved", "published", "retired"]
Status = Literal["drafted", "submitted", "approved", "published", "superseded", "retired"]


MAX_VERSIONS: Final = 1_000
"""Most versions one kind's policy ever has."""


class PolicyVersion(msgspec.Struct, frozen=True, gc=False, rename={"from_": "from"}):
    """One version: `status` as recorded; `authors` the persons who drafted or edited it; in force
    from `from_`.
    """

    number: int
    body: PolicyBody
    status: Recorded = "drafted"
    authors: frozenset[str] = frozenset()
    from_: Instant | None = None
    retired_at: Instant | None = None


class Policy(msgspec.Struct, frozen=True, gc=False):
    """State folded from one stream: a kind and its versions by number. `status` is the newest
    version's.
    """

    kind: str
    versions: Mapping[int, PolicyVersion] = {}
    irregular: bool = False

    @property
    def newest(self) -> int:
        """The highest number given so far; 0 where none is."""
        return max(self.versions, default=0)

    @property
    def status(self) -> Recorded:
        return self.versions[self.newest].status if self.versions else "drafted"


def status_at(policy: Policy, version: int, at: Instant) -> Status:
    """Return a version's status by the clock: superseded from the instant of a newer published one
    on.

    Raises `KeyError` for a number never given.
    """
    found = policy.versions[version]
    if found.status == "published" and _superseded_at(policy, version, at):
        return "superseded"
    return found.status


def in_force(policy: Policy, at: Instant) -> PolicyVersion | None:
    """Return the one version new requests rest on at `at`, or None: not begun, retired, or never
    published.
    """
    begun = [number for number in policy.versions if _has_begun(policy.versions[number], at)]
    if not begun:
        return None
    newest = policy.versions[max(begun)]
    return newest if newest.retired_at is None or at < newest.retired_at else None


def _has_begun(version: PolicyVersion, at: Instant) -> bool:
    """Tell whether its instant has come; one retired before its instant never began, and supersedes
    nothing.
    """
    if version.from_ is None or at < version.from_:
        return False
    return version.retired_at is None or version.from_ < version.retired_at


def _superseded_at(policy: Policy, version: int, at: Instant) -> bool:
    return any(number > version and _has_begun(one, at) for number, one in policy.versions.items())


def evolve(policy: Policy | None, event: PolicyEvent) -> Policy:
    """Return the state after `event`. Raises `Impossible` on an order no verb emits."""
    odd = disorder(_expected(policy, event), event, policy)
    known = policy or Policy(event.body.kind if isinstance(event, PolicyDrafted) else "")
    version = _after(known.versions.get(event.version), event)
    after = known if version is None else _with_version(known, version)
    return replace(after, irregular=True) if odd else after


def _with_version(policy: Policy, version: PolicyVersion) -> Policy:
    kind = policy.kind or version.body.kind
    return replace(policy, kind=kind, versions={**policy.versions, version.number: version})


def _expected(policy: Policy | None, event: PolicyEvent) -> bool:
    if isinstance(event, PolicyDrafted):
        return event.version == (1 if policy is None else policy.newest + 1)
    if policy is None or event.version not in policy.versions:
        return False
    status = status_at(policy, event.version, event.at)
    match event:
        case PolicyEdited() | PolicySubmitted():
            return status == "drafted"
        case PolicySentBack() | PolicyApproved():
            return status == "submitted"
        case PolicyPublished():
            return status == "approved"
        case PolicyRetired():
            return status == "published"


def _after(version: PolicyVersion | None, event: PolicyEvent) -> PolicyVersion | None:
    """Return the version after the event; None where it speaks of a version that nothing says
    anything of.
    """
    if isinstance(event, PolicyDrafted | PolicyEdited):
        known = version or PolicyVersion(event.version, event.body)
        status = "drafted" if isinstance(event, PolicyDrafted) else known.status
        authors = known.authors | hands_of(event)
        return replace(known, body=event.body, status=status, authors=authors)
    if version is None:
        return None
    match event:
        case PolicySubmitted():
            return replace(version, status="submitted")
        case PolicySentBack():
            return replace(version, status="drafted")
        case PolicyApproved():
            return replace(version, status="approved")
        case PolicyPublished():
            return replace(version, status="published", from_=event.from_)
        case PolicyRetired():
            return replace(version, status="retired", retired_at=event.at)
        case _:  # pyright: ignore[reportUnnecessaryComparison]
            raise Impossible(event, version)


def require_known(policy: Policy | None, policy_id: str) -> Policy:
    """Refuse with `policy.unknown` what was never drafted."""
    if policy is None:
        raise Refused("policy.unknown", policy=policy_id)
    return policy


def require_version(policy: Policy | None, policy_id: str, version: int) -> PolicyVersion:
    """Refuse with `policy.unknown` or `policy.version_unknown` what was never drafted."""
    found = require_known(policy, policy_id).versions.get(version)
    if found is None:
        raise Refused("policy.version_unknown", policy=policy_id, version=version)
    return found


def require_status(policy: Policy, version: int, wanted: Status, at: Instant) -> None:
    """Refuse with `policy.state` a version that is not `wanted` by the clock."""
    status = status_at(policy, version, at)
    if status != wanted:
        raise Refused("policy.state", version=version, state=status)


def require_another_than_authors(version: PolicyVersion, actor: Actor, same: Same) -> None:
    """Refuse with `duties.not_separate` whoever wrote the version they would approve."""
    require_fresh(actor, version.authors, same)


def require_in_force(policy: Policy, policy_id: str, at: Instant) -> PolicyVersion:
    """Refuse with `policy.not_in_force` where no version is in force at that instant."""
    found = in_force(policy, at)
    if found is None:
        raise Refused("policy.not_in_force", policy=policy_id)
    return found


def require_kind(policy: Policy | None, body: PolicyBody) -> None:
    """Refuse with `policy.kind_changed` a body of another kind: the stream is one kind's."""
    if policy is not None and policy.kind != body.kind:
        raise Refused("policy.kind_changed", kind=policy.kind)


def require_newest(policy: Policy, version: int, from_: Instant) -> None:
    """Refuse with `policy.newer_published` what a newer version would supersede from the start."""
    if _superseded_at(policy, version, from_):
        raise Refused("policy.newer_published", version=version)


def require_same_exclusiveness(policy: Policy, body: PolicyBody) -> None:
    """Refuse with `policy.exclusive_changed` to make a kind exclusive, or no longer so, once grants
    may rest on it: those before would stand where nobody looks for them.
    """
    for number, version in sorted(policy.versions.items()):
        from_, retired_at = version.from_, version.retired_at
        begun = from_ is not None and (retired_at is None or from_ < retired_at)
        if begun and version.body.exclusive != body.exclusive:
            raise Refused("policy.exclusive_changed", version=number)


def require_staffable(body: PolicyBody, people: Sequence[Candidate]) -> None:
    """Refuse with `policy.stage_unstaffable` stages that some requester would leave unfilled."""
    gap = unstaffable(body.stages, people)
    if gap is not None:
        raise Refused(
            "policy.stage_unstaffable",
            stage=gap.stage,
            role=gap.role,
            needed=gap.needed,
            found=gap.found,
        )


def draft(policy: Policy | None, *, body: PolicyBody, act: Act) -> list[PolicyEvent]:
    """Begin a new version; the first one begins the policy of its kind.

    Raises `Refused`: `code.malformed`, `policy.kind_changed`, `policy.too_many_versions`.
    """
    require_code("kind", body.kind)
    require_kind(policy, body)
    newest = 0 if policy is None else policy.newest
    if policy is not None:
        latest = policy.versions[newest]
        if latest.status == "drafted" and latest.body == body:
            return []
    if newest >= MAX_VERSIONS:
        raise Refused("policy.too_many_versions", limit=MAX_VERSIONS)
    return [PolicyDrafted(**stamp(act), version=newest + 1, body=body)]


def edit(
    policy: Policy | None, policy_id: str, *, version: int, body: PolicyBody, act: Act
) -> list[PolicyEvent]:
    """Let the draft say `body`.

    Raises `Refused`: `policy.unknown`, `policy.version_unknown`, `policy.state`,
    `policy.kind_changed`.
    """
    found = require_version(policy, policy_id, version)
    known = require_known(policy, policy_id)
    require_status(known, version, "drafted", act.at)
    require_kind(known, body)
    return [] if found.body == body else [PolicyEdited(**stamp(act), version=version, body=body)]


def submit(
    policy: Policy | None, policy_id: str, *, version: int, declared: Collection[str], act: Act
) -> list[PolicyEvent]:
    """Hand a complete draft to compliance; `declared` are the catalogue's dimensions.

    Raises `Refused`: `policy.unknown`, `policy.version_unknown`, `policy.state`,
    `policy.incomplete`.
    """
    found = require_version(policy, policy_id, version)
    known = require_known(policy, policy_id)
    if found.status == "submitted":
        return []
    require_status(known, version, "drafted", act.at)
    require_complete(found.body, declared)
    return [PolicySubmitted(**stamp(act), version=version)]


def send_back(
    policy: Policy | None, policy_id: str, *, version: int, act: Act
) -> list[PolicyEvent]:
    """Send a submitted version back to draft, with a reason.

    Raises `Refused`: `policy.unknown`, `policy.version_unknown`, `policy.state`, `reason.missing`.
    """
    require_version(policy, policy_id, version)
    require_status(require_known(policy, policy_id), version, "submitted", act.at)
    require_reason(act)
    return [PolicySentBack(**stamp(act), version=version)]


def approve(
    policy: Policy | None, policy_id: str, *, version: int, actor: Actor, same: Same, act: Act
) -> list[PolicyEvent]:
    """Agree to a submitted version; never who wrote it.

    Raises `Refused`: `policy.unknown`, `policy.version_unknown`, `policy.state`,
    `duties.not_separate`.
    """
    found = require_version(policy, policy_id, version)
    if found.status == "approved":
        return []
    require_status(require_known(policy, policy_id), version, "submitted", act.at)
    require_another_than_authors(found, actor, same)
    return [PolicyApproved(**stamp(act), version=version)]


def publish(
    policy: Policy | None,
    policy_id: str,
    *,
    version: int,
    from_: Instant | None = None,
    people: Sequence[Candidate],
    act: Act,
) -> list[PolicyEvent]:
    """Put an approved version in force from an instant, now unless said otherwise.

    `people` are the staff in standing. Raises `Refused`: `policy.unknown`,
    `policy.version_unknown`, `policy.state`, `policy.from_in_past`, `policy.newer_published`,
    `policy.exclusive_changed`, `policy.stage_unstaffable`.
    """
    found = require_version(policy, policy_id, version)
    known = require_known(policy, policy_id)
    if found.status == "published" and from_ == found.from_:
        return []
    require_status(known, version, "approved", act.at)
    instant = act.at if from_ is None else from_
    if instant < act.at:
        raise Refused("policy.from_in_past", version=version, from_=instant)
    require_newest(known, version, instant)
    require_same_exclusiveness(known, found.body)
    require_staffable(found.body, people)
    return [PolicyPublished(**stamp(act), version=version, from_=instant)]


def retire(policy: Policy | None, policy_id: str, *, version: int, act: Act) -> list[PolicyEvent]:
    """Let no new request rest on a published version, at once; grants that do go on.

    Raises `Refused`: `policy.unknown`, `policy.version_unknown`, `policy.state`.
    """
    found = require_version(policy, policy_id, version)
    if found.status == "retired":
        return []
    require_status(require_known(policy, policy_id), version, "published", act.at)
    return [PolicyRetired(**stamp(act), version=version)]
