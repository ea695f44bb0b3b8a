"""Long logs, made fast: what real commands wrote of one customer, written again for many others,
with batches, hashes and chain as `append` makes them.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from datetime import timedelta
from typing import Any, Final, NamedTuple
from uuid import UUID

import psycopg
from psycopg.conninfo import make_conninfo

from api.provisioning import Database
from domain.commands.supervision import ResumeGrant, SuspendGrant
from replay.hashes import chain, leaf, root
from replay.reader import opened
from replay.sources import Head, Stored
from tests.support.ledger import new_id
from tests.support.world import World

BATCH: Final = 64
"""Events of one append."""

ID_CHARACTERS: Final = 36

_NAMED: Final = re.compile(
    rb"([0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}|N[0-9]{6})"
)
"""Ids, and numbers as `World.number` gives them."""

_STREAMS: Final = (
    "SELECT DISTINCT stream_id::text FROM events WHERE tenant_id = %s"
    " AND stream_id = ANY (%s::text[]::uuid[])"
)
_EVENTS: Final = (
    "COPY events (tenant_id, position, stream_id, version, type, recorded_at, actor, on_behalf_of,"
    " command_id, causation, data) FROM STDIN"
)
_BATCHES: Final = (
    "COPY batches (tenant_id, first_position, count, recorded_at, root, chain) FROM STDIN"
)


class Copied(NamedTuple):
    """What `lengthen` wrote behind position `base`: the acts of the original, in their order, each
    for all copies before the next one.
    """

    base: int
    copies: int
    acts: Sequence[Stored]
    places: dict[bytes, int]

    @property
    def events(self) -> int:
        """How many events were written."""
        return self.copies * len(self.acts)

    def after(self, version: int, stream: str) -> int:
        """Return the position at which every copy of a stream has reached a version."""
        for place, act in enumerate(self.acts, 1):
            if (act.stream_id, act.version) == (stream, version):
                return self.base + place * self.copies
        raise LookupError(version)

    def stream(self, original: str, copy: int) -> str:
        """Return the id of a copy, counted from 0, of a stream."""
        return _renamed(self.places[original.encode()], copy).decode()


def family(world: World, grants: int, holds: int) -> list[str]:
    """Make a customer with grants in force, each suspended and resumed so many times; return the
    customer's stream and the grants'.
    """
    customer = world.customer()
    found = [world.active(customer) for _ in range(grants)]
    for _ in range(holds):
        on = {grant: new_id() for grant in found}
        for act in (SuspendGrant, ResumeGrant):
            for future in [
                world.submit("compliance", act(grant_id=grant, hold=hold))
                for grant, hold in on.items()
            ]:
                future.result()
    return [customer, *found]


def lengthen(
    made: Database, tenant: str, streams: Sequence[str], events: int, series: int = 0
) -> Copied:
    """Write copies of these streams behind the tenant's log, so many that it has about `events`.

    Ids and numbers are each copy's own, but those of streams that are not copied; who lengthens a
    log again gives each time another `series`. The log is whole afterwards; rows of read models are
    for a rebuild, keys and claims of commands are not there.
    """
    with opened(made.auditor, tenant) as source:
        acts = sorted(one for stream in streams for one in source.stream(stream))
        head = source.head
    with owner(made) as conn:
        texts = [b" ".join((one.data, one.command_id.encode())) for one in acts]
        found = {name: None for text in texts for name in _NAMED.findall(text)}
        found |= dict.fromkeys(stream.encode() for stream in streams)
        ids = [name.decode() for name in found if len(name) == ID_CHARACTERS]
        others = {row[0].encode() for row in conn.execute(_STREAMS, (tenant, ids))}
        others -= {stream.encode() for stream in streams}
        names = [name for name in found if name not in others]
        copies = max(1, (events - head.position) // len(acts))
        places = {one: n for n, one in enumerate(names, series << 16)}
        copied = Copied(head.position, copies, acts, places)
        with conn.transaction():
            _write(conn, tenant, head, copied)
        conn.execute("VACUUM ANALYZE events")
        conn.execute("ANALYZE batches")
    return copied


def owner(made: Database) -> psycopg.Connection[Any]:
    """Connect as the server's administrator, in autocommit: for what no role of ours may."""
    if made.admin is None:
        raise RuntimeError("a long log needs an administrator of the server")
    return psycopg.connect(make_conninfo(made.admin, dbname=made.name), autocommit=True)


def _renamed(place: int, copy: int) -> bytes:
    """Return an id of a copy's own: version 7, in the order of the copies."""
    return b"019b%04x-%04x-7000-8000-%012x" % (place & 0xFFFF, place >> 16, copy)


def _write(conn: psycopg.Connection[Any], tenant: str, head: Head, copied: Copied) -> None:
    batches: list[tuple[int, int, Any, bytes, bytes]] = []
    own, last, before = UUID(tenant).bytes, head.recorded_at, head.chain
    with conn.cursor() as cursor, cursor.copy(_EVENTS) as rows:
        for batch in _batches(head, copied):
            last = batch[0].recorded_at
            for one in batch:
                rows.write(_line(tenant, one))
            tree = root([leaf(own, one) for one in batch])
            before = chain(before, tree, last)
            batches.append((batch[0].position, len(batch), last, tree, before))
    with conn.cursor() as cursor, cursor.copy(_BATCHES) as rows:
        for row in batches:
            rows.write_row((tenant, *row))
    conn.execute(
        "UPDATE ledgers SET position = %s, recorded_at = %s, chain = %s WHERE tenant_id = %s",
        (copied.base + copied.events, last, before, tenant),
    )


def _batches(head: Head, copied: Copied) -> Iterator[list[Stored]]:
    batch: list[Stored] = []
    position, recorded_at = head.position, head.recorded_at + timedelta(microseconds=1)
    for act in copied.acts:
        data = _pieces(act.data, copied)
        command = _pieces(act.command_id.encode(), copied)
        stream = _pieces(act.stream_id.encode(), copied)
        for copy in range(copied.copies):
            position += 1
            batch.append(
                act._replace(
                    position=position,
                    stream_id=_filled(stream, copy).decode(),
                    recorded_at=recorded_at,
                    data=_filled(data, copy),
                    command_id=_filled(command, copy).decode(),
                )
            )
            if len(batch) == BATCH:
                yield batch
                batch, recorded_at = [], recorded_at + timedelta(microseconds=1)
    if batch:
        yield batch


def _pieces(text: bytes, copied: Copied) -> list[bytes | int]:
    """Return a text cut at the names that are each copy's own: those stand as their numbers."""
    return [copied.places.get(piece, piece) for piece in _NAMED.split(text) if piece]


def _filled(pieces: list[bytes | int], copy: int) -> bytes:
    return b"".join(
        [piece if isinstance(piece, bytes) else _renamed(piece, copy) for piece in pieces]
    )


def _line(tenant: str, one: Stored) -> bytes:
    """Return a row of `COPY` as text; the columns that hold text have nothing to escape."""
    if one.causation is not None or "\\" in one.actor:
        raise ValueError(one)
    above = "\\N" if one.on_behalf_of is None else one.on_behalf_of
    return (
        f"{tenant}\t{one.position}\t{one.stream_id}\t{one.version}\t{one.type}"
        f"\t{one.recorded_at.isoformat()}\t{one.actor}\t{above}\t{one.command_id}\t\\N"
        f"\t\\\\x{one.data.hex()}\n"
    ).encode()
