"""The function `append` alone, on batches of every shape, against a plain account of what it has to
say: whether a batch is compared as a whole or command by command, the answer is the same."""

from __future__ import annotations

import random
from dataclasses import dataclass, field
from typing import Any, NamedTuple
from uuid import UUID

import psycopg
import pytest

from api.provisioning import Database
from domain.view import How
from projections.folding import EVENTS, Stored
from replay import hashes
from tests.support.ledger import make_tenant, new_id
from tests.support.owner import superuser

Conn = psycopg.Connection[Any]

ARGUMENTS = [
    "uuid", "jsonb", "timestamptz", "timestamptz", "uuid[]", "text[]", "text[]", "bytea[]",
    "bytea[]", "boolean[]", "bigint[]", "integer[]", "integer[]", "integer[]", "uuid[]",
    "integer[]", "integer[]", "integer[]", "text[]", "bytea[]", "uuid[]", "integer[]", "integer[]",
    "integer[]", "text[]", "text[]", "text[]", "bytea[]", "jsonb", "text[]", "integer[]",
]  # fmt: skip
APPEND: Any = f"SELECT * FROM append({', '.join(f'%s::{kind}' for kind in ARGUMENTS)}"

HOW = ", l_how => %s::text[])"


class Read(NamedTuple):
    stream: int
    version: int
    by: int


class Claimed(NamedTuple):
    hash: bytes
    stream: int
    how: How


class Said(NamedTuple):
    """What becomes of a command: the letter, its first position, how many, what moved."""

    status: str
    first: int | None
    many: int
    moved: int


@dataclass
class Command:
    key: str | None
    fingerprint: bytes
    reads: list[Read]
    claims: list[Claimed]
    events: list[tuple[int, int]]  # (stream, version)


@dataclass
class Account:
    """What a log would be after the batches it was told of, kept the long way round."""

    position: int = 0
    versions: dict[int, int] = field(default_factory=dict[int, int])
    keys: dict[str, tuple[bytes, int, int]] = field(
        default_factory=dict[str, tuple[bytes, int, int]]
    )
    claims: dict[bytes, int] = field(default_factory=dict[bytes, int])

    def take(self, batch: list[Command]) -> list[Said]:
        """What is replaced is still its stream's for the other commands of the batch."""
        made, left = dict[int, int](), dict[int, bytes]()
        said = [self._one(number, one, made, left) for number, one in enumerate(batch, 1)]
        for stream, alone in left.items():
            self.claims = {
                claimed: owner
                for claimed, owner in self.claims.items()
                if owner != stream or claimed == alone
            }
        return said

    def _one(self, number: int, one: Command, made: dict[int, int], left: dict[int, bytes]) -> Said:
        if one.key is not None and one.key in self.keys:
            print_, first, count = self.keys[one.key]
            return Said("k" if print_ == one.fingerprint else "f", first, count, 0)
        for read in one.reads:
            if (self.versions.get(read.stream, 0), made.get(read.stream, 0)) != read[1:]:
                return Said("c", None, 0, read.stream)
        for claimed, stream, _ in one.claims:
            if self.claims.get(claimed, stream) != stream:
                return Said("l", None, 0, -1)
        first = self.position + 1
        for stream, version in one.events:
            self.versions[stream] = version
            made[stream] = number
        self.position += len(one.events)
        for claimed, stream, how in one.claims:
            if how != "look":
                self.claims[claimed] = stream
            if how == "replace":
                left[stream] = claimed
        if one.key is not None:
            self.keys[one.key] = (one.fingerprint, first, len(one.events))
        return Said("o", first, len(one.events), 0)


ODDITIES = ("shared", "stale", "unseen", "misled", "known", "twice", "other print", "claims")


