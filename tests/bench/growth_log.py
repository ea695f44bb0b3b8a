"""The log that `growth` reads: a village of customers as real commands made it, written again and
again behind it, so that one tenant's log gets longer and longer.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from typing import Any, Final, NamedTuple

import psycopg
from psycopg import sql

from api.provisioning import Database
from domain.commands.customers import ConfirmCustomer, RecordIdentityCheck, RegisterCustomer
from domain.commands.grants import ApproveStage, RecordCheck, RequestGrant
from domain.commands.supervision import ResumeGrant, SuspendGrant
from domain.view import Command
from projections.tables import TABLES
from replay.rebuild import rebuild
from replay.rebuild_plan import connect, drop
from tests.bench.logs import Copied, lengthen, owner
from tests.support.ledger import new_id
from tests.support.world import World, hashed

LARGE: Final = 2
"""Customers with many grants."""

HELD: Final = 3
"""How often a grant that was held was suspended and, but for the last time, resumed."""

SEED: Final = 6

CLAIMS: Final = (
    "INSERT INTO claims (tenant_id, kind, keyed_hash, stream_id)"
    " SELECT tenant_id, split_part(type, '.', 1), sha256(stream_id::text::bytea), stream_id"
    " FROM events WHERE tenant_id = %s AND position > %s AND version = 1"
)
COMMANDS: Final = (
    "INSERT INTO commands (tenant_id, caller, key, fingerprint, first_position, count, outcome)"
    " SELECT k.tenant_id, k.caller, e.command_id::text, k.fingerprint, min(e.position), count(*),"
    " k.outcome FROM events e, (SELECT * FROM commands WHERE tenant_id = %s LIMIT 1) k"
    " WHERE e.tenant_id = k.tenant_id AND e.position > %s"
    " GROUP BY k.tenant_id, k.caller, e.command_id, k.fingerprint, k.outcome"
)
TRUNCATE: Final = sql.SQL("TRUNCATE {}").format(
    sql.SQL(", ").join(sql.Identifier(name) for name in TABLES)
)


class Village(NamedTuple):
    """Streams of the original by what became of them; `customers` has those with one grant in
    force, `large` those with many.
    """

    large: tuple[str, ...]
    customers: tuple[str, ...]
    active: tuple[str, ...]
    suspended: tuple[str, ...]
    pending: tuple[str, ...]
    submitted: tuple[str, ...]
    streams: tuple[str, ...]


class Log:
    """A tenant's log and its read models, at one length after another."""

    def __init__(self, made: Database, tenant: str, village: Village) -> None:
        self.tenant = tenant
        self.village = village
        self.copied: list[Copied] = []
        self.events = 0
        self._made = made
        self._changed: set[str] = set()

    def grow(self, events: int) -> None:
        """Lengthen the log to about so many events and make its read models once more."""
        more = lengthen(
            self._made, self.tenant, self.village.streams, events, series=len(self.copied)
        )
        self.copied.append(more)
        self.events = more.base + more.events
        with owner(self._made) as conn:
            # The keys and claims of commands: nobody sends these again, but the trees are as deep.
            conn.execute(COMMANDS, (self.tenant, more.base))
            conn.execute(CLAIMS, (self.tenant, more.base))
            # All rows are made once more: those of the shorter log would only lie about.
            conn.execute(TRUNCATE)
        rebuild(self._made.migrator, self.tenant, accept=True, workers=2)
        with connect(self._made.migrator) as conn:
            drop(conn, self.tenant)
        with owner(self._made) as conn:
            _tidy(conn)

    def chosen(self, originals: Sequence[str], seed: int, *, first: bool = False) -> Iterator[str]:
        """Yield copies of streams, of all that there are, in an order of chance; with `first` of
        those that the shortest log had.
        """
        chance = random.Random(seed + self.events)
        among = self.copied[:1] if first else self.copied
        while True:
            of = chance.choices(among, [one.copies for one in among])[0]
            yield of.stream(chance.choice(originals), chance.randrange(of.copies))

    def fresh(self, originals: Sequence[str], seed: int) -> Iterator[str]:
        """Yield copies of streams as `chosen` does, each once for good: commands change them."""
        for one in self.chosen(originals, seed):
            if one not in self._changed:
                self._changed.add(one)
                yield one


