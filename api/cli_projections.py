"""Commands on read models: how far each is, build them once more and swap, remove old ones."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from api.cli_errors import Failure, Usage
from api.cli_help import Command, Group
from api.cli_places import Places, tenant_of, tenants
from api.cli_places import Tenant as TenantRow
from api.cli_shown import FINDINGS, FINE, UNREACHABLE, Json, aside, document, line, table
from api.cli_texts import say

if TYPE_CHECKING:
    from replay.rebuild import Progress, Rebuilt

MODEL = (
    "tenant_id",
    "tenant",
    "projection",
    "generation",
    "live",
    "position",
    "behind",
    "verified",
    "differences",
)
MOST_WORKERS: Final = 4
WORTH_WORKERS: Final = 50_000
"""Below so many events starting processes costs more than they bring."""

Tenant = Annotated[str | None, typer.Option("--tenant", metavar="TENANT")]
All = Annotated[bool, typer.Option("--all")]


def register(app: typer.Typer) -> None:
    """Add the commands of this file."""
    projections = typer.Typer(no_args_is_help=True, rich_markup_mode=None)
    projections.command("list", cls=Command)(projections_list)
    projections.command("rebuild", cls=Command)(projections_rebuild)
    projections.command("drop", cls=Command)(projections_drop)
    app.add_typer(projections, name="projections", cls=Group)


def projections_list(*, tenant: Tenant = None, as_json: Json = False) -> int:
    """Show every read model: how far behind its log it is, and how far it was verified."""
    places = Places()
    with places.connection() as conn:
        only = None if tenant is None else tenant_of(conn, tenant).id
        found = models(conn, only)
    if as_json:
        document([dict(zip(MODEL, row, strict=True)) for row in found])
        return FINE
    headings = [say(f"projections.{key}") for key in MODEL if key != "tenant_id"]
    table(headings, [(*row[1:4], _yes(row[4]), *row[5:]) for row in found])
    if not found:
        aside(say("projections.none"))
    return FINE


def models(conn: Any, tenant: str | None) -> list[tuple[Any, ...]]:
    """Return rows of `MODEL`; the live inline ones are never behind, for `append` writes them.

    A generation that is not live has no `verified` and no `differences`. `conn` is in autocommit.
    """
    from projections.inline import FOLDS

    rows = conn.execute(
        "SELECT t.tenant_id::text, t.name, g.projection, g.generation, g.live,"
        " CASE WHEN g.live AND g.projection = ANY (%(inline)s) THEN l.position ELSE c.position END,"
        " CASE WHEN g.live AND g.projection = ANY (%(inline)s) THEN 0"
        " ELSE l.position - c.position END,"
        " CASE WHEN g.live THEN coalesce(v.position, 0) END"
        " FROM tenants t JOIN ledgers l USING (tenant_id) JOIN generations g USING (tenant_id)"
        " JOIN checkpoints c USING (tenant_id, projection, generation)"
        " LEFT JOIN verified v USING (tenant_id, projection, generation)"
        " WHERE %(tenant)s::uuid IS NULL OR t.tenant_id = %(tenant)s::uuid"
        " ORDER BY t.created_at, t.tenant_id, g.projection, g.generation",
        {"inline": list(FOLDS), "tenant": tenant},
    ).fetchall()
    counts = {one: differences(conn, one) for one in {row[0] for row in rows}}
    return [(*row, counts[row[0]].get(row[2], 0) if row[4] else None) for row in rows]


def differences(conn: Any, tenant: str) -> dict[str, int]:
    """Return read model -> how many of a tenant's rows are not what the log says."""
    with conn.transaction():
        conn.execute("SELECT set_config('counterseal.tenant', %s, true)", (tenant,))
        rows = conn.execute(
            "SELECT projection, count(*)::integer FROM differences WHERE tenant_id = %s"
            " GROUP BY projection ORDER BY projection",
            (tenant,),
        ).fetchall()
    return dict(rows)


def projections_rebuild(
    *,
    tenant: Tenant = None,
    everyone: All = False,
    model: Annotated[list[str] | None, typer.Option("--model", metavar="NAME")] = None,
    workers: Annotated[int | None, typer.Option("--workers", metavar="N", min=1)] = None,
    accept: Annotated[bool, typer.Option("--accept-differences")] = False,
    as_json: Json = False,
) -> int:
    """Build read models once more from the log, beside the live ones, and swap them."""
    places = Places()
    done: list[tuple[TenantRow, Rebuilt]] = []
    for one in _asked(places, tenant, everyone=everyone):
        with _progress(one.name, shown=not as_json) as told:
            found = _rebuild(places, one, model, workers, told, accept=accept)
        done.append((one, found))
        if not as_json:
            _show(one, found)
    if as_json:
        document([_document(one, found) for one, found in done])
    return FINE if all(found.position is not None for _, found in done) else FINDINGS


