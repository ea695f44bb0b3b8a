"""What a reader of history types: qualifiers and words, understood and made into keys to look for.

    actor:S-0003 type:grant.approved since:2026-01-01 茶行 "call back"

A qualifier given twice means either value; words all have to be there. `since` begins, `until` ends
before; a date is its beginning in UTC.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from datetime import UTC, date, datetime, time
from typing import Any, Final, NamedTuple

from psycopg.rows import tuple_row

from domain import numbers
from domain.errors import Refused
from domain.events import EVENTS
from projections import queries
from projections.history import unversioned
from projections.history_words import folded, needed
from projections.queries import Conn
from projections.reading import walking

MAX_TEXT: Final = 500
"""Characters of a question."""
MAX_PARTS: Final = 20
"""Qualifiers and words of a question."""
MAX_NUMBERS: Final = 20
"""Records of one number that are looked for; numbers of an import may not be unique."""
MAX_MERGED: Final = 200
"""Records merged into a customer, directly or not, that are looked for with it."""

QUALIFIERS: Final = ("actor", "customer", "grant", "type", "since", "until")

_ID: Final = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")
_QUOTES: Final = str.maketrans("“”「」『』", '""""""')
_PART: Final = re.compile(
    r'\s*(?:(?P<name>[^\s":：]+)[:：])?(?:"(?P<quoted>[^"]*)"|(?P<bare>[^\s"]+))'
)
TYPES: Final = tuple(sorted({unversioned(name) for name in EVENTS}))


class Asked(NamedTuple):
    """A question as typed: each qualifier's values, and texts with whether they were quoted."""

    values: Mapping[str, tuple[str, ...]]
    texts: tuple[tuple[str, bool], ...]


class Filter(NamedTuple):
    """What to look for: of each term one of its keys, every text in what is said, in `[since,
    until)`.
    """

    terms: tuple[tuple[str, ...], ...] = ()
    said: tuple[str, ...] = ()
    since: datetime | None = None
    until: datetime | None = None


def asked(text: str) -> Asked:
    """Return a question understood. Raises `Refused`: `history.too_long`, `history.quote_open`,
    `history.qualifier_unknown`, `history.value_malformed`.
    """
    seen = "".join(sign if sign.isprintable() else " " for sign in text.translate(_QUOTES))
    text = seen.strip()
    if len(text) > MAX_TEXT:
        raise Refused("history.too_long", most=MAX_TEXT)
    if text.count('"') % 2:
        raise Refused("history.quote_open")
    values: dict[str, tuple[str, ...]] = {}
    texts: list[tuple[str, bool]] = []
    for part in _PART.finditer(text):
        quoted = part["quoted"] is not None
        said: str = part["quoted"] if quoted else part["bare"]
        if not quoted and said[-1] in ":：" and said[:-1].lower() in QUALIFIERS:
            raise Refused("history.value_malformed", qualifier=said[:-1], value="")
        if part["name"] is None:
            texts.append((said, quoted))
        elif part["name"].lower() not in QUALIFIERS:
            raise Refused("history.qualifier_unknown", qualifier=part["name"], known=QUALIFIERS)
        else:
            name = part["name"].lower()
            values[name] = (*values.get(name, ()), said)
    if sum(map(len, values.values())) + len(texts) > MAX_PARTS:
        raise Refused("history.too_many", most=MAX_PARTS)
    return Asked(values, tuple(texts))


def filter_of(conn: Conn, tenant: str, found: Asked) -> Filter:
    """Return what a question looks for, its numbers looked up.

    Raises `Refused`: `history.value_malformed`, `history.value_unknown`, `history.word_empty`.
    """
    resolve: Mapping[str, Callable[[Conn, str, str], list[str]]] = {
        "actor": _actors,
        "customer": _customers,
        "grant": _grants,
        "type": _types,
    }
    terms: list[tuple[str, ...]] = []
    said: list[str] = []
    for name, ways in resolve.items():
        if name in found.values:
            keys = [key for value in found.values[name] for key in ways(conn, tenant, value)]
            terms.append(tuple(dict.fromkeys(keys)))
    for text, quoted in found.texts:
        grants = [] if quoted else _grants_by(conn, tenant, text, written=True)
        if grants:
            terms.append(tuple(grants))
            continue
        same = folded(text)
        wanted = needed(same)
        if not wanted:
            raise Refused("history.word_empty", word=text)
        terms += [(f"w:{one}",) for one in sorted(wanted)]
        if same not in wanted:
            said.append(same)
    since = [_instant("since", value) for value in found.values.get("since", ())]
    until = [_instant("until", value) for value in found.values.get("until", ())]
    return Filter(
        tuple(dict.fromkeys(terms)),
        tuple(said),
        max(since, default=None),
        min(until, default=None),
    )


