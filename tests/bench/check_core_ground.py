"""What `check_core` asks and of what: grants of many grantees, in force, ended and to come, and a
memory that has them.
"""

from __future__ import annotations

import random
import time
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Final, NamedTuple
from uuid import UUID

import msgspec

from domain.values import Instant
from projections.check_rows import CheckTail, Loaded
from projections.checks import Decision, Question
from projections.material import Gathered, PermissionRow, Right, Rows, subject
from projections.memory import Memory

TENANT: Final = "00000000-0000-7000-8000-000000000000"
ACTIONS: Final = ("sell", "display", "repair", "train")
TERRITORIES: Final = tuple(
    "/".join(("CN", f"{province}", f"{province}{city:02}")[:depth])
    for province in range(31, 51)
    for city in range(1, 11)
    for depth in (2, 3)
)
PRODUCTS: Final = tuple(
    "/".join(("tea", kind, f"{kind}-{grade}")[:depth])
    for kind in ("green", "black", "white", "dark", "oolong")
    for grade in range(1, 7)
    for depth in (1, 2, 3)
)
CHANNELS: Final = tuple(
    f"{channel}/{part}" if part else channel
    for channel in ("shop", "online", "fair")
    for part in ("", "own", "partner", "street")
)
SEED: Final = 20_261_122
EACH: Final = 10
"""Grants a grantee."""


class Grant(NamedTuple):
    """A permission: `begin` and `until` are its terms, clipped to when its grantee stands."""

    grantee: str
    id: str
    actions: tuple[str, ...]
    scope: dict[str, tuple[str, ...]]
    begin: Instant
    until: Instant


class Asked(NamedTuple):
    """A question in plain words, for every side to put into its own form beforehand."""

    subject: str
    action: str
    territory: str
    product: str
    channel: str


class Ground(NamedTuple):
    """Grants by grantee; when each grantee stands; and what is asked."""

    grants: dict[str, list[Grant]]
    standing: dict[str, tuple[Instant, Instant]]
    asked: list[Asked]

    def permissions(self) -> list[Grant]:
        """Return the grants as the peers hold them: their terms clipped to when the grantee stands,
        without those that leaves nothing of.
        """
        found: list[Grant] = []
        for grantee, grants in self.grants.items():
            since, until = self.standing[grantee]
            clipped = (
                grant._replace(begin=max(grant.begin, since), until=min(grant.until, until))
                for grant in grants
            )
            found += [grant for grant in clipped if grant.begin < grant.until]
        return found


def ground(grantees: int, questions: int) -> Ground:
    """Make ten grants for each grantee and questions of which about half are allowed."""
    chance = random.Random(SEED)
    today = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    grants: dict[str, list[Grant]] = {}
    standing: dict[str, tuple[Instant, Instant]] = {}
    for number in range(grantees):
        who = f"customer:{UUID(int=(0x7 << 76) | (0x2 << 62) | number)}"
        grants[who] = [_grant(chance, who, number * EACH + one, today) for one in range(EACH)]
        left = chance.random() < 0.05  # no longer a customer: nothing counts any more
        end = today - timedelta(days=5) if left else today + timedelta(days=2_000)
        standing[who] = (today - timedelta(days=1_000), end)
    everyone = list(grants)
    asked: list[Asked] = []
    for number in range(questions):
        who = everyone[number % grantees]
        grant = chance.choice(grants[who])
        if chance.random() < 0.85:  # within a grant's scope
            places = {name: _below(chance, paths) for name, paths in grant.scope.items()}
            action = chance.choice(grant.actions)
        else:
            places = {
                "territory": f"{chance.choice(TERRITORIES)}/x{chance.randrange(9)}",
                "product": chance.choice(PRODUCTS),
                "channel": chance.choice(CHANNELS),
            }
            action = chance.choice(ACTIONS)
        asked.append(Asked(who, action, **places))
    return Ground(grants, standing, asked)


def _grant(chance: random.Random, who: str, number: int, today: datetime) -> Grant:
    begin = today + timedelta(days=chance.choice((-400, -90, -30, -7, 30)))
    until = begin + timedelta(days=chance.choice((20, 365, 730)))
    scope = {
        "territory": tuple(sorted(set(chance.choices(TERRITORIES, k=2)))),
        "product": (chance.choice(("*", *PRODUCTS)),),
        "channel": tuple(sorted(set(chance.choices(CHANNELS, k=2)))),
    }
    actions = tuple(sorted(set(chance.choices(ACTIONS, k=2))))
    grant = str(UUID(int=(0x7 << 76) | (0x3 << 62) | number))
    return Grant(who, grant, actions, scope, begin, until)


def _below(chance: random.Random, patterns: Sequence[str]) -> str:
    pattern = chance.choice(patterns)
    if pattern == "*":
        return chance.choice(PRODUCTS)
    return pattern if chance.random() < 0.5 else f"{pattern}/x{chance.randrange(9)}"


# --- our own side ---------------------------------------------------------------------------------


def question(asked: Asked) -> Question:
    """Return a question as the routes make it."""
    return Question(
        tenant=TENANT,
        subject=asked.subject,
        action=asked.action,
        resource_type="territory",
        resource_id=asked.territory,
        properties={"product": asked.product, "channel": asked.channel},
        context={},
    )


class Stored:
    """The rows as the database would give them, with a head that stays where it is."""

    def __init__(self, of: Ground) -> None:
        self._of = of
        self._recorded_at = datetime.now(UTC) - timedelta(days=1)

    async def tail(self, tenant: str, after: int) -> CheckTail:
        """Return the head: nothing was touched."""
        return CheckTail(len(self._of.grants), self._recorded_at, "system", (1, 1, 1), (), {})

    async def load(
        self, tenant: str, subjects: Sequence[str], points: Sequence[str], as_of: int | None
    ) -> Loaded:
        """Return the rows of these subjects; the catalogue places no point."""
        position = len(self._of.grants)
        rows = Gathered(
            Rows(
                [_row(grant) for who in subjects for grant in self._of.grants[who]],
                [(who, *self._of.standing[who]) for who in subjects],
            )
        )
        return Loaded(
            position,
            self._recorded_at,
            "system",
            (1, 1, 1),
            {who: subject(who, position, rows, exists=True) for who in subjects},
            {point: {} for point in points},
            {},
        )

    async def gone(self, decision: Decision) -> tuple[Right, ...]:
        """Return no grants: none is without rows."""
        return ()

    async def position_at(self, tenant: str, at: Instant) -> int:
        """Return the head's position: nothing is asked of the past."""
        return len(self._of.grants)


def _row(grant: Grant) -> PermissionRow:
    return PermissionRow(
        grant.grantee,
        grant.id,
        f"G-{grant.id[-12:]}",
        "dealership",
        grant.actions,
        msgspec.Raw(msgspec.json.encode(grant.scope)),
        1,
        grant.begin,
        grant.until,
        "00000000-0000-7000-8000-000000000002",
        1,
        True,
        None,
        (),
        1,
    )


def memory(of: Ground) -> Memory:
    """Return a memory as the service makes it, over these rows."""
    return Memory(
        Stored(of), now=lambda: datetime.now(UTC), monotonic=time.monotonic, seconds=time.time
    )
