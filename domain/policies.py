"""A policy: one kind's rules, version by version; drafted, approved by another hand, published from
an instant.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

import msgspec
from msgspec.structs import replace

from domain.errors import Impossible
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
from domain.values import Instant

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


class PolicyVersion(msgspec.Struct, frozen=True):
    """One version: `status` as recorded; `authors` the persons who drafted or edited it; in force
    from `from_`.
    """

    number: int
    body: PolicyBody
    status: Recorded = "drafted"
    authors: frozenset[str] = frozenset()
    from_: Instant | None = None
    retired_at: Instant | None = None


class Policy(msgspec.Struct, frozen=True):
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