def _actors(conn: Conn, tenant: str, value: str) -> list[str]:
    kind, colon, name = value.partition(":")
    if _ID.fullmatch(value):
        return [f"a:staff:{value}", f"a:customer:{value}"]
    if colon and kind == "service" and name:
        return [f"a:{value}"]
    if colon and kind in ("staff", "customer") and name:
        found = [name] if _ID.fullmatch(name) else _numbered(conn, tenant, kind, name)
        return _some([f"a:{kind}:{one}" for one in found], "actor", value)
    for either in ("staff", "customer"):
        if found := _numbered(conn, tenant, either, value):
            return [f"a:{either}:{one}" for one in found]
    return _some([], "actor", value)


def _customers(conn: Conn, tenant: str, value: str) -> list[str]:
    name = value.removeprefix("customer:")
    found = [name] if _ID.fullmatch(name) else _numbered(conn, tenant, "customer", name)
    return _some([f"c:{one}" for one in with_merged(conn, tenant, found)], "customer", value)


def _grants(conn: Conn, tenant: str, value: str) -> list[str]:
    if _ID.fullmatch(value):
        return [f"g:{value}"]
    found = _grants_by(conn, tenant, value, written=True) or _grants_by(conn, tenant, value)
    return _some(found, "grant", value)


def _grants_by(conn: Conn, tenant: str, number: str, *, written: bool = False) -> list[str]:
    """Grants of a number; with `written` only where it is one of ours, however it is typed."""
    if written:
        try:
            number = numbers.parse(number)
        except numbers.NumberFault:
            return []
    page = queries.grants(conn, tenant, number=number, limit=MAX_NUMBERS)
    return [f"g:{row['grant_id']}" for row in page.items]


def _types(_conn: Conn, _tenant: str, value: str) -> list[str]:
    wanted = value.lower()
    if wanted.endswith("*"):
        found = [one for one in TYPES if one.startswith(wanted[:-1])]
    else:
        plain = re.sub(r"\.\d+$", "", wanted)
        found = [one for one in TYPES if one == plain or one.startswith(f"{plain}.")]
    return _some([f"t:{one}" for one in found], "type", value)


def _some(keys: list[str], qualifier: str, value: str) -> list[str]:
    if not keys:
        raise Refused("history.value_unknown", qualifier=qualifier, value=value)
    return keys


def _numbered(conn: Conn, tenant: str, kind: str, number: str) -> list[str]:
    ways: Mapping[str, Callable[..., queries.Page]] = {
        "staff": queries.staff,
        "customer": queries.customers,
    }
    rows = ways[kind](conn, tenant, number=number, limit=MAX_NUMBERS).items
    return [row[f"{kind}_id"] for row in rows]


def with_merged(conn: Conn, tenant: str, ids: list[str]) -> list[str]:
    """Return customers with those whose records were merged into theirs."""
    found = dict.fromkeys(ids)
    left = list(ids)
    with walking(conn, tenant):
        cursor = conn.cursor(row_factory=tuple_row)
        while left and len(found) < MAX_MERGED:
            rows: list[Any] = cursor.execute(_MERGED, (left, MAX_MERGED)).fetchall()
            left = [row[0] for row in rows if row[0] not in found]
            found |= dict.fromkeys(left)
    return list(found)


_MERGED: Final = (
    "SELECT substr(f.party, 10) FROM unnest(%s::text[]) AS u(id) CROSS JOIN LATERAL ("
    "SELECT a.party FROM aliases a WHERE a.tenant_id = current_tenant() AND a.generation ="
    " (SELECT generation FROM generations WHERE tenant_id = current_tenant()"
    " AND projection = 'standings' AND live) AND a.into_party = 'customer:' || u.id"
    " AND a.known_from <= coalesce((SELECT chosen_position()), 9223372036854775807)"
    " AND (a.known_to IS NULL OR a.known_to > (SELECT chosen_position()))"
    " ORDER BY a.known_from LIMIT %s) f"
)


def _instant(qualifier: str, value: str) -> datetime:
    """Return a date's beginning in UTC, or an instant with its zone."""
    try:
        if len(value) == len("2026-11-22"):
            return datetime.combine(date.fromisoformat(value), time(), UTC)
        found = datetime.fromisoformat(value)
    except ValueError:
        raise Refused("history.value_malformed", qualifier=qualifier, value=value) from None
    if found.tzinfo is None:
        raise Refused("history.value_malformed", qualifier=qualifier, value=value)
    try:
        return found.astimezone(UTC)
    except OverflowError:
        raise Refused("history.value_malformed", qualifier=qualifier, value=value) from None