class Batches:
    """Makes batches of streams 1 to 9: as a process would that knows the log, or is wrong in one
    way or another."""

    def __init__(self, chance: random.Random, account: Account) -> None:
        self._chance = chance
        self._account = account

    def next(self) -> list[Command]:
        """Return a batch; each oddity is in one of five, about every sixth has none."""
        odd = {name for name in ODDITIES if self._chance.random() < 0.2}
        seen, by = dict(self._account.versions), dict[int, int]()
        streams = self._chance.sample(range(1, 10), 9)
        batch: list[Command] = []
        for number in range(1, self._chance.randint(2, 6) + 1):
            own = self._chance.choice(streams[:3]) if "shared" in odd else streams.pop()
            reads = [Read(own, seen.get(own, 0), by.get(own, 0)), *self._reads(odd, seen, by)]
            events = [
                (own, seen.get(own, 0) + 1 + step) for step in range(self._chance.randint(0, 2))
            ]
            claims = self._claims(own) if events and "claims" in odd else []
            print_ = b"other" if "other print" in odd and self._chance.random() < 0.5 else b"same"
            batch.append(Command(self._key(odd), print_, reads, claims, events))
            if events:
                seen[own], by[own] = events[-1][1], number
        return batch

    def _reads(self, odd: set[str], seen: dict[int, int], by: dict[int, int]) -> list[Read]:
        other = self._chance.randint(1, 9)
        committed = self._account.versions.get(other, 0)
        if "stale" in odd and self._chance.random() < 0.3:
            return [Read(other, committed + 1, 0)]
        if "unseen" in odd and by:  # it does not know that an earlier command wrote this
            written = self._chance.choice(list(by))
            return [Read(written, self._account.versions.get(written, 0), 0)]
        if "misled" in odd and by:  # it takes what the log has for what an earlier command made
            return [Read(other, committed, self._chance.choice(list(by.values())))]
        return [Read(other, seen.get(other, 0), by.get(other, 0))]

    def _key(self, odd: set[str]) -> str | None:
        if "known" in odd and self._account.keys and self._chance.random() < 0.5:
            return self._chance.choice([None, *self._account.keys])
        if "twice" in odd:
            return f"twice {self._account.position} {self._chance.randint(1, 3)}"
        return new_id()

    def _claims(self, own: int) -> list[Claimed]:
        """Who writes nothing claims nothing. Streams 1 to 4 hold for good, the others replace."""
        how: How = "look" if self._chance.random() < 0.3 else "hold" if own < 5 else "replace"
        return [Claimed(b"%d" % self._chance.randint(1, 5), own, how)]


def arguments(tenant: str, streams: list[UUID], batch: list[Command]) -> list[Any]:
    """The batch as `append` takes it."""

    def ends(sizes: list[int]) -> list[int]:
        return [sum(sizes[: place + 1]) for place in range(len(sizes))]

    n = len(batch)
    reads = [read for one in batch for read in one.reads]
    claims = [claim for one in batch for claim in one.claims]
    events = [(number, *each) for number, one in enumerate(batch, 1) for each in one.events]
    e = len(events)
    return [
        UUID(tenant), None, None, None,
        [UUID(new_id()) for _ in batch], ["test"] * n, [one.key for one in batch],
        [one.fingerprint for one in batch], [b"kept"] * n, [True] * n, [None, 7, 8, 9, 1, 2][:n],
        ends([len(one.reads) for one in batch]), ends([len(one.claims) for one in batch]),
        ends([len(one.events) for one in batch]),
        streams,
        [read.stream for read in reads], [read.version for read in reads],
        [read.by for read in reads],
        ["uscc"] * len(claims), [one.hash for one in claims],
        [streams[one.stream - 1] for one in claims],
        [number for number, _, _ in events], [stream for _, stream, _ in events],
        [version for _, _, version in events], ["test.event.1"] * e, ["staff:\u4e2d"] * e,
        [None if number % 2 else "staff:x" for number in range(e)],
        [b"{%d}" % number for number in range(e)],
        None, [f"g:{number}" for number in range(1, n + 1)], list(range(1, n + 1)),
        [one.how for one in claims],
    ]  # fmt: skip


def said(row: tuple[Any, ...], batch: list[Command]) -> list[Said]:
    """The answer, spelled out where it was brief."""
    status, first, count, moved = row[:4]
    if first is None:
        assert (set(status), count, moved, row[4]) == ({"o"}, None, None, None)
        count = [len(one.events) for one in batch]
        first = [row[5] - sum(count[place:]) + 1 for place in range(len(batch))]
        moved = [0] * len(batch)
    moved = [-1 if letter == "l" else place for letter, place in zip(status, moved, strict=True)]
    return [Said(*each) for each in zip(status, first, count, moved, strict=True)]


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_every_shape_of_a_batch_is_answered_as_command_by_command(
    database: Database, seed: int
) -> None:
    account, streams = Account(), [UUID(new_id()) for _ in range(9)]
    batches = Batches(random.Random(seed), account)
    brief, full = make_tenant(database), make_tenant(database)
    letters, brevity = "", 0
    with psycopg.connect(database.service, autocommit=True) as conn:
        for _ in range(60):
            batch = batches.next()
            expected = account.take(batch)
            given = arguments(brief, streams, batch)
            short = conn.execute(APPEND + ", true" + HOW, given).fetchone()
            long = conn.execute(APPEND + HOW, [UUID(full), *given[1:]]).fetchone()
            assert short is not None
            assert long is not None
            assert said(long, batch) == said(short, batch) == expected
            assert long[1] is not None
            assert short[5] == long[5] == account.position
            letters += short[0]
            brevity += short[1] is None
        assert set(letters) == set("okfcl")  # nothing of it was left out
        assert 5 < brevity < 50
        for tenant in (brief, full):
            whole(conn, tenant, account)
            assert claims(conn, tenant) == {
                claimed: streams[stream - 1] for claimed, stream in account.claims.items()
            }


