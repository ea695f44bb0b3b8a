"""What a verifier writes: rows that differ, the quarantine of streams that checks rest on, how far
it has come.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final, LiteralString, NamedTuple
from uuid import UUID

import msgspec

from projections.tables import INLINE, TABLES
from replay.compare import Difference
from replay.quarantine import DIFFERS
from replay.rebuild_plan import Conn
from replay.stream_rows import owner_of, resting_on

MOST: Final = 1_000
"""Differences of a tenant that are kept; of more, those that came first tell enough."""

log = logging.getLogger("counterseal.verifier")

_encoder = msgspec.json.Encoder(order="deterministic")
_INLINE: Final = frozenset(table.name for table in INLINE.values())


class Finding(NamedTuple):
    """One row that is not what the log says; see the table `differences`."""

    stream_id: str | None
    resting: str | None
    projection: str
    relation: str
    key: Mapping[str, Any]
    columns: tuple[str, ...]
    since: int | None
    """The position from which the row counts, of a table that checks rest on."""


def findings(
    tenant: str, differences: Iterable[Difference], positions: Mapping[int, str]
) -> list[Finding]:
    """Return one finding a row; `positions`: position -> stream, as in `owner_of`."""
    found: dict[bytes, Finding] = {}
    for one in differences:
        if one.table not in TABLES:
            continue  # a whole read model of another release
        table = TABLES[one.table]
        name = one.table.encode() + _encoder.encode(one.key)
        before = found.get(name)
        columns = () if before is None else before.columns
        since = None
        if one.table in _INLINE:
            told = [one.key["known_from"], *([one.live] if one.column == "known_from" else [])]
            if before is not None and before.since is not None:
                told.append(before.since)
            since = max(0, min(told))
        found[name] = Finding(
            owner_of(tenant, table, one.key, positions),
            resting_on(table, one.key),
            one.projection,
            one.table,
            one.key,
            columns if one.column == "" else (*columns, one.column),
            since,
        )
    return list(found.values())


def write(
    conn: Conn, tenant: str, found: Sequence[Finding], position: int, compared: Sequence[str]
) -> None:
    """Write what came of comparing these streams; what was found of them before and is no more is
    forgotten. To be called in the snapshot's own transaction.
    """
    documents = [_key(one) for one in found]
    names = [one.relation for one in found]
    ids = list(map(UUID, compared))
    conn.execute(_FORGET, (tenant, ids, names, documents))
    _add(conn, tenant, found, position, stray=False)


def write_strays(
    conn: Conn, tenant: str, relation: str, found: Sequence[Finding], position: int
) -> None:
    """Write the strays of one table, in the place of those found before."""
    documents = [_key(one) for one in found]
    conn.execute(_FORGET_STRAYS, (tenant, relation, documents))
    _add(conn, tenant, found, position, stray=True)


def _add(conn: Conn, tenant: str, found: Sequence[Finding], position: int, *, stray: bool) -> None:
    for one in found:
        row = conn.execute(
            _ADD,
            {
                "tenant": tenant,
                "stream": one.stream_id,
                "resting": one.resting,
                "projection": one.projection,
                "relation": one.relation,
                "key": _key(one),
                "columns": list(one.columns),
                "position": position,
                "stray": stray,
                "most": MOST,
            },
        ).fetchone()
        if row is not None and row[0]:
            log.error(
                "a row is not what the log says: tenant %s, stream %s, table %s, columns %s",
                tenant,
                one.stream_id,
                one.relation,
                ", ".join(one.columns) or "all",
            )
        if one.since is not None:
            _quarantine(conn, tenant, one, one.since)


def _quarantine(conn: Conn, tenant: str, one: Finding, since: int) -> None:
    """What rests on the streams is denied until someone has healed them: fails closed.

    A row of no stream's is a matter of the catalogue: there is no other id to name it by.
    """
    for stream in {one.stream_id or tenant, *([one.resting] if one.resting else [])}:
        conn.execute(_QUARANTINE, (tenant, stream, since, one.projection, DIFFERS))


def _key(one: Finding) -> str:
    return _encoder.encode(one.key).decode()


COUNT: Final[LiteralString] = (
    "UPDATE sweeps SET"
    " differences = (SELECT count(*) FROM differences WHERE tenant_id = %(tenant)s),"
    " quarantined = (SELECT count(*) FROM quarantined WHERE tenant_id = %(tenant)s)"
    " WHERE tenant_id = %(tenant)s"
)
"""Counts anew what there is of a tenant."""

TURN: Final[LiteralString] = (
    "INSERT INTO sweeps AS s (tenant_id, changes) VALUES (%s, 1)"
    " ON CONFLICT (tenant_id) DO UPDATE SET changes = s.changes + 1"
)
"""Whoever puts rows right begins with it: what a verifier looks at now it will look at again."""


_FORGET: Final[LiteralString] = (
    "DELETE FROM differences d WHERE d.tenant_id = %s AND d.stream_id = ANY (%s) AND NOT d.stray"
    " AND NOT EXISTS (SELECT 1 FROM unnest(%s::text[], %s::jsonb[]) AS f(relation, key)"
    " WHERE f.relation = d.relation AND f.key = d.key)"
)
_FORGET_STRAYS: Final[LiteralString] = (
    "DELETE FROM differences d WHERE d.tenant_id = %s AND d.relation = %s AND d.stray"
    " AND NOT EXISTS (SELECT 1 FROM unnest(%s::jsonb[]) AS f(key) WHERE f.key = d.key)"
)
_ADD: Final[LiteralString] = (
    "INSERT INTO differences AS d (tenant_id, stream_id, resting, projection, relation, key,"
    " columns, position, stray)"
    " SELECT %(tenant)s, %(stream)s, %(resting)s, %(projection)s, %(relation)s, %(key)s::jsonb,"
    " %(columns)s, %(position)s, %(stray)s"
    " WHERE %(most)s > (SELECT count(*) FROM differences WHERE tenant_id = %(tenant)s)"
    " ON CONFLICT (tenant_id, relation, key) DO UPDATE SET columns = excluded.columns,"
    " position = excluded.position, stray = excluded.stray RETURNING xmax = 0"
)
# An event that cannot be applied is the graver fault: what is said of it stays.
_QUARANTINE: Final[LiteralString] = (
    "INSERT INTO quarantined AS q (tenant_id, stream_id, position, projection, code)"
    " VALUES (%s, %s, %s, %s, %s) ON CONFLICT (tenant_id, stream_id) DO UPDATE"
    " SET position = excluded.position, projection = excluded.projection"
    " WHERE q.code = excluded.code AND excluded.position < q.position"
)
