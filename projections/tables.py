"""The tables of every read model: their columns and keys, and the stream that each row follows
from.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final, LiteralString, NamedTuple

from projections import duties, history, permissions, points, standings
from projections.models import SERIES_MODELS, STREAM_MODELS
from projections.rows import SeriesModel, StreamModel


class Table(NamedTuple):
    """One table, without tenant and generation.

    `columns`: column -> type in the database. `key`: what names a row. `owner` is SQL, the id of
    the stream that a row `x` follows from, NULL where it names none. `by_event`: its rows are added
    event by event, and never change.
    """

    name: str
    projection: str
    columns: Mapping[str, str]
    key: tuple[str, ...]
    owner: LiteralString
    by_event: bool = False


_KNOWN: Final = {"known_from": "bigint", "known_to": "bigint"}
_SPAN: Final = {"valid_from": "timestamptz", "valid_to": "timestamptz"}
_PARTY: Final = "as_id(split_part(x.party, ':', 2))"
_POINT: Final = (
    "CASE WHEN x.dimension = 'customer' OR x.dimension LIKE 'customer/%%'"
    " THEN as_id(x.path) ELSE x.tenant_id END"
)
_OF_POSITION: Final = (
    "(SELECT e.stream_id FROM events e WHERE e.tenant_id = x.tenant_id AND e.position = x.position)"
)

INLINE: Final[Mapping[str, Table]] = MappingProxyType(
    {
        "g": Table(
            "permissions",
            permissions.NAME,
            {
                "grant_id": "uuid",
                "terms_number": "integer",
                **_SPAN,
                **_KNOWN,
                "grantee": "text",
                "number": "text",
                "kind": "text",
                "actions": "text[]",
                "scope": "jsonb",
                "policy_id": "uuid",
                "policy_version": "integer",
                "parent": "text",
                "stops": "jsonb",
            },
            ("grantee", "grant_id", "terms_number", "valid_from", "known_from"),
            "x.grant_id",
        ),
        "s": Table(
            "standings",
            standings.NAME,
            {"party": "text", **_SPAN, **_KNOWN},
            ("party", "valid_from", "known_from"),
            _PARTY,
        ),
        "a": Table(
            "aliases",
            standings.NAME,
            {"party": "text", "into_party": "text", "valid_from": "timestamptz", **_KNOWN},
            ("party", "known_from"),
            _PARTY,
        ),
        "m": Table(
            "memberships",
            standings.NAME,
            {"party": "text", "team": "text", **_SPAN, **_KNOWN},
            ("party", "valid_from", "known_from"),
            _PARTY,
        ),
        "p": Table(
            "points",
            points.NAME,
            {
                "dimension": "text",
                "path": "text",
                **_SPAN,
                **_KNOWN,
                "names": "jsonb",
                "attributes": "jsonb",
            },
            ("dimension", "path", "known_from"),
            _POINT,
        ),
    }
)
"""The inline tables, by the letter that `inline_apply` knows them by."""

HANDS: Final = Table(
    "hands",
    duties.NAME,
    {
        "grant_id": "uuid",
        "case_id": "text",
        "position": "bigint",
        "person": "text",
        "number": "text",
        "act": "text",
        "stage": "text",
        "at": "timestamptz",
        "party": "text",
        "imported": "boolean",
        "void": "bigint",
        "kind": "text",
    },
    ("grant_id", "case_id", "position", "person"),
    "x.grant_id",
)
PERSON_MERGES: Final = Table(
    "person_merges",
    duties.NAME,
    {"person": "text", "into_person": "text", "position": "bigint"},
    ("person",),
    "as_id(x.person)",
)
HISTORY: Final = Table(
    "history",
    history.NAME,
    {
        "position": "bigint",
        "at": "timestamptz",
        "recorded_at": "timestamptz",
        "stream_kind": "text",
        "stream_id": "uuid",
        "version": "integer",
        "type": "text",
        "actor": "text",
        "on_behalf_of": "text",
        "persons": "text[]",
        "customers": "text[]",
        "grant_id": "uuid",
        "case_id": "text",
        "reason": "text",
        "command_id": "uuid",
        "causation": "bigint",
        "imported": "boolean",
        "said": "text",
    },
    ("position",),
    "x.stream_id",
    by_event=True,
)
HISTORY_KEYS: Final = Table(
    "history_keys",
    history.NAME,
    {"key": "text", "at": "timestamptz", "position": "bigint"},
    ("position", "key", "at"),
    _OF_POSITION,
    by_event=True,
)


_OWNERS: Final[Mapping[str, LiteralString]] = {
    "grant_id": "x.grant_id",
    "customer_id": "x.customer_id",
    "policy_id": "x.policy_id",
    "staff_id": "x.staff_id",
}


def _stream(model: StreamModel) -> Table:
    common = {model.key: "uuid", "version": "integer", "position": "bigint"}
    columns = {**common, "recorded_at": "timestamptz", **model.columns}
    return Table(model.name, model.name, columns, (model.key,), _OWNERS[model.key])


def _series(model: SeriesModel) -> Table:
    columns = {"stream_id": "uuid", "item": "text", **model.columns}
    return Table(model.name, model.name, columns, ("stream_id", "item"), "x.stream_id")


TABLES: Final[Mapping[str, Table]] = MappingProxyType(
    {
        one.name: one
        for one in (
            *INLINE.values(),
            *map(_stream, STREAM_MODELS),
            *map(_series, SERIES_MODELS),
            HANDS,
            PERSON_MERGES,
            HISTORY,
            HISTORY_KEYS,
        )
    }
)
"""Every table of every read model, by its name."""


def tables_of(projection: str) -> tuple[Table, ...]:
    """Return the tables that a read model consists of."""
    return tuple(table for table in TABLES.values() if table.projection == projection)
