"""`counterseal-audit as-of`: the rows of a read model as they stood at a past moment."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Annotated, Any, Final, cast

import typer

from replay.cli_errors import Usage
from replay.cli_places import (
    OWN,
    BundleFile,
    DatabaseUrl,
    TenantName,
    instant_of,
    opened,
    place_of,
    say,
    stream_of,
)
from replay.cli_progress import shown
from replay.cli_shown import FINDINGS, FINE, Json, aside, document, instant, table

if TYPE_CHECKING:
    from replay.sources import Source

COLUMNS: Final[Mapping[str, tuple[str, ...]]] = {
    "grants": ("number", "status", "grantee", "kind", "starts_at", "ends_at", "version"),
    "customers": ("number", "status", "title", "form", "confirmed_until", "grade", "version"),
    "staff": ("number", "status", "level", "roles", "person", "version"),
    "policies": ("kind", "status", "newest", "versions", "version"),
    "permissions": (
        "number",
        "grantee",
        "actions",
        "scope",
        "valid_from",
        "valid_to",
        "known_from",
    ),
    "tasks": ("kind", "about", "party", "since", "lapses_at"),
    "cases": ("number", "kind", "grantee", "opened_at", "closed_at", "checks", "approvals"),
    "effects": ("number", "item", "kind", "starts_at", "ends_at"),
    "history": ("position", "at", "type", "actor", "reason"),
}
"""Table -> the columns that people are shown; JSON has them all."""

PARTIES: Final = ("grantee", "party")
"""Columns in which refs of parties stand: people are shown numbers and titles."""

LIMIT: Final = 50
"""Rows where nothing is said."""

NAMED: Final = 1_000
"""Rows in which parties and kinds are named; each is looked up, so in more they stay codes."""


def as_of(
    *,
    bundle: BundleFile = None,
    database_url: DatabaseUrl = None,
    tenant: TenantName = None,
    model: Annotated[str | None, typer.Option("--model", metavar="MODEL")] = None,
    grant: Annotated[str | None, typer.Option("--grant", metavar="NUMBER")] = None,
    customer: Annotated[str | None, typer.Option("--customer", metavar="NUMBER")] = None,
    staff: Annotated[str | None, typer.Option("--staff", metavar="NUMBER")] = None,
    stream: Annotated[str | None, typer.Option("--stream", metavar="ID")] = None,
    known: Annotated[str | None, typer.Option("--known", metavar="POSITION|INSTANT")] = None,
    valid: Annotated[str | None, typer.Option("--valid", metavar="INSTANT")] = None,
    happened: Annotated[str | None, typer.Option("--happened", metavar="INSTANT")] = None,
    status: Annotated[str | None, typer.Option("--status", metavar="STATUS")] = None,
    limit: Annotated[int, typer.Option("--limit", metavar="N", min=0)] = LIMIT,
    as_json: Json = False,
) -> int:
    """Show rows as they stood, folded from the events alone."""
    from projections.store import Quarantine
    from projections.tables import TABLES
    from replay.as_of import in_force, moment, rows

    name = model or _model_of(grant, customer, staff, stream)
    if name not in TABLES:
        raise Usage("model.unknown", name=name, known=list(TABLES))
    asked = place_of(known), instant_of(valid), instant_of(happened)
    faults: list[Quarantine] = []
    found: list[dict[str, Any]] = []
    with opened(bundle, database_url, tenant) as source:
        at = moment(source, *asked)
        only = stream_of(source, grant=grant, customer=customer, staff=staff, stream=stream)
        total = at.position - source.reach.first + 1
        number = 0
        with shown(source, say("as_of.reading", tenant=source.tenant.name), total):
            streams = None if only is None else [only]
            for row in rows(source, at, name, streams, faults):
                if asked[1] is not None and not in_force(row, at.valid):
                    continue
                if status is not None and row.get("status") != status:
                    continue
                number += 1
                if not limit or len(found) < limit:
                    found.append(row)
        whose = source.tenant.name
        few = not as_json and len(found) <= NAMED
        named = list(_named(source, at.position, found)) if few else found
    if as_json:
        document(
            {
                "tenant": whose,
                **at._asdict(),
                "model": name,
                "total": number,
                "items": found,
                "faults": [one._asdict() for one in faults],
            }
        )
    else:
        _table(name, named)
        aside(
            say(
                "as_of.shown",
                shown=len(found),
                number=number,
                position=at.position,
                recorded_at=instant(at.recorded_at),
                valid=instant(at.valid),
            )
        )
        if at.happened is not None:
            aside(say("as_of.happened", happened=instant(at.happened)))
        for one in faults:
            aside(say("as_of.fault", stream=one.stream_id, position=one.position, code=one.code))
    return FINDINGS if faults else FINE


def _model_of(
    grant: str | None, customer: str | None, staff: str | None, stream: str | None
) -> str:
    said = (("grants", grant), ("customers", customer), ("staff", staff))
    for name, value in said:
        if value is not None:
            return name
    if stream is not None:
        raise Usage("model.needed")
    return "grants"


def _named(
    source: Source, position: int, rows: Sequence[Mapping[str, Any]]
) -> Iterator[Mapping[str, Any]]:
    """Yield rows with what parties and kinds of grants were called as of a position."""
    from domain.values import PolicyRef
    from projections.history_lines_names import Book
    from replay.history import Called

    called = Called(source, position)
    refs = {row[column] for row in rows for column in PARTIES if row.get(column)}
    ids = {ref.rpartition(":")[2] for ref in refs if ref.startswith(("customer:", "staff:"))}
    names = called.names(ids, ())
    book = Book(OWN.spoken(), names, called.policy)
    known = {*names.customers, *names.staff}
    for row in rows:
        shown = dict(row)
        for column in PARTIES:
            if str(row.get(column)).rpartition(":")[2] in known:
                shown[column] = book.party(row[column])
        if row.get("kind") and row.get("policy_version"):
            policy = PolicyRef(str(row["policy_id"]), row["policy_version"])
            shown["kind"] = book.kind(policy, row["kind"])
        yield shown


def _table(name: str, rows: Iterable[Mapping[str, Any]]) -> None:
    from projections.tables import TABLES

    known = TABLES[name].columns
    columns = COLUMNS.get(name) or tuple(known)
    instants = {column for column in columns if known[column] == "timestamptz"}
    headings = [OWN.word("columns", column) for column in columns]
    table(
        headings,
        [
            [
                _instant(row.get(column)) if column in instants else _cell(column, row.get(column))
                for column in columns
            ]
            for row in rows
        ],
    )


def _instant(value: str | None) -> str:
    """An instant as people read it; what has no beginning or no end shows as nothing."""
    if value is None or value.endswith("infinity"):
        return ""
    return instant(datetime.fromisoformat(value))


def _cell(column: str, value: Any) -> object:
    match value:
        case None:
            return ""
        case str() if column == "status":
            return OWN.word("statuses", value)
        case list():
            return ", ".join(map(_element, cast(list[Any], value)))
        case dict():
            pairs = cast(dict[str, Any], value).items()
            return "; ".join(f"{name}: {_cell(name, one)}" for name, one in pairs)
        case _:
            return value


def _element(value: Any) -> str:
    """An element of a list; of the versions of a policy number and status."""
    if not isinstance(value, dict):
        return str(value)
    found = cast(dict[str, Any], value)
    return f"{found.get('number', '')} {OWN.word('statuses', str(found.get('status', '')))}"
