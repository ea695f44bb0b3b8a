"""`counterseal worklist`: what waits for whom, since when, and who could do it now."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import closing
from typing import TYPE_CHECKING, Annotated, Any

import typer

from api.cli_compliance import MAX_DAYS, PAGE, TenantOption, clock, kind_names, whole
from api.cli_errors import Usage
from api.cli_help import Command
from api.cli_past import AsOf, At, Happened, looked, looking
from api.cli_places import Places, party_of, tenant_of
from api.cli_shown import FINE, Json, document, line, table
from api.cli_texts import say, spoken, word

if TYPE_CHECKING:
    import psycopg


def register(app: typer.Typer) -> None:
    """Add the command of this file."""
    app.command("worklist", cls=Command)(worklist)


def worklist(
    *,
    for_: Annotated[str | None, typer.Option("--for", metavar="STAFF")] = None,
    kind: Annotated[str | None, typer.Option("--kind", metavar="KIND")] = None,
    customer: Annotated[str | None, typer.Option("--customer", metavar="CUSTOMER")] = None,
    overdue: Annotated[
        int | None, typer.Option("--overdue", metavar="N", min=0, max=MAX_DAYS)
    ] = None,
    unassigned: Annotated[bool, typer.Option("--unassigned")] = False,
    as_of: AsOf = None,
    at: At = None,
    happened: Happened = None,
    tenant: TenantOption = None,
    as_json: Json = False,
) -> int:
    """List what waits for whom, the longest waiting first, and who could do it now."""
    from domain.ledger import Ledgers
    from projections.tasks import KINDS
    from projections.worklists import Wish
    from projections.worklists import worklist as read

    if kind is not None and kind not in KINDS:
        raise Usage("worklist.kind", kind=kind, known=KINDS)
    places = Places()
    with (
        places.connection() as conn,
        closing(Ledgers(places.url("database_url"), None, clock, writers=1)) as ledgers,
    ):
        known = tenant_of(conn, tenant)
        staff = None if for_ is None else party_of(places, conn, known.id, _ref("staff", for_))
        whose = (
            None
            if customer is None
            else party_of(places, conn, known.id, _ref("customer", customer))
        )
        wish = Wish(
            None if staff is None else staff.partition(":")[2],
            kind,
            whose,
            overdue,
            unassigned or None,
        )
        view = looked(conn, known, as_of, at, happened)
        streams = view.of(ledgers.ledger(known.id))
        with looking(places, conn, known, view):
            found = whole(lambda after: read(conn, streams, view.at, wish, after=after, limit=PAGE))
            kinds = kind_names(conn, known.id)
        customers = _customer_numbers(conn, known.id, [row["customer"] for row in found])
    if as_json:
        document({"items": found, **view.named()})
        return FINE
    names = ("since", "days", "task", "record", "customer", "needs", "could")
    table([say(f"work.{name}") for name in names], [_task(row, kinds, customers) for row in found])
    line(say("work.total", number=len(found)))
    return FINE


def _task(
    row: dict[str, Any], kinds: Mapping[str, str], customers: Mapping[str, str]
) -> tuple[object, ...]:
    names: dict[str, str] = row["stage_names"] or {}
    stage = names.get(spoken())
    needs = ", ".join(map(_need, row["needs"]))
    who = [
        one["number"] if one["on_behalf_of"] is None else say("work.deputy", number=one["number"])
        for one in row["could"]
    ]
    if row["could_count"] > len(who):
        who.append(say("work.more", number=row["could_count"] - len(who)))
    if row["members"]:
        who.append(say("work.members", number=row["members"]))
    kind = row["grant_kind"]
    return (
        row["since"],
        str(row["waiting_days"]),
        word("tasks", row["kind"]) + ("" if stage is None else f" ({stage})"),
        " ".join(filter(None, (kinds.get(kind, kind), row["number"]))),
        customers.get(row["customer"] or "", ""),
        needs,
        ", ".join(who) or (row["hindrance"] or say("work.nobody")),
    )


def _need(one: dict[str, Any]) -> str:
    from projections.history_lines_names import texts

    section = "kind" if one.get("kinds") else "level"
    names: Mapping[str, Mapping[str, str]] = texts()["words"][section]
    codes: Sequence[str] = one.get("kinds") or one.get("levels") or ()
    what = "/".join(names[code][spoken()] if code in names else code for code in codes)
    role = word("roles", one["role"]) + (f" ({what})" if what else "")
    return f"{role} \N{MULTIPLICATION SIGN} {one['missing']}"


def _ref(kind: str, text: str) -> str:
    return text if text.startswith(f"{kind}:") else f"{kind}:{text}"


def _customer_numbers(
    conn: psycopg.Connection[Any], tenant: str, refs: Sequence[str | None]
) -> dict[str, str]:
    """Return ref -> number of these customers."""
    ids = sorted({ref.partition(":")[2] for ref in refs if ref and ref.startswith("customer:")})
    with conn.transaction():
        conn.execute("SELECT set_config('counterseal.tenant', %s, true)", (tenant,))
        rows = conn.execute(
            "SELECT 'customer:' || c.customer_id, c.number FROM customers c JOIN generations g"
            " ON g.tenant_id = c.tenant_id AND g.projection = 'customers' AND g.live"
            " AND g.generation = c.generation WHERE c.tenant_id = %s"
            " AND c.customer_id = ANY (%s::uuid[])",
            (tenant, ids),
        ).fetchall()
    return dict(rows)
