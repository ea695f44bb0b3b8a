"""`counterseal compliance`: the queries over all grants, what the doors give, as tables."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Any, Final, cast

import typer

from api.cli_help import Command, Group
from api.cli_past import AsOf, Happened, Looked, looked, looking
from api.cli_places import Places, Tenant, instant_of, tenant_of
from api.cli_questions import compliance_duties, staff_numbers
from api.cli_shown import FINDINGS, FINE, Json, document, instant, line, table
from api.cli_texts import say, spoken, word

if TYPE_CHECKING:
    import psycopg

    from projections.queries import Page

PAGE: Final = 1_000
MAX_DAYS: Final = 36_500

TenantOption = Annotated[str | None, typer.Option("--tenant", metavar="TENANT")]
InstantOption = Annotated[str | None, typer.Option("--instant", metavar="INSTANT")]
DaysOption = Annotated[int, typer.Option("--days", metavar="N", min=0, max=MAX_DAYS)]
Rows = list[dict[str, Any]]


def register(app: typer.Typer) -> None:
    """Add the commands of this file, and that of duties."""
    compliance = typer.Typer(no_args_is_help=True, rich_markup_mode=None)
    for name, command in (
        ("duties", compliance_duties),
        ("unchecked", unchecked),
        ("open", open_longer),
        ("beyond-evidence", beyond_evidence),
        ("ending", ending),
        ("retired-policies", retired_policies),
        ("approvers", approvers),
    ):
        compliance.command(name, cls=Command)(command)
    app.add_typer(compliance, name="compliance", cls=Group)


def unchecked(
    *,
    as_of: AsOf = None,
    happened: Happened = None,
    tenant: TenantOption = None,
    as_json: Json = False,
) -> int:
    """List the cases that somebody approved and nobody checked."""
    from projections.compliance import unchecked as ask

    return _list(
        tenant,
        (as_of, None, happened),
        lambda conn, known, _, after: ask(conn, known.id, after=after, limit=PAGE),
        ("number", "case_kind", "opened_at", "approvals", "demanded", "imported"),
        as_json=as_json,
    )


def open_longer(
    *,
    days: DaysOption = 30,
    moment: InstantOption = None,
    as_of: AsOf = None,
    happened: Happened = None,
    tenant: TenantOption = None,
    as_json: Json = False,
) -> int:
    """List the cases that are open for longer than so many days."""
    from projections.compliance import open_longer as ask

    return _list(
        tenant,
        (as_of, moment, happened),
        lambda conn, known, view, after: ask(
            conn, known.id, days=days, instant=view.at, after=after, limit=PAGE
        ),
        ("number", "case_kind", "opened_at", "open_days", "over_at"),
        as_json=as_json,
    )


def beyond_evidence(
    *,
    moment: InstantOption = None,
    as_of: AsOf = None,
    happened: Happened = None,
    tenant: TenantOption = None,
    as_json: Json = False,
) -> int:
    """List what is in force beyond the end of the evidence or identity it rests on."""
    from projections.compliance import beyond_evidence as ask

    return _list(
        tenant,
        (as_of, moment, happened),
        lambda conn, known, view, after: ask(
            conn, known.id, instant=view.at, after=after, limit=PAGE
        ),
        ("number", "kind", "beyond", "evidence_ends_at", "identity_ends_at", "ends_at"),
        as_json=as_json,
    )


def ending(
    *,
    days: DaysOption = 30,
    moment: InstantOption = None,
    as_of: AsOf = None,
    happened: Happened = None,
    tenant: TenantOption = None,
    as_json: Json = False,
) -> int:
    """List the grants that end within so many days, the soonest first."""
    from projections.compliance import ending as ask

    return _list(
        tenant,
        (as_of, moment, happened),
        lambda conn, known, view, after: ask(
            conn, known.id, days=days, instant=view.at, after=after, limit=PAGE
        ),
        ("number", "kind", "ends_at", "left_days"),
        as_json=as_json,
        finding=False,
    )


def retired_policies(
    *,
    moment: InstantOption = None,
    as_of: AsOf = None,
    happened: Happened = None,
    tenant: TenantOption = None,
    as_json: Json = False,
) -> int:
    """List what is in force under a retired or superseded version of its policy."""
    from projections.compliance import retired_policies as ask

    return _list(
        tenant,
        (as_of, moment, happened),
        lambda conn, known, view, after: ask(
            conn, known.id, instant=view.at, after=after, limit=PAGE
        ),
        ("number", "kind", "policy_version", "retired_at", "superseded_at", "ends_at"),
        as_json=as_json,
    )


def approvers(
    *,
    since: Annotated[str | None, typer.Option("--since", metavar="INSTANT")] = None,
    until: Annotated[str | None, typer.Option("--until", metavar="INSTANT")] = None,
    as_of: AsOf = None,
    happened: Happened = None,
    tenant: TenantOption = None,
    as_json: Json = False,
) -> int:
    """Tell who approved how much: the approvals that stand, by person, the most first."""
    from projections.approvers import approvers as ask

    begin, end = instant_of(since), instant_of(until)
    return _list(
        tenant,
        (as_of, None, happened),
        lambda conn, known, _, after: ask(
            conn, known.id, since=begin, until=end, after=after, limit=PAGE
        ),
        ("parties", "approvals", "cases", "kinds", "first", "last", "imported"),
        as_json=as_json,
        finding=False,
        order=lambda row: (-row["approvals"], row["first"], row["person"]),
    )


def _list(
    tenant: str | None,
    past: tuple[str | None, str | None, str | None],
    ask: Callable[[psycopg.Connection[Any], Tenant, Looked, Any], Page],
    columns: Sequence[str],
    *,
    as_json: bool,
    finding: bool = True,
    order: Callable[[dict[str, Any]], Any] | None = None,
) -> int:
    """Show every row of a list; `past` is as of when, by which clock, and what had happened; with
    `finding` the exit code tells whether there is a row; without `order` they come as pages do.
    """
    places = Places()
    with places.connection() as conn:
        known = tenant_of(conn, tenant)
        view = looked(conn, known, *past)
        with looking(places, conn, known, view):
            found = whole(lambda after: ask(conn, known, view, after))
            kinds = kind_names(conn, known.id)
        if order is not None:
            found.sort(key=order)
        numbers = staff_numbers(conn, known.id)
    if as_json:
        document({"items": found, **view.named()})
    else:
        headings = [say(f"compliance.{name}") for name in columns]
        table(headings, [[_cell(row, name, kinds, numbers) for name in columns] for row in found])
        line(say("compliance.total", number=len(found)))
    return FINDINGS if found and finding else FINE


def kind_names(conn: psycopg.Connection[Any], tenant: str) -> dict[str, str]:
    """Return kind of grants -> what its policy calls it, as of what `conn` reads."""
    with conn.transaction():
        conn.execute("SELECT set_config('counterseal.tenant', %s, true)", (tenant,))
        rows = conn.execute(
            "SELECT kind, names ->> %s FROM policies WHERE tenant_id = %s"
            " AND generation = (SELECT chosen('policies')) AND names IS NOT NULL"
            " ORDER BY policy_id",
            (spoken(), tenant),
        ).fetchall()
    return dict(rows)


def _cell(
    row: dict[str, Any], name: str, kinds: Mapping[str, str], numbers: Mapping[str, str]
) -> str:
    value = row[name]
    match value:
        case str() if name == "kind":
            return kinds.get(value, value)
        case datetime():
            return instant(value)
        case bool():
            return say("compliance.yes" if value else "compliance.no")
        case list():
            ones = cast(list[str], value)
            shown = (numbers.get(one.partition(":")[2], word("beyond", one)) for one in ones)
            return ", ".join(shown)
        case dict():
            counted = cast(dict[str, int], value).items()
            return ", ".join(f"{kinds.get(kind, kind)} {number}" for kind, number in counted)
        case None:
            return ""
        case _:
            return word("case_kinds", str(value))


def whole(ask: Callable[[Any], Page]) -> Rows:
    """Return the rows of all pages."""
    found: Rows = []
    after: Any = None
    while True:
        page = ask(after)
        found += page.items
        after = page.last
        if after is None:
            return found


def clock() -> datetime:
    return datetime.now(UTC)
