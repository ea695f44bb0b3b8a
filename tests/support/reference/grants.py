"""A grant of the reference: what is known of one, and what the clock makes of that."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from tests.support.reference.people import Party

OPEN = ("submitted", "information_requested", "verifying", "pending_approval", "approved")
EFFECTIVE = ("scheduled", "active", "suspended")

Scope = dict[str, tuple[str, ...]]
Approval = tuple[str, int, frozenset[str]]
"""Stage, number of the group in it, the persons whose hands gave it."""


@dataclass(frozen=True)
class Terms:
    """`actions` and patterns sorted; either dates, or how many days from when it takes effect.

    The request's are number 1, those of each agreed renewal or amendment one more.
    """

    kind: str
    actions: tuple[str, ...]
    scope: Scope
    starts: datetime | None = None
    ends: datetime | None = None
    days: int | None = None
    number: int = 1


@dataclass(frozen=True)
class Effect:
    """Agreed terms and when they take effect; later ones rule from their start on."""

    starts: datetime
    ends: datetime
    terms: Terms
    version: int


@dataclass
class Case:
    """An open renewal or amendment; `effective` from when an amendment is to rule, None at once."""

    name: str
    kind: str
    grantee: Party
    version: int
    terms: Terms
    lapses: datetime
    askers: frozenset[str]
    hands: frozenset[str]
    effective: datetime | None = None
    state: str = "submitted"
    checks: list[tuple[str, frozenset[str]]] = field(default_factory=list[Any])
    approvals: list[Approval] = field(default_factory=list[Any])
    signatures: dict[str, frozenset[str]] = field(default_factory=dict[str, frozenset[str]])


@dataclass
class Hold:
    begins: datetime
    persons: frozenset[str]
    confirm_by: datetime | None
    ends: datetime | None = None

    def over(self) -> datetime | None:
        """When it ends, or falls because nobody confirmed it."""
        return min((one for one in (self.ends, self.confirm_by) if one), default=None)

    def suspends(self, at: datetime) -> bool:
        over = self.over()
        return self.begins <= at and (over is None or at < over)

    def open(self, at: datetime) -> bool:
        """Whether it suspends at `at`, or will until someone ends it."""
        over = self.over()
        return over is None or (self.ends is None and at < over)


@dataclass
class Revocation:
    """Asked for by the customer or proposed by staff, and waiting for a second person."""

    name: str
    origin: str
    asked: datetime
    effective: datetime | None
    persons: frozenset[str]


@dataclass
class Grant:
    """`state` is one of the open states, `effective`, or how it ended where a person ended it.

    `closed` says how each renewal or amendment ended; `error` is the proposal to mark it entered in
    error, and whose hands made it.
    """

    grantee: Party
    version: int
    terms: Terms
    lapses: datetime | None
    askers: frozenset[str]
    hands: frozenset[str]
    state: str = "submitted"
    checks: list[tuple[str, frozenset[str]]] = field(default_factory=list[Any])
    approvals: list[Approval] = field(default_factory=list[Any])
    signatures: dict[str, frozenset[str]] = field(default_factory=dict[str, frozenset[str]])
    effects: list[Effect] = field(default_factory=list[Effect])
    case: Case | None = None
    closed: dict[str, str] = field(default_factory=dict[str, str])
    successor: str = ""
    ended: datetime | None = None
    error: tuple[str, frozenset[str]] | None = None
    holds: dict[str, Hold] = field(default_factory=dict[str, Hold])
    revocation: Revocation | None = None
    revoked: datetime | None = None

    def lapse(self) -> datetime | None:
        """When the open step, or the term asked for, is over."""
        return min((one for one in (self.lapses, self.terms.ends) if one), default=None)

    def ends(self) -> datetime | None:
        """When the terms agreed on last end."""
        return self.effects[-1].ends if self.effects else None

    def ruling(self, at: datetime) -> Effect | None:
        """The agreed terms that rule at an instant, unless something stops them."""
        begun = [one for one in self.effects if one.starts <= at]
        return begun[-1] if begun and at < begun[-1].ends else None

    def case_lapse(self) -> datetime | None:
        """When the open case is over: its step, its asked term, the grant; not so for a renewal
        where only the term ended.
        """
        if self.case is None:
            return None
        found = [self.case.lapses, self.case.terms.ends, self.revoked]
        if self.case.kind == "amendment":
            found.append(self.ends())
        return min(one for one in found if one is not None)

    def open_case(self, at: datetime) -> Case | None:
        """The case that is open by the clock."""
        lapse = self.case_lapse()
        return None if lapse is None or lapse <= at else self.case

    def status(self, at: datetime) -> str:
        """The main state by the clock, at or after the last command."""
        if self.state in OPEN:
            lapse = self.lapse()
            return "lapsed" if lapse is not None and lapse <= at else self.state
        ends = self.ends()
        if self.state != "effective" or ends is None:
            return self.state
        if self.revoked is not None and self.revoked <= at:
            return "revoked"
        if ends <= at:
            return "expired"
        if any(hold.open(at) for hold in self.holds.values()):
            return "suspended"
        return "active" if self.ruling(at) else "scheduled"

    def in_force(self, at: datetime) -> bool:
        """Whether the terms hold at any instant, as far as the grant alone can tell."""
        if self.state == "entered_in_error" or self.ruling(at) is None:
            return False
        if any(one is not None and one <= at for one in (self.revoked, self.ended)):
            return False
        return not any(hold.suspends(at) for hold in self.holds.values())

    def deadlines(self) -> list[datetime]:
        """Every instant at which the clock changes something."""
        holds = [hold.over() for hold in self.holds.values()]
        effects = [at for one in self.effects for at in (one.starts, one.ends)]
        found = [*effects, self.revoked, *holds, self.case_lapse()]
        if self.state in OPEN:
            found.append(self.lapse())
        return [one for one in found if one is not None]


def covers(scope: Scope, point: dict[str, str]) -> bool:
    """Whether every dimension of the scope is named by the point, and covered there."""
    return all(
        any(
            pattern == "*" or f"{point.get(dimension, '')}/".startswith(f"{pattern}/")
            for pattern in patterns
        )
        and dimension in point
        for dimension, patterns in scope.items()
    )


def normal(scope: Scope) -> Scope:
    """Patterns sorted, without those that another one of them covers."""
    return {
        dimension: tuple(
            sorted(
                one
                for one in set(patterns)
                if one == "*"
                or not any(
                    other != one and covers({dimension: (other,)}, {dimension: one})
                    for other in patterns
                )
            )
        )
        for dimension, patterns in scope.items()
    }


def instant(at: datetime) -> str:
    """RFC 3339 in UTC, with as many digits as it has."""
    return at.isoformat().replace("+00:00", "Z")


def digest(agreement: dict[str, Any], terms: Terms) -> str:
    """What is signed: SHA-256 of template, version, its hash, terms, each length-prefixed."""
    term = {
        name: instant(value) if isinstance(value, datetime) else value
        for name, value in (
            ("starts_at", terms.starts),
            ("ends_at", terms.ends),
            ("days", terms.days),
        )
        if value is not None
    }
    number = {} if terms.number == 1 else {"number": terms.number}
    document = {
        **number,
        "kind": terms.kind,
        "actions": terms.actions,
        "scope": terms.scope,
        "term": term,
    }
    parts = (
        *(agreement[name].encode() for name in ("template", "version", "sha256")),
        json.dumps(document, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode(),
    )
    framed = b"".join(len(part).to_bytes(4, "big") + part for part in parts)
    return hashlib.sha256(framed).hexdigest()