def claims(conn: Conn, tenant: str) -> dict[bytes, UUID]:
    """What is claimed, and by which stream."""
    with conn.transaction():
        conn.execute("SELECT set_config('counterseal.tenant', %s, true)", (tenant,))
        return dict(conn.execute("SELECT keyed_hash, stream_id FROM claims").fetchall())


def whole(conn: Conn, tenant: str, account: Account) -> None:
    """The log holds what the account says, without a gap, and its hashes are the auditor's."""
    read = conn.execute(EVENTS, (UUID(tenant), 1, account.position, account.position))
    events = [Stored(*row) for row in read.fetchall()]
    with conn.transaction():
        conn.execute("SELECT set_config('counterseal.tenant', %s, true)", (tenant,))
        batches = conn.execute(
            "SELECT first_position, count, recorded_at, root, chain, touched FROM batches"
            " ORDER BY first_position"
        ).fetchall()
        keys = conn.execute("SELECT key, fingerprint, first_position, count FROM commands")
        assert {row[0]: row[1:] for row in keys.fetchall()} == account.keys
    assert [row.position for row in events] == list(range(1, account.position + 1))
    assert len({(row.stream_id, row.version) for row in events}) == account.position
    head = bytes(32)
    for first, count, recorded_at, root, chain, touched in batches:
        rows = events[first - 1 : first - 1 + count]
        assert {row.recorded_at for row in rows} == {recorded_at}
        assert hashes.root([hashes.leaf(UUID(tenant).bytes, row) for row in rows]) == root
        head = hashes.chain(head, root, recorded_at)
        assert head == chain
        assert touched


def test_who_reads_between_two_that_write_blindly_is_left_out(database: Database) -> None:
    """The last of them writes after the read, the first before it."""
    tenant, streams = make_tenant(database), [UUID(new_id()) for _ in range(2)]
    batch = [
        Command(new_id(), b"", [], [], [(1, 1)]),
        Command(new_id(), b"", [Read(1, 0, 0)], [], [(2, 1)]),
        Command(new_id(), b"", [], [], [(1, 2)]),
    ]
    with psycopg.connect(database.service, autocommit=True) as conn:
        row = conn.execute(APPEND + ", true" + HOW, arguments(tenant, streams, batch)).fetchone()
    assert row is not None
    assert row[:4] == ("oco", [1, None, 2], [1, 0, 1], [0, 1, 0])


def test_versions_with_a_gap_are_a_defect_of_the_caller_and_nothing_is_written(
    database: Database,
) -> None:
    tenant, streams = make_tenant(database), [UUID(new_id())]
    with psycopg.connect(database.service, autocommit=True) as conn:
        for versions in ([2], [1, 3], [1, 1]):
            batch = [Command(new_id(), b"", [], [], [(1, version) for version in versions])]
            with pytest.raises(psycopg.Error) as raised:
                conn.execute(APPEND + ", true" + HOW, arguments(tenant, streams, batch))
            assert raised.value.sqlstate == "CS003"
        head = conn.execute("SELECT position FROM ledgers WHERE tenant_id = %s", (tenant,))
        assert head.fetchone() == (0,)


def test_a_replacement_reads_no_more_where_many_others_hold(database: Database) -> None:
    """Within the session whose plans were made while there were few."""
    tenant, stream = make_tenant(database), UUID(new_id())
    with (
        psycopg.connect(database.service, autocommit=True) as conn,
        superuser(database) as owner,
    ):

        def replaced(version: int) -> int:
            """Replace what the stream holds; return the blocks that were looked at."""
            one = Command(
                None, b"", [Read(1, version - 1, 0)], [Claimed(b"%d" % version, 1, "replace")],
                [(1, version)],
            )  # fmt: skip
            explained: Any = f"EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON) {APPEND}{HOW}"
            row = conn.execute(explained, arguments(tenant, [stream], [one])).fetchone()
            assert row is not None
            return row[0][0]["Plan"]["Shared Hit Blocks"] + row[0][0]["Plan"]["Shared Read Blocks"]

        few = [replaced(version) for version in range(1, 9)][-1]
        owner.execute(
            "INSERT INTO claims SELECT %s, 'uscc', int4send(g), gen_random_uuid()"
            " FROM generate_series(1, 50000) g",
            (tenant,),
        )
        many = [replaced(version) for version in range(9, 12)][-1]
        assert claims(conn, tenant)[b"11"] == stream
        assert {b"8", b"9", b"10"}.isdisjoint(claims(conn, tenant))
    assert many < few + 50
