"""What a diff is asked and what it answers: differences of permissions, of effect, of cases."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Literal, NamedTuple

import msgspec

from domain.events import Event
from domain.scopes import Piece
from domain.values import Instant, Scope
from replay.sources import Stored

By = Literal["known", "valid", "happened"]

Why = Literal[
    "start",
    "terms",
    "resumed",
    "hold_over",
    "standing_again",
    "above_again",
    "end",
    "ended",
    "suspended",
    "revoked",
    "error",
    "standing",
    "above",
    "above_changed",
]
"""Why something came into force, went out of it, or changed at an instant.

`start`: its start was reached; `terms`: later terms began; `resumed`: a hold was lifted;
`hold_over`: a provisional hold fell; `standing_again`: the grantee stands again; `above_again`: a
grant above is in force again; `end`: its term was over; `ended`: it was ended (superseded,
expired); `suspended`, `revoked`; `error`: it was entered in error; `standing`: the grantee stood
no longer; `above`: a grant above went out of force; `above_changed`: a grant above allows other
things.
"""


class Asked(msgspec.Struct, frozen=True, kw_only=True):
    """A question. `known`: two positions, one and the same unless asked by what was known; `at`:
    two instants. `exactly`: by what was known, only what is allowed at these counts.

    `grant` and `customer` are ids, `kind` a kind of grant: nothing else is looked at.
    """

    by: By
    known: tuple[int, int]
    at: tuple[Instant, Instant]
    exactly: bool = False
    grant: str | None = None
    customer: str | None = None
    kind: str | None = None


class Right(msgspec.Struct, frozen=True):
    """These terms allow something during `[valid_from, valid_to)`, an open end None: the grant's
    own stream says so, its grantee stands, and so it is with all grants above.

    `actions` and `scope` are what the grants above leave of them.
    """

    terms: int
    valid_from: Instant
    valid_to: Instant | None
    actions: tuple[str, ...]
    scope: Scope
    policy: str | None
    policy_version: int
    parent: str | None

    def says(self, other: Right) -> bool:
        """Whether it allows the same, whatever the instants."""
        return self.content == other.content

    def holds(self, at: Instant) -> bool:
        """Whether it allows something at that instant."""
        return self.valid_from <= at and (self.valid_to is None or at < self.valid_to)

    @property
    def content(self) -> tuple[object, ...]:
        """What it allows, and on what it rests, without the instants."""
        policy = self.policy, self.policy_version
        return self.terms, self.actions, self.scope, policy, self.parent


Rights = tuple[Right, ...]
"""Of one grant, in the order of their instants; none overlap, none that touch say the same."""


class Act(NamedTuple):
    """An event that made a difference."""

    stored: Stored
    event: Event


class About(msgspec.Struct, frozen=True):
    """Which grant a difference is about; `grantee` is a party's ref."""

    grant: str
    number: str
    grantee: str
    kind: str


class PermissionChange(msgspec.Struct, frozen=True):
    """What we hold of a grant at two positions, where that differs.

    `appeared`: it allows something at or after the instant, and by what was known before it did
    not; `ended`: the reverse; `changed`: both, or neither and its past is another. `in_force` tells
    whether it was, at the instant of each side. `gained` and `lost` are the points that the
    actions' scopes cover on one side alone.
    """

    about: About
    change: Literal["appeared", "ended", "changed"]
    in_force: tuple[bool, bool]
    before: Rights
    after: Rights
    gained: tuple[Piece, ...]
    lost: tuple[Piece, ...]
    acts: tuple[Act, ...]


class Turn(msgspec.Struct, frozen=True):
    """At an instant it came into force, went out of it, or other terms began; `above` is the grant
    above that made it so, `act` the event that set the instant.
    """

    at: Instant
    before: Right | None
    after: Right | None
    why: Why
    hold: str | None = None
    above: About | None = None
    act: Act | None = None


class EffectChange(msgspec.Struct, frozen=True):
    """A grant that was not in force all the while between two instants, or not by the same terms.

    `meanwhile`: at the second instant it is as at the first one.
    """

    about: About
    change: Literal["came", "went", "changed", "meanwhile"]
    before: Right | None
    after: Right | None
    turns: tuple[Turn, ...]


class CaseChange(msgspec.Struct, frozen=True):
    """Acts that took place on a grant between two instants, and its state at each of them, None
    where nothing had happened yet; in the order in which they happened.
    """

    about: About
    before: str | None
    after: str | None
    acts: tuple[Act, ...]


Difference = PermissionChange | EffectChange | CaseChange


class Tally(msgspec.Struct):
    """What was counted on the way; complete once all differences were taken.

    `looked_at`: grants; `states`: of each grant by what had happened, the state at the first and
    the second instant, None before anything; `acts`: by stored name without its version;
    `unreadable`: streams that cannot be folded, with the position where.
    """

    looked_at: int = 0
    changes: Counter[str] = msgspec.field(default_factory=Counter[str])
    states: Counter[tuple[str | None, str | None]] = msgspec.field(
        default_factory=Counter[tuple[str | None, str | None]]
    )
    acts: Counter[str] = msgspec.field(default_factory=Counter[str])
    unreadable: dict[str, int] = msgspec.field(default_factory=dict[str, int])

    def at(self, side: Literal[0, 1]) -> Mapping[str, int]:
        """Return how many grants were in each state at the first or the second instant."""
        found: Counter[str] = Counter()
        for pair, number in self.states.items():
            state = pair[side]
            if state is not None:
                found[state] += number
        return dict(sorted(found.items()))
