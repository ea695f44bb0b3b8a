"""Policies of the reference: versions of one kind, from draft to retirement, one in force."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from tests.support.reference.answers import NO_NEWS, Answer, failing, happened
from tests.support.reference.catalogue import Catalogue
from tests.support.reference.people import Hands

Body = dict[str, Any]
"""A policy's body as it is sent: JSON."""


@dataclass
class Version:
    body: Body
    status: str = "drafted"
    authors: frozenset[str] = frozenset()
    begins: datetime | None = None
    retired: datetime | None = None

    def begun(self, at: datetime) -> bool:
        """Whether its instant has come; one retired before never begins."""
        if self.begins is None or at < self.begins:
            return False
        return self.retired is None or self.begins < self.retired


@dataclass
class Policy:
    """`versions[0]` is number 1."""

    versions: list[Version] = field(default_factory=list[Version])

    def begun(self, at: datetime) -> int:
        """The newest version whose instant has come; 0 for none."""
        numbers = range(len(self.versions), 0, -1)
        return next((one for one in numbers if self.versions[one - 1].begun(at)), 0)


class Policies(Catalogue):
    """Policies by kind."""

    def __init__(self, now: datetime) -> None:
        super().__init__(now)
        self.policies: dict[str, Policy] = {}

    def version_status(self, kind: str, number: int, at: datetime) -> str:
        """The status of a version by the clock."""
        policy = self.policies[kind]
        status = policy.versions[number - 1].status
        return "superseded" if status == "published" and policy.begun(at) > number else status

    def version_in_force(self, kind: str) -> int:
        """The version that new requests rest on now; 0 where there is none."""
        policy = self.policies[kind]
        number = policy.begun(self.now)
        return number if number and policy.versions[number - 1].retired is None else 0

    def draft(self, who: Hands, *, kind: str, body: Body) -> Answer:
        if refused := failing(("role.missing", not self.has(who, "administrator"))):
            return refused
        policy = self.policies.setdefault(kind, Policy())
        if policy.versions:
            newest = policy.versions[-1]
            if newest.status == "drafted" and newest.body == body:
                return NO_NEWS
        policy.versions.append(Version(body, authors=who.persons))
        return happened("policy.drafted")

    def _version(
        self, kind: str, number: int, wanted: str, role_missing: bool
    ) -> tuple[Version, Answer | None]:
        """A version that has to be `wanted` by the clock."""
        refused = failing(
            ("role.missing", role_missing),
            ("policy.state", self.version_status(kind, number, self.now) != wanted),
        )
        return self.policies[kind].versions[number - 1], refused

    def edit(self, who: Hands, *, kind: str, number: int, body: Body) -> Answer:
        missing = not self.has(who, "administrator")
        version, refused = self._version(kind, number, "drafted", missing)
        if refused:
            return refused
        if version.body == body:
            return NO_NEWS
        version.body = body
        version.authors |= who.persons
        return happened("policy.edited")

    def submit(self, who: Hands, *, kind: str, number: int) -> Answer:
        missing = not self.has(who, "administrator")
        version, refused = self._version(kind, number, "drafted", missing)
        if version.status == "submitted" and not missing:
            return NO_NEWS
        if refused := refused or failing(("policy.incomplete", self._incomplete(version.body))):
            return refused
        version.status = "submitted"
        return happened("policy.submitted")

    def _incomplete(self, body: Body) -> bool:
        """A dimension nobody declared, or actions that need approval and nobody who gives it."""
        needs = not all(rule["free"] for rule in body["actions"])
        unstaged = needs and not body["stages"] and not body["no_approval_needed"]
        return unstaged or not self.dimensions.keys() >= set(body["dimensions"])

    def send_back(self, who: Hands, *, kind: str, number: int, reason: bool) -> Answer:
        missing = not self.has(who, "compliance")
        version, refused = self._version(kind, number, "submitted", missing)
        if refused := refused or failing(("reason.missing", not reason)):
            return refused
        version.status = "drafted"
        return happened("policy.sent_back")

    def approve_policy(self, who: Hands, *, kind: str, number: int) -> Answer:
        missing = not self.has(who, "compliance")
        version, refused = self._version(kind, number, "submitted", missing)
        if version.status == "approved" and not missing:
            return NO_NEWS
        if refused := refused or failing(*self.apart(who, version.authors)):
            return refused
        version.status = "approved"
        return happened("policy.approved")

    def publish(self, who: Hands, *, kind: str, number: int, begins: datetime | None) -> Answer:
        missing = not self.has(who, "administrator")
        version, refused = self._version(kind, number, "approved", missing)
        if version.status == "published" and version.begins == begins and not missing:
            return NO_NEWS
        if refused:
            return refused
        instant = begins or self.now
        if refused := failing(
            ("policy.from_in_past", instant < self.now),
            ("policy.newer_published", self.policies[kind].begun(instant) > number),
            ("policy.stage_unstaffable", not self._staffable(version.body)),
        ):
            return refused
        version.status, version.begins = "published", instant
        return happened("policy.published")

    def _staffable(self, body: Body) -> bool:
        """Whether all places can be filled with different people, whoever asks."""
        here = [one for one in self.staff.values() if one.appointed]
        places = [
            {self.same(one.person) for one in here if eligible(group, one.roles, one.level)}
            for stage in body["stages"]
            for group in stage["groups"]
            for _ in range(group["number"])
        ]
        people = {self.same(one.person) for one in here}
        return all(_fill([place - {asking} for place in places]) for asking in (*people, ""))

    def retire(self, who: Hands, *, kind: str, number: int) -> Answer:
        missing = not self.has(who, "administrator", "compliance")
        version, refused = self._version(kind, number, "published", missing)
        if version.status == "retired" and not missing:
            return NO_NEWS
        if refused:
            return refused
        version.status, version.retired = "retired", self.now
        return happened("policy.retired")


def eligible(group: dict[str, Any], roles: frozenset[str], level: str) -> bool:
    """Whether someone of these roles and this level may approve in a group."""
    return group["role"] in roles and (not group["levels"] or level in group["levels"])


def _fill(places: Sequence[set[str]]) -> bool:
    """Whether each place gets someone of its own: every way is tried."""
    if not places:
        return True
    first, rest = places[0], places[1:]
    return any(_fill([place - {one} for place in rest]) for one in sorted(first))
