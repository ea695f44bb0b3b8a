"""Who may do what, told from the events' JSON alone, instant by instant: slow, and sharing nothing
with what it is held against."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from datetime import datetime, timedelta
from typing import Any, NamedTuple

import psycopg

from api.provisioning import Database
from tests.support.owner import superuser

Fact = tuple[int, str, dict[str, Any]]  # position, type, the event's JSON
LATEST = 2**62


class Differs(NamedTuple):
    """A place where the rows and the events disagree."""

    stream: str
    known_at: int
    instant: datetime | None
    by_rows: Any
    by_events: Any


class Compared(NamedTuple):
    """How much was compared, and what differed."""

    streams: int
    points: int
    differing: list[Differs]


def compare(database: Database, tenant: str) -> Compared:
    """Hold `permissions` and `standings` against the events: every stream, as known at each of its
    positions and now, at every instant its events name and between any two of them."""
    with superuser(database) as conn:
        streams = _streams(conn, tenant)
        grants = _rows(conn, tenant, _GRANT_ROWS)
        standings = _rows(conn, tenant, _STANDING_ROWS)
    points, differing = 0, list[Differs]()
    for stream, (kind, facts) in streams.items():
        rows = grants if kind == "grant" else standings
        told = permission if kind == "grant" else standing
        mine = rows.pop(stream, [])
        for known_at in [*(fact[0] for fact in facts), LATEST]:
            known = [fact for fact in facts if fact[0] <= known_at]
            for instant in _instants(known):
                points += 1
                by_events = told(known, instant)
                by_rows = [row[4:] for row in mine if _holds(row, known_at, instant)]
                if by_rows != ([] if by_events is None else [by_events]):
                    differing.append(Differs(stream, known_at, instant, by_rows, by_events))
    differing += [
        Differs(stream, LATEST, None, found, "no such stream")
        for rows in (grants, standings)
        for stream, found in rows.items()
    ]
    return Compared(len(streams), points, differing)


# --- what the events say --------------------------------------------------------------------------


def permission(facts: Iterable[Fact], at: datetime) -> tuple[Any, ...] | None:
    """Return what is allowed at `at` by these facts of one grant, or None."""
    asked: dict[str, Any] = {}
    terms: dict[str, Any] = {}
    effect: dict[str, Any] | None = None
    ends: list[datetime] = []
    holds: dict[str, list[datetime | None]] = {}  # id -> from, until, when it falls unconfirmed
    for _, name, event in facts:
        match name:
            case "grant.requested.1":
                asked, terms = event, event["terms"]
            case "grant.information_provided.1" if "terms" in event:
                terms = event["terms"]
            case "grant.approved.1":
                terms = event["terms"]
            case "grant.scheduled.1" | "grant.activated.1":
                effect = event
            case "grant.revoked.1":
                ends.append(_at(event["effective_at"]))
            case "grant.expired.1":
                ends.append(_at(event["expired_at"]))
            case "grant.suspended.1":
                falls = event.get("confirm_by")
                holds[event["hold"]] = [_at(event["at"]), None, falls and _at(falls)]
            case "grant.suspension_confirmed.1":
                holds[event["hold"]][2] = None
            case "grant.resumed.1":
                holds[event["hold"]][1] = _at(event.get("lapsed_at", event["at"]))
            case _:
                pass
    if effect is None or at < _at(effect["starts_at"]):
        return None
    if effect.get("ends_at") is not None:
        ends.append(_at(effect["ends_at"]))
    if any(end <= at for end in ends):
        return None
    for begin, until, falls in holds.values():
        assert begin is not None
        over = min((end for end in (until, falls) if end is not None), default=None)
        if begin <= at and (over is None or at < over):
            return None
    return (
        asked["grantee"],
        asked["number"],
        terms["kind"],
        sorted(terms["actions"]),
        terms["scope"],
        terms.get("number", 1),
        asked["policy"]["policy"],
        asked["policy"]["version"],
    )


def standing(facts: Iterable[Fact], at: datetime) -> tuple[()] | None:
    """Return `()` where the customer or staff member stands at `at`, else None."""
    stands = blocked = False
    for _, name, event in facts:
        if at < _at(event["at"]):
            break
        match name:
            case "customer.confirmed.1":
                stands = at < _at(event["until"])
            case "customer.blocked.1":
                blocked = True
            case "customer.unblocked.1":
                blocked = False
            case "staff.appointed.1":
                stands = True
            case "staff.deactivated.1":
                stands = False
            case _:
                pass
    return () if stands and not blocked else None


def _instants(facts: Iterable[Fact]) -> Iterator[datetime]:
    """Every instant these facts name, one between any two, one before and one after all."""
    named = sorted({_at(text) for _, _, event in facts for text in _texts(event) if _is_at(text)})
    for instant, following in zip(named, [*named[1:], named[-1] + timedelta(days=1)], strict=True):
        yield instant
        yield instant + (following - instant) / 2
    yield named[0] - timedelta(microseconds=1)


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        for one in value.values():
            yield from _texts(one)
    elif isinstance(value, list):
        for one in value:
            yield from _texts(one)
    elif isinstance(value, str):
        yield value


def _is_at(text: str) -> bool:
    return len(text) >= 20 and text[4:5] == "-" and text[10:11] == "T"


def _at(text: str) -> datetime:
    return datetime.fromisoformat(text)


# --- what lies in the tables ----------------------------------------------------------------------

_GRANT_ROWS = """
    SELECT grant_id::text, known_from, known_to, valid_from, nullif(valid_to, 'infinity'),
           grantee, number, kind,
           (SELECT array_agg(a ORDER BY a COLLATE "C") FROM unnest(actions) AS a), scope,
           terms_number, policy_id::text, policy_version
    FROM permissions WHERE tenant_id = %s AND generation = 1"""

_STANDING_ROWS = """
    SELECT split_part(party, ':', 2), known_from, known_to, valid_from, nullif(valid_to, 'infinity')
    FROM standings WHERE tenant_id = %s AND generation = 1"""


def _rows(
    conn: psycopg.Connection[Any], tenant: str, statement: str
) -> dict[str, list[tuple[Any, ...]]]:
    found: dict[str, list[tuple[Any, ...]]] = {}
    for stream, *row in conn.execute(statement.encode(), (tenant,)):
        found.setdefault(stream, []).append(tuple(row))
    return found


def _holds(row: tuple[Any, ...], known_at: int, instant: datetime) -> bool:
    known_from, known_to, valid_from, valid_to = row[:4]
    known = known_from <= known_at and (known_to is None or known_at < known_to)
    return known and valid_from <= instant and (valid_to is None or instant < valid_to)


def _streams(conn: psycopg.Connection[Any], tenant: str) -> dict[str, tuple[str, list[Fact]]]:
    found: dict[str, tuple[str, list[Fact]]] = {}
    for stream, position, name, data in conn.execute(
        "SELECT stream_id::text, position, type, data FROM events"
        " WHERE tenant_id = %s AND split_part(type, '.', 1) IN ('grant', 'customer', 'staff')"
        " ORDER BY position",
        (tenant,),
    ):
        kind = name.partition(".")[0]
        found.setdefault(stream, (kind, []))[1].append((position, name, json.loads(data)))
    return found