def _tidy(conn: psycopg.Connection[Any]) -> None:
    """Do what autovacuum does in time, and leave it off: what is counted is nobody else's work."""
    conn.execute("ALTER SYSTEM SET autovacuum = off")
    conn.execute("SELECT pg_reload_conf()")
    conn.execute("VACUUM ANALYZE")


def village(world: World, grants: int, customers: int) -> Village:
    """Make two customers with so many grants, and so many customers with one. Of each ten grants of
    the two, four wait for a check and one for an approval, of the others one in eight each; one in
    ten or eight is suspended, the rest in force.
    """
    found = _registered(world, LARGE + customers)
    large, others = found[:LARGE], found[LARGE:]
    # Those of one customer asked last and end last: pages show as many customers as lines first.
    whose = others + [one for one in large for _ in range(grants)]
    asked = [
        world.request_command(
            who,
            days=100 + 5 * number if who in others else 2_000 + number,
            actions=("sell",) if number % 3 else ("sell", "display"),
        )
        for number, who in enumerate(whose)
    ]
    _all(world, [("requester", one) for one in asked])
    single, many = asked[:customers], asked[customers:]
    submitted = [*single[3::8], *(one for n in range(4) for one in many[n::10])]
    checked = [one for one in asked if one not in submitted]
    _all(world, [("verifier", _check(one)) for one in checked])
    pending = [*single[5::8], *many[4::10]]
    approved = [one for one in checked if one not in pending]
    _all(
        world,
        [
            (f"approver{number % 3}", ApproveStage(grant_id=one.grant_id, stage="sales"))
            for number, one in enumerate(approved)
        ],
    )
    suspended = [*single[7::8], *many[5::10]]
    _hold(world, suspended)
    active = [one for one in approved if one not in suspended]
    return Village(
        tuple(large),
        tuple(one.grantee.partition(":")[2] for one in active if one in single),
        _ids(active),
        _ids(suspended),
        _ids(pending),
        _ids(submitted),
        (*found, *_ids(asked)),
    )


def _ids(asked: Sequence[RequestGrant]) -> tuple[str, ...]:
    return tuple(one.grant_id for one in asked)


def _registered(world: World, number: int) -> list[str]:
    """Register organizations with titles of many kinds and confirm them."""
    kinds = ("茶庄", "茶行", "贸易有限公司", "Tea House", "丝绸商号")
    found = [new_id() for _ in range(number)]
    numbers = [world.number() for _ in found]
    _all(
        world,
        [
            (
                "requester",
                RegisterCustomer(
                    customer=one, number=own, number_claim=hashed("customer", own),
                    form="organization", title=f"{kinds[place % len(kinds)]} {own}",
                ),
            )
            for place, (one, own) in enumerate(zip(found, numbers, strict=True))
        ],
    )  # fmt: skip
    _all(
        world,
        [
            (
                "verifier",
                RecordIdentityCheck(
                    customer=one, check_kind="licence", channel="online", passed=True,
                    document="business_licence",
                ),
            )
            for one in found
        ],
    )  # fmt: skip
    _all(
        world,
        [("verifier", ConfirmCustomer(customer=one, policy=world.policy)) for one in found],
    )
    return found


def _check(asked: RequestGrant) -> RecordCheck:
    return RecordCheck(grant_id=asked.grant_id, check="documents", channel="online")


def _hold(world: World, asked: Sequence[RequestGrant]) -> None:
    for turn in range(HELD):
        on = {one.grant_id: new_id() for one in asked}
        holds = [("compliance", SuspendGrant(grant_id=one, hold=hold)) for one, hold in on.items()]
        _all(world, holds)
        if turn < HELD - 1:
            ends = [
                ("compliance", ResumeGrant(grant_id=one, hold=hold)) for one, hold in on.items()
            ]
            _all(world, ends)


def _all(world: World, acts: Sequence[tuple[str, Command]]) -> None:
    for future in [world.submit(who, command) for who, command in acts]:
        future.result()