def projections_drop(*, tenant: Tenant = None, everyone: All = False, as_json: Json = False) -> int:
    """Remove the generations that are not live."""
    from replay.rebuild_plan import RebuildRefused, connect, drop

    places = Places()
    removed: list[tuple[TenantRow, dict[str, int]]] = []
    with connect(places.url("migrator_database_url")) as conn:
        for one in _asked(places, tenant, everyone=everyone):
            try:
                removed.append((one, drop(conn, one.id)))
            except RebuildRefused as fault:
                raise Usage(fault.code, tenant=one.name) from None
    if as_json:
        document([{"tenant": one.id, "name": one.name, "rows": rows} for one, rows in removed])
        return FINE
    for one, rows in removed:
        line(say("projections.dropped", tenant=one.name, rows=sum(rows.values())))
    return FINE


def _asked(places: Places, tenant: str | None, *, everyone: bool) -> list[TenantRow]:
    """Return the tenants a command is about. Raises `Usage`: `projections.which`, as
    `tenant_of`.
    """
    if everyone and tenant is not None:
        raise Usage("projections.which")
    with places.connection() as conn:
        return tenants(conn) if everyone else [tenant_of(conn, tenant)]


def _rebuild(
    places: Places,
    tenant: TenantRow,
    names: list[str] | None,
    workers: int | None,
    told: Callable[[Progress], None],
    *,
    accept: bool,
) -> Rebuilt:
    from projections.folding import NewerEvent
    from replay.rebuild import RebuildRefused, rebuild

    if workers is None:
        many = tenant.position >= WORTH_WORKERS
        workers = min(MOST_WORKERS, os.cpu_count() or 1) if many else 1
    url = places.url("migrator_database_url")
    try:
        return rebuild(url, tenant.id, names or None, workers=workers, accept=accept, told=told)
    except RebuildRefused as fault:
        raise Usage(fault.code, **{**fault.params, "tenant": tenant.name}) from None
    except NewerEvent as fault:
        said = say("projections.newer", position=fault.position, event=fault.name)
        raise Failure("rebuild.newer_event", said, UNREACHABLE) from None


def _show(tenant: TenantRow, found: Rebuilt) -> None:
    for one in found.differences:
        told = "projections.differs" if one.same_fold else "projections.differs_fold"
        line(say(told, table=one.table, number=one.number))
        for key, live, rebuilt in one.examples:
            for column, was, will in _columns(live, rebuilt):
                names = " ".join(f"{name}={value}" for name, value in key.items())
                line(f"  {one.table}  {names}  {column}  {was} -> {will}")
    for fault in found.faults:
        line(
            say(
                "projections.fault",
                stream=fault.stream_id,
                position=fault.position,
                model=fault.projection,
                code=fault.code,
            )
        )
    rate = round(found.events / max(found.seconds, 0.001))
    if found.position is None:
        line(say("projections.not_swapped", tenant=tenant.name))
    else:
        line(
            say(
                "projections.rebuilt",
                tenant=tenant.name,
                models=len(found.generations),
                events=found.events,
                seconds=round(found.seconds, 1),
                rate=rate,
                position=found.position,
            )
        )


def _columns(live: Any, rebuilt: Any) -> Generator[tuple[str, Any, Any]]:
    """Yield the columns that differ; one row, where it is there once only."""
    if live is None or rebuilt is None:
        yield "*", _there(live), _there(rebuilt)
        return
    for name, value in live.items():
        if rebuilt[name] != value:
            yield name, value, rebuilt[name]


def _there(row: Any) -> str:
    return say("projections.no_row") if row is None else say("projections.row")


def _document(tenant: TenantRow, found: Rebuilt) -> dict[str, Any]:
    return {
        "tenant": tenant.id,
        "name": tenant.name,
        "position": found.position,
        "generations": found.generations,
        "events": found.events,
        "seconds": round(found.seconds, 3),
        "resumed": found.resumed,
        "differences": [
            {
                "table": one.table,
                "model": one.projection,
                "same_fold": one.same_fold,
                "rows": one.number,
                "examples": [
                    {"key": key, "live": live, "rebuilt": rebuilt}
                    for key, live, rebuilt in one.examples
                ],
            }
            for one in found.differences
        ],
        "faults": [one._asdict() for one in found.faults],
    }


@contextmanager
def _progress(name: str, *, shown: bool) -> Generator[Callable[[Progress], None]]:
    """Give what shows progress, rate and time left: a bar on a terminal, nothing elsewhere."""
    if not shown or not sys.stderr.isatty():
        yield _quiet
        return
    from rich import progress
    from rich.console import Console

    bar = progress.Progress(
        progress.TextColumn("{task.description}"),
        progress.BarColumn(),
        progress.MofNCompleteColumn(),
        progress.TextColumn("{task.fields[rate]}/s"),
        progress.TimeRemainingColumn(),
        console=Console(stderr=True),
        transient=True,
    )
    begun = time.monotonic()
    with bar:
        task = bar.add_task(name, total=None, rate="-")

        def tell(one: Progress) -> None:
            rate = round(one.done / max(time.monotonic() - begun, 0.001))
            said = f"{name}: {say(f'projections.phase_{one.phase}')}"
            bar.update(task, description=said, completed=one.done, total=one.total, rate=rate)

        yield tell


def _quiet(*_: object) -> None:
    """Show nothing."""


def _yes(value: bool) -> str:
    return say("yes" if value else "no")
